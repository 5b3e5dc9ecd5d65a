"""Two stages on a real week of H&M: candidates, the heuristic merge, every source, their fusion, and the ranker.

    python -m benchmarks.hm_week_two_stage --hm-week FOLDER [--protocol one_day two_days] [--validation] [--ablation]
        [--config JSON] [--variants JSON] [--models als two_tower] [--published] [--threads 1] [--out FILE.json]
        [--plots FOLDER]

``one_day``: trained on 16 to 21 September 2020, evaluated on the 22nd. ``two_days``: trained on 16 to 20, evaluated on
21 and 22. ``--validation`` trains on 16 to 20 and evaluates on the 21st: the days by which defaults were chosen. Lists
may hold what the customer bought before, only articles sold in the training part may be recommended, and the metric is
MAP@12 as in the public competition, apart for customers with history and without; precision, recall and NDCG at 10, 20
and 30 are those of the H&M two-tower project, of customers with history.

Compared are:

- ``merge``: the customer's own last articles, then the popular ones of three days (the model ``repeat``);
- ``popular``: the popular ones of three days;
- each source of candidates alone, and their reciprocal-rank fusion, each filled up with the popular ones;
- ``--models``: further recommenders with their default settings;
- ``published``: with ``--published``, the H&M two-tower project's system;
- ``--variants``: ``two_stage`` with further settings, as JSON of a name and the settings of each, for example
  ``{"with als": {"recommenders": ["als"]}}``;
- ``two_stage``: with ``--ablation`` also without each group of its features.

Two more tables ask for cold articles (:mod:`benchmarks.two_stage_cold`): what each model does with them where all
articles of the catalogue may be recommended, and how many of them the candidates of ``two_stage`` have.

``--plots`` draws MAP@12 by model, the recall of candidates by source and the training curves; settings with
``held_out`` above 0 give these a second line.

What belongs here: reading the data, the comparison, printing. What does not: the model
(:mod:`atelier.recommenders.two_stage`), its settings, what it costs (:mod:`benchmarks.two_stage_costs`), cold
articles (:mod:`benchmarks.two_stage_cold`), the plots (:mod:`benchmarks.two_stage_plots`).
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.metrics import per_customer
from atelier.metrics.accuracy import NdcgIdeal
from atelier.recommenders.base import Recommender
from atelier.recommenders.schemas import RECOMMENDED, encoded, plain
from atelier.recommenders.two_stage.candidate_recall import CHUNK, candidate_recall
from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.ranker import BoostedRanker
from atelier.recommenders.two_stage.two_stage import TwoStage
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from atelier.search.ragged import Indices, Pairs, Ranked, best, first_of_order, followed
from benchmarks.hm_recommenders import WEEK, catalogue
from benchmarks.two_stage_cold import cold, cold_candidates
from benchmarks.two_stage_costs import Costs, extrapolated, peak
from benchmarks.two_stage_plots import write_plots

K = 12
PUBLISHED_K = (10, 20, 30)
CANDIDATES = 200
"""Candidates of a customer at which recall and the oracle are given."""
DAYS = {**WEEK, "validation": ("2020-09-21", "2020-09-22")}
Values = pd.Series
"""MAP@12 of each evaluated customer, by customer."""


def read_week(folder: Path) -> Interactions:
    """The transactions of the week, with dates, prices and channels."""
    names = {
        "t_dat": "occurred_at",
        "customer_id": "customer_id",
        "article_id": "article_id",
        "price": "price",
        "sales_channel_id": "channel",
    }
    table = pq.read_table(folder / "transactions_train.parquet", columns=list(names))
    return Interactions.from_frame(table.rename_columns(list(names.values())))


def split(transactions: Interactions, protocol: str) -> tuple[Interactions, Interactions]:
    """Training and truth; what follows the days of the truth is in neither."""
    first, after = DAYS[protocol]
    train, later = transactions.split_at(first)
    return train, later.split_at(after)[0]


def map_at_12(recs: pd.DataFrame, truth: Interactions) -> Values:
    """MAP@12 of each customer of the truth."""
    values = per_customer(recs, truth, k=K)
    chosen = values[values["metric"] == "map"]
    return pd.Series(chosen["value"].to_numpy(), index=chosen["customer_id"].astype("str"))


def published(recs: pd.DataFrame, truth: Interactions, known: IdMap) -> pd.DataFrame:
    """Precision, recall and NDCG at 10, 20 and 30 of customers with history, the metrics of the H&M two-tower project.

    ``ndcg`` divides by the best that the customer's articles allow, ``ndcg by k`` by a list of k hits, as that project
    does.
    """
    parts: list[pd.DataFrame] = []
    ideals: dict[NdcgIdeal, str] = {"reachable": "ndcg", "k": "ndcg by k"}
    for ideal, label in ideals.items():
        values = per_customer(recs, truth, k=PUBLISHED_K, customers=known.values.to_pylist(), ndcg_ideal=ideal)
        values["metric"] = values["metric"].astype("str").replace({"ndcg": label})
        parts.append(values[values["metric"].isin([label] if parts else ["precision", "recall", label])])
    table = pd.concat(parts).groupby(["metric", "k"], sort=False)["value"].mean()
    return table.reset_index()


def source_lists(model: TwoStage, customers: pd.Series, train: Interactions) -> dict[str, pd.DataFrame]:
    """The lists of each source alone and of their fusion, filled up with the popular articles of three days.

    Args:
        model: fitted; its sources are asked.
        customers: n, known to the model.
        train: the articles that may be recommended are those that occur here.
    """
    moment, ids = model.moment(candidates=CANDIDATES), model.customer_profiles.ids
    codes = ids.encode(customers)
    rows = codes.astype(np.int64)
    eligible = np.flatnonzero(model.in_stock & model.ranked).astype(np.int32)
    order, shares = model._popular(moment, eligible)

    def filled(first: Ranked) -> pd.DataFrame:
        mine = np.nonzero(first.codes >= 0)
        taken = Pairs(mine[0].astype(np.int64), first.codes[mine])
        rest = first_of_order(order, shares, taken, len(rows), K, len(model.article_ids))
        batch = encoded(followed(first, rest), ids.take(codes), model.article_ids, RECOMMENDED)
        lists: pd.DataFrame = plain([batch], RECOMMENDED).to_pandas()
        return lists

    found = {source.name: filled(source.lists(rows, K)) for source in moment.sources}
    return {**found, "fusion": filled(_fused(moment.candidates, rows))}


def _fused(candidates_of: Callable[[Indices], Candidates], rows: Indices) -> Ranked:
    """The first twelve of all sources' lists by reciprocal-rank fusion."""
    parts = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        candidates = candidates_of(chunk)
        scores = candidates.fused().astype(np.float32)
        parts.append(best(candidates.rows, candidates.codes, scores, len(chunk), K))
    return Ranked(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def lists_for(model: Recommender[Any], customers: pd.Series, train: Interactions, k: int = K) -> pd.DataFrame:
    """The lists of those customers whom the model can serve; who has none has MAP@12 of 0."""
    served = customers[model.can_serve(customers)]
    able = train.article_ids.values.filter(pa.array(model.can_rank(train.article_ids.values)))
    return model.recommend(served, k, exclude_seen=False, candidates=able)


def compared(values: dict[str, Values], known: IdMap, name: str = "two_stage") -> pd.DataFrame:
    """MAP@12 of each model with and without history, and what ``name`` has more, with its 95% interval."""
    rows = []
    for model, value in values.items():
        history = known.encode(value.index, unknown="minus_one") >= 0
        for segment, chosen in (("with history", history), ("without history", ~history)):
            gap = (values[name] - value)[chosen]
            half = 1.96 * value[chosen].std(ddof=1) / np.sqrt(chosen.sum())
            error = 1.96 * gap.std(ddof=1) / np.sqrt(len(gap))
            rows.append(
                {
                    "model": model,
                    "segment": segment,
                    "customers": int(chosen.sum()),
                    "map@12": value[chosen].mean(),
                    "half": half,
                    "two_stage more by": gap.mean(),
                    "low": gap.mean() - error,
                    "high": gap.mean() + error,
                }
            )
    return pd.DataFrame(rows)


def recalls(model: TwoStage, truth: Interactions, known: IdMap) -> pd.DataFrame:
    """Recall of each source and of all at 200 candidates, and the oracle's MAP@12, with and without history."""
    table = candidate_recall(model.moment(candidates=CANDIDATES), truth, model.customer_profiles.ids, model.article_ids)
    history = known.encode(table["customer_id"], unknown="minus_one") >= 0
    table["segment"] = np.where(history, "with history", "without history")
    means = table.groupby(["segment", "source"], sort=False)[["recall", "oracle", "candidates"]].mean()
    return means.reset_index()


def evaluate(
    transactions: Interactions,
    sold: Catalogue,
    protocol: str,
    config: dict[str, Any],
    *,
    ablation: bool,
    variants: Mapping[str, dict[str, Any]] | None = None,
    models: Sequence[str] = (),
    with_published: bool = False,
) -> dict[str, Any]:
    """All figures of one protocol."""
    train, truth = split(transactions, protocol)
    everyone = pd.DataFrame({"customer_id": IdMap.union(train.customer_ids, truth.customer_ids).values.to_pandas()})
    asked = pd.Series(truth.customer_ids.values.to_pandas())
    costs, values, further, of_cold, curves = Costs(), {}, [], [], {}

    def judged(name: str, label: str, **settings: Any) -> Any:
        model = recommenders.build(name, **settings)
        costs.of(f"{label}: fit", lambda: model.fit(train, sold, everyone))
        recs = costs.of(f"{label}: lists", lambda: lists_for(model, asked, train, PUBLISHED_K[-1]))
        values[label], curves[label] = map_at_12(recs, truth), model.training_curve()
        further.append(published(recs, truth, train.customer_ids).assign(model=label))
        of_cold.append({"model": label, **cold(model, asked, train, truth, K)})
        return model

    judged("repeat", "merge", window_days=3)
    judged("popular", "popular", window_days=3)
    for name in models:
        judged(name, name)
    if with_published:
        judged("two_stage", "published", **TwoStageConfig.published().model_dump())
    recall_of: list[pd.DataFrame] = []
    among: list[pd.DataFrame] = []
    for label, changes in (variants or {}).items():
        other = judged("two_stage", label, **{**config, **changes})
        recall_of.append(recalls(other, truth, train.customer_ids).assign(model=label))
        among.append(cold_candidates(other, train, truth, CANDIDATES).assign(model=label))
    model = judged("two_stage", "two_stage", **config)
    recall_of.append(recalls(model, truth, train.customer_ids).assign(model="two_stage"))
    among.append(cold_candidates(model, train, truth, CANDIDATES).assign(model="two_stage"))
    for name, recs in source_lists(model, asked, train).items():
        values[name] = map_at_12(recs, truth)
    if ablation:
        groups = tuple(config.get("features", TwoStageConfig().features))
        for group in groups:
            judged(
                "two_stage", f"without {group}", **{**config, "features": [each for each in groups if each != group]}
            )
    return {
        "protocol": protocol,
        "comparison": compared(values, train.customer_ids),
        "published": pd.concat(further, ignore_index=True),
        "recall": pd.concat(recall_of, ignore_index=True),
        "cold": pd.DataFrame(of_cold),
        "cold candidates": pd.concat(among, ignore_index=True),
        "gains": gains(model),
        "curves": pd.concat(curves, names=["model"]).reset_index("model"),
        "seconds": costs.seconds,
        "extrapolated": extrapolated(model),
    }


def gains(model: TwoStage) -> dict[str, float]:
    """The share of each feature in the gain of the trees' splits, the greatest first."""
    if not isinstance(model.trained_ranker, BoostedRanker):
        return {}
    found = model.trained_ranker.gains()
    total = sum(found.values())
    return {name: gain / total for name, gain in sorted(found.items(), key=lambda pair: -pair[1])}


def report(found: dict[str, Any]) -> None:
    """Print the figures of one protocol."""
    print(f"\n## {found['protocol']}: MAP@12, and how much more two_stage has, with the paired 95% interval")
    print(found["comparison"].to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print("\nprecision, recall and NDCG of customers with history; ndcg by k: over the gains of k hits")
    wide = found["published"].pivot(index="model", columns=["metric", "k"], values="value")
    print(wide.to_string(float_format=lambda value: f"{value:.4f}"))
    print(f"\nrecall and the oracle's MAP@12 at {CANDIDATES} candidates")
    print(found["recall"].to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print(f"\narticles that nobody bought before, where all may be recommended, at {K} places")
    print(found["cold"].to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print("\nof these articles, those that customers with history bought, among candidates")
    print(found["cold candidates"].to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print("\nshare of the trees' gain")
    print(", ".join(f"{name} {share:.3f}" for name, share in list(found["gains"].items())[:15]))
    print("\nprocessor seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in found["seconds"].items()))
    print("ranking: " + ", ".join(f"{name} {value:,.1f}" for name, value in found["extrapolated"].items()))
    print(f"peak memory of the process: {peak():,.0f} MB", flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hm-week", type=Path, required=True)
    parser.add_argument("--protocol", nargs="+", choices=[*WEEK], default=[*WEEK])
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--variants", type=json.loads, default={})
    parser.add_argument("--models", nargs="+", choices=[*recommenders.MODELS], default=[])
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plots", type=Path)
    return parser.parse_args(given)


def main() -> None:
    """Read, fit, evaluate, print."""
    options = arguments()
    from resources.compute import Compute

    Compute("cpu", options.threads).apply()
    costs = Costs()
    sold = costs.of("article vectors", lambda: catalogue(pd.read_parquet(options.hm_week / "articles.parquet")))
    print(f"article vectors: {costs.seconds['article vectors']:.1f} processor seconds")
    transactions = read_week(options.hm_week)
    config = {"threads": options.threads, **options.config}
    results = []
    for protocol in ["validation"] if options.validation else options.protocol:
        found = evaluate(
            transactions,
            sold,
            protocol,
            config,
            ablation=options.ablation,
            variants=options.variants,
            models=options.models,
            with_published=options.published,
        )
        results.append(found)
        report(results[-1])
        if options.plots:
            curves = {str(label): rows for label, rows in found["curves"].groupby("model", sort=False)}
            write_plots(options.plots / protocol, found["comparison"], found["recall"], curves)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        tables = [
            {
                name: json.loads(part.to_json(orient="records")) if isinstance(part, pd.DataFrame) else part
                for name, part in each.items()
            }
            for each in results
        ]
        options.out.write_text(json.dumps({"config": config, "results": tables}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
