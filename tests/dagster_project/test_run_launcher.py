"""A run whose process was killed ends, and holds the queue no longer."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run_launcher import OneMachineRunLauncher, is_alive, process_of
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


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def started(instance: dg.DagsterInstance, pid: int | None) -> dg.DagsterRun:
    """A run as `dg launch` leaves it in the storage, whose executor has noted its process."""
    run = instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        instance.report_engine_event("Executing steps", run, EngineEventData.in_process(pid))
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


def test_a_killed_run_is_failed_by_the_daemon_and_others_are_left_alone(
    instance: dg.DagsterInstance, gone: int
) -> None:
    assert isinstance(instance.run_launcher, OneMachineRunLauncher)
    killed, alive, silent = started(instance, gone), started(instance, os.getpid()), started(instance, None)
    look(instance)
    assert status(instance, killed) == dg.DagsterRunStatus.FAILURE
    assert status(instance, alive) == status(instance, silent) == dg.DagsterRunStatus.STARTED
    told = [str(entry.dagster_event.message) for entry in instance.all_logs(killed.run_id) if entry.dagster_event]
    assert any(f"process {gone} is gone" in message for message in told)


def test_a_killed_run_is_terminated_at_once(instance: dg.DagsterInstance, gone: int) -> None:
    run = started(instance, gone)
    assert instance.run_launcher.terminate(run.run_id)
    assert status(instance, run) == dg.DagsterRunStatus.CANCELED
    assert not instance.run_launcher.terminate(run.run_id)  # it has ended


def test_the_executor_notes_its_process(instance: dg.DagsterInstance) -> None:
    @dg.op
    def one() -> None:
        """A step."""

    @dg.job(executor_def=dg.in_process_executor)
    def with_a_step() -> None:
        one()

    done = with_a_step.execute_in_process(instance=instance)
    assert process_of(instance, done.run_id) == os.getpid()


def test_a_process_is_alive_or_not(gone: int) -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(gone)
