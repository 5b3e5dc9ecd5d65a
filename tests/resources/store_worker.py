"""Processes for test_store_faults: writers that die, writers and readers that meet. Run as a script, never imported.

Each action prints what it did as lines of text; any exception ends the process with an error.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

# loaded before forking, so that each child starts at once
import duckdb  # noqa: F401
import filelock  # noqa: F401
import numpy as np
import pandas as pd  # noqa: F401 - pyarrow asks for it
import pyarrow as pa
import pyarrow.parquet
import s3fs  # noqa: F401

from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.object_storage import ObjectStorage

FIRST = date(2020, 9, 20)
DAYS = [FIRST + timedelta(days=i) for i in range(3)]
ROWS = 2_000
ENCODER = "tiny-0"
#: What changes a folder, and what changes object storage.
STEPS: Sequence[tuple[Any, str]] = ((os, "fsync"), (Path, "replace"))
PUTS: Sequence[tuple[Any, str]] = ((ObjectStorage, "keep_file"), (ObjectStorage, "put_text"))


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


def write_days(root: str, version: int) -> None:
    FeatureStore(root, threads=1).write_range("interactions", [(ds, rows_of(version)) for ds in DAYS])


def publish_model(root: str, version: int) -> None:
    def save(folder: Path) -> None:
        (folder / "config.json").write_text(str(version))
        (folder / "maps").mkdir()
        (folder / "maps" / "ids.json").write_text("[]")

    ModelStore(root).publish("als", FIRST, save, {"interactions": str(version)})


def append_vectors(root: str, version: int) -> None:
    digests = [f"{i:064x}" for i in range(version * 10, version * 10 + 20)]
    vectors = np.repeat(np.array([int(d, 16) for d in digests], np.float32)[:, None], 4, axis=1)
    EmbeddingCache(root).append(ENCODER, digests, vectors)


ACTIONS: dict[str, Callable[[str, int], None]] = {
    "write": write_days,
    "model": publish_model,
    "vectors": append_vectors,
}


def die_at(step: int, calls: Sequence[tuple[Any, str]] = STEPS) -> None:
    """Have this process killed at its n-th step towards the disk, or the storage.

    Args:
        step: n, from 1.
        calls: what counts as a step, each a module or class and the name of its function. By default: a file is
            synced, or a name is about to be replaced.
    """
    count = 0

    def counted(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        return call

    for owner, name in calls:
        setattr(owner, name, counted(getattr(owner, name)))


def run_and_exit(work: Callable[[], None]) -> None:
    """Run ``work`` as the whole life of a forked child, and say on stderr what went wrong."""
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process; its wait status. This process itself starts no thread before."""
    child = os.fork()
    if child == 0:
        run_and_exit(work)
    return os.waitpid(child, 0)[1]


def killed(action: str, roots: list[str]) -> None:
    """On the n-th root the action is killed at its n-th step; prints one line per root: killed or finished."""
    for step, root in enumerate(roots, 1):

        def work(step: int = step, root: str = root) -> None:
            die_at(step, PUTS if "://" in root else STEPS)
            ACTIONS[action](root, 2)

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


def meet(root: str, seconds: str) -> None:
    """Two processes write the same two days, one the third, while two read; prints what each one did."""
    deadline = time.monotonic() + float(seconds)
    works = [
        lambda: keep_writing(root, deadline, 3, [0, 1]),
        lambda: keep_writing(root, deadline, 4, [1, 0]),
        lambda: keep_writing(root, deadline, 5, [2]),
        lambda: keep_reading(root, deadline),
        lambda: keep_reading(root, deadline),
    ]
    children = []
    for work in works:
        child = os.fork()
        if child == 0:
            run_and_exit(work)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        raise SystemExit(f"processes failed: {statuses}")


def keep_writing(root: str, deadline: float, first: int, days: list[int]) -> None:
    """Write those days again and again, each time as another version."""
    store = FeatureStore(root, threads=1)
    count = 0
    while not count or time.monotonic() < deadline:
        partitions = [(DAYS[i], rows_of(first + 10 * count)) for i in days]
        store.write_range("interactions", partitions, run_id=str(first))
        count += 1
    os.write(1, f"wrote {count}\n".encode())  # one system call: the processes share the pipe


def keep_reading(root: str, deadline: float) -> None:
    """Connect and query again and again: every day whole and of one version, twice the same within a connection."""
    store = FeatureStore(root, threads=1)
    count = 0
    sql = (
        "SELECT ds, count(*), count(DISTINCT customer_id), sum(ordinal), min(customer_id)"
        " FROM interactions GROUP BY ds ORDER BY ds"
    )
    while not count or time.monotonic() < deadline:
        with store.connect(DAYS[-1], ["interactions"]) as connection:
            seen = connection.sql(sql).fetchall()
            assert [row[:4] for row in seen] == [(ds, ROWS, 1, ROWS * (ROWS - 1) // 2) for ds in DAYS], seen
            assert connection.sql(sql).fetchall() == seen
        assert store.read("interactions", DAYS[0]).num_rows == ROWS
        store.vacuum(timedelta(minutes=5))
        count += 1
    os.write(1, f"read {count}\n".encode())  # one system call: the processes share the pipe


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    if name == "killed":
        killed(arguments[0], arguments[1:])
    elif name == "random_kills":
        random_kills(arguments)
    else:
        meet(*arguments)
