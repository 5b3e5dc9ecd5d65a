"""Customers in all other files of a home: pages, records, logs, results of studies, databases of SQLite.

What belongs here: going through the files, and what is done with one that names a customer. What does not: the tables
and models of the store (:mod:`resources.forgetting.partitions`, :mod:`resources.forgetting.bundles`), the retailer's
own files, which Atelier only reads.

Of a page the sections that name a customer are taken out, with what they show of them; in every other text a word
stands in the place of the identifier.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from resources.forgetting.databases import forget_in_sqlite, is_sqlite
from resources.forgetting.mentions import Mentions
from resources.object_storage import COPIES
from resources.promotions import FOLDER as PROMOTIONS
from resources.retailer import Home
from resources.storage import LOCKS, STAGING, Storage, replace_file, scratch_name
from resources.suppression import KEY, LIST
from resources.tables import REGISTRY

SECTION = re.compile(r'(<section id="[^"]*"[^>]*>\s*<h2[^>]*>.*?</h2>)(.*?)(</section>)', re.DOTALL)
OF_DAY = re.compile(r"ds=(\d{4}-\d{2}-\d{2})")
NOTE = """
<p class="note none">Taken out, because it named a customer who was forgotten on request. Run <code>{again}</code>.</p>
"""
#: What holds columns or numbers alone, and no text; such a file cannot name anybody. Copies are removed as a whole.
WITHOUT_NAMES = {"embedding_cache", "image_memory.parquet", "figure_memory.parquet", LOCKS, STAGING, COPIES}


@dataclass(frozen=True)
class Cleaned:
    """A file that named customers.

    Attributes:
        path: the file.
        done: what was done about it, for people; None: it is no text, and nothing was.
    """

    path: Path
    done: str | None


def forget_in_files(home: Home, folders: list[Path], mentions: Mentions) -> Iterator[Cleaned]:
    """Take customers out of the files of folders, and yield each that named one.

    Args:
        home: whose files they are.
        folders: the home, and Dagster's folder where that lies elsewhere.
        mentions: the customers.
    """
    for path in sorted({file for folder in folders for file in _files(home, folder)}):
        done = _clean(home, path, mentions)
        if done is not None:
            yield Cleaned(path, done or None)


def forget_in_objects(storage: Storage, mentions: Mentions) -> Iterator[str]:
    """Take customers out of the texts that a store on object storage holds beside its tables and models.

    Yields the name of each that named one. In a local store they are files of the home, as all others.
    """
    if storage.is_local:
        return
    for name, text in storage.read_texts(storage.glob(f"{PROMOTIONS}/*.json")).items():
        if mentions.within(text):
            storage.put_text(mentions.redacted(text), name)
            yield name


def _files(home: Home, folder: Path) -> Iterator[Path]:
    """The files of a folder that may hold texts, without those that other modules are for; links are not followed."""
    elsewhere = {home.store / name for name in (*REGISTRY, "models", *WITHOUT_NAMES)}
    elsewhere |= {(home.root / home.settings.path).resolve(), home.toml, home.root / LIST, home.root / KEY}
    for path in folder.iterdir():
        if path.is_symlink() or path in elsewhere or path.name.startswith(f"{home.database.name}"):
            continue
        if path.is_dir():
            yield from _files(home, path)
        elif path.is_file():
            yield path


def _clean(home: Home, path: Path, mentions: Mentions) -> str | None:
    """What was done about a file; None where it names nobody, and empty where nothing could be done."""
    if path.name.endswith(("-wal", "-shm", "-journal")) and path.with_name(path.name.rpartition("-")[0]).exists():
        return None  # a log of SQLite's, which is cleaned with its database
    if is_sqlite(path):
        rows = forget_in_sqlite(path, mentions)
        return f"{rows} rows redacted" if rows else None
    content = path.read_bytes()
    if not mentions.within(content.decode("utf-8", errors="replace")):
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    if path.suffix == ".html":
        new, done = _page_without(path, text, mentions)
    else:
        new, done = mentions.redacted(text), "redacted"
    temporary = scratch_name(home.store)
    temporary.write_text(new, encoding="utf-8", newline="")
    replace_file(temporary, path)
    return done


def _page_without(path: Path, page: str, mentions: Mentions) -> tuple[str, str]:
    """A page without the sections that name customers, and what was done."""
    found = OF_DAY.search(path.as_posix())
    again = f"dg launch --assets report --partition {found.group(1)}" if found else "the command that wrote it"
    note = NOTE.format(again=again)
    taken = 0

    def without(section: re.Match[str]) -> str:
        nonlocal taken
        if not mentions.within(section.group(2)):
            return section.group(0)
        taken += 1
        return section.group(1) + note + section.group(3)

    page = mentions.redacted(SECTION.sub(without, page))
    return page, f"{taken} sections taken out; make it again with: {again}" if taken else "redacted"
