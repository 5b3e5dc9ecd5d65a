"""Pointers: small, readable, and clear about what is wrong with them."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import tables
from resources.pointers import Pointer, PointerError, Pointers, file_name, pointer_name
from resources.storage import Storage

DAY = date(2020, 9, 22)


def pointer(ds: date = DAY, part: str | None = None, table: str = "articles") -> Pointer:
    return Pointer(table, ds, part, "f.parquet", 3, "0" * 64, "run", datetime(2020, 9, 23, 4, 0, 0, 17, tzinfo=UTC))


@given(
    st.builds(
        Pointer,
        table=st.sampled_from(list(tables.REGISTRY)),
        ds=st.dates(),
        part=st.none() | st.text(min_size=1),
        file=st.text(),
        rows=st.integers(0, 2**40),
        data_version=st.text(),
        run_id=st.text(),
        written_at=st.datetimes(timezones=st.just(UTC)),
    )
)
def test_json_round_trip(original: Pointer) -> None:
    text = original.to_json()
    assert text.count("\n") == 1
    assert Pointer.from_json(text, "x.json") == original


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"table": "articles"', pointer().to_json().replace("rows", "lines")]
)
def test_what_is_no_pointer_is_named(text: str) -> None:
    with pytest.raises(PointerError, match=r"articles/ds=2020-09-22\.json is not a pointer"):
        Pointer.from_json(text, "articles/ds=2020-09-22.json")


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
