"""Dagster as people run it: the real web server and the daemon, as processes, spoken to through GraphQL.

What belongs here: starting, asking and ending them, and the fixture ``server``. What does not: what is asserted.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests

import dagster_project
from atelier.sources.sample import SampleConfig, generate
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import run_job
from resources.feature_store import FeatureStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

#: Generous: the machine may be busy, and nothing here measures time. The daemon looks for backfills every 30 seconds.
READY_SECONDS = 180
RUN_SECONDS = 500
#: How long a process may take to end when asked to, before it is killed.
GRACE_SECONDS = 15

CODE = {"repositoryName": "__repository__", "repositoryLocationName": "atelier"}

RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run {
    runId status tags { key value } assetSelection { path }
    stats { ... on RunStatsSnapshot { stepsSucceeded stepsFailed } }
} } }"""
LOGS = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
    __typename
    ... on ExecutionStepFailureEvent { stepKey error { message } }
    ... on RunFailureEvent { message error { message } }
} } } }"""
TERMINATE = """mutation($id: String!) {
    terminateRun(runId: $id, terminatePolicy: SAFE_TERMINATE) { __typename ... on Error { message } }
}"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
} }"""
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on Error { message }
} }"""
BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
    ... on PartitionBackfill {
        status isAssetBackfill partitionNames error { message } runs { runId status tags { key value } }
    }
    ... on Error { message }
} }"""
MATERIALISED = """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
    assetMaterializations { partition runId metadataEntries { label ... on IntMetadataEntry { intValue } } }
    assetPartitionStatuses { ... on TimePartitionStatuses { ranges { status startKey endKey } } }
} } }"""
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
UNDER_WAY = {"REQUESTED", "CANCELING", "FAILING"}


@dataclass
class Server:
    """A running web server and daemon.

    Attributes:
        url: where the web server listens, on loopback.
        home: the home that both serve.
        logs: what the processes said, by name.
    """

    url: str
    home: Home
    logs: dict[str, Path] = field(default_factory=dict)

    @property
    def store(self) -> FeatureStore:
        """The feature store of the home."""
        return FeatureStore(self.home.store)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data that a GraphQL query or mutation gives."""
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=120)
        told = answer.json()
        assert "errors" not in told, told["errors"]
        answer.raise_for_status()
        return told["data"]

    def launch(self, job: str, day: date, *assets: str) -> str:
        """Request a run of a day, of some assets of a job only; its id."""
        selector = {**CODE, "jobName": job, "assetSelection": _paths(assets)}
        tags = [{"key": "dagster/partition", "value": day.isoformat()}]
        params = {"selector": selector, "executionMetadata": {"tags": tags}, "runConfigData": {}}
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(self, job: str, days: Sequence[date], *assets: str) -> str:
        """Request a backfill of a job over ``days``, as its page in the UI does; its id."""
        params = {
            "selector": {"partitionSetName": f"{job}_partition_set", "repositorySelector": CODE},
            "partitionNames": [day.isoformat() for day in days],
            "assetSelection": _paths(assets),
        }
        launched = self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def cancel(self, run_id: str) -> None:
        """Cancel a run once it is at work, and wait until it has ended."""
        self._until(lambda: self._run(run_id), lambda run: run["status"] == "STARTED")
        told = self.ask(TERMINATE, id=run_id)["terminateRun"]
        assert told["__typename"] == "TerminateRunSuccess", told
        run = self._until(lambda: self._run(run_id), lambda run: run["status"] in FINISHED)
        assert run["status"] == "CANCELED", self.failures(run_id)

    def finished_run(self, run_id: str) -> Any:
        """The run, once it has succeeded."""
        run = self._until(lambda: self._run(run_id), lambda run: run["status"] in FINISHED)
        assert run["status"] == "SUCCESS", self.failures(run_id)
        return run

    def finished_backfill(self, backfill_id: str) -> Any:
        """The backfill, once it and all of its runs have succeeded."""
        backfill = self._until(lambda: self._backfill(backfill_id), lambda told: told["status"] not in UNDER_WAY)
        failed = [self.failures(run["runId"]) for run in backfill["runs"] if run["status"] != "SUCCESS"]
        assert backfill["status"] == "COMPLETED_SUCCESS", (backfill, failed)
        return backfill

    def failures(self, run_id: str) -> list[Any]:
        """What went wrong in a run."""
        events = self.ask(LOGS, id=run_id)["logsForRun"]["events"]
        return [event for event in events if "Failure" in event["__typename"]]

    def materialised(self, asset: str) -> Any:
        """The materialisations of an asset, newest first, and the days that Dagster takes as materialised."""
        return self.ask(MATERIALISED, asset={"path": [asset]})["assetNodeOrError"]

    def materialised_days(self, asset: str) -> list[date]:
        """The days on which Dagster takes an asset as materialised."""
        ranges = self.materialised(asset)["assetPartitionStatuses"]["ranges"]
        days: list[date] = []
        for each in ranges:
            assert each["status"] == "MATERIALIZED", each
            day, last = date.fromisoformat(each["startKey"]), date.fromisoformat(each["endKey"])
            days += [day + timedelta(days=n) for n in range((last - day).days + 1)]
        return days

    def _run(self, run_id: str) -> Any:
        return self.ask(RUN, id=run_id)["runOrError"]

    def _backfill(self, backfill_id: str) -> Any:
        return self.ask(BACKFILL, id=backfill_id)["partitionBackfillOrError"]

    def _until(self, look: Callable[[], Any], done: Callable[[Any], bool], seconds: float = RUN_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while not done(seen := look()):
            assert time.monotonic() < deadline, (seen, self._last_words())
            time.sleep(1)  # each look costs the web server as much as a small page
        return seen

    def wait_until_ready(self, alive: Callable[[], bool]) -> None:
        """Wait until the code location is loaded and the daemon works on runs and backfills."""

        def ready() -> bool:
            assert alive(), self._last_words()
            try:
                health = self.ask("{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
            except requests.ConnectionError:
                return False
            healthy = {
                daemon["daemonType"]
                for daemon in health["instance"]["daemonHealth"]["allDaemonStatuses"]
                if daemon["healthy"]
            }
            return {"BACKFILL", "QUEUED_RUN_COORDINATOR"} <= healthy

        self._until(ready, bool, READY_SECONDS)

    def _last_words(self) -> str:
        return "\n".join(f"{name}: {path.read_text()[-2000:]}" for name, path in self.logs.items())


def _paths(assets: Sequence[str]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]


def free_port() -> int:
    """A port on loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything that it has started: each is the head of a process group of its own."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    except ProcessLookupError:
        return
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # code servers and runs that have outlived it
        process.wait()


@contextmanager
def serve(home: Home) -> Iterator[Server]:
    """The web server and the daemon on ``home``, until the end of the block, whatever happens in it."""
    port = free_port()
    environment = os.environ | {
        "ATELIER_HOME": str(home.root),
        "DAGSTER_HOME": str(home.dagster),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    commands = {
        "web server": ["dagster-webserver", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
        "daemon": ["dagster-daemon", "run", "-w", "workspace.yaml"],
    }
    server = Server(f"http://127.0.0.1:{port}", home)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name, (program, *arguments) in commands.items():
            server.logs[name] = home.root / f"{program}.log"
            with server.logs[name].open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [BIN / program, *arguments],
                        cwd=REPOSITORY,
                        env=environment,
                        stdout=log,
                        stderr=log,
                        stdin=subprocess.DEVNULL,
                        start_new_session=True,
                    )
                )
        server.wait_until_ready(lambda: all(process.poll() is None for process in processes))
        yield server
    finally:
        for process in reversed(processes):
            end(process)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Dagster on a small retailer whose first three days are in the store: what `make demo`, `make ui` is in large.

    It ends with the module that uses it: an idle daemon evaluates sensors and loads the code location anew each minute,
    at the expense of all tests that come after.
    """
    home = Home(tmp_path_factory.mktemp("served"))
    config = SampleConfig(articles=60, customers=120, days=8, image_size=32, sessions_per_customer=0.3)
    generate(home.root / "retailer", config)
    settings = Settings(
        source="sample", path="retailer", first_day=config.first_day, last_day=config.last_day, horizon=2
    )
    write_settings(home, settings)
    write_dagster_yaml(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        run_job(build_defs(home), instance, "ingest", config.first_day, config.first_day + timedelta(days=2))
    with serve(home) as started:
        yield started
