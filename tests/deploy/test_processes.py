"""The deployment of docker-compose.yml as processes, with a real PostgreSQL: what is killed in it comes back.

No container engine is needed: see :mod:`tests.deploy.containers` for what stands in for it.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.late_days import SETTLED
from tests.deploy.containers import Containers
from tests.deploy.deployment import SLOTS, Deployment, deployed

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.end_to_end,
    pytest.mark.skipif(sys.platform != "linux", reason="the processes of a container are found in /proc"),
]

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(3)]
QUEUED_FIRST, INTERRUPTED, LAST = DAYS
#: What most runs ingest, with a step that has a slot of a pool; the last one ingests all of a day.
SOME = ("articles", "customers", "interactions", "ingested_store")

#: As if the schedules had been turned on two days ago and no daemon had run since.
TURNED_ON_EARLIER = """
import time
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for state in instance.all_instigator_state():
        if state.name.endswith("_nightly"):
            data = state.instigator_data._replace(start_timestamp=time.time() - 2 * 24 * 3600)
            instance.update_instigator_state(state.with_data(data))
"""


def put(zone: Path, day: date, interactions: int) -> None:
    """A day of the landing zone."""
    moment = datetime(day.year, day.month, day.day, 12)
    tables: dict[str, Sequence[dict[str, Any]]] = {
        "articles": [{"article_id": f"a{n}", "name": "Shirt", "in_stock": True} for n in range(2)],
        "customers": [{"customer_id": f"c{n}", "age": 30} for n in range(2)],
        "interactions": [
            {"customer_id": "c0", "article_id": "a0", "occurred_at": moment, "kind": "view"}
            for _ in range(interactions)
        ],
    }
    for table, rows in tables.items():
        (zone / table).mkdir(parents=True, exist_ok=True)
        file = zone / table / f"ds={day}.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows)), file)
        long_ago = time.time() - 2 * SETTLED  # so that nobody can still be writing to it
        os.utime(file, (long_ago, long_ago))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All services, on a retailer of a few rows."""
    folder = tmp_path_factory.mktemp("deployment")
    zone = folder / "atelier" / "zone"
    for day in DAYS:
        put(zone, day, 2)
    with deployed(folder, "--source", "parquet", "--path", str(zone), "--last-day", str(LAST)) as found:
        yield found


def test_a_day_waits_for_a_killed_daemon_and_outlives_a_killed_database(deployment: Deployment) -> None:
    deployment.containers.kill("daemon")
    run_id = deployment.server.launch("ingest", QUEUED_FIRST, *SOME)
    assert deployment.until_run(run_id, "QUEUED") == "QUEUED"
    deployment.containers.start("daemon")
    assert deployment.until_run(run_id, "STARTED") == "STARTED"
    deployment.containers.kill("postgres")
    deployment.restart("postgres")
    ended = deployment.until_run(run_id)
    if ended != "SUCCESS":  # it could not write an event, and has ended: nothing holds the queue
        run_id = deployment.server.launch("ingest", QUEUED_FIRST, *SOME)
        assert deployment.until_run(run_id) == "SUCCESS", deployment.containers.said()
    kinds = [event.get("eventType") for event in deployment.events(run_id)]
    assert {"RUN_ENQUEUED", "RUN_STARTING", "RUN_SUCCESS"} <= set(kinds)
    assert deployment.server.store.read("interactions", QUEUED_FIRST).num_rows == 2
    assert deployment.containers.is_up("daemon")
    deployment.containers.wait_until_healthy("code-location", "webserver", "daemon", "pages")


def test_a_run_whose_code_location_was_killed_fails_is_told_of_and_can_be_run_again(deployment: Deployment) -> None:
    killed, again = (deployment.server.launch("ingest", INTERRUPTED, *SOME) for _ in range(2))
    assert deployment.until_run(killed, "STARTED") == "STARTED"
    deployment.containers.kill("code-location")
    assert deployment.until_run(killed) == "FAILURE"
    assert any("process is gone" in event.get("message", "") for event in deployment.events(killed))
    # The queue has come to the next one, which cannot be started yet: it is kept.
    deployment.until(
        lambda: [event.get("message", "") for event in deployment.events(again)],
        lambda said: any("re-submitting the run into the queue" in message for message in said),
    )
    deployment.restart("code-location")
    assert deployment.until_run(again) == "SUCCESS", deployment.containers.said()
    assert deployment.server.store.read("interactions", INTERRUPTED).num_rows == 2
    slots = deployment.server.ask(SLOTS)["instance"]["concurrencyLimits"]
    assert slots, "no pool is known"
    assert all(each["activeSlotCount"] == each["pendingStepCount"] == 0 for each in slots), slots
    (told,) = deployment.until(lambda: [said for said in deployment.webhook.said if killed in said], bool)
    assert told.startswith(f"Atelier: ingest of {INTERRUPTED} has failed\n")
    assert "process is gone" in told


def test_the_daemon_runs_the_sensor_for_late_days_and_the_schedules(deployment: Deployment) -> None:
    put(deployment.containers.home / "zone", QUEUED_FIRST, 5)
    deployment.turn_on("sensor", "late_days")
    schedules = ("daily_retrain_nightly", "judge_nightly")
    for schedule in schedules:
        deployment.turn_on("schedule", schedule)
    turned = deployment.containers.run("daemon", "python", "-c", TURNED_ON_EARLIER)
    assert turned.returncode == 0, turned.stderr

    (tick, *_) = deployment.until(
        lambda: [tick for tick in deployment.ticks("late_days") if tick["status"] != "STARTED"], bool
    )
    assert (tick["status"], tick["error"]) == ("SUCCESS", None), tick
    (run_id,) = tick["runIds"]
    for schedule in schedules:
        ticks = deployment.until(lambda of=schedule: deployment.ticks(of), bool)  # type: ignore[misc]
        assert {each["status"] for each in ticks} <= {"SKIPPED", "STARTED"}, ticks
        assert all(each["error"] is None for each in ticks), ticks
    assert deployment.until_run(run_id) == "SUCCESS", deployment.containers.said()
    store = deployment.server.store
    assert store.read("interactions", QUEUED_FIRST).num_rows == 5
    assert store.read("images", QUEUED_FIRST).num_rows == 0


def test_without_its_database_the_code_location_says_what_to_do(tmp_path: Path) -> None:
    containers = Containers(tmp_path)
    try:
        serve = ("python", "-m", "dagster_project.code_server", "--port", str(containers.port["4000"]))
        said = containers.run("code-location", *serve)
        assert said.returncode == 1, "compose starts it again"
        assert "Traceback" not in said.stderr
        *_, first, _, last = said.stderr.strip().splitlines()
        assert f"Dagster's PostgreSQL at 127.0.0.1:{containers.port['5432']} (database atelier, user atelier)" in first
        assert "Connection refused" in first
        for wanted in (
            "docker compose up postgres",
            "hostname and port in $DAGSTER_HOME/dagster.yaml",
            "POSTGRES_PASSWORD",
        ):
            assert wanted in last
        assert containers.variables["POSTGRES_PASSWORD"] not in said.stdout + said.stderr
    finally:
        containers.end()
