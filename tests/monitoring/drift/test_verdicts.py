"""Verdicts: what is ordinary is not flagged, what is not is, and nothing sees a later day."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from atelier.monitoring.drift.figures import count, mean, stacked
from atelier.monitoring.drift.figures import figures as figures_of_day
from atelier.monitoring.drift.verdicts import FLAGGED, UNKNOWN, USUAL, DriftConfig, drift_of, trimmed_mean

DAY = date(2026, 3, 2)


def day(number: int) -> date:
    return DAY + timedelta(days=number)


def quiet(days: int, seed: int = 0, weekend: float = 1.0) -> dict[date, pd.DataFrame]:
    """Figures of days on which nothing is wrong; at weekends there are ``weekend`` times as many events."""
    rng, made = np.random.default_rng(seed), {}
    for number in range(days):
        level = 2_000 * (weekend if day(number).weekday() >= 5 else 1.0)
        events = int(rng.poisson(level))
        prices = rng.normal(3.0, 0.5, events)
        made[day(number)] = figures_of_day(
            [
                ("events", "count", "", events, 0.0, events),
                ("marked", "share", "", rng.binomial(events, 0.1), 0.0, events),
                ("price", "mean", "", prices.mean(), prices.var(), events),
            ]
        )
    return made


def verdicts(figures: dict[date, pd.DataFrame], number: int, config: DriftConfig | None = None) -> dict[str, str]:
    found = drift_of(figures, day(number), config)
    return dict(zip(found["name"], found["verdict"], strict=True))


def test_quiet_days_are_usual_and_a_shifted_figure_alone_is_flagged() -> None:
    figures = quiet(36)
    assert set(verdicts(figures, 35).values()) == {USUAL}
    figures[day(35)] = stacked([figures_of_day(count("events", 1_000)), figures[day(35)].query("what != 'events'")])
    assert verdicts(figures, 35) == {"events": FLAGGED, "marked": USUAL, "price": USUAL}


def test_a_weekend_is_no_drift_and_half_of_a_weekend_is() -> None:
    figures = quiet(41, weekend=2.0)
    saturday = next(number for number in range(34, 41) if day(number).weekday() == 5)
    assert set(verdicts(figures, saturday).values()) == {USUAL}
    figures[day(saturday)] = stacked(
        [figures_of_day(count("events", 900)), figures[day(saturday)].query("what != 'events'")]
    )
    assert verdicts(figures, saturday)["events"] == FLAGGED


def test_what_changed_for_good_is_flagged_once_and_the_return_to_normal_is_not() -> None:
    figures = quiet(36)
    for number in range(30, 36):
        events = figures[day(number)]
        figures[day(number)] = events.assign(value=np.where(events["what"] == "price", 9.0, events["value"]))
    assert [verdicts(figures, number)["price"] for number in range(29, 36)] == [USUAL, FLAGGED] + 5 * [USUAL]
    once = quiet(38)
    once[day(30)] = figures[day(30)]
    assert [verdicts(once, number)["price"] for number in (30, 31, 37)] == [FLAGGED, USUAL, USUAL]


def test_an_earlier_fault_does_not_hide_the_next_one() -> None:
    figures = quiet(36)
    for number in (20, 35):
        events = figures[day(number)]
        figures[day(number)] = events.assign(value=np.where(events["what"] == "price", 9.0, events["value"]))
    assert verdicts(figures, 35)["price"] == FLAGGED


def test_a_figure_that_is_always_restless_is_usual() -> None:
    rng = np.random.default_rng(3)
    figures = {day(n): figures_of_day(count("events", int(2_000 * np.exp(rng.normal(0, 0.5))))) for n in range(36)}
    figures[day(34)] = figures[day(28)] = figures[day(21)] = figures_of_day(count("events", 1_900))
    figures[day(35)] = figures_of_day(count("events", 3_600))
    # With the chance of sampling alone, 1,900 and 3,600 are more than twenty standard errors apart.
    assert verdicts(figures, 35) == {"events": USUAL}


def test_a_difference_that_is_sure_but_small_is_usual() -> None:
    figures = {day(n): figures_of_day(mean("price", np.array([2.9, 3.1] * 50_000))) for n in range(36)}
    figures[day(35)] = figures_of_day(mean("price", np.array([2.905, 3.105] * 50_000)))
    assert verdicts(figures, 35) == {"price": USUAL}
    assert verdicts(figures, 35, DriftConfig(least_mean=0.04)) == {"price": FLAGGED}


def test_with_too_few_days_there_is_no_verdict_and_no_day_has_one_by_itself() -> None:
    figures = quiet(13)
    found = drift_of(figures, day(11))
    assert set(found["verdict"]) == {UNKNOWN}
    assert found["statistic"].isna().all()
    assert set(verdicts(figures, 12).values()) == {USUAL}
    assert set(drift_of(figures, day(0))["verdict"]) == {UNKNOWN}
    assert drift_of(figures, day(20)).empty


def test_later_days_are_not_looked_at() -> None:
    figures = quiet(36)
    before = drift_of({ds: frame for ds, frame in figures.items() if ds <= day(30)}, day(30))
    pd.testing.assert_frame_equal(drift_of(figures, day(30)), before)


def test_p_values_are_corrected_for_all_figures_of_the_day() -> None:
    found = drift_of(quiet(36), day(35)).sort_values("p_value")
    expected = np.minimum(np.maximum.accumulate(found["p_value"] * [3, 2, 1]), 1.0)
    np.testing.assert_allclose(found["p_holm"], expected)
    above = found["statistic"] > found["threshold"]
    assert (above == (found["p_value"] * [3, 2, 1] < 0.001)).all()


def test_false_alarms_are_as_rare_as_they_are_said_to_be() -> None:
    config = DriftConfig(false_alarm=0.2, least_count=0, least_share=0, least_mean=0)
    alarms = [
        any(verdict == FLAGGED for verdict in verdicts(quiet(22, seed), 21, config).values()) for seed in range(10)
    ]
    assert sum(alarms) <= stats.binom.isf(1e-4, 10, 0.2)


@settings(max_examples=20)
@given(kept=st.floats(0.5, 1.0), df=st.integers(1, 40))
def test_the_trimmed_mean_is_that_of_chi_squared(kept: float, df: int) -> None:
    drawn = stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, df) / df
    lowest = drawn[: max(round(kept * len(drawn)), 1)]
    assert trimmed_mean(np.array([kept]), np.array([float(df)]))[0] == pytest.approx(lowest.mean(), rel=0.01)
