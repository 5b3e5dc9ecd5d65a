"""Whether a file is what was written: the size always, the bytes once."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from resources import integrity
from resources.integrity import Recorded, fault, faults, trust
from resources.storage import open_storage

pytestmark = pytest.mark.hostile

CONTENT = b"what was written"
WRITTEN = Recorded(sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The files whose bytes are read, in order."""
    seen: list[Path] = []
    original = integrity.digest_of

    def counted(path: Path) -> str:
        seen.append(path)
        return original(path)

    monkeypatch.setattr(integrity, "digest_of", counted)
    integrity.distrust()
    yield seen
    integrity.distrust()


def test_the_bytes_are_read_once_as_long_as_nothing_touches_the_file(file: Path, read: list[Path]) -> None:
    assert [fault(file, WRITTEN) for _ in range(3)] == [None] * 3
    assert read == [file]
    os.utime(file, ns=(1, 1))
    assert fault(file, WRITTEN) is None
    assert read == [file] * 2
    assert fault(file, Recorded("0" * 64)) == "is damaged: its bytes are not those that were written"
    assert fault(file, Recorded("0" * 64)) is not None  # what is damaged is looked at again
    assert read == [file] * 4


def test_the_size_is_compared_first(file: Path, read: list[Path]) -> None:
    file.write_bytes(CONTENT[:4])
    assert fault(file, WRITTEN) == "is damaged: it has 4 bytes and not 16"
    assert fault(file, Recorded(None, 4)) is None
    assert read == []
    assert fault(file, Recorded(WRITTEN.digest)) is not None  # the size is not known
    assert read == [file]


def test_what_this_process_wrote_is_not_read_again(file: Path, read: list[Path]) -> None:
    assert WRITTEN.digest is not None
    trust(file, WRITTEN.digest)
    assert fault(file, WRITTEN) is None
    assert read == []


def test_what_is_no_file_is_named(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    wanted = {file: WRITTEN, folder: Recorded("0" * 64), tmp_path / "none": WRITTEN, file / "below": WRITTEN}
    assert faults(wanted, threads=2) == {
        folder: "is damaged: its bytes are not those that were written",
        tmp_path / "none": "is gone",
        file / "below": "is gone",
    }


def test_object_storage_compares_sizes(tmp_path: Path, file: Path) -> None:
    storage = open_storage("memory://integrity")
    assert WRITTEN.digest is not None
    storage.put(file, "written", WRITTEN.digest)
    another = open_storage("memory://integrity")
    wanted = {"written": WRITTEN, "none": WRITTEN}
    assert another.faults(wanted, 1) == {"none": "is gone"}
    assert storage.faults({"written": Recorded("0" * 64, 3)}, 1) == {}  # it was looked at when it was put
    third = open_storage("memory://integrity")
    assert third.faults({"written": Recorded(None, 3)}, 1) == {"written": "is damaged: it has 16 bytes and not 3"}
