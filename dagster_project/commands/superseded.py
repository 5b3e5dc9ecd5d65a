"""``atelier superseded``: the days that were made from data, or ingested from files, which have changed since.

What belongs here: the command and its lines. What does not: finding them (:mod:`resources.made_from`,
:mod:`resources.landing_zone`), making them again (``atelier backfill``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import click

from atelier.errors import SourceError
from dagster_project.terminal import clean
from resources.days import runs_of_days
from resources.landing_zone import changed_files, notes_files
from resources.retailer import Home

if TYPE_CHECKING:
    from resources.landing_zone import Changed
    from resources.made_from import Superseded

#: Assets and inputs named in a line, at most.
NAMED = 4


@click.command()
def superseded() -> None:
    """List what was made from data that have been replaced, and files that have changed since they were ingested.

    The exit status is 1 if there is any.
    """
    from resources.made_from import superseded as find

    home = Home.initialised()
    files, found = _changed(home), find(home.storage)
    for line in (*file_lines(files), *lines(found)):
        click.echo(line)
    if not files and not found:
        click.echo(f"{home.root}: every day is made from what is stored now")
        return
    for days in runs_of_days(sorted(files)):
        click.echo(f"ingest them again with:\n  atelier backfill {days[0]} {days[-1]} --job ingest")
    if files:
        click.echo("then look again: what was made from them follows")
    jobs = sorted({each.job for each in found}, key=lambda name: (name != "daily_retrain", name))
    if jobs:
        click.echo("make them again, the oldest first, with:")
    for job in jobs:
        click.echo(f"  atelier backfill --superseded{'' if job == 'daily_retrain' else f' --job {job}'}")
    raise SystemExit(1)


def _changed(home: Home) -> "Mapping[date, Changed]":
    """The files that have changed, by day; none, and a line that says why, where they cannot be compared."""
    if not notes_files(home):
        click.echo("no file was ingested from this folder: files are not compared", err=True)
        return {}
    try:
        return changed_files(home, home.open_source(), home.open_store().days("articles"))
    except SourceError as error:
        click.echo(clean(f"files are not compared: {error}"), err=True)
        return {}


def file_lines(changed: "Mapping[date, Changed]") -> Iterator[str]:
    """A line for each day whose files have changed, arrived or gone since it was ingested.

    Args:
        changed: the files by day, ascending.
    """
    for day, files in changed.items():
        yield clean(f"{day}  ingest  {_named(sorted(files))}  (changed since the day was ingested)")


def lines(found: "Iterable[Superseded]") -> Iterator[str]:
    """A line for each day, job and reason: what was made, and from which inputs.

    Args:
        found: by ascending day.
    """

    def kind(each: "Superseded") -> tuple[date, str, str]:
        return each.ds, each.job, each.reason

    for (day, job, reason), group in groupby(sorted(found, key=kind), kind):
        members = list(group)
        inputs = _named(sorted({each.input for each in members if each.input}))
        because = f"{reason}: {inputs}" if inputs else reason
        yield clean(f"{day}  {job}  {_named(sorted({each.asset for each in members}))}  ({because})")


def days_of(job: str, found: "Iterable[Superseded]") -> Sequence[date]:
    """The days that a job has to make again, ascending."""
    return sorted({each.ds for each in found if each.job == job})


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
