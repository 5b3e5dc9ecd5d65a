"""Progress of long work, in the same form everywhere.

What belongs here: the one wrapper around tqdm. What does not: any other reporting of results.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it") -> Iterator[Item]:
    """Yield ``items`` unchanged while a bar on stderr shows how far they are.

    On a terminal the bar moves ten times a second; elsewhere (a log, a Dagster step) it writes a line every ten
    seconds at most, so that logs stay readable.

    Args:
        items: what is worked on.
        description: what the bar says, for example ``"embedding images"``.
        total: how many items there are, where ``len(items)`` cannot tell.
        unit: what one item is called.

    Yields:
        Each item of ``items``, in order.
    """
    from tqdm import tqdm

    interval = 0.1 if sys.stderr.isatty() else 10.0
    yield from tqdm(items, desc=description, total=total, unit=unit, mininterval=interval, dynamic_ncols=True)
