"""Where files lie: a local folder, or object storage behind fsspec.

What belongs here: putting a file in place as a whole, reading it, listing, locking. What does not: what the files
mean (:mod:`resources.pointers`, :mod:`resources.feature_store`). A local folder is the ordinary, fast case; every
change there is one ``os.replace`` after ``fsync``. On object storage a PUT is the atomic step.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import duckdb

STAGING = "_staging"
LOCKS = "_locks"
GLOB_CHARACTERS = frozenset("*?[]")


class Storage(Protocol):
    """What the feature store asks of the place where its files lie. Names are relative, with forward slashes."""

    def staging(self) -> AbstractContextManager[Path]:
        """A new local folder for unfinished files, removed on leaving."""
        ...

    def put(self, source: Path, name: str) -> None:
        """Put a finished local file in place as a whole; ``source`` may be gone afterwards."""
        ...

    def put_text(self, text: str, name: str) -> None:
        """Put a small text in place as a whole, or replace it."""
        ...

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """The names that match, sorted."""
        ...

    def parquet(self, name: str) -> Any:
        """What ``pyarrow.parquet`` opens."""
        ...

    def location(self, name: str) -> str:
        """What DuckDB calls the file."""
        ...

    def prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Let a DuckDB connection read from here."""
        ...

    def scratch(self) -> Path:
        """A local path, not created, where a DuckDB connection may spill."""
        ...

    def lock(self, table: str) -> AbstractContextManager[Any]:
        """Held while files of a table are published or vacuumed; readers never ask for it."""
        ...

    def touch(self, name: str) -> None:
        """Count a file's age from now, where the place allows it."""
        ...

    def modified(self, name: str) -> datetime | None:
        """When a file was last put or touched (UTC); None where it is gone."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one already gone is no error."""
        ...

    def sweep(self, before: datetime) -> list[str]:
        """Remove what killed processes left in staging before that moment (UTC); returns the names."""
        ...


def open_storage(root: str | Path) -> Storage:
    """The storage at a local path or an fsspec URL such as ``s3://bucket/atelier``.

    Raises:
        ValueError: the root holds a character that DuckDB would read as a pattern.
    """
    text = str(root)
    if GLOB_CHARACTERS & set(text):
        raise ValueError(f"the store's folder {text!r} may not hold any of * ? [ ]: DuckDB reads them as a pattern")
    if text.startswith("file://"):
        return LocalStorage(Path(text.removeprefix("file://")))
    return ObjectStorage(text) if "://" in text else LocalStorage(Path(root))


def sync_file(path: Path) -> None:
    """Have a file's bytes on disk before anything names it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Have a folder's names on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
    sync_file(source)
    source.replace(target)
    sync_folder(target.parent)


def replace_text(root: Path, text: str, target: Path) -> None:
    """Put a small text in place, durably and as a whole; the temporary file lies in ``<root>/_staging``."""
    temporary = scratch_name(root)
    temporary.write_text(text, encoding="utf-8")
    replace_file(temporary, target)


class LocalStorage:
    """A folder of a POSIX file system."""

    def __init__(self, root: Path) -> None:
        # absolute: published views and spawned processes must not depend on anyone's working directory
        self.root = root.expanduser().absolute()

    def staging(self) -> AbstractContextManager[Path]:
        """A new folder on the same disk, so that moving out of it is one rename."""
        return staging_folder(self.root)

    def put(self, source: Path, name: str) -> None:
        """Move a finished file in place; ``source`` must come from :meth:`staging`."""
        replace_file(source, self.root / name)

    def put_text(self, text: str, name: str) -> None:
        """Replace a small text."""
        replace_text(self.root, text, self.root / name)

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist."""
        texts = {}
        for name in names:
            try:
                texts[name] = (self.root / name).read_text(encoding="utf-8")
            except (FileNotFoundError, NotADirectoryError):
                continue
        return texts

    def glob(self, pattern: str) -> list[str]:
        """The names that match, sorted."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob(pattern))

    def parquet(self, name: str) -> Any:
        """The path: Arrow reads local files by itself, without Python in between."""
        return str(self.root / name)

    def location(self, name: str) -> str:
        """The absolute path."""
        return str(self.root / name)

    def prepare(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Nothing to do: DuckDB reads local files by itself."""

    def scratch(self) -> Path:
        """A name in staging, where :meth:`sweep` finds what a killed process leaves."""
        return scratch_name(self.root)

    def lock(self, table: str) -> AbstractContextManager[Any]:
        """An exclusive file lock; the operating system frees it when its holder dies."""
        from filelock import FileLock

        folder = self.root / LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{table}.lock")

    def touch(self, name: str) -> None:
        """Count a file's age from now."""
        (self.root / name).touch()

    def modified(self, name: str) -> datetime | None:
        """When a file was last put or touched (UTC)."""
        try:
            return datetime.fromtimestamp((self.root / name).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file and the folder that it leaves empty."""
        path = self.root / name
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # not empty, which is the ordinary case

    def sweep(self, before: datetime) -> list[str]:
        """Remove what killed processes left in staging."""
        return sweep_staging(self.root, before)


class ObjectStorage:
    """Object storage through fsspec: a PUT of the file, then a PUT of the pointer.

    There are no locks and no touch: run ``vacuum`` with an age that exceeds the longest run.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.fs, self.base = url_to_fs(url.rstrip("/"))
        self.protocol = url.split("://", 1)[0]
        self.temporary = Path(tempfile.gettempdir()) / "atelier"

    def _full(self, name: str) -> str:
        return f"{self.base}/{name}"

    def _relative(self, path: str) -> str:
        return path.lstrip("/").removeprefix(f"{self.base.lstrip('/')}/")

    def staging(self) -> AbstractContextManager[Path]:
        """A new folder of the machine's own temporary space."""
        return staging_folder(self.temporary)

    def put(self, source: Path, name: str) -> None:
        """PUT a file."""
        self.fs.makedirs(self._full(name).rsplit("/", 1)[0], exist_ok=True)
        self.fs.put_file(str(source), self._full(name))

    def put_text(self, text: str, name: str) -> None:
        """PUT a small text."""
        self.fs.makedirs(self._full(name).rsplit("/", 1)[0], exist_ok=True)
        self.fs.pipe_file(self._full(name), text.encode())

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist; fetched together where the file system can."""
        full = {self._full(name): name for name in names}
        if not full:
            return {}
        found = self.fs.cat(list(full), on_error="omit")
        return {self._relative(path): content.decode() for path, content in found.items()}

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

    def scratch(self) -> Path:
        """A name in the machine's own temporary space."""
        return scratch_name(self.temporary)

    def lock(self, table: str) -> AbstractContextManager[Any]:
        """None there is."""
        return nullcontext()

    def touch(self, name: str) -> None:
        """Object storage does not offer it."""

    def modified(self, name: str) -> datetime | None:
        """When a file was put (UTC)."""
        try:
            moment: datetime = self.fs.modified(self._full(name))
        except FileNotFoundError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def remove(self, name: str) -> None:
        """DELETE a file."""
        if self.fs.exists(self._full(name)):
            self.fs.rm_file(self._full(name))

    def sweep(self, before: datetime) -> list[str]:
        """Remove what processes killed on this machine left in its temporary space."""
        return sweep_staging(self.temporary, before)
