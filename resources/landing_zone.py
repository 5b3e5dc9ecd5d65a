"""Which files of the landing zone each stored day was read from, and which of these have changed since.

What belongs here: noting names, sizes and times of files when a day is ingested, and comparing them later. What does
not: reading the files (:mod:`atelier.sources`), asking for an ingest (:mod:`dagster_project.late_days`).

A note is ``<home>/landed/<table>/ds=<day>.json``. It lies outside the store, because times of files belong to one
machine and the store must not depend on them. Files are compared as build tools do, by size and time of modification,
and are not read: a file that was only touched costs one ingest, which stores the same bytes. Photographs are not looked
at one by one: a photograph that was replaced under its name is found when its day is ingested.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from resources.storage import as_text, replace_text

if TYPE_CHECKING:
    from atelier.sources import Source
    from resources.retailer import Home

FOLDER = "landed"
#: Size and time of modification, in nanoseconds, of each file by its path below the source's folder.
Stamps: TypeAlias = Mapping[str, tuple[int, int]]
#: The files of a day that are not what was noted, with their stamps as they are now; None where one is gone or unknown.
Changed: TypeAlias = Mapping[str, tuple[int, int] | None]


@contextmanager
def noted_files(home: "Home", source: "Source", table: str, days: Sequence[date]) -> Iterator[None]:
    """Note the files of days as they were before they were read, once what was read has been stored.

    Args:
        home: whose landing zone.
        source: its files.
        table: what is read.
        days: the days.
    """
    before = {day: _stamps(source, table, day, {}) for day in days}
    yield
    for day, stamps in before.items():
        replace_text(home.store, json.dumps(stamps, sort_keys=True) + "\n", _note(home, table, day))


def notes_files(home: "Home") -> bool:
    """Whether any day was ingested from this folder; another machine that reads the same store has no notes."""
    return (home.root / FOLDER).is_dir()


def changed_files(home: "Home", source: "Source", days: Iterable[date]) -> Mapping[date, Changed]:
    """The files that have changed, arrived or gone since their days were ingested, by day; other days are left out.

    A day without a note counts as changed: it was ingested by an older version, or by a run that did not end.

    Args:
        home: whose landing zone.
        source: its files, as they are now.
        days: days that were ingested.
    """
    tables, known = sorted(source.tables), dict[Path, tuple[int, int] | None]()
    found = {}
    for day in sorted(days):
        changed = [item for table in tables for item in _changed(home, source, table, day, known).items()]
        if changed:
            found[day] = dict(sorted(changed))
    return found


def _changed(
    home: "Home", source: "Source", table: str, day: date, known: dict[Path, tuple[int, int] | None]
) -> Changed:
    now, noted = _stamps(source, table, day, known), _noted(_note(home, table, day))
    if noted is None:
        return {f"the files of {table}, which nobody noted,": None}
    return {name: now.get(name) for name in now.keys() | noted.keys() if now.get(name) != noted.get(name)}


def _stamps(source: "Source", table: str, day: date, known: dict[Path, tuple[int, int] | None]) -> Stamps:
    """The files of a table and day; ``known`` saves looking at a file twice. A file that has just gone is left out."""
    if table not in source.tables:
        return {}
    stamps = {}
    for file in source.files_of(table, day):
        if file not in known:
            known[file] = _stamp(file)
        if (stamp := known[file]) is not None:
            stamps[file.relative_to(source.root).as_posix()] = stamp
    return stamps


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _noted(file: Path) -> Stamps | None:
    """What was noted; None where there is no readable note: its day is ingested again then, which writes one."""
    try:
        read = json.loads(as_text(file.read_bytes()))
        return {str(name): (int(size), int(modified)) for name, (size, modified) in read.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def _note(home: "Home", table: str, day: date) -> Path:
    return home.root / FOLDER / table / f"ds={day}.json"
