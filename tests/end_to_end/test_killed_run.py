"""A run that dies halfway, by SIGKILL as when memory runs out, and is started again: as if nothing had happened.

Three processes, one after the other, run ``daily_retrain`` and die, each later than the one before. What they
leave must be readable, and the run that follows must end with pointers to the same files, to the digest, as one that
nobody disturbed.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

import dagster_project
from assets.daily import STAGES
from assets.results import table_of
from atelier import recommenders
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import without_pools
from resources.embedding_cache import EmbeddingCache
from resources.retailer import Home
from tests.end_to_end.house import House

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]

REPOSITORY = Path(dagster_project.__file__).resolve().parent.parent
PRODUCED = {asset for stage in STAGES if stage.name != "offline_metrics" for asset in stage.produces}
DAILY = sorted({table for asset in PRODUCED if (table := table_of(asset))})
SECONDS = 400

#: Published after the image vectors and before anything that reads it.
MIDDLE = "article_features"


@contextmanager
def opened(home: Home) -> Iterator[House]:
    """A home with the Dagster storage that it has on disk: what a process that comes later finds."""
    settings = home.settings
    assert settings.last_day is not None
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield House(home, instance, settings.last_day)


# What the dying process does ---------------------------------------------------------------------------------------


def run_until(root: str, moment: str) -> None:
    """Run the last day's ``daily_retrain``; at ``moment`` this process is no more."""
    with opened(Home(Path(root))) as house:
        DEATHS[moment]()
        retrain(house)


def retrain(house: House) -> None:
    """The last day's ``daily_retrain`` as `make demo` runs it: it must not wait for the pools that a dead run held."""
    house.run("daily_retrain", house.ds, definitions=build_defs(house.home, stages=without_pools()))


def die() -> None:
    """What the kernel does when memory runs out: no handler, no ``finally``, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_half_of_the_vectors() -> None:
    """Die while photographs are encoded: half of the vectors are in the cache, no partition tells of them."""
    append = EmbeddingCache.append

    def half(self: EmbeddingCache, encoder_id: str, digests: Any, vectors: Any) -> int:
        kept = len(digests) // 2
        append(self, encoder_id, digests[:kept], vectors[:kept])
        die()
        raise AssertionError("still alive")

    EmbeddingCache.append = half  # type: ignore[method-assign]  # this process will not see the end of it


def live_until_killed() -> None:
    """Whoever watches the store kills this process."""


DEATHS: dict[str, Callable[[], None]] = {
    "half_of_the_vectors": die_with_half_of_the_vectors,
    "middle_table": live_until_killed,
    "half_of_a_table": live_until_killed,
}


# What the test does ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_history(make_house: Callable[..., House]) -> House:
    """A home in which history has been ingested, and nothing else."""
    house = make_house()
    house.run("ingest", house.home.settings.first_day, house.ds - timedelta(days=1))
    write_dagster_yaml(house.home)
    return house


@pytest.fixture
def home(with_history: House, tmp_path: Path) -> Home:
    """A copy of that home."""
    shutil.copytree(with_history.home.root, tmp_path / "home")
    return Home(tmp_path / "home")


def killed(home: Home, moment: str, watched: str) -> int:
    """The exit status of a process that ran until ``moment``, or was killed once a file like ``watched`` appeared."""
    code = f"from tests.end_to_end.test_killed_run import run_until; run_until({str(home.root)!r}, {moment!r})"
    deadline = time.monotonic() + SECONDS
    with (home.root / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if DEATHS[moment] is live_until_killed and any(home.store.glob(watched)):
                break
            time.sleep(0.01)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def vectors_in_cache(house: House, ds: date) -> tuple[int, int]:
    """How many of the day's photographs have a vector, and how many there are."""
    digests = sorted(set(house.store.read("images", ds).column("digest").to_pylist()))
    (encoder,) = {path.name for path in (house.home.store / "embedding_cache").iterdir() if path.is_dir()}
    missing = EmbeddingCache(house.home.store).missing(digests, encoder)
    return len(digests) - len(missing), len(digests)


def assert_halfway(house: House, moment: str, before: int) -> None:
    """The process died where it was meant to."""
    store, ds = house.store, house.ds
    assert len(store.pointers()) > before, "it died before it had done anything"
    if moment == "half_of_the_vectors":
        some, everything = vectors_in_cache(house, ds)
        assert some == everything // 2
        assert store.pointer("image_embeddings", ds) is None
    if moment == "middle_table":
        assert store.pointer(MIDDLE, ds) is not None
    if moment == "half_of_a_table":
        parts = [pointer.part for pointer in store.pointers("recommendations") if pointer.ds == ds]
        assert 0 < len(parts) < len(recommenders.DAILY)
    with duckdb.connect(house.home.database, read_only=True) as connection:  # which an ingest has published
        shown = connection.execute("SELECT count(*) FROM article_features WHERE ds = $ds", {"ds": ds}).fetchone()
    assert shown == (0,), "it got to the end"


def assert_whole(house: House) -> None:
    """Every pointer names a file that is there, in full."""
    for pointer in house.store.pointers():
        content = (house.home.store / pointer.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == pointer.data_version, pointer


def test_a_run_that_was_killed_three_times_ends_as_an_undisturbed_one(house: House, home: Home) -> None:
    with opened(home) as again:
        day = f"ds={again.ds}"
        for moment in DEATHS:  # each later than the one before
            before = len(again.store.pointers())
            watched = f"{MIDDLE}/{day}.json" if moment == "middle_table" else f"recommendations/{day}/*.json"
            status = killed(home, moment, watched)
            assert status == -signal.SIGKILL, (home.root / "run.log").read_text()[-3000:]
            assert_whole(again)
            assert_halfway(again, moment, before)
        retrain(again)
        assert_whole(again)
        assert again.files(again.ds, *DAILY) == house.files(house.ds, *DAILY)
        assert again.models(again.ds) == house.models(house.ds)
        again.store.vacuum(timedelta(0))
        assert not list((home.store / "_staging").iterdir()), "what the dead processes left is not swept"
        assert_whole(again)
