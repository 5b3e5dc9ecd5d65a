"""``atelier backfill``: a range of days in order, refused with a sentence where one is none, stopped by a failure."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from time import time

import click
import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from dagster._daemon.types import DaemonHeartbeat
from hypothesis import given
from hypothesis import strategies as st

from assets.evaluation import TAG
from atelier.errors import AtelierError
from dagster_project.cli import cli
from dagster_project.commands.backfill import (
    BackfillStopped,
    chosen_days,
    days_between,
    name_dagster,
    nothing_judged,
    run_days,
    runner,
)
from dagster_project.daemon import HEARD_WITHIN, daemon_at_work
from resources.days import NoSuchDay, day_of, newest_day
from resources.retailer import Home, Settings, SettingsError
from resources.settings_file import write_settings

FIRST, LAST = date(2025, 3, 3), date(2025, 3, 20)
SETTINGS = Settings(source="sample", path="retailer", first_day=FIRST, last_day=LAST)
LIVE = SETTINGS.model_copy(update={"last_day": None})


@pytest.mark.parametrize(
    "text", ["2025-3-14", "20250314", "2025-W11-5", "14.03.2025", "", " 2025-03-14", "2025-03-14T00:00", "2025-02-30"]
)
def test_what_is_written_otherwise_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NoSuchDay, match=r"is not a day; write it as YYYY-MM-DD, for example 2025-03-20"):
        day_of(text, SETTINGS)


@pytest.mark.parametrize("text", ["2030-01-01", "2025-03-02", "2025-03-21", "0001-01-01"])
def test_a_day_outside_is_refused_with_the_days_that_there_are(text: str) -> None:
    with pytest.raises(NoSuchDay, match=rf"{text} is not a day of this home: its days are 2025-03-03 … 2025-03-20"):
        day_of(text, SETTINGS)


def test_a_live_source_ends_yesterday() -> None:
    yesterday = newest_day(LIVE)
    assert day_of(yesterday.isoformat(), LIVE) == yesterday
    with pytest.raises(NoSuchDay, match="its days are"):
        day_of("2999-01-01", LIVE)


@given(st.dates(FIRST, LAST))
def test_every_day_of_the_home_is_understood(day: date) -> None:
    assert day_of(day.isoformat(), SETTINGS) == day


@given(st.text(max_size=12))
def test_any_other_text_is_refused_in_one_way(text: str) -> None:
    try:
        found = day_of(text, SETTINGS)
    except NoSuchDay:
        return
    assert found.isoformat() == text
    assert FIRST <= found <= LAST


def test_the_older_day_comes_first() -> None:
    assert days_between(SETTINGS, "2025-03-04", "2025-03-06") == [date(2025, 3, day) for day in (4, 5, 6)]
    assert days_between(SETTINGS, "2025-03-04", "2025-03-04") == [date(2025, 3, 4)]
    with pytest.raises(AtelierError, match="name the older day first"):
        days_between(SETTINGS, "2025-03-06", "2025-03-04")


def test_only_for_superseded_days_the_range_may_be_left_out() -> None:
    assert chosen_days(SETTINGS, None, None, whole_home=True) == days_between(SETTINGS, str(FIRST), str(LAST))
    assert chosen_days(SETTINGS, str(LAST), str(LAST), whole_home=True) == [LAST]
    for first, last, whole_home in ((None, None, False), (str(FIRST), None, False), (str(FIRST), None, True)):
        with pytest.raises(click.UsageError, match="only with --superseded both may be left out"):
            chosen_days(SETTINGS, first, last, whole_home=whole_home)


DAYS = days_between(SETTINGS, "2025-03-04", "2025-03-06")


@pytest.mark.parametrize(
    ("job", "runs"), [("daily_retrain", [(day, None) for day in DAYS]), ("ingest", [(DAYS[0], DAYS[-1])])]
)
def test_models_are_made_day_by_day_and_history_in_one_run(job: str, runs: Sequence[tuple[date, date | None]]) -> None:
    done: list[tuple[date, date | None]] = []

    def record(first: date, last: date | None) -> None:
        done.append((first, last))

    run_days(job, DAYS, record)
    assert done == runs


def test_a_day_that_fails_stops_the_rest_and_names_the_command_that_goes_on() -> None:
    done: list[date] = []

    def run(first: date, _last: date | None) -> None:
        if first == DAYS[1]:
            raise AtelierError("als_model failed")
        done.append(first)

    command = "atelier backfill 2025-03-05 2025-03-06 --job daily_retrain"
    with pytest.raises(BackfillStopped, match=f"als_model failed\n.*{command}"):
        run_days("daily_retrain", DAYS, run)
    assert done == DAYS[:1]


def test_an_unknown_job_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, SETTINGS)
    with (
        pytest.raises(AtelierError, match=r"no job 'retrain'; there are .*daily_retrain.*ingest"),
        runner(home, "retrain"),
    ):
        pytest.fail("nothing may be run")


def test_the_command_refuses_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(Home(tmp_path), SETTINGS)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    found = CliRunner().invoke(cli, ["backfill", "2025-3-14", "2030-01-01"])
    assert isinstance(found.exception, NoSuchDay)
    assert not (tmp_path / "dagster").exists()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose retailer has one day with a row in each table."""
    bought = {"customer_id": "c0", "article_id": "a0", "occurred_at": datetime(2025, 3, 3, 10), "kind": "purchase"}
    for table, row in {
        "articles": {"article_id": "a0", "name": "Shirt", "in_stock": True},
        "customers": {"customer_id": "c0", "age": 30},
        "interactions": bought,
    }.items():
        (tmp_path / "landing" / table).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "landing" / table / f"ds={FIRST}.parquet")
    home = Home(tmp_path)
    write_settings(home, Settings(source="parquet", path="landing", first_day=FIRST, last_day=FIRST))
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return home


@pytest.mark.end_to_end
def test_a_judge_that_judges_nothing_says_so_and_a_lost_folder_of_dagster_is_made_again(
    shop: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only test that runs a job by the command: of all jobs the judge without lists is the quickest."""
    monkeypatch.setenv("DAGSTER_HOME", str(shop.dagster))  # as somebody's shell has it; the folder was lost
    with runner(shop, "judge") as run:
        run_days("judge", [FIRST], run)
    said = capsys.readouterr().out
    assert f"! judge {FIRST}: judged nothing: no recommendations of 2025-02-24" in said
    assert "\u2713" not in said
    assert (shop.dagster / "dagster.yaml").is_file()
    with dg.DagsterInstance.from_config(str(shop.dagster)) as instance:
        (run_of_judge,) = instance.get_runs()
    assert run_of_judge.is_success


def test_what_was_judged_is_told_by_the_tag_of_the_run() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for run_id, tags in (("1", {TAG: "nothing: no lists"}), ("2", {TAG: "the lists of 2025-03-01"}), ("3", {})):
            instance.add_run(dg.DagsterRun(job_name="judge", run_id=run_id, tags=tags))
        assert [nothing_judged(instance, run_id) for run_id in "123"] == ["judged nothing: no lists", None, None]


def test_the_dagster_of_another_home_and_a_folder_that_is_none_are_refused(
    shop: Home, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Home(tmp_path_factory.mktemp("other"))
    write_settings(other, SETTINGS)
    monkeypatch.setenv("DAGSTER_HOME", str(other.dagster))
    with pytest.raises(SettingsError, match=rf"the Dagster of the home {other.root}, and ATELIER_HOME is {shop.root}"):
        name_dagster(shop)
    monkeypatch.setenv("DAGSTER_HOME", str(shop.root / "nowhere"))
    with pytest.raises(SettingsError, match="nowhere, which is no folder; make it"):
        name_dagster(shop)
    assert not (shop.root / "nowhere").exists()


def test_a_daemon_is_at_work_where_it_was_heard_of_just_now() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for seconds, at_work in ((HEARD_WITHIN + 60, False), (1, True)):
            instance.add_daemon_heartbeat(DaemonHeartbeat(time() - seconds, "SCHEDULER", "1", []))
            assert daemon_at_work(instance) == at_work


def test_a_backfill_of_superseded_days_goes_on_with_those() -> None:
    def fail(first: date, last: date | None) -> str | None:
        raise AtelierError("a step failed")

    with pytest.raises(BackfillStopped, match=r"go on with: atelier backfill --superseded --job judge$"):
        run_days("judge", DAYS, fail, "--superseded --job judge")
