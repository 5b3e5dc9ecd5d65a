"""Training curves: how well lists are ordered after each part of a training, seen in training and held out.

What belongs here: the figures of labelled lists, and the curve as a table and in a bundle. What does not: the trainings
(:mod:`~atelier.recommenders.two_stage.ranker`, :mod:`~atelier.recommenders.two_stage.two_tower`), how a curve is drawn
(:mod:`atelier.report.training_curves`), the metrics of finished lists (:mod:`atelier.metrics`).
"""

import io
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from atelier.arrays import Float64s, Int64s
from atelier.bundles import Array
from atelier.recommenders.two_stage.examples import Examples
from atelier.search.ragged import place_in_row

COLUMNS = ("step", "part", "figure", "value")
TRAINING, HELD_OUT = "training", "held_out"
K = 12
"""The first places of a list over which precision and recall are taken."""


def list_figures(scores: Float64s, labels: Array, groups: Int64s) -> dict[str, float]:
    """How well lists are ordered by scores.

    Args:
        scores: float64 [m], comparable within a list.
        labels: int [m], 1 for what was chosen, else 0.
        groups: int64 [lists], how many rows each list has, in order.

    Returns:
        ``loss``, the pairwise logistic loss, mean over the pairs of a chosen and another row of one list (RankNet;
        LambdaRank weighs the same pairs by NDCG); ``auc``, the share of these pairs that are ordered rightly, half for
        ties; ``precision`` and ``recall`` over the first 12 places, mean over the lists with a chosen row, the chosen
        row last among ties. NaN where there is no pair, or no list.
    """
    owner = np.repeat(np.arange(len(groups)), groups)
    starts, chosen = np.cumsum(groups) - groups, np.flatnonzero(labels)
    size = groups[owner[chosen]]
    left = np.repeat(chosen, size)
    right = starts[owner[left]] + place_in_row(np.repeat(np.arange(len(chosen)), size), len(chosen))
    gap = (scores[left] - scores[right])[labels[right] == 0]
    order = np.lexsort((labels, -scores, owner))
    first = order[place_in_row(owner[order], len(groups)) < K]
    hits = np.bincount(owner[first], labels[first], len(groups))
    relevant = np.bincount(owner, labels, len(groups))
    hits, relevant = hits[relevant > 0], relevant[relevant > 0]
    return {
        "loss": _mean(np.logaddexp(0, -gap)),
        "auc": _mean((gap > 0) + 0.5 * (gap == 0)),
        "precision": _mean(hits / K),
        "recall": _mean(hits / relevant),
    }


def _mean(values: Float64s) -> float:
    return float(values.mean()) if len(values) else float("nan")


def look(parts: Mapping[str, Examples], scores: Mapping[str, Float64s]) -> dict[str, float]:
    """The figures of several parts in one level: ``training_auc``, ``held_out_auc``, …; none of a part without lists.

    Args:
        parts: the lists of each part.
        scores: float64 [m] of each part.
    """
    return {
        f"{part}_{name}": value
        for part, examples in parts.items()
        if len(examples.groups)
        for name, value in list_figures(scores[part], examples.labels, examples.groups).items()
    }


def curve(looks: Iterable[tuple[int, Mapping[str, float]]]) -> pd.DataFrame:
    """The training curve of looks, each a step and the figures of :func:`look`: ``step, part, figure, value``."""
    rows = [
        (step, part, name.removeprefix(f"{part}_"), value)
        for step, figures in looks
        for name, value in figures.items()
        for part in (TRAINING, HELD_OUT)
        if name.startswith(f"{part}_")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"step": "int64", "value": "float64"})


def last_figures(frame: pd.DataFrame) -> dict[str, float]:
    """The figures of the last step of a curve, in one level, but for those that are not known."""
    last = frame[(frame["step"] == frame["step"].max()) & frame["value"].notna()]
    columns = (last[name].tolist() for name in COLUMNS[1:])
    return {f"{part}_{figure}": value for part, figure, value in zip(*columns, strict=True)}


def packed(frame: pd.DataFrame) -> Array:
    """A curve as a bundle keeps it: JSON in UTF-8, uint8 [bytes]."""
    text = str(frame.to_json(orient="records", double_precision=8))
    return np.frombuffer(text.encode(), dtype=np.uint8).copy()


def unpacked(array: Array) -> pd.DataFrame:
    """The curve that :func:`packed` made."""
    frame = pd.read_json(io.StringIO(array.tobytes().decode()), orient="records", dtype=False)
    return frame.reindex(columns=list(COLUMNS)).astype({"step": "int64", "value": "float64"})
