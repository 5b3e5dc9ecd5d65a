"""Comparing the figures of two days by tests that know from how many rows they come.

What belongs here: one test for each kind of figure, as a statistic that is χ² distributed where two days differ by the
chance of sampling alone, and the size of the difference. What does not: figures
(:mod:`atelier.monitoring.drift.figures`), how far days ordinarily differ beyond that, and verdicts
(:mod:`atelier.monitoring.drift.verdicts`).
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from atelier.metrics.encoding import Floats
from atelier.monitoring.drift.figures import PARTS_OF_DAY

COMPARED = ("pair", "what", "kind", "chi2", "df", "effect", "rows", "today", "earlier", "level")
#: Levels of which fewer rows than this are expected count as one: with fewer, G is not χ² distributed.
LEAST_EXPECTED = 5.0
#: Anscombe's constant, which makes the variance of a transformed count or share independent of its size.
ANSCOMBE = 3 / 8
#: The smallest variance of a mean, relative to its square: rounding errors are no difference.
ROUNDING = 1e-12
#: The standard deviation, in parts of a day, of the normal kernel by which counts of times are smoothed.
SMOOTHING = 1.0
_KEYS = ["pair", "what", "kind", "level"]


def compare(pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Compare the figures that two days have in common, of any number of pairs of days at once.

    ===========  ==========================================================================================
    count        square roots (Anscombe, Biometrika 35, 1948): each has variance ¼ whatever its size
    share        arc sines of square roots (the same): variance 1/4n
    mean         Welch's: the difference over its standard error
    shares       G-test of two samples (likelihood ratio), df = levels − 1
    times        the score test of a shift: what all times of a day being later by as much would do
    projections  the sum of Welch's over the directions, df = directions
    ===========  ==========================================================================================

    Args:
        pairs: of each the figures of a day and of an earlier one, see :mod:`atelier.monitoring.drift.figures`.

    Returns:
        One row for each pair (its place) and figure, in order. ``chi2`` and ``df``. ``effect``, the size of the
        difference: of counts relative to the larger one; of shares their difference; of means in standard deviations of
        one row; of shares of levels their total variation distance; of times the shift in hours; of projections the
        root mean square of standard deviations. ``rows``: the smaller of the two samples. ``today`` and ``earlier``:
        the values, of several levels those of the one that moved farthest, which ``level`` names; of times their means
        in hours.
    """
    if not pairs:
        return pd.DataFrame(columns=list(COMPARED))
    both = _joined(pairs)
    parts = [_compared(rows.reset_index(drop=True)) for _, rows in both.groupby("kind", sort=True)]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COMPARED))
    return found.sort_values(["pair", "what"], ignore_index=True)[list(COMPARED)]


def _joined(pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """The levels of both days of each pair side by side, sorted; a level that one day lacks has no rows there."""
    days = [pd.concat([each[side].assign(pair=place) for place, each in enumerate(pairs)]) for side in (0, 1)]
    both = days[0].merge(days[1], on=_KEYS, how="outer", suffixes=("", "_before"))
    sizes = both.groupby(["pair", "what"])[["rows", "rows_before"]].transform("max")
    both = both.assign(**sizes).dropna(subset=["rows", "rows_before"])
    return both.fillna(dict.fromkeys(("value", "value_before", "variance", "variance_before"), 0.0)).sort_values(
        _KEYS, kind="stable", ignore_index=True
    )


def _compared(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of figures of one kind."""
    figure = rows.groupby(["pair", "what"], sort=True).ngroup().to_numpy()
    a, b, n, m = (rows[name].to_numpy(np.float64) for name in ("value", "value_before", "rows", "rows_before"))
    kind = rows["kind"].iloc[0]
    if kind == "count":
        terms, effects, shown = _counts(a, b)
    elif kind == "share":
        terms, effects, shown = _marked(a, b, n, m)
    elif kind == "times":
        return _shifted(rows.assign(figure=figure))
    elif kind == "shares":
        terms, effects, shown = np.zeros(len(rows)), np.abs(a / n - b / m) / 2, (a / n, b / m)
    else:
        spread = [rows[name].to_numpy(np.float64) for name in ("variance", "variance_before")]
        terms, effects, shown = _welch(a, b, n, m, spread)
    df = np.bincount(figure).astype(np.float64)
    chi2: Floats = np.bincount(figure, terms).astype(np.float64)
    effect = np.bincount(figure, effects if kind != "projections" else effects**2)
    if kind == "projections":
        effect = np.sqrt(effect / df)
    if kind == "shares":
        chi2, df = _g_test(rows.assign(figure=figure))
    order = np.lexsort((effects, figure))
    farthest = order[np.append(np.flatnonzero(np.diff(figure[order])), len(order) - 1)]
    chosen = rows.iloc[farthest]
    return pd.DataFrame(
        {
            **{name: chosen[name].to_numpy() for name in ("pair", "what", "kind", "level")},
            "chi2": chi2,
            "df": df,
            "effect": effect,
            "rows": np.minimum(n, m)[farthest].astype(np.int64),
            "today": shown[0][farthest],
            "earlier": shown[1][farthest],
        }
    )


_Terms: TypeAlias = tuple[Floats, Floats, tuple[Floats, Floats]]
"""Of each row its part of χ², the size of its difference, and the two values that are shown."""


def _counts(a: Floats, b: Floats) -> _Terms:
    chi2 = 2 * (np.sqrt(a + ANSCOMBE) - np.sqrt(b + ANSCOMBE)) ** 2
    return chi2, np.abs(a - b) / np.maximum(np.maximum(a, b), 1), (a, b)


def _marked(a: Floats, b: Floats, n: Floats, m: Floats) -> _Terms:
    first, second = (
        np.arcsin(np.sqrt((marked + ANSCOMBE) / (rows + 2 * ANSCOMBE))) for marked, rows in ((a, n), (b, m))
    )
    return 4 * (first - second) ** 2 / (1 / n + 1 / m), np.abs(a / n - b / m), (a / n, b / m)


def _welch(a: Floats, b: Floats, n: Floats, m: Floats, spread: Sequence[Floats]) -> _Terms:
    least = ROUNDING * np.maximum(np.maximum(a**2, b**2), 1.0)
    first, second = (np.maximum(variance, least) for variance in spread)
    squared = (a - b) ** 2
    return squared / (first / n + second / m), np.sqrt(squared / ((first + second) / 2)), (a, b)


def _g_test(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """G = 2 Σ observed · log(observed / expected) over levels and both days, and its degrees of freedom, by figure.

    Levels of few rows count as one.
    """
    total = rows["rows"] + rows["rows_before"]
    expected = (rows["value"] + rows["value_before"]) * np.minimum(rows["rows"], rows["rows_before"]) / total
    level = pd.Series(np.where(expected >= LEAST_EXPECTED, np.arange(len(rows)), -1), index=rows.index)
    merged = (
        rows.assign(level=level)
        .groupby(["figure", "level"], as_index=False)
        .agg({"value": "sum", "value_before": "sum", "rows": "first", "rows_before": "first"})
    )
    a, b, n, m = (merged[name].to_numpy(np.float64) for name in ("value", "value_before", "rows", "rows_before"))
    parts = np.zeros(len(merged))
    for observed, size in ((a, n), (b, m)):
        wanted = (a + b) * size / (n + m)
        ratio = np.divide(observed, wanted, out=np.ones_like(observed), where=(observed > 0) & (wanted > 0))
        parts += 2 * observed * np.log(ratio)
    figure = merged["figure"].to_numpy()
    g: Floats = np.bincount(figure, parts).astype(np.float64)
    return g, np.maximum(np.bincount(figure) - 1, 1).astype(np.float64)


def _shifted(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of times of day.

    With p(t) the share of rows at a time of day, both days together, the score of a shift is ψ(t) = −p′(t) / p(t), and
    the difference of its means is the most powerful test of a small one (Rao, Proc. Camb. Phil. Soc. 44, 1948; for a
    shift, Hájek, Šidák and Sen, Theory of Rank Tests, 1999, 3.1). A mean of times knows less of people who come at noon
    and in the evening, whose mean is an hour at which few come and whose variance is large.
    """
    first = rows.drop_duplicates("figure").reset_index(drop=True)
    figure, part = rows["figure"].to_numpy(), rows["level"].astype("int64").to_numpy()
    days = np.zeros((2, len(first), PARTS_OF_DAY))
    for side, name in enumerate(("value", "value_before")):
        days[side, figure, part] = rows[name]
    n, m = (first[name].to_numpy(np.float64) for name in ("rows", "rows_before"))
    today, earlier = days[0] / n[:, None], days[1] / m[:, None]
    shares = days.sum(0) / (n + m)[:, None]
    score = _score(days.sum(0))
    expected = (shares * score).sum(1)
    information = np.maximum((shares * score**2).sum(1) - expected**2, np.finfo(np.float64).tiny)
    moved = ((today - earlier) * score).sum(1)
    hours = 24 / PARTS_OF_DAY
    middles = (np.arange(PARTS_OF_DAY) + 0.5) * hours
    return pd.DataFrame(
        {
            **{name: first[name] for name in ("pair", "what", "kind")},
            "level": "",
            "chi2": moved**2 / information / (1 / n + 1 / m),
            "df": 1.0,
            "effect": np.abs(moved) / information * hours,
            "rows": np.minimum(n, m).astype(np.int64),
            "today": today @ middles,
            "earlier": earlier @ middles,
        }
    )


def _score(counts: Floats) -> Floats:
    """ψ at each part of a day, [figures, parts], of counts that are smoothed around the clock; half a row is added."""
    away = np.minimum(np.arange(PARTS_OF_DAY), PARTS_OF_DAY - np.arange(PARTS_OF_DAY))
    kernel = np.exp(-0.5 * (away / SMOOTHING) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(counts) * np.fft.rfft(kernel / kernel.sum()), PARTS_OF_DAY) + 0.5
    slope = (np.roll(smooth, -1, axis=1) - np.roll(smooth, 1, axis=1)) / 2
    return np.asarray(-slope / smooth)
