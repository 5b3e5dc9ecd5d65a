"""How a model learned, as a plot in its asset's metadata.

What belongs here: showing the curve in Dagster. What does not: the curve (the models), how it is drawn
(:mod:`atelier.report.training_curves`). Nothing that is stored comes of this, so that it is no part of a stage's
version (:mod:`atelier.code_version`).
"""

from typing import TYPE_CHECKING, Any

from assets.pictures import embedded
from assets.step import Step, markdown

if TYPE_CHECKING:
    from atelier.recommenders.base import Recommender


def show_training_curve(step: Step, asset: str, model: "Recommender[Any]") -> None:
    """Draw the training curve of a model into its asset's metadata, where it has one."""
    if len(curve := model.training_curve()):
        from atelier.report.training_curves import training_drawing

        step.note(
            asset, training=markdown(embedded(training_drawing(model.name, curve), "It is too large to be shown."))
        )
