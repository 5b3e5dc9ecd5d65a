"""The section on what came in: rows read, stored and rejected, and days without rows.

What belongs here: showing counts and reasons. What does not: reading the source.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pandas as pd
from markupsafe import Markup

from atelier.report import parts

EXAMPLES = 10
COUNTS = ["table", "rows_in", "rows_stored", "rows_rejected", "values_dropped"]


@parts.section("What came in", "ingest", "Nothing has been ingested yet.", "ingest")
def ingest_section(
    counts: pd.DataFrame,
    rejected: pd.DataFrame | None = None,
    days_without_rows: Mapping[str, Sequence[date | str]] | None = None,
) -> Iterator[str]:
    """What came in, whether the counts add up, why rows were rejected, and which days are empty.

    Args:
        counts: table, rows_in, rows_stored, rows_rejected, values_dropped (optional values at fault that are null in
            stored rows).
        rejected: the table ``rejected`` of the day.
        days_without_rows: for each table the days on which the source has no row.
    """
    lost = counts[counts["rows_in"] != counts["rows_stored"] + counts["rows_rejected"]]
    for name in lost["table"]:
        yield parts.note(f"The counts of {name} do not add up: rows are lost or made up.", "bad")
    yield parts.table(
        "Rows of each table as the source had them, as stored and as rejected; the first is the sum of these two. "
        "Values dropped are optional ones at fault, which are null in stored rows.",
        ["Table", "Rows in", "Stored", "Rejected", "Values dropped"],
        [[table, *map(parts.count_text, numbers)] for table, *numbers in counts[COUNTS].itertuples(index=False)],
    )
    for name, days in sorted((days_without_rows or {}).items()):
        first = ", ".join(map(str, days[:EXAMPLES]))
        if len(days) > EXAMPLES:
            yield parts.note(f"No {name} on {len(days)} days: {first} …")
        elif days:
            yield parts.note(f"No {name} on {first}.")
    if rejected is not None and not rejected.empty:
        yield _reasons(rejected)


def _reasons(rejected: pd.DataFrame) -> Markup:
    """How often each reason occurs, with the first row that was rejected, or stored without the value, for it."""
    what = ["source_table", "column_name", "reason", "row_kept"]
    ordered = rejected.sort_values([*what, "source_file", "row"], kind="stable")
    groups = ordered.groupby(what, sort=False)
    first = groups[["source_file", "row"]].first().assign(rows=groups.size()).reset_index()
    first = first.sort_values(["rows", *what], ascending=[False, True, True, True, True])
    cells = [
        [
            table,
            parts.plain(column),
            parts.plain(reason),
            f"{file}, row {row}" if row else parts.plain(file),
            "stored without the value" if kept else "not stored",
            f"{rows:,}",
        ]
        for table, column, reason, kept, file, row, rows in first.itertuples(index=False)
    ]
    text = ["Table", "Column", "Reason", "First", "The row is"]
    caption = "Why rows and values were rejected, most frequent first; each is kept in the table rejected."
    return parts.table(caption, [*text, "Rows"], cells, text)
