"""The published database is read while it is replaced; nothing can be written through it and no other file be read."""

import shutil
import threading
from pathlib import Path

import duckdb
import pytest

from resources import published
from resources.histories import histories_path
from resources.published import NotPublished, PublishedDatabase, TookTooLong
from tests.resources.test_histories import FIRST, Shelf, shelf  # noqa: F401 - a fixture

pytestmark = pytest.mark.hostile


def units(database: PublishedDatabase, customer: str = "u") -> int:
    with database.reading() as reader:
        return int(reader.histories("customer_totals", customer=customer)["units"].sum())


def test_a_new_database_is_read_at_once_and_the_old_one_to_the_end(shelf: Shelf) -> None:  # noqa: F811
    with shelf.database.reading() as before:
        shelf.write(3, ("u", "a", "purchase", 2.0))
        shelf.publish()
        assert units(shelf.database) == 7
        assert before.histories("customer_totals", customer="u")["units"].tolist() == [6]
    assert units(shelf.database) == 7


def test_many_read_while_it_is_replaced(shelf: Shelf) -> None:  # noqa: F811
    """Each answer is that of one database or of another, never a mixture and never an error."""
    stop, seen, failed = threading.Event(), set(), []

    def read() -> None:
        while not stop.wait(0.02):
            try:
                with shelf.database.reading() as reader:
                    rows = reader.histories("customer_history", customer="u", most=1000)
                    totals = reader.histories("customer_totals", customer="u")
                assert len(rows) == totals["units"].sum()
                seen.add(len(rows))
            except Exception as error:
                failed.append(error)
                return

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for back in range(3, 7):
        shelf.write(back, ("u", "a", "purchase", 2.0))
        shelf.publish()
        if back % 3 == 0:
            shelf.make()
        assert units(shelf.database) == back + 4
    stop.set()
    for thread in threads:
        thread.join(timeout=60)
    assert failed == []
    assert seen
    assert seen <= set(range(6, 11))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE shop.found (a INT)",
        "DELETE FROM shop.articles",
        "INSERT INTO histories.history SELECT * FROM histories.history",
        "DROP VIEW shop.latest_articles",
        "COPY (SELECT 1) TO 'OUT/copied.csv'",
        "SELECT * FROM read_text('OUT/secret.txt')",
        "SELECT * FROM read_csv('OUT/../secret.txt')",
        "SELECT * FROM read_text('STORE/../secret.txt')",
        "ATTACH 'OUT/another.duckdb'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_no_statement_writes_or_leaves_the_store(shelf: Shelf, tmp_path: Path, statement: str) -> None:  # noqa: F811
    """Nobody can send a statement; this is what would stop one that got through."""
    (tmp_path / "secret.txt").write_text("secret")
    shelf.make()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.duckdb")}
    with shelf.database.reading() as reader, pytest.raises(duckdb.Error):
        reader._run(statement.replace("OUT", str(tmp_path)).replace("STORE", str(tmp_path / "store")), {})
    shelf.database.close()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.duckdb")} == before


def test_a_question_that_takes_too_long_is_given_up(shelf: Shelf, tmp_path: Path) -> None:  # noqa: F811
    hasty = PublishedDatabase(shelf.database.database, tmp_path / "store", histories_path(tmp_path), seconds=0.2)
    with hasty.reading() as reader, pytest.raises(TookTooLong, match="given up"):
        reader._run("SELECT count(*) FROM range(10000000000) AS a(x) WHERE x % 7 = hash(x) % 5", {})
    assert units(shelf.database) == 6


def test_no_database_and_a_broken_one_name_the_command(shelf: Shelf) -> None:  # noqa: F811
    shelf.database.database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(NotPublished, match="atelier publish"), shelf.database.reading():
        pass
    shelf.database.database.unlink()
    with pytest.raises(NotPublished, match="atelier publish"), shelf.database.reading():
        pass
    shelf.publish()
    assert units(shelf.database) == 6


def test_what_is_retired_is_closed_with_its_last_reader(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    opened: list[duckdb.DuckDBPyConnection] = []
    connect = duckdb.connect

    def noted(*args: object, **options: object) -> duckdb.DuckDBPyConnection:
        opened.append(connect(*args, **options))  # type: ignore[arg-type]
        return opened[-1]

    monkeypatch.setattr(published.duckdb, "connect", noted)
    with shelf.database.reading() as reader:
        shelf.database.close()
        assert reader.newest("interactions") is not None
        assert opened[0].execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(duckdb.ConnectionException):
        opened[0].execute("SELECT 1")


def test_a_file_of_the_store_that_is_gone_is_an_error_of_this_question_alone(shelf: Shelf) -> None:  # noqa: F811
    assert units(shelf.database) == 6
    shutil.rmtree(next((shelf.database.database.parent / "store" / "interactions").glob(f"ds={FIRST}")))
    with shelf.database.reading() as reader:
        with pytest.raises(duckdb.Error):
            reader.histories("customer_totals", customer="u")
        assert reader.newest("interactions") is not None
