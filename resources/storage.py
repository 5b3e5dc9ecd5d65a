"""Where files lie: a local folder, or object storage behind fsspec.

What belongs here: putting a file in place as a whole, reading it, listing, locking. What does not: what the files
mean (:mod:`resources.pointers`, :mod:`resources.feature_store`). A local folder is the ordinary, fast case; every
change there is one ``os.replace`` after ``fsync``. On object storage a PUT is the atomic step.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources import integrity
from resources.integrity import Recorded

if TYPE_CHECKING:
    import duckdb

STAGING = "_staging"
LOCKS = "_locks"
GLOB_CHARACTERS = frozenset("*?[]")


def open_storage(root: str | Path) -> "Storage":
    """The storage at a local path or an fsspec URL such as ``s3://bucket/atelier``.

    Raises:
        ValueError: the URL holds a character that fsspec would read as a pattern; a local folder may hold any.
    """
    text = str(root)
    if "://" in text and GLOB_CHARACTERS & set(text):
        raise ValueError(f"the store's URL {text!r} may not hold any of * ? [ ]: fsspec reads them as a pattern")
    if text.startswith("file://"):
        return Storage(Path(text.removeprefix("file://")))
    return ObjectStorage(text) if "://" in text else Storage(Path(root))


def local_folder(root: str | Path, what: str) -> Path:
    """The absolute path of a folder that must be local.

    Args:
        root: the folder.
        what: what lies in it, for the message.

    Raises:
        ValueError: it is the URL of object storage.
    """
    if "://" in str(root):
        raise ValueError(f"{what} need a local folder, not {root}")
    return Path(root).expanduser().absolute()


def sync(path: Path) -> None:
    """Have a file's bytes, or a folder's names, on disk before anything relies on them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(root: Path, name: str) -> Iterator[None]:
    """Hold the lock ``<root>/_locks/<name>.lock``; the operating system frees it when its holder dies."""
    from filelock import FileLock

    (root / LOCKS).mkdir(parents=True, exist_ok=True)
    with FileLock(root / LOCKS / f"{name}.lock"):
        yield


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """A new folder ``<root>/_staging/<random>``, on the same disk as its destination, removed on leaving."""
    folder = root / STAGING / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_name(root: Path) -> Path:
    """A new name in ``<root>/_staging``, where :func:`sweep_staging` finds what a killed process leaves."""
    staging = root / STAGING
    staging.mkdir(parents=True, exist_ok=True)
    return staging / uuid.uuid4().hex


def sweep_staging(root: Path, before: datetime) -> list[str]:
    """Remove what lies in ``<root>/_staging`` unchanged since ``before``; a folder is as young as its youngest file."""
    removed = []
    for path in sorted((root / STAGING).glob("*")):
        try:
            youngest = max(found.stat().st_mtime for found in [path, *path.rglob("*")])
        except FileNotFoundError:
            continue  # its owner is alive and just removed it
        if datetime.fromtimestamp(youngest, UTC) < before:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(f"{STAGING}/{path.name}")
    return removed


def replace_file(source: Path, target: Path) -> None:
    """Move a finished file in place, durably and as a whole; both lie on the same disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sync(source)
    source.replace(target)
    sync(target.parent)


def replace_text(root: Path, text: str, target: Path) -> None:
    """Put a small text in place, durably and as a whole; the temporary file lies in ``<root>/_staging``."""
    temporary = scratch_name(root)
    temporary.write_text(text, encoding="utf-8")
    replace_file(temporary, target)


def as_text(content: bytes) -> str:
    """The text of a small file; bytes that are no UTF-8 are replaced by U+0000, which no JSON may hold."""
    return content.decode("utf-8", errors="replace").replace("\ufffd", "\0")


class Storage:
    """A folder of a POSIX file system, with everything that the feature store asks of a storage.

    Names are relative to the root, with forward slashes.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        # absolute: published views and spawned processes must not depend on anyone's working directory
        self.root = root.expanduser().absolute()
        self.temporary = self.root  # on the same disk, so that moving a finished file in place is one rename

    def staging(self) -> AbstractContextManager[Path]:
        """A new local folder for unfinished files, removed on leaving."""
        return staging_folder(self.temporary)

    def scratch(self) -> Path:
        """A local path, not created, where a DuckDB connection may spill; :meth:`sweep` finds what is left there."""
        return scratch_name(self.temporary)

    def sweep(self, before: datetime) -> list[str]:
        """Remove what killed processes left in staging before that moment (UTC); returns the names."""
        return sweep_staging(self.temporary, before)

    def put(self, source: Path, name: str, digest: str) -> None:
        """Put a finished file from :meth:`staging` in place as a whole; ``source`` may be gone afterwards.

        Args:
            source: the file.
            name: its place.
            digest: SHA-256 of its bytes.
        """
        replace_file(source, self.root / name)
        integrity.trust(self.root / name, digest)

    def faults(self, files: Mapping[str, Recorded], threads: int) -> dict[str, str]:
        """What is wrong with each of several files, as :func:`resources.integrity.faults` says it; sound ones left out.

        Args:
            files: what was recorded of each, by name.
            threads: how many files are read at the same time.
        """
        found = integrity.faults({self.root / name: recorded for name, recorded in files.items()}, threads)
        return {path.relative_to(self.root).as_posix(): wrong for path, wrong in found.items()}

    def put_text(self, text: str, name: str) -> None:
        """Put a small text in place as a whole, or replace it."""
        replace_text(self.root, text, self.root / name)

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist."""
        texts = {}
        for name in names:
            try:
                texts[name] = as_text((self.root / name).read_bytes())
            except (FileNotFoundError, NotADirectoryError):
                continue
        return texts

    def glob(self, pattern: str) -> list[str]:
        """The names that match, sorted."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))

    def parquet(self, name: str) -> Any:
        """What ``pyarrow.parquet`` opens: here the path, which Arrow reads by itself, without Python in between."""
        return self.location(name)

    def location(self, name: str) -> str:
        """What DuckDB calls the file: here its absolute path."""
        return str(self.root / name)

    def prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Let a DuckDB connection read from here. It reads local files by itself, so there is nothing to do."""

    def lock(self, table: str) -> AbstractContextManager[None]:
        """Held while files of a table are published or vacuumed; readers never ask for it."""
        return exclusive(self.root, table)

    def touch(self, name: str) -> None:
        """Count a file's age from now on."""
        (self.root / name).touch()

    def modified(self, name: str) -> datetime | None:
        """When a file was last put or touched (UTC); None where it is gone."""
        try:
            return datetime.fromtimestamp((self.root / name).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, and the folder that it leaves empty; one already gone is no error."""
        path = self.root / name
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # not empty, which is the ordinary case


class ObjectStorage(Storage):
    """Object storage through fsspec: a PUT of the file, then a PUT of the pointer.

    It has no locks and no touch: run ``vacuum`` with an age that exceeds the longest run.

    Args:
        url: for example ``s3://bucket/atelier``.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.fs, self.base = url_to_fs(url.rstrip("/"))
        self.protocol = url.split("://", 1)[0]
        self.temporary = Path(tempfile.gettempdir()) / "atelier"
        self._trusted: set[str] = set()

    def _full(self, name: str) -> str:
        return f"{self.base}/{name}"

    def _relative(self, path: str) -> str:
        return path.lstrip("/").removeprefix(f"{self.base.lstrip('/')}/")

    def _folder_made(self, name: str) -> str:
        """The full name of a file, in a folder that exists."""
        self.fs.makedirs(self._full(name).rsplit("/", 1)[0], exist_ok=True)
        return self._full(name)

    def put(self, source: Path, name: str, digest: str) -> None:
        """PUT a file."""
        self.fs.put_file(str(source), self._folder_made(name))
        self._trusted.add(name)

    def faults(self, files: Mapping[str, Recorded], threads: int) -> dict[str, str]:
        """What is wrong with each of several files: one that is gone, or of another size.

        The bytes are not compared: that would fetch every file as a whole, and object storage compares digests of its
        own. A file is looked at once in the life of this object.
        """
        unknown = {name: recorded for name, recorded in files.items() if name not in self._trusted}
        found = {name: self._fault(name, recorded) for name, recorded in unknown.items()}
        return {name: wrong for name, wrong in found.items() if wrong is not None}

    def _fault(self, name: str, recorded: Recorded) -> str | None:
        try:
            size = int(self.fs.info(self._full(name))["size"])
        except FileNotFoundError:
            return "is gone"
        if recorded.size is not None and size != recorded.size:
            return f"is damaged: it has {size:,} bytes and not {recorded.size:,}"
        self._trusted.add(name)
        return None

    def put_text(self, text: str, name: str) -> None:
        """PUT a small text."""
        self.fs.pipe_file(self._folder_made(name), text.encode())

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist; fetched together where the file system can."""
        full = [self._full(name) for name in names]
        found = self.fs.cat(full, on_error="omit") if full else {}
        return {self._relative(path): as_text(content) for path, content in found.items()}

    def glob(self, pattern: str) -> list[str]:
        """The names that match, sorted."""
        self.fs.invalidate_cache()
        return sorted(self._relative(str(path)) for path in self.fs.glob(self._full(pattern)))

    def parquet(self, name: str) -> Any:
        """An open file of the fsspec file system."""
        return self.fs.open(self._full(name), "rb")

    def location(self, name: str) -> str:
        """The URL."""
        return f"{self.protocol}://{self._full(name)}"

    def prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Let DuckDB read through the same fsspec file system."""
        connection.register_filesystem(self.fs)

    def lock(self, table: str) -> AbstractContextManager[None]:
        """Nothing is locked: object storage has no locks."""
        return nullcontext()

    def touch(self, name: str) -> None:
        """Nothing happens: on object storage a file's age cannot be changed."""

    def modified(self, name: str) -> datetime | None:
        """When a file was put (UTC); None where it is gone."""
        try:
            moment: datetime = self.fs.modified(self._full(name))
        except FileNotFoundError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def remove(self, name: str) -> None:
        """DELETE a file; one already gone is no error."""
        if self.fs.exists(self._full(name)):
            self.fs.rm_file(self._full(name))
