"""Training on a Ray cluster on loopback: models as good as those of one process, the same ones when a node dies."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atelier.metrics import evaluate
from benchmarks.loopback_cluster import LoopbackCluster, loopback_cluster
from resources.attribute_fit import AttributeFit
from resources.cluster import TRIES
from resources.cluster_calls import CallLost
from resources.cluster_training import fit_on_cluster
from resources.compute import Compute
from resources.recommender_fit import fitted
from tests.devices import one_torch_thread
from tests.recommenders.factorisation.planted import TRUTH
from tests.resources.training_worker import Broken, Dying, WaitingFit, attribute_fit, recommender_fit
from tests.resources.waiting_worker import PATIENCE

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("one_thread")]

NOISE = 0.05
"""How far metrics of two trainings may be apart that differ in the random numbers of dropout only."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def nodes() -> Iterator[LoopbackCluster]:
    with loopback_cluster(nodes=2, processors=1) as cluster:
        yield cluster


def together(cluster: LoopbackCluster) -> Compute:
    return Compute("cpu", 1, "ray", cluster.address, training_workers=2)


def hit_rate(model: Any) -> float:
    table = evaluate(model.recommend(k=10, exclude_seen=False), TRUTH, k=10)
    return float(table.loc[(table["metric"] == "hit_rate") & (table["segment"] == "all"), "value"].iloc[0])


@pytest.fixture(scope="module")
def hybrid(nodes: LoopbackCluster) -> Any:
    """A model that two nodes trained, undisturbed."""
    return fitted(recommender_fit("hybrid"), together(nodes))


def test_hybrid_is_as_good_as_that_of_one_process(hybrid: Any) -> None:
    here = fitted(recommender_fit("hybrid"), Compute("cpu", 1))
    assert hit_rate(here) > 0.3, "chance hits one list in twelve"
    assert hit_rate(hybrid) == pytest.approx(hit_rate(here), abs=NOISE)
    assert len(hybrid.epochs) == len(here.epochs)
    hybrid.weights["articles"][:] += 0  # what came from the cluster can be written to


def test_a_sequence_model_is_as_good_as_that_of_one_process(nodes: LoopbackCluster) -> None:
    here = fitted(recommender_fit("transformer"), Compute("cpu", 1))
    there = fitted(recommender_fit("transformer"), together(nodes))
    assert hit_rate(here) > 0.2
    assert hit_rate(there) == pytest.approx(hit_rate(here), abs=NOISE)


def test_an_attribute_model_is_as_good_as_that_of_one_process(nodes: LoopbackCluster, tmp_path: Path) -> None:
    _, here = attribute_fit()()
    model, there = fit_on_cluster(together(nodes), AttributeFit(attribute_fit(), tmp_path / "state"))
    scores = [each.set_index(["attribute", "metric"])["value"]["mean", "weighted_f1"] for each in (here, there)]
    assert scores[0] > 0.8
    assert scores[1] == pytest.approx(scores[0], abs=2 * NOISE), "few labels: seeds alone move it by that"
    assert len(model.predict(attribute_fit().args[0])) > 400


def test_what_is_wrong_with_a_fit_is_said_as_it_is(nodes: LoopbackCluster) -> None:
    with pytest.raises(ValueError, match="the columns are not those of the catalogue"):
        fit_on_cluster(together(nodes), Broken())


def test_a_fit_that_kills_its_processes_is_given_up(nodes: LoopbackCluster, tmp_path: Path) -> None:
    with pytest.raises(CallLost, match="of 3 groups of processes of the cluster"):
        fit_on_cluster(together(nodes), Dying(tmp_path))
    assert len(list(tmp_path.glob("died *"))) == TRIES


@contextmanager
def busy_node_dies(folder: Path) -> Iterator[LoopbackCluster]:
    """A cluster of three nodes, of which two train: one that does, and is not the head, is killed on the way."""
    with loopback_cluster(nodes=3, processors=1) as cluster:

        def kill() -> None:
            until = time.monotonic() + PATIENCE
            while len(at_work := list(folder.glob("at work on *"))) < 2 and time.monotonic() < until:
                time.sleep(0.1)
            places = [each.name.split()[3:] for each in at_work]
            busy = [(int(address.rpartition(".")[2]) - 2, int(process)) for address, process in places]
            node, process = max(busy, default=(0, 0))
            if node:
                cluster.kill(cluster.nodes[node])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)  # it would notice after a while that its node is gone
            (folder / "go").touch()

        killer = threading.Thread(target=kill)
        killer.start()
        yield cluster
        killer.join()


def test_a_killed_node_costs_time_and_nothing_else(hybrid: Any, tmp_path: Path) -> None:
    fit = recommender_fit("hybrid", tmp_path / "state")
    with busy_node_dies(tmp_path) as cluster:
        found = fit_on_cluster(together(cluster), WaitingFit(fit, tmp_path))
    begun = {each.name.split()[3] for each in tmp_path.glob("begun at step *")}
    assert begun > {"0"}, "the second group went on from where the first was"
    assert not (tmp_path / "state").exists()
    assert found.epochs == hybrid.epochs
    for name, value in hybrid.weights.items():
        assert np.array_equal(found.weights[name], value), name
