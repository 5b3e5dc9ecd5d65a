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
    """``k`` where the accuracy was judged at it, otherwise the nearest length at which it was (the shorter of two)."""
    judged = sorted(set(metrics.loc[metrics["metric"].isin(ACCURACY), "k"].astype(int)))
    return min(judged, key=lambda other: (abs(other - k), other)) if judged else k


def chosen(
    metrics: pd.DataFrame,
    *,
    metric: str | None = None,
    k: int | None = None,
    segment: str | None = None,
    seen: str | None = None,
) -> pd.DataFrame:
    """The rows that match everything given."""
    mask = np.ones(len(metrics), bool)
    for name, value in (("metric", metric), ("k", k), ("segment", segment), ("seen", seen)):
        if value is not None:
            mask &= (metrics[name] == value).to_numpy(bool)
    return metrics[mask]


def ranked_models(metrics: pd.DataFrame, k: int, metric: str = "precision") -> list[str]:
    """The models, best first by ``metric`` at k over everyone, in the first evaluation in which they occur."""
    rows = chosen(metrics, metric=metric, k=k, segment=ALL).copy()
    rows["place"] = rows["seen"].map({seen: place for place, seen in enumerate(EVALUATIONS)}).astype(float)
    rows["number"] = numbers(rows["value"])
    first = rows.sort_values(["place", "model"], kind="stable").drop_duplicates("model")
    first = first.sort_values(["number", "model"], ascending=[False, True], kind="stable", na_position="last")
    others = sorted(set(metrics["model"].astype(str)) - set(first["model"].astype(str)))
    return [*first["model"].astype(str).tolist(), *others]


def grid(
    metrics: pd.DataFrame, row: str, rows: Sequence[object], column: str, columns: Sequence[object], value: str
) -> Floats:
    """``value`` as a matrix float64 [rows, columns], nan where there is none. (row, column) must be unique."""
    wide = metrics.pivot(index=row, columns=column, values=value).reindex(index=list(rows), columns=list(columns))
    return np.asarray(wide.astype("float64").to_numpy(np.float64, na_value=np.nan), np.float64)


def numbers(values: pd.Series) -> pd.Series:
    """Values as float64, nan where null, whatever nullable type they came in."""
    return values.astype("float64")
