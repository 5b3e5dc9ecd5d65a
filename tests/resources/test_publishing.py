"""atelier.duckdb shows the whole store, is replaced as a whole, and disturbs nobody who reads it."""
# ruff: noqa: S608 - the SQL of these tests is made from the registry

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources import publishing
from resources.contracts import Audit
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.publishing import PublishError, publish
from resources.tables import REGISTRY

pytestmark = pytest.mark.hostile

DAY = date(2020, 9, 1)
DIGESTS = ("0" * 64, "1" * 64)


def days(count: int) -> list[date]:
    return [DAY + timedelta(days=n) for n in range(count)]


def articles(price: float = 1.5) -> pd.DataFrame:
    frame = pd.DataFrame({"article_id": ["a", "b"], "price": price, "in_stock": True, "name": "It's a coat"})
    return frame.reindex(columns=list(REGISTRY["articles"].by_name))


def interactions(ds: date, rows: int = 3) -> pd.DataFrame:
    frame = pd.DataFrame({"ordinal": range(rows), "customer_id": "c", "article_id": "a", "kind": "purchase"})
    frame["occurred_at"] = pd.Timestamp(ds)
    return frame.reindex(columns=list(REGISTRY["interactions"].by_name))


def embeddings() -> pd.DataFrame:
    return pd.DataFrame({"digest": DIGESTS, "encoder_id": "encoder", "dimension": 2, "norm": 1.0})


def metrics(model: str, value: float) -> pd.DataFrame:
    frame = pd.DataFrame({"model": [model], "seen": "allowed", "metric": "precision", "k": 10, "segment": "all"})
    return frame.assign(value=value, standard_error=0.1, customers=7)


def similar(model: str, similarity: float = 0.5) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": [model],
            "article_id": "a",
            "rank": 1,
            "similar_article_id": "b",
            "similarity": similarity,
            "model_id": "m",
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "it's a store")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "atelier.duckdb"


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(path, read_only=True) as connection:
        yield connection


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with opened(path) as connection:
        return connection.execute(sql).fetchall()


def test_an_empty_store_gives_empty_tables_of_the_declared_types(store: FeatureStore, path: Path) -> None:
    summary = publish(store, path)
    assert (summary.path, summary.partitions, summary.size) == (path, 0, path.stat().st_size)
    with opened(path) as connection:
        for table in REGISTRY.values():
            for name in (table.name, f"latest_{table.name}"):
                described = connection.execute(f'DESCRIBE "{name}"').fetchall()
                expected = duckdb.sql(f"DESCRIBE SELECT {table.casts} FROM (SELECT {nulls(table.by_name)})").fetchall()
                extra = ["embedding"] if table.name == "image_embeddings" else []
                assert [column[0] for column in described] == ["ds", *table.by_name, *extra]
                assert [column[1] for column in described[1 : len(expected) + 1]] == [column[1] for column in expected]
                assert described[0][1] == "DATE"
                assert connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM materialisations").fetchone() == (0,)


def nulls(names: dict[str, object]) -> str:
    return ", ".join(f'NULL AS "{name}"' for name in names)


def test_small_tables_are_copied_with_all_days(store: FeatureStore, path: Path) -> None:
    store.write("articles", DAY, articles(1.0))
    store.write_range("articles", [(ds, articles(2.0)) for ds in days(4)[1:]])  # one file for three days
    assert len({pointer.file for pointer in store.pointers("articles")}) == 2
    summary = publish(store, path)
    assert summary.copied["articles"] == 8
    found = rows(path, "SELECT ds, article_id, CAST(price AS DOUBLE) FROM articles")
    assert found == [(ds, article, 1.0 if ds == DAY else 2.0) for ds in days(4) for article in "ab"]
    assert rows(path, "SELECT ds, article_id, name FROM latest_articles ORDER BY ALL") == [
        (days(4)[-1], "a", "It's a coat"),
        (days(4)[-1], "b", "It's a coat"),
    ]


def test_large_tables_are_views_over_the_files_of_all_days(store: FeatureStore, path: Path) -> None:
    store.write_range("interactions", [(ds, interactions(ds, 1 + n)) for n, ds in enumerate(days(5))])
    store.write_range("image_embeddings", [(ds, embeddings()) for ds in days(3)])
    summary = publish(store, path)
    assert {"interactions", "image_embeddings"} <= set(summary.views)
    counts = [(ds, 1 + n) for n, ds in enumerate(days(5))]
    assert rows(path, "SELECT ds, count(*) FROM interactions GROUP BY ds ORDER BY ds") == counts
    assert rows(path, "SELECT DISTINCT ds FROM latest_interactions") == [(days(5)[-1],)]
    # the three days share one file, which lies in the first day's folder
    assert rows(path, "SELECT ds, count(*) FROM image_embeddings GROUP BY ds ORDER BY ds") == [
        (ds, 2) for ds in days(3)
    ]
    assert rows(path, "SELECT DISTINCT ds FROM latest_image_embeddings") == [(days(3)[-1],)]


def test_a_query_for_one_day_opens_one_file(store: FeatureStore, path: Path) -> None:
    store.write_range("interactions", [(ds, interactions(ds)) for ds in days(5)])
    publish(store, path)
    plan = rows(path, "EXPLAIN ANALYZE SELECT count(article_id) FROM interactions WHERE ds = '2020-09-03'")[0][1]
    assert "Total Files Read: 1" in str(plan)


def predicted(values: dict[tuple[str, str], tuple[str, str]]) -> pd.DataFrame:
    """Rows of predicted_attributes: by article and attribute the value and its source."""
    keys, said = list(values), list(values.values())
    frame = pd.DataFrame(keys, columns=["article_id", "attribute"])
    frame["value"], frame["source"] = [value for value, _ in said], [source for _, source in said]
    return frame.reindex(columns=list(REGISTRY["predicted_attributes"].by_name)).assign(alternatives=None)


def listed(ds_served: bool) -> pd.DataFrame:
    reason = [
        {"kind": "article", "value": "b", "weight": 2.0},
        {"kind": "attribute", "value": "fit=slim", "weight": 1.0},
    ]
    frame = pd.DataFrame({"customer_id": "c", "rank": [1, 2], "article_id": ["a", "b"], "score": [2.0, 1.0]})
    frame = frame.assign(model="als", seen="excluded", served=ds_served, fallback=False, model_id="m")
    frame["reasons"] = [reason, None]
    return frame[list(REGISTRY["recommendations"].by_name)]


@pytest.fixture
def unaudited(tmp_path: Path) -> FeatureStore:
    """A store for rows of which only the columns that a view reads are filled."""
    return FeatureStore(tmp_path / "store", audit=lambda table, staged: Audit(table.name, len(staged), 1, []))


def test_catalogue_has_one_row_for_each_article_and_a_column_for_each_attribute(
    unaudited: FeatureStore, path: Path
) -> None:
    for ds in days(2):
        unaudited.write("articles", ds, articles())
    hostile = 'x"; DROP'
    values = {
        ("a", "fit"): ("slim", "predicted"),
        ("a", "Name"): ("n", "annotated"),
        ("b", "fit"): ("wide", "abstained"),
        ("b", hostile): ("1", "predicted"),
        ("b", "FIT"): ("2", "predicted"),
    }
    unaudited.write("predicted_attributes", days(2)[1], predicted(values))
    publish(unaudited, path)
    with opened(path) as connection:
        found = connection.execute("FROM catalogue ORDER BY article_id").df()
    assert found["article_id"].tolist() == ["a", "b"]
    assert [None if pd.isna(v) else v for v in found["FIT"]] == [None, "2"]  # the first of two that differ by case
    assert [None if pd.isna(v) else v for v in found["attribute_Name"]] == ["n", None]
    assert [None if pd.isna(v) else v for v in found[hostile]] == [None, "1"]
    assert found["photographs"].tolist() == [0, 0]


def test_served_lists_and_their_reasons_can_be_read(unaudited: FeatureStore, path: Path) -> None:
    first, second = days(2)
    for ds, served in ((first, True), (second, False)):
        unaudited.write("articles", ds, articles(3.0))
        unaudited.write("recommendations", ds, listed(served), part="als")
    publish(unaudited, path)
    assert rows(path, "SELECT ds, rank, article_id, name, model FROM served_recommendations ORDER BY ALL") == [
        (first, 1, "a", "It's a coat", "als"),
        (first, 2, "b", "It's a coat", "als"),
    ]
    told = "SELECT reason_rank, kind, value, name, weight, served FROM recommendation_reasons WHERE ds = $ds ORDER BY 1"
    told = told.replace("$ds", f"DATE '{first}'")
    assert rows(path, told) == [
        (1, "article", "b", "It's a coat", 2.0, True),
        (2, "attribute", "fit=slim", None, 1.0, True),
    ]


def test_changes_names_what_differs_between_the_newest_two_days(unaudited: FeatureStore, path: Path) -> None:
    first, gap, last = days(3)
    publish(unaudited, path)
    assert rows(path, "FROM changes") == []
    unaudited.write("articles", first, articles(9.0))
    publish(unaudited, path)
    assert rows(path, "FROM changes") == []  # one day alone has nothing to differ from
    unaudited.write("articles", gap, articles(9.0))
    unaudited.write("predicted_attributes", gap, predicted({("a", "fit"): ("slim", "predicted")}))
    publish(unaudited, path)
    assert rows(path, "FROM changes") == []  # nor has one table of which the other has two
    unaudited.write("articles", gap, articles(1.0).query("article_id == 'a'"))
    unaudited.write("articles", last, articles(2.0))
    unaudited.write("predicted_attributes", gap, predicted({("a", "fit"): ("slim", "predicted")}))
    unaudited.write("predicted_attributes", last, predicted({("a", "fit"): ("wide", "annotated")}))
    publish(unaudited, path)
    found = rows(path, 'SELECT ds, "table", article_id, field, change, before, after FROM changes ORDER BY ALL')
    assert (last, "articles", "a", "price", "changed", "1.000000000", "2.000000000") in found
    assert (last, "articles", "b", "name", "new", None, "It's a coat") in found
    assert (last, "predicted_attributes", "a", "fit", "changed", "slim", "wide") in found
    assert {row[2] for row in found if row[4] == "changed"} == {"a"}


WRITES_AND_DIES = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE scribbled AS SELECT 1")
os._exit(9)
"""


def test_what_a_killed_writer_left_beside_the_file_keeps_nobody_out(store: FeatureStore, path: Path) -> None:
    store.write("articles", DAY, articles())
    publish(store, path)
    subprocess.run([sys.executable, "-c", WRITES_AND_DIES, str(path)], check=False)
    assert path.with_name(f"{path.name}.wal").exists()
    store.write("articles", DAY, articles(2.0))
    publish(store, path)
    assert rows(path, "SELECT DISTINCT price::DOUBLE FROM articles") == [(2.0,)]
    assert rows(path, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'scribbled'") == [(0,)]


@pytest.mark.parametrize("folder", ["kind=purchase", "ds=1999-01-01"])
def test_folders_above_the_store_change_no_value(tmp_path: Path, path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    store = FeatureStore(tmp_path / folder / "store", threads=1)
    store.write_range("interactions", [(ds, interactions(ds).assign(kind="view")) for ds in days(3)])
    store.write("articles", days(1)[0], articles(1.0))
    publish(store, path)
    asked = "SELECT DISTINCT kind, ds::VARCHAR FROM interactions ORDER BY ALL"
    expected = [("view", f"2020-09-0{day}") for day in (1, 2, 3)]
    assert rows(path, asked) == expected
    with store.connect(as_of=days(3)[-1]) as connection:
        assert connection.execute(asked).fetchall() == expected
    assert rows(path, "SELECT count(*) FROM articles")[0][0] > 0


@pytest.mark.parametrize("folder", ["export[1]", "export?", "model=x"])
def test_a_store_reads_its_own_files_and_never_a_neighbour_s(
    tmp_path: Path, path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    store = FeatureStore("store", threads=1)
    store.write_range("articles", [(ds, articles(1.0)) for ds in days(2)])
    store.write("interactions", DAY, interactions(DAY, 3))
    store.write("image_embeddings", DAY, embeddings())
    store.write("similar_articles", DAY, similar("als"), part="als")
    EmbeddingCache(tmp_path / folder / "store").append("encoder", DIGESTS[:1], np.ones((1, 2), np.float32))
    shutil.copytree(tmp_path / folder, tmp_path / "export1")
    for file in (tmp_path / "export1").rglob("*.parquet"):  # the same names, the rows of another shop
        frame = pq.read_table(file, partitioning=None)
        changed = {"price": 9, "kind": "return", "model": "other", "embedding": [9.0, 9.0]}
        columns = {
            name: pa.array([changed[name]] * len(frame), frame.schema.field(name).type)
            for name in frame.column_names
            if name in changed
        }
        pq.write_table(pa.table({name: columns.get(name, frame[name]) for name in frame.column_names}), file)
    publish(store, path)
    assert rows(path, "SELECT DISTINCT price::DOUBLE, count(*) FROM articles GROUP BY ALL") == [(1.0, 4)]
    assert rows(path, "SELECT DISTINCT price::DOUBLE FROM latest_articles") == [(1.0,)]
    assert rows(path, "SELECT kind, count(*) FROM interactions GROUP BY ALL") == [("purchase", 3)]
    assert rows(path, "SELECT DISTINCT model FROM similar_articles") == [("als",)]
    vectors = "SELECT embedding FROM latest_image_embeddings ORDER BY digest"
    assert rows(path, vectors) == [([1.0, 1.0],), (None,)]
    with store.connect(as_of=DAY) as connection:
        assert connection.execute("SELECT DISTINCT price::DOUBLE FROM articles").fetchall() == [(1.0,)]
        assert connection.execute("SELECT DISTINCT kind FROM interactions").fetchall() == [("purchase",)]


def test_a_table_that_grew_too_long_to_copy_becomes_a_view(
    store: FeatureStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_range("articles", [(ds, articles(float(n))) for n, ds in enumerate(days(3))])
    published = "SELECT ds, article_id, price FROM articles ORDER BY ALL"
    latest = "SELECT * FROM latest_articles ORDER BY ALL"
    assert "articles" not in publish(store, path).views
    copied = rows(path, published), rows(path, latest)
    monkeypatch.setattr(publishing, "COPY_ROWS", 5)
    assert "articles" in publish(store, path).views
    assert (rows(path, published), rows(path, latest)) == copied


@pytest.mark.parametrize(("table", "make"), [("offline_metrics", metrics), ("similar_articles", similar)])
def test_the_newest_day_is_that_of_each_part(
    table: str, make: Callable[[str, float], pd.DataFrame], store: FeatureStore, path: Path
) -> None:
    store.write_range(table, [(ds, make("als", n / 10)) for n, ds in enumerate(days(3))], part="als")
    store.write(table, DAY, make("popular", 0.9), part="popular")
    publish(store, path)
    assert rows(path, f"SELECT ds, model FROM {table} ORDER BY ALL") == [
        (days(3)[0], "als"),
        (days(3)[0], "popular"),
        (days(3)[1], "als"),
        (days(3)[2], "als"),
    ]
    latest = rows(path, f"SELECT ds, model FROM latest_{table} ORDER BY ALL")
    assert latest == [(DAY, "popular"), (days(3)[2], "als")]


def test_the_newest_day_may_be_empty(store: FeatureStore, path: Path) -> None:
    store.write_range(
        "offline_metrics", [(DAY, metrics("als", 1.0)), (days(2)[1], metrics("als", 1.0)[:0])], part="als"
    )
    store.write_range("interactions", [(DAY, interactions(DAY)), (days(2)[1], interactions(days(2)[1], 0))])
    publish(store, path)
    for table in ("offline_metrics", "interactions"):
        assert rows(path, f"SELECT count(*) FROM latest_{table}") == [(0,)]


def test_vectors_come_from_the_cache_and_grow_with_it(store: FeatureStore, tmp_path: Path, path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "it's a store")
    store.write("image_embeddings", DAY, embeddings())
    publish(store, path)
    query = "SELECT digest, embedding FROM image_embeddings ORDER BY digest"
    assert rows(path, query) == [(DIGESTS[0], None), (DIGESTS[1], None)]
    cache.append("encoder", DIGESTS[:1], np.array([[0.6, 0.8]], np.float32))
    cache.append("another", DIGESTS, np.ones((2, 3), np.float32))
    publish(store, path)
    vector = [float(np.float32(0.6)), float(np.float32(0.8))]
    assert rows(path, query) == [(DIGESTS[0], vector), (DIGESTS[1], None)]
    cache.append("encoder", DIGESTS[1:], np.array([[1.0, 0.0]], np.float32))
    latest = "SELECT digest, embedding FROM latest_image_embeddings ORDER BY digest"
    assert rows(path, latest) == [(DIGESTS[0], vector), (DIGESTS[1], [1.0, 0.0])]


def test_materialisations_are_the_pointers(store: FeatureStore, path: Path) -> None:
    store.write("articles", DAY, articles(), run_id="run-1")
    written = store.write("similar_articles", DAY, similar("als"), part="als", run_id="run-2").pointer
    publish(store, path)
    found = rows(path, 'SELECT "table", ds, part, run_id, data_version, rows, file FROM materialisations ORDER BY ALL')
    assert [row[:4] for row in found] == [("articles", DAY, None, "run-1"), ("similar_articles", DAY, "als", "run-2")]
    assert found[1][4:] == (written.data_version, 1, written.file)
    (moment,) = rows(path, "SELECT epoch_us(written_at) FROM materialisations WHERE part = 'als'")
    assert moment[0] == round(written.written_at.timestamp() * 1e6)


def test_tables_and_columns_carry_their_descriptions(store: FeatureStore, path: Path) -> None:
    store.write("interactions", DAY, interactions(DAY))
    publish(store, path)
    comments = {
        (str(table), str(column)): comment
        for table, column, comment in rows(path, "SELECT table_name, column_name, comment FROM duckdb_columns()")
    }
    for table in REGISTRY.values():
        for column in table.columns:
            for name in (table.name, f"latest_{table.name}"):
                assert str(comments[name, column.name]).startswith(column.description)
    assert comments["interactions", "price"] == "The price of the unit then. Unit: the retailer's currency."
    described = dict(rows(path, "SELECT table_name, comment FROM duckdb_tables()"))
    once_a_day = "A row for every day ds: join on ds too, or use latest_articles."
    assert described["articles"] == f"{REGISTRY['articles'].description} {once_a_day}"
    described = dict(rows(path, "SELECT view_name, comment FROM duckdb_views()"))
    assert described["interactions"] == REGISTRY["interactions"].description


def test_further_views_are_added_from_their_files(store: FeatureStore, tmp_path: Path, path: Path) -> None:
    store.write("articles", DAY, articles(2.0))
    folder = tmp_path / "views"
    folder.mkdir()
    text = "-- What things cost,\n-- it's said.\nSELECT ds, sum(price) AS total\nFROM articles GROUP BY ds;\n"
    (folder / "totals.sql").write_text(text, encoding="utf-8")
    assert publish(store, path, views=folder).extra == ("totals",)
    assert rows(path, "SELECT ds, CAST(total AS DOUBLE) FROM totals") == [(DAY, 4.0)]
    comments = rows(path, "SELECT comment FROM duckdb_views() WHERE view_name = 'totals'")
    assert comments == [("What things cost, it's said.",)]


def test_a_view_that_cannot_be_made_is_named_and_the_old_file_stays(
    store: FeatureStore, tmp_path: Path, path: Path
) -> None:
    publish(store, path)
    before = path.read_bytes()
    folder = tmp_path / "views"
    folder.mkdir()
    (folder / "broken.sql").write_text("SELECT nothing FROM nowhere", encoding="utf-8")
    with pytest.raises(PublishError, match=r"broken\.sql.*nowhere"):
        publish(store, path, views=folder)
    assert path.read_bytes() == before


def test_shipped_views_can_be_made(store: FeatureStore, path: Path) -> None:
    assert publish(store, path).extra == tuple(sorted(file.stem for file in publishing.VIEWS.glob("*.sql")))


def test_what_a_killed_publisher_left_is_in_nobodys_way(store: FeatureStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    for leftover in ("atelier.duckdb.building", "atelier.duckdb.building.wal"):
        (path.parent / leftover).write_bytes(b"half a file")
    publish(store, path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["atelier.duckdb", "atelier.duckdb.lock"]


def test_the_file_opens_from_any_folder_with_a_relative_store(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FeatureStore("relative")
    store.write("interactions", DAY, interactions(DAY))
    publish(store, path.relative_to(tmp_path))
    script = f"import duckdb; print(duckdb.connect({str(path)!r}, read_only=True).sql('FROM interactions').count('*'))"
    done = subprocess.run([sys.executable, "-c", script], cwd="/", capture_output=True, text=True, check=False)
    assert "3" in done.stdout, done.stderr


OPENER = """
import sys, duckdb
path, last = sys.argv[1], int(sys.argv[2])
seen = [0]
while seen[-1] < last:
    with duckdb.connect(path, read_only=True) as fresh:
        sql = "SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM interactions), (SELECT count(*)"
        articles, sold, partitions = fresh.execute(sql + " FROM materialisations)").fetchone()
    assert articles % 2 == 0 and sold % 3 == 0 and articles // 2 + sold // 3 == partitions, (articles, sold, partitions)
    assert partitions >= seen[-1]
    seen.append(partitions)
print(len(seen))
"""
HOLDER = """
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=True)
count = lambda: held.execute("SELECT (SELECT count(*) FROM articles), (SELECT count(*) FROM interactions)").fetchone()
first = count()
print("holding", flush=True)
for _ in sys.stdin:
    assert count() == first
print(first)
"""


def test_readers_in_other_processes_see_one_whole_state_while_it_is_published_again_and_again(
    store: FeatureStore, path: Path
) -> None:
    store.write("articles", DAY, articles())
    store.write("interactions", DAY, interactions(DAY))
    publish(store, path)

    def reader(script: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", script, str(path), *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload,no-any-return]

    rounds = 6
    with reader(HOLDER) as holder, reader(OPENER, 2 + 2 * rounds) as opener:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "holding\n"
        for ds in days(rounds + 1)[1:]:
            store.write("articles", ds, articles(float(ds.day)))
            store.write("interactions", ds, interactions(ds))
            publish(store, path)
            print("look", file=holder.stdin, flush=True)
        looked, failed = holder.communicate(timeout=60)
        assert (looked, holder.returncode) == ("(2, 3)\n", 0), failed
        opened_times, failed = opener.communicate(timeout=60)
        assert opener.returncode == 0, failed
        assert int(opened_times) > 1


def test_publishers_wait_for_each_other_and_the_last_shows_everything(store: FeatureStore, path: Path) -> None:
    failures: list[Exception] = []

    def write_and_publish(ds: date) -> None:
        try:
            store.write("interactions", ds, interactions(ds))
            publish(store, path)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write_and_publish, args=(ds,)) for ds in days(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert rows(path, "SELECT count(*) FROM interactions") == [(15,)]
    assert not list(path.parent.glob("*.building*"))
