"""The section on what came in: rows read, stored and rejected, and days without rows.

What belongs here: showing counts and reasons. What does not: reading the source.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
from markupsafe import Markup

from atelier.report.parts import Section, count_text, joined, missing, note, plain, table

COMMAND = "dg launch --job ingest --partition <day>"
EXAMPLES = 10


def ingest_section(
    counts: pd.DataFrame | None,
    rejected: pd.DataFrame | None = None,
    days_without_rows: Mapping[str, Sequence[date | str]] | None = None,
    command: str = COMMAND,
) -> Section:
    """What came in, whether the counts add up, why rows were rejected, and which days are empty.

    Args:
        counts: table, rows_in, rows_stored, rows_rejected.
        rejected: the table ``rejected`` of the day.
        days_without_rows: for each table the days on which the source has no row.
        command: what to run where there is nothing.
    """
    if counts is None or counts.empty:
        return Section("What came in", "ingest", missing("Nothing has been ingested yet.", command))
    lost = counts[counts["rows_in"] != counts["rows_stored"] + counts["rows_rejected"]]
    parts = [
        note(f"The counts of {name} do not add up: rows are lost or made up.", "bad") for name in lost["table"].tolist()
    ]
    parts.append(
        table(
            "Rows of each table as the source had them, as stored and as rejected; the first is the sum of the others.",
            ["Table", "Rows in", "Stored", "Rejected"],
            [
                [row.table, *map(count_text, (row.rows_in, row.rows_stored, row.rows_rejected))]
                for row in counts.itertuples()
            ],
            numeric=("Rows in", "Stored", "Rejected"),
        )
    )
    parts += [
        note(
            f"No {name} on {', '.join(map(str, days))}."
            if len(days) <= EXAMPLES
            else f"No {name} on {len(days)} days: {', '.join(map(str, days[:EXAMPLES]))} …"
        )
        for name, days in sorted((days_without_rows or {}).items())
        if days
    ]
    if rejected is not None and not rejected.empty:
        parts.append(_reasons(rejected))
    return Section("What came in", "ingest", joined(*parts))


def _reasons(rejected: pd.DataFrame) -> Markup:
    """How often each reason occurs, with the first row it befell."""
    ordered = rejected.sort_values(["source_table", "column_name", "reason", "source_file", "row"], kind="stable")
    groups = ordered.groupby(["source_table", "column_name", "reason"], sort=False)
    first = groups[["source_file", "row"]].first().assign(rows=groups.size()).reset_index()
    first = first.sort_values(["rows", "source_table", "column_name", "reason"], ascending=[False, True, True, True])

    def where(row: Any) -> str:
        return f"{row.source_file}, row {row.row}" if row.row else plain(row.source_file)

    return table(
        "Why rows were rejected, most frequent first; each is kept in the table rejected.",
        ["Table", "Column", "Reason", "First", "Rows"],
        [
            [r.source_table, plain(r.column_name), plain(r.reason), where(r), count_text(r.rows)]
            for r in first.itertuples()
        ],
        numeric=("Rows",),
    )
