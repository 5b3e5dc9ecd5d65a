"""A file says what it says: neither its path, nor its line ends, nor the case of its columns change a value."""

import gzip
import itertools
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import SourceError
from atelier.sources import Landed, line_ends, open_source
from atelier.sources.file_format import check_format
from atelier.sources.line_ends import unify_line_ends
from atelier.sources.reading import EngineOptions, engine, load

pytestmark = pytest.mark.hostile

Land = Callable[..., Landed]
FIRST = date(2020, 9, 1)
AWKWARD = ["brand=HM", "kind=purchase", "export[1]", "all*", "what?", "ds=1999-01-01", "é ü", "a'b"]


def rejected(landed: Landed) -> list[tuple[int, str, str, bool]]:
    names = ("row", "column_name", "reason", "row_kept")
    return [tuple(row[name] for name in names) for row in landed.rejected.to_pylist()]  # type: ignore[misc]


# Paths.


@pytest.mark.parametrize("folder", AWKWARD)
def test_the_path_of_a_landing_zone_says_nothing_about_its_rows(
    tmp_path: Path, make_zone: Any, on: Land, folder: str
) -> None:
    for name in (folder, *("exportX", "export1", "allX", "whatX")):
        (tmp_path / name).mkdir()
    other = make_zone(tmp_path / ("export1" if folder != "export1" else "exportX"))
    other.put("articles", FIRST, [{"article_id": "other", "in_stock": True}])
    zone = make_zone(tmp_path / folder)
    zone.put("articles", FIRST, [{"article_id": "a", "in_stock": True, "brand": "Own Brand"}])
    source = open_source("parquet", zone.root)
    assert on(source, "articles").accepted.select(["article_id", "brand"]).to_pylist() == [
        {"article_id": "a", "brand": "Own Brand"}
    ]
    assert on(source, "interactions").accepted.column("kind").to_pylist() == ["view"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("folder", ["prod_name=HM", "export[1]", "t_dat=1999-01-01"])
def test_the_path_of_the_hm_files_says_nothing_about_their_rows(
    tmp_path: Path, make_hm: Any, on: Land, folder: str, suffix: str
) -> None:
    (tmp_path / folder).mkdir()
    hm = make_hm(tmp_path / folder)
    if suffix == ".parquet":
        table = pa.Table.from_pylist([hm.article("0000000001")])
        pq.write_table(table, hm.root / "articles.parquet")
    source = open_source("hm", hm.root, temp_dir=tmp_path / folder / "temp[1]")
    assert set(on(source, "articles").accepted.column("name").to_pylist()) == {"prod_name"}
    assert on(source, "interactions").accepted.num_rows == 1


@pytest.mark.parametrize("name", ["ds=20200902", "ds=2020-W36-3", "ds=2020-09-02T00", "DS=2020-09-02", "2020-09-02"])
def test_a_day_has_one_spelling(zone: Any, name: str) -> None:
    zone.put("articles", FIRST, [{"article_id": "a", "in_stock": True}]).rename(
        zone.root / "articles" / f"{name}.parquet"
    )
    with pytest.raises(SourceError, match=rf"{name}\.parquet: its name is not that of a day's file.*ds=YYYY-MM-DD"):
        open_source("parquet", zone.root)


@pytest.mark.parametrize("name", ["ds=2020-09-02", "ds=2020-09-02.parquet"])
def test_a_folder_of_parts_is_told_from_a_missing_file(zone: Any, name: str) -> None:
    (zone.root / "articles" / name).mkdir()
    pq.write_table(pa.table({"article_id": ["a"]}), zone.root / "articles" / name / "part-0.parquet")
    with pytest.raises(SourceError, match=r"it is a folder with 1 Parquet files, as Spark writes one.*Merge its parts"):
        open_source("parquet", zone.root)


def test_a_folder_in_place_of_an_hm_file_is_told(hm: Any, on: Land) -> None:
    (hm.root / "articles.parquet").mkdir()
    with pytest.raises(SourceError, match=r"articles\.parquet: it is a folder, as Spark writes one"):
        on(open_source("hm", hm.root, first_day=FIRST), "articles")


# Formats.


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(b"t_dat,customer_id\n", mtime=0), "compressed with gzip. Unpack it"),
        (b"PK\x03\x04 and so on", "a zip archive, or an Excel file. Unpack it"),
        ("t_dat,customer_id,article_id,price\n".encode("utf-16"), "text in UTF-16. Write it as plain text in UTF-8"),
        ("t_dat,customer_id,article_id,price\n".encode("utf-16-le"), "text in UTF-16"),
        ("t_dat,customer_id,article_id,price\n".encode("utf-16-be"), "text in UTF-16"),
        ("t_dat,customer_id,article_id,price\n".encode("utf-32"), "text in UTF-32"),
        (b"PAR1\x00\x00", "a Parquet file. Give it the ending .parquet"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed with Zstandard"),
    ],
    ids=["gzip", "zip", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "parquet", "zstandard"],
)
def test_a_csv_of_another_format_is_named(hm: Any, on: Land, content: bytes, what: str) -> None:
    (hm.root / "transactions_train.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"transactions_train\.csv: its name says CSV, but it is {what}"):
        on(open_source("hm", hm.root, first_day=FIRST), "interactions")


@pytest.mark.parametrize("name", ["orchid_id", "ORC", "ORCHID", "BZh", "arrow1_id", "obj"])
def test_a_column_s_name_is_no_signature(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(f"{name},b\n1,2\n")
    check_format(file)


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"ORC\x0a\x00\x01", "an ORC file"), (b"BZh91AY&SY\x00\x01", "compressed with bzip2"), (b"<HTML>", "a web page")],
)
def test_signatures_of_letters_are_still_told(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(SourceError, match=what):
        check_format(tmp_path / "x.csv")


def test_a_folder_of_csv_parts_is_told_with_its_own_remedy(hm: Any, on: Land) -> None:
    sales = hm.root / "transactions_train.csv"
    sales.unlink()
    sales.mkdir()
    (sales / "part-00000.csv").write_text("t_dat\n")
    with pytest.raises(
        SourceError, match=r"a folder with 1 CSV files, as Spark writes one.*into one CSV file with one"
    ):
        on(open_source("hm", hm.root, first_day=FIRST), "interactions")


@pytest.mark.parametrize("name", ["articles.csv.gz", "articles.CSV", "Articles.csv"])
def test_a_file_of_almost_the_right_name_is_named(hm: Any, name: str) -> None:
    (hm.root / "articles.csv").rename(hm.root / name)
    with pytest.raises(SourceError, match=rf"there is no such file, but there is {name}\. Name it articles\.csv or"):
        open_source("hm", hm.root)


# Line ends.


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("usual", ["\n", "\r\n"])
def test_one_line_that_ends_otherwise_stops_nothing(hm: Any, on: Land, usual: str, quoted: bool) -> None:
    other = "\r\n" if usual == "\n" else "\n"
    name = f'"x{other}y"' if quoted else "x"
    lines = [f"2020-09-01,{name if n == 5_000 else 'u'},0000000001,1,1" for n in range(50_000)]
    hm.customers([("u", "", ""), (name.strip('"'), "", "")])
    text = usual.join(["t_dat,customer_id,article_id,price,sales_channel_id", *lines, ""])
    at = text.index(usual, len(text) // 3)
    (hm.root / "transactions_train.csv").write_bytes((text[:at] + other + text[at + len(usual) :]).encode())
    landed = on(open_source("hm", hm.root), "interactions")
    assert (landed.accepted.num_rows, landed.rejected.num_rows) == (50_000, 0)
    assert landed.accepted.column("ordinal").to_pylist() == list(range(50_000))
    assert landed.accepted.column("customer_id").to_pylist()[5_000] == name.strip('"')


def test_a_carriage_return_in_a_description_stays_there(hm: Any, on: Land) -> None:
    header = ",".join(hm.article_columns)
    rows = [",".join(hm.article(f"{n:010}", detail_desc="a\rb" if n == 7 else "plain").values()) for n in range(50)]
    (hm.root / "articles.csv").write_bytes("\n".join([header, *rows, ""]).encode())
    landed = on(open_source("hm", hm.root), "articles")
    assert landed.accepted.column("description").to_pylist() == ["a\rb" if n == 7 else "plain" for n in range(50)]
    assert landed.rejected.num_rows == 0


def test_a_file_of_lone_carriage_returns_with_one_line_feed_loses_no_row(hm: Any, on: Land) -> None:
    lines = ["t_dat,customer_id,article_id,price,sales_channel_id", *["2020-09-01,u,0000000001,1,1"] * 9, ""]
    text = "\r".join(lines)
    (hm.root / "transactions_train.csv").write_bytes((text[:150] + text[150:].replace("\r", "\n", 1)).encode())
    landed = on(open_source("hm", hm.root), "interactions")
    assert (landed.accepted.num_rows, landed.rows_in) == (9, 9)


@pytest.mark.parametrize("other", ["2,x\r\n", "2,x\ry\n"])
def test_an_inch_mark_is_a_character_like_any_other(tmp_path: Path, other: str) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(f'id,name\n1,5" heel\n"2a","say ""hi"", she said"\n{other}3,"a\rb"\n4,""\n5,"""\r"\n'.encode())
    with engine(EngineOptions(temp_dir=tmp_path)) as (connection, _):
        raw = load(connection, file, tmp_path, "raw")
        found = connection.execute("SELECT id, name FROM raw ORDER BY __row").fetchall()
        assert connection.execute(f"FROM {raw.malformed}").fetchall() == []
    names = ['5" heel', 'say "hi", she said', other[2:].rstrip(), "a\rb", None, '"\r']
    assert [(name or None) for _, name in found] == names


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1 << 24])
def test_where_a_file_is_cut_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    text = '\ufeff"a",b\r\n1,5" "x" heel\r\n"""\r",""\n"c""\r\n""",\r\n'
    (tmp_path / "x.csv").write_bytes(text.encode())
    monkeypatch.setattr(line_ends, "_CHUNK", chunk)
    unified = unify_line_ends(tmp_path / "x.csv", tmp_path)
    assert unified is not None
    expected = '\ufeff"a",b\n1,5" "x" heel\n"""\r",""\n"c""\r\n""",\n'
    assert unified.file.read_bytes().decode() == expected


@pytest.mark.parametrize("value", ["a\rb", "a\r\nb", "a\nb", "a"])
@pytest.mark.parametrize("ends", list(itertools.product(["\n", "\r\n"], repeat=4)))
def test_a_quoted_value_is_read_before_any_line_end(tmp_path: Path, value: str, ends: tuple[str, ...]) -> None:
    file = tmp_path / "x.csv"
    lines = ["id,name", "1,x", f'2,"{value}"', "3,y"]
    file.write_bytes("".join(line + end for line, end in zip(lines, ends, strict=True)).encode())
    with engine(EngineOptions(temp_dir=tmp_path)) as (connection, _):
        raw = load(connection, file, tmp_path, "raw")
        assert connection.execute(f"FROM {raw.malformed}").fetchall() == []
        found = connection.execute("SELECT name FROM raw ORDER BY __row").fetchall()
    assert found == [("x",), (value,), ("y",)]


def test_a_quoted_carriage_return_survives_mixed_line_ends_far_away(hm: Any, on: Land) -> None:
    header = ",".join(hm.article_columns)
    rows = [
        ",".join(hm.article(f"{n:010}", detail_desc='"a\rb"' if n == 7 else "plain").values()) for n in range(9_000)
    ]
    rows[6_000] = f'{rows[6_000][: rows[6_000].rindex(",")]},"plain"\r'
    (hm.root / "articles.csv").write_bytes("\n".join([header, *rows, ""]).encode())
    landed = on(open_source("hm", hm.root), "articles")
    assert (landed.accepted.num_rows, rejected(landed)) == (9_000, [])
    assert landed.accepted.column("description").to_pylist()[7] == "a\rb"


FIELD = st.text(st.sampled_from('ab,"\r\n'), max_size=4)


@settings(max_examples=60)
@given(st.lists(st.tuples(FIELD, st.sampled_from(["\n", "\r\n"])), min_size=1, max_size=8))
def test_unifying_changes_only_what_is_outside_of_quotes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    quoted = ['"' + field.replace('"', '""') + '"' for field, _ in lines]
    file = folder / "x.csv"
    file.write_bytes("".join(f"{text}{end}" for text, (_, end) in zip(quoted, lines, strict=True)).encode())
    unified = unify_line_ends(file, folder)
    if unified is None:
        assert not any(end == "\r\n" for _, end in lines)
        return
    assert unified.file.read_bytes().decode() == "".join(f"{text}\n" for text in quoted)


# Columns.


def test_columns_are_found_in_capitals(zone: Any, on: Land) -> None:
    zone.put("articles", FIRST, [{"ARTICLE_ID": "a", "In_Stock": True, "PRICE": 2.0, "NAME": "shirt"}])
    landed = on(open_source("parquet", zone.root), "articles")
    assert landed.accepted.select(["article_id", "name", "in_stock"]).to_pylist() == [
        {"article_id": "a", "name": "shirt", "in_stock": True}
    ]
    assert [float(price) for price in landed.accepted.column("price").to_pylist()] == [2.0]


def test_absent_optional_columns_are_noted_once(zone: Any, on: Land) -> None:
    zone.put("customers", FIRST, [{"customer_id": "u", "AGE": 30}])
    assert on(open_source("parquet", zone.root), "customers").notes == (
        "customers: the files have no column profile: null in every row",
    )


def test_absent_optional_columns_of_the_hm_files_are_null_and_noted(hm: Any, on: Land) -> None:
    lacking = ("product_code", "prod_name", "detail_desc")
    names = [name for name in hm.article_columns if name not in lacking]
    article = hm.article("0000000001")
    (hm.root / "articles.csv").write_text("\n".join([",".join(names), ",".join(article[name] for name in names), ""]))
    hm.sales(
        [("2020-09-01", "u", "0000000001", "1")], header=("t_dat", "customer_id", "article_id", "sales_channel_id")
    )
    source = open_source("hm", hm.root)
    note = "articles: the files have no column product_code, prod_name, detail_desc: null in every row"
    landed = {table: on(source, table) for table in ("articles", "interactions", "annotated_attributes")}
    assert landed["articles"].notes == landed["annotated_attributes"].notes == (note,)
    assert landed["interactions"].notes == ("interactions: the files have no column price: null in every row",)
    [found] = landed["articles"].accepted.to_pylist()
    assert [found[name] for name in ("product_code", "name", "description", "price", "in_stock")] == [None] * 4 + [True]
    assert landed["interactions"].accepted.column("price").to_pylist() == [None]


@pytest.mark.parametrize("second", ["price", "PRICE"])
def test_two_columns_of_one_name_in_parquet_are_fatal(zone: Any, on: Land, second: str) -> None:
    columns = [pa.array(["a"]), pa.array([True]), pa.array([1.0]), pa.array([2.0])]
    zone.put("articles", FIRST, pa.Table.from_arrays(columns, names=["article_id", "in_stock", "price", second]))
    with pytest.raises(SourceError, match=r"column '(PRICE|price)': two columns have this name"):
        on(open_source("parquet", zone.root), "articles")


@pytest.mark.parametrize("index", ["Unnamed: 0", "", "__index_level_0__"])
def test_an_index_that_pandas_wrote_is_no_part_of_the_profile(hm: Any, on: Land, index: str) -> None:
    hm.customers([("0", "u", "30", "ACTIVE"), ("1", "v", "", "")], header=(index, "customer_id", "age", "status"))
    landed = on(open_source("hm", hm.root), "customers")
    assert landed.accepted.column("profile").to_pylist() == [[("status", "ACTIVE")], None]
    assert any("is an index that pandas wrote: left out" in note for note in landed.notes)


# Values.


@pytest.mark.parametrize("at", ["T12:00", "T12:00:00", "T12:00:00.000000", " 12:00:00"])
def test_iso_times_with_a_t_are_read(zone: Any, hm: Any, on: Land, at: str) -> None:
    zone.put("interactions", FIRST, [zone.event(occurred_at=f"2020-09-01{at}")])
    zone.put("articles", FIRST, [{"article_id": "a", "in_stock": True, "available_from": f"2020-09-01{at}"}])
    source = open_source("parquet", zone.root)
    assert on(source, "interactions").accepted.column("occurred_at").to_pylist() == [datetime(2020, 9, 1, 12)]
    assert on(source, "articles").accepted.column("available_from").to_pylist() == [FIRST]
    hm.sales([(f"2020-09-01{at}", "u", "0000000001", "1", "1")])
    landed = on(open_source("hm", hm.root), "interactions")
    assert (landed.accepted.column("occurred_at").to_pylist(), rejected(landed)) == ([datetime(2020, 9, 1)], [])


def test_empty_text_is_null_in_parquet_as_in_csv(zone: Any, on: Land) -> None:
    row = {"article_id": "a", "in_stock": "true", "price": "", "available_until": "", "available_from": "", "name": ""}
    zone.put("articles", FIRST, [row])
    landed = on(open_source("parquet", zone.root), "articles")
    assert rejected(landed) == []
    [found] = landed.accepted.to_pylist()
    assert [found[name] for name in ("price", "available_until", "available_from", "name")] == [None] * 4
    assert found["in_stock"] is True


@pytest.mark.parametrize("end", [date(9999, 12, 31), datetime(2999, 12, 31), "9999-12-31", "9999-12-31 23:59:59"])
def test_an_end_that_never_comes_is_no_end(zone: Any, on: Land, end: Any) -> None:
    zone.put("articles", FIRST, [{"article_id": a, "in_stock": True, "available_until": end} for a in "ab"])
    landed = on(open_source("parquet", zone.root), "articles")
    assert rejected(landed) == []
    assert (
        landed.accepted.select(["available_until", "in_stock"]).to_pylist()
        == [{"available_until": None, "in_stock": True}] * 2
    )


@pytest.mark.parametrize(
    "dates",
    [
        {"available_until": "2020-08-01 UTC"},
        {"available_from": "soon", "available_until": "2020-12-01"},
        {"available_from": "9999-12-31"},
    ],
)
def test_an_article_whose_dates_cannot_be_read_is_not_in_stock(zone: Any, on: Land, dates: dict[str, str]) -> None:
    none = {"available_from": None, "available_until": None}
    articles = [{"article_id": "a", "in_stock": True} | none | dates, {"article_id": "b", "in_stock": True} | none]
    zone.put("articles", FIRST, articles)
    landed = on(open_source("parquet", zone.root), "articles")
    assert landed.accepted.column("in_stock").to_pylist() == [False, True]
    assert [(row, kept) for row, _, _, kept in rejected(landed)] == [(1, True)]


def test_spaces_are_no_value(zone: Any, on: Land) -> None:
    row = {"article_id": "12E5", "in_stock": "FALSE ", "price": "  ", "available_until": " ", "available_from": " "}
    zone.put("articles", FIRST, [row])
    landed = on(open_source("parquet", zone.root), "articles")
    assert rejected(landed) == []
    [found] = landed.accepted.to_pylist()
    assert [found[name] for name in ("article_id", "in_stock", "price", "available_until")] == [
        "12E5",
        False,
        None,
        None,
    ]


def test_identifiers_that_were_written_as_floats_are_refused(zone: Any, on: Land) -> None:
    zone.put("articles", FIRST, [{"article_id": 12e5, "in_stock": True}])
    with pytest.raises(SourceError, match=r"column 'article_id': its type is DOUBLE, which is not text"):
        on(open_source("parquet", zone.root), "articles")


def test_a_customer_of_age_minus_one_is_kept_with_their_purchases(hm: Any, on: Land) -> None:
    hm.customers([("u", "-1", "ACTIVE"), ("v", "30", "")])
    source = open_source("hm", hm.root)
    customers = on(source, "customers")
    assert customers.accepted.column("age").to_pylist() == [None, 30]
    assert rejected(customers) == [(1, "age", "is negative", True)]
    assert (customers.rows_in, customers.rejected_rows, customers.values_dropped) == (2, 0, 1)
    assert on(source, "interactions").accepted.column("customer_id").to_pylist() == ["u"]


def test_a_returned_article_is_an_interaction_of_its_own_kind(zone: Any, on: Land) -> None:
    zone.put("interactions", FIRST, [zone.event(kind="purchase"), zone.event(kind="return")])
    landed = on(open_source("parquet", zone.root), "interactions")
    assert landed.accepted.column("kind").to_pylist() == ["purchase", "return"]


def test_a_photograph_whose_name_is_not_utf8_is_one_rejected_row(hm: Any, on: Land) -> None:
    hm.photograph("000/0000000001.jpg")
    (hm.root / "images/000").joinpath(b"caf\xe9.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"x")
    landed = on(open_source("hm", hm.root), "images")
    assert landed.accepted.column("path").to_pylist() == ["000/0000000001.jpg"]
    [row] = landed.rejected.to_pylist()
    assert row["source_file"] == r"images/000/caf\xe9.jpg"
    assert (row["column_name"], row["reason"]) == ("path", "is not UTF-8: rename the file")


# Room.


def test_a_lack_of_memory_names_the_folder_and_the_options(hm: Any, tmp_path: Path, on: Land) -> None:
    hm.sales([("2020-09-01", "u", "0000000001", "1", "1")] * 200_000)
    source = open_source("hm", hm.root, memory_limit="1MB", temp_dir=tmp_path / "spill")
    with pytest.raises(SourceError, match=r"spill: there is no room for temporary files.*temp_dir.*memory_limit"):
        on(source, "interactions")


def test_a_temp_dir_that_cannot_be_used_is_named(hm: Any, tmp_path: Path, on: Land) -> None:
    (tmp_path / "file").write_text("x")
    for temp_dir in (tmp_path / "file", tmp_path / "file" / "below"):
        source = open_source("hm", hm.root, temp_dir=temp_dir)
        with pytest.raises(SourceError, match=rf"{temp_dir}: temp_dir cannot be used \(.*\)\. Set temp_dir"):
            on(source, "articles")


def test_a_memory_limit_that_is_none_is_named(hm: Any, on: Land) -> None:
    with pytest.raises(SourceError, match=r"memory_limit is 'lots': write a number and its unit"):
        on(open_source("hm", hm.root, memory_limit="lots"), "articles")


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("last", ['3,"x', '3,"', '3,"a""', '3,"two\nlines'])
def test_a_last_row_with_an_unclosed_quote_is_malformed_with_and_without_a_line_end(
    tmp_path: Path, last: str, end: str
) -> None:
    """DuckDB leaves such a row out without a word where no line end follows."""
    file = tmp_path / "x.csv"
    file.write_text(f'a,b\n1,"p, q"\n{last}{end}', newline="")
    with engine(EngineOptions(temp_dir=tmp_path / "temporary")) as (connection, folder):
        raw = load(connection, file, tmp_path, "x")
        assert connection.execute("SELECT a, b FROM x").fetchall() == [("1", "p, q")]
        [(row, reason)] = connection.execute(f"SELECT row, reason FROM {raw.malformed}").fetchall()  # noqa: S608
        assert row == 2
        assert reason.startswith("is not a row of CSV: ")
        assert [each.name for each in folder.iterdir() if each.suffix == ".csv"] == []
    assert file.read_text() == f'a,b\n1,"p, q"\n{last}{end}'


@pytest.mark.parametrize("last", ["3,x", '3,"x"', '3,""', '3,"a"""', '3,""""', "3,"])
def test_a_last_row_without_line_end_is_a_row(tmp_path: Path, last: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(f"a,b\n1,2\n{last}")
    with engine(EngineOptions()) as (connection, _):
        raw = load(connection, file, tmp_path, "x")
        assert connection.execute("SELECT count(*) FROM x").fetchall() == [(2,)]
        assert connection.execute(f"FROM {raw.malformed}").fetchall() == []
