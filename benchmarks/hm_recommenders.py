"""The published comparison of recommenders on H&M: one week with dates, and two years of sequences without dates.

    python -m benchmarks.hm_recommenders --hm-week FOLDER [--protocol two_days one_day]
    python -m benchmarks.hm_recommenders --hm-sequences FOLDER --articles FILE.csv [--protocol last_week reference]
        [--seen excluded allowed] [--seeds 10] [--shares 1 0.5] [--factors 128] [--models hybrid als]
        [--hybrid JSON] [--als JSON] [--transformer JSON] [--sequencer JSON …]
        [--customers N] [--validation] [--kept FOLDER] [--out FILE.json] [--pictures FOLDER] [--threads 2]

Protocols:

- ``two_days``: trained on 16 to 20 September 2020, evaluated on 21 and 22. ``one_day``: trained on 16 to 21, evaluated
  on 22. Customers with history are evaluated; only articles sold in the training part may be recommended, because
  models that do not read content know no others.
- ``last_week``: each customer's purchases of the last week are the truth, for customers with earlier purchases.
- ``reference``: the protocol of published figures for these sequences. Consecutive repeats are dropped, customers with
  3 purchases or more are left, the last purchase of 10,000 of them, chosen by a fixed seed, is the truth and everything
  else is trained on. Repeats are allowed in lists. The metric is hit_rate@14.

``--validation`` evaluates inside the training part, for choosing models or settings: in the week it trains on 16 to 19
and evaluates on the 20th, once for all protocols; of sequences it holds out the last purchase in the training part of
10,000 other customers.

``--sequencer`` takes a config for each cell; the model is called ``sequencer:lstm`` and the like. The key ``published``
names a cell whose published config the other keys change. ``--customers`` reads the sequences of so many customers,
chosen by a fixed seed.

With ``--kept`` results are cached in a folder: a killed run resumes, and further models, seeds or shares reuse the
results of others. ``--out`` writes the scores, the tests and the fits, as JSON, or the scores alone, as CSV, without
identifiers of customers. ``--pictures`` writes the plots of the report's section, as SVG, in a folder for each protocol
and policy.

What belongs here: reading the data, the protocols, printing. What does not: the study
(:mod:`atelier.studies.recommender_study`).
"""

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atelier.articles.vectors import ArticleVectors, ArticleVectorsConfig
from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.recommenders.sequential.sequencer_config import Cell, SequencerConfig
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import paired_tests_of, scores_of
from atelier.studies.results_cache import ResultsCache

WEEK = {"two_days": ("2020-09-21", "2020-09-23"), "one_day": ("2020-09-22", "2020-09-23")}
SEQUENCES = ("last_week", "reference")
VALIDATED = ("2020-09-20", "2020-09-21")
LAST_DAY = date(2020, 9, 22)

HELD_OUT_CUSTOMERS = 10_000
FEWEST = 3
FURTHER_K = (12, 14)
#: The metrics of the printed tables, with their list lengths.
SHOWN = (
    *(("precision", 10), ("recall", 10), ("hit_rate", 12), ("hit_rate", 14), ("ndcg", 14)),
    *(("coverage", 10), ("overlap", 14), ("personalization", 14), ("novelty", 14)),
)

#: The columns of articles that become attributes of their vectors, one-hot; the others follow from them or are text.
ATTRIBUTES = (
    "product_group_name",
    "graphical_appearance_name",
    "colour_group_name",
    "perceived_colour_master_name",
    "department_name",
    "index_name",
    "section_name",
    "garment_group_name",
)


@dataclass(frozen=True)
class Split:
    """The data of one protocol.

    Attributes:
        name: of the protocol.
        train: the training interactions; nothing of the truth is in it.
        truth: the interactions of the evaluation.
        seen: the policies under which it is evaluated: ``excluded``, ``allowed``.
        sold_only: whether only articles of ``train`` may be recommended.
    """

    name: str
    train: Interactions
    truth: Interactions
    seen: tuple[str, ...] = ("excluded", "allowed")
    sold_only: bool = False


# ---- the week


def read_week(folder: Path) -> Interactions:
    """The transactions of the week, with dates."""
    table = pq.read_table(folder / "transactions_train.parquet", columns=["t_dat", "customer_id", "article_id"])
    return Interactions.from_frame(table.rename_columns(["occurred_at", "customer_id", "article_id"]))


def week_split(transactions: Interactions, protocol: str, *, validation: bool = False) -> Split:
    """Split in time; interactions after the days of the evaluation are in neither part."""
    first, after = VALIDATED if validation else WEEK[protocol]
    train, later = transactions.split_at(first)
    truth, _ = later.split_at(after)
    return Split(protocol, train, truth, sold_only=True)


# ---- the sequences


def read_sequences(folder: Path, customers: int | None = None) -> pa.Table:
    """customer_id, article_ids (a list, in order), purchases_in_last_week: of all, or of so many customers at most."""
    sequences = pq.read_table(folder / "sequences.parquet")
    if customers is None or customers >= len(sequences):
        return sequences
    return sequences.take(np.sort(np.random.default_rng(0).permutation(len(sequences))[:customers]))


def sequences_split(sequences: pa.Table, protocol: str, *, validation: bool = False) -> Split:
    """Split each sequence; see the module's description."""
    if protocol == "last_week":
        train, truth = last_week(sequences)
    else:
        train, truth = hold_out_last(reference_purchases(sequences), HELD_OUT_CUSTOMERS, seed=0)
    if validation:
        train, truth = hold_out_last(train, HELD_OUT_CUSTOMERS, seed=1, spared=truth.customer_ids)
    return Split(protocol, train, truth, seen=("allowed",) if protocol == "reference" else ("excluded", "allowed"))


def purchases_of(sequences: pa.Table) -> pd.DataFrame:
    """One row for each purchase, in order: customer_id, article_id, and the number of later ones of the customer."""
    lists = sequences["article_ids"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    following = np.cumsum(lengths)[owner] - np.arange(len(owner)) - 1
    return pd.DataFrame(
        {
            "customer_id": sequences["customer_id"].take(pa.array(owner)).to_pandas(),
            "article_id": lists.flatten().to_pandas(),
            "following": following,
            "last_week": sequences["purchases_in_last_week"].to_numpy()[owner],
        }
    )


def last_week(sequences: pa.Table) -> tuple[Interactions, Interactions]:
    """Purchases before the last week, and those in it."""
    purchases = purchases_of(sequences)
    late = purchases["following"] < purchases["last_week"]
    return _interactions(purchases[~late]), _interactions(purchases[late])


def reference_purchases(sequences: pa.Table) -> Interactions:
    """Purchases without consecutive repeats, of customers who have three or more such."""
    purchases = purchases_of(sequences)
    before = purchases[["customer_id", "article_id"]].shift()
    repeated = (purchases["customer_id"] == before["customer_id"]) & (purchases["article_id"] == before["article_id"])
    purchases = purchases[~repeated]
    return _interactions(purchases[purchases.groupby("customer_id")["article_id"].transform("size") >= FEWEST])


def hold_out_last(
    purchases: Interactions, customers: int, seed: int, spared: IdMap | None = None
) -> tuple[Interactions, Interactions]:
    """All purchases but the last ones of some customers, and those last ones.

    Args:
        purchases: in order.
        customers: the number of customers, at most; those with a single purchase are not chosen.
        seed: of the choice.
        spared: further customers who are not chosen.
    """
    counts = np.bincount(purchases.customers, minlength=len(purchases.customer_ids))
    able = counts > 1
    if spared is not None:
        able &= spared.encode(purchases.customer_ids.values, unknown="minus_one") < 0
    eligible = np.flatnonzero(able)
    chosen = np.random.default_rng(seed).choice(eligible, size=min(customers, len(eligible)), replace=False)
    last = np.zeros(len(purchases), dtype=bool)
    last[np.cumsum(counts)[chosen] - 1] = True
    return purchases.rows(~last), purchases.rows(last)


def _interactions(purchases: pd.DataFrame) -> Interactions:
    return Interactions.from_frame(purchases[["customer_id", "article_id"]])


# ---- articles


def catalogue(articles: pd.DataFrame) -> Catalogue:
    """The articles with vectors of their texts, types and attributes.

    Args:
        articles: the columns of H&M's articles.csv, as text.
    """
    names = {"prod_name": "name", "detail_desc": "description", "product_type_name": "product_type"}
    articles = articles.rename(columns=names)
    labels = articles.melt("article_id", list(ATTRIBUTES), var_name="attribute").dropna()
    described = articles[["article_id", "name", "description", "product_type", "product_code"]]
    space = ArticleVectors(ArticleVectorsConfig(words=1000))
    return Catalogue.from_frames(described, space.fit_transform(described, labels, as_of=LAST_DAY), space.names)


# ---- the study


def known_models(options: argparse.Namespace, *, repeat: bool) -> dict[str, StudiedModel]:
    """The published models, two more baselines, and the sequence models whose options are given."""
    published = RecommenderStudyPlan.published(options.factors, hybrid=options.hybrid, als=options.als, repeat=repeat)
    known = dict(published.models) | {name: StudiedModel(recommender=name) for name in ("markov", "item_knn")}
    if options.transformer is not None:
        reads = TransformerConfig(**options.transformer).reads_content
        known["transformer"] = StudiedModel(recommender="transformer", config=options.transformer, reads_content=reads)
    for given in options.sequencer:
        config = sequencer_config(given)
        fields = config.model_dump(exclude={"seed"})
        model = StudiedModel(recommender="sequencer", config=fields, reads_content=config.reads_content)
        known[f"sequencer:{config.cell}"] = model
    return known


def sequencer_config(given: dict[str, object]) -> SequencerConfig:
    """The config of given fields; with ``published``, of that cell's published ones but for the others given."""
    if "published" not in given:
        return SequencerConfig.model_validate(given)
    others = {name: value for name, value in given.items() if name != "published"}
    return SequencerConfig.published(cast("Cell", given["published"]), **others)


def plan_of(split: Split, seen: str, options: argparse.Namespace) -> RecommenderStudyPlan:
    """The plan of the options.

    Without ``--models`` all are studied but ``markov`` and ``item_knn``; ``repeat`` only if lists may hold seen ones.
    """
    known = known_models(options, repeat=seen == "allowed" or "repeat" in (options.models or ()))
    wanted = options.models or [name for name in known if name not in ("markov", "item_knn")]
    plan = RecommenderStudyPlan(
        models=known,
        fallback=known["popularity"],
        seeds=tuple(range(options.seeds)),
        shares=tuple(options.shares),
        exclude_seen=seen == "excluded",
        further_k=FURTHER_K,
    )
    return plan.model_copy(update={"models": {name: model for name, model in known.items() if name in wanted}})


def study(split: Split, seen: str, sold: Catalogue, options: argparse.Namespace) -> list[RecommenderFitResult]:
    """The results of one protocol under one policy."""
    identity = {"train": fingerprint(split.train), "truth": fingerprint(split.truth), "articles": vectors_digest(sold)}
    return run_study(
        split.train,
        split.truth,
        plan_of(split, seen, options),
        catalogue=sold,
        candidates=split.train.article_ids.values if split.sold_only else None,
        cache=ResultsCache(options.kept) if options.kept else None,
        data=identity,
        device=options.device,
    )


def fingerprint(interactions: Interactions) -> str:
    """A digest of interactions."""
    found = hashlib.sha256(interactions.customers.tobytes())
    found.update(interactions.articles.tobytes())
    found.update(interactions.occurred_at.tobytes())
    for ids in (interactions.customer_ids, interactions.article_ids):
        found.update("\n".join(ids.values.to_pylist()).encode())
    return found.hexdigest()


def vectors_digest(sold: Catalogue) -> str:
    """A digest of the articles, their styles and their vectors."""
    found = hashlib.sha256("\n".join(sold.ids.values.to_pylist()).encode())
    if (styles := sold.siblings()) is not None:
        found.update(styles.data)
    if sold.vectors is not None:
        found.update(np.ascontiguousarray(sold.vectors).data)
    return found.hexdigest()


# ---- the tables


def shown(scores: pd.DataFrame) -> pd.DataFrame:
    """The main metrics over all customers, by share and model: mean ± deviation over seeds."""
    mine = scores[scores["segment"] == "all"]
    columns = [f"{metric}@{k}" for metric, k in SHOWN]
    named = mine.assign(figure=mine["metric"] + "@" + mine["k"].astype("str"), text=_text(mine))
    table = named.pivot(index=["share", "model"], columns="figure", values="text")
    order = mine[["share", "model"]].drop_duplicates()
    return table.reindex(index=pd.MultiIndex.from_frame(order), columns=columns)


def by_segment(scores: pd.DataFrame) -> pd.DataFrame:
    """Precision at 10 by share, model and segment; the segments' names include the number of evaluated customers."""
    mine = scores[(scores["metric"] == "precision") & (scores["k"] == 10)]
    sizes = mine.groupby("segment")["customers"].max()
    named = mine.assign(segment=[f"{name} ({sizes[name]:,})" for name in mine["segment"]], text=_text(mine))
    order = mine[["share", "model"]].drop_duplicates()
    table = named.pivot(index=["share", "model"], columns="segment", values="text")
    return table.reindex(index=pd.MultiIndex.from_frame(order), columns=named["segment"].unique())


def _text(scores: pd.DataFrame) -> list[str]:
    return [
        "" if pd.isna(value) else f"{value:.5f}" + ("" if pd.isna(deviation) else f" ± {deviation:.5f}")
        for value, deviation in zip(scores["value"], scores["deviation"], strict=True)
    ]


def fits_of(results: Sequence[RecommenderFitResult]) -> pd.DataFrame:
    """One row for each fit, with its cost."""
    columns = ["model", "share", "seed", "interactions", "judged", "served", "seconds", "ranking_seconds", "epochs"]
    return pd.DataFrame([result.model_dump(include=set(columns)) for result in results])[columns]


def report(split: Split, seen: str, results: list[RecommenderFitResult]) -> dict[str, pd.DataFrame]:
    """Print the tables of one study and return them."""
    tables = {"scores": scores_of(results), "tests": paired_tests_of(results), "fits": fits_of(results)}
    print(
        f"\n## {split.name}, seen {seen}: {len(split.train):,} interactions, {results[0].judged:,} customers evaluated"
    )
    print(shown(tables["scores"]).to_string())
    print("\nprecision@10 by segment (customers)")
    print(by_segment(tables["scores"]).to_string())
    print("\npaired tests of precision@10")
    print(tables["tests"].to_string(float_format=lambda value: f"{value:.5g}"))
    costs = tables["fits"].groupby("model", sort=False)[["seconds", "ranking_seconds", "epochs"]].mean()
    print("\nprocessor seconds and epochs of a fit, on average")
    print(costs.round(1).to_string(), flush=True)
    return {name: table.assign(protocol=split.name, seen=seen) for name, table in tables.items()}


def write(out: Path, studies: Sequence[dict[str, pd.DataFrame]], options: argparse.Namespace) -> None:
    """Write the tables of all studies into one file."""
    tables = {name: pd.concat([study[name] for study in studies], ignore_index=True) for name in studies[0]}
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".csv":
        tables["scores"].to_csv(out, index=False)
        return
    settings = {
        name: getattr(options, name)
        for name in ("factors", "hybrid", "als", "transformer", "sequencer", "customers", "validation")
    }
    frames = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
    out.write_text(json.dumps({"options": settings, **frames}, indent=1) + "\n", encoding="utf-8")


def draw(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    """Write the plots of one study."""
    from atelier.report.figures import standalone
    from atelier.report.recommender_plots import recommender_drawings

    folder.mkdir(parents=True, exist_ok=True)
    for drawing in recommender_drawings(tables["scores"], tables["tests"]):
        (folder / f"{drawing.name}.svg").write_text(standalone(drawing.svg), encoding="utf-8")


def splits(options: argparse.Namespace) -> tuple[list[Split], Catalogue]:
    """The data of the chosen protocols, and the articles."""
    if options.hm_week:
        transactions = read_week(options.hm_week)
        names = list(options.protocol or WEEK)[: 1 if options.validation else None]  # all have the same validation
        found = [week_split(transactions, name, validation=options.validation) for name in names]
        return found, catalogue(pd.read_parquet(options.hm_week / "articles.parquet"))
    sequences = read_sequences(options.hm_sequences, options.customers)
    names = list(options.protocol or SEQUENCES)
    found = [sequences_split(sequences, name, validation=options.validation) for name in names]
    return found, catalogue(pd.read_csv(options.articles, dtype="str"))


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--hm-week", type=Path)
    source.add_argument("--hm-sequences", type=Path)
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--protocol", nargs="+", choices=[*WEEK, *SEQUENCES])
    parser.add_argument("--seen", nargs="+", choices=["excluded", "allowed"], default=["excluded", "allowed"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0])
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--hybrid", type=json.loads, default={})
    parser.add_argument("--als", type=json.loads, default={})
    parser.add_argument("--transformer", type=json.loads)
    parser.add_argument("--sequencer", type=json.loads, nargs="+", default=[], metavar="JSON")
    parser.add_argument("--customers", type=int)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="where the models compute, as PyTorch names it, or auto")
    options = parser.parse_args(given)
    possible = WEEK if options.hm_week else SEQUENCES
    wrong = [name for name in options.protocol or [] if name not in possible]
    if wrong:
        parser.error(f"{wrong[0]} is no protocol of these data; there are {', '.join(possible)}")
    known = known_models(options, repeat=True)
    unknown = [name for name in options.models or [] if name not in known]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no model of the study; there are {', '.join(known)}")
    if options.hm_sequences and not options.articles:
        parser.error("--hm-sequences needs --articles, the articles.csv that describes them")
    return options


def main() -> None:
    """Read, fit, evaluate, print."""
    options = arguments()
    from resources.compute import Compute

    Compute(options.device, options.threads).apply()
    found, sold = splits(options)
    studies = []
    for split in found:
        for seen in (policy for policy in split.seen if policy in options.seen):
            studies.append(report(split, seen, study(split, seen, sold, options)))
            if options.pictures:
                draw(options.pictures / f"{split.name}_{seen}", studies[-1])
    if options.out and studies:
        write(options.out, studies, options)


if __name__ == "__main__":
    main()
