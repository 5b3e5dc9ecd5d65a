"""Dagster's events in SQLite, by engines of SQLAlchemy that are made once.

What belongs here: the event log that ``dagster_project/dagster.yaml`` names. What does not: what is kept and how, which
is all Dagster's own; a storage in PostgreSQL (:mod:`dagster_project.postgres`).

Dagster's own log makes an engine for every statement, and compiles the statement for it. Here an engine is made once
for each file and remembers what it has compiled. The file is opened and closed for each statement, as before: whoever
reads it, copies it or waits for it to change sees what Dagster's own log would show.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._config import UserConfigSchema
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

FOLDER = Path("history", "runs")
"""Where Dagster's own event log lies below ``$DAGSTER_HOME`` by default, so that either reads what the other wrote."""


@lru_cache(maxsize=16)
def _engine(where: str) -> Engine:
    """The engine of a database; it keeps no connection. Dagster has a database for each run, and one of all assets."""
    return create_engine(where, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


class SqliteEventLog(SqliteEventLogStorage):
    """Dagster's own event log, below the folder of the instance, with engines that are made once.

    Where the folder is, only the instance knows, which Dagster tells after it has made the log: a path in
    ``dagster.yaml`` would bind a home to its place.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
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
        """A transaction in one of the databases; as in Dagster's own log, only one at a time in a process."""
        with self._db_lock:
            engine = _engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether a table is there; one that was there once is not looked for again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables
