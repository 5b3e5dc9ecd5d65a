"""What the files of a Parquet landing zone have to hold, as text for whoever writes the export.

What belongs here: the text that ``atelier init --source parquet`` prints where it is not told a folder. What does not:
the rules (:mod:`atelier.sources.columns`), what the columns mean (:mod:`resources.tables`).
"""

from collections.abc import Iterator

from atelier.sources.columns import LAYOUTS, Field, Layout
from resources.tables import REGISTRY

NEEDED = ("articles", "customers", "interactions")
_TYPES = {
    "VARCHAR": "text",
    "SMALLINT": "whole number",
    "INTEGER": "whole number",
    "BOOLEAN": "true or false",
    "DATE": "date",
    "TIMESTAMP": "time without zone",
    "MAP(VARCHAR, VARCHAR)": "map of text to text",
}
_HEAD = """\
A Parquet landing zone is one folder. Each table has a folder in it, and each day a file, ds=YYYY-MM-DD.parquet.
interactions has one file for each day; a file of any other table holds until the day of its next one. Further columns
are ignored."""
_FOOT = """\
A first landing zone from pandas:

    from pathlib import Path
    import pandas as pd

    zone, day = Path("zone"), "2025-03-03"
    for table, frame in {"articles": articles, "customers": customers, "interactions": interactions}.items():
        (zone / table).mkdir(parents=True, exist_ok=True)
        frame.to_parquet(zone / table / f"ds={day}.parquet", index=False)

Then: atelier check zone, which says what is wrong, and: atelier init --source parquet --path zone"""


def landing_template() -> str:
    """Every file of a landing zone with its columns: type, whether it is required, and what it means."""
    return "\n\n".join([_HEAD, *("\n".join(_table(layout)) for layout in LAYOUTS.values()), _FOOT])


def _table(layout: Layout) -> Iterator[str]:
    needed = "required" if layout.table in NEEDED else "where you have it"
    yield f"{layout.table}/ds=YYYY-MM-DD.parquet ({needed}): {REGISTRY[layout.table].description}"
    meanings = {column.name: column.description for column in REGISTRY[layout.table].columns}
    for field in layout.fields:
        kind = "number" if field.type.startswith("DECIMAL") else _TYPES[field.type]
        wanted = "required" if field.required else "may be null" if not field.may_lack else "may be absent"
        yield f"    {field.column:<16} {kind:<20} {wanted:<14} {meanings[field.name]}{_rule(field)}"
    if layout.key:
        yield f"    One row for each {' and '.join(layout.key)}."
    for column, other in layout.references:
        yield f"    Each {column} is one of {other}."


def _rule(field: Field) -> str:
    if field.values:
        return f" One of {', '.join(field.values)}."
    if field.low is not None and field.high is not None:
        return f" {field.low} to {field.high}."
    return f" At least {field.low}." if field.low is not None else ""
