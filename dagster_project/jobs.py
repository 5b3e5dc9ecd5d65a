"""The jobs: which assets are materialised together.

What belongs here: selections. What does not: when they run (:mod:`dagster_project.schedules`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets import evaluation, raw
from assets.images import images
from assets.on_demand import JOBS as ON_DEMAND
from assets.publishing import AFTER_INGEST, feature_store
from assets.report import report
from assets.stage import Stage
from dagster_project.executors import ingest_executor, steps_in_processes

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

#: The figures of a day need the next ``horizon`` days, so they are a leaf with a job of its own.
JUDGED = (*evaluation.STAGES, feature_store, report)

INGESTED = (*raw.STAGES, images)


def assets_of(stages: Sequence[Stage]) -> dg.AssetSelection:
    """The assets that ``stages`` produce."""
    return dg.AssetSelection.assets(*(asset for stage in stages for asset in stage.produces))


def build_jobs(stages: Sequence[Stage], days: dg.DailyPartitionsDefinition) -> list["AssetJob"]:
    """``ingest`` (raw tables, any range in one run), ``daily_retrain`` (all of a day), ``judge``, those on demand."""
    not_daily = assets_of((*evaluation.STAGES, *AFTER_INGEST, *(stage for job in ON_DEMAND for stage in job.stages)))
    return [
        dg.define_asset_job(
            "ingest",
            assets_of((*INGESTED, *AFTER_INGEST)),
            partitions_def=days,
            description="The source's days into the store and the database: a range of days is one run.",
            executor_def=ingest_executor,
        ),
        dg.define_asset_job(
            "daily_retrain",
            assets_of(stages) - not_daily,
            partitions_def=days,
            description="Everything of one day: attributes, features, models, recommendations, the database, the page.",
        ),
        dg.define_asset_job(
            "judge",
            assets_of(JUDGED),
            partitions_def=days,
            description="The recommendations of ds − horizon, judged by what customers did since.",
            executor_def=steps_in_processes("tables"),
        ),
        *(
            dg.define_asset_job(job.name, assets_of(job.stages), partitions_def=days, description=job.description)
            for job in ON_DEMAND
        ),
    ]
