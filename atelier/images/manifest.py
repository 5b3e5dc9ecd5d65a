"""Which photographs there are, and which of them can be used.

What belongs here: the walk over a source's listing of images, digests and sizes. What does not: pixels for a model.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from atelier.errors import SourceError
from atelier.images.decode import ImageRejected, inspect, locate, read
from atelier.progress import progress

LISTING = ["article_id", "shot", "path"]
KNOWN = ["path", "size_bytes", "modified_ns", "digest", "width", "height"]
KNOWN_TYPES = {"path": "str", "size_bytes": "int64", "modified_ns": "int64", "digest": "str"} | dict.fromkeys(
    ("width", "height"), "int32"
)


@dataclass(frozen=True)
class ImageManifest:
    """The photographs of a listing, sorted into usable and not. Every row of the listing is in one of the two.

    Attributes:
        accepted: article_id, shot, path, digest (SHA-256 of the file, hexadecimal), width, height (pixels, upright).
        rejected: path, article_id, shot, reason.
        known: path, size_bytes, modified_ns, digest, width, height of every usable file: hand it to the next call.
        files_read: how many files had to be opened because they are new, changed or unusable.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    known: pd.DataFrame
    files_read: int


@dataclass(frozen=True)
class _File:
    """What one file turned out to be; ``reason`` is set where it cannot be used."""

    path: str
    size_bytes: int = 0
    modified_ns: int = 0
    digest: str = ""
    width: int = 0
    height: int = 0
    was_read: bool = False
    reason: str = ""


def build_manifest(
    listing: pd.DataFrame, root: str | Path, known: pd.DataFrame | None = None, threads: int = 2
) -> ImageManifest:
    """Look at every photograph of ``listing`` and tell the usable from the unusable.

    A file is read, digested and decoded to its end once: where its size and its time of modification are those in
    ``known``, what is known is used. The outcome does not depend on ``known`` as long as files that change also change
    one of the two.

    Args:
        listing: article_id, shot (from 0), path (relative to ``root``); one row per photograph. The same file may
            stand under several articles.
        root: the source's folder of images. What lies outside is rejected.
        known: ``ImageManifest.known`` of an earlier call.
        threads: files looked at at the same time.

    Returns:
        The manifest; rows keep the order of ``listing``.

    Raises:
        SourceError: the folder or a column of the listing is missing.
    """
    folder = Path(root)
    missing = [column for column in LISTING if column not in listing.columns]
    if missing:
        raise SourceError(f"the listing of images has no column {', '.join(missing)}; it needs {', '.join(LISTING)}")
    if not folder.is_dir():
        raise SourceError(f"the folder of images {folder} does not exist; check the source's path in atelier.toml")
    looked = pd.DataFrame(
        list(_look_at_all(listing["path"].drop_duplicates(), folder.resolve(), known, threads)),
        columns=list(_File.__dataclass_fields__),
    )
    rows = listing[LISTING].merge(looked, on="path", how="left", validate="many_to_one")
    rows["shot"] = rows["shot"].astype("int32")
    twice = rows.duplicated(["article_id", "shot"]) & (rows["reason"] == "")
    rows.loc[twice, "reason"] = "the article already has a photograph with this shot number"
    good, bad = rows[rows["reason"] == ""], rows[rows["reason"] != ""]
    sound = looked.loc[looked["reason"] == "", KNOWN].sort_values("path", ignore_index=True)
    return ImageManifest(
        accepted=good[[*LISTING, "digest", "width", "height"]]
        .astype({"width": "int32", "height": "int32"})
        .reset_index(drop=True),
        rejected=bad[["path", "article_id", "shot", "reason"]].reset_index(drop=True),
        known=sound.astype(KNOWN_TYPES),
        files_read=int(looked["was_read"].sum()),
    )


def _look_at_all(paths: "pd.Series[str]", root: Path, known: pd.DataFrame | None, threads: int) -> Iterator[_File]:
    """What each distinct file is, in order, while a bar shows how far it is."""
    remembered = {} if known is None else {row[0]: _File(*row) for row in known[KNOWN].itertuples(index=False)}

    def look(path: str) -> _File:
        return _look_at(path, root, remembered.get(path))

    with ThreadPoolExecutor(threads) as pool:
        yield from progress(pool.map(look, paths.tolist()), "checking images", total=len(paths), unit="image")


def _look_at(path: str, root: Path, remembered: _File | None) -> _File:
    """What the file is: from memory where it is unchanged, else from reading and decoding it."""
    try:
        status = locate(path, root).stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if remembered is not None and stamp == (remembered.size_bytes, remembered.modified_ns):
            return remembered
        data = read(path, root)
        width, height = inspect(data, path)
    except ImageRejected as rejected:
        return _File(path, was_read=True, reason=rejected.reason)
    return _File(path, *stamp, hashlib.sha256(data).hexdigest(), width, height, was_read=True)
