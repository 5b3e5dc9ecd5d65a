"""Another attempt: for a connection that was lost, and never for data that are wrong."""

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest
from botocore.exceptions import EndpointConnectionError

import assets.stage
from assets.isolation import Failed, run_isolated
from assets.partitions import partitioning
from assets.retries import RETRIES, is_transient
from assets.stage import Stage, stage
from assets.step import RunResources, Step
from atelier.errors import AtelierError, ContractViolation
from resources.retailer import Home


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("gone"),
        TimeoutError("nobody answers"),
        OSError(errno.ESTALE, "stale file handle"),
        caused(AtelierError("cannot read"), OSError(errno.EBUSY, "busy")),
        EndpointConnectionError(endpoint_url="http://objects"),
    ],
)
def test_what_may_pass_is_worth_another_attempt(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad data"),
        ContractViolation("twice", "articles"),
        FileNotFoundError("no such file"),
        PermissionError("not allowed"),
        OSError(errno.ENOSPC, "disk full"),
        MemoryError(),
        caused(AtelierError("bad"), ValueError("worse")),
    ],
)
def test_what_will_not_pass_is_not(error: Exception) -> None:
    assert not is_transient(error)


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets.stage, "WAIT", 0.0)


def attempts(tmp_path: Path, error: Exception, failures: int) -> tuple[dg.ExecuteInProcessResult, int]:
    """A run of a stage that fails so many times, and how often it was tried."""
    tried: list[None] = []

    @stage(produces=["image_backbone"], group="images")
    def image_backbone(_step: Step) -> None:
        """Fails at first."""
        tried.append(None)
        if len(tried) <= failures:
            raise error

    return run(tmp_path, image_backbone), len(tried)


def run(tmp_path: Path, wanted: Stage) -> dg.ExecuteInProcessResult:
    home = Home(tmp_path)
    resources = RunResources(home, cast("Any", None), cast("Any", None), cast("Any", None))
    job = dg.define_asset_job("job", dg.AssetSelection.all())
    definitions = dg.Definitions(
        assets=[wanted.asset(partitioning(home))], jobs=[job], resources={"run_resources": resources}
    )
    day = home.settings.first_day.isoformat()
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.get_job_def("job").execute_in_process(
            instance=instance, partition_key=day, raise_on_error=False
        )


def test_a_step_is_tried_again_after_a_lost_connection(tmp_path: Path) -> None:
    result, tried = attempts(tmp_path, ConnectionResetError("gone"), failures=RETRIES)
    assert result.success
    assert tried == RETRIES + 1


def test_a_connection_that_stays_lost_fails_the_step_with_its_own_error(tmp_path: Path) -> None:
    result, tried = attempts(tmp_path, ConnectionResetError("gone"), failures=RETRIES + 1)
    assert not result.success
    assert tried == RETRIES + 1
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "ConnectionResetError: gone" in str(failure.step_failure_data.error)


def test_bad_data_are_not_tried_again(tmp_path: Path) -> None:
    result, tried = attempts(tmp_path, ValueError("a price is negative"), failures=1)
    assert not result.success
    assert tried == 1


def lose_connection(step: Step) -> None:
    raise ConnectionResetError("gone")


def find_bad_data(step: Step) -> None:
    raise ValueError("a price is negative")


def test_the_process_of_an_isolated_stage_says_whether_it_may_pass(tmp_path: Path) -> None:
    step = Step(cast("Any", SimpleNamespace()), [], "run", "1")
    for work, transient in ((lose_connection, True), (find_bad_data, False)):
        found = run_isolated(work, step)
        assert isinstance(found, Failed)
        assert found.transient is transient


def test_an_isolated_stage_is_tried_again_and_then_recorded_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[None] = []

    def fails(_work: Any, _step: Step) -> Failed:
        tried.append(None)
        return Failed("ConnectionResetError: gone", transient=True)

    monkeypatch.setattr(assets.stage, "run_isolated", fails)
    isolated = stage(produces=["als_model"], group="recommenders", isolated=True)(lose_connection)
    result = run(tmp_path, isolated)
    assert result.success, "its failure is recorded and stops no other step"
    assert len(tried) == RETRIES + 1
    (made,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "made"]
    assert not made.passed
