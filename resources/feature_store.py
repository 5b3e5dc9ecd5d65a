"""The feature store: Parquet partitions behind pointers, read through DuckDB.

What belongs here: writing partitions (stage, audit, publish), reading them, views as of a day, vacuum. What does not:
the tables (:mod:`resources.tables`), casting and sorting (:mod:`resources.staging`), contracts
(:mod:`resources.contracts`), the published ``atelier.duckdb`` (:mod:`resources.publishing`).

Readers need no lock: they read the pointers once and keep the files these name, which nobody changes. A process
killed in mid-write leaves the old pointers, and a folder in ``_staging`` that :meth:`FeatureStore.vacuum` removes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb

from atelier.errors import ContractViolation, DamagedFile, PartitionMissing
from resources import tables as registry
from resources.pointers import Pointer, Pointers, check_part, file_name, launch_command, shown_version
from resources.schema import Table
from resources.staging import Data, SchemaMismatch, StagedFile, Stager, open_duckdb
from resources.storage import Root, Storage, open_storage
from resources.views import view_sql

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.contracts import Audit

__all__ = ["Data", "FeatureStore", "Pointer", "SchemaMismatch", "StagedFile", "StagedRange", "Written"]

Auditor: TypeAlias = Callable[[Table, Sequence[StagedFile]], "Audit"]


@dataclass(frozen=True)
class Written:
    """The outcome of a write: the partition's new pointer, and the audit (None where nothing audits)."""

    pointer: Pointer
    audit: "Audit | None"


@dataclass(frozen=True)
class StagedRange:
    """Partitions that are finished and audited, and that nobody sees before ``publish()``.

    Attributes:
        rows: of all partitions together.
        publish: flips their pointers and returns what was written, by ascending day.
    """

    rows: int
    publish: Callable[[], list[Written]]


class FeatureStore:
    """The partitions of every registered table under one root.

    Args:
        root: a local folder, an fsspec URL such as ``s3://bucket/atelier``, or a storage that is open.
        threads: DuckDB's threads, for writing and for connections.
        memory_limit: what one DuckDB connection may hold before it spills.
        audit: audits staged files before they are published; None publishes whatever has the declared schema.
    """

    def __init__(
        self, root: Root, *, threads: int = 2, memory_limit: str = "8GB", audit: Auditor | None = None
    ) -> None:
        self._storage = open_storage(root)
        self._pointers = Pointers(self._storage)
        self._threads = threads
        self._memory_limit = memory_limit
        self._audit = audit

    @property
    def storage(self) -> Storage:
        """Where its files lie."""
        return self._storage

    def write(self, table: str, ds: date, data: Data, part: str | None = None, run_id: str = "") -> Written:
        """Replace one partition (of one part): stage, audit, publish.

        Args:
            table: a registered table.
            ds: the day.
            data: exactly the registered columns, in any order, of types that cast to the declared ones; any row order.
            part: which part, for tables that have parts; every row must belong to it.
            run_id: the run, for the pointer; it never enters the data.

        Raises:
            SchemaMismatch: columns are missing, superfluous or cannot be cast.
            ContractViolation: a blocking expectation fails; ``.audit`` holds the results. Nothing was published.
        """
        return self.write_range(table, [(ds, data)], part=part, run_id=run_id)[0]

    def write_range(
        self, table: str, partitions: Iterable[tuple[date, Data]], part: str | None = None, run_id: str = ""
    ) -> list[Written]:
        """Replace several partitions: all are staged and audited together before the first pointer flips.

        Args:
            table: a registered table.
            partitions: day and data, consumed one at a time.
            part: as in :meth:`write`.
            run_id: as in :meth:`write`.

        Returns:
            What was written, by ascending day.

        Raises:
            SchemaMismatch: as in :meth:`write`.
            ContractViolation: as in :meth:`write`; no partition of the range was published.
            ValueError: a day comes twice.
        """
        with self.stage_range(table, partitions, part=part, run_id=run_id) as staged:
            return staged.publish()

    @contextmanager
    def stage_range(
        self, table: str, partitions: Iterable[tuple[date, Data]], part: str | None = None, run_id: str = ""
    ) -> Iterator[StagedRange]:
        """:meth:`write_range` in two steps: stage and audit on entering; publishing is the block's decision.

        Thus several tables can all be audited before the first of them changes. What the block has not published is
        discarded when it ends.

        Raises:
            SchemaMismatch: on entering, as in :meth:`write`.
            ContractViolation: on entering, as in :meth:`write`.
            ValueError: a day comes twice.
        """
        declared = registry.table(table)
        check_part(declared, part)
        with self._storage.staging() as folder:
            staged = self._stage(declared, partitions, part, folder)
            audit = self._audited(declared, staged)
            yield StagedRange(
                rows=sum(file.rows for file in staged),
                publish=partial(self._publish_all, declared, staged, audit, run_id),
            )

    def _stage(
        self, table: Table, partitions: Iterable[tuple[date, Data]], part: str | None, folder: Path
    ) -> list[StagedFile]:
        staged: dict[date, StagedFile] = {}
        last: tuple[Data, StagedFile] | None = None
        with Stager(table, folder, threads=self._threads, memory_limit=self._memory_limit) as stager:
            for ds, data in partitions:
                if ds in staged:
                    raise ValueError(f"table {table.name}: ds={ds} comes twice in one write")
                if last is not None and _unchanged(table, ds, data, last):
                    staged[ds] = replace(last[1], ds=ds)
                else:
                    staged[ds] = stager.stage(ds, part, data)
                last = data, staged[ds]
        return [staged[ds] for ds in sorted(staged)]

    def _audited(self, table: Table, staged: Sequence[StagedFile]) -> "Audit | None":
        if self._audit is None or not staged:
            return None
        once = {file.path: file for file in reversed(staged)}
        audit = self._audit(table, sorted(once.values(), key=lambda file: file.ds))
        if not audit.success:
            failed = [result for result in audit.results if result.blocking and not result.success]
            named = "; ".join(f"{r.name}({r.column or ''}): observed {r.observed}" for r in failed)
            days = f"ds={staged[0].ds}" + (f" to {staged[-1].ds}" if len(staged) > 1 else "")
            message = f"table {table.name}, {days} breaks its contract and was not published: {named}"
            raise ContractViolation(message, table.name, audit)
        return audit

    def _publish_all(
        self, table: Table, staged: Sequence[StagedFile], audit: "Audit | None", run_id: str
    ) -> list[Written]:
        with self._storage.lock(table.name):
            return [Written(self._publish(table, file, run_id), audit) for file in staged]

    def _publish(self, table: Table, staged: StagedFile, run_id: str) -> Pointer:
        replaced = self._pointers.if_readable(table, staged.ds, staged.part)
        name = self._same_as_before(table, staged)
        if name is None:
            name = file_name(table, staged.ds, staged.part, staged.data_version)
        pointer = Pointer(
            table.name,
            staged.ds,
            staged.part,
            name,
            staged.rows,
            staged.data_version,
            run_id,
            datetime.now(UTC),
            staged.size,
        )
        if self.faults([pointer]):  # also where another day's pointer names the file: its name is its content
            self._storage.put(staged.path, name, staged.data_version)
        self._pointers.put(table, pointer)
        if replaced is not None and replaced.file != name:
            # readers may still hold it: its age for vacuum counts from the moment it was replaced
            self._storage.touch(replaced.file)
        return pointer

    def _same_as_before(self, table: Table, staged: StagedFile) -> str | None:
        # an event's day is read from its file's path, so events are never shared between days
        if table.kind == "event":
            return None
        before = self._pointers.if_readable(table, staged.ds - timedelta(days=1), staged.part)
        return before.file if before is not None and before.data_version == staged.data_version else None

    def read(self, table: str, ds: date, part: str | None = None) -> "pa.Table":
        """One partition as it is stored, sorted by key, without a column ds; all its parts where ``part`` is None.

        Raises:
            PartitionMissing: it was never written; the message names the command that makes it.
            DamagedFile: its file is not what was written; the message names the command that makes it again.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        declared = registry.table(table)
        one = None if part is None else self._pointers.get(declared, ds, part)
        found = self._pointers.of_day(declared, ds) if part is None else [one] if one else []
        if not found:
            raise self._missing(declared, ds, part)
        self.check(found)
        frames = []
        for pointer in found:
            with pq.ParquetFile(self._storage.parquet(pointer.file)) as file:
                frames.append(file.read())
        return pa.concat_tables(frames)

    def connect(self, as_of: date, tables: Sequence[str] | None = None) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB with a view per table, showing nothing later than ``as_of``.

        The pointers are read once, here: what others write later is not seen. Every view has the registered columns
        and ``ds``. Events show all days up to as_of (an empty view where there is none); snapshot and derived tables
        exactly as_of; articles that become available later are left out.

        Args:
            as_of: the day.
            tables: which; None: every event table, and each other table that has a partition.

        Raises:
            PartitionMissing: a named snapshot or derived table has no partition at as_of; the message names the
                command that makes it.
            DamagedFile: a file is not what was written; the message names the command that makes it again.
        """
        views = []
        for name in registry.REGISTRY if tables is None else tables:
            table = registry.table(name)
            visible = self._visible(table, as_of)
            if not visible and table.kind != "event":
                if tables is None:
                    continue
                raise self._missing(table, as_of)
            self.check(visible)
            views.append(view_sql(table, [self.location(pointer) for pointer in visible], as_of))
        connection = open_duckdb(self._storage.scratch(), threads=self._threads, memory_limit=self._memory_limit)
        self._storage.prepare(connection)
        for sql in views:
            connection.execute(sql)
        return connection

    def faults(self, pointers: Iterable[Pointer], *, sizes_only: bool = False) -> dict[str, str]:
        """What is wrong with the files that pointers name, by file; sound ones are left out.

        Args:
            pointers: of any tables.
            sizes_only: whether files are only looked at and not read.
        """
        recorded = {each.file: each.recorded for each in pointers}
        if sizes_only:
            recorded = {name: each._replace(digest=None) for name, each in recorded.items()}
        return self._storage.faults(recorded, self._threads)

    def check(self, pointers: Sequence[Pointer], *, sizes_only: bool = False) -> None:
        """Make sure that the files which pointers name are what was written, before anything reads them.

        Args:
            pointers: of any tables.
            sizes_only: whether files are only looked at and not read.

        Raises:
            DamagedFile: one is not; the message names it and the command that makes it again.
        """
        found = self.faults(pointers, sizes_only=sizes_only)
        if not found:
            return
        first = next(pointer for pointer in pointers if pointer.file in found)
        more = f"; {len(found) - 1} more files are damaged, and `atelier doctor` names them" if len(found) > 1 else ""
        raise DamagedFile(
            f"{self.location(first)} {found[first.file]}. Table {first.table} of {first.ds} reads it; make it again "
            f"with: {launch_command(registry.table(first.table), first.ds)}{more}"
        )

    def data_version(self, table: str, as_of: date) -> str:
        """The digest of what :meth:`connect` shows of a table: the day's partition, all days up to it for events."""
        return shown_version(self._visible(registry.table(table), as_of))

    def _visible(self, table: Table, as_of: date) -> list[Pointer]:
        if table.kind == "event":
            return self._pointers.of_table(table, until=as_of)
        return self._pointers.of_day(table, as_of)

    def _missing(self, table: Table, ds: date, part: str | None = None) -> PartitionMissing:
        which = f"partition ds={ds} of table {table.name}" + (f", part {part}," if part else "")
        return PartitionMissing(f"{which} was never written; make it with: {launch_command(table, ds)}")

    def pointer(self, table: str, ds: date, part: str | None = None) -> Pointer | None:
        """The pointer of one partition (of one part), or None where it was never written."""
        return self._pointers.get(registry.table(table), ds, part)

    def pointers(self, table: str | None = None) -> list[Pointer]:
        """Every pointer of one table, or of all, by table, day and part: the rows of the table ``materialisations``."""
        names = list(registry.REGISTRY) if table is None else [table]
        return [pointer for name in names for pointer in self._pointers.of_table(registry.table(name))]

    def readable_pointers(self, table: str, first: date, last: date) -> list[Pointer]:
        """The pointers of a table of some days; one that cannot be read is left out, and a warning names it."""
        return self._pointers.readable(registry.table(table), first, last)

    def days(self, table: str, part: str | None = None) -> set[date]:
        """The days of a table, or of one part of it, by the names of its pointers: no damaged one is in the way."""
        declared = registry.table(table)
        names = self._pointers.names(declared)
        if part is not None:
            names = [name for name in names if name.endswith(f"/{part}.json")]
        start = len(f"{declared.name}/ds=")
        return {date.fromisoformat(name[start : start + 10]) for name in names}

    def last_day(self, table: str) -> date:
        """The newest day that a table has.

        Raises:
            PartitionMissing: it has none; the message names the job that makes it.
        """
        days = [pointer.ds for pointer in self.pointers(table)]
        if not days:
            raise PartitionMissing(
                f"there is no {table} yet in {self._storage.location('')}; run `make demo`, or "
                f"{registry.table(table).job} for a day"
            )
        return max(days)

    def location(self, pointer: Pointer) -> str:
        """Where a pointer's file lies: an absolute path, or the URL on object storage."""
        return self._storage.location(pointer.file)

    def vacuum(self, older_than: timedelta) -> list[str]:
        """Remove the files that no pointer names, and what killed processes left in staging.

        Args:
            older_than: only those unnamed for longer; more than the longest query or run takes.

        Returns:
            What was removed, relative to the root.
        """
        before = datetime.now(UTC) - older_than
        removed = [name for table in registry.REGISTRY.values() for name in self._vacuum_table(table, before)]
        return removed + self._storage.sweep(before)

    def _vacuum_table(self, table: Table, before: datetime) -> list[str]:
        removed = []
        with self._storage.lock(table.name):
            named = {pointer.file for pointer in self._pointers.of_table(table)}
            middle = "" if table.part is None else "part=*/"
            for name in self._storage.glob(f"{table.name}/ds=*/{middle}*.parquet"):
                modified = self._storage.modified(name)
                if name not in named and modified is not None and modified < before:
                    self._storage.remove(name)
                    removed.append(name)
        return removed


def _unchanged(table: Table, ds: date, data: Data, last: "tuple[Data, StagedFile]") -> bool:
    """Whether a snapshot is the very object that was staged for the day before; sources yield it again if unchanged."""
    return table.kind == "snapshot" and data is last[0] and ds == last[1].ds + timedelta(days=1)
