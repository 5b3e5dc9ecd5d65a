"""The study of sequence models on one retailer's data, in a job that is started by hand.

What belongs here: its config, its table, pictures and key figures. What does not: the fits
(:mod:`atelier.studies.sequence_plan`), what is read, which is what the recommender study reads
(:mod:`assets.recommender_study`).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.pictures import pictures_folder, results_folder, write_pictures
from assets.recommender_study import GROUP, READ, read
from assets.stage import stage
from assets.step import Step

if TYPE_CHECKING:
    from atelier.interactions import Interactions
    from atelier.studies.recommender_scores import RecommenderFitResult
    from atelier.studies.sequence_plan import SequencePlan

NAME = "sequence_study"


class SequenceStudy(dg.Config):
    """Which fits the study is made of; a killed run goes on where it stopped.

    Attributes:
        parts: models (all side by side), customer_embedding and article_embedding (their lengths), order (kept,
            shuffled within days, shuffled wholly), history (how much of it is read).
        studied: the model by which all but the first are asked: transformer, or sequencer:CELL with the cell rnn, lstm,
            gru, attention or transformer.
        seeds: how many seeds, from 0.
        lengths: the lengths of embeddings that are tried.
        histories: the lengths of histories that are tried.
        k: length of the lists.
        exclude_seen: whether lists leave out what a customer had purchased.
        customers: at most so many customers are trained on and evaluated, chosen at random; empty: all.
        sequencer: further fields of sequencer's config.
        transformer: further fields of transformer's config.
        hybrid: further fields of hybrid's config.
        als: further fields of als's config.
    """

    parts: list[str] = ["models", "customer_embedding", "article_embedding", "order", "history"]
    studied: str = "transformer"
    seeds: int = 3
    lengths: list[int] = [1, 10, 20, 128, 256]
    histories: list[int] = [5, 10, 20, 50]
    k: int = 14
    exclude_seen: bool = False
    customers: int | None = None
    sequencer: dict[str, Any] = {}
    transformer: dict[str, Any] = {}
    hybrid: dict[str, Any] = {}
    als: dict[str, Any] = {}


@stage(produces=[NAME], deps=["interactions"], judged_deps=[*READ, "vector_space"], group=GROUP, keeps_files=True)
def compare_sequence_models(step: Step, config: SequenceStudy) -> None:
    """Sequence models side by side, and what of them matters: lengths of vectors, order and length of a history."""
    from atelier.report.sequence_study import sequence_drawings
    from atelier.studies.recommender_study import run_study
    from atelier.studies.results_cache import ResultsCache
    from atelier.studies.sequence_tables import sequence_table

    device = str(step.compute.apply())
    plan = plan_of(config, step.compute.threads)
    data = read(step)
    train = some_customers(data.train, config.customers)
    results: dict[str, list[RecommenderFitResult]] = {}
    for part, fits in plan.plans().items():
        cache = ResultsCache(results_folder(step.home.root, NAME, step.ds) / part)
        versions = {**data.versions, "customers": str(config.customers)}
        results[part] = run_study(
            train, data.truth, fits, catalogue=data.catalogue, cache=cache, data=versions, device=device
        )
    table = sequence_table({str(part): found for part, found in results.items()})
    step.write(NAME, table)
    step.note(
        NAME,
        fits=sum(map(len, results.values())),
        origin=str(data.origin),
        interactions=len(train),
        **step.compute.describe(),
    )
    folder = pictures_folder(step.home.reports, NAME, step.ds)
    write_pictures(step, folder, sequence_drawings(table), lambda _: NAME)


def plan_of(config: SequenceStudy, threads: int = 0) -> "SequencePlan":
    """The plan that the config asks for.

    Raises:
        Failure: a part, model, number or field of a model's config is not allowed.
    """
    from pydantic import ValidationError

    from atelier.studies.sequence_plan import SequencePlan
    from resources.retailer import faults

    told = config.model_dump(exclude={"seeds", "customers"})
    try:
        plan = SequencePlan.model_validate(
            {**told, "seeds": tuple(range(config.seeds)), "als": {"threads": threads, **config.als}}
        )
        for fits in plan.plans().values():
            for studied in fits.models.values():
                studied.build(seed=0)
    except ValidationError as error:
        raise dg.Failure(f"the study's config cannot be used: {faults(error)}") from error
    return plan


def some_customers(train: "Interactions", most: int | None) -> "Interactions":
    """The interactions of at most so many customers, chosen at random, always the same."""
    import numpy as np

    n = len(train.customer_ids)
    if most is None or n <= most:
        return train
    chosen = np.zeros(n, dtype=bool)
    chosen[np.random.default_rng(0).permutation(n)[:most]] = True
    return train.rows(chosen[train.customers])


STAGES = (compare_sequence_models,)
