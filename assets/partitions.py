"""The days of the retailer as Dagster partitions.

What belongs here: how atelier.toml becomes daily partitions, and what of it assets depend on. What does not: which
assets are partitioned by them.
"""

from datetime import date, timedelta

import dagster as dg

from assets.stage import Partitioning
from resources.model_store import ModelStore
from resources.retailer import Home, Settings

#: Yesterday's run starts at 04:00; what it makes has to be there at eight.
DEADLINE = "0 8 * * *"
BEFORE_DEADLINE = timedelta(hours=4)


def partitioning(home: Home) -> Partitioning:
    """The days from the first to the last, in the retailer's time zone; open-ended for a live source."""
    settings = home.settings
    end = None if settings.last_day is None else (settings.last_day + timedelta(days=1)).isoformat()
    days = dg.DailyPartitionsDefinition(
        start_date=settings.first_day.isoformat(), end_date=end, timezone=settings.time_zone
    )
    return Partitioning(days, settings.horizon, promoted=promoted_day(home), deadline=deadline(settings))


def promoted_day(home: Home) -> date | None:
    """The day whose backbone encodes the photographs; None where none was promoted, or its bundle is gone."""
    model_id = home.settings.encoder.promoted
    if model_id is None:
        return None
    manifest = ModelStore(home.storage).readable_manifest("image_backbone", model_id)
    return None if manifest is None else date.fromisoformat(manifest.training_day)


def deadline(settings: Settings) -> dg.FreshnessPolicy | None:
    """By when the newest day has to be made every morning; None for a source that has ended."""
    if settings.last_day is not None:
        return None
    return dg.FreshnessPolicy.cron(
        deadline_cron=DEADLINE, lower_bound_delta=BEFORE_DEADLINE, timezone=settings.time_zone
    )
