"""``atelier superseded``: the days that were made from data which have been replaced since.

What belongs here: the command and its lines. What does not: finding them (:mod:`resources.made_from`), making them
again (``atelier backfill --superseded``).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING

import click

from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    from resources.made_from import Superseded

#: Assets and inputs named in a line, at most.
NAMED = 4


@click.command()
def superseded() -> None:
    """List what was made from data that have been replaced since; exit status 1 if there is any."""
    from resources.made_from import superseded as find

    home = Home.initialised()
    found = find(home.storage)
    for line in lines(found):
        click.echo(line)
    if not found:
        click.echo(f"{home.root}: every day is made from what is stored now")
        return
    jobs = sorted({each.job for each in found})
    click.echo("make them again, the oldest first, with:")
    for job in sorted(jobs, key=lambda name: (name != "daily_retrain", name)):
        click.echo(f"  atelier backfill --superseded{'' if job == 'daily_retrain' else f' --job {job}'}")
    raise SystemExit(1)


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
