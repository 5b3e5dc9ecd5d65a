"""The recipe gate's bound and verdict: exact on tiny samples, and never passed by being small."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from atelier.metrics.encoding import MetricsError
from atelier.monitoring.limits import GateLimits
from atelier.monitoring.noninferiority import judge, lower_bound

LIMITS = GateLimits(metric="hit_rate", k=12)


def values(hits: "np.ndarray | list[float]", metric: str = "hit_rate") -> pd.DataFrame:
    """The values of customers c0, c1 and so on."""
    names = [f"c{number}" for number in range(len(hits))]
    return pd.DataFrame({"customer_id": names, "metric": metric, "k": 12, "value": np.asarray(hits, float)})


def everyone(frame: pd.DataFrame) -> list[str]:
    return frame["customer_id"].tolist()


def test_the_bound_is_that_of_the_sample_with_the_added_customers() -> None:
    """By hand: the added customers are weighted rows −1 (½), 0 (1) and +1 (½)."""
    gap = np.array([0.5, -0.25, 0.0, 0.25])
    found = lower_bound(gap.mean(), gap.std(ddof=1) / 2, 4)
    mean, squares = gap.sum() / 6, (gap**2).sum() + 1
    deviation = math.sqrt((squares - 6 * mean**2) / 5)
    assert found == pytest.approx(mean - stats.t.ppf(0.975, 5) * deviation / math.sqrt(6))


def test_nobody_who_differs_is_no_proof() -> None:
    """With no difference the bound is about −2 / n, however it came about."""
    assert lower_bound(0.0, 0.0, 200) == pytest.approx(-stats.t.ppf(0.975, 201) * math.sqrt(1 / 201 / 202))
    assert lower_bound(0.0, 0.0, 1) == -math.inf
    assert lower_bound(0.0, math.nan, 0) == -math.inf


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_the_bound_lies_below_the_sample_s_own_mean_and_rises_when_the_sample_is_repeated(gap: list[float]) -> None:
    once, often = np.array(gap), np.tile(gap, 50)
    bounds = [lower_bound(each.mean(), each.std(ddof=1) / math.sqrt(len(each)), len(each)) for each in (once, often)]
    assert bounds[0] < once.mean() or once.mean() < 0
    assert bounds[0] < bounds[1] + 1e-12
    assert bounds[1] <= often.mean() + 1e-6 or often.mean() < 0


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Rare hits of two equal models: the lower bound lies above the true difference, 0, at most 2.5 times in 100."""
    random, n, times = np.random.default_rng(0), 300, 4000
    champion, candidate = (random.random((times, n)) < 0.05 for _ in range(2))
    gap = candidate.astype(float) - champion.astype(float)
    errors = gap.std(axis=1, ddof=1) / math.sqrt(n)
    above = [lower_bound(mean, error, n) > 0 for mean, error in zip(gap.mean(axis=1), errors, strict=True)]
    assert np.mean(above) <= 0.03


def test_a_good_candidate_passes_and_a_bad_one_does_not() -> None:
    random = np.random.default_rng(1)
    champion = (random.random(5000) < 0.3).astype(float)
    better = np.where(random.random(5000) < 0.1, 1.0, champion)
    worse = np.where(random.random(5000) < 0.1, 0.0, champion)
    good, bad = (judge(values(champion), values(each), everyone(values(champion)), LIMITS) for each in (better, worse))
    assert good.passed
    assert good.lower > good.least
    assert good.candidate == better.mean()
    assert not bad.passed
    assert "that it is not worse by more is not shown" in bad.reason


@pytest.mark.parametrize("customers", [20, 250, 1000])
def test_an_equal_candidate_does_not_pass_by_being_small(customers: int) -> None:
    """Of few customers nobody happens to differ; only of many is that worth anything."""
    hits = [1.0] * (customers // 20) + [0.0] * (customers - customers // 20)
    small = judge(values(hits), values(hits), everyone(values(hits)), LIMITS)
    assert small.difference == 0
    assert not small.passed
    many = hits * 100 if customers == 20 else hits * 20
    assert judge(values(many), values(many), everyone(values(many)), LIMITS).passed


def test_a_sample_below_the_least_never_passes() -> None:
    champion, candidate = values([0.0] * 198 + [1.0]), values([1.0] * 199)
    found = judge(champion, candidate, everyone(champion), LIMITS)
    assert not found.passed
    assert "199 customers can be judged, and 200 are the least" in found.reason
    assert judge(values([0.1] * 200), values([1.0] * 200), everyone(values([1.0] * 200)), LIMITS).passed


def test_only_shared_customers_with_history_count() -> None:
    champion, candidate = values([1.0, 0.0, 1.0, 1.0]), values([0.0, 0.0, 1.0])
    found = judge(champion, candidate, ["c0", "c1", "c3"], LIMITS)
    assert (found.customers, found.champion, found.candidate, found.difference) == (2, 0.5, 0.0, -0.5)


def test_a_champion_without_a_hit_and_an_absent_metric_are_named() -> None:
    nothing = values([0.0] * 300)
    assert "no margin can be taken" in judge(nothing, values([1.0] * 300), everyone(nothing), LIMITS).reason
    with pytest.raises(MetricsError, match="lack hit_rate@12"):
        judge(values([1.0], "map"), values([1.0]), ["c0"], LIMITS)
    none = values([])
    assert not judge(none, none, [], LIMITS).passed
