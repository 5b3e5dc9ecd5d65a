"""The schedules: what is requested when.

What belongs here: the nightly requests. What does not: what the jobs contain (:mod:`dagster_project.jobs`).
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from resources.retailer import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

#: When what is requested, in the retailer's time zone. The judge needs the behaviour that daily_retrain ingests: it is
#: requested later, and the queue runs one run of a day at a time (``DAY_TAG``).
NIGHTLY = {"daily_retrain": "0 4 * * *", "judge": "5 4 * * *"}
#: Dagster puts it onto every run of a single day: from a schedule, a backfill, the launchpad.
DAY_TAG = "dagster/partition"


def nightly(job: "AssetJob", settings: Settings) -> dg.ScheduleDefinition:
    """A schedule that requests yesterday's partition of ``job``; it starts stopped.

    Past the source's last day it skips, and says so.
    """

    @dg.schedule(
        name=f"{job.name}_nightly",
        cron_schedule=NIGHTLY[job.name],
        execution_timezone=settings.time_zone,
        job=job,
        description=f"Requests yesterday's {job.name}.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(ZoneInfo(settings.time_zone))
        yesterday = now.date() - timedelta(days=1)
        reason = outside(yesterday, settings)
        if reason:
            return dg.SkipReason(reason)
        key = yesterday.isoformat()
        return dg.RunRequest(run_key=f"{job.name}/{key}", partition_key=key)

    return schedule


def outside(day: date, settings: Settings) -> str | None:
    """Why there is nothing to do for ``day``; None where there is."""
    if day < settings.first_day:
        return f"{day} is before the source's first day, {settings.first_day}"
    if settings.last_day is not None and day > settings.last_day:
        return f"{day} is past the source's last day, {settings.last_day}: there is nothing new to learn from"
    return None
