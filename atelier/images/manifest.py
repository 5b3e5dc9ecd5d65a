"""The manifest of photographs: which ones a source lists, and which of them can be used.

What belongs here: checking the files of a source's listing, their digests and sizes. What does not: pixels for a model.
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
    """The usable and the unusable photographs of a listing. Every row of the listing is in one of the two.

    Attributes:
        accepted: article_id, shot, path, digest (SHA-256 of the file, hexadecimal), width, height (pixels, upright).
        rejected: path, article_id, shot, reason.
        known: path, size_bytes, modified_ns, digest, width, height of every usable file; pass it to the next call.
        files_read: how many files had to be opened because they are new, changed or unusable.
    """

    accepted: pd.DataFrame
    rejected: pd.DataFrame
    known: pd.DataFrame
    files_read: int


@dataclass(frozen=True)
class _File:
    """What was found out about one file; ``reason`` is set where it cannot be used."""

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
    """Check every photograph of ``listing``, and separate the usable from the unusable ones.

    A file is read, digested and decoded to its end, unless its size and time of modification are those in ``known``,
    whose row is then used. The result does not depend on ``known`` as long as a file that changes also changes one of
    the two.

    Args:
        listing: article_id, shot (from 0), path (relative to ``root``); one row per photograph. The same file may
            belong to several articles.
        root: the source's folder of images. A file outside it is rejected.
        known: ``ImageManifest.known`` of an earlier call.
        threads: files checked at the same time.

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
    checked = pd.DataFrame(
        list(_check_all(listing["path"].drop_duplicates(), folder.resolve(), known, threads)),
        columns=list(_File.__dataclass_fields__),
    )
    rows = listing[LISTING].merge(checked, on="path", how="left", validate="many_to_one")
    rows["shot"] = rows["shot"].astype("int32")
    twice = rows.duplicated(["article_id", "shot"]) & (rows["reason"] == "")
    rows.loc[twice, "reason"] = "the article already has a photograph with this shot number"
    good, bad = rows[rows["reason"] == ""], rows[rows["reason"] != ""]
    sound = checked.loc[checked["reason"] == "", KNOWN].sort_values("path", ignore_index=True)
    return ImageManifest(
        accepted=good[[*LISTING, "digest", "width", "height"]]
        .astype({"width": "int32", "height": "int32"})
        .reset_index(drop=True),
        rejected=bad[["path", "article_id", "shot", "reason"]].reset_index(drop=True),
        known=sound.astype(KNOWN_TYPES),
        files_read=int(checked["was_read"].sum()),
    )


def _check_all(paths: "pd.Series[str]", root: Path, known: pd.DataFrame | None, threads: int) -> Iterator[_File]:
    """Check each distinct file, in order, with a progress bar."""
    remembered = {} if known is None else {row[0]: _File(*row) for row in known[KNOWN].itertuples(index=False)}

    def check(path: str) -> _File:
        return _check(path, root, remembered.get(path))

    with ThreadPoolExecutor(threads) as pool:
        yield from progress(pool.map(check, paths.tolist()), "checking images", total=len(paths), unit="image")


def _check(path: str, root: Path, remembered: _File | None) -> _File:
    """The earlier result where the file is unchanged, else the result of reading and decoding it."""
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
