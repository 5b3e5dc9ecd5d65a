"""The event log with connections that stay holds what Dagster's own holds, at once, from threads and after a fork."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import text

from dagster_project import event_log
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.event_log import FOLDER, SqliteEventLog
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
        kept = []
        for each in (instance, dagsters):
            with each.event_log_storage.index_connection() as connection:
                kept.append(
                    [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("synchronous", "journal_mode")]
                )
        assert kept[0] == kept[1] == [2, "wal"]


def test_few_files_stay_open_threads_take_turns_and_a_forked_process_opens_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "OPEN", 2)
    with opened(tmp_path) as instance:
        runs = [run(instance, day) for day in ("2020-03-01", "2020-03-02")]
        process = multiprocessing.get_context("fork").Process(target=run, args=(instance, "2020-03-03"))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert len(instance.get_materialized_partitions(ASSET)) == 3
        expected = [len(instance.all_logs(each)) for each in runs]
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda each: len(instance.all_logs(each)), runs * 8))
        assert found == expected * 8
        log = instance.event_log_storage
        assert isinstance(log, SqliteEventLog)
        assert len(log._engines) == 2


def test_a_file_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        run_id = run(instance)
        for file in (tmp_path / "dagster" / FOLDER).glob(f"{run_id}.db*"):
            file.unlink()
        assert instance.all_logs(run_id) == []
        instance.wipe()
        assert list(instance.get_materialized_partitions(ASSET)) == []
        run(instance, "2020-03-02")
        assert list(instance.get_materialized_partitions(ASSET)) == ["2020-03-02"]
