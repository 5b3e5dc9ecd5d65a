"""Folders with one file for each day on which a table changed.

What belongs here: which file is which day's, and which one holds on a day. What does not: what stands in the files.
"""

from bisect import bisect_right
from datetime import date
from pathlib import Path

from atelier.answers import FEEDBACK
from atelier.sources.base import source_error
from atelier.sources.file_format import folder_error

PARQUET, CSV = ".parquet", ".csv"


def files_by_day(root: Path, table: str) -> dict[date, Path]:
    """The files of one table by day, ascending; hidden files and those that begin with _ are not the table's.

    Files are Parquet; those of people's answers may be CSV too.

    Args:
        root: the source's folder.
        table: the name of the table's folder in it, which may be absent.

    Raises:
        SourceError: a file is not named for a day, or is a folder, or a day has two files.
    """
    folder, files = root / table, dict[date, Path]()
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name.startswith((".", "_")):
            continue
        if file.is_dir():
            raise folder_error(file)
        day = _day_of(file, (PARQUET, CSV) if table == FEEDBACK else (PARQUET,))
        if day in files:
            raise source_error(file, f"{files[day].name} is of the same day", "Keep one of the two.")
        files[day] = file
    return dict(sorted(files.items()))


def file_on(files: dict[date, Path], day: date) -> Path | None:
    """The newest of some files, ascending by day, that is of that day or before; None where there is none."""
    earlier = bisect_right(list(files), day)
    return list(files.values())[earlier - 1] if earlier else None


def _day_of(file: Path, suffixes: tuple[str, ...]) -> date:
    """The day in a file's name. Each day has one spelling, so that no two files of a kind can be the same day's.

    Raises:
        SourceError: the name is not that of a day's file.
    """
    try:
        day = date.fromisoformat(file.name.removeprefix("ds=").removesuffix(file.suffix))
    except ValueError:
        day = None
    if day is None or file.suffix not in suffixes or file.name != f"ds={day.isoformat()}{file.suffix}":
        names = " or ".join(f"ds=YYYY-MM-DD{suffix}" for suffix in suffixes)
        raise source_error(file, "its name is not that of a day's file", f"Name it {names}, or move it elsewhere.")
    return day
