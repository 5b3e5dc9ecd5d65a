"""What each customer did and what each article sold, in the order in which a page asks for it.

What belongs here: the file ``serve/histories.duckdb`` of a home, making it from ``atelier.duckdb``, and which days of
it still hold. What does not: asking it (:mod:`resources.published`), the store's own partitions
(:mod:`resources.feature_store`).

The store keeps interactions by day, each day in the order of the source, so one customer's would be looked for in
every file. This file holds the same rows sorted by a hash of the customer, and the units sold sorted by a hash of the
article: DuckDB keeps the smallest and the largest value of every block of rows, and reads the few blocks that may hold
the one asked for. Hashes, because of a text it keeps the first eight bytes alone, which many identifiers share.

It remembers the data version of each day that it covers. A day that was written again since does not count, one that
was added since is read from the store, so a night costs nothing; the file is made anew where more than
:data:`MOST_MISSING` days are missing, or any was written again. It can be deleted at any time, and must be where a
customer is forgotten (:mod:`resources.forgetting` does).
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from resources.staging import open_duckdb
from resources.storage import exclusive, replace_file
from resources.views import sql_literal
from sql import query

if TYPE_CHECKING:
    from resources.storage import Storage

FOLDER = "serve"
FILE = "histories.duckdb"
MOST_MISSING = 7
"""Days that are read from the store's own files at each question, at most, before the file is made anew."""
VERSIONS = """SELECT ds, data_version FROM materialisations WHERE "table" = 'interactions' ORDER BY ds"""
COVERED = "SELECT ds, CASE WHEN engine = $engine THEN data_version END FROM histories.covered"
ENGINE = {"engine": duckdb.__version__}  # another version of DuckDB may hash otherwise


@dataclass(frozen=True)
class Coverage:
    """Which days of a published database the file answers for.

    Attributes:
        superseded: days that it covers and that were written again, or withdrawn, since.
        missing: days of the database that it does not cover as they are now.
    """

    superseded: tuple[date, ...]
    missing: tuple[date, ...]

    @property
    def is_due(self) -> bool:
        """Whether the file should be made anew."""
        return bool(self.superseded) or len(self.missing) > MOST_MISSING


def histories_path(home: Path) -> Path:
    """Where the file of a home lies; its folder holds nothing else."""
    return home / FOLDER / FILE


def attach_histories(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Attach the file as ``histories``; where there is none, an empty one in memory."""
    if path.exists():
        connection.execute(f"ATTACH {sql_literal(str(path))} AS histories (READ_ONLY)")
    else:
        connection.execute("ATTACH ':memory:' AS histories")
        connection.execute(query("pages/histories_tables"))


def coverage(connection: duckdb.DuckDBPyConnection) -> Coverage:
    """What the attached file covers of the database in use."""
    now: Mapping[date, str] = dict(connection.execute(VERSIONS).fetchall())
    then: Mapping[date, str | None] = dict(connection.execute(COVERED, ENGINE).fetchall())
    return Coverage(
        superseded=tuple(sorted(day for day, version in then.items() if now.get(day) != version)),
        missing=tuple(sorted(day for day, version in now.items() if then.get(day) != version)),
    )


def make_histories(
    database: Path, target: Path, *, threads: int, memory_limit: str, storage: "Storage | None" = None
) -> int:
    """Make the file from a published database, and put it in place as a whole; readers keep the one that they opened.

    Args:
        database: ``atelier.duckdb``.
        target: the file; two that make it wait for each other.
        threads: DuckDB's threads.
        memory_limit: of DuckDB; beyond it, it spills beside the file.
        storage: where the files lie that the database has views of; None: in a local folder.

    Returns:
        How many rows of interactions it holds.
    """
    folder = target.parent
    folder.mkdir(parents=True, exist_ok=True)
    building, spill = folder / f"{target.name}.building", folder / f"{target.name}.spill"
    with exclusive(folder, target.stem):
        _remove(building)  # of a process that was killed
        with open_duckdb(spill, threads=threads, memory_limit=memory_limit) as connection:
            if storage is not None:
                storage.prepare(connection)
            connection.execute(f"ATTACH {sql_literal(str(building))} AS histories")
            connection.execute(query("pages/histories_tables"))
            connection.execute(f"ATTACH {sql_literal(str(database))} AS shop (READ_ONLY)")
            connection.execute("USE shop")
            for name in ("history", "sold", "by_day"):
                connection.execute(query(f"pages/histories_{name}"))
            connection.execute(f"INSERT INTO histories.covered SELECT *, $engine FROM ({VERSIONS})", ENGINE)  # noqa: S608 - ours
            counted: Sequence[int] = connection.execute("SELECT count(*) FROM histories.history").fetchone() or (0,)
            connection.execute("USE memory")
            connection.execute("DETACH histories")  # writes what is still in its log
        replace_file(building, target)
    return counted[0]


def remove_histories(home: Path) -> bool:
    """Remove the file of a home and what a killed process left of one; whether there was anything.

    A file that is being made is waited for. Whoever has the file open asks the store from the next request on.
    """
    target = histories_path(home)
    if not target.parent.exists():
        return False
    with exclusive(target.parent, target.stem):
        return _remove(target)


def _remove(file: Path) -> bool:
    """Remove a file with its logs and unfinished versions; whether there was one."""
    found = list(file.parent.glob(f"{file.name}*"))
    for each in found:
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    return bool(found)
