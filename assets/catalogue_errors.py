"""Catalogue errors: the annotations that people should look at again.

What belongs here: the search as a stage of the day. What does not: how it is done
(:mod:`atelier.attributes.mislabelled`).
"""

from typing import TYPE_CHECKING, cast

import dagster as dg

from assets.attributes import GROUP, INPUTS, article_inputs
from assets.stage import stage
from assets.step import Step, markdown
from resources.compute import gpu_pool

if TYPE_CHECKING:
    import pandas as pd

    from atelier.attributes.mislabelled import Score


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
    score: str = "log_odds"
    least_confidence: float = 0.5
    most_annotated: float = 0.1


@stage(produces=["catalogue_errors"], deps=[*INPUTS, "annotated_attributes"], group=GROUP, pool=gpu_pool())
def catalogue_errors(step: Step, config: ErrorSearch) -> None:
    """Annotations that a model trained without their style confidently contradicts, the most suspicious first."""
    from atelier.attributes.mislabelled import config_for, contradicted, out_of_fold, scored

    articles, labels = article_inputs(step), step.read("annotated_attributes")
    found = out_of_fold(
        articles, labels,
        config_for(labels["article_id"].nunique(), seed=config.seed, max_epochs=config.max_epochs),
        folds=config.folds, seed=config.seed, device=str(step.compute.apply()),
    )  # fmt: skip
    errors = contradicted(
        scored(found.judged, cast("Score", config.score)),
        least_confidence=config.least_confidence,
        most_annotated=config.most_annotated,
    )
    step.write("catalogue_errors", errors)
    counts = {name if name.startswith("attributes") else f"labels_{name}": n for name, n in found.summary.items()}
    step.note(
        "catalogue_errors", **counts, by_attribute=markdown(by_attribute(errors)), **step.compute.describe()
    )  # fmt: skip


def by_attribute(errors: "pd.DataFrame") -> str:
    """How many annotations of each attribute are doubted, as a Markdown table."""
    counts = errors.groupby("attribute").size().sort_index()
    return "\n".join(["| attribute | doubted |", "|---|---|", *(f"| {name} | {n} |" for name, n in counts.items())])


STAGES = (catalogue_errors,)
