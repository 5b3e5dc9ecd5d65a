"""What is made beside the pages, in a thread of its own: the sorted file of histories, and the index of words.

What belongs here: deciding when each is due, making it, saying what went wrong. What does not: how they are made
(:mod:`resources.histories`, :func:`dagster_project.commands.find.open_search`).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from atelier.errors import AtelierError
from resources.histories import make_histories

if TYPE_CHECKING:
    from datetime import date

    from atelier.attributes.catalogue_search import CatalogueSearch
    from resources.published import PublishedDatabase
    from resources.retailer import Home

LOOK_SECONDS = 10.0
"""How often is looked whether a new database was published."""


@dataclass(frozen=True)
class Words:
    """The index of words of one published database.

    Attributes:
        version: of the database.
        search: None: there is no article yet.
    """

    version: str
    search: "CatalogueSearch | None"


class Upkeep:
    """Keeps the sorted file and the index of words as new as the published database.

    Args:
        home: whose they are.
        database: is read, and opens a new sorted file by itself.
        tell: is given a sentence where something was made, or could not be.
    """

    def __init__(self, home: "Home", database: "PublishedDatabase", tell: Callable[[str], None]) -> None:
        self._home, self._database, self._tell = home, database, tell
        self._words: Words | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    @property
    def search(self) -> "CatalogueSearch | None":
        """The index of words; None while it is being made, and where there are no articles."""
        return None if self._words is None else self._words.search

    def start(self) -> None:
        """Look at once, and then again and again."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is being made is given up with the process."""
        self._stop.set()

    def look(self) -> None:
        """Make what is due. What cannot be made is said, and tried again with the next look."""
        for make in (self._make_histories, self._make_words):
            try:
                make()
            except (AtelierError, duckdb.Error, OSError) as error:
                self._tell(f"{type(error).__name__}: {error}")

    def _run(self) -> None:
        import matplotlib.figure  # noqa: F401 - takes seconds, which the first page with a plot need not wait for

        while not self._stop.is_set():
            self.look()
            self._stop.wait(LOOK_SECONDS)

    def _make_histories(self) -> None:
        with self._database.reading() as reader:
            due = reader.coverage.is_due or (bool(reader.coverage.missing) and not self._database.histories.exists())
        if due:
            allowed = self._home.settings.compute
            path = self._database.histories
            rows = make_histories(
                self._database.database,
                path,
                threads=allowed.threads,
                memory_limit=allowed.memory_limit,
                storage=self._home.storage,
            )
            self._tell(f"{path}: {rows:,} interactions sorted by customer, {path.stat().st_size / 2**20:,.1f} MiB")

    def _make_words(self) -> None:
        from dagster_project.commands.find import open_search

        with self._database.reading() as reader:
            version = reader.data_version("articles", "predicted_attributes")
            newest: date | None = reader.newest("articles")
        if self._words is not None and self._words.version == version:
            return
        search = None if newest is None else open_search(self._home, newest, every=True)[1]
        self._words = Words(version, search)
