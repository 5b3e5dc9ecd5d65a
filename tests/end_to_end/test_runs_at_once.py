"""Days made at the same time, and a month in one run of ``dg launch``: as one day after the other leaves them."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

import dagster_project
from assets.daily import STAGES
from assets.results import table_of
from atelier.sources.sample import SampleConfig, generate
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import without_pools
from resources.feature_store import FeatureStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from tests.end_to_end.house import HORIZON, House

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
SECONDS = 600
MONTH = 31
#: What holds a day against the days before it, of which it may find more or fewer, and what the judge writes.
OF_OTHER_DAYS = {
    "gates",
    "champions",
    "day_figures",
    "drift",
    "offline_metrics",
    "customer_metrics",
    "model_comparisons",
}
DAILY = sorted({table for s in STAGES for asset in s.produces if (table := table_of(asset))} - OF_OTHER_DAYS)


def retrain(root: str, day: str) -> None:
    """What each of the processes does: one day's ``daily_retrain``."""
    home = Home(Path(root))
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        house = House(home, instance, date.fromisoformat(day))
        house.run("daily_retrain", house.ds, definitions=build_defs(home, stages=without_pools()))


def test_two_days_that_are_made_at_the_same_time_are_what_they_are_one_after_the_other(
    house: House, ingested: House, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    shutil.copytree(ingested.home.root, home.root)
    write_dagster_yaml(home)
    days = [house.ds - timedelta(days=HORIZON), house.ds]
    code = "from tests.end_to_end.test_runs_at_once import retrain; retrain({!r}, {!r})"
    processes = []
    for day in days:
        with (tmp_path / f"{day}.log").open("wb") as log:
            command = [sys.executable, "-c", code.format(str(home.root), str(day))]
            processes.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log))
    for day, process in zip(days, processes, strict=True):
        assert process.wait(SECONDS) == 0, (tmp_path / f"{day}.log").read_text()[-3000:]
    both = House(home, house.instance, house.ds)
    for day in days:
        assert both.files(day, *DAILY) == house.files(day, *DAILY)
        assert both.models(day) == house.models(day)
    assert not list((home.store / "_staging").iterdir())


def test_a_month_of_history_is_one_run_of_dg_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SampleConfig(articles=40, customers=60, days=MONTH, image_size=32)
    generate(tmp_path / "retailer", config)
    home = Home(tmp_path / "home")
    settings = Settings(
        source="sample", path=str(tmp_path / "retailer"), first_day=config.first_day, last_day=config.last_day
    )
    write_settings(home, settings)
    write_dagster_yaml(home)
    monkeypatch.setenv("ATELIER_HOME", str(home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    days = f"{config.first_day}...{config.last_day}"
    launch = [str(Path(sys.executable).with_name("dg")), "launch", "--job", "ingest", "--partition-range", days]
    done = subprocess.run(launch, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    with dg.DagsterInstance.ephemeral() as ephemeral:
        expected = House(Home(tmp_path / "expected"), ephemeral, config.last_day)
        write_settings(expected.home, settings)
        expected.run("ingest", config.first_day, config.last_day)
    versions = {(pointer.table, pointer.ds): pointer.data_version for pointer in FeatureStore(home.store).pointers()}
    assert versions == {(each.table, each.ds): each.data_version for each in expected.store.pointers()}
    assert len({ds for table, ds in versions if table == "interactions"}) == MONTH
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS
