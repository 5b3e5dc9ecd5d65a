"""``atelier check``: what is wrong with a retailer's files, before a home exists or anything runs.

What belongs here: the command and how it shows what was found. What does not: looking through the files
(:mod:`atelier.sources.inspection`), the rules of right values (:mod:`atelier.sources.columns`).
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project.commands.init import parse_options
from dagster_project.terminal import clean

if TYPE_CHECKING:
    from atelier.sources import Source
    from atelier.sources.inspection import Inspection

SHOWN = 20
"""Faults of a table that are shown; the rest is counted."""
LONGEST = 160
"""Characters of a rejected row that are shown."""


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--source",
    "kind",
    type=click.Choice(["parquet", "hm", "sample"]),
    default="parquet",
    show_default=True,
    help="The kind of files.",
)
@click.option("--first-day", type=click.DateTime(["%Y-%m-%d"]), help="Default: the first day of the files.")
@click.option("--last-day", type=click.DateTime(["%Y-%m-%d"]), help="Default: the last day of the files.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="A further option of the source; JSON or text."
)
def check(
    path: Path, kind: str, first_day: datetime | None, last_day: datetime | None, options: tuple[str, ...]
) -> None:
    """Say what is wrong with the files in PATH. Nothing is written, and no home is needed.

    Exit status 1: something stops a run. Rows that a run would reject are told and stop nothing.
    """
    from atelier.progress import progress
    from atelier.sources import open_source
    from atelier.sources.inspection import inspect

    source = open_source(kind, path, **parse_options(options))
    days = _days(source, first_day, last_day)
    click.echo(f"{path}: {len(days):,} day{'s' * (len(days) != 1)}, {days[0]} … {days[-1]}")
    found = []
    for one in progress(inspect(source, days), "reading tables", total=len(source.tables), unit="table"):
        found.append(one)
    for one in found:
        for line in lines(one):
            click.echo(line)
    stopped = [one.table for one in found if one.fatal]
    if stopped:
        click.echo(f"A run would stop at {', '.join(stopped)}.")
        raise SystemExit(1)
    rejected = sum(fault.rows for one in found for fault in one.faults if fault.rejected)
    click.echo(
        f"A run would reject {rejected:,} rows and store the rest." if rejected else "A run would store every row."
    )


def lines(found: "Inspection") -> Iterator[str]:
    """What was found in one table, as lines for a terminal."""
    whole = "on all days" if found.table == "interactions" else "on the newest day"
    dropped = f", {found.values_dropped:,} optional values at fault are left out" if found.values_dropped else ""
    yield (
        f"{found.table}: {found.rows_in:,} rows {whole}, {found.accepted:,} right, {found.rejected:,} rejected{dropped}"
    )
    if found.fatal:
        yield f"  stops a run: {clean(found.fatal)}"
    for fault in found.faults[:SHOWN]:
        what = "rejected" if fault.rejected else "kept without the value"
        column = f", column {fault.column!r}" if fault.column else ""
        rows = f"{fault.rows:,} row{'s' * (fault.rows != 1)}"
        yield clean(f"  {fault.file}{column}: {rows} {what}: {fault.reason} (first in row {fault.first_row})")
        if fault.record:
            yield f"      {clean(fault.record)[:LONGEST]}"
    if len(found.faults) > SHOWN:
        yield f"  and {len(found.faults) - SHOWN:,} further faults"
    for note, day in found.notes.items():
        yield clean(f"  note, from {day}: {note}")


def _days(source: "Source", first: datetime | None, last: datetime | None) -> list[date]:
    """The range that is looked at.

    Raises:
        UsageError: it is empty.
    """
    begin = first.date() if first else source.first_day
    end = last.date() if last else source.last_day or _newest(source)
    if end < begin:
        raise click.UsageError(f"the last day {end} is before the first, {begin}")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]


def _newest(source: "Source") -> date:
    """The newest day of a landing zone that goes on growing."""
    from atelier.sources import ParquetSource

    assert isinstance(source, ParquetSource)  # noqa: S101 — every other source has a last day; for the type checker
    return max(source.files["interactions"])
