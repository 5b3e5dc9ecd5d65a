"""The schedules: what is requested when.

What belongs here: the nightly requests. What does not: what the jobs contain (:mod:`dagster_project.jobs`).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from assets.evaluation import unmet
from resources.promotions import Promotions, served_by
from resources.retailer import Home, Settings, day_range

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

    from resources.feature_store import FeatureStore

#: When what is requested, in the retailer's time zone. The judge needs the behaviour that daily_retrain ingests: its
#: schedule asks every hour whether the day has been ingested, and requests it once it has.
NIGHTLY = {"daily_retrain": "0 4 * * *", "judge": "5 4-23 * * *"}
#: Days that were missed, while the daemon was down for example, are requested again if they are no longer ago.
CAUGHT_UP = 14
#: How often a day is run, once a night at most, before somebody has to look at why it is still not there.
TRIES = 3
#: What the daily job makes of every day after the lists, and publishes with them.
BEFORE_PUBLISHING = ("champions", "drift")
#: Dagster puts it onto every run of a single day: from a schedule, a backfill, the launchpad.
DAY_TAG = "dagster/partition"


def nightly(job: "AssetJob", home: Home, store: "FeatureStore") -> dg.ScheduleDefinition:
    """A schedule that requests yesterday's partition of ``job``, after the days that were missed; it starts stopped.

    Past the source's last day it skips, and says so.

    Args:
        job: one of :data:`NIGHTLY`.
        home: its settings, and who serves on which day.
        store: is asked which days are there. Dagster also counts a run as made that judged nothing.
    """
    settings = home.settings

    @dg.schedule(
        name=f"{job.name}_nightly",
        cron_schedule=NIGHTLY[job.name],
        execution_timezone=settings.time_zone,
        job=job,
        description=f"Requests yesterday's {job.name}, after the days that were missed.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        zone = ZoneInfo(settings.time_zone)
        today = context.scheduled_execution_time.astimezone(zone).date()
        yesterday = today - timedelta(days=1)
        reason = outside(yesterday, settings)
        if reason:
            return dg.SkipReason(reason)
        absent = absent_days(yesterday, done_days(job.name, home, store))
        if not absent:
            return dg.SkipReason(f"{job.name} has run for {yesterday} and for every day before it")
        lacking = lacking_days(job.name, absent, settings, store)
        older, recent = split([day for day in absent if day not in lacking], yesterday)
        if older:
            context.log.warning(not_caught_up(job.name, older))
        midnight = datetime.combine(today, time(), zone)
        held = held_days(job.name, recent, context.instance, midnight)
        for day in held.keys() & set(recent):
            context.log.info(held[day])
        wanted = [day.isoformat() for day in recent if day not in held]
        if not wanted:
            newest = absent[-1]
            return dg.SkipReason((held | lacking).get(newest) or not_caught_up(job.name, older))
        if len(wanted) > 1:
            context.log.warning(f"{job.name} missed {', '.join(wanted[:-1])}: requested now, in order")
        # Dagster compares a run_key within one tick only: it keeps a tick that is evaluated again from a second run.
        return [dg.RunRequest(run_key=f"{job.name}/{key}", partition_key=key) for key in wanted]

    return schedule


def done_days(job: str, home: Home, store: "FeatureStore") -> set[date]:
    """The days for which the store has what a job makes.

    For ``daily_retrain`` these are the lists that are served, by whichever model that is on the day, and what is made
    after them and before the day is published: who may be shown, and what is unlike the days before. No other job makes
    them. A day that was published without another model has them, while its ``completeness`` fails.
    """
    if job != "daily_retrain":
        return store.days("offline_metrics")
    promotions = Promotions(home.storage).in_force()
    serving = {home.settings.serving_model, *(each.model for each in promotions)}
    listed = {model: store.days("recommendations", model) for model in serving}
    served = {day for model in serving for day in listed[model] if served_by(promotions, home.settings, day) == model}
    return served.intersection(*(store.days(table) for table in BEFORE_PUBLISHING))


def absent_days(yesterday: date, done: Collection[date]) -> Sequence[date]:
    """The days from the oldest one that is done to yesterday that are not done, ascending.

    Where none is done, the schedule has just been turned on, and history is another job's: yesterday alone.

    Args:
        yesterday: the newest day that is over.
        done: the days that are done.
    """
    first = min((day for day in done if day < yesterday), default=yesterday)
    return [day for day in day_range(first, yesterday) if day not in set(done)]


def split(days: Sequence[date], yesterday: date) -> tuple[Sequence[date], Sequence[date]]:
    """The days that are too long ago to be requested, and those that are not; each ascending."""
    newest_too_old = yesterday - timedelta(days=CAUGHT_UP)
    return [day for day in days if day <= newest_too_old], [day for day in days if day > newest_too_old]


def not_caught_up(job: str, days: Sequence[date]) -> str:
    """What is said of days that are absent and too long ago to be requested."""
    named = ", ".join(map(str, days[-CAUGHT_UP:]))
    earlier = f" and {len(days) - CAUGHT_UP} earlier ones" if len(days) > CAUGHT_UP else ""
    return (
        f"{job} has not run for {named}{earlier}, more than {CAUGHT_UP} days ago: for a day that you want, run "
        f"`atelier backfill {days[-1]} {days[-1]} --job {job}`"
    )


def lacking_days(job: str, days: Sequence[date], settings: Settings, store: "FeatureStore") -> dict[date, str]:
    """The days that cannot be run yet, with what is missing for each: the judge needs lists and later behaviour."""
    if job != "judge":
        return {}
    lists, interactions = store.days("recommendations"), store.days("interactions")
    found = ((day, unmet(settings, day, lists, interactions)) for day in days)
    return {day: reason for day, reason in found if reason is not None}


def held_days(job: str, days: Sequence[date], instance: dg.DagsterInstance, midnight: datetime) -> dict[date, str]:
    """The days that are not requested because of runs that they have had, with the reason for each.

    A run that is queued or running is waited for. One that has ended, and has not made the day, is tried again the
    next night, until there were :data:`TRIES`.

    Args:
        job: the job.
        days: the days that are absent.
        instance: knows the runs.
        midnight: when the tick's day began: what was run since then is not tried again before the next.
    """
    if not days:
        return {}
    wanted = dg.RunsFilter(job_name=job, tags={DAY_TAG: [day.isoformat() for day in days]})
    runs: dict[date, list[dg.RunRecord]] = defaultdict(list)
    for record in instance.get_run_records(wanted):
        runs[date.fromisoformat(record.dagster_run.tags[DAY_TAG])].append(record)
    found = ((day, _held(job, day, records, midnight)) for day, records in runs.items())
    return {day: reason for day, reason in found if reason is not None}


def _held(job: str, day: date, records: Sequence[dg.RunRecord], midnight: datetime) -> str | None:
    if any(not record.dagster_run.is_finished for record in records):
        return f"{job} for {day} is queued or running"
    again = f"`atelier backfill {day} {day} --job {job}`"
    if len(records) >= TRIES:
        return f"{job} for {day} was run {len(records)} times and did not make it: mend the cause, then run {again}"
    if any(record.create_timestamp >= midnight for record in records):
        return f"{job} for {day} was run today and did not make it: it is requested again tomorrow; sooner: {again}"
    return None


def outside(day: date, settings: Settings) -> str | None:
    """Why there is nothing to do for ``day``; None where there is."""
    if day < settings.first_day:
        return f"{day} is before the source's first day, {settings.first_day}"
    if settings.last_day is not None and day > settings.last_day:
        return f"{day} is past the source's last day, {settings.last_day}: there is nothing new to learn from"
    return None
