"""Progress of long work, in the same form everywhere.

What belongs here: the one wrapper around tqdm, and the name of the work that it is part of. What does not: any other
reporting of results.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")

#: Seconds between two lines of a log.
LOGGED_EVERY = 10.0
#: What the work is part of, a step for example.
_NAME: ContextVar[str] = ContextVar("name of the work", default="")


def progress(items: Iterable[Item], description: str, *, total: int | None = None, unit: str = "it") -> Iterator[Item]:
    """Yield ``items`` unchanged while stderr shows how far they are.

    On a terminal a bar moves ten times a second. Elsewhere (a log, a Dagster step) there is a line every ten seconds,
    which begins with the name of the work (:func:`named`), so that the lines of two steps can be told apart. Work of
    less than ten seconds leaves no line there.

    Args:
        items: what is worked on.
        description: what the bar says, for example ``"embedding images"``.
        total: how many items there are, where ``len(items)`` cannot tell.
        unit: what one item is called.

    Yields:
        Each item of ``items``, in order.
    """
    from tqdm import tqdm

    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, total=total, unit=unit, dynamic_ncols=True)
        return
    yield from tqdm(
        items,
        desc=description,
        total=total,
        unit=unit,
        file=_Lines(_NAME.get()),
        mininterval=LOGGED_EVERY,
        delay=LOGGED_EVERY,
        position=0,  # a bar within another one is a line like any other
        ncols=0,  # figures only
    )


@contextmanager
def named(name: str) -> Iterator[None]:
    """Call the work of this block ``name``; at its end, where stderr is no terminal, a line says how long it took."""
    token, started = _NAME.set(name), time.perf_counter()
    try:
        yield
        if not sys.stderr.isatty():
            _Lines(name).write(f"done in {time.perf_counter() - started:.1f} s")
    finally:
        _NAME.reset(token)


class _Lines:
    """A stream for tqdm that makes a line of its own of each state of a bar, with the name of the work in front."""

    def __init__(self, name: str) -> None:
        self._prefix = f"{name}: " if name else ""

    def write(self, text: str) -> None:
        """Write what is to be seen of ``text`` as one line; tqdm begins with a return instead of ending with a line."""
        shown = text.strip()
        if shown:
            sys.stderr.write(f"{self._prefix}{shown}\n")

    def flush(self) -> None:
        """Have everything written."""
        sys.stderr.flush()
