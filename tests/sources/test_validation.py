"""The rules, one by one and all together against a slow obvious version."""

import math
import re
import tempfile
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import AtelierError, SourceError
from atelier.sources.columns import Field, Layout
from atelier.sources.landed import Landed
from atelier.sources.reading import load
from atelier.sources.validation import check, land

DAY = date(2020, 9, 1)
_ZONE = "has a time zone: give the retailer's own time"


@cache
def database() -> duckdb.DuckDBPyConnection:
    """One DuckDB for all tests of this file: most of an example's time would be opening it."""
    return duckdb.connect(":memory:", config={"threads": 1})


def land_file(data: pa.Table, layout: Layout, known: dict[str, str] | None = None, day: date | None = None) -> Landed:
    """Check and land a Parquet file of that content."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.parquet"
        pq.write_table(data, file)
        raw = load(database(), file, Path(folder), "t_raw")
        return land(database(), check(database(), raw, layout, Path(folder), known, day))


def judge(field: Field, values: list[Any], kind: pa.DataType | None = None) -> tuple[list[Any], list[str]]:
    """The accepted values, and the reasons of all that was at fault, of a file with that column and a row number."""
    columns = {"n": pa.array(range(len(values) + 1)), field.name: pa.array([*values, _right(field)], type=kind)}
    landed = land_file(pa.table(columns), Layout("t", (field,)))
    assert landed.rejected.column("column_name").to_pylist() == [field.name] * landed.rejected.num_rows
    return landed.accepted.column(field.name).to_pylist()[:-1], landed.rejected.column("reason").to_pylist()


def _right(field: Field) -> Any:
    """A right value as text, so that no column is wrong as a whole."""
    return {"VARCHAR": "x", "DATE": "2020-01-01", "TIMESTAMP": "2020-01-01", "BOOLEAN": "true"}.get(field.type, "1")


MONEY = Field("price", "DECIMAL(18,9)", low=0)


@pytest.mark.parametrize(
    ("field", "text", "outcome"),
    [
        (MONEY, "0.0209152542372881", Decimal("0.020915254")),
        (MONEY, "0", Decimal(0)),
        (MONEY, "-0.01", "is negative"),
        (MONEY, "nan", "is not finite"),
        (MONEY, "inf", "is not finite"),
        (MONEY, "-Infinity", "is not finite"),
        (MONEY, "1e400", "is not finite|is not a number"),
        (MONEY, "cheap", "is not a number"),
        (MONEY, "1,5", "is not a number"),
        (MONEY, "1e10", r"does not fit DECIMAL\(18,9\)"),
        (MONEY, None, None),
        (Field("age", "SMALLINT", low=0, high=130), "21.0", 21),
        (Field("age", "SMALLINT", low=0, high=130), "21.5", "is not a whole number"),
        (Field("age", "SMALLINT", low=0, high=130), "131", "is above 130"),
        (Field("age", "SMALLINT"), "99999", "does not fit SMALLINT"),
        (Field("day", "DATE"), "2020-02-29", date(2020, 2, 29)),
        (Field("day", "DATE"), "2020-02-30", "is not a date"),
        (Field("day", "DATE"), "infinity", "is not a date"),
        (Field("day", "DATE"), "2020-09-01 12:00", date(2020, 9, 1)),
        (Field("day", "DATE"), "2020-09-01 12:00:00 UTC", _ZONE),
        (Field("day", "DATE"), "2020-09-01Z", _ZONE),
        (Field("day", "DATE"), "2020-09-01 (BC)", "is not a date"),
        (Field("day", "DATE", open_ended=True), "9999-12-31", None),
        (Field("day", "DATE", open_ended=True), "2999-01-01 00:00:00", None),
        (Field("day", "DATE", open_ended=True), "0001-01-01", "is not between 1900 and 2199"),
        (Field("day", "DATE"), "", None),
        (MONEY, "", None),
        (MONEY, "  ", None),
        (MONEY, " 1.5 ", Decimal("1.5")),
        (Field("age", "SMALLINT"), " 21 ", 21),
        (Field("ok", "BOOLEAN"), "FALSE ", False),
        (Field("ok", "BOOLEAN"), " ", None),
        (Field("ok", "BOOLEAN"), "", None),
        (Field("ok", "BOOLEAN"), "-3", "is not true or false"),
        (Field("id", identifier=True), "108775015.0", "is a number with decimals: .*"),
        (Field("id", identifier=True), "1.08775015e+08", "is a number with decimals: .*"),
        (Field("id", identifier=True), "108775015.", "is a number with decimals: .*"),
        (Field("id", identifier=True), "v1.0", "v1.0"),
        (Field("id", identifier=True), "12e5", "12e5"),
        (Field("day", "DATE"), "9999-12-31", "is not between 1900 and 2199"),
        (Field("day", "DATE"), "0001-01-01", "is not between 1900 and 2199"),
        (Field("at", "TIMESTAMP"), "2020-02-29 13:14:15", datetime(2020, 2, 29, 13, 14, 15)),
        *(
            (Field("at", "TIMESTAMP"), f"2020-02-29{at}", _ZONE)
            for at in (
                "T13:14:15+02:00",
                "T13:14:15Z",
                "T13:14Z",
                " 13:14:15 UTC",
                " 13:14:15.5 +0000",
                " 13:14:15+02",
                " 13:14:15 Europe/Paris",
                " 13:14 GMT",
                " 13:14:15-07:30",
                "Z",
                "+02",
                " UTC",
                " 13:14:15 z",
            )
        ),
        *(
            (Field("at", "TIMESTAMP"), f"2020-02-29T{at}", datetime(2020, 2, 29, *parts))
            for at, parts in (
                ("00:00:00", ()),
                ("13:14", (13, 14)),
                ("13:14:15", (13, 14, 15)),
                ("13:14:15.123456", (13, 14, 15, 123456)),
            )
        ),
        (Field("day", "DATE"), "2020-09-01T00:00:00", date(2020, 9, 1)),
        *(
            (Field("at", "TIMESTAMP"), f"2020-02-29{at}", "is not a time")
            for at in ("T12:00:60", "T12:00:00,5", "T", "T12", "t12:00:00", "T25:00")
        ),
        (Field("at", "TIMESTAMP"), "2020-02-29 TRT", _ZONE),
        (Field("at", "TIMESTAMP"), "2020-02-29 01:14:15 PM", "is not a time"),
        (Field("at", "TIMESTAMP"), "epoch", "is not a time"),
        (Field("at", "TIMESTAMP"), "2020-02-29 13:14", datetime(2020, 2, 29, 13, 14)),
        (Field("at", "TIMESTAMP"), " 2020-02-29 ", datetime(2020, 2, 29)),
        (Field("at", "TIMESTAMP"), "noon", "is not a time"),
        (Field("ok", "BOOLEAN"), "yes", True),
        (Field("ok", "BOOLEAN"), "perhaps", "is not true or false"),
        (Field("id", required=True), None, "is null"),
        (Field("id", required=True), "", "is blank"),
        (Field("id", required=True), " \t", "is blank"),
        (Field("id", required=True), "'; DROP TABLE t; --", "'; DROP TABLE t; --"),
        (Field("note"), "", None),
        (Field("kind", values=("x", "y")), "z", "is none of x, y"),
        (Field("kind", values=("x", "y")), "X", "is none of x, y"),
    ],
)
def test_a_text_is_parsed_or_refused(field: Field, text: str | None, outcome: Any) -> None:
    accepted, reasons = judge(field, [text], pa.string())
    if reasons:
        assert re.fullmatch(outcome, reasons[0])
    else:
        assert accepted == [outcome]


@pytest.mark.parametrize(("given", "kept"), [([1, 0, 1], [True, False, True]), ([-3, 2, 1, None], [True, None])])
def test_a_whole_number_is_a_flag_where_it_is_0_or_1(given: list[int | None], kept: list[bool | None]) -> None:
    column = {"id": pa.array(map(str, range(len(given)))), "ok": pa.array(given)}
    landed = land_file(pa.table(column), Layout("t", (Field("id"), Field("ok", "BOOLEAN"))))
    flags = landed.accepted.column("ok").to_pylist()
    assert [flag for flag, value in zip(flags, given, strict=True) if value not in (-3, 2)] == kept
    assert landed.rejected.column("reason").to_pylist() == ["is not true or false"] * sum(v in (-3, 2) for v in given)


def test_a_row_is_kept_without_the_optional_values_at_fault_and_each_is_named() -> None:
    layout = Layout("t", (Field("id", required=True), Field("age", "SMALLINT", low=0), MONEY), key=("id",))
    landed = land_file(
        pa.table({"id": ["a", "a", "b", None], "age": [-1, 5, -1, -1], "price": [-2.0, 1, 3, -1]}), layout
    )
    assert landed.accepted.to_pylist() == [
        {"id": "a", "age": None, "price": None},
        {"id": "b", "age": None, "price": Decimal("3.000000000")},
    ]
    faults = ["row", "column_name", "reason", "row_kept"]
    assert [tuple(row[name] for name in faults) for row in landed.rejected.to_pylist()] == [
        (1, "age", "is negative", True),
        (1, "price", "is negative", True),
        (2, "id", "is a duplicate: row 1 is kept", False),
        (3, "age", "is negative", True),
        (4, "id", "is null", False),
    ]
    assert (landed.rows_in, landed.rejected_rows, landed.values_dropped) == (4, 2, 3)


def test_numbers_that_are_not_finite_are_refused_in_a_column_of_numbers() -> None:
    landed = land_file(pa.table({"price": [math.nan, math.inf, -math.inf, -1.0, 1.5]}), Layout("t", (MONEY,)))
    assert landed.accepted.column("price").to_pylist() == [None, None, None, None, Decimal("1.5")]
    assert landed.rejected.column("reason").to_pylist() == ["is not finite"] * 3 + ["is negative"]
    assert landed.rejected.column("row").to_pylist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("field", "column", "message"),
    [
        (MONEY, pa.array([[1.0]]), "DOUBLE\\[\\].*not a number"),
        (MONEY, pa.array([True]), "BOOLEAN.*not a number"),
        (MONEY, pa.array([DAY]), "DATE.*not a number"),
        (Field("id"), pa.array([1.5]), "DOUBLE.*not text"),
        (Field("id"), pa.array([b"x"]), "BLOB.*not text"),
        (Field("at", "TIMESTAMP"), pa.array([20200901]), "BIGINT.*not a time"),
        (
            Field("at", "TIMESTAMP"),
            pa.array([datetime(2020, 9, 1, tzinfo=timezone(timedelta(hours=2)))]),
            "without a time zone",
        ),
        (Field("profile", "MAP(VARCHAR, VARCHAR)"), pa.array([{"a": "b"}]), "STRUCT.*not a map"),
        (Field("other", required=True), pa.array([1]), "the column is missing; there are x"),
        (MONEY, pa.array(["cheap", "dear"]), "is not a number in all of 2 rows"),
        (Field("id", identifier=True), pa.array(["1.0", "2.0"]), "is a number with decimals.*in all of 2 rows"),
        (Field("at", "TIMESTAMP"), pa.array(["2020-09-01 12:00:00 UTC"] * 2), "has a time zone.* in all of 2 rows"),
        (Field("id", required=True), pa.array([None, None], pa.string()), "is null in all of 2 rows"),
    ],
)
def test_a_column_that_is_wrong_as_a_whole_is_fatal_and_named(field: Field, column: pa.Array, message: str) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        land_file(pa.table({"x" if field.name == "other" else field.name: column}), Layout("t", (field,)))
    assert "t.parquet" in str(raised.value)
    assert repr(field.name) in str(raised.value)


def test_a_column_of_nulls_is_an_ordinary_value_where_null_is() -> None:
    assert judge(Field("age", "SMALLINT"), [None, None], pa.string()) == ([None, None], [])


# For each column of a file some texts, and what is wrong with them.
COLUMNS: dict[str, list[tuple[str | None, str | None]]] = {
    "id": [("a", None), ("b", None), ("c", None), ("", "is blank"), (None, "is null"), (" ", "is blank")],
    "price": [("1.5", None), (None, None), ("-1", "is negative"), ("x", "is not a number"), ("nan", "is not finite")],
    "at": [
        ("2020-09-01 08:00", None),
        ("2020-09-02", "is after the day on which it came"),
        ("2020-08-31", "is before the day on which it came"),
        ("x", "is not a time"),
        (None, "is null"),
    ],
    "kind": [("view", None), ("look", "is none of view, bag"), (None, "is null")],
}
LAYOUT = Layout(
    "t",
    (
        Field("id", required=True),
        MONEY,
        Field("at", "TIMESTAMP", required=True),
        Field("kind", required=True, values=("view", "bag")),
    ),
    key=("id",),
    references=(("id", "known"),),
    day="at",
)
KNOWN = {"a", "b"}
Rows = list[tuple[tuple[str | None, str | None], ...]]


def slowly(rows: Rows) -> list[tuple[str, str] | None]:
    """The fault for which each row is rejected, row by row; that of a price is none."""
    faults: list[tuple[str, str] | None] = []
    kept: dict[str | None, int] = {}
    for number, row in enumerate(rows, start=1):
        named = dict(zip(COLUMNS, row, strict=True))
        late = " the day on which it came"
        needed = {name: fault for name, fault in named.items() if name != "price"}
        own = [(name, reason) for name, (_, reason) in needed.items() if reason and late not in reason]
        day = [(name, reason) for name, (_, reason) in named.items() if reason and late in reason]
        unknown = [] if named["id"][0] in KNOWN else [("id", "is unknown: there is no such row in known")]
        twice = [("id", f"is a duplicate: row {kept[named['id'][0]]} is kept")] if named["id"][0] in kept else []
        fault = next(iter([*own, *unknown, *day, *twice]), None)
        if fault is None:
            kept[named["id"][0]] = number
        faults.append(fault)
    return faults


@settings(max_examples=30)
@given(st.lists(st.tuples(*(st.sampled_from(choices) for choices in COLUMNS.values())), max_size=12))
def test_every_row_has_the_fault_that_a_slow_reading_finds(rows: Rows) -> None:
    expected = slowly(rows)
    texts = {name: pa.array([row[place][0] for row in rows], pa.string()) for place, name in enumerate(COLUMNS)}
    database().execute("CREATE OR REPLACE TABLE known_ids AS SELECT unnest(['a', 'b']) AS id")
    try:
        landed = land_file(pa.table(texts), LAYOUT, {"known": "known_ids"}, DAY)
    except SourceError as error:
        assert "in all of" in str(error)  # noqa: PT017 — either outcome is right for a file of nothing but faults
        assert len(rows) > 1
        assert len(set(expected)) == 1 or len({row[1][1] for row in rows}) == 1
        return
    found = {(r["row"], r["row_kept"]): (r["column_name"], r["reason"]) for r in landed.rejected.to_pylist()}
    prices = {n: ("price", row[1][1]) for n, row in enumerate(rows, start=1) if row[1][1] and not expected[n - 1]}
    assert found == {(n, False): fault for n, fault in enumerate(expected, start=1) if fault} | {
        (n, True): fault for n, fault in prices.items()
    }
    assert landed.accepted.column("id").to_pylist() == [
        row[0][0] for row, fault in zip(rows, expected, strict=True) if not fault
    ]
    assert landed.rows_in == len(rows)


def test_landed_refuses_counts_that_do_not_add_up() -> None:
    with pytest.raises(AtelierError, match="2 rows came in, but 1 are accepted, 0 rejected and 0 suppressed"):
        Landed(pa.table({"x": [1]}), rows_in=2)
