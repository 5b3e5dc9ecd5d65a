"""Weekly sales by attribute value and their seasonal-naive forecast, against a slow version."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sql import query

DS = date(2025, 6, 30)
WEEKS = 3
VALUES = [
    ("a", "colour", "red", "annotated"),
    ("b", "colour", "blue", "predicted"),
    ("c", "colour", "red", "abstained"),
]


def back(days: int) -> date:
    return DS - timedelta(days=days)


def sales(sold: Sequence[tuple[str, date]], days: Sequence[date], weeks: int = WEEKS) -> pd.DataFrame:
    """The table of purchases (article, day) at a price of 2 each."""
    with duckdb.connect() as con:
        con.execute("CREATE TABLE interactions (article_id VARCHAR, kind VARCHAR, price DECIMAL(18,9), ds DATE)")
        con.execute(
            'CREATE TABLE predicted_attributes (article_id VARCHAR, attribute VARCHAR, "value" VARCHAR, source VARCHAR)'
        )
        con.executemany("INSERT INTO predicted_attributes VALUES (?, ?, ?, ?)", VALUES)
        if sold:
            con.executemany("INSERT INTO interactions VALUES (?, 'purchase', 2, ?)", [list(each) for each in sold])
            con.execute("INSERT INTO interactions SELECT article_id, 'view', NULL, ds FROM interactions")
        params = {"as_of": DS, "weeks": weeks, "days": [str(day) for day in days]}
        return con.execute(query("attribute_sales"), params).df().set_index("value")


def weekly(sold: Sequence[tuple[str, date]], days: Sequence[date], articles: set[str]) -> "np.ndarray[Any, Any]":
    """Units of every week counted back from this one; nan where it is not stored whole."""
    units = np.full(60, np.nan)
    for week in range(60):
        wanted = {back(7 * week + n) for n in range(7)}
        if wanted <= set(days):
            units[week] = sum(article in articles and day in wanted for article, day in sold)
    return units


def check(found: pd.DataFrame, sold: Sequence[tuple[str, date]], days: Sequence[date]) -> None:
    """Every figure of every value, counted again."""
    for value, articles in (("red", {"a", "c"}), ("blue", {"b"})):
        units = weekly(sold, days, articles)
        row: Any = found.loc[value]
        lag = 52 if not np.isnan(units[[51, 52]]).any() else 1
        assert row["season_weeks"] == lag
        for name, expected in (("units", units[0]), ("forecast", units[lag]), ("next_forecast", units[lag - 1])):
            assert np.array_equal([float(row[name]) if not pd.isna(row[name]) else np.nan], [expected], equal_nan=True)
        missed = units[:WEEKS] - units[lag : lag + WEEKS]
        moved = units[:WEEKS] - units[1 : 1 + WEEKS]
        known = ~np.isnan(missed) & ~np.isnan(moved)
        assert row["error_weeks"] == known.sum()
        if not known.any():
            assert pd.isna(row["mae"])
            assert pd.isna(row["mase"])
            continue
        mae, scale = np.abs(missed[known]).mean(), np.abs(moved[known]).mean()
        assert row["mae"] == pytest.approx(mae)
        assert pd.isna(row["mase"]) if scale == 0 else row["mase"] == pytest.approx(mae / scale)
        past = np.array([np.nan if pd.isna(each) else float(each) for each in row["past_units"]])
        assert np.array_equal(past, units[WEEKS:0:-1], equal_nan=True)


SOLD = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400).map(back)), max_size=60)


@settings(max_examples=25, deadline=None)
@given(sold=SOLD, first=st.integers(0, 400), missing=st.sets(st.integers(0, 400), max_size=2))
def test_every_figure_is_what_a_count_of_each_week_finds(
    sold: list[tuple[str, date]], first: int, missing: set[int]
) -> None:
    days = [back(n) for n in range(first + 1) if n not in missing]
    kept = [(article, day) for article, day in sold if day in set(days)]
    check(sales(kept, days), kept, days)


def test_the_week_before_is_the_forecast_until_there_is_a_year() -> None:
    sold = [("a", back(0)), ("a", back(3)), ("c", back(6)), ("a", back(7)), ("b", back(8)), ("a", back(14))]
    found: Any = sales(sold, [back(n) for n in range(21)])
    red: Any = found.loc["red"]
    assert (red["units"], red["forecast"], red["next_forecast"], red["season_weeks"]) == (3, 1, 3, 1)
    assert (red["abstained_units"], red["revenue"]) == (1, 6)
    assert (red["error_weeks"], red["mae"], red["mase"]) == (2, 1, 1)  # missed by 3 − 1 and by 1 − 1
    assert found.loc["blue", ["units", "forecast", "mae"]].tolist() == [0, 1, 1]


def test_the_week_of_last_year_is_the_forecast_where_it_is_stored() -> None:
    sold = [("a", back(0)), *[("a", back(52 * 7))] * 4, *[("a", back(51 * 7))] * 5, ("a", back(7))]
    red: Any = sales(sold, [back(n) for n in range(53 * 7)]).loc["red"]
    assert (red["units"], red["forecast"], red["next_forecast"], red["season_weeks"]) == (1, 4, 5, 52)
    assert (red["error_weeks"], red["mae"]) == (1, 3)
    assert pd.isna(red["mase"])  # repeating the week before would have missed by nothing


def test_a_week_that_is_not_stored_whole_says_nothing() -> None:
    red: Any = sales([("a", back(0)), ("a", back(7))], [back(n) for n in range(21) if n != 2]).loc["red"]
    assert pd.isna(red["units"])
    assert pd.isna(red["revenue"])
    assert red["forecast"] == 1
    assert pd.isna(red["next_forecast"])
    assert sales([], []).loc["red", ["units", "forecast", "mae"]].isna().all()
