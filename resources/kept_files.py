"""Pages and results of studies on object storage.

What belongs here: which folders of a home have a copy in a store on object storage, and when the two are made equal.
What does not: the copying (:mod:`resources.object_storage`), what the files mean.

Libraries write these files by path: pages link to each other, a tuning study is a database of SQLite. They are made in
the home and copied when the work is done, so that a home on another machine goes on where this one ended. A local store
has no such copy, because its files lie in the home too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.retailer import Home

#: The folders of a home that have a copy, under the same names.
KEPT = ("reports", "studies")


@contextmanager
def kept_files(home: "Home") -> Iterator[None]:
    """Bring back what the home's folders lack of their copies, and copy what changed when the block ends.

    It is copied after an error too: a study that fails goes on from its results.

    Args:
        home: whose folders they are.
    """
    restore_files(home)
    try:
        yield
    finally:
        for name in KEPT:
            home.storage.keep_folder(home.root / name, name)


def restore_files(home: "Home") -> None:
    """Bring back what the home's folders lack of their copies."""
    for name in KEPT:
        home.storage.restore_folder(home.root / name, name)
