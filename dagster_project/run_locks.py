"""The sign that somebody is at work on a run: a lock that its process holds, and that the system frees when it dies.

What belongs here: taking the lock, and asking whether it is held. What does not: what follows when it is not
(:mod:`dagster_project.run_launcher`), the lock of a home (:mod:`resources.usage_lock`).

The locks are files beside what Dagster keeps on disk (``local_artifact_storage``). The number of a process would say
less: another container counts its processes anew, and a number is given to another process after a while.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from filelock import BaseFileLock

FOLDER = "at_work"
#: Files of runs that began so many seconds ago are removed: no run takes a week.
KEPT = 7 * 24 * 3600

#: Kept for as long as this process lives: a lock that nobody refers to would be freed.
_held: list["BaseFileLock"] = []


def hold(instance: dg.DagsterInstance, run_id: str) -> None:
    """Hold the lock of a run until this process ends: its last event is written after its last step.

    Args:
        instance: Dagster's storage.
        run_id: the run, whose own process this is.
    """
    lock = _lock(instance, run_id)
    _sweep(Path(lock.lock_file).parent)
    lock.acquire()  # the daemon may be asking just now
    _held.append(lock)


@contextmanager
def held(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """As :func:`hold`, until the end of the block, for a process that lives longer than the run."""
    with _lock(instance, run_id):
        yield


def process_is_gone(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run's process has held the lock and does not any more; False where it was never taken.

    Args:
        instance: Dagster's storage.
        run_id: the run.
    """
    from filelock import Timeout

    lock = _lock(instance, run_id)
    if not Path(lock.lock_file).exists():
        return False
    try:
        with lock.acquire(blocking=False):
            return True
    except Timeout:
        return False


def _lock(instance: dg.DagsterInstance, run_id: str) -> "BaseFileLock":
    from filelock import FileLock

    folder = Path(instance.storage_directory()) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{run_id}.lock")


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.lock"):
        if path.stat().st_mtime < time.time() - KEPT:
            path.unlink(missing_ok=True)
