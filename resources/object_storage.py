"""Object storage behind fsspec, such as ``s3://bucket/atelier``, with a local folder beside it.

What belongs here: PUT, GET and LIST in the place of a file system's calls, and the copies on this machine of files that
libraries open by path. What does not: the same of a local folder (:mod:`resources.storage`), which home may write
(:mod:`resources.store_owner`), what the files mean.

A PUT puts a whole object in place or none, and is seen by the next GET and LIST: that is all that pointers need. There
is neither a rename nor a lock. A folder is therefore whole when the file is there that is put last. Locks are files of
the local folder, and exclude the processes of one machine alone.

Credentials, region and endpoint come from the environment (``AWS_ACCESS_KEY_ID`` …, ``AWS_ENDPOINT_URL``).
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources import integrity
from resources.integrity import Recorded
from resources.storage import Storage, as_text, replace_file, sweep_staging

if TYPE_CHECKING:
    import duckdb

COPIES = "_copies"
#: By how much the clocks of this machine and of the storage may differ before a changed file counts as unchanged.
CLOCKS = timedelta(hours=1)


class ObjectStorage(Storage):
    """Object storage through fsspec: a PUT of the file, then a PUT of the pointer.

    A file's age cannot be changed there: run ``vacuum`` with an age that exceeds the longest run. It can be sent from
    one process to another: connections are made anew in each.

    Args:
        url: for example ``s3://bucket/atelier``.
        local: the folder of this machine for locks, unfinished files and copies; None: one among the machine's
            temporary files.
    """

    is_local = False

    def __init__(self, url: str, local: Path | None = None) -> None:
        from fsspec.registry import get_filesystem_class

        self.url = url.rstrip("/")
        self.protocol = url.split("://", 1)[0]
        # Without a connection, which starts a thread: steps are forked from processes that have opened their store.
        self.base = str(get_filesystem_class(self.protocol)._strip_protocol(self.url))
        self.temporary = (local or _among_temporary_files(self.url)).expanduser().absolute()
        self._trusted: set[str] = set()

    @property
    def fs(self) -> Any:
        """The file system of fsspec, which keeps one for each process: its threads do not survive a fork.

        What was listed is never remembered: other processes write too.
        """
        from fsspec.core import url_to_fs

        return url_to_fs(self.url, use_listings_cache=False)[0]

    def _full(self, name: str) -> str:
        return f"{self.base}/{name}"

    def _relative(self, path: str) -> str:
        return path.lstrip("/").removeprefix(f"{self.base.lstrip('/')}/")

    def _folder_made(self, name: str) -> str:
        """The full name of a file, in a folder that exists."""
        if self.protocol != "s3":  # S3 has no folders, and making one would look for the bucket each time
            self.fs.makedirs(self._full(name).rsplit("/", 1)[0], exist_ok=True)
        return self._full(name)

    def put(self, source: Path, name: str, digest: str) -> None:
        """PUT a file."""
        self.keep_file(source, name)

    def faults(self, files: Mapping[str, Recorded], threads: int) -> dict[str, str]:
        """What is wrong with each of several files: one that is gone, or of another size.

        The bytes are not compared: that would fetch every file as a whole, and object storage compares digests of its
        own. A file is looked at once in the life of this object.
        """
        unknown = {name: recorded for name, recorded in files.items() if name not in self._trusted}
        found = {name: self._fault(name, recorded) for name, recorded in unknown.items()}
        return {name: wrong for name, wrong in found.items() if wrong is not None}

    def fault(self, name: str, recorded: Recorded) -> str | None:
        """What is wrong with one file, as :meth:`faults` says it; None where it is sound."""
        return self.faults({name: recorded}, 1).get(name)

    def _fault(self, name: str, recorded: Recorded) -> str | None:
        size = self.size(name)
        if size is None:
            return "is gone"
        if recorded.size is not None and size != recorded.size:
            return f"is damaged: it has {size:,} bytes and not {recorded.size:,}"
        self._trusted.add(name)
        return None

    def local_path(self, name: str) -> Path:
        """Where the copy of a file or folder lies on this machine, once it was fetched."""
        return self.temporary / COPIES / name

    def fetch(self, name: str, recorded: Recorded) -> str | None:
        """Have a sound copy of a file at :meth:`local_path`; what is wrong with the file where that cannot be.

        Its bytes are compared with what was recorded; a copy that is sound is not fetched again, but the file must
        still be there, of the same size.
        """
        copy = self.local_path(name)
        held = integrity.fault(copy, recorded) is None
        wrong = self.fault(name, Recorded(None, copy.stat().st_size if held else recorded.size))
        if wrong is None and not held:
            wrong = self._download(name, recorded, copy)
        if wrong is None:
            found = copy.stat()  # its age counts from its last use
            os.utime(copy, ns=(int(datetime.now(UTC).timestamp() * 1e9), found.st_mtime_ns))
        return wrong

    def _download(self, name: str, recorded: Recorded, copy: Path) -> str | None:
        with self.staging() as staging:
            fetched = staging / "fetched"
            try:
                self.fs.get_file(self._full(name), str(fetched))
            except FileNotFoundError:
                return "is gone"
            wrong = integrity.fault(fetched, recorded)
            if wrong is None:
                replace_file(fetched, copy)
                if recorded.digest is not None:
                    integrity.trust(copy, recorded.digest)
        return wrong

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name, or a folder with files."""
        return bool(self.fs.exists(self._full(name)))

    def size(self, name: str) -> int | None:
        """The bytes of a file; None where it is gone."""
        try:
            found = self.fs.info(self._full(name))
        except FileNotFoundError:
            return None
        return int(found["size"]) if found["type"] == "file" else None

    def put_text(self, text: str, name: str) -> None:
        """PUT a small text."""
        self.fs.pipe_file(self._folder_made(name), text.encode())

    def create_text(self, text: str, name: str) -> bool:
        """PUT a small text under the condition ``If-None-Match: *``: of two machines at once one succeeds."""
        try:
            self.fs.pipe_file(self._folder_made(name), text.encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def put_folder(self, source: Path, name: str, last: str) -> None:
        """PUT every file of a folder; the folder itself becomes this machine's copy."""
        files = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
        for file in [*(each for each in files if each != last), last]:
            self.keep_file(source / file, f"{name}/{file}")
        self._remove_copy(name)
        copy = self.local_path(name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        source.replace(copy)

    def remove_folder(self, name: str, last: str) -> None:
        """DELETE the file by which the folder counts as whole, then the others, and this machine's copy."""
        self.remove(f"{name}/{last}")
        with suppress(FileNotFoundError):
            self.fs.rm(self._full(name), recursive=True)
        self._remove_copy(name)

    def folders(self, name: str) -> list[str]:
        """The names of the folders within a folder, sorted; none where there is no such folder."""
        try:
            found = self.fs.ls(self._full(name), detail=True)
        except FileNotFoundError:
            return []
        return sorted(str(each["name"]).rstrip("/").rpartition("/")[2] for each in found if each["type"] == "directory")

    def keep_file(self, path: Path, name: str) -> None:
        """PUT a copy of a file of this machine."""
        self.fs.put_file(str(path), self._folder_made(name))
        self._trusted.add(name)

    def keep_folder(self, folder: Path, name: str) -> None:
        """PUT what has changed in a folder of the home, DELETE what it has no longer.

        A file counts as unchanged that has the size of its copy and was changed long before that was put.
        """
        # Listed before the folder is: what another process adds meanwhile is then in the folder, and is not removed.
        kept = self._listed(name)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        for relative, path in sorted(files.items()):
            if not _is_kept(path, kept.get(relative)):
                self.keep_file(path, f"{name}/{relative}")
        for relative in sorted(kept.keys() - files.keys()):
            self.remove(f"{name}/{relative}")

    def restore_folder(self, folder: Path, name: str) -> None:
        """GET what a folder of the home lacks of its copy; what it has stays as it is."""
        for relative, found in sorted(self._listed(name).items()):
            target = folder / relative
            if not target.exists():
                with self.staging() as staging:
                    fetched = staging / "fetched"
                    self.fs.get_file(self._full(f"{name}/{relative}"), str(fetched))
                    put = found["LastModified"].timestamp() if "LastModified" in found else fetched.stat().st_mtime
                    os.utime(fetched, (put, put - 2 * CLOCKS.total_seconds()))  # unchanged since it was put
                    replace_file(fetched, target)

    def _listed(self, name: str) -> dict[str, Any]:
        """What a folder holds at any depth: what is known of each file, by its name within the folder."""
        prefix = f"{self._full(name).lstrip('/')}/"
        found = self.fs.find(self._full(name), detail=True)
        return {path.lstrip("/").removeprefix(prefix): info for path, info in found.items()}

    def read_texts(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those names that exist; fetched together where the file system can.

        Raises:
            OSError: one cannot be read for another reason than that there is none.
        """
        full = [self._full(name) for name in names]
        # They are small: nobody has to ask for their sizes first, in order to fetch them in several pieces.
        whole = {"max_concurrency": 1} if self.protocol == "s3" else {}
        texts = {}
        for path, content in (self.fs.cat(full, on_error="return", **whole) if full else {}).items():
            if isinstance(content, bytes):
                texts[self._relative(path)] = as_text(content)
            elif not isinstance(content, FileNotFoundError):
                raise content
        return texts

    def glob(self, pattern: str) -> list[str]:
        """The names that match, sorted."""
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

    def allowed(self) -> list[str]:
        """The URL alone."""
        return [f"{self.location('')}"]

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
        """DELETE a file, and this machine's copy of it; one already gone is no error."""
        self._trusted.discard(name)
        self._remove_copy(name)
        with suppress(FileNotFoundError):
            self.fs.rm_file(self._full(name))

    def _remove_copy(self, name: str) -> None:
        copy = self.local_path(name)
        if copy.is_dir():
            shutil.rmtree(copy)
        else:
            copy.unlink(missing_ok=True)

    def sweep(self, before: datetime) -> list[str]:
        """Remove what killed processes left in staging before that moment (UTC), and copies last used before it."""
        removed = sweep_staging(self.temporary, before)
        copies = self.temporary / COPIES
        for path in sorted(path for path in copies.rglob("*") if path.is_file()):
            if datetime.fromtimestamp(path.stat().st_atime, UTC) < before:
                path.unlink(missing_ok=True)
                removed.append(f"{COPIES}/{path.relative_to(copies).as_posix()}")
        return removed


def _among_temporary_files(url: str) -> Path:
    """A folder for one store alone."""
    return Path(tempfile.gettempdir()) / "atelier" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _is_kept(path: Path, copy: Mapping[str, Any] | None) -> bool:
    """Whether a file is as it was when its copy was put; where a storage does not say when that was, it is not."""
    if copy is None or copy["size"] != path.stat().st_size or "LastModified" not in copy:
        return False
    put: datetime = copy["LastModified"]
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) < put - CLOCKS
