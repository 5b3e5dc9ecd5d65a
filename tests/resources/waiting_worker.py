"""Workers for tests: they encode photographs or run trials, and wait until the test has killed a node.

What belongs here: what a process of the cluster runs. What does not: the tests.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from atelier.images.blocks import BlockEncoder
from atelier.studies.tuning_trial import Judge, Outcome, Request, Tell

#: Seconds after which a test is over anyway.
PATIENCE = 300.0


def wait(folder: Path) -> None:
    """Say in a file of the folder on which node this process is, and wait for the file ``go``.

    Raises:
        TimeoutError: the file did not appear.
    """
    import ray

    (folder / f"at work on {ray.util.get_node_ip_address()} {os.getpid()}").touch()
    until = time.monotonic() + PATIENCE
    while not (folder / "go").exists():
        if time.monotonic() > until:
            raise TimeoutError("the test did not let the worker go on")
        time.sleep(0.1)


class WaitingEncoder:
    """A :class:`BlockEncoder` that says on which node it is at work, and begins when the file ``go`` appears.

    Args:
        folder: holds ``go``, and a file for each node on which a block was begun.
        given: the arguments of the encoder.
    """

    def __init__(self, folder: Path, given: dict[str, Any]) -> None:
        self._folder, self._encoder = folder, BlockEncoder(**given)

    def __call__(self, block: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        """The vectors of the block.

        Raises:
            TimeoutError: the file did not appear.
        """
        wait(self._folder)
        return self._encoder(block)


@dataclass(frozen=True)
class WaitingJudge(Judge):
    """A :class:`Judge` that waits likewise before each trial.

    Attributes:
        folder: as of :class:`WaitingEncoder`.
    """

    folder: Path = Path()

    def __call__(self, request: Request, tell: Tell | None = None) -> Outcome:
        """Run the trial.

        Raises:
            TimeoutError: the file did not appear.
        """
        wait(self.folder)
        return super().__call__(request, tell)


class Broken:
    """A worker that cannot do its block."""

    def __call__(self, block: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        """Raise what is wrong with it."""
        raise ValueError(f"{block.num_rows} rows are too many")


class Deadly:
    """A worker whose process is killed by each block with a zero in it.

    Args:
        folder: gets a file for each process that was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, block: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        """The block itself."""
        if 0 in block.column(0).to_pylist():
            (self._folder / f"killed {os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [block]
