"""Whether a file still is what it was when it was written.

What belongs here: comparing a file's size and SHA-256 with those that a pointer, a manifest or the file's own name
records. What does not: what a damaged file means and how it is mended, which the readers of the files know.

The size is compared at every look, because that costs nothing. The bytes are read once per process and file: a file
that was found sound is trusted until its size or its time of modification changes.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from resources.staging import digest_of


class Recorded(NamedTuple):
    """What was recorded of a file when it was written.

    Attributes:
        digest: SHA-256 of its bytes, as 64 hexadecimal digits; None: the bytes are not compared.
        size: its bytes; None where they were not recorded.
    """

    digest: str | None
    size: int | None = None


#: Files that were found sound: size, time of modification and digest at that moment.
_SOUND: dict[Path, tuple[int, int, str]] = {}


def fault(path: Path, recorded: Recorded) -> str | None:
    """What is wrong with a file, as the rest of a sentence that begins with its name; None where it is sound.

    Args:
        path: the file.
        recorded: what was recorded of it.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    if recorded.size is not None and found.st_size != recorded.size:
        return f"is damaged: it has {found.st_size:,} bytes and not {recorded.size:,}"
    if recorded.digest is None:
        return None
    sound = (found.st_size, found.st_mtime_ns, recorded.digest)
    if _SOUND.get(path) == sound:
        return None
    if not path.is_file() or digest_of(path) != recorded.digest:
        return "is damaged: its bytes are not those that were written"
    _SOUND[path] = sound
    return None


def faults(files: Mapping[Path, Recorded], threads: int = 1) -> dict[Path, str]:
    """What is wrong with each of several files; sound ones are left out.

    Args:
        files: what was recorded of each.
        threads: how many files are read at the same time.
    """
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(fault, files.keys(), files.values())
        return {path: wrong for path, wrong in zip(files, found, strict=True) if wrong is not None}


def trust(path: Path, digest: str) -> None:
    """Take a file for sound that this process has just written, so that its bytes are not read again.

    Args:
        path: the file.
        digest: SHA-256 of its bytes, as its writer computed it.
    """
    found = path.stat()
    _SOUND[path] = (found.st_size, found.st_mtime_ns, digest)


def distrust() -> None:
    """Forget which files were found sound, as a new process would not know it."""
    _SOUND.clear()
