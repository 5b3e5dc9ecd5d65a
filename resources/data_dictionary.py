"""The data dictionary: the registry as a page for people.

What belongs here: the rendering of :mod:`resources.tables` as Markdown. What does not: any fact about a table, which
belongs in the registry. ``python -m resources.data_dictionary`` rewrites ``docs/data_dictionary.md``.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from resources.model_bundles import MODEL_BUNDLES
from resources.profile import allowed_text, may_be_empty
from resources.promotions import PROMOTIONS
from resources.publishing import CATALOGUE, MATERIALISATIONS, VIEWS, leading_comment
from resources.schema import Column, Table
from resources.tables import GROUPS, REGISTRY

PAGE = Path(__file__).resolve().parent.parent / "docs" / "data_dictionary.md"

DESCRIBED = {**GROUPS, "Where tables and models come from": [MATERIALISATIONS, MODEL_BUNDLES, PROMOTIONS]}
KINDS = {"snapshot": "the whole state on ds", "event": "what happened on ds", "derived": "computed for ds"}
INTRODUCTION = """# Data dictionary

What stands in every table of the feature store and of `atelier.duckdb`. Written by
`python -m resources.data_dictionary` from the registry, `resources/tables/`: change it there.

**A snapshot or derived table holds everything once for each day: join on `ds` as well, or use `latest_<table>`, which
shows the newest day alone.** Sums over `articles` joined without `ds` count every article once a day.

Every table is partitioned by day, `ds`, which `atelier.duckdb` shows as the first column. A table is a *snapshot* (the
whole state on ds), an *event* table (what happened on ds) or *derived* (computed for ds). Within a partition the key is
unique and the rows are sorted by it. What the columns "required" and "allowed"
say is checked before a partition is published; numbers and dates must be finite as well.
"""


def markdown(groups: Mapping[str, Iterable[Table]] = DESCRIBED) -> str:
    """The whole page.

    Args:
        groups: the tables that it describes, by the heading that they stand under.
    """
    contents, sections = ["| table | kind | key | holds |", "|---|---|---|---|"], []
    for title, tables in groups.items():
        contents.append(f"| **{title}** | | | |")
        sections.append(f"## {title}")
        for t in tables:
            contents.append(f"| [{t.name}](#{t.name}) | {t.kind} | {', '.join(t.key)} | {_cell(t.description)} |")
            sections.append(_section(t))
    return "\n".join([INTRODUCTION, *contents, "", "\n\n".join(sections), _views(), ""])


def _section(table: Table) -> str:
    header = ["| column | type | required | allowed | unit | holds | computed from |", "|---|---|---|---|---|---|---|"]
    rows = [_row(table, column) for column in table.columns]
    return "\n".join([f"### {table.name}", "", table.description, "", " · ".join(_facts(table)), "", *header, *rows])


def _views() -> str:
    """What ``sql/views`` adds to ``atelier.duckdb``: of each file its leading comment."""
    sections = ["\n## Views\n\nEach answers one question in `atelier.duckdb`; its text is `sql/views/<name>.sql`."]
    sections.append(f"### catalogue\n\n{CATALOGUE} Its columns follow the attributes, so it has no file.")
    for file in sorted(VIEWS.glob("*.sql")):
        lines = (line.removeprefix("--").strip() for line in leading_comment(file.read_text(encoding="utf-8")))
        sections.append(f"### {file.stem}\n\n{' '.join(lines)}")
    return "\n\n".join(sections)


def _facts(table: Table) -> list[str]:
    key = f"key: `{', '.join(table.key)}`"
    if table.name not in REGISTRY:
        return [key, "made when `atelier.duckdb` is published"]
    facts = [f"*{table.kind}*: {KINDS[table.kind]}", key, "may be empty" if may_be_empty(table) else "never empty"]
    if table.part:
        facts.append(f"written by part, `{table.part}`")
    if table.upstreams:
        facts.append("from " + ", ".join(f"[{name}](#{name})" for name in table.upstreams))
    return facts


def _row(table: Table, column: Column) -> str:
    name = f"**{column.name}**" if column.name in table.key else column.name
    cells = [
        name,
        f"`{column.type}`",
        "" if column.nullable else "yes",
        allowed_text(column),
        column.unit or "",
        column.description,
        ", ".join(f"`{source}`" for source in column.lineage),
    ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Rewrite the page; with ``--check`` only say whether it is current. Returns the exit status."""
    text = markdown()
    if "--check" in arguments:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == text
        print(f"{PAGE.name} is {'current' if current else 'not current: run python -m resources.data_dictionary'}")
        return 0 if current else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.name}: {len(REGISTRY)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
