"""``atelier forget``: a customer is taken out of everything that a home holds.

What belongs here: the command, and what it says. What does not: the work (:mod:`resources.forgetting`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atelier.errors import AtelierError
from dagster_project.terminal import clean
from resources.retailer import Home

if TYPE_CHECKING:
    from resources.forgetting.forgetting import Forgotten


class NobodyNamed(AtelierError, ValueError):
    """The command was given no customer, or a file without any."""


@click.command()
@click.argument("customers", nargs=-1, metavar="CUSTOMER…")
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file of customers, one a line.",
)
@click.option("--yes", is_flag=True, help="Do not ask before anything is removed.")
def forget(customers: tuple[str, ...], file: Path | None, yes: bool) -> None:
    """Remove customers from tables, models, pages, logs and the database, and leave them out of every later ingest.

    It cannot be undone. While a run writes into the home it refuses; after a kill the same command ends the work.
    """
    home, named = Home.initialised(), named_customers(customers, file)
    if not yes:
        click.confirm(f"Remove {len(named):,} customer(s) from {home.root}? This cannot be undone", abort=True)
    from dagster_project.commands.backfill import name_dagster
    from dagster_project.run_locks import process_is_gone
    from resources.forgetting.forgetting import forget as forget_customers

    name_dagster(home)
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        done = forget_customers(home, instance, named, is_at_work=lambda run: not process_is_gone(instance, run.run_id))
    for line in lines(home, done, len(named)):
        click.echo(clean(line))
    if done.left:
        raise SystemExit(1)


def named_customers(customers: tuple[str, ...], file: Path | None) -> list[str]:
    """The customers of the command line and of the file, each once, in order.

    Raises:
        NobodyNamed: there is none, or the file is not UTF-8.
    """
    try:
        lines_of_file = file.read_text(encoding="utf-8-sig").splitlines() if file else []
    except UnicodeDecodeError as error:
        raise NobodyNamed(f"{file} is not UTF-8 ({error}): write one customer a line in UTF-8") from error
    found = list(dict.fromkeys(each.strip() for each in (*customers, *lines_of_file) if each.strip()))
    if not found:
        raise NobodyNamed("no customer is named: give identifiers, or --from a file with one a line")
    return found


def lines(home: Home, done: "Forgotten", customers: int) -> Iterator[str]:
    """What was done, line by line: each place, what could not be changed, and what models have learned."""
    width = max((len(place) for place, _ in done.places), default=0)
    for place, what in done.places:
        yield f"{place.ljust(width)}  {what}"
    if not done.places:
        yield "nothing was found"
    for path in done.left:
        yield f"{path} names a customer and is no text: delete it"
    again = customers - done.added
    yield (
        f"{customers:,} forgotten{f', {again:,} of whom had been before' if again else ''}: every later ingest into "
        f"{home.root} leaves them out. The retailer's own files are not changed."
    )
    if done.learned:
        models = ", ".join(f"{name} up to {day}" for name, day in done.learned.items())
        yield f"Models that learned from them together with all others keep that in their weights: {models}."
        yield f"No model from {done.free_from} on has, and none of an earlier day that is trained again."
