"""The ``atelier`` command.

What belongs here: the group, and the commands that are a few lines over the packages below. What does not: commands
that are more (:mod:`dagster_project.commands`), the work itself. Heavy imports stand inside the commands, so that
``--help`` is quick.
"""

import sys
from datetime import UTC, datetime, timedelta

import click

from atelier.errors import AtelierError
from dagster_project.commands.backfill import backfill
from dagster_project.commands.check import check
from dagster_project.commands.doctor import doctor
from dagster_project.commands.find import find
from dagster_project.commands.forget import forget
from dagster_project.commands.init import init
from dagster_project.commands.lineage import lineage
from dagster_project.commands.pairs import pairs
from dagster_project.commands.promote import promote
from dagster_project.commands.recommend import recommend
from dagster_project.commands.report import report
from dagster_project.commands.serve import serve
from dagster_project.commands.similar import similar
from dagster_project.commands.superseded import superseded
from dagster_project.commands.together import together
from dagster_project.terminal import clean
from resources.retailer import Home

#: Libraries that read and write files, and have errors of their own for it.
READERS = ("_duckdb", "duckdb", "pyarrow", "safetensors", "safetensors_rust")
#: The client of object storage, whose errors are about addresses and credentials.
OBJECTS = ("botocore", "aiobotocore", "aiohttp")
DAMAGED = "A file is damaged, or cannot be read or written; `atelier doctor` names what is broken and what mends it."
ASKED_IN_VAIN = (
    "Object storage did not answer: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who asks, AWS_ENDPOINT_URL says "
    "whom (docs/object_storage.md)."
)


@click.group()
@click.version_option(package_name="atelier")
def cli() -> None:
    """Atelier: the daily machine-learning pipeline of a fashion retailer. ATELIER_HOME says where it lives."""


cli.add_command(backfill)
cli.add_command(check)
cli.add_command(find)
cli.add_command(forget)
cli.add_command(doctor)
cli.add_command(init)
cli.add_command(lineage)
cli.add_command(pairs)
cli.add_command(promote)
cli.add_command(recommend)
cli.add_command(report)
cli.add_command(serve)
cli.add_command(similar)
cli.add_command(superseded)
cli.add_command(together)


@cli.command()
def publish() -> None:
    """Rebuild atelier.duckdb from the store."""
    from resources.publishing import publish as rebuild

    home = Home.initialised()
    allowed = home.settings.compute
    summary = rebuild(home.open_store(), home.database, threads=allowed.threads, memory_limit=allowed.memory_limit)
    rows = sum(summary.copied.values())
    click.echo(
        f"{home.database}: {summary.partitions:,} partitions; {len(summary.copied)} tables copied ({rows:,} rows), "
        f"{len(summary.views) + len(summary.extra)} views; {summary.size / 2**20:.1f} MiB"
    )


@cli.command()
@click.option(
    "--older-than",
    type=click.IntRange(min=1),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Only files older than so many days: longer than any run or query takes.",
)
def vacuum(older_than: int) -> None:
    """Remove the files of the store that no pointer names, and what killed runs left. Models are kept.

    Of a store that this home does not write into, only the copies on this machine are removed.
    """
    from resources.store_owner import owns_store
    from resources.usage_lock import in_use

    home, age = Home.initialised(), timedelta(days=older_than)
    if owns_store(home):
        with in_use(home):
            removed, what = home.open_store().vacuum(age), "that no pointer names"
    else:  # a file that no pointer names yet may be of a run of the home that writes
        click.echo("this home does not write into the store: only copies on this machine are removed", err=True)
        removed, what = home.storage.sweep(datetime.now(UTC) - age), "copies on this machine"
    for name in removed:
        click.echo(name)
    click.echo(f"removed {len(removed)} {what}, older than {older_than} days")


def main() -> None:
    """Run the command; an error on purpose, a damaged file and a disk that refuses are a line, not a traceback."""
    try:
        cli()
    except AtelierError as error:
        click.echo("\n".join(map(clean, f"atelier: {error}".splitlines())), err=True)
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and library not in (*READERS, *OBJECTS):
            raise
        said = str(error).strip().splitlines()
        click.echo(f"atelier: {type(error).__name__}: {clean(said[0]) if said else 'without a message'}", err=True)
        click.echo(ASKED_IN_VAIN if library in OBJECTS else DAMAGED, err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
