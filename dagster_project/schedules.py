"""The schedules: what is requested when.

What belongs here: the nightly requests. What does not: what the jobs contain (:mod:`dagster_project.jobs`).
"""

from collections.abc import Collection
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from resources.retailer import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

#: When what is requested, in the retailer's time zone. The judge needs the behaviour that daily_retrain ingests: its
#: schedule asks every hour whether the day has been published, and requests it once it has.
NIGHTLY = {"daily_retrain": "0 4 * * *", "judge": "5 4-23 * * *"}
#: The job that has to have run of a day before another is requested for it.
NEEDS = {"judge": "daily_retrain"}
#: Days that were missed, while the daemon was down for example, are requested again if they are no longer ago.
CAUGHT_UP = 14
#: Dagster puts it onto every run of a single day: from a schedule, a backfill, the launchpad.
DAY_TAG = "dagster/partition"


def nightly(job: "AssetJob", settings: Settings) -> dg.ScheduleDefinition:
    """A schedule that requests yesterday's partition of ``job``, after the days that were missed; it starts stopped.

    Past the source's last day it skips, and says so.
    """

    @dg.schedule(
        name=f"{job.name}_nightly",
        cron_schedule=NIGHTLY[job.name],
        execution_timezone=settings.time_zone,
        job=job,
        description=f"Requests yesterday's {job.name}, after the days that were missed.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(ZoneInfo(settings.time_zone))
        yesterday = now.date() - timedelta(days=1)
        reason = outside(yesterday, settings)
        if reason:
            return dg.SkipReason(reason)
        done = context.instance.get_materialized_partitions(told_by(job.name, settings))
        keys = [day.isoformat() for day in due(yesterday, done)]
        if needed := NEEDS.get(job.name):
            there = context.instance.get_materialized_partitions(told_by(needed, settings))
            keys = [key for key in keys if key in there]
        if not keys:
            return dg.SkipReason(f"{needed} has not run of {yesterday} yet")
        if len(keys) > 1:
            context.log.warning(f"{job.name} missed {', '.join(keys[:-1])}: requested now, in order")
        # Dagster starts no run twice for a run_key, so a day that failed is not tried again every night.
        return [dg.RunRequest(run_key=f"{job.name}/{key}", partition_key=key) for key in keys]

    return schedule


def told_by(job: str, settings: Settings) -> dg.AssetKey:
    """The asset that tells whether a job has run of a day.

    For ``daily_retrain`` these are the lists that are served: no other job makes them, as it does the database and the
    report, and a day that was published without another model has them, while its ``completeness`` fails.
    """
    return dg.AssetKey(["recommendations", settings.serving_model] if job == "daily_retrain" else "offline_metrics")


def due(yesterday: date, done: Collection[str]) -> list[date]:
    """The days to request, ascending: yesterday, and those missed since the newest one that has run.

    Where none has run, the schedule has just been turned on, and history is another job's: yesterday alone.

    Args:
        yesterday: the newest day that is over.
        done: the partitions that have run, as YYYY-MM-DD.
    """
    earlier = [day for key in done if (day := date.fromisoformat(key)) < yesterday]
    oldest = max([*earlier, yesterday - timedelta(days=CAUGHT_UP)]) + timedelta(days=1) if earlier else yesterday
    return [oldest + timedelta(days=n) for n in range((yesterday - oldest).days + 1)]


def outside(day: date, settings: Settings) -> str | None:
    """Why there is nothing to do for ``day``; None where there is."""
    if day < settings.first_day:
        return f"{day} is before the source's first day, {settings.first_day}"
    if settings.last_day is not None and day > settings.last_day:
        return f"{day} is past the source's last day, {settings.last_day}: there is nothing new to learn from"
    return None
