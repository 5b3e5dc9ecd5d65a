"""Catalogue errors: the annotations that people should look at again.

What belongs here: the search as a stage of the day. What does not: the search itself
(:mod:`atelier.attributes.label_errors`).
"""

from typing import TYPE_CHECKING, Literal

import dagster as dg

from assets.attributes import GROUP, labelled
from assets.stage import stage
from assets.step import Step, markdown
from resources.article_inputs import INPUTS, article_inputs
from resources.compute import gpu_pool
from resources.markdown import markdown_cell

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig


class ErrorSearch(dg.Config):
    """The search for wrong annotations. Its cost grows with folds and epochs.

    Attributes:
        folds: the number of folds of styles; the labels of each are checked by a model trained on the others.
        seed: of the folds and the models.
        max_epochs: passes over the data of each model; empty: half of what suits the catalogue's size.
        score: what says how doubtful a label is: ``log_odds``, or cleanlab's ``self_confidence``,
            ``normalized_margin`` or ``confidence_weighted_entropy``.
        least_error_probability: a label is listed where an error is at least this probable.
    """

    folds: int = 3
    seed: int = 0
    max_epochs: int | None = None
    score: Literal["log_odds", "self_confidence", "normalized_margin", "confidence_weighted_entropy"] = "log_odds"
    least_error_probability: float = 0.5


@stage(
    produces=["catalogue_errors", "catalogue_error_shares"],
    deps=[*INPUTS, "annotated_attributes"],
    group=GROUP,
    pool=gpu_pool(),
)
def catalogue_errors(step: Step, config: ErrorSearch) -> None:
    """Annotations that are probably wrong by models trained without their style, and what to expect of the list."""
    from atelier.attributes.label_errors import expected_shares, find_label_issues, out_of_fold, rank_label_issues

    articles, labels = article_inputs(step.store, step.cache, step.ds), step.read("annotated_attributes")
    found = out_of_fold(
        articles,
        labels,
        search_config(config, labelled(articles, labels)),
        folds=config.folds,
        seed=config.seed,
        device=str(step.compute.apply()),
    )
    errors = find_label_issues(
        rank_label_issues(found.judged, config.score), least_error_probability=config.least_error_probability
    )
    shares = expected_shares(found.judged, errors, config.score, seed=config.seed)
    step.write("catalogue_errors", errors)
    step.write("catalogue_error_shares", shares)
    counts = {name if name.startswith("attributes") else f"labels_{name}": n for name, n in found.summary.items()}
    step.note("catalogue_errors", **counts, by_attribute=markdown(by_attribute(shares)), **step.compute.describe())


def search_config(config: ErrorSearch, articles: int) -> "AttributeConfig":
    """The config of each fold's model, for a number of labelled articles.

    Raises:
        dagster.Failure: a value out of range.
    """
    from pydantic import ValidationError

    from atelier.attributes.label_errors import config_for
    from resources.retailer import faults

    try:
        return config_for(articles, seed=config.seed, max_epochs=config.max_epochs)
    except ValidationError as error:
        raise dg.Failure(f"the search's config cannot be used: {faults(error)}") from error


def by_attribute(shares: "pd.DataFrame") -> str:
    """How many annotations of each attribute are listed and how many of them should be errors, as a Markdown table."""
    rows = [
        f"| {markdown_cell(row.attribute)} | {row.listed} | {row.expected_share:.0%} "
        f"| {row.low:.0%} to {row.high:.0%} |"
        for row in shares[shares["listed"] > 0].itertuples()
    ]
    return "\n".join(["| attribute | listed | expected errors | 90% interval |", "|---|---|---|---|", *rows])


STAGES = (catalogue_errors,)
