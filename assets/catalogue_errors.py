"""Catalogue errors: the annotations that people should look at again.

What belongs here: the search as a stage of the day. What does not: how it is done
(:mod:`atelier.attributes.label_errors`).
"""

from typing import TYPE_CHECKING, Literal

import dagster as dg

from assets.attributes import GROUP, labelled
from assets.stage import stage
from assets.step import Step, markdown
from resources.article_inputs import INPUTS, article_inputs
from resources.compute import gpu_pool

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes import AttributeConfig


class ErrorSearch(dg.Config):
    """The search for wrong annotations. Its cost grows with folds and epochs.

    Attributes:
        folds: styles are divided into so many folds; each is judged by a model trained on the others.
        seed: of the folds and the models.
        max_epochs: passes over the data of each model; left out: half of those that suit the catalogue's size.
        score: by which labels are ranked: ``log_odds``, or cleanlab's ``self_confidence``, ``normalized_margin`` or
            ``confidence_weighted_entropy``.
        least_confidence: a label is doubted where another value has at least this probability …
        most_annotated: … and the annotated one at most this.
    """

    folds: int = 3
    seed: int = 0
    max_epochs: int | None = None
    score: Literal["log_odds", "self_confidence", "normalized_margin", "confidence_weighted_entropy"] = "log_odds"
    least_confidence: float = 0.5
    most_annotated: float = 0.1


@stage(produces=["catalogue_errors"], deps=[*INPUTS, "annotated_attributes"], group=GROUP, pool=gpu_pool())
def catalogue_errors(step: Step, config: ErrorSearch) -> None:
    """Annotations that a model trained without their style confidently contradicts, the most suspicious first."""
    from atelier.attributes.label_errors import find_label_issues, out_of_fold, rank_label_issues

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
        rank_label_issues(found.judged, config.score),
        least_confidence=config.least_confidence,
        most_annotated=config.most_annotated,
    )
    step.write("catalogue_errors", errors)
    counts = {name if name.startswith("attributes") else f"labels_{name}": n for name, n in found.summary.items()}
    step.note("catalogue_errors", **counts, by_attribute=markdown(by_attribute(errors)), **step.compute.describe())


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


def by_attribute(errors: "pd.DataFrame") -> str:
    """How many annotations of each attribute are doubted, as a Markdown table."""
    counts = errors.groupby("attribute").size().sort_index()
    return "\n".join(["| attribute | doubted |", "|---|---|", *(f"| {name} | {n} |" for name, n in counts.items())])


STAGES = (catalogue_errors,)
