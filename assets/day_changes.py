"""What changed since the day before, for the page of the day.

What belongs here: which tables are compared with which earlier day. What does not: what is said of the changes
(:mod:`atelier.report.changes`).
"""

from datetime import date
from typing import TYPE_CHECKING

from assets.pictures import partition
from assets.step import Step
from sql import query

if TYPE_CHECKING:
    import pandas as pd

    from atelier.report.changes import Changes

#: Of each table that is compared: the query that compares it, and the columns that it reads.
COMPARED = {
    "articles": ("article_changes", ("article_id", "price", "in_stock")),
    "customers": ("customer_changes", ("customer_id",)),
    "annotated_attributes": ("label_changes", ("article_id", "attribute", "value")),
    "predicted_attributes": ("value_changes", ("article_id", "attribute", "value", "source")),
}
#: How many changes of each kind the page names.
EXAMPLES = 3


def day_before(step: Step, table: str) -> date | None:
    """The newest day before the step's that has ``table``; None where there is none, or the step's day lacks it."""
    days = {pointer.ds for pointer in step.store.pointers(table) if pointer.ds <= step.ds}
    return max(days - {step.ds}, default=None) if step.ds in days else None


def day_changes(step: Step) -> "Changes":
    """What differs between the step's day and, table by table, the newest day before it that has the table."""
    import pandas as pd

    from atelier.report.changes import Changes, attribute_figures, recommender_figures

    tables = (*COMPARED, "offline_metrics", "attribute_metrics")
    since = {table: before for table in tables if (before := day_before(step, table)) is not None}
    found = [_differences(step, table, since[table]) for table in COMPARED if table in since]
    columns = ["what", "total", "id", "attribute", "before", "after"]
    figures = [
        make(*(partition(step, table, day) for day in (since[table], step.ds)))
        for table, make in (("offline_metrics", recommender_figures), ("attribute_metrics", attribute_figures))
        if table in since
    ]
    known = [each for each in figures if len(each)]
    listed = pd.concat([frame for frame in found if len(frame)] or [pd.DataFrame(columns=columns)], ignore_index=True)
    if known:
        return Changes(step.ds, since, listed, pd.concat(known, ignore_index=True))
    return Changes(step.ds, since, listed)


def _differences(step: Step, table: str, before: date) -> "pd.DataFrame":
    """What differs between the partitions of a table on two days; see the query."""
    name, columns = COMPARED[table]
    with step.store.connect(as_of=before, tables=[table]) as con:
        earlier = con.table(table).select(*(f'"{column}"' for column in columns)).to_arrow_table()
    with step.connect(table) as con:
        con.register(f"{table}_before", earlier)
        frame: pd.DataFrame = con.sql(query(name), params={"examples": EXAMPLES}).df()
    return frame
