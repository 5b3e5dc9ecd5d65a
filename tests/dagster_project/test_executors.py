"""Where the steps of a run are executed: as people run it, by ``dg launch``, on a retailer of six rows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dagster_project
from assets.raw import STAGES
from atelier.errors import AtelierError
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import run_job_in_processes
from dagster_project.run_locks import process_is_gone
from resources.feature_store import FeatureStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
DAY = date(2025, 3, 3)
SECONDS = 400
TABLES = {table for stage in STAGES for table in stage.produces} | {"images"}

ROWS: dict[str, list[dict[str, Any]]] = {
    "articles": [{"article_id": f"a{n}", "name": "Shirt", "in_stock": True} for n in range(2)],
    "customers": [{"customer_id": f"c{n}", "age": 30} for n in range(2)],
    "interactions": [
        {"customer_id": "c0", "article_id": "a0", "occurred_at": datetime(2025, 3, 3, 10), "kind": "view"},
        {"customer_id": "c1", "article_id": "a1", "occurred_at": datetime(2025, 3, 3, 11), "kind": "purchase"},
    ],
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose retailer has one day with six rows."""
    for table, rows in ROWS.items():
        (tmp_path / "landing" / table).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "landing" / table / f"ds={DAY}.parquet")
    home = Home(tmp_path)
    write_settings(home, Settings(source="parquet", path="landing", first_day=DAY, last_day=DAY + timedelta(days=1)))
    write_dagster_yaml(home)
    return home


@contextmanager
def launched(home: Home, *options: str) -> Iterator[tuple[dg.DagsterRun, list[dg.EventLogEntry]]]:
    """The only run of the home, and its events, after ``dg launch`` with ``options``."""
    environment = os.environ | {"ATELIER_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    command = [Path(sys.executable).parent / "dg", "launch", *options]
    ran = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        (run,) = instance.get_runs()
        assert process_is_gone(instance, run.run_id), "its executor has held no lock"
        yield run, instance.all_logs(run.run_id)


def processes_of_steps(events: list[dg.EventLogEntry]) -> dict[str, str]:
    """The process of each step that had one of its own."""
    started = [event for event in events if event.dagster_event_type == dg.DagsterEventType.STEP_WORKER_STARTED]
    return {
        str(event.step_key): str(event.get_dagster_event().event_specific_data.metadata["pid"].value)  # type: ignore[union-attr]
        for event in started
    }


@pytest.mark.end_to_end
def test_a_day_is_ingested_in_the_process_of_the_run(home: Home) -> None:
    with launched(home, "--job", "ingest", "--partition", str(DAY)) as (run, events):
        assert run.is_success
        assert processes_of_steps(events) == {}
    store = FeatureStore(home.store)
    assert {table: store.read(table, DAY).num_rows for table in TABLES} == {
        table: len(ROWS.get(table, [])) for table in TABLES
    }
    with duckdb.connect(home.database, read_only=True) as database:
        shown = database.execute("SELECT count(*) FROM interactions WHERE ds = $1", [DAY]).fetchone()
    assert shown == (len(ROWS["interactions"]),), "the database shows the day without any other job"


@pytest.mark.end_to_end
def test_each_step_of_a_range_is_a_process(home: Home) -> None:
    with launched(home, "--job", "ingest", "--partition-range", f"{DAY}...{DAY + timedelta(days=1)}") as (run, events):
        assert run.is_success
        processes = processes_of_steps(events)
    planned = [
        event for event in events if event.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    ]
    assert len(planned) == len({event.step_key for event in planned}), "an event for each asset, not for each day"
    assert processes.keys() >= TABLES
    assert len(set(processes.values())) == len(processes)
    store = FeatureStore(home.store)
    assert store.read("articles", DAY + timedelta(days=1)).num_rows == 2


def test_ingest_alone_chooses_by_its_days(tmp_path: Path) -> None:
    repository = build_defs(Home(tmp_path)).get_repository_def()
    executors = {job.name: job.executor_def.name for job in repository.get_all_jobs()}
    assert executors.pop("ingest") == "ingest"
    assert set(executors.values()) == {"multiprocess"}


@pytest.mark.end_to_end
def test_a_job_run_from_python_names_the_steps_that_failed(home: Home) -> None:
    (home.root / "landing" / "customers" / f"ds={DAY}.parquet").write_bytes(b"not Parquet")
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        with pytest.raises(AtelierError, match=rf"ingest {DAY}: .*customers"):
            run_job_in_processes(home, instance, "ingest", DAY, DAY + timedelta(days=1))
        (run,) = instance.get_runs()
        assert not run.is_success
        processes = processes_of_steps(instance.all_logs(run.run_id))
    assert len(set(processes.values())) == len(processes) > 1
    assert FeatureStore(home.store).read("articles", DAY).num_rows == 2, "one step that fails stops no other"
