"""The page of all days, beside the daily pages.

What belongs here: which days have a page, remembering the status of each, writing the page of all. What does not: how
it looks (:mod:`atelier.report.index`).
"""

import warnings
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atelier.report.this_day import Line


def record_path(folder: Path, ds: date) -> Path:
    """The file that says how a day went, which the page of all days is made from."""
    return folder / f"ds={ds}.json"


def launch_command(ds: date) -> str:
    """The command that makes the page of a day again, and the record of how it went."""
    return f"dg launch --assets report --partition {ds}"


def days_with_page(folder: Path) -> list[date]:
    """The days that have a page in the folder of reports, in order."""
    return sorted(date.fromisoformat(path.stem.removeprefix("ds=")) for path in folder.glob("ds=????-??-??.html"))


def write_index(folder: Path, title: str, ds: date, lines: "Sequence[Line]", superseded: Collection[date] = ()) -> Path:
    """Remember how a day went, and write the page of all days that have a page.

    Args:
        folder: of the reports; it holds the page of the day.
        title: the page's heading.
        ds: the day.
        lines: its summary.
        superseded: the days that were made from data which have been replaced since.

    Returns:
        The page of all days.

    What was remembered of another day and cannot be read does not stop this one: that day is shown by its page alone,
    and a warning names the file and the command that mends it.
    """
    from assets.lineage_pages import write_page
    from atelier.report.index import INDEX, DayRecord, DayRecordError, index_page
    from resources.storage import as_text

    write_page(DayRecord.of(ds, lines).to_json(), record_path(folder, ds))
    records = []
    for day in days_with_page(folder):
        path = record_path(folder, day)
        try:
            known = path.exists()
            records.append(DayRecord.from_json(as_text(path.read_bytes()), str(path)) if known else DayRecord(day))
        except DayRecordError as error:
            warnings.warn(f"{error}, with: {launch_command(day)}", stacklevel=2)
            records.append(DayRecord(day))
    write_page(index_page(title, records, superseded), folder / INDEX)
    return folder / INDEX
