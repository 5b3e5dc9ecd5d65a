"""Reading ``atelier.duckdb`` while it may be replaced: what the web pages and whoever else looks things up ask.

What belongs here: opening the database so that nothing can be written and no other file be read, noticing that a new
one was published, running the queries of ``sql/pages``. What does not: publishing (:mod:`resources.publishing`), the
sorted file beside it (:mod:`resources.histories`), showing anything.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from atelier.errors import AtelierError
from resources.frames import rows_of
from resources.histories import Coverage, attach_histories, coverage
from resources.storage import Root, open_storage
from resources.views import sql_list, sql_literal
from sql import query

if TYPE_CHECKING:
    import pandas as pd

NEWEST = 'SELECT max(ds) FROM materialisations WHERE len($tables) = 0 OR list_contains($tables, "table")'
NEWEST_VERSIONS = """
    SELECT data_version FROM materialisations WHERE list_contains($tables, "table")
    QUALIFY ds = max(ds) OVER (PARTITION BY "table") ORDER BY "table", part"""
NEVER = date(9999, 12, 31)
#: What identifies a file: a replaced one has another inode, a time of modification or a size.
Identity = tuple[int, int, int] | None


class NotPublished(AtelierError):
    """There is no database to read, or it cannot be opened; the message names the command that makes it."""


class TookTooLong(AtelierError):
    """A question was not answered within its time, and was given up."""


class Reader:
    """One database as it was when it was opened, for one request.

    Attributes:
        coverage: which days the sorted file beside it answers for.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, covered: Coverage) -> None:
        self._cursor, self.coverage = cursor, covered

    def frame(self, name: str, **parameters: Any) -> "pd.DataFrame":
        """What ``sql/pages/<name>.sql`` gives, its parameters bound."""
        found: pd.DataFrame = self._run(query(f"pages/{name}"), parameters).df()
        return found

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """The same as rows by column."""
        return rows_of(self._run(query(f"pages/{name}"), parameters))

    def histories(self, name: str, **parameters: Any) -> "pd.DataFrame":
        """The same for a query that reads interactions: it is told which days the sorted file lacks."""
        missing = list(self.coverage.missing)
        days = {"missing": missing, "since": min(missing, default=NEVER), "superseded": list(self.coverage.superseded)}
        return self.frame(name, **days, **parameters)

    def newest(self, *tables: str) -> date | None:
        """The newest day of these tables, of all without a name; None where none has a day."""
        found = self._run(NEWEST, {"tables": list(tables)}).fetchone()
        return found[0] if found else None

    def data_version(self, *tables: str) -> str:
        """What the newest days of these tables hold: another text for other bytes."""
        rows = self._run(NEWEST_VERSIONS, {"tables": list(tables)}).fetchall()
        return " ".join(version for (version,) in rows)

    def _run(self, sql: str, parameters: dict[str, Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._cursor.execute(sql, parameters)
        except duckdb.InterruptException as error:
            raise TookTooLong("the question took too long and was given up; ask for less") from error


@dataclass
class _Opened:
    """One database that is open, with how many requests are using it."""

    connection: duckdb.DuckDBPyConnection
    coverage: Coverage
    identity: tuple[Identity, Identity]
    users: int = field(default=0)
    retired: bool = field(default=False)

    def close_if_unused(self) -> None:
        if self.retired and not self.users:
            self.connection.close()


class PublishedDatabase:
    """The newest published database of a home, opened read-only and again whenever a new one is published.

    Args:
        database: ``atelier.duckdb``.
        store: the feature store's root: its files are the only ones that queries may read.
        histories: the sorted file; need not exist.
        threads: DuckDB's threads.
        memory_limit: of DuckDB, for all requests together.
        seconds: how long the questions of one request may take.
    """

    def __init__(
        self,
        database: Path,
        store: Root,
        histories: Path,
        *,
        threads: int = 2,
        memory_limit: str = "4GB",
        seconds: float = 20.0,
    ) -> None:
        self.database, self.histories = database.absolute(), histories.absolute()
        self._storage = open_storage(store)
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory_limit,
            "autoinstall_known_extensions": False,
        }
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open: _Opened | None = None

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """The database for one request; a new one published meanwhile does not disturb it.

        Raises:
            NotPublished: there is none, or it cannot be opened.
            TookTooLong: from the reader, after ``seconds``.
        """
        opened = self._take()
        cursor = opened.connection.cursor()
        timer = threading.Timer(self._seconds, cursor.interrupt)
        timer.daemon = True
        try:
            cursor.execute("USE shop")
            timer.start()
            yield Reader(cursor, opened.coverage)
        finally:
            timer.cancel()
            cursor.close()
            self._give_back(opened)

    def close(self) -> None:
        """Close what is open, once nobody is using it."""
        with self._lock:
            self._retire()

    def _take(self) -> _Opened:
        with self._lock:
            identity = (_identity(self.database), _identity(self.histories))
            if self._open is None or self._open.identity != identity:
                fresh = self._opened(identity)
                self._retire()
                self._open = fresh
            self._open.users += 1
            return self._open

    def _give_back(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
            opened.close_if_unused()

    def _retire(self) -> None:
        if self._open is not None:
            self._open.retired = True
            self._open.close_if_unused()
            self._open = None

    def _opened(self, identity: tuple[Identity, Identity]) -> _Opened:
        if identity[0] is None:
            raise NotPublished(f"{self.database} does not exist; make it with: atelier publish")
        # In memory, with the file attached: a second connection to the same path would be given the database that the
        # first one has open, though the file was replaced.
        connection = duckdb.connect(":memory:", config=self._config)
        try:
            self._storage.prepare(connection)
            connection.execute(f"ATTACH {sql_literal(str(self.database))} AS shop (READ_ONLY)")
            attach_histories(connection, self.histories)
            connection.execute(f"SET allowed_directories = {sql_list(self._storage.allowed())}")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute("USE shop")
            return _Opened(connection, coverage(connection), identity)
        except duckdb.Error as error:
            connection.close()
            raise NotPublished(
                f"{self.database} cannot be read ({str(error).splitlines()[0]}); make it anew with: atelier publish"
            ) from error


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
