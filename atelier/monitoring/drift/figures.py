"""The figures of a day: numbers that know from how many rows they come.

What belongs here: the six kinds of figure, and making them from columns. What does not: which figures a table has
(:mod:`atelier.monitoring.drift.catalogue`, :mod:`atelier.monitoring.drift.behaviour`,
:mod:`atelier.monitoring.drift.models`), comparing them (:mod:`atelier.monitoring.drift.comparison`).

A figure is one row, or several that belong together, of a frame with :data:`COLUMNS`:

=========== ===================== =================================== ======================
kind        value                 variance                            rows
=========== ===================== =================================== ======================
count       how many there are    0                                   the same
share       how many of the rows  0                                   how many rows there are
mean        the mean              of one row                          rows it is the mean of
shares      rows of each level    0                                   rows of all levels
times       rows of each half     0                                   rows of the whole day
            hour of the day
projections the mean along each   of one row along that direction     rows it is the mean of
            of several directions
=========== ===================== =================================== ======================
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS = ("what", "kind", "level", "value", "variance", "rows")
KINDS = ("count", "share", "mean", "shares", "times", "projections")
#: Into how many parts of equal length a day is cut for times of day.
PARTS_OF_DAY = 48
#: A figure of a table whose rows have no value there.
ABSENT = "(none)"

Mask: TypeAlias = "NDArray[np.bool_] | pd.Series[bool]"
Row: TypeAlias = tuple[str, str, str, float, float, int]
"""One row of a figure: what is in :data:`COLUMNS`."""
Rows: TypeAlias = list[Row]
"""A figure, or several; rows become a frame once for a table, because making a frame takes longer than measuring."""


def figures(rows: Iterable[Row]) -> pd.DataFrame:
    """A frame of figures; each row as in :data:`COLUMNS`."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return frame.astype(
        {"what": "str", "kind": "str", "level": "str", "value": "float64", "variance": "float64", "rows": "int64"}
    )


def together(parts: Iterable[Rows]) -> pd.DataFrame:
    """The frame of several figures."""
    return figures(row for part in parts for row in part)


def stacked(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Several frames of figures as one; none of them: a frame without rows."""
    kept = [frame for frame in frames if len(frame)]
    return pd.concat(kept, ignore_index=True) if kept else figures([])


def count(what: str, number: int) -> Rows:
    """How many there are."""
    return [(what, "count", "", number, 0.0, number)]


def share(what: str, marked: int, rows: int) -> Rows:
    """How many of the rows are marked; nothing where there are no rows."""
    return [(what, "share", "", marked, 0.0, rows)] if rows else []


def share_of(what: str, marked: Mask) -> Rows:
    """:func:`share` of a column of truth values."""
    return share(what, int(np.count_nonzero(marked)), len(marked))


def mean(what: str, values: "NDArray[np.float64] | pd.Series[float]") -> Rows:
    """The mean of a column; what is not finite is left out, and fewer than two values have no mean."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if len(numbers) < 2:
        return []
    return [(what, "mean", "", float(numbers.mean()), float(numbers.var(ddof=1)), len(numbers))]


def shares(what: str, levels: "pd.Series[Any]") -> Rows:
    """How many rows each level of a column has; rows without a value have the level :data:`ABSENT`."""
    found = levels.astype("object").where(levels.notna(), ABSENT).astype("str").value_counts().sort_index()
    total = int(found.sum())
    return [(what, "shares", str(level), int(number), 0.0, total) for level, number in found.items()]


def times(what: str, moments: "pd.Series[Any]") -> Rows:
    """How many moments lie in each half hour of the day, whose number is the level; none of them has no figure."""
    since = moments.dropna()
    seconds = (since - since.dt.normalize()).dt.total_seconds().to_numpy(np.float64)
    numbers = np.bincount((seconds * PARTS_OF_DAY // 86_400).astype(np.int64), minlength=PARTS_OF_DAY)
    some = np.flatnonzero(numbers)
    return [(what, "times", f"{part:02d}", int(numbers[part]), 0.0, len(since)) for part in some]


def concentration(what: str, things: "pd.Series[Any]") -> Rows:
    """How concentrated rows are on few things: the logarithm of the chance that two of them are of the same thing.

    That is Simpson's index (Nature 163, 1949) by its unbiased estimator, Σ c(c − 1) / n(n − 1), which, unlike a Gini
    coefficient, does not grow or shrink with the number of rows n. The variance of one row is the delta method's,
    4 (Σp³ − (Σp²)²) / (Σp²)².

    Args:
        what: the name of the figure.
        things: of which thing each row is. Where no two rows are of the same there is no figure.
    """
    numbers = things.value_counts().to_numpy(np.float64)
    n = numbers.sum()
    pairs = float((numbers * (numbers - 1)).sum())
    if n < 2 or pairs == 0:
        return []
    simpson, p = pairs / (n * (n - 1)), numbers / n
    squares = float((p**2).sum())
    variance = max(4 * (float((p**3).sum()) - squares**2), 0.0) / squares**2
    return [(what, "mean", "", float(np.log(simpson)), variance, int(n))]


def directions(dimension: int, count: int = 8, seed: int = 0) -> NDArray[np.float64]:
    """Random directions, float64 [dimension, count]; with the same seed they are the same every day."""
    drawn = np.random.default_rng(seed).standard_normal((dimension, count))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))


def projections(what: str, along: NDArray[np.float64]) -> Rows:
    """The mean of vectors, seen along some random directions: a difference of means shows along nearly all of them.

    Args:
        what: the name of the figure.
        along: float [n, directions], where each vector lies along :func:`directions`.
    """
    if len(along) < 2:
        return []
    means, variances = along.mean(axis=0), along.var(axis=0, ddof=1)
    return [
        (what, "projections", f"{number:02d}", float(means[number]), float(variances[number]), len(along))
        for number in range(along.shape[1])
    ]


def bands(values: "pd.Series[Any]", width: float, *, logarithmic: bool = False) -> "pd.Series[Any]":
    """The band of equal width in which each number lies; logarithmic: of its logarithm to base 2. Null stays null.

    Args:
        values: numbers, decimals too.
        width: of a band.
        logarithmic: whether bands are of ratios; what is not above 0 is in the band ``0`` then.
    """
    numbers = pd.to_numeric(values, errors="raise").astype("float64")
    positive = numbers.where(numbers > 0)
    scaled = pd.Series(np.log2(positive.to_numpy()), index=numbers.index) if logarithmic else numbers
    starts = (scaled // width) * width
    named: pd.Series[Any] = starts.map("{:g}".format, na_action="ignore").astype("object")
    return named.where(scaled.notna(), "0").where(numbers.notna()) if logarithmic else named


# Two days of a table that is keyed ------------------------------------------------------------------------------------


def changed_rows(
    table: str, today: pd.DataFrame, yesterday: pd.DataFrame, key: Sequence[str], columns: Iterable[str]
) -> Rows:
    """The share of keys that are new, that are gone, and whose value in each column is another than yesterday.

    Two snapshots share nearly all of their rows: what differs is counted by key, because as two independent samples
    they would look the same whatever happened.

    Args:
        table: its name, with which the figures' names begin.
        today: the day's rows, each key once.
        yesterday: those of the day before.
        key: the columns of the key.
        columns: the columns whose values are compared. Null equals null.
    """
    names = list(columns)
    after, before = (frame[[*key, *names]] for frame in (today, yesterday))
    if after.empty and before.empty:  # read from a file without rows, texts have no chunk, which pandas cannot merge
        after, before = after.astype(object), before.astype(object)
    both = after.merge(before, on=list(key), how="outer", suffixes=("", "_before"), indicator="side")
    side = both["side"]
    common = both[side == "both"]
    changed = (share_of(f"{table}: {name} changed", _differ(common[name], common[f"{name}_before"])) for name in names)
    return [
        *share(f"{table}: new", int((side == "left_only").sum()), len(today)),
        *share(f"{table}: gone", int((side == "right_only").sum()), len(yesterday)),
        *chain.from_iterable(changed),
    ]


def _differ(after: "pd.Series[Any]", before: "pd.Series[Any]") -> NDArray[np.bool_]:
    null = after.isna().to_numpy(), before.isna().to_numpy()
    differ = (after != before).fillna(True).to_numpy(bool)
    return np.asarray((differ & ~(null[0] & null[1])) | (null[0] != null[1]))


def unknown_levels(what: str, today: "pd.Series[Any]", yesterday: "pd.Series[Any]") -> Rows:
    """The share of rows whose level did not exist yesterday, and of yesterday's rows whose level is gone."""
    # pandas goes through the texts that it looks among one by one: there are few distinct ones.
    return [
        *share_of(f"{what} that are new", ~today.isin(yesterday.unique())),
        *share_of(f"{what} that are gone", ~yesterday.isin(today.unique())),
    ]


def nulls(table: str, frame: pd.DataFrame, columns: Iterable[str]) -> Rows:
    """The share of rows without a value, of each column."""
    return [row for name in columns for row in share_of(f"{table}: {name} empty", frame[name].isna())]


def by_level(what: Mapping[str, "pd.Series[Any]"]) -> Rows:
    """:func:`shares` of several columns, by the figure's name."""
    return [row for name, levels in what.items() for row in shares(name, levels)]
