"""How a backbone learned: a table and a picture, for the asset's metadata and the terminal.

What belongs here: how they look. What does not: the figures (:mod:`atelier.images.finetuning`).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.report.figures import line_plot, standalone
from atelier.report.text import scores_text

_SCORES = ("accuracy_before", "accuracy_after", "weighted_f1_before", "weighted_f1_after")
_HEADS = ("accuracy before", "after", "weighted F1 before", "after")


def finetuning_text(metrics: pd.DataFrame) -> str:
    """The attributes' accuracy and weighted F1 before and after fine-tuning; the mean comes last.

    Args:
        metrics: attribute, metric, value: :attr:`atelier.images.finetuning.FineTuned.metrics`.
    """
    wide = metrics.pivot(index="attribute", columns="metric", values="value")
    return scores_text(wide.loc[[*wide.index.drop("mean"), "mean"]].reset_index(), _SCORES, _HEADS)


def finetuning_picture(
    losses: Sequence[float | None], validation_losses: Sequence[float | None], scores: Sequence[float | None]
) -> str:
    """Loss and weighted F1 by epoch, as an SVG that stands alone.

    Args:
        losses: of training, by epoch from 0; None is not drawn.
        validation_losses: on the validation styles.
        scores: mean weighted F1 on the validation styles.
    """
    epochs = np.arange(len(losses), dtype=np.float64)
    loss = {"training": (epochs, _known(losses)), "validation": (epochs, _known(validation_losses))}
    score = {"validation": (epochs, _known(scores))}
    return standalone(line_plot(["loss", "mean weighted F1"], [loss, score], "epoch"))


def _known(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """With nan where there is none."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
