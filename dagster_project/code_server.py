"""A code server that is kept alive: the processes that hold the definitions and start runs.

What belongs here: starting, watching and ending it. What does not: what it serves
(:mod:`dagster_project.definitions`), the web server and the daemon (:mod:`dagster_project.ui`, ``docker-compose.yml``).

Dagster's code server is two processes. Neither ``dg dev`` nor a restarted container starts the inner one again, in
which the definitions are loaded: where that is killed, most often because the machine is out of memory, no run can be
launched until somebody reloads the code location.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import click
import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.serdes import deserialize_value

from atelier.errors import AtelierError
from resources.retailer import Home

HOST = "127.0.0.1"
BIN = Path(sys.executable).parent
#: How often the code server is asked whether it is there.
LOOK_SECONDS = 3.0
#: How long is waited at most before definitions that could not be loaded are tried again.
LONGEST_PAUSE_SECONDS = 300.0
#: How long it may take to load the definitions, and how long it lives without being asked.
LOAD_SECONDS, HEARTBEAT_SECONDS = 180, 120
#: How long a process may take to end when asked to, before it is killed: `dg dev` waits a minute for its own.
GRACE_SECONDS = 90


class CodeServer:
    """A code server of this code location; a context manager that ends it.

    Args:
        host: where it listens.
        port: where it listens; None for a free one.
    """

    def __init__(self, host: str = HOST, port: int | None = None) -> None:
        self.host, self.port = host, port or free_port()
        self._client = DagsterGrpcClient(port=self.port, host=HOST)
        self._process = self._start()
        self._ready = False
        self._pause, self._next_reload, self._told = LOOK_SECONDS, 0.0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        end(self._process)

    def is_ready(self) -> bool:
        """Whether the definitions are loaded: the inner process answers."""
        try:
            self._client.ping("")
        except DagsterUserCodeUnreachableError:
            return False
        self._ready = True
        return True

    def look(self) -> None:
        """Have it started again where it is gone, the outer process or the inner one; call this every few seconds."""
        if self._process.poll() is not None:
            click.echo(f"the code server ended with status {self._process.returncode} and is started again", err=True)
            self._process, self._ready = self._start(), False
            return
        try:
            self._client.heartbeat("")
        except DagsterUserCodeUnreachableError:
            return  # it is still starting
        was_ready = self._ready
        if self.is_ready():
            self._pause, self._told = LOOK_SECONDS, ""
        elif was_ready and time.monotonic() >= self._next_reload:
            self._reload()

    def _reload(self) -> None:
        """Have the inner process started again; where it cannot load, say why once, and wait longer each time."""
        if self._pause == LOOK_SECONDS:
            click.echo("the process with the definitions is gone and is started again", err=True)
        # Having started another one, Dagster asks the old process to end and fails, because it is gone: whether the
        # new one is there, the next look says.
        with suppress(DagsterUserCodeUnreachableError):
            self._client.reload_code(timeout=LOAD_SECONDS)
        reason = self._load_error()
        if reason and reason != self._told:
            click.echo(f"the definitions cannot be loaded, and are tried again: {reason}", err=True)
            self._told = reason
        self._next_reload = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def _load_error(self) -> str:
        """Why the definitions could not be loaded; empty where they could, or nobody answers."""
        try:
            answer = deserialize_value(self._client.list_repositories())
        except DagsterUserCodeUnreachableError:
            return ""
        if not isinstance(answer, SerializableErrorInfo):
            return ""
        return (answer.cause or answer).message.strip()

    def _start(self) -> "subprocess.Popen[bytes]":
        return started(
            [
                *("dagster", "code-server", "start", "--host", self.host, "--port", str(self.port)),
                *("--module-name", "dagster_project.definitions", "--location-name", "atelier"),
                *("--log-level", "warning", "--startup-timeout", str(LOAD_SECONDS)),
                *("--heartbeat", "--heartbeat-timeout", str(HEARTBEAT_SECONDS)),  # it ends when nobody looks any more
            ]
        )


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def started(command: list[str]) -> "subprocess.Popen[bytes]":
    """A program of this environment, in a session of its own, so that the terminal's interrupt reaches only us."""
    program, *arguments = command
    return subprocess.Popen([BIN / program, *arguments], stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the head of a session to end, and kill the session where it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def interrupt_on_signals() -> None:
    """Have this process interrupted when it is asked to end.

    Also where a script started it in the background, which ignores interrupts, as would all that is started here.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)


@click.command()
@click.option("--host", default=HOST, show_default=True, help="Where it listens; it believes whoever reaches it.")
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="Where it listens.")
def main(host: str, port: int) -> None:
    """Serve the code location until asked to end; where Dagster's storage cannot be had, say why and end at once."""
    interrupt_on_signals()
    try:
        Home.served_by_dagster()
        with dg.DagsterInstance.get():
            pass  # definitions that were loaded without it would count as broken until somebody reloads them
    except AtelierError as error:
        click.echo(f"code server: {error}", err=True)
        sys.exit(1)
    with suppress(KeyboardInterrupt), CodeServer(host, port) as code:
        while True:
            code.look()
            time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
