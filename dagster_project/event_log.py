"""Dagster's events in SQLite, by connections that stay open from one event to the next.

What belongs here: the event log that ``dagster_project/dagster.yaml`` names. What does not: what is kept and how, which
is all Dagster's own; a storage in PostgreSQL (:mod:`dagster_project.postgres`).

Dagster's own log makes an engine of SQLAlchemy for every statement, opens the file, compiles the statement and closes
the file again, by which SQLite copies its whole log into the database. An event of a check takes six of these. Here
the same statements go through connections that stay. What is written is as durable: each event is committed as before.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config import UserConfigSchema
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool, StaticPool

FOLDER = Path("history", "runs")
"""Where Dagster's own event log lies below ``$DAGSTER_HOME`` by default, so that either reads what the other wrote."""
OPEN = 8
"""Databases that stay open at once: Dagster has one for each run, and one of all assets."""


class SqliteEventLog(SqliteEventLogStorage):
    """Dagster's own event log, below the folder of the instance, with connections that stay open.

    Where the folder is, only the instance knows, which Dagster tells after it has made the log: a path in
    ``dagster.yaml`` would bind a home to its place.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._inherited: OrderedDict[str, Engine] = OrderedDict()
        self._process = os.getpid()
        self._tables: set[str] = set()

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """It has no settings."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # as that of Dagster's own class
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]
    ) -> "SqliteEventLog":
        """The log, for an instance that is yet to be made."""
        return cls(inst_data)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Open the log of an instance."""
        super().__init__(str(Path(instance.root_directory) / FOLDER), self._inst_data)
        super().register_instance(instance)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction in one of the databases; as before, only one at a time in a process."""
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():  # a forked process may neither use nor close the files of its parent
            self._inherited, self._engines, self._process = self._engines, OrderedDict(), os.getpid()
        if not Path(self.path_for_shard(shard)).exists():  # new, or somebody removed the file of a run
            self._initialized_dbs.discard(shard)
            self._close(shard)
        if shard not in self._engines:
            self._engines[shard] = self._opened(shard)
        self._engines.move_to_end(shard)
        while len(self._engines) > OPEN:
            self._close(next(iter(self._engines)))
        return self._engines[shard]

    def _opened(self, shard: str) -> Engine:
        where, patience = self.conn_string_for_shard(shard), {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        if shard not in self._initialized_dbs:  # by connections of its own, of which it opens one within another
            self._initdb(create_engine(where, poolclass=NullPool, connect_args=patience))
            self._initialized_dbs.add(shard)
        # Dagster's threads take turns, so that they can share a connection.
        return create_engine(where, poolclass=StaticPool, connect_args=patience | {"check_same_thread": False})

    def _close(self, shard: str) -> None:
        if shard in self._engines:
            self._engines.pop(shard).dispose()

    def _close_all(self) -> None:
        for shard in list(self._engines):
            self._close(shard)

    def has_table(self, table_name: str) -> bool:
        """Whether a table is there; one that was there once is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        """Delete all events."""
        self._close_all()
        super().wipe()

    def dispose(self) -> None:
        """Close all files."""
        self._close_all()
        super().dispose()
