"""The feature store: what is written is what is read, as of a day, and nothing half-done is ever seen."""

import os
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from atelier.errors import ContractViolation, PartitionMissing
from resources import tables
from resources.contracts import Audit
from resources.feature_store import FeatureStore
from resources.schema import Table
from resources.staging import ROW_GROUP, SchemaMismatch, StagedFile

DAY = date(2020, 9, 22)


def days(count: int, first: date = DAY) -> list[date]:
    return [first + timedelta(days=i) for i in range(count)]


def articles(*ids: str, available_from: date | None = None, price: float = 10.0) -> pd.DataFrame:
    frame = pd.DataFrame({"article_id": list(ids), "price": price, "available_from": available_from, "in_stock": True})
    for column in ("product_code", "name", "description", "product_type", "brand", "division", "available_until"):
        frame[column] = None
    return frame


def interactions(rows: int, ds: date = DAY, mark: str = "c") -> pa.Table:
    return pa.table(
        {
            "ordinal": pa.array(range(rows), pa.int64()),
            "customer_id": [f"{mark}{i % 7}" for i in range(rows)],
            "article_id": [f"a{i % 5}" for i in range(rows)],
            "occurred_at": pa.array([pd.Timestamp(ds)] * rows, pa.timestamp("us")),
            "kind": ["purchase"] * rows,
            "price": [0.1] * rows,
            "channel": pa.nulls(rows),
            "session_id": pa.nulls(rows),
        }
    )


def neighbours(model: str, *ids: str) -> pd.DataFrame:
    frame = pd.DataFrame({"article_id": list(ids), "similar_article_id": "z", "rank": 1, "similarity": 0.5})
    return frame.assign(model=model, model_id="m")


def files_of(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*.parquet"))


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", threads=1)


# ---------------------------------------------------------------- writing


def test_a_partition_comes_back_cast_sorted_and_without_ds(store: FeatureStore, tmp_path: Path) -> None:
    written = store.write("articles", DAY, articles("b", "a", "c", price=0.1), run_id="run-7")

    table = store.read("articles", DAY)
    assert table.column_names == [column.name for column in tables.raw.ARTICLES.columns]
    assert table["article_id"].to_pylist() == ["a", "b", "c"]
    assert table["price"].to_pylist() == [Decimal("0.100000000")] * 3  # money is exact
    assert table.schema.field("available_from").type == pa.date32()

    pointer = written.pointer
    assert (pointer.table, pointer.ds, pointer.part, pointer.rows, pointer.run_id) == (
        "articles",
        DAY,
        None,
        3,
        "run-7",
    )
    assert pointer.file == f"articles/ds={DAY}/{pointer.data_version}.parquet"
    assert (tmp_path / "store" / f"articles/ds={DAY}.json").is_file()
    assert store.location(pointer) == str(tmp_path / "store" / pointer.file)
    assert store.pointer("articles", DAY) == pointer


@pytest.mark.parametrize("form", ["frame", "table", "reader", "relation", "dictionary"])
def test_every_form_of_input_gives_the_same_bytes(store: FeatureStore, form: str) -> None:
    table = interactions(50)
    expected = store.write("interactions", DAY, table).pointer.data_version
    kinds = table["kind"].dictionary_encode()
    data: Any = {
        "frame": lambda: table.to_pandas(),
        "table": lambda: table.select(sorted(table.column_names)),
        "reader": lambda: table.to_reader(max_chunksize=7),
        "relation": lambda: duckdb.connect().from_arrow(table),
        "dictionary": lambda: table.set_column(table.column_names.index("kind"), "kind", kinds),
    }[form]()
    assert store.write("interactions", DAY, data).pointer.data_version == expected


def test_bytes_depend_neither_on_threads_nor_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = 2 * ROW_GROUP + 1_000
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "ordinal": np.arange(rows),
            "customer_id": rng.integers(0, 999, rows).astype(str),
            "article_id": rng.integers(0, 99, rows).astype(str),
            "occurred_at": np.full(rows, np.datetime64(DAY, "us")),
            "kind": np.array(["view", "bag"])[rng.integers(0, 2, rows)],
            "price": rng.random(rows),
            "channel": pa.nulls(rows),
            "session_id": pa.nulls(rows),
        }
    )
    shuffled = table.take(rng.permutation(rows))
    versions = set()
    for threads, data in ((1, table), (2, table), (2, shuffled), (2, shuffled.to_reader(max_chunksize=10_007))):
        store = FeatureStore(tmp_path / uuid.uuid4().hex, threads=threads)
        pointer = store.write("interactions", DAY, data).pointer
        versions.add(pointer.data_version)
    assert len(versions) == 1
    file = pq.ParquetFile(store.location(pointer))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 1_000]
    assert np.array_equal(file.read(["ordinal"])["ordinal"].to_numpy(), np.arange(rows))


def test_a_reader_is_consumed_batch_by_batch(store: FeatureStore) -> None:
    """Of 100 batches only a few are alive at any time: the input is never held as a whole."""
    made: list[weakref.ref[NDArray[np.int64]]] = []
    most = 0
    sample = interactions(1_000).to_batches()[0]

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal most
        for start in range(0, 100_000, 1_000):
            ordinals = np.arange(start, start + 1_000)
            made.append(weakref.ref(ordinals))
            most = max(most, sum(reference() is not None for reference in made))
            # the batch borrows the array's memory, so the array lives as long as the batch does anywhere
            yield sample.set_column(
                0, "ordinal", pa.Array.from_buffers(pa.int64(), 1_000, [None, pa.py_buffer(ordinals)])
            )

    reader = pa.RecordBatchReader.from_batches(sample.schema, batches())
    assert store.write("interactions", DAY, reader).pointer.rows == 100_000
    assert most <= 10


def test_an_empty_partition_is_a_partition(store: FeatureStore) -> None:
    assert store.write("interactions", DAY, interactions(0)).pointer.rows == 0
    assert store.read("interactions", DAY).num_rows == 0
    assert store.connect(DAY).sql("SELECT count(*) FROM interactions").fetchall() == [(0,)]


def test_missing_extra_and_uncastable_columns_are_named(store: FeatureStore) -> None:
    good = articles("a")
    with pytest.raises(SchemaMismatch, match=r"articles, ds=2020-09-22: lacks column brand, in_stock"):
        store.write("articles", DAY, good.drop(columns=["brand", "in_stock"]))
    with pytest.raises(SchemaMismatch, match=r"articles, ds=2020-09-22: does not know column colour"):
        store.write("articles", DAY, good.assign(colour="red"))
    with pytest.raises(SchemaMismatch, match=r"articles, ds=2020-09-22: cannot cast.*cheap"):
        store.write("articles", DAY, good.assign(price="cheap"))
    with pytest.raises(TypeError, match="list"):
        store.write("articles", DAY, [])
    with pytest.raises(KeyError, match="no table 'nonsense'"):
        store.write("nonsense", DAY, good)
    assert store.pointers() == []


def test_parts_are_written_apart_and_read_together(store: FeatureStore, tmp_path: Path) -> None:
    store.write("similar_articles", DAY, neighbours("popular", "b", "a"), part="popular")
    pointer = store.write("similar_articles", DAY, neighbours("als", "c"), part="als").pointer

    assert pointer.file.startswith(f"similar_articles/ds={DAY}/part=als/")
    assert (tmp_path / "store" / f"similar_articles/ds={DAY}/als.json").is_file()
    assert store.read("similar_articles", DAY, part="popular")["article_id"].to_pylist() == ["a", "b"]
    assert store.read("similar_articles", DAY)["article_id"].to_pylist() == ["c", "a", "b"]
    rows = store.connect(DAY, ["similar_articles"]).sql(
        "SELECT model, article_id, ds FROM similar_articles ORDER BY ALL"
    )
    assert rows.fetchall() == [("als", "c", DAY), ("popular", "a", DAY), ("popular", "b", DAY)]
    with pytest.raises(PartitionMissing, match="part hybrid"):
        store.read("similar_articles", DAY, part="hybrid")


def test_wrong_parts_are_refused(store: FeatureStore) -> None:
    with pytest.raises(SchemaMismatch, match=r"part als: column model also holds 'popular'"):
        store.write("similar_articles", DAY, neighbours("popular", "a"), part="als")
    with pytest.raises(ValueError, match="is needed"):
        store.write("similar_articles", DAY, neighbours("als", "a"))
    with pytest.raises(ValueError, match="has no parts"):
        store.write("articles", DAY, articles("a"), part="als")
    for unsafe in ("../x", "a/b", "", "a.json", "a b"):
        with pytest.raises(ValueError, match="letters, digits"):
            store.write("similar_articles", DAY, neighbours(unsafe, "a"), part=unsafe)


def test_a_snapshot_equal_to_the_day_before_is_only_a_pointer(store: FeatureStore, tmp_path: Path) -> None:
    first, second, third, fourth = days(4)
    frames = [articles("a"), articles("a"), articles("a"), articles("a", "b")]
    written = store.write_range("articles", zip((first, second, third, fourth), frames, strict=True))
    assert len({w.pointer.file for w in written}) == 2
    assert len(files_of(tmp_path / "store")) == 2
    view = store.connect(third, ["articles"]).sql("SELECT article_id, ds FROM articles")
    assert view.fetchall() == [("a", third)]


def test_equal_events_of_two_days_stay_two_files(store: FeatureStore) -> None:
    first, second = days(2)
    store.write_range("interactions", [(first, interactions(3)), (second, interactions(3))])
    counts = store.connect(second).sql("SELECT ds, count(*) FROM interactions GROUP BY ds ORDER BY ds")
    assert counts.fetchall() == [(first, 3), (second, 3)]


# ---------------------------------------------------------------- audit


@dataclass
class Result:
    """What the store reads of an expectation's result."""

    name: str = "unique"
    column: str | None = "article_id"
    success: bool = False
    blocking: bool = True
    observed: str = "2 duplicates"


@dataclass
class Verdict:
    """What the store reads of an audit."""

    success: bool
    results: list[Result] = field(default_factory=list)


class Auditor:
    """Fails where a staged article is called ``bad``."""

    def __init__(self) -> None:
        self.calls: list[list[StagedFile]] = []

    def __call__(self, table: Table, staged: Sequence[StagedFile]) -> Any:
        assert table is tables.raw.ARTICLES
        self.calls.append(list(staged))
        ids = [i for file in staged for i in pq.ParquetFile(file.path).read()["article_id"].to_pylist()]
        return Verdict("bad" not in ids, [Result()] if "bad" in ids else [])


def test_a_range_is_audited_once_and_published_only_as_a_whole(tmp_path: Path) -> None:
    auditor = Auditor()
    store = FeatureStore(tmp_path, audit=auditor)
    first, second = days(2)
    good = store.write_range("articles", [(second, articles("b")), (first, articles("a"))])
    assert [w.pointer.ds for w in good] == [first, second]
    assert good[0].audit is good[1].audit is not None
    assert [(file.ds, file.rows) for file in auditor.calls[0]] == [(first, 1), (second, 1)]

    before = store.pointers()
    with pytest.raises(
        ContractViolation, match=r"articles, ds=2020-09-22 to 2020-09-23 .*unique\(article_id\)"
    ) as error:
        store.write_range("articles", [(first, articles("a", "c")), (second, articles("bad"))])
    assert error.value.audit.results[0].observed == "2 duplicates"  # type: ignore[attr-defined]
    assert len(auditor.calls) == 2
    assert store.pointers() == before
    assert len(files_of(tmp_path)) == 2
    assert list((tmp_path / "_staging").iterdir()) == []


def test_a_failing_input_publishes_nothing_of_its_range(store: FeatureStore, tmp_path: Path) -> None:
    first, second = days(2)
    with pytest.raises(SchemaMismatch):
        store.write_range("articles", [(first, articles("a")), (second, articles("b").assign(price="x"))])
    with pytest.raises(ValueError, match="comes twice"):
        store.write_range("articles", [(first, articles("a")), (first, articles("b"))])
    assert store.pointers() == []
    assert files_of(tmp_path) == []
    assert store.write_range("articles", []) == []


# ---------------------------------------------------------------- reading as of a day


def test_a_missing_snapshot_names_the_command(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.write("articles", DAY, articles("a"))
    tomorrow = DAY + timedelta(days=1)
    command = r"dg launch --job ingest --partition 2020-09-23"
    with pytest.raises(PartitionMissing, match=command):
        store.connect(tomorrow, ["articles"])
    with pytest.raises(PartitionMissing, match=command):
        store.read("articles", tomorrow)
    # nothing is named: what is not there is not shown, and yesterday's never stands in
    shown = [name for (name,) in store.connect(tomorrow).sql("SHOW TABLES").fetchall()]
    assert shown == ["interactions"]


@pytest.mark.parametrize("table", list(tables.REGISTRY.values()), ids=lambda table: table.name)
def test_every_table_can_be_empty_and_has_its_declared_types(store: FeatureStore, table: Table) -> None:
    empty = duckdb.sql("SELECT " + ", ".join(f'NULL::{c.type} AS "{c.name}"' for c in table.columns)).limit(0)
    store.write(table.name, DAY, empty, part="p" if table.part else None)
    shown = store.connect(DAY, [table.name]).sql(f'FROM "{table.name}"')
    assert [*zip(shown.columns, map(str, shown.types), strict=True)] == [
        *zip(empty.columns, map(str, empty.types), strict=True),
        ("ds", "DATE"),
    ]


def test_an_event_table_without_partitions_is_empty_but_typed(store: FeatureStore) -> None:
    shown = store.connect(DAY, ["interactions"]).sql("FROM interactions")
    assert shown.columns == [*(c.name for c in tables.raw.INTERACTIONS.columns), "ds"]
    assert str(shown.types[-1]) == "DATE"
    assert shown.fetchall() == []


def test_articles_that_come_later_are_invisible(store: FeatureStore) -> None:
    frame = pd.concat(
        [
            articles("never"),
            articles("now", available_from=DAY),
            articles("later", available_from=DAY + timedelta(days=1)),
        ]
    )
    store.write("articles", DAY, frame)
    seen = store.connect(DAY, ["articles"]).sql("SELECT article_id FROM articles ORDER BY 1").fetchall()
    assert seen == [("never",), ("now",)]
    assert store.read("articles", DAY).num_rows == 3  # the partition itself is whole


def test_the_last_day_is_the_newest_and_where_there_is_none_the_job_is_named(store: FeatureStore) -> None:
    for ds in (days(3)[2], DAY):
        store.write("articles", ds, articles("a"))
    assert store.last_day("articles") == days(3)[2]
    with pytest.raises(PartitionMissing, match=r"there is no offline_metrics yet in .*store.*, or judge for a day"):
        store.last_day("offline_metrics")


def test_a_data_version_is_of_what_a_day_shows_and_stays_the_one_that_manifests_have_recorded(
    store: FeatureStore,
) -> None:
    written = {}
    for ds in days(3):
        written[ds] = store.write("interactions", ds, interactions(2, ds)).pointer.data_version
        store.write("articles", ds, articles(str(ds)))
    parts = {
        part: store.write("similar_articles", DAY, neighbours(part, "a"), part=part).pointer.data_version
        for part in ("popular", "als")
    }
    middle = days(3)[1]
    pointer = store.pointer("articles", middle)
    assert pointer is not None
    expected = {
        "interactions": f"{DAY}/None/{written[DAY]}\n{middle}/None/{written[middle]}",
        "articles": f"{middle}/None/{pointer.data_version}",
        "similar_articles": "",
    }
    for table, text in expected.items():
        assert store.data_version(table, middle) == sha256(text.encode()).hexdigest(), table
    both = f"{DAY}/als/{parts['als']}\n{DAY}/popular/{parts['popular']}"
    assert store.data_version("similar_articles", DAY) == sha256(both.encode()).hexdigest()


def test_a_connection_keeps_what_it_saw(store: FeatureStore) -> None:
    store.write("articles", DAY, articles("old"))
    connection = store.connect(DAY)
    store.write("articles", DAY, articles("new"))
    assert connection.sql("SELECT article_id FROM articles").fetchall() == [("old",)]
    assert store.connect(DAY).sql("SELECT article_id FROM articles").fetchall() == [("new",)]


def test_parameters_can_be_bound(store: FeatureStore) -> None:
    store.write_range("interactions", [(day, interactions(2, day)) for day in days(3)])
    connection = store.connect(days(3)[-1])
    sql = "SELECT count(*) FROM interactions WHERE ds > $as_of - to_days($window)"
    assert connection.execute(sql, {"as_of": days(3)[-1], "window": 2}).fetchone() == (4,)


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["interactions", "articles"]),
        st.integers(0, 3),  # the day
        st.integers(0, 3),  # rows
        st.lists(st.none() | st.integers(0, 4), min_size=3, max_size=3),  # the day from which each article is sold
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None)
@given(WRITES)
def test_nothing_later_is_ever_read(tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[Any, ...]]) -> None:
    store = FeatureStore(tmp_path_factory.mktemp("store"), threads=1)
    calendar = days(5)
    events: dict[date, int] = {}
    catalogues: dict[date, dict[str, date | None]] = {}
    for table, day, rows, starts in writes:
        ds = calendar[day]
        if table == "interactions":
            store.write(table, ds, interactions(rows, ds))
            events[ds] = rows
        else:
            from_days = {f"a{i}": None if s is None else calendar[s] for i, s in enumerate(starts[:rows])}
            frames = [articles(name, available_from=start) for name, start in from_days.items()]
            store.write(table, ds, pd.concat(frames) if frames else articles().astype({"price": float}))
            catalogues[ds] = from_days
    for as_of in calendar:
        with store.connect(as_of) as connection:
            found = connection.sql("SELECT ds, occurred_at::DATE FROM interactions ORDER BY ALL").fetchall()
            assert found == [(ds, ds) for ds, rows in sorted(events.items()) if ds <= as_of for _ in range(rows)]
            shown = {name for (name,) in connection.sql("SHOW TABLES").fetchall()}
            assert ("articles" in shown) == (as_of in catalogues)
            if as_of in catalogues:
                seen = connection.sql("SELECT article_id, ds FROM articles ORDER BY 1").fetchall()
                starts = catalogues[as_of].items()
                assert seen == [(a, as_of) for a, start in starts if start is None or start <= as_of]


# ---------------------------------------------------------------- vacuum


def age(path: Path, by: timedelta) -> None:
    then = time.time() - by.total_seconds()
    os.utime(path, (then, then))


def test_vacuum_removes_only_what_nobody_names_and_is_old(store: FeatureStore, tmp_path: Path) -> None:
    root = tmp_path / "store"
    first, second = days(2)
    old = store.write("articles", first, articles("old")).pointer
    age(root / old.file, timedelta(days=30))
    shared = store.write("articles", second, articles("old")).pointer  # the day before holds the bytes
    assert shared.file == old.file
    store.write("articles", first, articles("new"))
    store.write("similar_articles", first, neighbours("als", "a"), part="als")
    replaced = store.write("similar_articles", first, neighbours("als", "b"), part="als").pointer

    assert store.vacuum(timedelta(0)) != []  # the first list of neighbours
    assert store.read("articles", second)["article_id"].to_pylist() == ["old"]
    assert len(files_of(root)) == 3
    store.write("articles", second, articles("newer"))
    # unnamed only since a moment ago, however old its bytes: a reader may still hold it
    assert store.vacuum(timedelta(hours=1)) == []
    age(root / old.file, timedelta(hours=2))
    assert store.vacuum(timedelta(hours=1)) == [old.file]
    assert store.pointer("similar_articles", first, "als") == replaced
    for pointer in store.pointers():
        assert store.read(pointer.table, pointer.ds, pointer.part).num_rows == 1


def test_vacuum_sweeps_what_killed_writers_left(store: FeatureStore, tmp_path: Path) -> None:
    store.write("articles", DAY, articles("a"))
    left = tmp_path / "store" / "_staging" / "dead"
    left.mkdir()
    (left / "000000.parquet").write_bytes(b"half")
    assert store.vacuum(timedelta(hours=1)) == []
    for path in (left / "000000.parquet", left):
        age(path, timedelta(hours=2))
    assert store.vacuum(timedelta(hours=1)) == ["_staging/dead"]
    assert not left.exists()


# ---------------------------------------------------------------- other roots


def test_object_storage_works_through_fsspec() -> None:
    store = FeatureStore(f"memory://{uuid.uuid4().hex}/store")
    first, second = days(2)
    store.write_range("interactions", [(first, interactions(2)), (second, interactions(3, second))])
    store.write("articles", second, articles("a"))
    store.write("similar_articles", second, neighbours("als", "a"), part="als")
    connection = store.connect(second)
    counts = connection.sql("SELECT ds, count(*) FROM interactions GROUP BY ds ORDER BY ds")
    assert counts.fetchall() == [(first, 2), (second, 3)]
    assert connection.sql("SELECT article_id, model FROM similar_articles").fetchall() == [("a", "als")]
    assert store.read("articles", second)["article_id"].to_pylist() == ["a"]
    replaced = store.pointer("articles", second)
    store.write("articles", second, articles("b"))
    assert replaced is not None
    assert store.vacuum(timedelta(0)) == [replaced.file]
    with pytest.raises(PartitionMissing):
        store.read("articles", first)


def test_a_root_may_be_relative_or_a_file_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = FeatureStore("it's a store")
    store.write("articles", DAY, articles("a"))
    monkeypatch.chdir("/")
    assert store.connect(DAY).sql("SELECT article_id FROM articles").fetchall() == [("a",)]
    again = FeatureStore(f"file://{tmp_path}/it's a store")
    assert again.pointers() == store.pointers()
    with pytest.raises(ValueError, match="pattern"):
        FeatureStore("memory://a[b]")


def test_a_snapshot_that_is_the_same_object_is_staged_and_audited_once(tmp_path: Path) -> None:
    judged: list[list[date]] = []

    def audit(table: Table, staged: Sequence[StagedFile]) -> Audit:
        judged.append([file.ds for file in staged])
        return Audit(table.name, len(staged), 0, [])

    store = FeatureStore(tmp_path / "store", threads=1, audit=audit)
    rows = pa.table({"outfit_id": ["o"], "article_id": ["a"], "role": ["top"]})
    other = pa.table({"outfit_id": ["o"], "article_id": ["b"], "role": ["top"]})
    days = [date(2024, 1, day) for day in range(1, 6)]
    store.write_range("outfits", zip(days, [rows, rows, rows, other, rows], strict=True))
    assert judged == [[days[0], days[3], days[4]]]
    assert [store.read("outfits", day)["article_id"].to_pylist() for day in days] == [["a"], ["a"], ["a"], ["b"], ["a"]]
    assert len({pointer.file for pointer in store.pointers("outfits")}) == 3
