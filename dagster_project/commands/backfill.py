"""``atelier backfill``: a job for every day of a range, one day after the other.

What belongs here: the command, and which days it runs. What does not: running a job (:mod:`dagster_project.run`).

``dg launch --partition-range`` takes only jobs whose assets may do a range in one run, as ``ingest`` does. A model is
trained for one day, so a range of ``daily_retrain`` is a run for each day, the oldest first.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assets.evaluation import TAG
from atelier.errors import AtelierError
from dagster_project.commands.superseded import days_of
from resources.days import day_of, newest_day
from resources.retailer import Home, Settings, SettingsError, day_range

if TYPE_CHECKING:
    import dagster as dg

#: The job that does a range of days in one run.
RANGED = "ingest"
#: Runs a day, or a range of days as one run, and says why it made nothing; None where it made what it should.
Run = Callable[[date, date | None], str | None]


class BackfillStopped(AtelierError):
    """A run of the range failed; the message names its day, and the command that goes on from there."""


@click.command()
@click.argument("first", required=False)
@click.argument("last", required=False)
@click.option("--job", default="daily_retrain", show_default=True, help="The job to run, for example judge.")
@click.option("--superseded", is_flag=True, help="Only days that were made from data which have been replaced since.")
def backfill(first: str | None, last: str | None, job: str, superseded: bool) -> None:
    """Run a job for every day from FIRST to LAST, both counted and written YYYY-MM-DD, the oldest first.

    The days' data have to be there: ingest them before with --job ingest, which is one run for the whole range. With
    --superseded, FIRST and LAST may be left out.
    """
    home = Home.initialised()
    days = chosen_days(home.settings, first, last, whole_home=superseded)
    if superseded:
        days = superseded_days(home, job, days)
        if not days:
            click.echo(f"{job}: every day is made from what is stored now")
            return
    with runner(home, job) as run:
        run_days(job, days, run, f"--superseded --job {job}" if superseded else None)


def chosen_days(settings: Settings, first: str | None, last: str | None, *, whole_home: bool) -> Sequence[date]:
    """The days of the arguments; with ``whole_home`` all days of the home where there are none.

    Raises:
        UsageError: an argument is missing.
        AtelierError: as :func:`days_between`.
    """
    if first is None and whole_home:
        return day_range(settings.first_day, newest_day(settings))
    if first is None or last is None:
        raise click.UsageError("name the FIRST and the LAST day; only with --superseded both may be left out")
    return days_between(settings, first, last)


def superseded_days(home: Home, job: str, days: Collection[date]) -> Sequence[date]:
    """Which of some days a job has to make again, because their data have been replaced since."""
    from resources.made_from import superseded as find

    return [day for day in days_of(job, find(home.storage)) if day in set(days)]


def days_between(settings: Settings, first: str, last: str) -> Sequence[date]:
    """The days of a range, in order.

    Raises:
        NoSuchDay: one of the ends is not a day of the home.
        AtelierError: the range ends before it begins.
    """
    days = day_range(day_of(first, settings), day_of(last, settings))
    if not days:
        raise AtelierError(f"the range ends on {last}, before it begins on {first}: name the older day first")
    return days


def run_days(job: str, days: Sequence[date], run: Run, going_on: str | None = None) -> None:
    """Run ``job`` for each of ``days``, or once for all of them where it can do a range.

    Args:
        job: its name.
        days: ascending.
        run: runs one of them.
        going_on: the arguments that go on after a failure; None: those of the days that are left.

    Raises:
        BackfillStopped: a run failed; the days before it are done, those after it were not begun.
    """
    runs = [(days[0], days[-1])] if job == RANGED else [(day, None) for day in days]
    for day, end in runs:
        named = f"{job} {day}" + (f" … {end}" if end else "")
        click.echo(f"▶ {named}")
        try:
            nothing = run(day, end)
        except AtelierError as error:
            rest = going_on or f"{day} {days[-1]} --job {job}"
            raise BackfillStopped(f"{error}\nMend the cause, then go on with: atelier backfill {rest}") from error
        click.echo(f"! {named}: {nothing}" if nothing else f"✓ {named}")


@contextmanager
def runner(home: Home, job: str) -> Iterator[Run]:
    """What runs ``job`` of ``home``, against the home's own Dagster storage and with steps in processes.

    The runs take no part in the queue and the pools of Dagster's daemon; where one is at work, a warning says so.

    Raises:
        AtelierError: there is no such job; the message names those that there are.
        SettingsError: ``$DAGSTER_HOME`` is the Dagster of another home, or no folder.
    """
    import dagster as dg

    from dagster_project.build import build_defs
    from dagster_project.daemon import daemon_at_work
    from dagster_project.executors import step_server
    from dagster_project.run import run_job_in_processes

    jobs = sorted(each.name for each in build_defs(home).get_repository_def().get_all_jobs() if each.name[0] != "_")
    if job not in jobs:
        raise AtelierError(f"there is no job {job!r}; there are {', '.join(jobs)}")
    name_dagster(home)
    with dg.DagsterInstance.get() as instance, step_server("models"):
        if daemon_at_work(instance):
            click.echo(
                "A daemon of Dagster is at work on this home, and these runs do not wait in its queue: if it starts "
                "others meanwhile, they share the machine. Turn its schedules off until this has ended, or backfill "
                "in the UI instead.",
                err=True,
            )

        def run(first: date, last: date | None) -> str | None:
            run_id = run_job_in_processes(home, instance, job, first, last, log_level="WARNING")
            return nothing_judged(instance, run_id)

        yield run


def name_dagster(home: Home) -> None:
    """Set ``$DAGSTER_HOME`` to the home's own, unless a deployment keeps Dagster elsewhere.

    Dagster's settings of the home are written again where they were lost.

    Raises:
        SettingsError: it is set, and is the Dagster of another home, or no folder.
    """
    from dagster_project.commands.init import write_dagster_yaml

    named = Path(os.environ.setdefault("DAGSTER_HOME", str(home.dagster)))
    if named.resolve() == home.dagster:
        write_dagster_yaml(home)
    Home.served_by_dagster()
    if not named.is_dir():
        raise SettingsError(f"DAGSTER_HOME is {named}, which is no folder; make it, or set DAGSTER_HOME={home.dagster}")


def nothing_judged(instance: "dg.DagsterInstance", run_id: str) -> str | None:
    """Why a run judged nothing, as its tag says; None where it judged something, or was not to judge."""
    run = instance.get_run_by_id(run_id)
    judged = run.tags.get(TAG, "") if run else ""
    return f"judged {judged}" if judged.startswith("nothing") else None
