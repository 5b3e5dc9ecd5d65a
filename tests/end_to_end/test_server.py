"""What people do in Dagster's UI, done through the same GraphQL: look, materialise a day, backfill several.

The queries name today's fields; the server refuses unknown ones, so a change of Dagster's schema is noticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from assets.on_demand import JOBS, STAGES
from assets.stage import without_other_recommenders
from atelier.recommenders import DAILY
from resources.doctor import examine
from resources.retailer import day_range
from tests.end_to_end.server import CODE, Server

pytestmark = pytest.mark.end_to_end

WORKSPACE = """{ workspaceOrError { __typename ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename
        ... on PythonError { message }
        ... on RepositoryLocation { repositories { name
            assetGroups { groupName assetKeys { path } }
            jobs { name }
            schedules { name cronSchedule executionTimezone scheduleState { status } }
        } }
    }
} } } }"""
QUEUE = "{ instance { runQueuingSupported runQueueConfig { maxConcurrentRuns tagConcurrencyLimitsYaml } } }"
DRY_RUN = """mutation($selector: ScheduleSelector!, $at: Float!) {
    scheduleDryRun(selectorData: $selector, timestamp: $at) { __typename ... on DryRunInstigationTick {
        evaluationResult { skipReason error { message } runRequests { runKey jobName tags { key value } } }
    } ... on Error { message } }
}"""
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass(frozen=True)
class Requested:
    """What was requested of the server, all at once as one may; it works through it run by run.

    Attributes:
        day: a run of one day of ``outfits``.
        ranged: a backfill of three days of ``ingest``, of ``interactions`` only.
        daily: a backfill of two days of ``daily_retrain``, of ``customer_features`` only.
    """

    day: str
    ranged: str
    daily: str


@pytest.fixture(scope="module")
def first_days(server: Server) -> Sequence[date]:
    """The days that were in the store before."""
    first = server.home.settings.first_day
    return day_range(first, first + timedelta(days=2))


@pytest.fixture(scope="module")
def next_days(first_days: Sequence[date]) -> Sequence[date]:
    """The three days after."""
    return [day + timedelta(days=3) for day in first_days]


@pytest.fixture(scope="module")
def requested(server: Server, first_days: Sequence[date], next_days: Sequence[date]) -> Requested:
    """Everything is requested before anything is awaited: the daemon looks for backfills twice a minute."""
    return Requested(
        ranged=server.backfill("ingest", next_days, "interactions"),
        daily=server.backfill("daily_retrain", first_days[:2], "customer_features"),
        day=server.launch("ingest", next_days[0], "outfits"),
    )


def rows_of(server: Server, asset: str) -> dict[str, int]:
    """The number of rows of the newest materialisation of each day."""
    rows: dict[str, int] = {}
    for event in server.materialised(asset)["assetMaterializations"]:
        figures = {entry["label"]: entry.get("intValue") for entry in event["metadataEntries"]}
        rows.setdefault(event["partition"], figures["dagster/row_count"])
    return rows


def tags_of(run: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def test_the_code_location_is_loaded_with_its_assets_jobs_and_schedules(server: Server) -> None:
    workspace = server.ask(WORKSPACE)["workspaceOrError"]
    assert workspace["__typename"] == "Workspace"
    (entry,) = workspace["locationEntries"]
    assert (entry["name"], entry["loadStatus"]) == (CODE["repositoryLocationName"], "LOADED")
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry
    (repository,) = entry["locationOrLoadError"]["repositories"]
    assert repository["name"] == CODE["repositoryName"]
    groups = {
        each["groupName"]: {"/".join(key["path"]) for key in each["assetKeys"]} for each in repository["assetGroups"]
    }
    declared: dict[str, set[str]] = {}
    for stage in without_other_recommenders(STAGES, DAILY):
        declared.setdefault(stage.group, set()).update(stage.produces)
    assert groups == declared
    assert {job["name"] for job in repository["jobs"]} == {
        "__ASSET_JOB",
        "ingest",
        "daily_retrain",
        "judge",
        *(job.name for job in JOBS),
    }
    assert repository["schedules"] == [
        {
            "name": f"{job}_nightly",
            "cronSchedule": cron,
            "executionTimezone": "Europe/London",
            "scheduleState": {"status": "STOPPED"},
        }
        for job, cron in (("daily_retrain", "0 4 * * *"), ("judge", "5 4-23 * * *"))
    ]


def test_the_shipped_queue_takes_one_run_at_a_time(server: Server) -> None:
    instance = server.ask(QUEUE)["instance"]
    assert instance["runQueuingSupported"]
    assert instance["runQueueConfig"]["maxConcurrentRuns"] == 1
    assert "dagster/partition" in instance["runQueueConfig"]["tagConcurrencyLimitsYaml"]


def test_a_schedule_can_be_tried_in_the_ui(server: Server) -> None:
    """The next tick after noon of the last day is four o'clock next morning; it requests the last day."""
    settings = server.home.settings
    assert settings.last_day is not None
    noon = datetime(settings.last_day.year, settings.last_day.month, settings.last_day.day, 12)
    at = noon.replace(tzinfo=ZoneInfo(settings.time_zone)).timestamp()
    selector = {**CODE, "scheduleName": "daily_retrain_nightly"}
    tick = server.ask(DRY_RUN, selector=selector, at=at)["scheduleDryRun"]
    assert tick["__typename"] == "DryRunInstigationTick", tick
    result = tick["evaluationResult"]
    assert result["error"] is None
    (request,) = result["runRequests"]
    tags = tags_of(request)
    assert tags["dagster/partition"] == settings.last_day.isoformat()
    later = server.ask(DRY_RUN, selector=selector, at=at + 24 * 3600)["scheduleDryRun"]["evaluationResult"]
    assert later["runRequests"] == []
    assert settings.last_day.isoformat() in later["skipReason"]


def test_what_ran_before_the_server_started_is_there_to_look_at(server: Server, first_days: Sequence[date]) -> None:
    for table in ("articles", "customers", "images"):
        assert server.materialised_days(table) == first_days
        assert rows_of(server, table) == {
            day.isoformat(): server.store.read(table, day).num_rows for day in first_days
        }, table


def test_a_day_is_materialised(server: Server, requested: Requested, next_days: Sequence[date]) -> None:
    run = server.finished_run(requested.day)
    assert tags_of(run)["dagster/partition"] == next_days[0].isoformat()
    pointer = server.store.pointer("outfits", next_days[0])
    assert pointer is not None
    assert pointer.run_id == requested.day
    assert server.store.pointer("outfits", next_days[1]) is None
    assert next_days[0] in server.materialised_days("outfits")
    assert rows_of(server, "outfits")[next_days[0].isoformat()] == pointer.rows


def test_three_days_of_ingest_are_one_run(server: Server, requested: Requested, next_days: Sequence[date]) -> None:
    """Every asset of ``ingest`` may do many days in a run, so Dagster makes one run of a backfill of the job."""
    backfill = server.finished_backfill(requested.ranged)
    assert not backfill["isAssetBackfill"]
    assert sorted(backfill["partitionNames"]) == [day.isoformat() for day in next_days]
    (run,) = backfill["runs"]
    assert [tags_of(run).get(name) for name in RANGE] == [next_days[0].isoformat(), next_days[-1].isoformat()]
    pointers = {day: server.store.pointer("interactions", day) for day in next_days}
    assert {pointer.run_id for pointer in pointers.values() if pointer} == {run["runId"]}
    assert set(next_days) <= set(server.materialised_days("interactions"))


def test_each_day_of_a_ranged_run_tells_its_own_rows(
    server: Server, requested: Requested, next_days: Sequence[date]
) -> None:
    server.finished_backfill(requested.ranged)
    rows = rows_of(server, "interactions")
    stored = {day.isoformat(): server.store.read("interactions", day).num_rows for day in next_days}
    assert {day: rows[day] for day in stored} == stored
    assert len(set(stored.values())) > 1, "the days have equally many rows: the case is not tested"


def test_two_days_of_daily_retrain_are_two_runs(
    server: Server, requested: Requested, first_days: Sequence[date]
) -> None:
    days = first_days[:2]
    backfill = server.finished_backfill(requested.daily)
    runs = {tags_of(run)["dagster/partition"]: run["runId"] for run in backfill["runs"]}
    assert sorted(runs) == [day.isoformat() for day in days]
    for day in days:
        pointer = server.store.pointer("customer_features", day)
        assert pointer is not None
        assert pointer.run_id == runs[day.isoformat()]
        assert pointer.rows == server.store.read("customers", day).num_rows
    assert server.materialised_days("customer_features") == days
    assert set(rows_of(server, "customer_features")) == set(runs)


def test_a_run_that_is_cancelled_leaves_nothing_half_written_and_holds_no_slot(
    server: Server, requested: Requested, next_days: Sequence[date]
) -> None:
    for backfill in (requested.ranged, requested.daily):
        server.finished_backfill(backfill)
    day, tables = next_days[-1] + timedelta(days=1), ("articles", "customers", "interactions", "images")
    cancelled, again = (server.launch("ingest", day, *tables) for _ in range(2))
    server.cancel(cancelled)
    assert [finding.problem for finding in examine(server.home).broken] == [], "every pointer names a whole file"
    run = server.finished_run(again)
    assert tags_of(run)["dagster/partition"] == day.isoformat()
    assert {server.store.pointer(table, day).rows > 0 for table in tables} == {True}
    assert examine(server.home).broken == []
