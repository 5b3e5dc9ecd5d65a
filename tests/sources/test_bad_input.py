"""Files as they come on a bad day: either the source says what is fatal, or no row is lost."""

import json
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import SourceError
from atelier.sources import REJECTED_SCHEMA, Landed, Source, open_source
from atelier.sources.reading import ROW, load

pytestmark = pytest.mark.hostile

Land = Callable[..., Landed]
A, B = "0000000001", "0000000002"
FIRST = date(2020, 9, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]


def everything(source: Source, days: list[date] = DAYS) -> dict[str, list[Landed]]:
    """Every table on every day; each Landed has checked its own counts."""
    landed = {table: [x for _, x in source.land(table, days)] for table in sorted(source.tables)}
    for table, each in landed.items():
        for one in each:
            assert one.rejected.schema == REJECTED_SCHEMA
            assert set(one.rejected.column("source_table").to_pylist()) <= {table}
            places = list(zip(*(one.rejected.column(c).to_pylist() for c in ("source_file", "row")), strict=True))
            assert len(set(places)) == len(places), "one row, one rejection"
    return landed


# Fatal: the file as a whole.


@pytest.mark.parametrize("name", ["articles.csv", "transactions_train.csv"])
def test_a_missing_hm_file_is_fatal(hm: Any, name: str) -> None:
    (hm.root / name).unlink()
    with pytest.raises(
        SourceError, match=rf"{name}: there is no such file\. Put {name[:-4]}\.csv or .*\.parquet there"
    ):
        open_source("hm", hm.root)


@pytest.mark.parametrize("table", ["articles", "interactions"])
def test_a_landing_zone_without_articles_or_interactions_is_fatal(zone: Any, table: str) -> None:
    (zone.root / table / f"ds={FIRST}.parquet").unlink()
    with pytest.raises(SourceError, match=rf"{table}: there are no files\. Put {table}/ds=YYYY-MM-DD\.parquet there"):
        open_source("parquet", zone.root)


@pytest.mark.parametrize("kind", ["sample", "hm", "parquet"])
def test_a_missing_folder_is_fatal(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match="nowhere"):
        open_source(kind, tmp_path / "nowhere")


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no kind of source 'csv'; there are sample, hm, parquet"):
        open_source("csv", tmp_path)


@pytest.mark.parametrize("column", ["t_dat", "customer_id", "article_id"])
def test_a_missing_column_of_transactions_is_fatal(hm: Any, column: str) -> None:
    header = [name for name in ("t_dat", "customer_id", "article_id", "price", "sales_channel_id") if name != column]
    hm.sales([("1", "2", "3", "4")], header=header)
    with pytest.raises(
        SourceError, match=rf"transactions_train.csv, column '{column}': the column is missing; there are"
    ):
        everything(open_source("hm", hm.root, first_day=FIRST))


@pytest.mark.parametrize("column", ["article_id", "product_type_name", "colour_group_name"])
def test_a_missing_column_of_hm_articles_is_fatal(hm: Any, on: Land, column: str) -> None:
    file = hm.root / "articles.csv"
    file.write_text(file.read_text().replace(column, "other", 1))
    with pytest.raises(SourceError, match=rf"articles\.csv, column '{column}': the column is missing"):
        on(open_source("hm", hm.root), "articles")


@pytest.mark.parametrize("table", ["articles", "customers", "interactions"])
def test_a_missing_column_of_a_landing_zone_is_fatal(zone: Any, on: Land, table: str) -> None:
    zone.put(table, FIRST, [{"other": 1}])
    with pytest.raises(SourceError, match=rf"{table}/ds=2020-09-01\.parquet, column '.*_id': the column is missing"):
        on(open_source("parquet", zone.root), table)


def test_dates_of_no_use_throughout_are_fatal(hm: Any) -> None:
    hm.sales([("01/09/2020", "u", A, "1", "1"), ("02/09/2020", "u", A, "1", "1")])
    source = open_source("hm", hm.root)
    with pytest.raises(SourceError, match=r"column 't_dat': no row has a readable date"):
        _ = source.first_day
    with pytest.raises(SourceError, match=r"column 't_dat': it is not a date in all of 2 rows"):
        everything(open_source("hm", hm.root, first_day=FIRST))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty: not even a header"),
        (b"t_dat,T_DAT\n", "two columns have this name"),
        (b"PAR1", "its name says CSV, but it is a Parquet file"),
        (
            b"t_dat;customer_id;article_id;price\n2020-09-01;u;1;1\n",
            r"its columns are separated by ';' and not by commas. Write the file again with commas",
        ),
        (b"t_dat\tcustomer_id\n2020-09-01\tu\n", r"its columns are separated by '\\t' and not by commas"),
    ],
)
def test_a_csv_that_is_none_is_fatal(hm: Any, content: bytes, message: str) -> None:
    (hm.root / "transactions_train.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        everything(open_source("hm", hm.root, first_day=FIRST))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"it cannot be read \(.*Write the file again"),
        (b"PAR1", r"it cannot be read \(.*Write the file again"),
        (b"PAR1 not really PAR1", r"it cannot be read \(.*Write the file again"),
        (b"article_id\n1\n", "its name says Parquet, but it is no Parquet file: text, or damaged"),
        (b"\x1f\x8b\x08\x00", "its name says Parquet, but it is compressed with gzip"),
    ],
)
def test_a_parquet_file_that_is_none_is_fatal(zone: Any, on: Land, content: bytes, message: str) -> None:
    file = zone.root / "articles" / f"ds={FIRST}.parquet"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=rf"ds=2020-09-01\.parquet: {message}"):
        on(open_source("parquet", zone.root), "articles")


@pytest.mark.parametrize(
    "name", ["2020-09-01.parquet", "ds=2020-13-01.parquet", "ds=2020-09-01.csv", "articles.parquet"]
)
def test_a_file_that_is_not_named_for_a_day_is_fatal(zone: Any, name: str) -> None:
    (zone.root / "articles" / name).write_bytes(b"")
    with pytest.raises(SourceError, match=f"{name}: its name is not that of a day's file"):
        open_source("parquet", zone.root)


def test_hidden_files_are_not_the_table_s(zone: Any) -> None:
    for name in (".ds=2020-09-01.parquet.tmp", "_SUCCESS"):
        (zone.root / "articles" / name).write_bytes(b"")
    assert len(everything(open_source("parquet", zone.root))["articles"]) == len(DAYS)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"first_day": "soon"}', '{"last_day": 5.5}'])
def test_a_spoilt_retailer_json_is_fatal(zone: Any, content: str) -> None:
    (zone.root / "retailer.json").write_text(content)
    with pytest.raises(SourceError, match=r"retailer\.json: it cannot be read"):
        _ = open_source("parquet", zone.root).first_day


# Row by row: whatever the rows are, none is lost.

IDS = st.sampled_from([A, B, "1", "0000000009", "", " ", "ü", "'", '"', "a,b", "two\nlines", "\x00", "x" * 300])
CUSTOMERS = st.sampled_from(["u", "v", "stranger", "", '"u"'])
DATES = st.sampled_from(
    [
        *map(str, DAYS),
        "2020-09-01 00:00:00",
        "20-9-1",
        "",
        "infinity",
        "9999-12-31",
        "-1",
        "0",
        "2020-02-30",
        "now",
        "epoch",
    ]
)
PRICES = st.sampled_from(
    ["1", "0.0209152542372881", "-0.1", "-0", "nan", "inf", "1e99", "1e999", "", "x", "0x10", "1_000", "१"]
)
CHANNELS = st.sampled_from(["1", "2", "3", "1.0", "1.5", "", "store", "-1", "NaN"])
SALES = st.lists(st.tuples(DATES, CUSTOMERS, IDS, PRICES, CHANNELS), max_size=15)


@settings(max_examples=8)
@given(sales=SALES, ids=st.lists(IDS, max_size=6), ages=st.lists(st.tuples(CUSTOMERS, PRICES), max_size=6))
def test_dirty_hm_files_lose_no_row(
    make_hm: Callable[[Path], Any], sales: list[tuple[str, ...]], ids: list[str], ages: list[tuple[str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hm = make_hm(Path(folder))
        # One right row in each file, so that no column is wrong as a whole.
        hm.articles([hm.article(A), *(hm.article(name) for name in ids)])
        hm.customers([("u", "30"), *ages], header=["customer_id", "age"])
        hm.sales([(str(FIRST), "u", A, "1", "1"), *sales])
        source = open_source("hm", hm.root, first_day=FIRST, threads=1)
        landed = everything(source)
    # `now` and `epoch` are dates to DuckDB, but not of these days.
    elsewhere = sum(row[0] in ("now", "epoch", "20-9-1") for row in sales)
    rows_in = sum(day.rows_in for day in landed["interactions"])
    assert 1 + len(sales) - elsewhere <= rows_in <= 1 + len(sales)
    assert {day.rows_in for day in landed["articles"]} == {1 + len(ids)}
    assert {day.rows_in for day in landed["customers"]} == {1 + len(ages)}
    known = {A} | {name.zfill(10) if name.isascii() and name.isdigit() else name for name in ids}
    for day in landed["interactions"]:
        assert set(day.accepted.column("article_id").to_pylist()) <= known
        assert all(0 <= price < 10**9 for price in day.accepted.column("price").to_pylist() if price is not None)


CELLS = st.sampled_from(
    [
        b"2020-09-01",
        b"u",
        A.encode(),
        b"1",
        b"",
        b'"',
        b'"x',
        b'x"',
        b'""',
        b"\xff",
        b"\n",
        b"\r",
        b"\r\n",
        b",",
        b"\x00",
        b"\xef\xbb\xbf",
        b" ",
    ]
)
LINES = st.sampled_from(
    [
        b"1,2,3",
        b"1,2",
        b"1",
        b"1,2,3,4",
        b"1,2,3,",
        b"\xff,2,3",
        b"\xff",
        b"1,\xff,3,4",
        b'1,"x"y,3',
        b'1,"x,y",3',
        b'1,"a""b",3',
        b'"1"x,2,3',
        b'x"y,2,3',
        b",,",
        b'1,"two\nlines",3',
        b'1,"two\nlines"',
        b'"two\nlines"x,2,3',
    ]
)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """One DuckDB for all examples: most of an example's time would be opening it."""
    return duckdb.connect(":memory:", config={"threads": 2})


@settings(max_examples=40)
@given(lines=st.lists(LINES, max_size=30), ended=st.booleans())
def test_every_row_of_a_broken_csv_has_its_number(lines: list[bytes], ended: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "t.csv"
        file.write_bytes(b"a,b,c\n" + b"\n".join(lines) + (b"\n" if ended and lines else b""))
        raw = load(database(), file, Path(folder), "raw")
        right = database().execute(f"SELECT {ROW}, a, b, c FROM raw").fetchall()  # noqa: S608 — our own names
        wrong = database().execute(f"SELECT row FROM {raw.malformed}").fetchall()  # noqa: S608 — our own names
    assert sorted([row for row, *_ in right] + [row for (row,) in wrong]) == list(range(1, len(lines) + 1))
    whole = {b"1,2,3": ("1", "2", "3"), b",,": (None,) * 3, b'1,"two\nlines",3': ("1", "two\nlines", "3")}
    for row, *values in right:
        assert tuple(values) == whole.get(lines[row - 1], tuple(values))
    assert {lines[row - 1] for (row,) in wrong}.isdisjoint(whole)


@settings(max_examples=20)
@given(
    body=st.lists(CELLS, max_size=40).map(b"".join)
    | st.lists(CELLS, max_size=40).map(b",".join)
    | st.binary(max_size=200)
)
def test_arbitrary_bytes_under_a_header_are_refused_or_counted(make_hm: Callable[[Path], Any], body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hm = make_hm(Path(folder))
        right = f"2020-09-01,u,{A},1,1\n".encode()
        header = b"t_dat,customer_id,article_id,price,sales_channel_id\n"
        (hm.root / "transactions_train.csv").write_bytes(header + right + right + body)
        source = open_source("hm", hm.root, first_day=FIRST, threads=1)
        try:
            days = [landed for _, landed in source.land("interactions", DAYS[:1])]
            again = [landed for _, landed in source.land("interactions", DAYS[:1])]
        except SourceError as error:
            assert "transactions_train.csv" in str(error)  # noqa: PT017 — either outcome is right
            return
    assert days[0].accepted.num_rows >= 2
    assert days[0].accepted.equals(again[0].accepted)
    assert days[0].rejected.equals(again[0].rejected)


@settings(max_examples=25)
@given(data=st.data())
def test_a_damaged_parquet_file_is_refused_or_counted(make_zone: Callable[[Path], Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        zone = make_zone(Path(folder))
        rows = [{"article_id": f"a{n}", "in_stock": True, "price": float(n), "name": "x" * n} for n in range(50)]
        file = zone.put("articles", FIRST, rows)
        content = bytearray(file.read_bytes())
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content) - 1))]
        else:
            for _ in range(data.draw(st.integers(1, 5))):
                content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        file.write_bytes(bytes(content))
        try:
            [(_, landed)] = open_source("parquet", zone.root, threads=1).land("articles", DAYS[:1])
        except SourceError as error:
            assert "ds=2020-09-01.parquet" in str(error)  # noqa: PT017 — either outcome is right
            return
        assert landed.rows_in == landed.accepted.num_rows + landed.rejected.num_rows


VALUES = st.one_of(
    st.none(),
    st.text(max_size=5),
    st.integers(-5, 5),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=3),
)


@settings(max_examples=20)
@given(data=st.data())
def test_landing_zone_columns_of_any_type_are_refused_or_counted(
    make_zone: Callable[[Path], Any], data: st.DataObject
) -> None:
    columns = ("customer_id", "article_id", "occurred_at", "kind", "price", "channel", "session_id")
    column = data.draw(st.sampled_from(columns))
    strategy = data.draw(st.sampled_from(VALUES.element_strategies[1:]))  # type: ignore[attr-defined]
    values = data.draw(st.lists(st.none() | strategy, min_size=1, max_size=6))
    with tempfile.TemporaryDirectory() as folder:
        zone = make_zone(Path(folder))
        try:
            spoilt = pa.array(values)
        except (pa.ArrowInvalid, UnicodeEncodeError):
            return
        table = pa.Table.from_pylist([zone.event(price=1.0, channel="web", session_id="s") for _ in values])
        table = table.set_column(table.column_names.index(column), column, spoilt)
        try:
            zone.put("interactions", FIRST, table)
        except pa.ArrowInvalid:
            return
        try:
            [(_, landed)] = open_source("parquet", zone.root, threads=1).land("interactions", DAYS[:1])
        except SourceError as error:
            assert repr(column) in str(error)  # noqa: PT017 — either outcome is right
            return
        assert landed.rows_in == len(values)
        assert set(landed.rejected.column("column_name").to_pylist()) <= {column}


def test_every_kind_of_rejection_is_valid_json_of_the_row(zone: Any, on: Land) -> None:
    rows = [
        zone.event(kind=kind, note=note)
        for kind, note in [("look", 'a "b"'), ("l\nook", None), ("", "\\"), ("view", "")]
    ]
    zone.put("interactions", FIRST, rows)
    landed = on(open_source("parquet", zone.root), "interactions")
    records = [json.loads(record) for record in landed.rejected.column("record").to_pylist()]
    assert [(record["kind"], record["note"]) for record in records] == [("look", 'a "b"'), ("l\nook", None), ("", "\\")]
    assert records[0]["occurred_at"] == "2020-09-01 12:00:00"


def test_names_of_columns_are_no_sql(zone: Any, on: Land) -> None:
    evil = 'x"; DROP TABLE interactions_raw; --'
    zone.put("interactions", FIRST, [zone.event(kind="look") | {evil: "1", "it's": "2"}, zone.event()])
    landed = on(open_source("parquet", zone.root), "interactions")
    assert landed.rows_in == 2
    assert pq.read_metadata(zone.root / "interactions" / f"ds={FIRST}.parquet").num_rows == 2
