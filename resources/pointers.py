"""Pointers: which immutable file is the partition now.

What belongs here: the small JSON beside each partition, its name, reading and replacing it. What does not: the data
files themselves (:mod:`resources.feature_store`). A pointer is the only thing in the store that is ever replaced.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from atelier.errors import AtelierError
from resources.integrity import Recorded
from resources.schema import Table
from resources.storage import Storage

PART = re.compile(r"[A-Za-z0-9_-]+")


class PointerError(AtelierError):
    """A pointer cannot be read; the message names the file and the command that writes it again."""


@dataclass(frozen=True)
class Pointer:
    """Which file is one partition (of one part) of a table.

    Attributes:
        table: the table.
        ds: the day.
        part: the part, for tables that several assets write.
        file: the Parquet file, relative to the store's root. A snapshot equal to the day before names that day's file.
        rows: rows of the file.
        data_version: SHA-256 of the file's bytes.
        run_id: the run that wrote it; empty outside Dagster.
        written_at: when the pointer was replaced (UTC).
        size: bytes of the file; None in pointers that were written before sizes were recorded.
    """

    table: str
    ds: date
    part: str | None
    file: str
    rows: int
    data_version: str
    run_id: str
    written_at: datetime
    size: int | None = None

    @property
    def recorded(self) -> Recorded:
        """What was recorded of the file."""
        return Recorded(self.data_version, self.size)

    def to_json(self) -> str:
        """One line of JSON."""
        written_at = self.written_at.astimezone(UTC).isoformat()
        return json.dumps(asdict(self) | {"ds": self.ds.isoformat(), "written_at": written_at}) + "\n"

    @classmethod
    def from_json(cls, text: str, table: Table, name: str) -> "Pointer":
        """The pointer in ``text``.

        Args:
            text: what its file holds.
            table: the table.
            name: the file, relative to the store's root.

        Raises:
            PointerError: the text is no pointer, or that of another partition.
        """
        try:
            raw = json.loads(text)
            raw["ds"] = date.fromisoformat(raw["ds"])
            raw["written_at"] = datetime.fromisoformat(raw["written_at"])
            found = cls(**raw)
            if found.table != table.name or pointer_name(table, found.ds, found.part) != name:
                raise ValueError(f"it is that of table {found.table}, ds={found.ds}, part {found.part}")
        except (ValueError, KeyError, TypeError) as error:
            again = launch_command(table, name[len(f"{table.name}/ds=") :][:10])
            raise PointerError(f"{name} is not a pointer ({error}); write it again with: {again}") from error
        return found


def check_part(table: Table, part: str | None) -> None:
    """Refuse a part where the table has none, a missing one where it has, and names that are unsafe as files.

    Raises:
        ValueError: one of these.
    """
    if table.part is None and part is not None:
        raise ValueError(f"table {table.name} has no parts; part={part!r} was given")
    if table.part is not None and part is None:
        raise ValueError(f"table {table.name} is written by {table.part}: part=… is needed")
    if part is not None and not PART.fullmatch(part):
        raise ValueError(f"part {part!r} of table {table.name} may hold only letters, digits, - and _")


def launch_command(table: Table, ds: date | str) -> str:
    """The command that makes a partition: the job of its table, since a stage may make several tables at once."""
    return f"dg launch --job {table.job} --partition {ds}"


def pointer_name(table: Table, ds: date, part: str | None = None) -> str:
    """Where a partition's pointer lies, relative to the store's root."""
    check_part(table, part)
    return f"{table.name}/ds={ds}.json" if part is None else f"{table.name}/ds={ds}/{part}.json"


def file_name(table: Table, ds: date, part: str | None, data_version: str) -> str:
    """Where a partition's file lies, relative to the store's root."""
    middle = "" if part is None else f"part={part}/"
    return f"{table.name}/ds={ds}/{middle}{data_version}.parquet"


def combined_version(versions: Iterable[str]) -> str:
    """One data version that stands for several: SHA-256 over ``versions`` in sorted order."""
    return hashlib.sha256("\n".join(sorted(versions)).encode()).hexdigest()


def shown_version(pointers: Iterable[Pointer]) -> str:
    """The data version of what a reader is shown: of all the partitions together that ``pointers`` name."""
    return combined_version(f"{each.ds}/{each.part}/{each.data_version}" for each in pointers)


class Pointers:
    """The pointers of a store.

    Args:
        storage: where they lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, table: Table, ds: date, part: str | None = None) -> Pointer | None:
        """One partition's pointer, or None.

        Raises:
            PointerError: it cannot be read.
        """
        found = self._read(table, [pointer_name(table, ds, part)])
        return found[0] if found else None

    def if_readable(self, table: Table, ds: date, part: str | None = None) -> Pointer | None:
        """One partition's pointer; None where there is none or, with a warning, where it cannot be read.

        It is for a writer: neither the pointer that it replaces nor the one of the day before may stop it.
        """
        try:
            return self.get(table, ds, part)
        except PointerError as error:
            warnings.warn(str(error), stacklevel=2)
            return None

    def names(self, table: Table) -> list[str]:
        """The files of all pointers of a table, readable or not, relative to the store's root."""
        return self._storage.glob(f"{table.name}/{'ds=*.json' if table.part is None else 'ds=*/*.json'}")

    def read(self, table: Table, name: str) -> Pointer:
        """The pointer in one of the files of :meth:`names`.

        Raises:
            PointerError: it cannot be read, or is gone.
        """
        found = self._read(table, [name])
        if not found:
            raise PointerError(f"{name} is gone")
        return found[0]

    def of_day(self, table: Table, ds: date) -> list[Pointer]:
        """The pointers of one day: one, or one for each part; empty where there is none."""
        if table.part is None:
            return self._read(table, [pointer_name(table, ds)])
        return self._read(table, self._storage.glob(f"{table.name}/ds={ds}/*.json"))

    def of_table(self, table: Table, until: date | None = None) -> list[Pointer]:
        """All pointers of a table, by day and part; with ``until`` only up to that day (inclusive)."""
        return self._read(table, self._between(table, date.min, until or date.max))

    def readable(self, table: Table, first: date, last: date) -> list[Pointer]:
        """The pointers of the days from ``first`` to ``last``, but for those that cannot be read: a warning names each.

        It is for who looks at earlier days only to compare them: one of them must not stop tonight's run.
        """
        found = []
        for name in self._between(table, first, last):
            try:
                found += self._read(table, [name])
            except PointerError as error:
                warnings.warn(str(error), stacklevel=2)
        return found

    def _between(self, table: Table, first: date, last: date) -> list[str]:
        start = len(f"{table.name}/ds=")
        wanted = first.isoformat(), last.isoformat()
        return [name for name in self.names(table) if wanted[0] <= name[start : start + 10] <= wanted[1]]

    def put(self, table: Table, pointer: Pointer) -> None:
        """Replace the partition's pointer."""
        self._storage.put_text(pointer.to_json(), pointer_name(table, pointer.ds, pointer.part))

    def _read(self, table: Table, names: Iterable[str]) -> list[Pointer]:
        texts = self._storage.read_texts(names)
        found = [Pointer.from_json(text, table, name) for name, text in texts.items()]
        return sorted(found, key=lambda pointer: (pointer.ds, pointer.part or ""))
