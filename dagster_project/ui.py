"""Dagster on this machine, as ``make ui`` runs it: web server and daemon, with a code server that is kept alive.

What belongs here: starting, watching and ending these processes. What does not: the code server
(:mod:`dagster_project.code_server`), the definitions that it serves (:mod:`dagster_project.definitions`), a deployment
in containers (``docker-compose.yml``).
"""

import os
import socket
import sys
import tempfile
import time
from pathlib import Path

import click
import dagster as dg

from atelier.errors import AtelierError
from dagster_project.code_server import HOST, LOOK_SECONDS, CodeServer, end, interrupt_on_signals, started
from dagster_project.daemon import daemon_at_work
from resources.retailer import Home

WORKSPACE = """load_from:
  - grpc_server: {{host: {host}, port: {port}, location_name: atelier}}
"""


class PortInUse(AtelierError):
    """Something listens already where the web server should; the message names the port and how to choose another."""


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
        dev = started(["dg", "dev", "--workspace", str(workspace), "--host", HOST, "--port", str(port)])
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


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of the web server.")
def main(port: int) -> None:
    """Dagster's web server and daemon on loopback."""
    interrupt_on_signals()
    try:
        Home.served_by_dagster()
        sys.exit(serve(port))
    except AtelierError as error:
        click.echo(f"make ui: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
