"""The days of the retailer as Dagster partitions.

What belongs here: how atelier.toml becomes daily partitions. What does not: which assets are partitioned by them.
"""

from datetime import timedelta

import dagster as dg

from assets.stage import Partitioning
from resources.retailer import Settings


def partitioning(settings: Settings) -> Partitioning:
    """The days from the first to the last, in the retailer's time zone; open-ended for a live source."""
    end = None if settings.last_day is None else (settings.last_day + timedelta(days=1)).isoformat()
    days = dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(), end_date=end, timezone=settings.time_zone
    )
    return Partitioning(days=days, horizon=settings.horizon)
