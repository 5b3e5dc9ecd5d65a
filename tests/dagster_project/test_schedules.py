"""The schedules, evaluated for ticks: which day they request, and when they request nothing and why."""

import logging
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from unittest import mock
from uuid import uuid4
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._utils.schedules import schedule_execution_time_iterator

from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.schedules import CAUGHT_UP, DAY_TAG, TRIES, absent_days, done_days, not_caught_up, outside
from resources.feature_store import FeatureStore
from resources.promotions import Promotions
from resources.recipes import Recipe
from resources.retailer import Home, Settings, day_range
from resources.settings_file import write_settings

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


class Stored:
    """The store as the schedules see it: the days of each table."""

    def __init__(self, **tables: Collection[str]) -> None:
        self.tables = {table: {date.fromisoformat(day) for day in days} for table, days in tables.items()}

    def days(self, table: str, part: str | None = None) -> set[date]:
        assert part in (None, "als")
        return self.tables.get(table, set())


EVERY_DAY = [str(date(2024, 12, 1) + timedelta(days=n)) for n in range(1000)]
#: What the judge needs of every day.
INPUTS = {"recommendations": EVERY_DAY, "interactions": EVERY_DAY}
#: Before the first night; for the judge, which needs lists and behaviour, with these of every day, and none judged.
BEFORE = {"daily_retrain_nightly": Stored(), "judge_nightly": Stored(**INPUTS)}
TABLES = {"daily_retrain_nightly": ("recommendations", "champions", "drift"), "judge_nightly": ("offline_metrics",)}


def after(schedule: str, done: Collection[str]) -> Stored:
    """The store after the schedule's job was run for some days; the judge has what it needs of every day."""
    return Stored(**({} if schedule == "daily_retrain_nightly" else INPUTS) | made(schedule, done))


def made(schedule: str, days: Collection[str]) -> dict[str, Collection[str]]:
    """What the schedule's job makes of days."""
    return dict.fromkeys(TABLES[schedule], days)


@cache
def without_runs() -> dg.DagsterInstance:
    """A Dagster that has run nothing."""
    return dg.DagsterInstance.ephemeral()


def evaluate(
    repository: dg.RepositoryDefinition,
    schedule: str,
    at: datetime,
    stored: Stored | None = None,
    instance: dg.DagsterInstance | None = None,
) -> list[dg.RunRequest] | str:
    """What ``schedule`` requests at a tick: the requests, or why there is none."""
    found = stored or BEFORE[schedule]
    with (
        mock.patch.object(FeatureStore, "days", lambda _, table, part=None: found.days(table, part)),
        # One in memory has no reference by which the context could open it.
        mock.patch.object(dg.ScheduleEvaluationContext, "instance", instance or without_runs()),
    ):
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
    first_day = FIRST + timedelta(days=7 if schedule == "judge_nightly" else 0)  # lists are judged a week later
    fired = ticks(london, schedule, first_day + timedelta(days=1), LAST + timedelta(days=1))
    first = {tick.astimezone(LONDON).date(): tick for tick in reversed(fired)}  # the judge asks every hour
    requests = [requested(london, schedule, tick) for _, tick in sorted(first.items())]
    days = day_range(first_day, LAST)
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


AT = datetime(2025, 2, 11, 5, 0, tzinfo=LONDON)


def days_of(found: list[dg.RunRequest] | str) -> list[str | None]:
    """The days that a tick requests."""
    assert isinstance(found, list), found
    return [request.partition_key for request in found]


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_every_day_that_is_absent_is_requested_in_order(london: dg.RepositoryDefinition, schedule: str) -> None:
    """The newest day that is done is the 8th, with a hole before it; the daemon wakes on the 11th."""
    done = after(schedule, ["2025-01-29", "2025-01-30", "2025-01-31", *(f"2025-02-0{n}" for n in (1, 2, 3, 4, 6, 8))])
    found = evaluate(london, schedule, AT, done)
    assert days_of(found) == ["2025-02-05", "2025-02-07", "2025-02-09", "2025-02-10"]
    assert isinstance(found, list)
    assert len({request.run_key for request in found}) == 4


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_days_that_are_too_long_ago_are_named_and_not_requested(london: dg.RepositoryDefinition, schedule: str) -> None:
    with mock.patch.object(logging.Logger, "warning") as warning:
        found = evaluate(london, schedule, AT, after(schedule, ["2025-01-25"]))
    assert len(days_of(found)) == CAUGHT_UP
    assert days_of(found)[0] == "2025-01-28"
    said = "\n".join(str(call) for call in warning.call_args_list)
    job = schedule.removesuffix("_nightly")
    assert f"{job} has not run for 2025-01-26, 2025-01-27, more than 14 days ago" in said
    assert f"atelier backfill 2025-01-27 2025-01-27 --job {job}" in said


def test_where_only_days_of_long_ago_are_absent_the_reason_names_them(london: dg.RepositoryDefinition) -> None:
    done = [day for day in EVERY_DAY if day != "2025-01-10"]
    reason = evaluate(london, "daily_retrain_nightly", AT, after("daily_retrain_nightly", done))
    assert reason == not_caught_up("daily_retrain", [date(2025, 1, 10)])


def test_of_many_days_of_long_ago_the_newest_are_named() -> None:
    said = not_caught_up("judge", day_range(date(2025, 1, 1), date(2025, 1, 20)))
    assert said.startswith("judge has not run for 2025-01-07, ")
    assert "2025-01-20 and 6 earlier ones" in said


def test_the_judge_waits_for_the_lists_and_for_the_behaviour_and_says_which_is_missing(
    london: dg.RepositoryDefinition,
) -> None:
    judged = {"offline_metrics": ["2025-02-08"]}
    until_ninth = [day for day in EVERY_DAY if day <= "2025-02-09"]
    late = Stored(recommendations=EVERY_DAY, interactions=until_ninth, **judged)
    assert days_of(evaluate(london, "judge_nightly", AT, late)) == ["2025-02-09"]
    none = Stored(recommendations=EVERY_DAY, interactions=[day for day in until_ninth if day < "2025-02-09"], **judged)
    reason = evaluate(london, "judge_nightly", AT, none)
    assert isinstance(reason, str)
    assert reason.startswith("no interactions of 2025-02-09 … 2025-02-10: run `dg launch --job ingest")
    without_lists = Stored(recommendations=["2025-02-02"], interactions=EVERY_DAY, **judged)
    assert days_of(evaluate(london, "judge_nightly", AT, without_lists)) == ["2025-02-09"]
    reason = evaluate(london, "judge_nightly", AT, Stored(interactions=EVERY_DAY, **judged))
    assert isinstance(reason, str)
    assert reason.startswith("no recommendations of 2025-02-03: run `dg launch --job daily_retrain")


def test_a_day_is_done_by_the_model_that_was_promoted_for_it(tmp_path: Path) -> None:
    """From the 10th on hybrid serves: its lists alone make that day, and als's lists the day before."""
    home = Home(tmp_path)
    write_settings(home, Settings(source="sample", path="retailer", first_day=FIRST))
    Promotions(home.storage).promote(Recipe("hybrid", {}, "code"), date(2025, 2, 10), who="ann", why="better")
    listed = {"als": {"2025-02-09", "2025-02-11"}, "hybrid": {"2025-02-08", "2025-02-10"}}
    every_day = {date(2025, 2, day) for day in range(1, 20)}

    def days(table: str, part: str | None = None) -> set[date]:
        return every_day if part is None else {date.fromisoformat(day) for day in listed[part]}

    store = mock.Mock(days=days)
    assert done_days("daily_retrain", home, store) == {date(2025, 2, 9), date(2025, 2, 10)}


@pytest.mark.parametrize("absent", ["champions", "drift"])
def test_a_night_that_was_killed_before_it_was_published_is_requested_again(
    london: dg.RepositoryDefinition, absent: str
) -> None:
    """Its lists are there; no gate has measured them, or nobody has looked what changed."""
    whole = made("daily_retrain_nightly", EVERY_DAY)
    killed = whole | {absent: [day for day in EVERY_DAY if day != "2025-02-10"]}
    assert days_of(evaluate(london, "daily_retrain_nightly", AT, Stored(**killed))) == ["2025-02-10"]
    assert isinstance(evaluate(london, "daily_retrain_nightly", AT, Stored(**whole)), str)


def test_lists_of_another_model_are_none_that_are_served(tmp_path: Path) -> None:
    """Asked of a store on a disk: a day whose serving model failed is absent, whatever Dagster counts as made."""
    store = FeatureStore(tmp_path)
    for day, model in (("2025-02-09", "als"), ("2025-02-10", "popular")):
        pointer = tmp_path / "recommendations" / f"ds={day}" / f"{model}.json"
        pointer.parent.mkdir(parents=True)
        pointer.write_text("{}", encoding="utf-8")
    assert store.days("recommendations", "als") == {date(2025, 2, 9)}
    assert store.days("recommendations") == {date(2025, 2, 9), date(2025, 2, 10)}
    assert store.days("offline_metrics") == set()


def test_absent_days_begin_with_the_oldest_that_is_done() -> None:
    yesterday = date(2025, 2, 10)
    assert absent_days(yesterday, []) == [yesterday]
    assert absent_days(yesterday, [date(2025, 2, 11)]) == [yesterday]
    assert absent_days(yesterday, [yesterday, date(2025, 2, 8)]) == [date(2025, 2, 9)]
    assert absent_days(yesterday, [yesterday, date(2025, 2, 9)]) == []


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    """A retailer whose days have no end: ticks are of today, as the runs of the tests are."""
    return repository_of(tmp_path_factory.mktemp("live"), last=None)


def tick_of(nights: int = 0) -> datetime:
    """The last tick of the judge of today, or of a day so many nights later."""
    last = datetime.now(LONDON).replace(hour=23, minute=5, second=0, microsecond=0)
    return last + timedelta(days=nights)


def submit(instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """A run as the daemon makes it of a request, that is by now in a state."""
    job = request.tags["dagster/schedule_name"].removesuffix("_nightly")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("atelier"), "atelier"), job)
    instance.add_run(
        dg.DagsterRun(
            job_name=job, run_id=str(uuid4()), status=status, tags=dict(request.tags), remote_job_origin=origin
        )
    )


def yesterday_absent(schedule: str) -> Stored:
    """The store on the first night of the schedule; the judge has what it needs."""
    today = datetime.now(LONDON).date()
    days = [str(today - timedelta(days=n)) for n in range(-5, 60)]
    return Stored() if schedule == "daily_retrain_nightly" else Stored(recommendations=days, interactions=days)


ENDED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED)
UNFINISHED = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)


@pytest.mark.parametrize("schedule", NIGHTLY)
@pytest.mark.parametrize("status", UNFINISHED)
def test_a_day_that_is_queued_or_running_is_not_requested_again(
    live: dg.RepositoryDefinition, schedule: str, status: dg.DagsterRunStatus
) -> None:
    stored = yesterday_absent(schedule)
    with dg.DagsterInstance.ephemeral() as instance:
        first = evaluate(live, schedule, tick_of(), stored, instance)
        assert isinstance(first, list)
        (request,) = first
        submit(instance, request, status)
        reason = evaluate(live, schedule, tick_of(), stored, instance)
        assert isinstance(reason, str)
        assert reason.endswith(f"for {request.partition_key} is queued or running")


@pytest.mark.parametrize("schedule", NIGHTLY)
@pytest.mark.parametrize("status", ENDED)
def test_a_day_that_was_not_made_is_tried_again_the_next_night_three_times_in_all(
    live: dg.RepositoryDefinition, schedule: str, status: dg.DagsterRunStatus
) -> None:
    """Also where its run succeeded: a model that failed by itself, and a judge without lists, end so."""
    stored = yesterday_absent(schedule)
    day = str(tick_of().date() - timedelta(days=1))
    done = str(date.fromisoformat(day) - timedelta(days=1))
    before = Stored(**{name: set(map(str, days)) for name, days in stored.tables.items()} | made(schedule, [done]))
    with dg.DagsterInstance.ephemeral() as instance:
        first = evaluate(live, schedule, tick_of(), before, instance)
        assert days_of(first) == [day]
        assert isinstance(first, list)
        for count in range(1, TRIES + 1):
            submit(instance, first[0], status)
            same_night = evaluate(live, schedule, tick_of(), before, instance)
            assert isinstance(same_night, str)
            again = "was run today" if count < TRIES else f"was run {TRIES} times"
            assert again in same_night
            assert f"`atelier backfill {day} {day} --job" in same_night
            next_night = days_of(evaluate(live, schedule, tick_of(nights=1), before, instance))
            assert (day in next_night) == (count < TRIES)


@pytest.mark.parametrize("schedule", NIGHTLY)
def test_a_day_that_is_done_is_not_requested_by_the_next_tick(live: dg.RepositoryDefinition, schedule: str) -> None:
    stored = yesterday_absent(schedule)
    with dg.DagsterInstance.ephemeral() as instance:
        (found,) = days_of(evaluate(live, schedule, tick_of(), stored, instance))
        day = str(found)
        done = Stored(**{name: set(map(str, days)) for name, days in stored.tables.items()} | made(schedule, [day]))
        reason = evaluate(live, schedule, tick_of(), done, instance)
    job = schedule.removesuffix("_nightly")
    assert reason == f"{job} has run for {day} and for every day before it"


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
