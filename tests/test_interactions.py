"""Interactions: what comes in comes out, splits lose nothing and leak nothing."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import UnknownIdentifier
from atelier.ids import IdentifierError, IdMap
from atelier.interactions import Interactions, InteractionsError

ROW = st.tuples(
    st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(0, 3), st.sampled_from(["view", "bag", "purchase"])
)


def frame_of(rows: list[tuple[str, str, int, str]]) -> pd.DataFrame:
    """Rows of customer, article, half days since 2020-01-01, kind; the price is the row's place."""
    return pd.DataFrame(
        {
            "customer_id": pd.Series([row[0] for row in rows], dtype="str"),
            "article_id": pd.Series([row[1] for row in rows], dtype="str"),
            "occurred_at": pd.Timestamp("2020-01-01") + pd.to_timedelta([12 * row[2] for row in rows], unit="h"),
            "kind": pd.Series([row[3] for row in rows], dtype="str"),
            "price": [float(place) for place in range(len(rows))],
        }
    )


def plain(interactions: Interactions) -> list[tuple[Any, ...]]:
    frame = interactions.to_frame().astype({"kind": "str"})
    return list(frame.itertuples(index=False, name=None))


def expected(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    ordered = frame.sort_values(["customer_id", "occurred_at"], kind="stable")
    return list(ordered.itertuples(index=False, name=None))


@settings(max_examples=40)
@given(st.lists(ROW, max_size=25))
def test_rows_are_ordered_by_customer_time_and_place(rows: list[tuple[str, str, int, str]]) -> None:
    frame = frame_of(rows)
    before = frame.copy(deep=True)
    data = Interactions.from_frame(frame)
    assert plain(data) == expected(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert len(data) == len(rows)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    encoded = pa.table({name: _encoded(table[name]) for name in table.column_names})
    for form in (table, encoded):
        assert plain(Interactions.from_frame(form)) == expected(frame)


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_large_string(column.type) else column


@settings(max_examples=40)
@given(st.lists(ROW, max_size=25), st.integers(0, 3))
def test_split_at_loses_nothing_and_leaks_nothing(rows: list[tuple[str, str, int, str]], days: int) -> None:
    frame = frame_of(rows)
    day = pd.Timestamp("2020-01-01") + pd.Timedelta(days=days)
    train, truth = Interactions.from_frame(frame).split_at(day.strftime("%Y-%m-%d"))
    assert plain(train) == expected(frame[frame.occurred_at < day])
    assert plain(truth) == expected(frame[frame.occurred_at >= day])
    for part in (train, truth):  # not even the id maps tell of the other part
        assert set(part.customer_ids.values.to_pylist()) == set(part.to_frame()["customer_id"])
        assert set(part.article_ids.values.to_pylist()) == set(part.to_frame()["article_id"])


@settings(max_examples=40)
@given(st.lists(ROW, max_size=25), st.integers(1, 3))
def test_leave_last_out_takes_each_customers_last_rows(rows: list[tuple[str, str, int, str]], n: int) -> None:
    frame = frame_of(rows)
    train, truth = Interactions.from_frame(frame).leave_last_out(n)
    ordered = frame.sort_values(["customer_id", "occurred_at"], kind="stable")
    last = ordered.groupby("customer_id").cumcount(ascending=False) < n
    assert plain(truth) == list(ordered[last].itertuples(index=False, name=None))
    assert plain(train) == list(ordered[~last].itertuples(index=False, name=None))


@settings(max_examples=40)
@given(st.lists(ROW, max_size=25), st.sets(st.sampled_from(["view", "save", "purchase"])))
def test_of_kinds(rows: list[tuple[str, str, int, str]], kinds: set[str]) -> None:
    frame = frame_of(rows)
    assert plain(Interactions.from_frame(frame).of_kinds(kinds)) == expected(frame[frame.kind.isin(list(kinds))])


def test_without_kinds_all_rows_count() -> None:
    data = Interactions.from_frame(frame_of([("a", "x", 0, "view")]).drop(columns="kind"))
    assert data.kinds is None
    assert len(data.of_kinds(["purchase"])) == 1
    assert list(data.to_frame().columns) == ["customer_id", "article_id", "occurred_at", "price"]


def test_a_single_kind_is_not_read_as_letters() -> None:
    data = Interactions.from_frame(frame_of([("a", "x", 0, "view"), ("a", "y", 0, "bag")]))
    assert len(data.of_kinds("bag")) == 1


def test_without_dates_the_order_of_rows_is_the_order_in_time() -> None:
    rows = [("b", "x", 0, "bag"), ("a", "z", 0, "bag"), ("a", "y", 0, "bag"), ("b", "a", 0, "bag")]
    data = Interactions.from_frame(frame_of(rows)[["customer_id", "article_id"]])
    assert not data.dated
    train, truth = data.leave_last_out()
    assert truth.to_frame()["article_id"].tolist() == ["y", "a"]
    assert train.to_frame()["article_id"].tolist() == ["z", "x"]
    with pytest.raises(InteractionsError, match="leave_last_out"):
        data.split_at("2020-01-01")


@pytest.mark.parametrize("day", ["2020-01-02", datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 15, 30)])
def test_a_day_begins_at_midnight(day: Any) -> None:
    times = ["2020-01-01 23:59:59.999999", "2020-01-02 00:00:00"]
    frame = pd.DataFrame({"customer_id": ["a", "a"], "article_id": ["x", "y"], "occurred_at": times})
    train, truth = Interactions.from_frame(frame).split_at(day)
    assert train.to_frame()["article_id"].tolist() == ["x"]
    assert truth.to_frame()["article_id"].tolist() == ["y"]


def test_times_with_a_zone_are_read_off_its_clock() -> None:
    times = pd.Series(pd.to_datetime(["2020-06-01 23:30:00Z"])).dt.tz_convert("Europe/London")
    data = Interactions.from_frame(pd.DataFrame({"customer_id": ["a"], "article_id": ["x"], "occurred_at": times}))
    assert data.occurred_at[0] == np.datetime64("2020-06-02T00:30:00")


def test_dates_and_decimals_are_read() -> None:
    table = pa.table(
        {
            "customer_id": ["a", "a"],
            "article_id": ["x", "y"],
            "occurred_at": pa.array([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1)]),
            "price": pa.array([None, "1.25"]).cast(pa.decimal128(18, 9)),
            "channel": ["web", None],
        }
    )
    data = Interactions.from_frame(table)
    assert data.occurred_at.dtype == np.dtype("datetime64[us]")
    assert data.prices is not None
    np.testing.assert_array_equal(data.prices, [1.25, np.nan])
    assert data.to_frame()["channel"].isna().tolist() == [True, False]


def test_aligned_renumbers_and_names_what_is_missing() -> None:
    data = Interactions.from_frame(frame_of([("b", "x", 0, "bag"), ("a", "y", 0, "bag")]))
    wide = IdMap.from_values(["0", "x", "y"])
    moved = data.aligned(article_ids=wide)
    assert moved.articles.tolist() == [2, 1]
    assert plain(moved) == plain(data)
    with pytest.raises(UnknownIdentifier, match="1 unknown article_id: 'y'"):
        data.aligned(article_ids=IdMap.from_values(["x"]))
    dropped = data.aligned(article_ids=IdMap.from_values(["x"]), unknown="drop")
    assert dropped.to_frame()["customer_id"].tolist() == ["b"]
    assert len(data.aligned(article_ids=IdMap.from_values([]), unknown="drop")) == 0


def test_arrays_cannot_be_written_to() -> None:
    data = Interactions.from_frame(frame_of([("a", "x", 0, "bag")]))
    for array in (data.customers, data.articles, data.occurred_at, data.prices):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"customer_id": None}, InteractionsError, "no column 'customer_id'; it has article_id"),
        ({"article_id": [1]}, IdentifierError, "article_id is int64, not text"),
        ({"occurred_at": [None]}, InteractionsError, "occurred_at is null in 1 rows"),
        ({"occurred_at": ["yesterday"]}, InteractionsError, "occurred_at .* cannot be read as timestamp"),
        ({"kind": [None]}, InteractionsError, "kind is null in 1 rows"),
        ({"kind": [1]}, InteractionsError, "kind is int64, not text"),
        ({"price": ["much"]}, InteractionsError, "price .* cannot be read as double"),
    ],
)
def test_bad_frames_are_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    frame = frame_of([("a", "x", 0, "bag")])
    for name, values in change.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    with pytest.raises(error, match=message):
        Interactions.from_frame(frame)


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(InteractionsError, match="not list"):
        Interactions.from_frame([("a", "x")])
    with pytest.raises(InteractionsError, match="whole number of rows"):
        Interactions.from_frame(frame_of([])).leave_last_out(0)


@pytest.mark.real_data
def test_a_week_of_real_purchases(real_data: Path) -> None:
    path = real_data / "hm_week" / "transactions_train.parquet"
    table = pq.read_table(path).rename_columns(["occurred_at", "customer_id", "article_id", "price", "channel"])
    data = Interactions.from_frame(table)
    train, truth = data.split_at("2020-09-22")
    assert (len(data), len(train), len(truth)) == (240_311, 207_445, 32_866)
    assert (len(data.customer_ids), len(data.article_ids)) == (68_984, 17_986)
