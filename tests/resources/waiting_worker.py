"""A worker for tests: it encodes photographs, and can be made to wait until the test has killed a node.

What belongs here: what a process of the cluster runs. What does not: the tests.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from atelier.images.blocks import BlockEncoder

#: Seconds after which a test is over anyway.
PATIENCE = 300.0


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
        import ray

        (self._folder / f"at work on {ray.util.get_node_ip_address()} {os.getpid()}").touch()
        until = time.monotonic() + PATIENCE
        while not (self._folder / "go").exists():
            if time.monotonic() > until:
                raise TimeoutError("the test did not let the worker go on")
            time.sleep(0.1)
        return self._encoder(block)


class Broken:
    """A worker that cannot do its block."""

    def __call__(self, block: pa.RecordBatch) -> Iterable[pa.RecordBatch]:
        """Raise what is wrong with it."""
        raise ValueError(f"{block.num_rows} rows are too many")
