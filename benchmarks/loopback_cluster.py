"""A Ray cluster of several nodes on loopback, for the tests and benchmarks that need a real one.

What belongs here: starting its head and further nodes as processes, killing one, ending all. What does not: what is
computed on it.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RAY = str(Path(sys.executable).parent / "ray")
#: Bytes of shared memory of each node; by default a node takes a third of the machine.
OBJECTS = 200 * 2**20
PATIENCE = 120.0
STARTED = "Ray runtime started"
#: What the ports of every node ask for: they listen on more than loopback.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex()}
os.environ.update(TOKEN)  # for good, before Ray is imported, which reads them once, and before processes are forked


@dataclass
class LoopbackCluster:
    """A head and further nodes, each with its own processes.

    Attributes:
        address: host and port of the head.
        folder: where Ray keeps its sockets and logs; a short name, because sockets' names may be no longer.
        nodes: the process of each node that was started, the head first; the others are its children.
    """

    address: str
    folder: Path
    nodes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, processors: int = 1) -> "subprocess.Popen[bytes]":
        """Start a further node, the head if there is none, and wait until the cluster counts it.

        Args:
            processors: how many it says it has.

        Raises:
            TimeoutError: it did not come up.
        """
        port, ordinal = self.address.rpartition(":")[2], len(self.nodes)
        head = ["--head", f"--port={port}", f"--temp-dir={self.folder}", f"--ray-client-server-port={free_port()}"]
        head += ["--include-dashboard=false", "--disable-usage-stats"]
        command = [RAY, "start", "--block", f"--node-ip-address=127.0.0.{ordinal + 2}", f"--num-cpus={processors}"]
        command += [f"--object-store-memory={OBJECTS}", *([f"--address={self.address}"] if ordinal else head)]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "RAY_USAGE_STATS_ENABLED": "0"}
        said = self.folder / f"node{ordinal}.txt"
        with said.open("wb") as log:
            node = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.nodes.append(node)
        until = time.monotonic() + PATIENCE
        while STARTED not in said.read_text(errors="replace"):
            if time.monotonic() > until or node.poll() is not None:
                raise TimeoutError(f"node {ordinal} of the cluster did not come up: {said.read_text(errors='replace')}")
            time.sleep(0.2)
        return node

    def kill(self, node: "subprocess.Popen[bytes]") -> None:
        """Kill a node with all its processes, as if its machine had lost its power."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def end(self) -> None:
        """Kill every node, and remove the cluster's files."""
        for node in reversed(self.nodes):
            self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def loopback_cluster(nodes: int = 2, processors: int = 1) -> Iterator[LoopbackCluster]:
    """A cluster for the time of the block.

    Args:
        nodes: how many, the head counted.
        processors: how many each says it has.
    """
    cluster = LoopbackCluster(f"127.0.0.2:{free_port()}", Path(tempfile.mkdtemp(prefix="ray", dir="/tmp")))
    try:
        for _ in range(nodes):
            cluster.start(processors)
        yield cluster
    finally:
        cluster.end()


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        port: int = free.getsockname()[1]
    return port
