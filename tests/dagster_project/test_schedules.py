"""The schedules, evaluated for ticks: which day they request, and when they request nothing and why."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest import mock
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.schedules import CAUGHT_UP, DAY_TAG, due, outside
from resources.retailer import Home, Settings, write_settings

LONDON = ZoneInfo("Europe/London")
NIGHTLY = ("daily_retrain_nightly", "judge_nightly")

# From January to the end of the year: both changes of the clock.
FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)


def repository_of(root: Path, *, last: date | None = LAST, time_zone: str = "Europe/London") -> dg.RepositoryDefinition:
    """The code location of a retailer with these days."""
    home = Home(root)
    settings = Settings(source="sample", path="retailer", first_day=FIRST, last_day=last, time_zone=time_zone)
    write_settings(home, settings)
    return build_defs(home).get_repository_def()


@pytest.fixture(scope="module")
def london(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    """A retailer in London."""
    return repository_of(tmp_path_factory.mktemp("home"))


class Storage:
    """Dagster's storage as the schedules see it: the partitions of each asset that have run."""

    def __init__(self, **partitions: Collection[str]) -> None:
        keys = {"lists": dg.AssetKey(["recommendations", "als"]), "offline_metrics": dg.AssetKey("offline_metrics")}
        self.partitions = {keys[asset]: set(days) for asset, days in partitions.items()}

    def get_materialized_partitions(self, asset: dg.AssetKey) -> set[str]:
        return self.partitions.get(asset, set())


#: Before the first night; for the judge, which needs published days, after every day was published and none judged.
BEFORE = {
    "daily_retrain_nightly": Storage(),
    "judge_nightly": Storage(lists=[str(date(2025, 1, 1) + timedelta(days=n)) for n in range(1000)]),
}


def evaluate(
    repository: dg.RepositoryDefinition, schedule: str, at: datetime, storage: Storage | None = None
) -> list[dg.RunRequest] | str:
    """What ``schedule`` requests at a tick: the requests, or why there is none."""
    with mock.patch.object(dg.ScheduleEvaluationContext, "instance", storage or BEFORE[schedule]):
        context = dg.build_schedule_context(scheduled_execution_time=at, repository_def=repository)
        tick = repository.get_schedule_def(schedule).evaluate_tick(context)
    if tick.skip_message is not None:
        assert not tick.run_requests
        return tick.skip_message
    assert tick.run_requests is not None
    return list(tick.run_requests)


def requested(repository: dg.RepositoryDefinition, schedule: str, at: datetime) -> dg.RunRequest:
    """The request of a tick that has one."""
    requests = evaluate(repository, schedule, at)
    assert isinstance(requests, list), requests
    (request,) = requests
    return request


def ticks(repository: dg.RepositoryDefinition, schedule: str, first: date, last: date) -> Sequence[datetime]:
    """When ``schedule`` fires from the morning of ``first`` to that of ``last``: from its own cron and time zone."""
    definition = repository.get_schedule_def(schedule)
    zone = ZoneInfo(definition.execution_timezone or "UTC")
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    fired: list[datetime] = []
    for tick in schedule_execution_time_iterator(start.timestamp(), definition.cron_schedule, zone.key, ascending=True):
        if tick.astimezone(zone).date() > last:
            return fired
        fired.append(tick)
    raise AssertionError("a cron has no end")


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_at_four_yesterday_is_requested(london: dg.RepositoryDefinition, schedule: str) -> None:
    request = requested(london, schedule, datetime(2025, 2, 11, 4, 0, tzinfo=LONDON))
    assert request.partition_key == "2025-02-10"
    assert request.tags[DAY_TAG] == "2025-02-10"
    assert request.run_key is not None
    assert "2025-02-10" in request.run_key


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_a_year_of_ticks_requests_every_day_once(london: dg.RepositoryDefinition, schedule: str) -> None:
    """Also where the clock changes, on 30 March and 26 October: no day is left out and none comes twice."""
    fired = ticks(london, schedule, FIRST + timedelta(days=1), LAST + timedelta(days=1))
    first = {tick.astimezone(LONDON).date(): tick for tick in reversed(fired)}  # the judge asks every hour
    requests = [requested(london, schedule, tick) for _, tick in sorted(first.items())]
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    assert [request.partition_key for request in requests] == [day.isoformat() for day in days]
    assert len({request.run_key for request in requests}) == len(days)


def test_the_short_day_of_spring(london: dg.RepositoryDefinition) -> None:
    """On 30 March 2025 London's clock goes from 01:00 to 02:00: four o'clock is 03:00 UTC, the day has 23 hours."""
    (tick,) = ticks(london, "daily_retrain_nightly", date(2025, 3, 30), date(2025, 3, 30))
    assert tick.astimezone(UTC) == datetime(2025, 3, 30, 3, 0, tzinfo=UTC)
    assert requested(london, "daily_retrain_nightly", tick).partition_key == "2025-03-29"
    (after,) = ticks(london, "daily_retrain_nightly", date(2025, 3, 31), date(2025, 3, 31))
    assert requested(london, "daily_retrain_nightly", after).partition_key == "2025-03-30"
    days = london.get_job("daily_retrain").partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    window = days.time_window_for_partition_key("2025-03-30")
    assert window.end.timestamp() - window.start.timestamp() == 23 * 3600
    assert window.end < after, "the day must be over when it is requested"


@pytest.mark.parametrize("time_zone", ["Asia/Tokyo", "America/Los_Angeles", "Pacific/Auckland", "Pacific/Honolulu"])
def test_yesterday_is_the_retailers_whatever_the_clock_says_elsewhere(tmp_path: Path, time_zone: str) -> None:
    repository = repository_of(tmp_path, time_zone=time_zone)
    definition = repository.get_schedule_def("daily_retrain_nightly")
    assert definition.execution_timezone == time_zone
    four = datetime(2025, 6, 11, 4, 0, tzinfo=ZoneInfo(time_zone))
    assert requested(repository, definition.name, four).partition_key == "2025-06-10"
    # The same moment, told in another time zone, is the same tick.
    assert requested(repository, definition.name, four.astimezone(UTC)).partition_key == "2025-06-10"


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_past_the_last_day_nothing_is_requested_and_the_reason_names_it(
    london: dg.RepositoryDefinition, schedule: str
) -> None:
    last = requested(london, schedule, datetime(2026, 1, 1, 4, 0, tzinfo=LONDON))
    assert last.partition_key == LAST.isoformat()
    reason = evaluate(london, schedule, datetime(2026, 1, 2, 4, 0, tzinfo=LONDON))
    assert isinstance(reason, str)
    assert "2026-01-01" in reason
    assert LAST.isoformat() in reason


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_before_the_first_day_nothing_is_requested_and_the_reason_names_it(
    london: dg.RepositoryDefinition, schedule: str
) -> None:
    reason = evaluate(london, schedule, datetime(2025, 1, 1, 4, 0, tzinfo=LONDON))
    assert isinstance(reason, str)
    assert "2024-12-31" in reason
    assert FIRST.isoformat() in reason


def test_a_live_source_never_ends(tmp_path: Path) -> None:
    four = datetime.now(LONDON).replace(hour=4, minute=0, second=0, microsecond=0)
    repository = repository_of(tmp_path, last=None)
    yesterday = (four.date() - timedelta(days=1)).isoformat()
    assert requested(repository, "daily_retrain_nightly", four).partition_key == yesterday


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_days_missed_while_the_daemon_was_down_are_requested_in_order(
    london: dg.RepositoryDefinition, schedule: str
) -> None:
    """The last day that has run is the 6th; the daemon wakes on the 11th."""
    done = ["2025-01-01", "2025-02-06"]
    published = BEFORE["judge_nightly"].partitions[dg.AssetKey(["recommendations", "als"])]
    before = (
        Storage(lists=done) if schedule == "daily_retrain_nightly" else Storage(lists=published, offline_metrics=done)
    )
    found = evaluate(london, schedule, datetime(2025, 2, 11, 5, 0, tzinfo=LONDON), before)
    assert isinstance(found, list)
    assert [request.partition_key for request in found] == [f"2025-02-{day:02}" for day in (7, 8, 9, 10)]
    assert len({request.run_key for request in found}) == 4
    long_after = evaluate(london, schedule, datetime(2025, 6, 11, 5, 0, tzinfo=LONDON), before)
    assert isinstance(long_after, list)
    assert len(long_after) == CAUGHT_UP
    assert long_after[-1].partition_key == "2025-06-10"


def test_the_judge_waits_until_the_day_is_published(london: dg.RepositoryDefinition) -> None:
    at = datetime(2025, 2, 11, 4, 5, tzinfo=LONDON)
    judged = {"offline_metrics": ["2025-02-08"]}
    reason = evaluate(london, "judge_nightly", at, Storage(lists=["2025-02-08"], **judged))
    assert reason == "daily_retrain has not run of 2025-02-10 yet"
    late = evaluate(london, "judge_nightly", at, Storage(lists=["2025-02-08", "2025-02-09"], **judged))
    assert isinstance(late, list)
    assert [request.partition_key for request in late] == ["2025-02-09"]


def test_due_is_yesterday_where_yesterday_or_nothing_has_run() -> None:
    yesterday = date(2025, 2, 10)
    assert due(yesterday, []) == [yesterday]
    assert due(yesterday, ["2025-02-10", "2025-02-09"]) == [yesterday]
    assert due(yesterday, ["2025-02-11"]) == [yesterday]


def test_outside_is_exact_on_both_ends() -> None:
    settings = Settings(source="sample", path="retailer", first_day=FIRST, last_day=LAST)
    for day in (FIRST, LAST):
        assert outside(day, settings) is None
    for day in (FIRST - timedelta(days=1), LAST + timedelta(days=1)):
        assert outside(day, settings) is not None


def test_the_judge_is_requested_after_the_day_and_waits_for_it_in_the_queue(
    london: dg.RepositoryDefinition, tmp_path: Path
) -> None:
    day = date(2025, 2, 11)
    (retrain,) = ticks(london, "daily_retrain_nightly", day, day)
    judge = ticks(london, "judge_nightly", day, day)[0]
    assert retrain < judge
    first, second = (requested(london, name, tick) for name, tick in zip(NIGHTLY, (retrain, judge), strict=True))
    assert first.partition_key == second.partition_key
    assert first.tags[DAY_TAG] == second.tags[DAY_TAG]
    assert first.run_key != second.run_key
    # What ships runs one run at a time, and one of a day where several may run.
    home = Home(tmp_path)
    write_dagster_yaml(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 1
    assert queue.tag_concurrency_limits == [{"key": DAY_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}]
