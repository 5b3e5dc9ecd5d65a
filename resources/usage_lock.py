"""Who uses a home: steps beside each other, or one command that must be alone.

What belongs here: the lock that every step shares and that :mod:`resources.forgetting` holds alone. What does not:
locks of single tables and models (:func:`resources.storage.exclusive`), the queue of runs, which is Dagster's.

The operating system frees the lock when its holder dies.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from atelier.errors import AtelierError
from resources.retailer import Home
from resources.storage import LOCKS
from resources.store_owner import own_store

FILE = "home.db"


class HomeInUse(AtelierError):
    """Something writes into the home that must be left alone; the message says what to wait for."""


@contextmanager
def in_use(home: Home) -> Iterator[None]:
    """Write into a home beside others; waits while somebody has it :func:`alone`.

    Raises:
        StoreTaken: another home writes into the same object storage.
    """
    from filelock import ReadWriteLock

    with ReadWriteLock(_path(home), is_singleton=False).read_lock():
        own_store(home)
        yield


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Have a home alone: whoever wants to write into it waits until the block ends.

    Raises:
        HomeInUse: a step of a run, or another command, is at work.
        StoreTaken: another home writes into the same object storage.
    """
    from filelock import ReadWriteLock, Timeout

    try:
        with ReadWriteLock(_path(home), blocking=False, is_singleton=False).write_lock():
            own_store(home)
            yield
    except Timeout as error:
        raise HomeInUse(
            f"a run writes into {home.root}: wait until it has ended, or cancel it in Dagster's UI, and try again"
        ) from error


def _path(home: Home) -> str:
    folder = home.store / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / FILE)
