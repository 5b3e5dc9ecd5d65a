"""Killed processes and processes that meet: the store never shows half of anything.

Everything here happens in real processes (``store_worker.py``); a kill is SIGKILL.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("store_worker.py")
FIRST = date(2020, 9, 20)
DAYS = [FIRST + timedelta(days=i) for i in range(3)]
ENCODER = "tiny-0"
NOW = timedelta(0)


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def act(action: str, version: int, root: Path | str) -> None:
    """Do the worker's action here, undisturbed."""
    spec = importlib.util.spec_from_file_location("store_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ACTIONS[action](str(root), version)


def killed_at_every_step(action: str, tmp_path: Path, steps: int) -> list[Path]:
    """Copies of a store of version 1, on the n-th of which writing version 2 was killed at the n-th step."""
    act(action, 1, tmp_path / "before")
    roots = [tmp_path / f"killed-{i}" for i in range(steps)]
    for root in roots:
        shutil.copytree(tmp_path / "before", root)
    outcomes = finish(start("killed", action, *roots)).split()
    # the sweep is complete: it killed at least a few, and the last one was no longer reached
    assert outcomes.count("killed") >= 5
    assert outcomes[-1] == "finished"
    assert outcomes == sorted(outcomes, reverse=True)
    return roots


def versions(store: FeatureStore) -> list[str]:
    """The version of each day, having checked that each is whole."""
    found = []
    for ds in DAYS:
        table = store.read("interactions", ds)
        assert np.array_equal(table["ordinal"].to_numpy(), np.arange(2_000))
        (version,) = table["customer_id"].unique().to_pylist()
        found.append(version)
    return found


def test_a_write_killed_at_any_step_leaves_whole_partitions(tmp_path: Path) -> None:
    roots = killed_at_every_step("write", tmp_path, steps=20)
    undisturbed = FeatureStore(roots[-1]).pointers()
    seen = set()
    for root in roots:
        store = FeatureStore(root, threads=1)
        seen.add(tuple(versions(store)))
        store.vacuum(NOW)
        assert not list((root / "_staging").iterdir())
        assert len(list(root.rglob("*.parquet"))) == 3  # one file per pointer and nothing else
        versions(store)
    # nothing, some or all of the pointers had flipped, in the order of the days
    assert seen == {("v1",) * 3, ("v2", "v1", "v1"), ("v2", "v2", "v1"), ("v2",) * 3}
    for root in roots[::5]:  # started again, it ends with the same files
        act("write", 2, root)
        again = FeatureStore(root).pointers()
        assert [(p.file, p.data_version) for p in again] == [(p.file, p.data_version) for p in undisturbed]


def test_a_write_killed_at_a_random_moment_leaves_a_whole_partition(tmp_path: Path) -> None:
    act("write", 1, tmp_path / "before")
    roots = [tmp_path / f"killed-{i}" for i in range(8)]
    for root in roots:
        shutil.copytree(tmp_path / "before", root)
    finish(start("random_kills", *roots))
    for root in roots:
        store = FeatureStore(root, threads=1)
        table = store.read("interactions", FIRST)
        assert table.num_rows == (2_000 if table["customer_id"][0].as_py() == "v1" else 50_000)
        assert len(table["customer_id"].unique()) == 1
        store.vacuum(NOW)
        assert not list((root / "_staging").iterdir())
        assert store.read("interactions", FIRST).equals(table)


def test_a_model_killed_in_mid_publication_leaves_the_old_one(tmp_path: Path) -> None:
    roots = killed_at_every_step("model", tmp_path, steps=14)
    contents = []
    for root in roots:
        store = ModelStore(root)
        bundle = store.bundle("als", store.pointer("als", FIRST))
        contents.append((bundle.path / "config.json").read_text())
        for folder in (root / "models" / "als").glob("*/"):
            store.bundle("als", folder.name)  # whole, pointed to or not
    assert set(contents) == {"1", "2"}
    assert contents == sorted(contents)
    act("model", 2, roots[4])
    assert ModelStore(roots[4]).pointer("als", FIRST) == ModelStore(roots[-1]).pointer("als", FIRST)


def test_vectors_killed_in_mid_append_are_all_there_or_none(tmp_path: Path) -> None:
    act("vectors", 1, tmp_path / "before")
    roots = [tmp_path / f"killed-{i}" for i in range(4)]
    for root in roots:
        shutil.copytree(tmp_path / "before", root)
    outcomes = finish(start("killed", "vectors", *roots)).split()
    assert outcomes == ["killed"] * 3 + ["finished"]
    digests = [f"{i:064x}" for i in range(10, 40)]
    for root in roots:
        cache = EmbeddingCache(root)
        missing = cache.missing(digests, ENCODER)
        assert missing in ([], digests[20:])
        act("vectors", 2, root)
        assert np.array_equal(cache.read(digests, ENCODER)[:, 3], np.arange(10, 40))


def test_writers_and_readers_meet(tmp_path: Path) -> None:
    """Two processes write the same days, one another day, while two read and vacuum: nobody fails, all is whole."""
    root = tmp_path / "store"
    act("write", 1, root)
    done = finish(start("meet", root, 3)).split()
    assert sorted(done[::2]) == ["read"] * 2 + ["wrote"] * 3
    assert min(map(int, done[1::2])) > 0
    store = FeatureStore(root)
    assert {p.run_id for p in store.pointers()} <= {"3", "4", "5"}
    versions(store)
    store.vacuum(NOW)
    assert len(list(root.rglob("*.parquet"))) == 3


def test_on_object_storage_a_write_killed_between_two_puts_leaves_whole_partitions(store_url: str) -> None:
    roots = [f"{store_url}/killed-{i}" for i in range(7)]
    for root in roots:
        act("write", 1, root)
    outcomes = finish(start("killed", "write", *roots)).split()
    assert outcomes == ["killed"] * 6 + ["finished"]
    # each day is the PUT of a file, and then that of its pointer
    seen = [versions(FeatureStore(root, threads=1)) for root in roots]
    assert [found.count("v2") for found in seen] == [0, 0, 1, 1, 2, 2, 3]
    act("write", 2, roots[1])
    assert versions(FeatureStore(roots[1])) == ["v2"] * 3
    removed = FeatureStore(roots[1]).vacuum(NOW)
    assert sum(name.endswith(".parquet") for name in removed) == 3, "the files of the first version"
    assert sum(name.startswith("_staging/") for name in removed) == 1, "what the killed process left on this machine"


def test_on_object_storage_a_model_killed_between_two_puts_leaves_the_old_one(store_url: str) -> None:
    roots = [f"{store_url}/killed-{i}" for i in range(5)]
    for root in roots:
        act("model", 1, root)
    assert finish(start("killed", "model", *roots)).split() == ["killed"] * 4 + ["finished"]
    stores = [ModelStore(root) for root in roots]
    models = [store.pointer("als", FIRST) for store in stores]
    assert models[:4] == [models[0]] * 4 != models[4:]
    # the manifest is the third file that is put: before it the new folder is no bundle
    assert [len(list(store.manifests())) for store in stores] == [1, 1, 1, 2, 2]
    act("model", 2, roots[1])
    assert stores[1].pointer("als", FIRST) == models[4]
    assert (stores[1].bundle("als", models[4]).path / "config.json").read_text() == "2"


def test_on_object_storage_writers_and_readers_meet(store_url: str) -> None:
    act("write", 1, store_url)
    done = finish(start("meet", store_url, 2)).split()
    assert sorted(done[::2]) == ["read"] * 2 + ["wrote"] * 3
    assert min(map(int, done[1::2])) > 0
    assert len(set(versions(FeatureStore(store_url)))) > 1, "the days were written by different processes"
