"""The recommender study: the published comparison on one retailer's data, in a job that is started by hand.

What belongs here: what the study reads, where its results are cached, its tables, pictures and key figures. What does
not: the fits and their evaluation (:mod:`atelier.studies.recommender_study`), how the pictures look
(:mod:`atelier.report`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.evaluation import KINDS, check_days
from assets.pictures import album_of, pictures_folder, results_folder, write_pictures
from assets.recommenders import TRAIN_KINDS, catalogue, training_interactions
from assets.stage import stage
from assets.step import Step
from atelier.code_version import code_version
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.catalogue import Catalogue
    from atelier.interactions import Interactions
    from atelier.studies.recommender_plan import RecommenderStudyPlan
    from atelier.studies.recommender_scores import RecommenderFitResult

GROUP = "studies"
NAME = "recommender_study"
TESTS, NEIGHBOURS = f"{NAME}_tests", "recommender_neighbours"
#: The tables that are read as of the day of the lists.
READ = ("articles", "article_vectors")
#: The fields of the models' configs that the study sets itself.
DECIDED = ("mode", "factors", "seed", "train_kinds", "customer_attributes")


class RecommenderStudy(dg.Config):
    """Which fits the study is made of.

    A field left empty is chosen by the size of the catalogue, or is the model's default.

    Attributes:
        models: popularity; collaborative, content, hybrid (the modes of the hybrid model); als; repeat.
        seeds: how many seeds, from 0.
        shares: the shares of the training interactions that models are fitted on.
        factors: length of every vector; empty: als's choice for the number of articles.
        k: length of the lists.
        exclude_seen: whether lists leave out what a customer had purchased.
        max_epochs: passes of collaborative, content and hybrid over their positives, at most.
        hybrid: further fields of the hybrid model's config, for all three modes.
        als: further fields of als's config.
    """

    models: list[str] = ["popularity", "collaborative", "content", "hybrid", "als"]
    seeds: int = 10
    shares: list[float] = [1.0, 0.5, 0.25, 0.1]
    factors: int | None = None
    k: int = 10
    exclude_seen: bool = True
    max_epochs: int | None = None
    hybrid: dict[str, Any] = {}
    als: dict[str, Any] = {}


@dataclass(frozen=True)
class Compared:
    """The data on which the models are compared; nothing in it but ``truth`` is later than ``origin``.

    Attributes:
        origin: the day of the lists.
        train: the interactions up to ``origin``.
        truth: the purchases after it.
        catalogue: the articles on ``origin``.
        versions: identifies all of it: the versions of its tables, and of the code that reads them.
    """

    origin: date
    train: "Interactions"
    truth: "Interactions"
    catalogue: "Catalogue"
    versions: dict[str, str]


@stage(
    produces=[NAME, TESTS, NEIGHBOURS],
    deps=["interactions"],
    judged_deps=[*READ, "vector_space", "images"],
    group=GROUP,
    keeps_files=True,
)
def compare_recommenders(step: Step, config: RecommenderStudy) -> None:
    """Popularity, collaborative, content, hybrid and als on the same data, over seeds and with fewer interactions."""
    from atelier.studies.recommender_neighbours import neighbours_of
    from atelier.studies.recommender_study import run_study
    from atelier.studies.recommender_tables import paired_tests_of, scores_of
    from atelier.studies.results_cache import ResultsCache

    device = str(step.compute.apply())
    data = read(step)
    plan = study_plan(config, len(data.catalogue), step.compute.threads)
    caching: dict[str, Any] = {
        "cache": ResultsCache(results_folder(step.home.root, NAME, step.ds)),
        "data": data.versions,
        "device": device,
    }
    results = run_study(data.train, data.truth, plan, catalogue=data.catalogue, **caching)
    neighbours = neighbours_of(data.train, plan, data.catalogue, **caching)
    scores, tests = scores_of([*results, *_ceiling(step, data, plan)]), paired_tests_of(results)
    step.write(NAME, scores)
    step.write(TESTS, tests)
    step.write(NEIGHBOURS, neighbours)
    lengths = [studied.config["factors"] for studied in plan.models.values() if "factors" in studied.config]
    step.note(
        NAME,
        fits=len(results),
        origin=str(data.origin),
        interactions=len(data.train),
        judged=results[0].judged,
        **({"factors": lengths[0]} if lengths else {}),
        **step.compute.describe(),
    )
    step.note(NAME, **_key_figures(scores, plan.k), **_seconds(results))
    _draw(step, data, scores, tests, neighbours, list(plan.models))


def read(step: Step) -> Compared:
    """Read the data that the models are trained and evaluated on.

    Raises:
        Failure: the day of the lists is before the first day, or a day since then was not ingested.
        PartitionMissing: the articles or their vectors were not made for the day of the lists.
    """
    origin = step.ds - timedelta(days=step.home.settings.horizon)
    check_days(step, origin)
    sold = _without_sales(catalogue(step, origin, content=True))
    pointers = {table: step.store.pointer(table, origin) for table in READ}
    versions = {table: found.data_version for table, found in pointers.items() if found}
    settings = {"origin": str(origin), "kinds": ", ".join(KINDS), "code": _code()}
    return Compared(
        origin,
        training_interactions(step, TRAIN_KINDS, origin),
        purchases_after(step, origin),
        sold,
        {**settings, **step.data_versions(["interactions"]), **versions},
    )


def _code() -> str:
    """A digest of the code that prepares the data on which the models are trained and evaluated."""
    return code_version("assets.recommenders", alone=(__name__,))


def _without_sales(sold: "Catalogue") -> "Catalogue":
    """The catalogue with the popularity positions of its vectors set to 0.

    They are computed from all interactions, which a model fitted on a share of them must not know.
    """
    from dataclasses import replace

    if sold.vectors is None or sold.names is None:
        return sold
    vectors = sold.vectors.copy()
    vectors[:, [name.startswith("popularity: ") for name in sold.names]] = 0
    return replace(sold, vectors=vectors)


def purchases_after(step: Step, origin: date) -> "Interactions":
    """The purchases after a day, up to the step's."""
    from atelier.interactions import Interactions

    with step.connect("interactions") as con:
        return Interactions.from_frame(con.sql(query("truth"), params={"origin": origin, "kinds": list(KINDS)}).df())


def study_plan(config: RecommenderStudy, articles: int, threads: int = 0) -> "RecommenderStudyPlan":
    """The plan that the config requests, with vectors of a length that suits the number of articles.

    Raises:
        Failure: a model, share, number or field of a model's config is not allowed.
    """
    from pydantic import ValidationError

    from atelier.recommenders.config import factors_for
    from atelier.studies.recommender_plan import RecommenderStudyPlan
    from resources.retailer import faults

    _check_models(config)
    epochs = {} if config.max_epochs is None else {"max_epochs": config.max_epochs}
    try:
        plan = RecommenderStudyPlan.published(
            config.factors or factors_for(articles),
            hybrid={**config.hybrid, **epochs},
            als={"threads": threads, **config.als},
            repeat="repeat" in config.models,
            seeds=tuple(range(config.seeds)),
            shares=tuple(config.shares),
            k=config.k,
            exclude_seen=config.exclude_seen,
        )
        chosen = {name: studied for name, studied in plan.models.items() if name in config.models}
        plan = RecommenderStudyPlan.model_validate({**plan.model_dump(), "models": chosen})
        for studied in plan.models.values():
            studied.build(seed=0)
    except ValidationError as error:
        raise dg.Failure(f"the study's config cannot be used: {faults(error)}") from error
    return plan


def _check_models(config: RecommenderStudy) -> None:
    known = ("popularity", "collaborative", "content", "hybrid", "als", "repeat")
    unknown = [name for name in config.models if name not in known]
    if unknown:
        raise dg.Failure(f"models holds {unknown[0]!r}; there are {', '.join(known)}")
    decided = [name for name in DECIDED if name in {*config.hybrid, *config.als}]
    if decided:
        raise dg.Failure(f"the study itself sets {decided[0]}: remove it from hybrid and als")


def _ceiling(step: Step, data: Compared, plan: "RecommenderStudyPlan") -> "list[RecommenderFitResult]":
    """The sample retailer's best possible lists, evaluated; empty for other sources.

    They are ranked by the generator's own probabilities, and may hold articles that come on sale only after the day of
    the lists, as in :mod:`benchmarks.sample_oracle`.
    """
    from atelier.sources.sample import oracle_lists
    from atelier.studies.recommender_scores import evaluated_customers
    from atelier.studies.recommender_study import evaluate_lists

    settings = step.home.settings
    if settings.source != "sample":
        return []
    customers = evaluated_customers(data.train, data.truth).tolist()
    seen = data.train.of_kinds(KINDS).to_frame() if plan.exclude_seen else None
    lists = oracle_lists(step.home.root / settings.path, customers, data.origin, settings.horizon, plan.k, seen=seen)
    return [evaluate_lists("ceiling", lists, data.train, data.truth, plan, catalogue=data.catalogue)]


def _key_figures(scores: "pd.DataFrame", k: int) -> dict[str, float]:
    """Precision and recall over all customers at the largest share; the UI charts them over the days."""
    from atelier.report.recommender_plots import largest

    rows = scores[(scores["segment"] == "all") & (scores["k"] == k) & scores["metric"].isin(["precision", "recall"])]
    rows = largest(rows).dropna(subset=["value"])
    named = rows["model"].astype("str") + "_" + rows["metric"].astype("str")
    return dict(zip(named, rows["value"].astype(float).tolist(), strict=True))


def _seconds(results: "Sequence[RecommenderFitResult]") -> dict[str, float]:
    """Processor seconds of all fits and lists of each model."""
    models = dict.fromkeys(result.model for result in results)
    return {
        f"seconds_{model}": round(sum(r.seconds + r.ranking_seconds for r in results if r.model == model), 1)
        for model in models
    }


def _draw(
    step: Step,
    data: Compared,
    scores: "pd.DataFrame",
    tests: "pd.DataFrame",
    neighbours: "pd.DataFrame",
    models: Sequence[str],
) -> None:
    from atelier.report.neighbours_picture import neighbours_drawings
    from atelier.report.recommender_plots import recommender_drawings

    write_pictures(
        step,
        pictures_folder(step.home.reports, NAME, step.ds),
        [*recommender_drawings(scores, tests), *neighbours_drawings(neighbours, models, album_of(step, data.origin))],
        lambda name: NEIGHBOURS if name.startswith("neighbours") else NAME,
    )


STAGES = (compare_recommenders,)
