"""The schedules: what is requested when.

What belongs here: the nightly request. What does not: what the jobs contain (:mod:`dagster_project.jobs`).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from resources.retailer import Settings

HOUR = 4


def nightly(settings: Settings, jobs: dict[str, dg.UnresolvedAssetJobDefinition]) -> dg.ScheduleDefinition:
    """A schedule that at 04:00 requests ``judge`` and ``daily_retrain`` of yesterday; it starts stopped.

    Past the source's last day it skips, and says so.
    """

    @dg.schedule(
        name="nightly",
        cron_schedule=f"0 {HOUR} * * *",
        execution_timezone=settings.time_zone,
        jobs=[jobs["daily_retrain"], jobs["judge"]],
        description="Requests yesterday's daily_retrain and judge.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yesterday = context.scheduled_execution_time.date() - timedelta(days=1)
        reason = _outside(yesterday, settings)
        if reason:
            yield dg.SkipReason(reason)
            return
        for name in ("daily_retrain", "judge"):
            yield dg.RunRequest(run_key=f"{name}/{yesterday}", job_name=name, partition_key=yesterday.isoformat())

    return schedule


def _outside(day: date, settings: Settings) -> str | None:
    if day < settings.first_day:
        return f"{day} is before the source's first day, {settings.first_day}"
    if settings.last_day is not None and day > settings.last_day:
        return f"{day} is past the source's last day, {settings.last_day}: there is nothing new to learn from"
    return None
