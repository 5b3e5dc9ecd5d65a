"""The event log with engines made once holds what Dagster's own holds, at once, from threads and after a fork."""

import multiprocessing
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import text

from dagster_project.commands.init import write_dagster_yaml
from dagster_project.event_log import FOLDER, SqliteEventLog, _engine
from resources.retailer import Home

DAYS = dg.DailyPartitionsDefinition("2020-03-01", end_date="2020-03-04")
ASSET = dg.AssetKey("counted")
CHECK = dg.AssetCheckKey(ASSET, "enough")


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("enough", asset="counted")])
def counted() -> Iterator[Any]:
    """An asset with a check."""
    result = dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)
    yield dg.MaterializeResult(metadata={"rows": 3}, check_results=[result])


@contextmanager
def opened(root: Path, *, own: bool = True) -> Iterator[dg.DagsterInstance]:
    """The storage of a home, or the same folder as Dagster opens it by itself."""
    home = Home(root)
    settings = home.dagster / "dagster.yaml"
    settings.unlink(missing_ok=True)
    write_dagster_yaml(home)
    if not own:
        settings.write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        assert type(instance.event_log_storage) is (SqliteEventLog if own else SqliteEventLogStorage)
        yield instance


def run(instance: dg.DagsterInstance, day: str = "2020-03-01") -> str:
    return dg.materialize([counted], instance=instance, partition_key=day).run_id


def told(instance: dg.DagsterInstance, run_id: str) -> list[Any]:
    """What the storage says of a run, its asset and its check."""
    materialised = instance.fetch_materializations(ASSET, limit=10).records
    checks = instance.event_log_storage.get_asset_check_execution_history(CHECK, limit=10)
    return [
        [event.dagster_event_type for event in instance.all_logs(run_id)],
        [(each.partition_key, each.asset_materialization.metadata["rows"].value) for each in materialised],  # type: ignore[union-attr]
        [(each.status, each.partition) for each in checks],
        sorted(instance.get_materialized_partitions(ASSET)),
        instance.get_run_step_stats(run_id)[0].status,
    ]


def test_it_holds_what_dagsters_own_holds_and_either_reads_the_other(tmp_path: Path) -> None:
    with opened(tmp_path / "one") as instance, opened(tmp_path / "other", own=False) as dagsters:
        here, there = run(instance), run(dagsters)
        found = told(instance, here)
        assert found == told(dagsters, there)
        assert found[1] == [("2020-03-01", 3)]
        assert "FAILED" in {status.value for status, _ in found[2]}
    assert not [each.name for each in (tmp_path / "one" / "dagster" / FOLDER).glob("*-wal")], "all files were closed"
    with opened(tmp_path / "one", own=False) as instance:
        assert told(instance, here) == found
        run(instance, "2020-03-02")
    with opened(tmp_path / "one") as instance:
        assert sorted(instance.get_materialized_partitions(ASSET)) == ["2020-03-01", "2020-03-02"]


def test_an_event_is_on_disk_when_it_was_stored(tmp_path: Path) -> None:
    with opened(tmp_path) as instance, opened(tmp_path / "other", own=False) as dagsters:
        run_id = run(instance)
        file = tmp_path / "dagster" / FOLDER / f"{run_id}.db"
        with closing(sqlite3.connect(file)) as reader:
            seen = reader.execute("SELECT count(*) FROM event_logs").fetchone()[0]
        assert seen == len(instance.all_logs(run_id))
        engines = _engine.cache_info()
        instance.all_logs(run_id)
        assert _engine.cache_info()[:2] == (engines.hits + 1, engines.misses), "no engine is made twice"
        kept = []
        for each in (instance, dagsters):
            with each.event_log_storage.index_connection() as connection:
                kept.append(
                    [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "journal_mode")]
                )
        assert kept[0] == kept[1] == [2, "wal"]


def test_threads_take_turns_and_a_forked_process_writes_too(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        runs = [run(instance, day) for day in ("2020-03-01", "2020-03-02")]
        process = multiprocessing.get_context("fork").Process(target=run, args=(instance, "2020-03-03"))
        process.start()
        process.join(120)
        assert process.exitcode == 0
        assert len(instance.get_materialized_partitions(ASSET)) == 3
        expected = [len(instance.all_logs(each)) for each in runs]
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda each: len(instance.all_logs(each)), runs * 8))
        assert found == expected * 8


def test_no_file_is_held_open_and_each_has_all_that_was_stored(tmp_path: Path) -> None:
    """Who copies a database, or waits for it to change as Dagster's page of a run does, needs the file itself."""
    with opened(tmp_path) as instance:
        run_id = run(instance)
        folder = tmp_path / "dagster" / FOLDER
        held = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.exists()]
        assert not [each for each in held if each.is_relative_to(folder)]
        for name, wanted in ((run_id, len(instance.all_logs(run_id))), ("index", 4)):
            copy = tmp_path / f"{name}.db"
            copy.write_bytes((folder / f"{name}.db").read_bytes())
            with closing(sqlite3.connect(copy)) as reader:
                assert reader.execute("SELECT count(*) FROM event_logs").fetchone()[0] >= wanted


def test_whoever_watches_a_run_is_told_of_each_event(tmp_path: Path) -> None:
    with opened(tmp_path) as writer, dg.DagsterInstance.from_config(str(Home(tmp_path).dagster)) as reader:
        run_id = run(writer)
        stored = len(writer.all_logs(run_id))
        heard: list[dg.EventLogEntry] = []

        def tell(event: dg.EventLogEntry, _cursor: str) -> None:
            heard.append(event)

        reader.watch_event_logs(run_id, None, tell)
        writer.report_engine_event("afterwards", writer.get_run_by_id(run_id))
        deadline = time.monotonic() + 30
        while len(heard) <= stored and time.monotonic() < deadline:
            time.sleep(0.05)
        reader.end_watch_event_logs(run_id, tell)
        assert len(heard) == stored + 1
