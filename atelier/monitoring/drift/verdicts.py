"""Whether a day is unusual: a day's differences against those of the days before it.

What belongs here: how far days ordinarily differ, and the correction for many figures. What does not: the differences
(:mod:`atelier.monitoring.drift.comparison`).

A day is held against yesterday and against the same weekday one and two weeks ago, and a figure is flagged only where
all of them flag it. So a weekend is not flagged for being no weekday, nor the day after a fault, or a week after it,
for being like the days before it; and what changed for good is flagged when it changes.

Days differ by more than the chance of sampling: customers come in sessions, shops do not reduce the same number of
prices every Monday. The factor of that, the dispersion φ, is estimated for each figure from how earlier days differ
from the same weekday of the week before, as in quasi-likelihood (McCullagh & Nelder, Generalized Linear Models, 1989,
4.5): χ² / df over φ is F distributed. An earlier fault would raise φ and hide the next one, so the largest of the
earlier days are left out, and the mean of the others is divided by what it would be if only chance were at work.
"""

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy import stats

from atelier.metrics.encoding import Floats
from atelier.monitoring.drift.comparison import compare

#: How many days make the season, and with which earlier days a day is compared; it must have the first two.
SEASON = 7
LAGS = (1, SEASON, 2 * SEASON)
NEEDED = LAGS[:2]
FLAGGED, USUAL, UNKNOWN = "flagged", "usual", "too few days"
COLUMNS = (
    "name",
    "verdict",
    "statistic",
    "threshold",
    "p_value",
    "p_holm",
    "effect",
    "least_effect",
    "rows",
    "days",
    "compared_with",
    "level",
    "today",
    "earlier",
)


class DriftConfig(BaseModel):
    """When a figure is flagged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_alarm: float = Field(
        default=0.001, gt=0, lt=1, description="Chance that a day on which nothing is wrong has any flagged figure."
    )
    history: int = Field(
        default=28, ge=7, description="Earlier days from which the ordinary differences are estimated."
    )
    least_history: int = Field(default=5, ge=2, description="With fewer earlier comparisons a figure has no verdict.")
    outliers: float = Field(
        default=0.15, ge=0, lt=0.5, description="Share of the earlier days, the most unusual ones, that are left out."
    )
    least_count: float = Field(default=0.2, ge=0, description="Smallest change of a count that is flagged, relative.")
    least_share: float = Field(default=0.01, ge=0, description="Smallest change of a share, of 1.")
    least_mean: float = Field(default=0.1, ge=0, description="Smallest change of a mean, in standard deviations.")
    least_shares: float = Field(
        default=0.03, ge=0, description="Smallest total variation distance of shares of levels."
    )
    least_times: float = Field(default=0.25, ge=0, description="Smallest shift of times of day, in hours.")
    least_projections: float = Field(
        default=0.1, ge=0, description="Smallest change of a mean vector, in standard deviations."
    )

    def least_effect(self, kind: str) -> float:
        """The smallest difference of a kind of figure that is flagged."""
        return float(getattr(self, f"least_{kind}"))


def drift_of(figures: Mapping[date, pd.DataFrame], ds: date, config: DriftConfig | None = None) -> pd.DataFrame:
    """The verdict on each figure of a day.

    Args:
        figures: by day, see :mod:`atelier.monitoring.drift.figures`; days after ``ds`` are not looked at, absent ones
            are skipped.
        ds: the day; a day without figures has no verdicts.
        config: when a figure is flagged.

    Returns:
        One row for each figure that an earlier day to compare with has too, the most unusual first. Of its comparisons
        the least unusual one is shown.

        * ``verdict``: :data:`FLAGGED`, :data:`USUAL` or :data:`UNKNOWN` (too few earlier days to tell).
        * ``statistic``: χ² / df over the dispersion; ``threshold``: above it the figure is flagged, if ``effect`` is
          above ``least_effect`` too. Null where the verdict is unknown.
        * ``p_value`` by the F distribution; ``p_holm`` corrected for all figures of the day (Holm, Scand. J. Statist.
          6, 1979).
        * ``rows``: the smaller of the two samples; ``days``: the earlier comparisons that were read.
        * ``compared_with``, ``today``, ``earlier``, ``level``: what moved, see
          :func:`~atelier.monitoring.drift.comparison.compare`.
    """
    config = config or DriftConfig()
    if not {ds, *(ds - timedelta(days=lag) for lag in NEEDED)} <= figures.keys():
        return _unknown(figures, ds)
    lags = [lag for lag in LAGS if ds - timedelta(days=lag) in figures]
    earlier = [
        day
        for back in range(1, config.history + 1)
        if (day := ds - timedelta(days=back)) in figures and day - timedelta(days=SEASON) in figures
    ]
    pairs = [(figures[ds], figures[ds - timedelta(days=lag)]) for lag in lags]
    pairs += [(figures[day], figures[day - timedelta(days=SEASON)]) for day in earlier]
    compared = compare(pairs)
    now = compared[compared["pair"] < len(lags)]
    now = now.assign(lag=now["pair"].map(dict(enumerate(lags))))
    return _judged(now, _dispersion(compared[compared["pair"] >= len(lags)], config), ds, config)


def _judged(now: pd.DataFrame, spread: pd.DataFrame, ds: date, config: DriftConfig) -> pd.DataFrame:
    """The verdicts on a day's comparisons, given how far days ordinarily differ."""
    by_lag = now.join(spread[["dispersion", "days", "spread_df"]].astype("float64"), on="what")
    by_lag["needed"] = by_lag["lag"].isin(NEEDED)
    whole = by_lag.groupby("what")["needed"].transform("sum") == len(NEEDED)
    known = whole & (by_lag["days"].fillna(0) >= config.least_history)
    statistic = (by_lag["chi2"] / by_lag["df"] / by_lag["dispersion"]).where(known)
    by_lag = by_lag.assign(
        name=by_lag["what"],
        known=known,
        statistic=statistic,
        p_value=stats.f.sf(statistic, by_lag["df"], by_lag["spread_df"]),
        days=by_lag["days"].fillna(0).astype("int64"),
        compared_with=[ds - timedelta(days=lag) for lag in by_lag["lag"]],
    )
    weakest = by_lag.sort_values(["name", "p_value", "statistic"], ascending=[True, False, True], kind="stable")
    return _verdicts(weakest.drop_duplicates("name"), by_lag, config)


def _unknown(figures: Mapping[date, pd.DataFrame], ds: date) -> pd.DataFrame:
    """The figures of a day that lacks a day to be held against: none has a verdict."""
    if ds not in figures:
        return pd.DataFrame(columns=list(COLUMNS))
    names = figures[ds].groupby("what", as_index=False)["rows"].max()
    empty = dict.fromkeys(COLUMNS, np.nan) | {"verdict": UNKNOWN, "days": 0, "compared_with": None, "level": ""}
    return pd.DataFrame(empty, index=names.index).assign(name=names["what"], rows=names["rows"])[list(COLUMNS)]


def _verdicts(weakest: pd.DataFrame, found: pd.DataFrame, config: DriftConfig) -> pd.DataFrame:
    """The columns that need all figures of the day: corrected p, thresholds, verdicts."""
    frame = weakest.sort_values(["p_value", "statistic", "name"], ascending=[True, False, True], kind="stable")
    frame = frame.reset_index(drop=True)
    known = frame["known"].to_numpy(bool)
    tests = int(known.sum())
    left = np.maximum(tests - np.arange(len(frame)), 1)  # what a p-value is multiplied by, from the smallest
    p = frame["p_value"].to_numpy(np.float64)
    holm = np.minimum(np.maximum.accumulate(np.where(known, p * left, 0.0)), 1.0)
    smallest = frame["name"].map(found.groupby("name")["effect"].min())
    least = frame["kind"].map(config.least_effect)
    threshold = stats.f.isf(config.false_alarm / left, frame["df"], frame["spread_df"])
    flagged = known & (holm < config.false_alarm) & (smallest >= least).to_numpy(bool)
    frame = frame.assign(
        effect=smallest,
        least_effect=least,
        p_holm=np.where(known, holm, np.nan),
        threshold=np.where(known, threshold, np.nan),
        statistic=frame["statistic"].where(known),
        verdict=np.where(flagged, FLAGGED, np.where(known, USUAL, UNKNOWN)),
    )
    return frame.sort_values(
        ["verdict", "p_value", "name"],
        key=lambda column: column.map({FLAGGED: 0, USUAL: 1, UNKNOWN: 2}) if column.name == "verdict" else column,
        kind="stable",
        ignore_index=True,
    )[list(COLUMNS)]


def _dispersion(earlier: pd.DataFrame, config: DriftConfig) -> pd.DataFrame:
    """Of each figure φ (``dispersion``, at least 1), how many days it is from, and its degrees of freedom.

    Each day counts as one degree of freedom, however many levels a figure has: levels of one day go together.
    """
    ratios = earlier.assign(ratio=earlier["chi2"] / earlier["df"]).sort_values(["what", "ratio"], kind="stable")
    days = ratios.groupby("what")["ratio"].transform("size")
    place = ratios.groupby("what").cumcount()
    kept = ratios[place < np.ceil(days * (1 - config.outliers))]
    grouped = kept.groupby("what")
    spread = pd.DataFrame(
        {"mean": grouped["ratio"].mean(), "df": grouped["df"].median(), "spread_df": grouped.size().astype("float64")}
    )
    spread["days"] = earlier.groupby("what").size()
    spread["dispersion"] = np.maximum(
        spread["mean"] / trimmed_mean((spread["spread_df"] / spread["days"]).to_numpy(), spread["df"].to_numpy()), 1.0
    )
    return spread


def trimmed_mean(kept: Floats, df: Floats) -> Floats:
    """The mean of χ² / df where only the lowest share ``kept`` of its values count: F_{df+2}(F_df⁻¹(kept)) / kept."""
    return np.asarray(stats.chi2.cdf(stats.chi2.ppf(kept, df), df + 2) / kept)
