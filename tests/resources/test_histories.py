"""The sorted file of histories gives what the store's own files give, whichever days it lacks or has otherwise."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from resources.feature_store import FeatureStore
from resources.histories import ENGINE, MOST_MISSING, histories_path, make_histories, remove_histories
from resources.published import PublishedDatabase
from resources.publishing import publish
from resources.tables import REGISTRY

FIRST = date(2025, 3, 3)


def day_of(ds: date, rows: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["customer_id", "article_id", "kind", "price"])
    frame = frame.assign(ordinal=range(len(rows)), occurred_at=pd.Timestamp(ds))
    return frame.reindex(columns=list(REGISTRY["interactions"].by_name))


class Shelf:
    """A store that is published to one database."""

    def __init__(self, root: Path) -> None:
        self.store = FeatureStore(root / "store")
        self.database = PublishedDatabase(root / "atelier.duckdb", root / "store", histories_path(root))

    def write(self, back: int, *rows: tuple[str, str, str, float]) -> None:
        ds = FIRST + timedelta(days=back)
        self.store.write("interactions", ds, day_of(ds, list(rows)))

    def publish(self) -> None:
        publish(self.store, self.database.database)

    def make(self) -> int:
        return make_histories(self.database.database, self.database.histories, threads=1, memory_limit="1GB")

    def history(self, customer: str) -> list[tuple[str, str, str]]:
        with self.database.reading() as reader:
            found = reader.histories("customer_history", customer=customer, most=100)
        return [(str(ds)[:10], article, kind) for ds, article, kind in found[["ds", "article_id", "kind"]].to_numpy()]

    def answers(self) -> tuple[list[object], ...]:
        """All that is read from the file, for every customer and article."""
        with self.database.reading() as reader:
            frames = [
                *(reader.histories("customer_history", customer=c, most=100) for c in "uvw"),
                *(reader.histories("customer_totals", customer=c) for c in "uvw"),
                *(reader.histories("article_sales", article=a) for a in "ab"),
                reader.histories("days_interactions", from_day=FIRST, to_day=date.max),
            ]
        return tuple(frame.astype("str").to_numpy().tolist() for frame in frames)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    for back in range(3):
        made.write(back, ("u", "a", "purchase", 2.0), ("v", "b", "view", 1.0), ("u", "b", "purchase", 3.0))
    made.publish()
    return made


def test_the_newest_rows_of_a_customer_come_first(shelf: Shelf) -> None:
    shelf.make()
    newest = [("2025-03-05", "b", "purchase"), ("2025-03-05", "a", "purchase"), ("2025-03-04", "b", "purchase")]
    assert shelf.history("u")[:3] == newest
    assert shelf.history("w") == []


def test_it_answers_as_the_store_does(shelf: Shelf) -> None:
    without = shelf.answers()
    assert shelf.make() == 9
    assert shelf.answers() == without
    assert without[0]


def test_a_new_day_is_read_from_the_store_and_one_that_was_written_again_is_not_read_from_the_file(
    shelf: Shelf,
) -> None:
    shelf.make()
    shelf.write(3, ("w", "a", "purchase", 5.0))
    shelf.write(1, ("w", "a", "return", 4.0))  # u and v are gone from that day
    shelf.publish()
    with shelf.database.reading() as reader:
        assert reader.coverage.missing == (date(2025, 3, 4), date(2025, 3, 6))
        assert reader.coverage.superseded == (date(2025, 3, 4),)
        assert reader.coverage.is_due
    stale = shelf.answers()
    assert shelf.history("w") == [("2025-03-06", "a", "purchase"), ("2025-03-04", "a", "return")]
    assert [ds for ds, _, _ in shelf.history("v")] == ["2025-03-05", "2025-03-03"]
    shelf.make()
    with shelf.database.reading() as reader:
        assert (reader.coverage.missing, reader.coverage.superseded) == ((), ())
    assert shelf.answers() == stale


def test_it_is_made_anew_where_more_days_are_missing_than_are_read_beside_it(shelf: Shelf) -> None:
    shelf.make()
    for back in range(3, 3 + MOST_MISSING):
        shelf.write(back, ("u", "a", "purchase", 2.0))
    shelf.publish()
    with shelf.database.reading() as reader:
        assert not reader.coverage.is_due
    shelf.write(3 + MOST_MISSING, ("u", "a", "purchase", 2.0))
    shelf.publish()
    with shelf.database.reading() as reader:
        assert reader.coverage.is_due


def test_a_file_of_another_duckdb_does_not_count(shelf: Shelf) -> None:
    shelf.make()
    with duckdb.connect(shelf.database.histories) as connection:
        connection.execute("UPDATE covered SET engine = 'another'")
    with shelf.database.reading() as reader:
        assert len(reader.coverage.missing) == 3
        assert reader.histories("customer_totals", customer="u")["units"].tolist() == [6]
    assert ENGINE["engine"] == duckdb.__version__


def test_what_a_killed_process_left_is_removed(shelf: Shelf) -> None:
    building = shelf.database.histories.with_name("histories.duckdb.building")
    building.parent.mkdir()
    for left in (building, building.with_name(f"{building.name}.wal")):
        left.write_bytes(b"half a file")
    assert shelf.make() == 9
    assert not list(building.parent.glob("*.building*"))


def test_rows_lie_sorted_by_customer(shelf: Shelf) -> None:
    shelf.make()
    with duckdb.connect(shelf.database.histories, read_only=True) as connection:
        keys = [key for (key,) in connection.execute("SELECT customer FROM history ORDER BY rowid").fetchall()]
    assert keys == sorted(keys)


def test_it_is_removed_with_all_that_is_left_of_it_and_the_store_answers(shelf: Shelf, tmp_path: Path) -> None:
    assert not remove_histories(tmp_path)
    shelf.make()
    before = shelf.answers()
    shelf.database.histories.with_name("histories.duckdb.building").write_bytes(b"half a file")
    shelf.database.histories.with_name("histories.duckdb.spill").mkdir()
    assert remove_histories(tmp_path)
    assert not list(shelf.database.histories.parent.glob("histories.duckdb*"))
    assert shelf.answers() == before
    assert not remove_histories(tmp_path)
