"""A disk that is full, and one that is read-only: real file systems of a few megabytes, where one may be mounted."""

import errno
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.storage import DiskRefused, replace_text

MEGABYTES = 6
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; the test is skipped where nobody may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def customers(count: int) -> pd.DataFrame:
    """So many customers, whose names cannot be compressed."""
    random = np.random.default_rng(0)
    return pd.DataFrame({"customer_id": [random.bytes(16).hex() for _ in range(count)], "age": None, "profile": None})


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_disk_is_named_with_the_way_on_and_nothing_is_lost(disk: Path) -> None:
    store = FeatureStore(disk, threads=1)
    store.write("customers", FIRST, customers(10))
    before = files(disk)
    with pytest.raises(
        DiskRefused, match=r"the disk refuses to be written to .*MiB are free.*atelier vacuum"
    ) as refused:
        store.write("customers", SECOND, customers(400_000))
    assert str(disk) in str(refused.value)
    assert files(disk) == before
    assert len(store.read("customers", FIRST)) == 10
    store.write("customers", SECOND, customers(20))  # what was half written left no trace, and no room taken
    assert len(store.read("customers", SECOND)) == 20


def test_a_model_that_does_not_fit_leaves_the_one_before(disk: Path) -> None:
    models = ModelStore(disk)

    def large(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(b"x" * (MEGABYTES + 1) * 2**20)

    before = files(disk)
    with pytest.raises(DiskRefused, match="No space left on device"), models.storage.staging() as folder:
        large(folder)
    assert files(disk) == before


def test_a_read_only_disk_is_named(disk: Path) -> None:
    store = FeatureStore(disk, threads=1)
    store.write("customers", FIRST, customers(10))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(DiskRefused, match=r"Read-only file system.*make it writable"):
        store.write("customers", SECOND, customers(10))
    with pytest.raises(DiskRefused, match="Read-only file system"):
        replace_text(disk, "{}", disk / "pointer.json")
    assert len(store.read("customers", FIRST)) == 10


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    """Permission to read a source, for example, is missing elsewhere than in the home."""
    store = FeatureStore(tmp_path / "home")
    with pytest.raises(FileNotFoundError), store.storage.staging() as folder:
        (folder / "nothing").read_text()
    source = tmp_path / "source.parquet"
    with pytest.raises(PermissionError), store.storage.staging():
        raise PermissionError(errno.EACCES, "Permission denied", str(source))
    with pytest.raises(DiskRefused, match="Permission denied"), store.storage.staging() as folder:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder / "file"))
