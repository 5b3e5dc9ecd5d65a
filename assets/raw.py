"""Raw: what the retailer's source holds of each day, checked and stored.

What belongs here: one stage per raw table; the rows that came in wrong go to ``rejected``. What does not: how files are
read and judged (:mod:`atelier.sources`), anything computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from assets.stage import stage
from assets.step import Step
from resources.tables import REGISTRY

if TYPE_CHECKING:
    import pyarrow as pa

    from atelier.sources import Landed, Source

GROUP = "raw"
#: Without these there is no day.
NEEDED = ("articles", "customers")
#: More than this share of rejected rows is told as a warning: one whole id mismatch would reject everything.
FEW = 0.01


@dataclass
class Tally:
    """What has passed through an ingest: for the check that nothing was lost, and for naming empty days."""

    days: list[tuple[date, int, int]] = field(default_factory=list)
    rejected: list[tuple[date, "pa.Table"]] = field(default_factory=list)
    empty_days: list[date] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)

    def count(self, day: date, landed: "Landed") -> None:
        """Note what ``day`` brought."""
        self.days.append((day, landed.rows_in, landed.rejected.num_rows))
        self.rejected.append((day, landed.rejected))
        self.notes.update(landed.notes)
        if landed.rows_in == 0:
            self.empty_days.append(day)

    @property
    def rows_in(self) -> int:
        """Rows that came in."""
        return sum(rows for _, rows, _ in self.days)

    @property
    def refused(self) -> int:
        """Rows that went to ``rejected``."""
        return sum(rows for _, _, rows in self.days)


def ingest(step: Step, table: str, landings: "Iterator[tuple[date, Landed]]") -> Tally:
    """Store what ``landings`` bring of ``table``, keep what was refused, and check that the counts add up.

    Raises:
        ContractViolation: the rows, or those refused, break their contract; neither table has changed.
    """
    from atelier.progress import progress

    tally = Tally()

    def accepted() -> Iterator[tuple[date, Any]]:
        for day, landed in progress(landings, f"ingesting {table}", total=len(step.days), unit="day"):
            tally.count(day, landed)
            yield day, landed.accepted

    # Both are judged before either is published, and the table that makes the day last: who stops in between, by a
    # broken contract or by being killed, leaves no day whose rows do not add up.
    with (
        step.store.stage_range(table, accepted(), run_id=step.run_id) as stored,
        step.store.stage_range("rejected", tally.rejected, part=table, run_id=step.run_id) as refused,
    ):
        refused.publish()
        step.record(table, stored.publish())
    _tell(step, table, tally)
    return tally


def _tell(step: Step, table: str, tally: Tally) -> None:
    stored = step.rows_written(table)
    for note in sorted(tally.notes):
        step.log.warning(note)
    for day, rows_in, refused in tally.days:
        step.note_day(table, day, rows_in=rows_in, rows_rejected=refused)
    step.check(
        "rows_add_up",
        tally.rows_in == stored + tally.refused,
        f"{table}: {tally.rows_in} rows in, {stored} stored, {tally.refused} rejected",
    )
    share = tally.refused / max(tally.rows_in, 1)
    step.check("few_rows_rejected", share <= FEW, f"{table}: {share:.2%} of the rows are rejected")


def land(step: Step, source: "Source", table: str) -> "Iterator[tuple[date, Landed]]":
    """What ``source`` has of ``table`` on the step's days; a table that it does not have is empty on each of them."""
    if table in source.tables:
        yield from source.land(table, step.days)
        return
    from atelier.errors import SourceError
    from atelier.sources import Landed
    from resources.frames import empty_table

    if table in NEEDED:
        raise SourceError(f"{step.home.toml}: the source has no {table}, and nothing can be done without; add its file")
    nothing = Landed(empty_table(REGISTRY[table]), notes=(f"the source has no {table}: stored as empty",))
    yield from ((day, nothing) for day in step.days)


CHECKS = ("rows_add_up", "few_rows_rejected")


@stage(produces=["articles"], group=GROUP, checks=CHECKS, ranged=True)
def articles(step: Step) -> None:
    """What is sold, as known on each day."""
    ingest(step, "articles", land(step, step.home.open_source(), "articles"))


@stage(produces=["customers"], group=GROUP, checks=CHECKS, ranged=True)
def customers(step: Step) -> None:
    """Who buys, as known on each day."""
    ingest(step, "customers", land(step, step.home.open_source(), "customers"))


@stage(produces=["interactions"], group=GROUP, checks=(*CHECKS, "days_have_rows"), ranged=True)
def interactions(step: Step) -> None:
    """What customers did on each day; a day without any is ordinary, and named."""
    tally = ingest(step, "interactions", land(step, step.home.open_source(), "interactions"))
    named = ", ".join(day.isoformat() for day in tally.empty_days)
    step.check(
        "days_have_rows",
        not tally.empty_days,
        f"{len(tally.empty_days)} of {len(step.days)} days without interactions" + (f": {named}" if named else ""),
    )


@stage(produces=["annotated_attributes"], group=GROUP, checks=CHECKS, ranged=True)
def annotated_attributes(step: Step) -> None:
    """What people labelled."""
    ingest(step, "annotated_attributes", land(step, step.home.open_source(), "annotated_attributes"))


@stage(produces=["outfits"], group=GROUP, checks=CHECKS, ranged=True)
def outfits(step: Step) -> None:
    """What people put together."""
    ingest(step, "outfits", land(step, step.home.open_source(), "outfits"))


STAGES = (articles, customers, interactions, annotated_attributes, outfits)
