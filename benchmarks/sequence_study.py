"""The studies of the H&M thesis on neural sequencers: which model, which sizes, does order matter, and what it learned.

    python -m benchmarks.sequence_study --hm-sequences FOLDER --articles FILE.csv --study models order transfer …
    python -m benchmarks.sequence_study --sample 8000 --study order longevity by_rank …
        [--customers 30000] [--seeds 1] [--studied transformer] [--transformer JSON] [--sequencer JSON] [--hybrid JSON]
        [--als JSON] [--tuned JSON] [--lengths 1 10 20 128 256] [--histories 5 10 20 50] [--models als transformer …]
        [--k 14] [--resume FOLDER] [--out FOLDER] [--threads 1]
        [--device cpu]

Studies:

- ``models``: all models side by side. ``customer_embedding``, ``article_embedding``: the lengths of these vectors.
  ``order``: the true order, shuffled within days (where there are days), shuffled wholly; only what is trained on is
  shuffled. ``history``: how many of the last interactions are read.
- ``transfer`` (H&M): the studied model of customers of mostly Ladieswear, tuned on customers of mostly Menswear, beside
  one of Menswear alone. ``--tuned`` changes fields of the config for the tuning.
- ``vectors``: the studied model's article vectors as fixed factors in als, and as nearest neighbours.
- ``by_rank``: popularity, price and age of what stands at each rank: als, als by Annoy, the studied model. Without
  dates and prices, as in H&M's histories, popularity alone.
- ``longevity`` (sample retailer): the studied model, als and popular on each of 28 days after the last one they know.

H&M's protocol is ``reference`` of :mod:`benchmarks.hm_recommenders`: consecutive repeats are dropped, the last
purchase of 10,000 customers with three or more is the truth, repeats are allowed in lists, all articles are ranked.
``--sample`` generates the sample retailer with so many customers. Which epoch is kept is decided by interactions that a
fit holds out of its own training data, never by the truth.

With ``--resume`` the result of each fit is kept in a folder: a killed run goes on after its last whole fit. ``--out``
writes for each study a table, as CSV and as Markdown, a plot, as SVG, and where variants are compared on the same
customers their paired tests, as CSV.

What belongs here: the command, what it prints and writes. What does not: the data (:mod:`benchmarks.sequence_data`),
which fits a study is made of (:mod:`atelier.studies.sequence_plan` and its neighbours), how tables and plots look
(:mod:`atelier.report.sequence_study`).
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd
from pydantic import ValidationError

from atelier.report.diversity import ranks_drawing
from atelier.report.drawing import Drawing
from atelier.report.figures import standalone
from atelier.report.sequence_study import TOLD, longevity_drawing, sequence_drawings
from atelier.studies.frozen_study import by_rank, longevity
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_scores import RecommenderFitResult
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import paired_tests_of
from atelier.studies.results_cache import ResultsCache
from atelier.studies.sequence_plan import PARTS, Part, SequencePlan
from atelier.studies.sequence_tables import sequence_table
from atelier.studies.transfer_study import TransferPlan, run_transfer
from atelier.studies.vectors_study import run_vectors, vectors_plan
from benchmarks.sequence_data import StudyData, markets, sample_retailer, sequences

#: The fields of models' configs that are given as JSON.
CONFIGS = ("transformer", "sequencer", "hybrid", "als")
#: The studies that the plan does not know.
FURTHER = ("transfer", "vectors", "by_rank", "longevity")
ARTICLES_OF_SAMPLE = 1200


@dataclass(frozen=True)
class Made:
    """What a study gives.

    Attributes:
        table: its figures.
        readable: the same as people read them.
        drawings: its plots.
        tests: paired tests of its variants by precision; None where it compares none on the same customers.
    """

    table: pd.DataFrame
    readable: pd.DataFrame
    drawings: list[Drawing]
    tests: pd.DataFrame | None = None


def plan_of(options: argparse.Namespace) -> SequencePlan:
    """The plan of the options; undated histories are shuffled wholly or not at all.

    Raises:
        ValidationError: a field of a model's config is not allowed.
    """
    given = {name: getattr(options, name) for name in CONFIGS}
    given["als"] = {"threads": options.threads, **options.als}
    plan = SequencePlan(
        parts=tuple(part for part in PARTS if part in options.study),
        studied=options.studied,
        lengths=tuple(options.lengths),
        histories=tuple(options.histories),
        orders=("kept", "shuffled") if options.hm_sequences else ("kept", "within_days", "shuffled"),
        seeds=tuple(range(options.seeds)),
        k=options.k,
        **given,
    )
    for fits in plan.plans().values():
        for studied in fits.models.values():
            studied.build(seed=0)
    return plan


def fits_of(options: argparse.Namespace) -> dict[Part, RecommenderStudyPlan]:
    """The fits of each part of the plan that is asked for; of all models side by side those of ``--models``."""
    fits = plan_of(options).plans()
    if "models" in fits and options.models:
        chosen = {name: model for name, model in fits["models"].models.items() if name in options.models}
        fits["models"] = fits["models"].model_copy(update={"models": chosen})
    return fits


def reads_content(options: argparse.Namespace) -> bool:
    """Whether any model that is asked for reads the vectors of articles."""
    models = [model for fits in fits_of(options).values() for model in fits.models.values()]
    return any(model.reads_content for model in [*models, plan_of(options).studied_model])


class Studies:
    """All studies on one retailer's data.

    Args:
        options: of the command.
        data: of all studies but ``transfer``.
    """

    def __init__(self, options: argparse.Namespace, data: StudyData) -> None:
        self.options, self.data = options, data
        self.plan = plan_of(options)
        self.cache = None if options.resume is None else ResultsCache(options.resume)
        self.identity = data.identity

    def made(self, study: str) -> Made:
        """The table and the plots of a study."""
        further: dict[str, Callable[[], Made]] = {
            "transfer": self.transfer,
            "vectors": self.vectors,
            "by_rank": self.by_rank,
            "longevity": self.longevity,
        }
        return further[study]() if study in further else self.part(cast(Part, study))

    def part(self, part: Part) -> Made:
        """A part of the plan."""
        data, fits = self.data, fits_of(self.options)[part]
        found = run_study(
            data.train,
            data.truth,
            fits,
            catalogue=data.sold,
            cache=self.cache,
            data=self.identity,
            device=self.options.device,
        )
        return told(part, found)

    def transfer(self) -> Made:
        """From the large market to the small one."""
        options = self.options
        content = reads_content(options)
        large, small = markets(options.hm_sequences, options.articles, options.customers, content=content)
        plan = TransferPlan(
            model=self.plan.studied_model, tuned=options.tuned, als=self.plan.als, seeds=self.plan.seeds, k=options.k
        )
        sizes = f"{len(large):,} purchases of {len(large.customer_ids):,} customers"
        print(f"\nthe large market: {sizes}; the small one: {small.size}")
        identity = small.identity | {"large": sizes}
        found = run_transfer(
            large, small.train, small.truth, plan, catalogue=small.sold, cache=self.cache, data=identity
        )
        return told("transfer", found)

    def vectors(self) -> Made:
        """The article vectors of the studied model inside others."""
        plan, data = self.plan, self.data
        variants = vectors_plan(plan.studied, plan.studied_model, plan.als, seeds=plan.seeds, k=plan.k)
        found = run_vectors(data.train, data.truth, variants, catalogue=data.sold, cache=self.cache, data=self.identity)
        return told("vectors", found)

    def by_rank(self) -> Made:
        """What stands at each rank."""
        plan, data = self.plan, self.data
        als = StudiedModel(recommender="als", config=plan.als)
        models = {"als": als, "als_annoy": als.model_copy(update={"search": "annoy"}), plan.studied: plan.studied_model}
        known = [name for name in ("article_id", "price", "available_from") if name in data.sold.frame]
        table = by_rank(
            data.train,
            data.truth,
            models,
            data.sold.frame[known],
            as_of=data.origin,
            k=plan.k,
            catalogue=data.sold,
            cache=self.cache,
            data=self.identity,
        )
        drawing = ranks_drawing(table, list(models))
        return Made(table, ranks_shown(table), [] if drawing is None else [drawing])

    def longevity(self) -> Made:
        """What frozen models are worth on later days."""
        plan, data = self.plan, self.data
        if data.whole is None or data.origin is None:
            raise SystemExit("error: longevity needs days, which these histories do not have: take --sample")
        models = {
            "popular": StudiedModel(recommender="popular"),
            "als": StudiedModel(recommender="als", config=plan.als),
            plan.studied: plan.studied_model,
        }
        table = longevity(
            data.whole, data.origin, models, k=plan.k, catalogue=data.sold, cache=self.cache, data=self.identity
        )
        return Made(table, weeks_shown(table), [longevity_drawing(table)])


def told(study: str, results: Sequence[RecommenderFitResult]) -> Made:
    """What a study gives that compares variants."""
    table = sequence_table({study: results})
    tests = paired_tests_of(results)
    return Made(table, shown(table), sequence_drawings(table), tests[tests["unit"] == "customers"])


def ranks_shown(table: pd.DataFrame) -> pd.DataFrame:
    """The first and the last rank of each model, and the catalogue."""
    ends = table[(table["segment"] == "all") & table["k"].isin([1, int(table["k"].max())])]
    rows = ends.assign(at="rank " + ends["k"].astype("str"))[["metric", "model", "at", "value"]]
    whole = table[table["segment"] == "catalogue"].drop_duplicates("metric").assign(model="catalogue", at="mean")
    both = pd.concat([rows, whole[["metric", "model", "at", "value"]]], ignore_index=True)
    wide = both.assign(value=both["value"].astype("float64").map("{:,.2f}".format))
    return wide.pivot(index=["metric", "model"], columns="at", values="value").fillna("").reset_index()


def weeks_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Hit rate and NDCG by week, each the mean over the week's customers, each counted once for each day."""
    rows = table.astype({"value": "float64"}).assign(week="days " + table["day"].map(week_of))
    rows["sum"] = rows["value"] * rows["customers"].astype("float64")
    sums = rows.groupby(["model", "histories", "metric", "week"], sort=False)[["sum", "customers"]].sum()
    means = (sums["sum"] / sums["customers"].astype("float64")).map("{:.4f}".format)
    return means.unstack("week").reset_index()


def week_of(day: int) -> str:
    """The days of a day's week: ``1–7`` for the first."""
    first = (day - 1) // 7 * 7 + 1
    return f"{first}–{first + 6}"


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The figures of one study as people read them: a row for each variant, half a 95% interval after ±."""
    figures = table.assign(
        value=table["value"].astype("float64"), error=table["standard_error"].astype("float64") * 1.96
    )
    figures["text"] = [
        f"{value:.4f}" + ("" if pd.isna(error) else f" ± {error:.4f}")
        for value, error in zip(figures["value"], figures["error"], strict=True)
    ]
    figures["metric"] = figures["metric"] + "@" + figures["k"].astype("str")
    heads = [f"{name}@{table['k'].iloc[0]}" for name in TOLD]
    wide = figures.pivot(index="variant", columns="metric", values="text")
    wide = wide.reindex(index=list(dict.fromkeys(table["variant"])), columns=heads)
    wide["seconds of a fit"] = figures.groupby("variant")["seconds"].first().round().astype("int64")
    return wide.reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A frame as a Markdown table."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype("str").to_numpy().tolist()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(folder: Path, study: str, made: Made) -> None:
    """Write a study's table, as CSV and as Markdown, and its plots."""
    folder.mkdir(parents=True, exist_ok=True)
    made.table.to_csv(folder / f"{study}.csv", index=False)
    if made.tests is not None:
        made.tests.to_csv(folder / f"{study}_tests.csv", index=False)
    (folder / f"{study}.md").write_text(markdown(made.readable), encoding="utf-8")
    for drawing in made.drawings:
        (folder / f"{drawing.name}.svg").write_text(standalone(drawing.svg), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--hm-sequences", type=Path)
    source.add_argument("--sample", type=int, metavar="CUSTOMERS")
    made.add_argument("--articles", type=Path)
    made.add_argument("--study", nargs="+", choices=(*PARTS, *FURTHER), default=list(PARTS))
    made.add_argument("--customers", type=int)
    made.add_argument("--seeds", type=int, default=1)
    made.add_argument("--studied", default="transformer")
    made.add_argument("--lengths", type=int, nargs="+", default=[1, 10, 20, 128, 256])
    made.add_argument("--histories", type=int, nargs="+", default=[5, 10, 20, 50])
    made.add_argument("--models", nargs="+")
    made.add_argument("--k", type=int, default=14)
    for name in (*CONFIGS, "tuned"):
        made.add_argument(f"--{name}", type=json.loads, default={}, metavar="JSON")
    made.add_argument("--resume", type=Path)
    made.add_argument("--out", type=Path)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument(
        "--device", default="cpu", help="where models, sizes, order and history compute, as PyTorch names it, or auto"
    )
    return made


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line; what cannot be studied ends the program with what there is."""
    command = parser()
    options = command.parse_args(given)
    try:
        known = plan_of(argparse.Namespace(**{**vars(options), "study": ["models"]})).plans()["models"].models
        plan_of(options)
    except ValidationError as error:
        command.error(str(error))
    unknown = [name for name in options.models or [] if name not in known]
    if unknown:
        command.error(f"{', '.join(unknown)}: no model of the study; there are {', '.join(known)}")
    if options.hm_sequences and not options.articles:
        command.error("--hm-sequences needs --articles, the articles.csv that describes them")
    absent, other = ("longevity", "--sample") if options.hm_sequences else ("transfer", "--hm-sequences")
    if absent in options.study:
        command.error(f"{absent} cannot be studied on these data: take {other}")
    return options


def main() -> None:
    """Read, fit, evaluate, print, write."""
    options = arguments()
    from resources.compute import Compute

    Compute(options.device, options.threads).apply()
    if options.sample:
        data = sample_retailer(options.sample, ARTICLES_OF_SAMPLE)
    else:
        content = reads_content(options)
        data = sequences(options.hm_sequences, options.articles, options.customers, content=content)
    studies = Studies(options, data)
    print(f"{data.size}; {len(data.truth.customer_ids):,} customers have a truth", flush=True)
    for study in options.study:
        made = studies.made(study)
        print(f"\n## {study}\n{made.readable.to_string(index=False)}", flush=True)
        if options.out:
            write(options.out, study, made)


if __name__ == "__main__":
    main()
