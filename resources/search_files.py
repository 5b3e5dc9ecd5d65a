"""The searches that a home keeps: files made by the first search of a day, and read by all further ones.

What belongs here: where they lie, what they are named by, how many are kept. What does not: what is in them
(:mod:`atelier.attributes.saved_search`).
"""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.code_version import code_version
from atelier.errors import BundleError
from resources.storage import exclusive, staging_folder

if TYPE_CHECKING:
    from atelier.attributes.catalogue_search import CatalogueSearch

FOLDER = "search"
KEPT = 4
"""Those used last are kept, with and without sold-out articles for example; one of 105,542 articles takes 41 MB."""


def kept_search(
    root: Path, made_from: Mapping[str, Any], build: "Callable[[], CatalogueSearch]", tell: Callable[[str], None]
) -> "CatalogueSearch":
    """The search made from the same data by the same code; where there is none, or a damaged one, it is made and kept.

    Args:
        root: the home. Where it cannot be written to, the search is made anew each time.
        made_from: what identifies the data and the choices, as JSON can hold it.
        build: makes the search.
        tell: is given a sentence that names what is damaged, where kept files cannot be read.
    """
    from atelier.attributes.saved_search import SEARCH, load_search, save_search
    from atelier.studies.results_cache import digest

    if not os.access(root, os.W_OK):
        return build()
    code = {"code": code_version("atelier.attributes.saved_search"), "bm25s": version("bm25s")}
    searches = root / FOLDER
    folder = searches / digest({**made_from, **code})
    with exclusive(searches, FOLDER):
        if folder.is_dir():
            try:
                search = load_search(folder)
            except BundleError as error:
                tell(str(error))
                shutil.rmtree(folder)
            else:
                os.utime(folder / SEARCH)
                return search
        search = build()
        with staging_folder(searches) as staged:
            save_search(search, staged)
            staged.rename(folder)
        _forget(searches, SEARCH)
    return search


def _forget(searches: Path, file: str) -> None:
    """Remove all searches but those used last."""
    found = sorted(searches.glob(f"*/{file}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        shutil.rmtree(path.parent)
