"""Alerts: somebody is told when a run has failed.

What belongs here: the sensor, and what it sends. What does not: what may fail, and the checks that only warn
(:mod:`assets`); the report of the day shows those.

Nothing is sent unless ``$ATELIER_ALERT_WEBHOOK`` holds an address. It comes from the environment and not from
atelier.toml, because such addresses are secrets.
"""

import json
import os
import time
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit

import dagster as dg

from atelier.errors import AtelierError

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

#: The variable that holds the address of the webhook, for example one of Slack, Mattermost or Teams.
ADDRESS = "ATELIER_ALERT_WEBHOOK"
#: The variable that holds the address of Dagster's pages, so that the message can link to the run.
UI_ADDRESS = "ATELIER_UI"
#: How long the receiver may take, in seconds; how often a message is sent to one that does not take it, and how long is
#: waited before the second time, in seconds; twice as long before each further one.
TIMEOUT, ATTEMPTS, PAUSE = 10.0, 3, 2.0
#: How many failed steps a message names, and how much of each error it holds.
NAMED = 5
#: The error that Dagster makes of any error of a step.
WRAPPED = "DagsterExecutionStepExecutionError"
LENGTH = 300


class AlertNotSent(AtelierError):
    """The webhook did not take an alert; the message says why.

    The sensor's tick fails, and Dagster shows it. The alert is lost then: Dagster does not tell of a run twice.
    """


def alert_sensor() -> dg.SensorDefinition:
    """The sensor that posts to the webhook when a run of this code location has failed; it runs where there is one."""
    address = os.environ.get(ADDRESS)
    status = dg.DefaultSensorStatus.RUNNING if address else dg.DefaultSensorStatus.STOPPED

    @dg.run_failure_sensor(
        name="alert_on_failure",
        description=f"Posts the job, the day and the errors of a failed run to the webhook in ${ADDRESS}.",
        default_status=status,
    )
    def alert_on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        to = os.environ.get(ADDRESS)
        if not to:
            return dg.SkipReason(
                f"nobody is told: set {ADDRESS} for the process that serves the code location, and start it again"
            )
        errors = [
            (str(event.step_key), _said(event.step_failure_data.error)) for event in context.get_step_failure_events()
        ]
        reason = context.failure_event.message or "the run failed"
        post(to, message(context.dagster_run, errors, reason))
        return None

    return alert_on_failure


def message(run: dg.DagsterRun, errors: Sequence[tuple[str, str]], reason: str) -> str:
    """What is said of a failed run: the job, the days, the steps that failed with the first line of their errors.

    Args:
        run: the run.
        errors: the failed steps and their errors.
        reason: why the run failed, where no step did: for example that its process was killed.
    """
    tags = run.tags
    days = tags.get("dagster/partition") or "…".join(
        tags[name]
        for name in ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
        if name in tags
    )
    lines = [f"Atelier: {run.job_name}{' of ' + days if days else ''} has failed"]
    lines += [f"• {step}: {_first_line(error)}" for step, error in errors[:NAMED]]
    if len(errors) > NAMED:
        lines.append(f"• and {len(errors) - NAMED} more steps")
    if not errors:
        lines.append(f"• {_first_line(reason)}")
    ui = os.environ.get(UI_ADDRESS, "").rstrip("/")
    lines.append(f"{ui}/runs/{run.run_id}" if ui else f"run {run.run_id}")
    return "\n".join(lines)


def _said(error: "SerializableErrorInfo | None") -> str:
    """What a step's own error says, without the one in which Dagster wraps it."""
    if error is not None and error.cause is not None and error.cls_name == WRAPPED:
        error = error.cause
    return "" if error is None else error.message


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= LENGTH else line[: LENGTH - 1] + "…"


def post(address: str, text: str) -> None:
    """Send ``{"text": …}``, which chat programs' incoming webhooks take.

    A receiver that cannot be reached, is busy (429) or has an error of its own (5xx) is tried again.

    Raises:
        AlertNotSent: the address is none of HTTP, nobody answers, or the answer is an error, each time. The
            message does not hold the address beyond its host: the rest is a secret.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AlertNotSent(f"{ADDRESS} is not an address of HTTP; it begins with https://")
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})  # noqa: S310 - HTTP, as checked above
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
                answer.read()
            return
        except (OSError, HTTPException) as error:  # URLError, HTTPError and a timeout are kinds of OSError
            if attempt == ATTEMPTS - 1 or not _may_pass(error):
                raise AlertNotSent(f"the alert was not taken by {parts.hostname}: {error}") from error
        time.sleep(PAUSE * 2**attempt)


def _may_pass(error: Exception) -> bool:
    """Whether the same message may be taken if it is sent again."""
    return not isinstance(error, HTTPError) or error.code == HTTPStatus.TOO_MANY_REQUESTS or error.code >= 500
