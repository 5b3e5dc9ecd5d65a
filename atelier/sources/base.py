"""What every source of a retailer's data is: the protocol, and the two things that all sources share.

What belongs here: :class:`Source`, how a fatal problem is worded, which days may be asked for. What does not: any
format.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Protocol, runtime_checkable

from atelier.errors import SourceError
from atelier.sources.landed import Landed


@runtime_checkable
class Source(Protocol):
    """Where a retailer's raw data comes from.

    Attributes:
        root: the folder of its files.
        image_root: the folder that ``images.path`` is relative to; it need not exist.
        first_day: the first day the files hold.
        last_day: the last day the files hold; None for a live source, whose next day is yet to come.
        tables: what it can give, of articles, customers, interactions, annotated_attributes, images, outfits and
            outfit_feedback.
    """

    @property
    def root(self) -> Path: ...  # noqa: D102 — described above

    @property
    def image_root(self) -> Path: ...  # noqa: D102

    @property
    def first_day(self) -> date: ...  # noqa: D102

    @property
    def last_day(self) -> date | None: ...  # noqa: D102

    @property
    def tables(self) -> frozenset[str]: ...  # noqa: D102

    def files_of(self, table: str, day: date) -> Sequence[Path]:
        """The files that a table of one day is read from, with those of the tables that it refers to.

        Photographs are not among them.

        Args:
            table: one of ``tables``.
            day: the day.
        """
        ...

    def land(self, table: str, days: Sequence[date]) -> Iterator[tuple[date, Landed]]:
        """Read one table for a range of days, in one pass over the files.

        Args:
            table: one of ``tables``.
            days: ascending and without gaps.

        Yields:
            Every day asked for, in order; a day without rows comes with an empty table and a note.

        Raises:
            SourceError: a file or column is missing or unreadable, or wrong as a whole.
            ValueError: ``days`` has gaps or is not ascending, or the source does not have the table.
        """
        ...


def source_error(file: Path | str, problem: str, remedy: str, column: str | None = None) -> SourceError:
    """The error of a fatal problem, worded the same everywhere: file, column, what is wrong, what to do."""
    where = f"{file}, column {column!r}" if column else f"{file}"
    return SourceError(f"{where}: {problem}. {remedy}")


def check_request(source: Source, table: str, days: Sequence[date]) -> None:
    """Refuse a table that the source does not have, and days that are not a range.

    Raises:
        ValueError: with what was asked and what there is.
    """
    if table not in source.tables:
        raise ValueError(f"this source has no table {table!r}; it has {', '.join(sorted(source.tables))}")
    gaps = [later for earlier, later in pairwise(days) if later - earlier != timedelta(days=1)]
    if gaps:
        raise ValueError(f"days have to be ascending and without gaps; before {gaps[0]} there is one")
