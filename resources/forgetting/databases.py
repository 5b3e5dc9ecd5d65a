"""Customers in the databases of others: Dagster's storage (SQLite or PostgreSQL), and that of tuning.

What belongs here: every column of text of every table, whatever the table is for. What does not: ``atelier.duckdb``,
which is built anew from the store.

The word :data:`~resources.forgetting.mentions.INSTEAD` stands in the place of an identifier, so that runs and events
stay. A row that was deleted or changed would stay readable in the file's free pages: SQLite overwrites them
(``secure_delete``) and writes the file anew (``VACUUM``), PostgreSQL writes its tables anew (``VACUUM FULL``).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from resources.forgetting.mentions import Mentions
from resources.usage_lock import HomeInUse

if TYPE_CHECKING:
    import dagster as dg
    import sqlalchemy as sa

MAGIC = b"SQLite format 3\0"
SECONDS = 30
"""How long another process may hold a database, before forgetting gives up."""
CHUNK = 50
"""Customers asked for in one query."""


def is_sqlite(path: Path) -> bool:
    """Whether a file is a database of SQLite."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def forget_in_sqlite(path: Path, mentions: Mentions) -> int:
    """Take customers out of a database of SQLite, and out of its free pages; how many rows named one.

    Raises:
        HomeInUse: another process holds the database.
    """
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": SECONDS}, poolclass=sa.pool.NullPool)
    sa.event.listen(engine, "connect", _delete_securely)
    try:
        rows = _redact(engine, mentions)
        if rows or _on_disk(path, mentions):
            with closing(sqlite3.connect(path, timeout=SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("VACUUM")
                (blocked, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if blocked:
                raise HomeInUse(f"another process reads {path}: stop Dagster's UI and daemon, and try again")
    except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
        if "locked" not in str(error):
            raise
        raise HomeInUse(f"another process holds {path}: stop Dagster's UI and daemon, and try again") from error
    return rows


def forget_in_postgres(instance: "dg.DagsterInstance", mentions: Mentions) -> Iterator[tuple[str, int]]:
    """Take customers out of Dagster's storage where it is PostgreSQL; yields the database and how many rows named one.

    Args:
        instance: Dagster's storage; nothing is done where it is another one.
        mentions: the customers.
    """
    import sqlalchemy as sa

    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    for url in sorted({url for each in storages if (url := getattr(each, "postgres_url", None))}):
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        rows = _redact(engine, mentions)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name in _tables(engine):
                connection.execute(sa.text(f"VACUUM FULL {engine.dialect.identifier_preparer.quote(name)}"))
        yield str(engine.url.database), rows


def _delete_securely(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA secure_delete = ON")


def _on_disk(path: Path, mentions: Mentions) -> bool:
    """Whether the bytes of a database, or of its logs, still spell a customer, as after a process that was killed."""
    files = [path, *(path.with_name(f"{path.name}{log}") for log in ("-wal", "-journal"))]
    contents = [file.read_bytes() for file in files if file.exists()]
    return any(mentions.within(content.decode("utf-8", errors="replace")) for content in contents)


def _tables(engine: "sa.Engine") -> "dict[str, sa.Table]":
    """The tables of a database that have columns of text, by name."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    metadata.reflect(engine)
    return {name: table for name, table in sorted(metadata.tables.items()) if _texts(table)}


def _texts(table: "sa.Table") -> "list[sa.Column[str]]":
    import sqlalchemy as sa

    return [column for column in table.columns if isinstance(column.type, sa.String)]


def _redact(engine: "sa.Engine", mentions: Mentions) -> int:
    """Put a word in the place of every identifier in every column of text; how many rows named one."""
    rows = 0
    for table in _tables(engine).values():
        with engine.begin() as connection:
            rows += _redact_table(connection, table, mentions)
    return rows


def _redact_table(connection: "sa.Connection", table: "sa.Table", mentions: Mentions) -> int:
    import sqlalchemy as sa

    texts, keys = _texts(table), list(table.primary_key.columns) or list(table.columns)
    rows = 0
    for start in range(0, len(mentions.spellings), CHUNK):
        spelled = mentions.spellings[start : start + CHUNK]
        asked = sa.or_(*(column.contains(each, autoescape=True) for column in texts for each in spelled))
        for row in connection.execute(sa.select(*table.columns).where(asked)).mappings().all():
            changed = {
                column.name: new
                for column in texts
                if row[column.name] is not None and (new := mentions.redacted(row[column.name])) != row[column.name]
            }
            if changed:
                same = sa.and_(*(column == row[column.name] for column in keys))
                connection.execute(table.update().where(same).values(changed))
                rows += 1
    return rows
