"""The whole deployment under test: its services, what they serve, and who is told of failures.

What belongs here: starting all services in the order and with the checks that compose has, asking the web server. What
does not: the services as processes (:mod:`tests.deploy.containers`), what is asserted of them.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import requests

from resources.retailer import Home
from tests.deploy.containers import Containers
from tests.end_to_end.server import CODE, FINISHED, Server

#: Within which something has to have happened, on a busy machine too.
SECONDS = 240

EVENTS = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
    ... on MessageEvent { message eventType } } } } }"""
START_SENSOR = """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename
    ... on Error { message } } }"""
START_SCHEDULE = """mutation($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) { __typename
    ... on Error { message } } }"""
TICKS = """query($selector: InstigationSelector!) { instigationStateOrError(instigationSelector: $selector) {
    __typename
    ... on InstigationState { ticks(limit: 20) { status skipReason error { message } runIds } }
    ... on Error { message }
} }"""
SLOTS = "{ instance { concurrencyLimits { concurrencyKey activeSlotCount pendingStepCount } } }"


class Webhook(HTTPServer):
    """A chat program's incoming webhook.

    Attributes:
        said: the messages.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        said = self.said

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@dataclass
class Deployment:
    """The services, what they serve, and who is told of failures."""

    containers: Containers
    server: Server
    webhook: Webhook

    def until(self, look: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = SECONDS) -> Any:
        """Look until it is as wanted; a server whose database is away answers with an error, and is asked again."""
        deadline, seen = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                if wanted(seen := look()):
                    return seen
            except (requests.RequestException, AssertionError) as error:
                seen = error
            time.sleep(0.2)
        raise AssertionError((seen, self.containers.said()))

    def until_run(self, run_id: str, *statuses: str, seconds: float = SECONDS) -> str:
        """Wait until a run has one of the statuses, or has ended; its status."""
        wanted = FINISHED | set(statuses)
        status = self.until(lambda: self.server._run(run_id)["status"], lambda seen: seen in wanted, seconds)
        return str(status)

    def events(self, run_id: str) -> list[Any]:
        """The events of a run."""
        told: list[Any] = self.server.ask(EVENTS, id=run_id)["logsForRun"]["events"]
        return told

    def ticks(self, name: str) -> list[Any]:
        """The ticks of a sensor or a schedule, newest first."""
        told = self.server.ask(TICKS, selector={**CODE, "name": name})["instigationStateOrError"]
        assert "ticks" in told, told
        return list(told["ticks"])

    def turn_on(self, kind: str, name: str) -> None:
        """Turn on a sensor or a schedule, as people do in the UI."""
        query, selector = (START_SENSOR, "sensorName") if kind == "sensor" else (START_SCHEDULE, "scheduleName")
        (told,) = self.server.ask(query, selector={**CODE, selector: name}).values()
        assert told["__typename"] in ("Sensor", "ScheduleStateResult"), told

    def restart(self, service: str) -> None:
        """Start a killed service again, and wait until it is healthy."""
        self.containers.start(service)
        self.containers.wait_until_healthy(service)


@contextmanager
def deployed(folder: Path, *init: str) -> Iterator[Deployment]:
    """All services, started in the order and with the checks that compose has, and ended after the block.

    Args:
        folder: for all that they write.
        init: arguments of ``atelier init``, by which the home is made.
    """
    webhook = Webhook()
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    containers = Containers(folder)
    containers.variables["ATELIER_ALERT_WEBHOOK"] = f"http://127.0.0.1:{webhook.server_port}/hook"
    try:
        containers.make_cluster()
        containers.start("postgres")
        made = containers.run("code-location", "atelier", "init", *init)
        assert made.returncode == 0, made.stderr
        containers.wait_until_healthy("postgres")
        containers.start("code-location")
        containers.wait_until_healthy("code-location")
        containers.start("webserver")
        containers.start("daemon")
        containers.start("pages")
        containers.wait_until_healthy("webserver", "daemon", "pages")
        server = Server(f"http://127.0.0.1:{containers.port['3000']}", Home(containers.home), containers.logs)
        yield Deployment(containers, server, webhook)
    finally:
        containers.end()
        webhook.shutdown()
        webhook.server_close()
