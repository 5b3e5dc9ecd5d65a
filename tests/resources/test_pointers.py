"""Pointers: small, readable, and clear about what is wrong with them."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import tables
from resources.pointers import PART, Pointer, PointerError, Pointers, file_name, pointer_name
from resources.schema import Table
from resources.storage import Storage, as_text

DAY = date(2020, 9, 22)


def pointer(ds: date = DAY, part: str | None = None, table: str = "articles") -> Pointer:
    return Pointer(table, ds, part, "f.parquet", 3, "0" * 64, "run", datetime(2020, 9, 23, 4, 0, 0, 17, tzinfo=UTC))


def of_table(table: Table) -> st.SearchStrategy[Pointer]:
    return st.builds(
        Pointer,
        table=st.just(table.name),
        ds=st.dates(),
        part=st.none() if table.part is None else st.from_regex(PART, fullmatch=True),
        file=st.text(),
        rows=st.integers(0, 2**40),
        data_version=st.text(),
        run_id=st.text(),
        written_at=st.datetimes(timezones=st.just(UTC)),
        size=st.none() | st.integers(0, 2**40),
    )


@given(st.sampled_from(list(tables.REGISTRY.values())).flatmap(of_table))
def test_json_round_trip(original: Pointer) -> None:
    text, table = original.to_json(), tables.table(original.table)
    assert text.count("\n") == 1
    assert Pointer.from_json(text, table, pointer_name(table, original.ds, original.part)) == original


def test_a_pointer_written_before_sizes_were_recorded_is_read() -> None:
    old = json.loads(pointer().to_json())
    del old["size"]
    assert Pointer.from_json(json.dumps(old), tables.raw.ARTICLES, "articles/ds=2020-09-22.json") == pointer()


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_pointer_with_a_changed_byte_is_refused_or_is_of_its_own_partition(place: int, byte: int) -> None:
    original = pointer(part="images", table="rejected")
    content = bytearray(original.to_json().encode())
    content[place % len(content)] = byte
    with suppress(PointerError):  # nothing else is raised
        found = Pointer.from_json(as_text(bytes(content)), tables.raw.REJECTED, "rejected/ds=2020-09-22/images.json")
        assert (found.table, found.ds, found.part) == (original.table, original.ds, original.part)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"table": "articles"',
        pointer().to_json().replace("rows", "lines"),
        pointer(date(2020, 9, 21)).to_json(),
        pointer(table="customers").to_json(),
        pointer().to_json().replace('"run"', '"r\0n"'),
    ],
)
def test_what_is_no_pointer_is_named(text: str) -> None:
    said = r"articles/ds=2020-09-22\.json is not a pointer \(.*dg launch --job ingest --partition 2020-09-22$"
    with pytest.raises(PointerError, match=said):
        Pointer.from_json(text, tables.raw.ARTICLES, "articles/ds=2020-09-22.json")


def test_names() -> None:
    assert pointer_name(tables.raw.ARTICLES, DAY) == "articles/ds=2020-09-22.json"
    assert pointer_name(tables.raw.REJECTED, DAY, "articles") == "rejected/ds=2020-09-22/articles.json"
    assert file_name(tables.raw.ARTICLES, DAY, None, "ab") == "articles/ds=2020-09-22/ab.parquet"
    assert file_name(tables.raw.REJECTED, DAY, "images", "ab") == "rejected/ds=2020-09-22/part=images/ab.parquet"


def test_listing_is_by_day_and_part(tmp_path: Path) -> None:
    pointers = Pointers(Storage(tmp_path))
    first, second = date(2020, 9, 9), date(2020, 10, 1)
    assert pointers.of_table(tables.raw.REJECTED) == []
    written = [pointer(ds, part, "rejected") for ds in (first, second) for part in ("articles", "images")]
    for one in reversed(written):
        pointers.put(tables.raw.REJECTED, one)
    assert pointers.of_table(tables.raw.REJECTED) == written
    assert pointers.of_table(tables.raw.REJECTED, until=first) == written[:2]
    assert pointers.of_day(tables.raw.REJECTED, second) == written[2:]
    assert pointers.get(tables.raw.REJECTED, second, "images") == written[3]
    assert pointers.get(tables.raw.REJECTED, second, "customers") is None
    assert pointers.get(tables.raw.ARTICLES, second) is None
