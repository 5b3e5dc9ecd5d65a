"""Dagster on this machine, as ``make ui`` runs it: web server and daemon, with a code server that is kept alive.

What belongs here: starting, watching and ending these processes. What does not: the definitions that they serve
(:mod:`dagster_project.definitions`), a deployment on several machines (``docker-compose.yml``).

``dg dev`` alone starts the outer process of a code server again, but not the inner one, in which the definitions are
loaded: where that is killed, most often because the machine is out of memory, no run can be launched until somebody
reloads the code location.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
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
from dagster_project.daemon import daemon_at_work
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
WORKSPACE = """load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: atelier}}
"""


class PortInUse(AtelierError):
    """Something listens already where the web server should; the message names the port and how to choose another."""


class CodeServer:
    """A code server of this code location on a free port; a context manager that ends it.

    Attributes:
        port: where it listens, on loopback.
    """

    def __init__(self) -> None:
        self.port = free_port()
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
        return _started(
            [
                *("dagster", "code-server", "start", "--host", HOST, "--port", str(self.port)),
                *("--module-name", "dagster_project.definitions", "--location-name", "atelier"),
                *("--log-level", "warning", "--startup-timeout", str(LOAD_SECONDS)),
                *("--heartbeat", "--heartbeat-timeout", str(HEARTBEAT_SECONDS)),  # it ends when nobody looks any more
            ]
        )


def serve(port: int) -> int:
    """Run web server, daemon and code server until the first two end, as they do on an interrupt.

    Args:
        port: where the web server listens, on loopback.

    Returns:
        The exit status of ``dg dev``, which runs the web server and the daemon.

    Raises:
        PortInUse: something listens there already. Nothing was started: a daemon without its web server would work on
            the home beside the daemon of whoever has the port.
    """
    check_port(port, Path(os.environ["DAGSTER_HOME"]))
    with tempfile.TemporaryDirectory() as folder, CodeServer() as code:
        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text(WORKSPACE.format(host=HOST, port=code.port), encoding="utf-8")
        dev = _started(["dg", "dev", "--workspace", str(workspace), "--host", HOST, "--port", str(port)])
        try:
            while dev.poll() is None:
                code.look()
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            click.echo("ending Dagster", err=True)
        finally:
            end(dev)
    return dev.returncode


def check_port(port: int, dagster: Path) -> None:
    """Make sure that the web server can listen on a port of loopback.

    Args:
        port: the port.
        dagster: Dagster's folder, whose daemon may be what listens there.

    Raises:
        PortInUse: it cannot.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
        try:
            probe.bind((HOST, port))
        except OSError as error:
            said = f"{HOST}:{port} cannot be listened on ({error.strerror})"
            if served_already(dagster):
                raise PortInUse(
                    f"{said}, and Dagster runs on {dagster} already: end it before you start another, on whatever port"
                ) from error
            raise PortInUse(f"{said}: end what listens there, or choose another port: make ui PORT=3001") from error


def served_already(dagster: Path) -> bool:
    """Whether a daemon is at work on the Dagster in a folder; where it has not run yet, nothing is written."""
    if not any(path.name != "dagster.yaml" for path in dagster.iterdir()):
        return False
    with dg.DagsterInstance.from_config(str(dagster)) as instance:
        return daemon_at_work(instance)


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
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


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the web server.")
def main(port: int) -> None:
    """Dagster's web server and daemon on loopback."""
    # Also where a script started this in the background, which ignores interrupts, as would all that is started here.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    try:
        Home.served_by_dagster()
        sys.exit(serve(port))
    except AtelierError as error:
        click.echo(f"make ui: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
