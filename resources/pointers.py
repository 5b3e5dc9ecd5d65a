"""Pointers: which immutable file is the partition now.

What belongs here: the small JSON beside each partition, its name, reading and replacing it. What does not: the data
files themselves (:mod:`resources.feature_store`). A pointer is the only thing in the store that is ever replaced.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from atelier.errors import AtelierError
from resources.schema import Table
from resources.storage import Storage

PART = re.compile(r"[A-Za-z0-9_-]+")


class PointerError(AtelierError):
    """A pointer cannot be read; the message names the file."""


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
    """

    table: str
    ds: date
    part: str | None
    file: str
    rows: int
    data_version: str
    run_id: str
    written_at: datetime

    def to_json(self) -> str:
        """One line of JSON."""
        written_at = self.written_at.astimezone(UTC).isoformat()
        return json.dumps(asdict(self) | {"ds": self.ds.isoformat(), "written_at": written_at}) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> "Pointer":
        """The pointer in ``text``; ``name`` is the file, for the message.

        Raises:
            PointerError: the text is no pointer.
        """
        try:
            raw = json.loads(text)
            raw["ds"] = date.fromisoformat(raw["ds"])
            raw["written_at"] = datetime.fromisoformat(raw["written_at"])
            return cls(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise PointerError(f"{name} is not a pointer ({error}); delete it and run the partition again") from error


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


class Pointers:
    """The pointers of a store.

    Args:
        storage: where they lie.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, table: Table, ds: date, part: str | None = None) -> Pointer | None:
        """One partition's pointer, or None."""
        found = self._read([pointer_name(table, ds, part)])
        return found[0] if found else None

    def of_day(self, table: Table, ds: date) -> list[Pointer]:
        """The pointers of one day: one, or one for each part; empty where there is none."""
        if table.part is None:
            return self._read([pointer_name(table, ds)])
        return self._read(self._storage.glob(f"{table.name}/ds={ds}/*.json"))

    def of_table(self, table: Table, until: date | None = None) -> list[Pointer]:
        """All pointers of a table, by day and part; with ``until`` only up to that day (inclusive)."""
        pattern = "ds=*.json" if table.part is None else "ds=*/*.json"
        names = self._storage.glob(f"{table.name}/{pattern}")
        if until is not None:
            start = len(f"{table.name}/ds=")
            names = [name for name in names if name[start : start + 10] <= until.isoformat()]
        return self._read(names)

    def put(self, table: Table, pointer: Pointer) -> None:
        """Replace the partition's pointer."""
        self._storage.put_text(pointer.to_json(), pointer_name(table, pointer.ds, pointer.part))

    def _read(self, names: Iterable[str]) -> list[Pointer]:
        texts = self._storage.read_texts(names)
        found = [Pointer.from_json(text, name) for name, text in texts.items()]
        return sorted(found, key=lambda pointer: (pointer.ds, pointer.part or ""))
