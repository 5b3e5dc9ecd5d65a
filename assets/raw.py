"""Raw: the data of the retailer's source for each day, validated and stored.

What belongs here: one stage per raw table; rows that fail validation go to ``rejected``. What does not: reading and
validating files (:mod:`atelier.sources`), anything computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from assets.stage import stage
from assets.step import Step
from atelier.answers import FEEDBACK
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.sources import Landed, Source

GROUP = "raw"
#: The tables that every source must have.
NEEDED = ("articles", "customers")
#: Above this share of rejected rows the check warns; a mismatch of ids between tables would reject all rows.
FEW = 0.01


@dataclass(frozen=True)
class DayCount:
    """Counts of the rows of a day.

    Attributes:
        day: the day.
        rows_in: rows read from the source.
        refused: rows that were not stored.
        values_dropped: values at fault that are null in rows that are stored.
        suppressed: rows of customers who asked to be forgotten; they are stored nowhere.
    """

    day: date
    rows_in: int
    refused: int
    values_dropped: int
    suppressed: int = 0


@dataclass
class Tally:
    """Counts of the rows of an ingest, for the check that none was lost."""

    days: list[DayCount] = field(default_factory=list)
    rejected: list[tuple[date, "pa.Table"]] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def count(self, day: date, landed: "Landed") -> None:
        """Add the rows of ``day``."""
        self.days.append(DayCount(day, landed.rows_in, landed.rejected_rows, landed.values_dropped, landed.suppressed))
        self.rejected.append((day, landed.rejected))
        self.notes.update(landed.notes)

    @property
    def all_refused(self) -> bool:
        """Whether a day had rows and none of them was right."""
        return any(0 < each.rows_in == each.refused for each in self.days)

    def most_frequent_reasons(self) -> str:
        """The three most frequent reasons for rejecting a row, with the column, how many rows and the first of them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        faults = pa.concat_tables([rejected for _, rejected in self.rejected])
        refused = faults.filter(pc.invert(faults.column("row_kept")))
        counted = refused.group_by(["column_name", "reason"]).aggregate([("row", "count"), ("row", "min")])
        most = counted.sort_by([("row_count", "descending"), ("column_name", "ascending")]).slice(0, 3).to_pylist()
        return "; ".join(
            f"{one['row_count']} × {one['column_name']} {one['reason']} (first in row {one['row_min']})" for one in most
        )


def ingest(step: Step, table: str, landings: "Iterator[tuple[date, Landed]]") -> Tally:
    """Store the accepted rows of ``table`` and the rejected ones, and check that the counts add up.

    Raises:
        ContractViolation: the accepted or the rejected rows break their contract; neither table has changed, except
            that the reasons are stored where every row of a day was rejected.
    """
    from atelier.errors import ContractViolation
    from atelier.progress import progress

    tally = Tally()

    def accepted() -> Iterator[tuple[date, Any]]:
        for day, landed in progress(landings, f"ingesting {table}", total=len(step.days), unit="day"):
            tally.count(day, landed)
            yield day, landed.accepted

    # Both tables are audited before either is published, and ``table`` is published last: a run that breaks a contract
    # or is killed in between leaves no day whose rows do not add up.
    try:
        with (
            step.store.stage_range(table, accepted(), run_id=step.run_id) as stored,
            step.store.stage_range("rejected", tally.rejected, part=table, run_id=step.run_id) as refused,
        ):
            refused.publish()
            step.record(table, stored.publish())
    except ContractViolation as violation:
        if not tally.all_refused:
            raise
        # Without a single row the table breaks its contract, and the reasons are what a person needs to mend the files.
        step.store.write_range("rejected", tally.rejected, part=table, run_id=step.run_id)
        reasons = f"every row of a day was rejected: {tally.most_frequent_reasons()}"
        raise ContractViolation(f"{violation}\n{reasons}. All are in the table rejected", table) from violation
    _report(step, table, tally)
    return tally


def _report(step: Step, table: str, tally: Tally) -> None:
    for note in sorted(tally.notes):
        step.log.warning(note)
    for each in tally.days:
        stored, share = step.rows_written(table, each.day), each.refused / max(each.rows_in, 1)
        step.note_day(table, each.day, rows_in=each.rows_in, rows_rejected=each.refused)
        forgotten = ""
        if each.suppressed:
            step.note_day(table, each.day, rows_suppressed=each.suppressed)
            forgotten = f", {each.suppressed} of forgotten customers left out"
        step.check(
            "rows_add_up",
            each.rows_in == stored + each.refused + each.suppressed,
            f"{table} of {each.day}: {each.rows_in} rows in, {stored} stored, {each.refused} rejected{forgotten}",
            each.day,
        )
        dropped = f", {each.values_dropped} values at fault are null in rows that are stored"
        step.check(
            "few_rows_rejected",
            share <= FEW,
            f"{table} of {each.day}: {share:.2%} of the rows are rejected{dropped if each.values_dropped else ''}",
            each.day,
            rejected_share=share,
        )


def land(step: Step, source: "Source", table: str) -> "Iterator[tuple[date, Landed]]":
    """The rows of ``table`` in ``source`` on the step's days; a table that the source lacks has no rows.

    Rows of customers who asked to be forgotten are left out, and counted.
    """
    if table in source.tables:
        from atelier.sources.suppression import without_forgotten
        from resources.suppression import suppression_of

        suppression, landings = suppression_of(step.home), source.land(table, step.days)
        yield from without_forgotten(landings, suppression.is_forgotten) if suppression else landings
        return
    from atelier.errors import SourceError
    from atelier.sources import Landed
    from resources.frames import empty_table

    if table in NEEDED:
        raise SourceError(f"{step.home.toml}: the source has no {table}, and nothing can be done without; add its file")
    nothing = Landed(empty_table(REGISTRY[table]), notes=(f"the source has no {table}: stored as empty",))
    yield from ((day, nothing) for day in step.days)


#: The checks of every raw table.
CHECKS = {
    "rows_add_up": "Whether each row of the source was either stored or rejected: none is lost.",
    "few_rows_rejected": f"Whether at most {FEW:.0%} of the day's rows were rejected.",
}


@stage(produces=["articles"], group=GROUP, checks=CHECKS, ranged=True)
def articles(step: Step) -> None:
    """The retailer's articles, as known on each day."""
    ingest(step, "articles", land(step, step.home.open_source(), "articles"))


@stage(produces=["customers"], group=GROUP, checks=CHECKS, ranged=True)
def customers(step: Step) -> None:
    """The retailer's customers, as known on each day."""
    ingest(step, "customers", land(step, step.home.open_source(), "customers"))


@stage(
    produces=["interactions"],
    group=GROUP,
    checks=CHECKS | {"days_have_rows": "Whether customers did anything on the day."},
    ranged=True,
)
def interactions(step: Step) -> None:
    """What customers did on each day; a check names the days without interactions."""
    tally = ingest(step, "interactions", land(step, step.home.open_source(), "interactions"))
    for each in tally.days:
        said = f"{each.rows_in} interactions" if each.rows_in else "no interactions"
        step.check("days_have_rows", each.rows_in > 0, f"{said} on {each.day}", each.day)


@stage(produces=["annotated_attributes"], group=GROUP, checks=CHECKS, ranged=True)
def annotated_attributes(step: Step) -> None:
    """Attribute values that people annotated, as known on each day."""
    ingest(step, "annotated_attributes", land(step, step.home.open_source(), "annotated_attributes"))


@stage(produces=["outfits"], group=GROUP, checks=CHECKS, ranged=True)
def outfits(step: Step) -> None:
    """Articles that people combined to outfits, as known on each day."""
    ingest(step, "outfits", land(step, step.home.open_source(), "outfits"))


@stage(produces=[FEEDBACK], group=GROUP, checks=CHECKS, ranged=True)
def outfit_feedback(step: Step) -> None:
    """What people answered about which articles go together, up to each day."""
    ingest(step, FEEDBACK, land(step, step.home.open_source(), FEEDBACK))


STAGES = (articles, customers, interactions, annotated_attributes, outfits, outfit_feedback)
