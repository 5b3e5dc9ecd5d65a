"""The paired test against scipy's, Holm's correction against a worked example, and its odd cases."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from atelier.metrics import MetricsError, compare, holm

COLUMNS = ["metric", "k", "model", "baseline", "difference", "standard_error", "p_value", "p_holm", "customers"]


def values(numbers: dict[str, float], metric: str = "precision", k: int = 10) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": list(numbers), "metric": metric, "k": k, "value": list(numbers.values())})


def random_models(seed: int = 0, customers: int = 40) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    ids = [f"c{i}" for i in range(customers)]
    return {
        model: pd.concat(
            values(dict(zip(ids, rng.random(customers) + shift, strict=True)), metric, k)
            for metric in ("precision", "recall")
            for k in (10, 20)
        ).sample(frac=1, random_state=seed)
        for model, shift in (("popular", 0.0), ("als", 0.15), ("hybrid", 0.2))
    }


def test_agrees_with_scipy() -> None:
    models = random_models()
    table = compare(models)
    assert table.columns.tolist() == COLUMNS
    assert len(table) == 2 * 2 * 3
    for row in table.itertuples():
        one, other = (
            frame[(frame["metric"] == row.metric) & (frame["k"] == row.k)]
            .set_index("customer_id")["value"]
            .sort_index()
            for frame in (models[row.model], models[row.baseline])
        )
        expected = stats.ttest_rel(one, other)
        assert row.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        assert row.difference == pytest.approx((one - other).mean())
        assert row.standard_error == pytest.approx((one - other).std() / np.sqrt(40))
        assert row.customers == 40


def test_holm_within_each_metric_and_k() -> None:
    table = compare(random_models())
    for _, family in table.groupby(["metric", "k"]):
        assert family["p_holm"].to_numpy(float) == pytest.approx(holm(family["p_value"].to_numpy(float)))


def test_later_models_are_held_against_earlier_ones() -> None:
    pairs = compare(random_models())[["model", "baseline"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["als", "popular"], ["hybrid", "popular"], ["hybrid", "als"]]


def test_holm_worked_example() -> None:
    # Four tests: 0.005·4, max(0.01·3), max(0.03·2), max(0.04·1, before)
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, np.nan, 0.7])) == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)
    assert holm(np.array([])).size == 0


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_the_step_down_procedure(p_values: list[float]) -> None:
    adjusted = holm(np.array(p_values))
    for level in (0.01, 0.05, 0.3):
        rejected, ordered = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
        for step, place in enumerate(ordered):
            if p_values[place] * (len(p_values) - step) > level:
                break
            rejected.add(place)
        assert rejected == set(np.flatnonzero(adjusted <= level))


def test_where_nobody_differs_p_is_null_and_no_test_is_counted() -> None:
    same = values({"c1": 0.5, "c2": 0.25, "c3": 0.0})
    other = values({"c1": 0.6, "c2": 0.2, "c3": 0.3})
    table = compare({"a": same, "b": same.copy(), "c": other}).set_index(["model", "baseline"])
    twin = table.loc[("b", "a")]
    assert twin["p_value"] is pd.NA
    assert twin["p_holm"] is pd.NA
    assert (twin["difference"], twin["standard_error"]) == (0, 0)
    one = table.loc[("c", "a")]
    assert one["p_holm"] == pytest.approx(min(1, 2 * one["p_value"]))  # two tests, not three


def test_everybody_differs_alike() -> None:
    table = compare({"a": values({"c1": 0.25, "c2": 0.5}), "b": values({"c1": 0.5, "c2": 0.75})})
    assert table["p_value"].tolist() == [0.0]


def test_only_customers_that_both_have_and_that_are_asked_for() -> None:
    a, b = values({"c1": 0.1, "c2": 0.4, "c3": 0.2}), values({"c2": 0.5, "c3": 0.1, "c4": 0.9})
    assert compare({"a": a, "b": b})["customers"].tolist() == [2]
    restricted = compare({"a": a, "b": b}, customers=["c3", "c4", "elsewhere"])
    assert restricted["customers"].tolist() == [1]
    assert restricted["difference"].tolist() == pytest.approx([-0.1])
    assert restricted["p_value"].isna().all()
    assert restricted["standard_error"].isna().all()
    assert compare({"a": a, "b": b}, customers=[]).empty


def test_fewer_than_two_models() -> None:
    assert compare({}).columns.tolist() == COLUMNS
    assert compare({"a": values({"c": 1.0})}).empty


def test_arrow_and_categorical_frames() -> None:
    models = random_models()
    expected = compare(models)
    pd.testing.assert_frame_equal(compare({m: pa.Table.from_pandas(f) for m, f in models.items()}), expected)
    as_category = {m: f.astype({"customer_id": "category", "metric": "category"}) for m, f in models.items()}
    pd.testing.assert_frame_equal(compare(as_category), expected)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(MetricsError, match="als has no column 'value'"):
        compare({"popular": values({"c": 1.0}), "als": values({"c": 1.0}).drop(columns="value")})
