"""Processes for test_store_faults: writers that die, writers and readers that meet. Run as a script, never imported.

Each action prints what it did as lines of text; any exception ends the process with an error.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet  # noqa: F401 - loaded before forking, so that each child starts at once

from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore

FIRST = date(2020, 9, 20)
DAYS = [FIRST + timedelta(days=i) for i in range(3)]
ROWS = 2_000
ENCODER = "tiny-0"


def rows_of(version: int, rows: int = ROWS) -> pa.Table:
    """A partition whose every row carries its version: half a partition, or a mixture, would show."""
    return pa.table(
        {
            "ordinal": np.arange(rows),
            "customer_id": pa.array([f"v{version}"] * rows),
            "article_id": pa.array([str(i % 97) for i in range(rows)]),
            "occurred_at": pa.array([0] * rows, pa.timestamp("us")),
            "kind": pa.array(["view"] * rows),
            "price": pa.nulls(rows),
            "channel": pa.nulls(rows),
            "session_id": pa.nulls(rows),
        }
    )


def write_days(root: Path, version: int) -> None:
    FeatureStore(root, threads=1).write_range("interactions", [(ds, rows_of(version)) for ds in DAYS])


def publish_model(root: Path, version: int) -> None:
    def save(folder: Path) -> None:
        (folder / "config.json").write_text(str(version))
        (folder / "maps").mkdir()
        (folder / "maps" / "ids.json").write_text("[]")

    ModelStore(root).publish("als", FIRST, save, {"interactions": str(version)})


def append_vectors(root: Path, version: int) -> None:
    digests = [f"{i:064x}" for i in range(version * 10, version * 10 + 20)]
    vectors = np.repeat(np.array([int(d, 16) for d in digests], np.float32)[:, None], 4, axis=1)
    EmbeddingCache(root).append(ENCODER, digests, vectors)


ACTIONS: dict[str, Callable[[Path, int], None]] = {
    "write": write_days,
    "model": publish_model,
    "vectors": append_vectors,
}


def die_at(step: int) -> None:
    """Have this process killed at its n-th step towards the disk: a file synced, or a name about to be replaced."""
    count = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    os.fsync = counted(os.fsync)  # type: ignore[assignment]
    Path.replace = counted(Path.replace)  # type: ignore[method-assign, assignment]


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process; its wait status. This process itself starts no thread before."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def killed(action: str, roots: list[str]) -> None:
    """On the n-th root the action is killed at its n-th step; prints one line per root: killed or finished."""
    for step, root in enumerate(roots, 1):

        def work(step: int = step, root: str = root) -> None:
            die_at(step)
            ACTIONS[action](Path(root), 2)

        status = in_child(work)
        if os.WIFSIGNALED(status):
            print("killed", flush=True)
        elif status == 0:
            print("finished", flush=True)
        else:
            raise SystemExit(f"the action failed by itself on {root}")


def random_kills(roots: list[str]) -> None:
    """On every root a writer that never stops is killed at a random moment."""
    moments = random.Random(7)
    for root in roots:
        child = os.fork()
        if child == 0:
            for version in range(2, 10_000):
                FeatureStore(root, threads=1).write("interactions", FIRST, rows_of(version, rows=50_000))
            os._exit(0)
        time.sleep(moments.uniform(0.02, 0.5))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def keep_writing(root: str, seconds: str, first: str, *offsets: str) -> None:
    """Write the days at ``offsets`` again and again, each time as another version."""
    store = FeatureStore(root, threads=1)
    version = int(first)
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        store.write_range("interactions", [(DAYS[int(i)], rows_of(version)) for i in offsets], run_id=first)
        version += 10
    print(version)


def keep_reading(root: str, seconds: str) -> None:
    """Connect and query again and again: every day whole and of one version, twice the same within a connection."""
    store = FeatureStore(root, threads=1)
    deadline = time.monotonic() + float(seconds)
    reads = 0
    sql = "SELECT ds, count(*), count(DISTINCT customer_id), sum(ordinal), min(customer_id) FROM interactions GROUP BY ds ORDER BY ds"
    while time.monotonic() < deadline:
        with store.connect(DAYS[-1], ["interactions"]) as connection:
            seen = connection.sql(sql).fetchall()
            assert [row[:4] for row in seen] == [(ds, ROWS, 1, ROWS * (ROWS - 1) // 2) for ds in DAYS], seen
            assert connection.sql(sql).fetchall() == seen
        assert store.read("interactions", DAYS[0]).num_rows == ROWS
        store.vacuum(timedelta(minutes=5))
        reads += 1
    print(reads)


if __name__ == "__main__":
    assert duckdb.__version__
    name, *arguments = sys.argv[1:]
    if name == "killed":
        killed(arguments[0], arguments[1:])
    elif name == "random_kills":
        random_kills(arguments)
    elif name == "keep_writing":
        keep_writing(*arguments)
    else:
        keep_reading(*arguments)
