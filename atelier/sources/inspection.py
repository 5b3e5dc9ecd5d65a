"""What is wrong with a retailer's files, found before anything is stored.

What belongs here: reading every table of a source for a range of days and counting what is at fault. What does not:
the rules (:mod:`atelier.sources.columns`, :mod:`atelier.sources.validation`), how it is shown (the commands).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from atelier.errors import SourceError
from atelier.sources.base import Source
from atelier.sources.landed import REJECTED_SCHEMA, Landed

ORDER = ("articles", "customers", "interactions", "annotated_attributes", "images", "outfits")
"""The order in which tables are looked at; those that a source has beside them follow."""
NEEDED = ("articles", "customers", "interactions")
"""The tables without which the daily job can do nothing."""
_FAULT = ["source_file", "column_name", "reason", "row_kept"]


@dataclass(frozen=True)
class Fault:
    """Values of one column of one file that are wrong for one reason.

    Attributes:
        file: the file, below the source's folder.
        column: the column; None where the reason is about the row.
        reason: what is wrong.
        rows: how many rows have it.
        first_row: the first of them, counted from 1.
        rejected: whether these rows are not stored; otherwise the value alone is null.
        record: the first row as JSON, where it is rejected.
    """

    file: str
    column: str | None
    reason: str
    rows: int
    first_row: int
    rejected: bool
    record: str | None


@dataclass
class Inspection:
    """What was found in one table.

    Attributes:
        table: its name.
        days: how many days could be read.
        rows_in: rows that were read, of interactions on all days, of any other table on the newest day.
        accepted: of these, the rows that a run would store.
        rejected: of these, the rows that it would not.
        values_dropped: optional values at fault, which would be null.
        notes: what a person should know although nothing stops because of it, each with the first day that has it.
        faults: what is wrong, the most frequent first.
        fatal: what stops a run; None where nothing does.
    """

    table: str
    days: int = 0
    rows_in: int = 0
    accepted: int = 0
    rejected: int = 0
    values_dropped: int = 0
    notes: dict[str, date] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    fatal: str | None = None

    def count(self, day: date, landed: Landed) -> None:
        """Add what the source handed over for one day; of a snapshot it replaces what the day before had."""
        kept = int(self.table == "interactions")
        self.rows_in = kept * self.rows_in + landed.rows_in
        self.accepted = kept * self.accepted + landed.accepted.num_rows
        self.rejected = kept * self.rejected + landed.rejected_rows
        self.values_dropped = kept * self.values_dropped + landed.values_dropped
        for note in landed.notes:
            self.notes.setdefault(note, day)


def inspect(source: Source, days: Sequence[date]) -> Iterator[Inspection]:
    """Read every table of a source for a range of days and tell what is wrong; nothing is stored.

    Args:
        source: the retailer's files.
        days: ascending and without gaps.

    Yields:
        One result for each table that the source has or that the daily job needs, as soon as it is known. A problem
        that stops one table (:attr:`Inspection.fatal`) does not hide what is wrong with the others.
    """
    others = sorted(source.tables - set(ORDER))
    for table in (*ORDER, *others):
        if table in source.tables:
            yield _inspected(source, table, days)
        elif table in NEEDED:
            yield Inspection(table, fatal=f"the source has no {table}, and nothing can be done without. Add its file.")


def _inspected(source: Source, table: str, days: Sequence[date]) -> Inspection:
    found, rejected = Inspection(table), [REJECTED_SCHEMA.empty_table()]
    previous: Landed | None = None
    try:
        for day, landed in source.land(table, days):
            found.days += 1
            if landed is not previous:  # a snapshot that did not change is the same object
                found.count(day, landed)
                rejected.append(landed.rejected)
                previous = landed
    except SourceError as error:
        found.fatal = str(error)
    found.faults = _faults(pa.concat_tables(rejected))
    return found


def _faults(rejected: pa.Table) -> list[Fault]:
    """Rows of the same file, column and reason together, the most frequent first."""
    # Several days read the same file where another table's file changed; each row of a file counts once.
    distinct = rejected.group_by([*_FAULT, "row"]).aggregate([("record", "min")])
    counted = distinct.group_by(_FAULT).aggregate([("row", "count"), ("row", "min")])
    order = [("row_count", "descending"), *((name, "ascending") for name in _FAULT[:3])]
    faults = []
    for one in counted.sort_by(order).to_pylist():
        same = [pc.equal(distinct.column(name), one[name]) for name in ("source_file", "reason")]
        first = distinct.filter(pc.and_(pc.and_(*same), pc.equal(distinct.column("row"), one["row_min"])))
        record = first.column("record_min")[0].as_py() if one["row_kept"] is False else None
        faults.append(
            Fault(
                one["source_file"], one["column_name"], one["reason"], one["row_count"], one["row_min"],
                not one["row_kept"], record,
            )
        )  # fmt: skip
    return faults
