"""Customers in the partitions of the feature store.

What belongs here: the first day that knows a customer, and rewriting the files that hold one, or that name a bundle by
an id that it no longer has. What does not: what was counted over all customers, which changes when it is made the next
time; the published database, which is built anew.

A file keeps its other rows in their order, and its columns, which may be those of an older version. Days that share a
file share the new one. The old file is then one that no pointer names, as those of earlier runs are, and ``vacuum``
removes all of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from atelier.file_pattern import file_pattern
from atelier.sources.suppression import CUSTOMER, IsForgotten, rejected_of_customers, rows_of_customers
from resources.pointers import Pointer, Pointers
from resources.retailer import Home
from resources.schema import Table
from resources.staging import ROW_GROUP, digest_of, open_duckdb, write_rows
from resources.storage import open_storage
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pyarrow as pa

REJECTED = "rejected"
#: By these it is known since when there is a customer. Their rows go last: a killed process leaves the evidence.
EVIDENCE = ("customers", "interactions")
MODEL = "model_id"


@dataclass(frozen=True)
class Rewritten:
    """A file that held customers, or named a bundle that has another id now.

    Attributes:
        table: its table.
        days: whose pointers name it.
        rows: how many of its rows were the customers'; none where only ids of bundles changed.
    """

    table: str
    days: tuple[date, ...]
    rows: int


class CustomerPartitions:
    """The partitions of a home that hold rows of customers.

    Args:
        home: nobody else may write into it meanwhile.
        customers: identifiers.
        renamed: the new id of bundles that have another one now, by the old id.
    """

    def __init__(self, home: Home, customers: Sequence[str], renamed: Mapping[str, str] | None = None) -> None:
        self._renamed = dict(renamed or {})
        self._store = home.open_store()
        self._storage = open_storage(home.storage)
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
            for file, customer in self._holders(list(days), CUSTOMER, self._customers):
                found[customer] = min(days[file], found.get(customer, days[file]))
        return found

    def forget(self) -> Iterator[Rewritten]:
        """Rewrite every file that holds a row of the customers or the old id of a bundle, and yield what it held.

        Raises:
            DamagedFile: as :meth:`first_days`.
            PointerError: likewise.
        """
        others = [name for name in REGISTRY if name not in EVIDENCE]
        for table in (REGISTRY[name] for name in (*others, *EVIDENCE)):
            if not ({CUSTOMER, MODEL} & table.by_name.keys() or table.name == REJECTED):
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
        wanted = {CUSTOMER: self._customers, MODEL: list(self._renamed)}
        found = {
            file
            for name, values in wanted.items()
            if name in table.by_name
            for file, _ in self._holders(files, name, values)
        }
        return sorted(found)

    def _holders(self, files: list[str], name: str, values: list[str]) -> list[tuple[str, str]]:
        """Pairs of a file and one of the values that it has in a column."""
        if not (files and values):
            return []
        paths = {self._storage.location(file): file for file in files}
        with self._connection() as connection:
            # a declared name only; files and values are bound
            found = connection.execute(
                f"SELECT DISTINCT filename, {name} FROM read_parquet($files, hive_partitioning = false,"  # noqa: S608
                f" filename = true) WHERE {name} IN (SELECT unnest($values))",
                {"files": [file_pattern(path) for path in paths], "values": values},
            ).fetchall()
        return [(paths[path], value) for path, value in found]

    def _rewrite(self, table: Table, pointers: list[Pointer]) -> int:
        """Write a file again without the customers, have its pointers name the new one; the number of rows less."""
        import pyarrow.parquet as pq

        first = pointers[0]
        with self._storage.staging() as folder, pq.ParquetFile(self._storage.parquet(first.file)) as old:
            path, kept = folder / "rows.parquet", map(self._others, old.iter_batches(ROW_GROUP))
            rows = write_rows(path, table, old.schema_arrow, kept)
            version, size = digest_of(path), path.stat().st_size
            name = f"{first.file.rpartition('/')[0]}/{version}.parquet"
            self._storage.put(path, name, version)
        for pointer in pointers:  # when it was written stays: it tells whether gates have measured a day's lists
            self._pointers.put(table, replace(pointer, file=name, rows=rows, data_version=version, size=size))
        return first.rows - rows

    def _others(self, rows: "pa.RecordBatch") -> "pa.RecordBatch":
        """The rows that are not the customers', with the bundles' new ids."""
        import pyarrow as pa

        found = pa.Table.from_batches([rows])
        gone = rows_of_customers(found, self._is_forgotten)
        if {"record", "reason"} <= set(found.column_names):
            gone |= rejected_of_customers(found, self._is_forgotten)
        kept = rows.filter(pa.array(~gone))
        if not (self._renamed and MODEL in kept.schema.names):
            return kept
        place = kept.schema.get_field_index(MODEL)
        return kept.set_column(place, kept.schema.field(place), self._with_new_ids(kept.column(place)))

    def _with_new_ids(self, ids: "pa.Array") -> "pa.Array":
        """The ids of bundles, new where they have another one now."""
        import pyarrow as pa
        import pyarrow.compute as pc

        old, new = (pa.array(each, ids.type) for each in (list(self._renamed), list(self._renamed.values())))
        return pc.coalesce(new.take(pc.index_in(ids, value_set=old)), ids)

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
