"""The whole daily job in the deployment of docker-compose.yml, with a real PostgreSQL that is killed in the middle."""

import sys
from collections.abc import Iterator

import pytest

from resources.retailer import day_range
from tests.deploy.deployment import SLOTS, Deployment, deployed

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.end_to_end,
    pytest.mark.skipif(sys.platform != "linux", reason="the processes of a container are found in /proc"),
]

SIZES = ("--articles", "120", "--customers", "300", "--days", "12")
#: The daily job has some fifty steps, two at a time.
DAILY_SECONDS = 1200


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All services, on a small sample retailer."""
    with deployed(tmp_path_factory.mktemp("deployment"), *SIZES) as found:
        yield found


def test_the_daily_job_outlives_a_killed_database_and_makes_its_report(deployment: Deployment) -> None:
    server, home = deployment.server, deployment.server.home
    *before, last = day_range(home.settings.first_day, home.settings.last_day)
    server.finished_backfill(server.backfill("ingest", before))

    run_id = server.launch("daily_retrain", last)
    deployment.until(
        lambda: [event["eventType"] for event in deployment.events(run_id) if event],
        lambda kinds: kinds.count("STEP_SUCCESS") >= 5,
    )
    deployment.containers.kill("postgres")
    deployment.restart("postgres")
    if deployment.until_run(run_id, seconds=DAILY_SECONDS) != "SUCCESS":  # it could not write an event: run it again
        run_id = server.launch("daily_retrain", last)
        assert deployment.until_run(run_id, seconds=DAILY_SECONDS) == "SUCCESS", server.failures(run_id)

    lists = server.store.read("recommendations", last).to_pandas()
    served = lists[lists["served"] & (lists["rank"] == 1)]
    assert set(served["customer_id"]) == set(server.store.read("customers", last).to_pandas()["customer_id"])
    assert (home.reports / f"ds={last}.html").exists()
    slots = server.ask(SLOTS)["instance"]["concurrencyLimits"]
    assert all(each["activeSlotCount"] == each["pendingStepCount"] == 0 for each in slots), slots
    assert deployment.containers.is_up("daemon")
