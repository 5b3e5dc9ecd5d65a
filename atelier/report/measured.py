"""Views of the table offline_metrics that several sections share.

What belongs here: choosing and ordering its rows, the words for its values. What does not: HTML, plots.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from atelier.metrics import ACCURACY
from atelier.metrics.encoding import Floats
from atelier.metrics.segments import ALL

DAILY_K = 10  # the length at which the published comparison is made
EVALUATIONS = {
    "excluded": "Seen articles excluded: lists and relevant sets leave out what the customer had purchased before.",
    "allowed": "Seen articles allowed: lists may repeat what the customer had purchased, as people in fashion do.",
}


def evaluations(metrics: pd.DataFrame) -> list[str]:
    """The values of ``seen`` that occur, ``excluded`` first."""
    found = set(metrics["seen"].astype(str))
    return [seen for seen in EVALUATIONS if seen in found]


def nearest_k(metrics: pd.DataFrame, k: int) -> int:
    """``k`` where the accuracy was measured at it, otherwise the nearest length with one (of two the shorter)."""
    lengths = sorted(set(metrics.loc[metrics["metric"].isin(ACCURACY), "k"].astype(int)))
    return min(lengths, key=lambda other: (abs(other - k), other)) if lengths else k


def chosen(metrics: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """The rows whose columns have all the values that are given by name."""
    mask = np.ones(len(metrics), bool)
    for name, value in wanted.items():
        mask &= (metrics[name] == value).to_numpy(bool)
    return metrics[mask]


def ranked_models(metrics: pd.DataFrame, k: int, metric: str = "precision") -> list[str]:
    """The models, best first by ``metric`` at k over everyone, in the first evaluation in which they occur."""
    rows = chosen(metrics, metric=metric, k=k, segment=ALL)
    evaluation = rows["seen"].map({seen: number for number, seen in enumerate(EVALUATIONS)}).astype(float)
    rows = rows.assign(evaluation=evaluation, number=rows["value"].astype("float64"))
    first = rows.sort_values(["evaluation", "model"], kind="stable").drop_duplicates("model")
    first = first.sort_values(["number", "model"], ascending=[False, True], kind="stable", na_position="last")
    ranked = first["model"].astype(str).tolist()
    return [*ranked, *sorted(set(metrics["model"].astype(str)) - set(ranked))]


def grid(
    metrics: pd.DataFrame, row: str, rows: Sequence[object], column: str, columns: Sequence[object], value: str
) -> Floats:
    """``value`` as a matrix float64 [rows, columns], nan where there is none. (row, column) must be unique."""
    wide = metrics.pivot(index=row, columns=column, values=value).reindex(index=list(rows), columns=list(columns))
    return np.asarray(wide.astype("float64").to_numpy(np.float64, na_value=np.nan), np.float64)


def values_and_errors(
    metrics: pd.DataFrame, row: str, rows: Sequence[object], column: str, columns: Sequence[object]
) -> tuple[Floats, Floats]:
    """The columns ``value`` and ``standard_error``, each as :func:`grid` gives it."""
    values, errors = (grid(metrics, row, rows, column, columns, name) for name in ("value", "standard_error"))
    return values, errors


def sizes_of(metrics: pd.DataFrame) -> "pd.Series[int]":
    """By how many customers each segment was evaluated at most."""
    return metrics.groupby("segment")["customers"].max()
