"""A Ray cluster of two nodes on loopback: it makes what this process makes, byte for byte, also when a node dies."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from atelier import recommenders
from atelier.images import blocks
from atelier.images.embedding import Encoder
from atelier.images.preprocessing import Preprocessing
from atelier.studies.tuning import tune
from atelier.studies.tuning_plan import Tuning, TuningPlan
from atelier.studies.tuning_trial import Workers
from benchmarks.loopback_cluster import LoopbackCluster, loopback_cluster
from resources.cluster import TRIES, ClusterError, over_blocks
from resources.compute import Compute
from resources.embedding_cache import EmbeddingCache
from resources.image_worker import encoded_chunks
from resources.list_worker import SharedLists, request_of
from resources.model_store import Bundle, ModelStore
from resources.trial_worker import trial_workers
from tests.devices import one_torch_thread
from tests.resources.waiting_worker import PATIENCE, Broken, Deadly, WaitingEncoder, WaitingJudge
from tests.studies.tuning_worker import DATA, PLAN, purchases

pytestmark = pytest.mark.nightly

Listing = tuple[Path, list[str], list[str]]


@pytest.fixture(scope="module")
def nodes() -> Iterator[LoopbackCluster]:
    with loopback_cluster(nodes=2, processors=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Listing:
    """A folder, paths and digests of photographs, of which one is damaged and one is gone."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    paths = [f"{number:03d}.png" for number in range(150)]
    for path in paths:
        coarse = generator.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((50, 60), Image.Resampling.BICUBIC).save(folder / path)
    (folder / "005.png").write_bytes((folder / "005.png").read_bytes()[:200])
    digests = [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths]
    (folder / "020.png").unlink()
    return folder, paths, digests


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.build("resnet18", None, Preprocessing(resize=40, crop=32), device="cpu", batch_size=2)


def kept(root: Path, encoder: Encoder, listing: Listing, compute: Compute) -> dict[str, bytes]:
    """The files of a new cache after all photographs, by name, and beside them what was rejected."""
    folder, paths, digests = listing
    cache, rejected = EmbeddingCache(root), []
    for number, chunk in enumerate(encoded_chunks(encoder, folder, paths, digests, 64, compute)):
        names = np.array(digests[64 * number : 64 * (number + 1)])[chunk.ok]
        cache.append(encoder.encoder_id, names.tolist(), chunk.vectors)
        rejected += [str(error) for error in chunk.errors]
    files = {name: (root / name).read_bytes() for name in cache.files(encoder.encoder_id)}
    return files | {"rejected": "\n".join(rejected).encode()}


def test_the_cache_of_vectors_gets_the_same_files(
    nodes: LoopbackCluster, listing: Listing, encoder: Encoder, tmp_path: Path
) -> None:
    local = kept(tmp_path / "local", encoder, listing, Compute("cpu", 1))
    assert len(local) == 4, "three chunks, and what was rejected"
    assert b"005.png" in local["rejected"]
    assert b"020.png" in local["rejected"]
    assert kept(tmp_path / "ray", encoder, listing, Compute("cpu", 1, "ray", nodes.address)) == local


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelStore, dict[str, Bundle], list[str]]:
    """Three models in a store, and the customers: of some only ``popular`` can say anything."""
    random = np.random.default_rng(0)
    customers = [f"c{number:03d}" for number in range(300)]
    rows = pd.DataFrame(
        {
            "customer_id": random.choice(customers, 6000),
            "article_id": [f"a{number:02d}" for number in random.integers(0, 90, 6000)],
            "occurred_at": pd.Timestamp("2020-03-01") + pd.to_timedelta(random.permutation(6000), unit="min"),
            "kind": "purchase",
        }
    )
    known = pd.DataFrame({"customer_id": [*customers, *(f"n{number}" for number in range(40))]})
    models = ModelStore(tmp_path_factory.mktemp("store"))
    configs = {
        "als": {"factors": 8, "threads": 1},
        "transformer": {"mode": "collaborative", "factors": 8, "hidden": [8], "heads": 2, "max_epochs": 1},
        "popular": {},
    }
    day = pd.Timestamp("2020-03-20").date()
    published = {
        name: models.publish(
            f"{name}_model",
            day,
            recommenders.build(name, **config).fit(rows, customers=known).save,
            {},
            seed=0,
            code_version="",
            run_id="",
        )
        for name, config in configs.items()
    }
    return models, published, known["customer_id"].tolist()


@pytest.mark.parametrize("name", ["als", "transformer"])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_are_the_same_in_the_same_order(
    nodes: LoopbackCluster, bundles: tuple[ModelStore, dict[str, Bundle], list[str]], name: str, exclude_seen: bool
) -> None:
    models, published, customers = bundles
    request = replace(
        request_of(models, published[name], published["popular"], None, k=12, explained_ranks=3), batch_size=16
    )
    local, shared = (
        list(SharedLists(request, compute).lists(customers, exclude_seen))
        for compute in (Compute("cpu", 1), Compute("cpu", 1, "ray", nodes.address))
    )
    assert len(shared) == len(local) > 20
    assert all(here.to_pylist() == there.to_pylist() for here, there in zip(local, shared, strict=True))
    assert sum(map(len, shared)) == 340 * 12


def test_what_is_wrong_with_a_block_is_said_as_it_is(nodes: LoopbackCluster) -> None:
    block = pa.record_batch({"x": pa.array([1, 2, 3])})
    with pytest.raises(ValueError, match="3 rows are too many"):
        list(over_blocks(Compute("cpu", 1, "ray", nodes.address), Broken, {}, [block]))


def test_a_block_that_kills_every_process_is_given_up(nodes: LoopbackCluster, tmp_path: Path) -> None:
    given = [pa.record_batch({"x": pa.array([number])}) for number in (2, 1, 0, 3)]
    made = over_blocks(Compute("cpu", 1, "ray", nodes.address), Deadly, {"folder": tmp_path}, given)
    with pytest.raises(ClusterError, match=r"^3 processes of the cluster died while they had block 2 \(1 rows\)"):
        list(made)
    assert len(list(tmp_path.glob("killed *"))) == TRIES


@contextmanager
def second_node_dies(folder: Path) -> Iterator[LoopbackCluster]:
    """A cluster whose second node is killed once it is at work; only then the workers, which wait for it, go on."""
    with loopback_cluster(nodes=2, processors=1) as cluster:
        second = cluster.nodes[1]

        def kill() -> None:
            until = time.monotonic() + PATIENCE
            while not list(folder.glob("at work on 127.0.0.3 *")) and time.monotonic() < until:
                time.sleep(0.1)
            cluster.kill(second)
            (folder / "go").touch()

        killer = threading.Thread(target=kill)
        killer.start()
        yield cluster
        killer.join()


def test_a_killed_node_costs_time_and_nothing_else(listing: Listing, encoder: Encoder, tmp_path: Path) -> None:
    folder, paths, digests = listing
    expected = encoder.encode(paths, folder, digests)
    cut = blocks.blocks_of(paths, digests, encoder.batch_size)
    given = {"folder": tmp_path, "given": blocks.arguments(encoder, folder)}
    with second_node_dies(tmp_path) as cluster:
        made = list(over_blocks(Compute("cpu", 1, "ray", cluster.address), WaitingEncoder, given, cut))
    assert list(tmp_path.glob("at work on 127.0.0.3 *")), "the second node was at work when it was killed"
    found = blocks.joined(paths, (batch for each in made for batch in each))
    assert found.vectors.tobytes() == expected.vectors.tobytes()
    assert list(map(str, found.errors)) == list(map(str, expected.errors))


# ---- trials of tune


@pytest.fixture
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def told(found: Tuning) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in found.trials]


def tuned(plan: TuningPlan, workers: Workers | None, storage: Path) -> Tuning:
    return tune(*purchases(), plan, workers=workers, storage=storage, data=DATA)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("at_once", [1, 2])
def test_trials_are_those_of_one_process(nodes: LoopbackCluster, tmp_path: Path, at_once: int) -> None:
    """Nine trials: some are pruned, so that epochs are known to the search as well."""
    plan = PLAN.model_copy(update={"at_once": at_once, "trials": 9})
    with trial_workers(Compute("cpu", 1, "ray", nodes.address)) as workers:
        assert workers is not None
        assert workers.room == 2
        there = tuned(plan, workers, tmp_path / "there.db")
    here = tuned(plan, None, tmp_path / "here.db")
    assert there.study == here.study
    assert "pruned" in {trial.state for trial in here.trials}
    assert there.best == here.best.model_copy(update={"seconds": there.best.seconds})
    assert told(there) == told(here)


@pytest.mark.usefixtures("one_thread")
def test_a_killed_node_costs_a_search_no_trial(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"at_once": 2, "trials": 4})
    expected = tuned(plan, None, tmp_path / "here.db")
    with second_node_dies(tmp_path) as cluster, trial_workers(Compute("cpu", 1, "ray", cluster.address)) as workers:
        assert workers is not None
        share = workers.share
        waiting = replace(workers, share=lambda judge: share(WaitingJudge(judge.plan, judge.task, tmp_path)))
        found = tuned(plan, waiting, tmp_path / "there.db")
    assert list(tmp_path.glob("at work on 127.0.0.3 *")), "the second node was at work when it was killed"
    assert told(found) == told(expected)
