"""What a source hands over for one table and one day.

What belongs here: :class:`Landed` and the schema of rejected rows. What does not: how rows are read
(:mod:`atelier.sources.reading`) or checked (:mod:`atelier.sources.validation`).
"""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from atelier.errors import AtelierError

REJECTED_SCHEMA: pa.Schema = pa.schema(
    [
        (name, {"row": pa.int64(), "row_kept": pa.bool_()}.get(name, pa.string()))
        for name in ("source_table", "source_file", "row", "column_name", "reason", "row_kept", "record")
    ]
)


@dataclass(frozen=True, eq=False)
class Landed:
    """One table on one day, as the source has it. Every row that came in is accepted, not kept or suppressed.

    A row whose only fault is an optional value is accepted without that value, and named among the rejected ones too.

    A snapshot that holds for several days is yielded as the very same object for each of them, so that
    ``landed is previous`` tells cheaply that nothing changed.

    Attributes:
        accepted: the valid rows, with the columns of the registry's table; types cast to the registry's.
        rejected: the faults (:data:`REJECTED_SCHEMA`): one for each row that is not kept, and one for each value that
            a row is kept without (``row_kept``).
        rows_in: how many rows came in, counted in the files.
        notes: what a person should know although nothing stops because of it: a day without rows, no photographs.
        suppressed: how many rows were left out because their customers asked to be forgotten
            (:mod:`atelier.sources.suppression`).

    Raises:
        AtelierError: the counts do not add up.
    """

    accepted: pa.Table
    rejected: pa.Table = field(default_factory=REJECTED_SCHEMA.empty_table)
    rows_in: int = 0
    notes: tuple[str, ...] = ()
    suppressed: int = 0

    def __post_init__(self) -> None:
        stored, rejected = self.accepted.num_rows, self.rejected_rows
        if self.rows_in != stored + rejected + self.suppressed:
            raise AtelierError(
                f"{self.rows_in} rows came in, but {stored} are accepted, {rejected} rejected and {self.suppressed} "
                "suppressed: rows were lost or doubled while reading. This is a fault of the source's code, not of its "
                "files"
            )

    @property
    def rejected_rows(self) -> int:
        """How many rows were not kept."""
        return int(self.rejected.num_rows) - self.values_dropped

    @property
    def values_dropped(self) -> int:
        """How many optional values were at fault and are null in the rows that were kept."""
        return int(pc.sum(self.rejected.column("row_kept")).as_py() or 0)
