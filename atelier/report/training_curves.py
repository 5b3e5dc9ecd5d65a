"""How a recommender learned: its training curve as a plot.

What belongs here: how it is drawn. What does not: the curve
(:meth:`atelier.recommenders.base.Recommender.training_curve`), where the plot is shown.
"""

import numpy as np
import pandas as pd

from atelier.metrics.encoding import Floats
from atelier.report.drawing import Drawing
from atelier.report.figures import line_plot

#: The figures that are drawn, with the titles of their panels.
FIGURES = {"loss": "loss", "auc": "AUC", "precision": "precision@12", "recall": "recall@12"}
PARTS = {"training": "training", "held_out": "held out"}


def training_drawing(name: str, curve: pd.DataFrame) -> Drawing:
    """The figures by step, in training and of what was held out.

    Args:
        name: of the model, which becomes part of the file's name.
        curve: ``step, part, figure, value``, at least one row; a step is an epoch, or a tree of a boosted model.
    """
    shown = [figure for figure in FIGURES if figure in set(curve["figure"])]
    lines = [
        {label: points for part, label in PARTS.items() if len((points := _points(curve, figure, part))[0])}
        for figure in shown
    ]
    titles = [FIGURES[figure] for figure in shown]
    drawn = line_plot(titles, lines, "epoch or tree", from_zero=False)
    alt = f"{', '.join(titles)} of {name} in training."
    caption = (
        f"{name} in training: how well a sample of lists of labelled candidates is ordered after each step that was "
        "looked at, of those that it learned from and, where some are held out, of these."
    )
    return Drawing(f"training_{name}", drawn, alt, caption)


def _points(curve: pd.DataFrame, figure: str, part: str) -> tuple[Floats, Floats]:
    """Steps and values of a figure of a part."""
    rows = curve[(curve["figure"] == figure) & (curve["part"] == part)].sort_values("step")
    return rows["step"].to_numpy(np.float64), rows["value"].to_numpy(np.float64)
