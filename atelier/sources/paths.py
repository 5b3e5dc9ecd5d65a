"""Photographs on disk: which files lie in a folder, and which listed paths may be opened.

What belongs here: paths, and only paths; nothing is opened. What does not: decoding (:mod:`atelier.images.manifest`).
"""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath


def files_below(root: Path) -> tuple[set[str], set[str]]:
    """Everything below a folder that is not itself a folder, as paths relative to it with forward slashes.

    Returns:
        Plain files, and links (to files or folders), which are not followed.
    """
    plain: set[str] = set()
    links: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=False):
        prefix = Path(folder).relative_to(root).as_posix()
        prefix = "" if prefix == "." else f"{prefix}/"
        links.update(f"{prefix}{name}" for name in folders if Path(folder, name).is_symlink())
        here = {name: Path(folder, name).is_symlink() for name in names}
        plain.update(f"{prefix}{name}" for name, link in here.items() if not link)
        links.update(f"{prefix}{name}" for name, link in here.items() if link)
    return plain, links


def readable(path: str) -> str:
    r"""A path as text in UTF-8; bytes of a file's name that are not UTF-8 are written as ``\xe9``."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def path_faults(paths: Iterable[str], root: Path) -> dict[str, str]:
    """The paths that must not or cannot be opened, and why.

    A path that names a plain file below ``root`` is right at once; only the others (links, odd spellings, absent
    files) are resolved one by one.

    Args:
        paths: as listed, relative to ``root``.
        root: the folder that no path may leave, by ``..``, as an absolute path, or through a link.
    """
    plain, _ = files_below(root)
    suspects = {path for path in paths if path not in plain}
    real_root = root.resolve()
    faults = {path: _fault(path, root, real_root) for path in sorted(suspects)}
    return {path: fault for path, fault in faults.items() if fault}


def _fault(path: str, root: Path, real_root: Path) -> str | None:
    """Why this path must not or cannot be opened; None where it may be."""
    if "\0" in path:
        return "holds a NUL character"
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path.startswith("\\"):
        return "is an absolute path: it has to be relative to the folder of photographs"
    if ".." in PurePosixPath(path).parts or ".." in PureWindowsPath(path).parts:
        return "holds '..', which may lead outside of the folder of photographs"
    try:
        real = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return "names no file in the folder of photographs"
    if not real.is_relative_to(real_root):
        return "leads outside of the folder of photographs through a link"
    return None if real.is_file() else "is not a file"
