"""Alerts, against an HTTP server of the test's own: what a failed run sends, and what is said where nobody takes it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from dagster_project import alerts
from dagster_project.alerts import ADDRESS, LENGTH, UI_ADDRESS, AlertNotSent, alert_sensor, message, post

DAY = "2025-03-04"


class Webhook:
    """What was posted to a local server.

    Attributes:
        address: of the server.
        received: the bodies, as JSON.
        status: what the server answers.
        first: what it answers before that, one for each message.
    """

    def __init__(self) -> None:
        self.received: list[Any] = []
        self.status = 200
        self.first: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
                self.send_response(hook.first.pop(0) if hook.first else hook.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/secret-path"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message is sent again at once."""
    monkeypatch.setattr(alerts, "PAUSE", 0.0)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


@dg.op
def als_model() -> None:
    raise ValueError("the disk is full\nand more that nobody reads in a chat")


@dg.job(partitions_def=dg.DailyPartitionsDefinition("2025-03-01"))
def daily_retrain() -> None:
    als_model()


def failed(instance: dg.DagsterInstance) -> Any:
    """The context of the sensor after a run that failed."""
    result = daily_retrain.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False)
    (event,) = [each for each in result.all_events if each.event_type_value == "PIPELINE_FAILURE"]
    return dg.build_run_status_sensor_context(
        sensor_name="alert_on_failure", dagster_event=event, dagster_instance=instance, dagster_run=result.dagster_run
    ).for_run_failure()


def test_a_failed_run_posts_its_job_its_day_and_its_errors(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ADDRESS, webhook.address)
    monkeypatch.setenv(UI_ADDRESS, "http://dagster.example/")
    sensor = alert_sensor()
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        context = failed(instance)
        assert sensor(context) is None
    ((path, kind, body),) = webhook.received
    assert (path, kind) == ("/secret-path", "application/json")
    first, second, last = body["text"].splitlines()
    assert first == f"Atelier: daily_retrain of {DAY} has failed"
    assert second == "• als_model: ValueError: the disk is full"
    assert last == f"http://dagster.example/runs/{context.dagster_run.run_id}"
    assert "more that nobody reads" not in body["text"]


def test_without_an_address_nothing_is_sent_and_the_reason_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    sensor = alert_sensor()
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance:
        skipped = sensor(failed(instance))
    assert isinstance(skipped, dg.SkipReason)
    assert ADDRESS in str(skipped.skip_message)


def test_a_range_a_killed_run_and_many_failures_are_told() -> None:
    ends = {"dagster/asset_partition_range_start": DAY, "dagster/asset_partition_range_end": "2025-03-09"}
    run = dg.DagsterRun(job_name="ingest", run_id="0" * 8, tags=ends)
    killed = message(run, [], "the process of the run is gone\nand its last words").splitlines()
    assert killed == [
        "Atelier: ingest of 2025-03-04…2025-03-09 has failed",
        "• the process of the run is gone",
        "run 00000000",
    ]
    many = message(run, [(f"step{n}", "x" * 1000) for n in range(7)], "").splitlines()
    assert len(many) == 8
    assert many[6] == "• and 2 more steps"
    assert len(many[1]) == len("• step0: ") + LENGTH


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://a.example/b", "nonsense", "http://"])
def test_an_address_that_is_none_of_http_is_refused(address: str) -> None:
    with pytest.raises(AlertNotSent, match=ADDRESS):
        post(address, "text")


def test_a_receiver_that_refuses_or_is_away_is_named_without_the_secret(webhook: Webhook) -> None:
    webhook.status = 500
    with pytest.raises(AlertNotSent, match=r"127\.0\.0\.1: HTTP Error 500") as refused:
        post(webhook.address, "text")
    assert "secret-path" not in str(refused.value)
    with pytest.raises(AlertNotSent, match=r"was not taken by 127\.0\.0\.1") as away:
        post("http://127.0.0.1:1/secret-path", "text")
    assert "secret-path" not in str(away.value)


@pytest.mark.parametrize("first", [[503], [429, 500]])
def test_a_receiver_that_is_busy_is_tried_again(webhook: Webhook, first: list[int]) -> None:
    webhook.first = list(first)
    post(webhook.address, "text")
    assert [body for _, _, body in webhook.received] == [{"text": "text"}] * (len(first) + 1)


@pytest.mark.parametrize(("status", "sent"), [(404, 1), (503, alerts.ATTEMPTS)])
def test_a_message_is_given_up_at_once_where_it_is_wrong_and_after_three_times_otherwise(
    webhook: Webhook, status: int, sent: int
) -> None:
    webhook.status = status
    with pytest.raises(AlertNotSent, match=f"HTTP Error {status}"):
        post(webhook.address, "text")
    assert len(webhook.received) == sent
