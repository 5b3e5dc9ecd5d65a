"""Where files lie: a local folder, or object storage (:mod:`resources.object_storage`).

What belongs here: putting a file in place as a whole, reading it, listing, locking, in a local folder. What does not:
what the files mean (:mod:`resources.pointers`, :mod:`resources.feature_store`). A local folder is the ordinary, fast
case; every change there is one ``os.replace`` after ``fsync``. On object storage a PUT is the atomic step.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from atelier.errors import AtelierError
from resources import integrity
from resources.integrity import Recorded

if TYPE_CHECKING:
    import duckdb

STAGING = "_staging"
LOCKS = "_locks"
GLOB_CHARACTERS = frozenset("*?[]")
#: How a disk says that it is full, that a quota is used up, or that it is read-only.
REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

Root: TypeAlias = Union[str, Path, "Storage"]
"""What a store may be opened by: a local folder, the URL of object storage, or a storage that is open."""


def open_storage(root: Root, local: Path | None = None) -> "Storage":
    """The storage at a local path or an fsspec URL such as ``s3://bucket/atelier``; one that is open is given back.

    Args:
        root: where the files lie.
        local: with a URL, the folder of this machine for locks, unfinished files and copies; None: one among the
            machine's temporary files.

    Raises:
        ValueError: the URL holds a character that fsspec would read as a pattern; a local folder may hold any.
    """
    if isinstance(root, Storage):
        return root
    text = str(root)
    if text.startswith("file://"):
        return Storage(Path(text.removeprefix("file://")))
    if "://" not in text:
        return Storage(Path(root))
    from resources.object_storage import ObjectStorage

    if GLOB_CHARACTERS & set(text):
        raise ValueError(f"the store's URL {text!r} may not hold any of * ? [ ]: fsspec reads them as a pattern")
    return ObjectStorage(text, local)


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


class DiskRefused(AtelierError):
    """Nothing can be written: the disk is full or read-only, or permission is missing; the message has the remedy."""


@contextmanager
def disk_of(root: Path) -> Iterator[None]:
    """Name the folder and the remedy where its disk refuses what is written within the block.

    Raises:
        DiskRefused: it does.
    """
    try:
        yield
    except OSError as error:
        if not _is_refusal(root, error):
            raise
        raise DiskRefused(_refused(root, error)) from error
    except Exception as error:  # DuckDB, when it spills, has an error for it that says so in words alone
        if "No space left on device" not in str(error):
            raise
        raise DiskRefused(_refused(root, error)) from error


def _is_refusal(root: Path, error: OSError) -> bool:
    """Whether the disk refuses; permission may also be missing to read a source, which is another matter."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return isinstance(error.filename, str) and Path(error.filename).is_relative_to(root)
    return error.errno in REFUSALS


def _refused(root: Path, error: Exception) -> str:
    where = getattr(error, "filename", None) or root
    said = str(error).strip().splitlines()[0]
    free = shutil.disk_usage(root).free / 2**20
    return (
        f"{where}: the disk refuses to be written to ({said}; {free:,.0f} MiB are free). Nothing that is stored was "
        f"changed. Make room on the disk of {root} (`atelier vacuum` removes what is no longer used) or make it "
        "writable, then run the same command or step again"
    )


@contextmanager
def staging_folder(root: Path) -> Iterator[Path]:
    """A new folder ``<root>/_staging/<random>``, on the same disk as its destination, removed on leaving.

    Raises:
        DiskRefused: the disk refuses what is written within the block.
    """
    folder = root / STAGING / uuid.uuid4().hex
    with disk_of(root):
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
    with disk_of(root):
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

    Attributes:
        is_local: whether the files lie in a folder, so that paths can be used instead of copies.
        temporary: the local folder of locks and unfinished files.
    """

    is_local = True

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

    def resumable(self, name: str) -> Path:
        """The local path of unfinished work that another process may go on with; :meth:`sweep` removes old ones."""
        return self.temporary / STAGING / name

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

    def fault(self, name: str, recorded: Recorded) -> str | None:
        """What is wrong with one file, as :meth:`faults` says it; None where it is sound."""
        return integrity.fault(self.root / name, recorded)

    def local_path(self, name: str) -> Path:
        """The file or folder itself; on object storage the place of its copy, where :meth:`fetch` puts one."""
        return self.root / name

    def fetch(self, name: str, recorded: Recorded) -> str | None:
        """Have a sound file at :meth:`local_path`; what is wrong with it where that cannot be, as :meth:`fault`.

        Args:
            name: the file.
            recorded: what was recorded of it.
        """
        return self.fault(name, recorded)

    def exists(self, name: str) -> bool:
        """Whether there is a file or a folder of that name."""
        return (self.root / name).exists()

    def size(self, name: str) -> int | None:
        """The bytes of a file; None where it is gone."""
        try:
            return (self.root / name).stat().st_size
        except FileNotFoundError:
            return None

    def put_text(self, text: str, name: str) -> None:
        """Put a small text in place as a whole, or replace it."""
        replace_text(self.root, text, self.root / name)

    def create_text(self, text: str, name: str) -> bool:
        """Put a small text in place as a whole, unless there is one of that name; whether it was put."""
        target = self.root / name
        with exclusive(self.root, "create"):
            if target.exists():
                return False
            replace_text(self.root, text, target)
        return True

    def put_folder(self, source: Path, name: str, last: str) -> None:
        """Put a finished folder from :meth:`staging` in place as a whole, or replace one; ``source`` is gone then.

        Args:
            source: the folder.
            name: its place.
            last: the file of it by which readers know that it is whole: on object storage it is put last.
        """
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.rglob("*")):
            sync(path)
        sync(source)
        if target.exists():
            target.replace(source.with_name("replaced"))  # in staging, and removed with it
        source.replace(target)
        sync(target.parent)

    def remove_folder(self, name: str, last: str) -> None:
        """Remove a folder as a whole, whenever the process is killed; ``last`` as for :meth:`put_folder`."""
        with self.staging() as staging:
            (self.root / name).replace(staging / "removed")

    def folders(self, name: str) -> list[str]:
        """The names of the folders within a folder, sorted; none where there is no such folder."""
        return sorted(path.name for path in (self.root / name).glob("*/"))

    def keep_file(self, path: Path, name: str) -> None:
        """Keep a copy of a file of the home. A local store keeps none: the home does."""

    def keep_folder(self, folder: Path, name: str) -> None:
        """Make the copy of a folder of the home equal to it. A local store keeps none: the home does."""

    def restore_folder(self, folder: Path, name: str) -> None:
        """Bring back what a folder of the home lacks of its copy. A local store keeps none."""

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

    def allowed(self) -> list[str]:
        """What DuckDB has to be allowed to read for queries of this store's files: folders that end with a slash."""
        return sorted({f"{folder}/" for folder in (self.root, self.root.resolve())})

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Held while files of a table, model or encoder are published or vacuumed; readers never ask for it.

        It excludes the processes of one machine: on object storage too, so that one home alone may write there.
        """
        return exclusive(self.temporary, name)

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
        try:
            path.unlink()
            sync(path.parent)
            path.parent.rmdir()
        except FileNotFoundError:
            return  # it was gone already
        except OSError:
            if path.exists():  # else its folder is not empty, which is the ordinary case
                raise
