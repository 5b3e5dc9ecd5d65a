"""A run whose process was killed ends, and holds the queue no longer."""

import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from dagster_project import run_locks
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run_launcher import OneMachineRunLauncher
from dagster_project.run_locks import held, hold, process_is_gone
from resources.retailer import Home


@dg.job
def nothing() -> None:
    """A job without steps."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The storage of a home, as ``atelier init`` sets it up."""
    home = Home(tmp_path / "home")
    write_dagster_yaml(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as made:
        yield made


def started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run as it is in the storage before its executor has taken its lock."""
    return instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)


def killed_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run as one that was killed leaves it: another process has held its lock, and has ended."""
    run = started(instance)
    process = multiprocessing.get_context("fork").Process(target=hold, args=(instance, run.run_id))
    process.start()
    process.join()
    assert process.exitcode == 0
    return run


def look(instance: dg.DagsterInstance) -> None:
    """What the daemon does every few seconds."""
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
        failures = list(execute_run_monitoring_iteration(context, logging.getLogger(__name__)))
    assert [failure for failure in failures if failure] == []


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_killed_run_is_failed_by_the_daemon_and_others_are_left_alone(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, OneMachineRunLauncher)
    killed, alive, silent = killed_run(instance), started(instance), started(instance)
    with held(instance, alive.run_id):
        look(instance)
    assert status(instance, killed) == dg.DagsterRunStatus.FAILURE
    assert status(instance, alive) == status(instance, silent) == dg.DagsterRunStatus.STARTED
    told = [str(entry.dagster_event.message) for entry in instance.all_logs(killed.run_id) if entry.dagster_event]
    assert any("process is gone" in message for message in told)


def test_a_killed_run_is_terminated_at_once(instance: dg.DagsterInstance) -> None:
    run = killed_run(instance)
    assert instance.run_launcher.terminate(run.run_id)
    assert status(instance, run) == dg.DagsterRunStatus.CANCELED
    assert not instance.run_launcher.terminate(run.run_id)  # it has ended


def test_a_process_holds_the_lock_until_it_ends_and_others_know(instance: dg.DagsterInstance) -> None:
    assert not process_is_gone(instance, "one"), "never taken"
    with held(instance, "one"):
        assert not process_is_gone(instance, "one")
    assert process_is_gone(instance, "one")
    assert process_is_gone(instance, "one"), "asking changes nothing"


def test_locks_of_old_runs_are_swept(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_locks, "_held", [])
    hold(instance, "old")
    (file,) = (Path(instance.storage_directory()) / "at_work").iterdir()
    long_ago = time.time() - 2 * run_locks.KEPT
    os.utime(file, (long_ago, long_ago))
    hold(instance, "new")
    assert [path.name for path in file.parent.iterdir()] == ["new.lock"]
