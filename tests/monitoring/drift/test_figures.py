"""Figures and their comparison, on tables small enough to count by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from atelier.monitoring.drift.behaviour import customer_figures, interaction_figures
from atelier.monitoring.drift.catalogue import article_figures, image_figures, label_figures
from atelier.monitoring.drift.comparison import compare
from atelier.monitoring.drift.figures import (
    ABSENT,
    Rows,
    bands,
    changed_rows,
    concentration,
    count,
    directions,
    figures,
    mean,
    projections,
    share,
    shares,
    times,
)
from atelier.monitoring.drift.models import feature_figures, list_changes, list_figures


def compared(today: Rows, earlier: Rows) -> "pd.Series[Any]":
    """The one figure of two days, compared."""
    (found,) = compare([(figures(today), figures(earlier))]).to_dict("records")
    return pd.Series(found)


def shown(frame: pd.DataFrame) -> dict[str, tuple[Any, Any]]:
    """Value and rows of figures without levels, by name."""
    single = frame[frame["level"] == ""]
    return {str(row["what"]): (row["value"], row["rows"]) for row in single.to_dict("records")}


def levels(frame: pd.DataFrame, what: str) -> dict[str, float]:
    """How many rows each level of a figure has."""
    of = frame[frame["what"] == what]
    return {str(level): float(value) for level, value in zip(of["level"], of["value"], strict=True)}


def articles(**columns: object) -> pd.DataFrame:
    rows = {
        "article_id": ["a", "b", "c"],
        "product_code": ["1", "1", "2"],
        "name": ["Red dress", "Blue dress", "Coat"],
        "description": ["a soft dress", None, "a warm coat"],
        "product_type": ["Dress", "Dress", "Coat"],
        "brand": ["x", "y", "y"],
        "division": ["W", "W", None],
        "price": [Decimal("4"), Decimal("8"), None],
        "in_stock": [True, True, False],
    }
    return pd.DataFrame(rows | columns)


def events(**columns: object) -> pd.DataFrame:
    rows = {
        "customer_id": ["u", "u", "v", "v"],
        "article_id": ["a", "b", "a", "a"],
        "occurred_at": pd.to_datetime(["2026-03-04 08:00", "2026-03-04 08:30"] + ["2026-03-04 21:00"] * 2),
        "kind": ["view", "view", "purchase", "purchase"],
        "price": [Decimal("4"), Decimal("8"), Decimal("5"), None],
        "channel": ["web", "web", "app", None],
        "session_id": ["1", "1", "2", "2"],
    }
    return pd.DataFrame(rows | columns)


def test_figures_of_articles_count_what_changed_by_key() -> None:
    later = articles(
        article_id=["a", "b", "d"], price=[Decimal("4"), Decimal("9"), Decimal("1")], brand=["x", "y", "z"]
    )
    found = shown(article_figures(later, articles()))
    assert found["articles"] == (3, 3)
    assert found["articles: new"] == (1, 3)
    assert found["articles: gone"] == (1, 3)
    assert found["articles: price changed"] == (1, 2)
    assert found["articles: description changed"] == (0, 2)
    assert found["articles: description empty"] == (1, 3)
    assert found["articles: brands that are new"] == (1, 3)
    assert found["articles: brands that are gone"] == (0, 3)
    assert found["articles: in stock"] == (2, 3)


def test_null_equals_null_and_differs_from_a_value() -> None:
    before = pd.DataFrame({"k": [1, 2, 3], "v": pd.array(["a", None, None], dtype="object")})
    after = pd.DataFrame({"k": [1, 2, 3], "v": pd.array([None, None, "a"], dtype="object")})
    assert shown(figures(changed_rows("t", after, before, ["k"], ["v"])))["t: v changed"] == (2, 3)


def test_words_that_were_never_read_are_counted_by_occurrence() -> None:
    later = articles(description=["ein weiches Kleid", None, "a warm coat"])
    found = shown(article_figures(later, articles()))
    assert found["articles: words that were never read"] == (3, 5 + 6)


def test_bands_and_empty_levels() -> None:
    assert bands(pd.Series([Decimal("4"), Decimal("5.7"), None, Decimal("0")]), 0.5, logarithmic=True).tolist()[:2] == [
        "2",
        "2.5",
    ]
    found = levels(article_figures(articles(), None), "articles: price")
    assert found == {"2": 1, "3": 1, ABSENT: 1}
    assert levels(figures(shares("x", bands(pd.Series([21, 24, 25, None]), 5))), "x") == {"20": 2, "25": 1, ABSENT: 1}
    assert levels(figures(shares("x", bands(pd.Series([0, 1]), 0.5, logarithmic=True))), "x") == {"0": 2}


def test_figures_of_customers_and_labels_and_images() -> None:
    before = pd.DataFrame({"customer_id": ["u", "v"], "age": pd.array([30, None], dtype="Int16")})
    after = pd.DataFrame({"customer_id": ["u", "v"], "age": pd.array([31, None], dtype="Int16")})
    found = shown(customer_figures(after, before))
    assert found["customers: age changed"] == (1, 2)
    assert found["customers: age empty"] == (1, 2)
    label = pd.DataFrame({"article_id": ["a", "b"], "attribute": ["colour", "colour"], "value": ["red", "blue"]})
    renamed = label.assign(value=["red", "navy"])
    found = shown(label_figures("annotated_attributes", renamed, label))
    assert found["annotated_attributes: value changed"] == (1, 2)
    assert found["annotated_attributes: values that are new"] == (1, 2)
    assert found["annotated_attributes: values that are gone"] == (1, 2)
    image = pd.DataFrame({"article_id": ["a", "b"], "shot": [0, 0], "digest": ["1", "2"]})
    assert shown(image_figures(image.assign(digest=["2", "1"]), image))["images: digest changed"] == (2, 2)


def test_two_days_without_photographs_are_compared() -> None:
    """As a store gives them: pandas reads a file without rows as columns of no chunk, which it cannot merge."""
    none = pa.schema({"article_id": pa.string(), "shot": pa.int32(), "digest": pa.string()}).empty_table().to_pandas()
    found = shown(image_figures(none, none))
    assert not {"images: new", "images: gone", "images: digest changed"} & set(found), "nothing is no share of nothing"
    some = pd.DataFrame({"article_id": ["a"], "shot": [0], "digest": ["1"]})
    assert shown(image_figures(some, none))["images: new"] == (1, 1)
    assert shown(image_figures(none, some))["images: gone"] == (1, 1)


def test_figures_of_interactions() -> None:
    yesterday = events(occurred_at=events()["occurred_at"] - pd.Timedelta(days=1), kind="view")
    recent = pd.DataFrame({"customer_id": ["u"], "article_id": ["a"]})
    found = interaction_figures(events(), yesterday, articles(), recent)
    single = shown(found)
    assert single["interactions: rows that come twice"] == (1, 4)
    assert single["interactions: rows that came yesterday"] == (2, 4)
    assert single["interactions: prices that are not the catalogue's"] == (1, 3)
    assert single["interactions: customers of the week before"] == (1, 2)
    assert single["interactions: articles of the week before"] == (1, 2)
    assert single["interactions: articles that the same customer had in the week before"] == (1, 3)
    assert levels(found, "interactions: time of day of each customer's first, in hours") == {"16": 1, "42": 1}
    assert single["interactions: rows of channels that are new"] == (0, 4)
    assert levels(found, "interactions: hour") == {"08": 2, "21": 2}
    assert levels(found, "interactions: channel") == {"web": 2, "app": 1, ABSENT: 1}


def test_a_day_without_interactions_has_figures_all_the_same() -> None:
    found = interaction_figures(events().head(0), events().head(0), articles(), None)
    assert shown(found)["interactions"] == (0, 0)


def test_concentration_is_simpsons_index_and_does_not_depend_on_the_number_of_rows() -> None:
    few = figures(concentration("c", pd.Series(["a"] * 3 + ["b"])))
    assert np.exp(few["value"][0]) == pytest.approx(3 * 2 / (4 * 3))
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(50, 0.5))
    drawn = [figures(concentration("c", pd.Series(rng.choice(50, size=size, p=p)))) for size in [200] * 100]
    values, variances = (np.array([each[name][0] for each in drawn]) for name in ("value", "variance"))
    assert np.exp(values).mean() == pytest.approx((p**2).sum(), rel=0.05)
    assert values.var() == pytest.approx(variances.mean() / 200, rel=0.5)
    assert concentration("c", pd.Series(["a", "b"])) == []


def at_noon_and_in_the_evening(rng: np.random.Generator, rows: int, later: float = 0.0) -> "pd.Series[Any]":
    """Moments of a day, so many hours later than usual; what would be of another day is of its first or last minute."""
    hours = np.where(rng.random(rows) < 0.35, rng.normal(12.5, 2, rows), rng.normal(20, 2, rows)) + later
    return pd.Series(pd.Timestamp("2026-03-04") + pd.to_timedelta(np.clip(hours, 0, 23.99), unit="h"))


def test_times_are_counted_by_half_hour() -> None:
    moments = pd.Series(pd.to_datetime(["2026-03-04 00:00:00", "2026-03-04 00:29:59", "2026-03-04 23:59:59", None]))
    assert [row[2:] for row in times("t", moments)] == [("00", 2, 0.0, 3), ("47", 1, 0.0, 3)]
    assert times("t", moments.head(0)) == []


def test_times_of_two_usual_days_differ_by_chance_alone() -> None:
    rng = np.random.default_rng(0)
    found = [
        compared(times("t", at_noon_and_in_the_evening(rng, 300)), times("t", at_noon_and_in_the_evening(rng, 900)))
        for _ in range(400)
    ]
    p = stats.chi2.sf([each["chi2"] for each in found], 1)
    assert {each["df"] for each in found} == {1}
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("later", [-1.0, 1.0])
def test_a_shift_of_times_is_found_with_fewer_rows_than_by_their_means(later: float) -> None:
    rng = np.random.default_rng(1)
    usual, shifted = at_noon_and_in_the_evening(rng, 2000), at_noon_and_in_the_evening(rng, 2000, later)
    found = compared(times("t", shifted), times("t", usual))
    hours = [(each - each.dt.normalize()).dt.total_seconds() / 3600 for each in (shifted, usual)]
    by_means = compared(mean("t", hours[0]), mean("t", hours[1]))
    assert found["chi2"] > 2 * by_means["chi2"]
    assert found["effect"] == pytest.approx(abs(later), rel=0.3)
    assert (found["today"], found["earlier"]) == pytest.approx([each.mean() for each in hours], abs=0.05)


def test_the_score_of_a_shift_is_the_slope_over_the_height_of_the_smoothed_day() -> None:
    today, earlier = {16: 3, 17: 5, 42: 2}, {16: 4, 20: 4, 42: 6, 47: 2}
    rows = [
        [("t", "times", f"{part:02d}", n, 0.0, sum(day.values())) for part, n in day.items()]
        for day in (today, earlier)
    ]
    found = compared(*rows)
    both = [today.get(part, 0) + earlier.get(part, 0) for part in range(48)]
    weights = [np.exp(-0.5 * min(part, 48 - part) ** 2) for part in range(48)]
    height = [sum(weights[(part - i) % 48] * both[i] for i in range(48)) / sum(weights) + 0.5 for part in range(48)]
    score = [-(height[(part + 1) % 48] - height[part - 1]) / 2 / height[part] for part in range(48)]
    scores = np.repeat(score, both)
    difference = sum(score[part] * n for part, n in today.items()) / 10
    difference -= sum(score[part] * n for part, n in earlier.items()) / 16
    assert found["chi2"] == pytest.approx(difference**2 / scores.var() / (1 / 10 + 1 / 16))
    assert found["effect"] == pytest.approx(abs(difference) / scores.var() / 2)


def test_projections_show_a_moved_mean() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 400, 30))
    along = directions(first.shape[1])
    usual = compared(projections("v", first @ along), projections("v", second @ along))
    moved = compared(projections("v", first @ along), projections("v", (second + 0.5) @ along))
    assert usual["df"] == 8
    assert stats.chi2.sf(usual["chi2"], 8) > 0.001
    assert stats.chi2.sf(moved["chi2"], 8) < 1e-9


def test_features_are_numbers_of_any_type() -> None:
    frame = pd.DataFrame(
        {
            "article_id": ["a", "b"],
            "sales": [3, 8],
            "spend": [Decimal("1"), None],
            "channel": ["web", None],
            "first_sale": [date(2026, 3, 1), None],
        }
    )
    found = shown(feature_figures("article_features", frame, "article_id"))
    assert found["article_features: sales"] == (pytest.approx(np.log([4, 9]).mean()), 2)
    assert found["article_features: spend empty"] == (1, 2)
    assert not any("channel" in name or "first_sale" in name for name in found)


def test_lists_are_compared_customer_by_customer() -> None:
    before = pd.DataFrame(
        {"customer_id": list("uuuvvw"), "article_id": list("abcabz"), "rank": [1, 2, 3, 1, 2, 1], "fallback": False}
    )
    after = pd.DataFrame(
        {"customer_id": list("uuuvvx"), "article_id": list("acdxya"), "rank": [1, 2, 3, 1, 2, 1], "fallback": True}
    )
    found = list_changes(after, before)
    assert found.loc["u", "jaccard"] == pytest.approx(2 / 4)
    assert found.loc["u", "rank_change"] == pytest.approx((0 + 1) / 2 / 3)
    assert found.loc["v", "jaccard"] == 0
    assert found["rank_change"].isna().tolist() == [False, True]
    assert list(found.index) == ["u", "v"]
    single = shown(list_figures("als", after, before))
    assert single["lists of als"] == (3, 3)
    assert single["lists of als: fallback"] == (3, 3)
    assert single["lists of als: Jaccard with yesterday's"] == (pytest.approx(0.25), 2)


# Comparisons -----------------------------------------------------------------------------------------------------


def test_shares_of_levels_are_compared_by_the_g_test() -> None:
    today, earlier = pd.Series(["a"] * 30 + ["b"] * 70), pd.Series(["a"] * 50 + ["b"] * 40 + ["c"] * 10)
    found = compared(shares("x", today), shares("x", earlier))
    expected = stats.chi2_contingency([[30, 70, 0], [50, 40, 10]], lambda_="log-likelihood", correction=False)
    assert found["chi2"] == pytest.approx(expected.statistic)
    assert found["df"] == expected.dof
    assert found["effect"] == pytest.approx(0.3)
    assert (found["level"], found["today"], found["earlier"]) == ("b", 0.7, 0.4)


def test_rare_levels_count_as_one() -> None:
    today = pd.Series(["a"] * 100 + list("bcdefghi"))
    earlier = pd.Series(["a"] * 100 + list("jklmnopq"))
    found = compared(shares("x", today), shares("x", earlier))
    assert found["df"] == 1
    assert found["chi2"] == pytest.approx(0, abs=1e-9)


def test_means_are_compared_by_welch() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, 50), rng.normal(0.5, 2, 80)
    found = compared(mean("x", first), mean("x", second))
    assert found["chi2"] == pytest.approx(stats.ttest_ind(first, second, equal_var=False).statistic ** 2)


def test_a_mean_without_any_spread_may_differ() -> None:
    found = compared(mean("x", np.full(9, 2.0)), mean("x", np.full(9, 1.0)))
    assert np.isfinite(found["chi2"])
    assert found["chi2"] > 1e6
    assert compared(mean("x", np.full(9, 2.0)), mean("x", np.full(9, 2.0)))["chi2"] == 0


@settings(max_examples=8)
@given(rate=st.floats(5, 4_000), seed=st.integers(0, 2**16))
def test_counts_that_differ_by_chance_have_a_statistic_of_about_one(rate: float, seed: int) -> None:
    drawn = np.random.default_rng(seed).poisson(rate, size=(2, 150))
    days = [figures((f"{i:03d}", "count", "", n, 0.0, n) for i, n in enumerate(each)) for each in drawn]
    found = compare([(days[0], days[1])])
    assert 0.6 < found["chi2"].mean() < 1.5


@settings(max_examples=8)
@given(p=st.floats(0, 1), seed=st.integers(0, 2**16), sizes=st.tuples(st.integers(20, 900), st.integers(20, 900)))
def test_shares_that_differ_by_chance_have_a_statistic_of_at_most_about_one(
    p: float, seed: int, sizes: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    days = [
        figures((f"{i:03d}", "share", "", n, 0.0, size) for i, n in enumerate(rng.binomial(size, p, 150)))
        for size in sizes
    ]
    found = compare([(days[0], days[1])])
    assert found["chi2"].mean() < 1.5


def test_only_figures_of_both_days_are_compared() -> None:
    today = figures([*count("a", 1), *count("b", 2)])
    assert compare([(today, figures(count("b", 2)))])["what"].tolist() == ["b"]
    assert compare([(today, figures([]))]).empty
    assert compare([(figures([]), figures([]))]).empty
    assert compare([]).empty


def test_a_share_that_was_always_nought_is_noticed() -> None:
    found = compared(share("x", 900, 1_000), share("x", 0, 1_000))
    assert found["chi2"] > 1_000
    assert found["effect"] == 0.9
