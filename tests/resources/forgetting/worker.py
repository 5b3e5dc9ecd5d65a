"""Forgetting in processes that are killed, for test_forgetting. Run as a script, never imported.

For each home a forked process forgets and is killed, on the n-th home at a later step than on the one before;
another process ends the work. Prints a line for each home: killed or finished.
"""

import os
import sys
from functools import partial
from pathlib import Path

# loaded before forking, so that each child starts at once; none of it starts a thread
import dagster as dg
import torch  # noqa: F401

import resources.publishing  # noqa: F401
from atelier import recommenders
from atelier.recommenders.factorisation.als import ALS  # noqa: F401
from resources.forgetting.forgetting import forget
from resources.retailer import Home
from tests.resources.forgetting.small_home import GONE
from tests.resources.store_worker import die_at, in_child

assert recommenders.MODELS


#: A file is about to be replaced or removed.
STEPS = ((Path, "replace"), (Path, "unlink"))


def work(root: str, instance: dg.DagsterInstance, step: int | None) -> None:
    """Forget; where a step is given, die at it."""
    if step is not None:
        die_at(step, STEPS)
    forget(Home(Path(root)), instance, GONE)


def main(first: int, every: int, roots: list[str]) -> None:
    """Kill at steps ``first``, ``first + every``, …, one for each home, and end the work of each."""
    with dg.DagsterInstance.ephemeral() as instance:
        for place, root in enumerate(roots):
            status = in_child(partial(work, root, instance, first + every * place))
            print("killed" if os.WIFSIGNALED(status) else "finished", flush=True)
            if in_child(partial(work, root, instance, None)):
                raise SystemExit(f"{root}: the second run failed")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
