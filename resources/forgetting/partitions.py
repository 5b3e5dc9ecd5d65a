"""Customers in the partitions of the feature store.

What belongs here: the first day that knows a customer, and rewriting the files that hold one. What does not: tables
without customers, which change when they are made the next time; the published database, which is built anew.

A file is written as an ingest without the customer would have written it, and days that share a file share the new one.
The old file is then one that no pointer names, as those of earlier runs are, and ``vacuum`` removes all of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Union

import duckdb

from atelier.file_pattern import file_pattern
from atelier.sources.suppression import CUSTOMER, IsForgotten, rejected_of_customers
from resources.pointers import Pointer, Pointers
from resources.retailer import Home
from resources.schema import Table
from resources.staging import Stager, open_duckdb
from resources.storage import open_storage
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pyarrow as pa

REJECTED = "rejected"
#: By these it is known since when there is a customer. Their rows go last: a killed process leaves the evidence.
EVIDENCE = ("customers", "interactions")


@dataclass(frozen=True)
class Rewritten:
    """A file that held customers.

    Attributes:
        table: its table.
        days: whose pointers name it.
        rows: how many of its rows were the customers'.
    """

    table: str
    days: tuple[date, ...]
    rows: int


class CustomerPartitions:
    """The partitions of a home that hold rows of customers.

    Args:
        home: nobody else may write into it meanwhile.
        customers: identifiers.
    """

    def __init__(self, home: Home, customers: Sequence[str]) -> None:
        self._store = home.open_store()
        self._storage = open_storage(home.store)
        self._pointers = Pointers(self._storage)
        self._customers = list(customers)
        self._compute = home.settings.compute

    def first_days(self) -> dict[str, date]:
        """The first day on which the store has a row of each customer; those whom it never had are left out.

        Raises:
            DamagedFile: a file is not what was written; the message names the command that makes it again.
            PointerError: a pointer cannot be read; likewise.
        """
        found: dict[str, date] = {}
        for name in EVIDENCE:
            days = {file: pointers[0].ds for file, pointers in self._by_file(REGISTRY[name]).items()}
            for file, customer in self._holders(list(days)):
                found[customer] = min(days[file], found.get(customer, days[file]))
        return found

    def forget(self) -> Iterator[Rewritten]:
        """Rewrite every file that holds a row of the customers, and yield what it held.

        Raises:
            DamagedFile: as :meth:`first_days`.
            PointerError: likewise.
        """
        others = [name for name in REGISTRY if name not in EVIDENCE]
        for table in (REGISTRY[name] for name in (*others, *EVIDENCE)):
            if CUSTOMER not in table.by_name and table.name != REJECTED:
                continue
            by_file = self._by_file(table)
            for file in self._holding(table, list(by_file)):
                with self._storage.lock(table.name):
                    rows = self._rewrite(table, by_file[file])
                yield Rewritten(table.name, tuple(each.ds for each in by_file[file]), rows)

    def _by_file(self, table: Table) -> dict[str, list[Pointer]]:
        """The pointers of each file, by day; the files are sound."""
        found: dict[str, list[Pointer]] = defaultdict(list)
        for pointer in self._pointers.of_table(table):
            found[pointer.file].append(pointer)
        self._store.check([pointers[0] for pointers in found.values()])
        return found

    def _holding(self, table: Table, files: list[str]) -> list[str]:
        if table.name == REJECTED:
            return [file for file in files if rejected_of_customers(self._read(file), self._is_forgotten).any()]
        return sorted({file for file, _ in self._holders(files)})

    def _holders(self, files: list[str]) -> list[tuple[str, str]]:
        """Pairs of a file and one of the customers of whom it has a row."""
        if not files:
            return []
        paths = {self._storage.location(file): file for file in files}
        with self._connection() as connection:
            # a declared name only; files and customers are bound
            found = connection.execute(
                f"SELECT DISTINCT filename, {CUSTOMER} FROM read_parquet($files, hive_partitioning = false,"  # noqa: S608
                f" filename = true) WHERE {CUSTOMER} IN (SELECT unnest($customers))",
                {"files": [file_pattern(path) for path in paths], "customers": self._customers},
            ).fetchall()
        return [(paths[path], customer) for path, customer in found]

    def _rewrite(self, table: Table, pointers: list[Pointer]) -> int:
        """Write a file again without the customers, have its pointers name the new one; the number of rows less."""
        first = pointers[0]
        with (
            self._storage.staging() as folder,
            self._connection() as connection,
            Stager(table, folder, threads=self._compute.threads, memory_limit=self._compute.memory_limit) as stager,
        ):
            staged = stager.stage(first.ds, first.part, self._others(table, first.file, connection))
            name = f"{first.file.rpartition('/')[0]}/{staged.data_version}.parquet"
            self._storage.put(staged.path, name, staged.data_version)
            for pointer in pointers:
                same = replace(pointer, file=name, rows=staged.rows)
                self._pointers.put(table, replace(same, data_version=staged.data_version, size=staged.size))
        return first.rows - staged.rows

    def _others(
        self, table: Table, file: str, connection: duckdb.DuckDBPyConnection
    ) -> Union["pa.Table", duckdb.DuckDBPyRelation]:
        """The rows of a file that are not the customers'."""
        import pyarrow as pa

        if table.name == REJECTED:
            read = self._read(file)
            return read.filter(pa.array(~rejected_of_customers(read, self._is_forgotten)))
        return connection.sql(
            f"SELECT * FROM read_parquet($file, hive_partitioning = false)"  # noqa: S608 - a declared name
            f" WHERE {CUSTOMER} NOT IN (SELECT unnest($customers))",
            params={"file": file_pattern(self._storage.location(file)), "customers": self._customers},
        )

    def _read(self, file: str) -> "pa.Table":
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._storage.parquet(file)) as opened:
            return opened.read()

    @property
    def _is_forgotten(self) -> IsForgotten:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(self._customers, pa.large_string())
        return lambda words: pc.is_in(words, value_set=wanted).to_numpy(zero_copy_only=False)

    def _connection(self) -> duckdb.DuckDBPyConnection:
        connection = open_duckdb(
            self._storage.scratch(), threads=self._compute.threads, memory_limit=self._compute.memory_limit
        )
        self._storage.prepare(connection)
        return connection
