"""The plots of two stages on the week: MAP@12 by model, recall of candidates by source, training curves.

What belongs here: what is drawn of the tables of one protocol. What does not: the tables
(:mod:`benchmarks.hm_week_two_stage`), drawing (:mod:`atelier.report`).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from atelier.report.drawing import Drawing
from atelier.report.figures import bar_plot, interval_plot, standalone
from atelier.report.training_curves import training_drawing

SEGMENTS = ("with history", "without history")


def write_plots(
    folder: Path, comparison: pd.DataFrame, recall: pd.DataFrame, curves: Mapping[str, pd.DataFrame]
) -> list[Path]:
    """Write the plots as SVG files, which follow the reader's light or dark colours.

    Args:
        folder: where; it is made if need be, and files of the same names are replaced.
        comparison: ``model, segment, map@12, half``: half is half of the 95% interval of a model's own mean.
        recall: ``model, segment, source, recall`` at equally many candidates.
        curves: the training curve of each model that has one, by its label.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for drawing in (accuracy(comparison), recalls(recall), *trainings(curves)):
        path = folder / f"{drawing.name}.svg"
        path.write_text(standalone(drawing.svg), encoding="utf-8")
        paths.append(path)
    return paths


def accuracy(comparison: pd.DataFrame) -> Drawing:
    """MAP@12 of each model with its 95% interval, the best with history first."""
    means, halves = (comparison.pivot(index="segment", columns="model", values=name) for name in ("map@12", "half"))
    known = comparison[comparison["segment"] == SEGMENTS[0]]
    models = known.sort_values("map@12", ascending=False, kind="stable")["model"].tolist()
    values, half = (table.loc[list(SEGMENTS), models].to_numpy(float) for table in (means, halves))
    drawn = interval_plot(SEGMENTS, models, {"MAP@12 with its 95% interval": (values, half)}, "MAP@12")
    return Drawing("map", drawn, f"MAP@12 of {', '.join(models)}.", "MAP@12 with 95% intervals over customers.")


def recalls(recall: pd.DataFrame) -> Drawing:
    """The recall of the candidates of customers with history, by source; a colour for each model with its sources."""
    rows = recall[recall["segment"] == "with history"]
    wide = rows.pivot(index="source", columns="model", values="recall").loc[rows["source"].drop_duplicates()]
    series = {model: wide[model].to_numpy(float) for model in rows["model"].drop_duplicates()}
    drawn = bar_plot(wide.index.tolist(), series, "recall of candidates")
    return Drawing("recall", drawn, f"Recall of {', '.join(wide.index)}.", "Recall of the candidates by source.")


def trainings(curves: Mapping[str, pd.DataFrame]) -> Iterator[Drawing]:
    """The training curve of each model that has one."""
    for label, curve in curves.items():
        if len(curve):
            yield training_drawing(label.replace(" ", "_"), curve)
