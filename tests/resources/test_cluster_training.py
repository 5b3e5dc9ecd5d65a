"""Training on a cluster, as far as it can be tested without one: what is sent, tried again, raised and refused."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atelier.nn.replicas import ALONE, ReplicaLostError, Replicas
from resources import cluster_training
from resources.attribute_fit import fitted_and_evaluated
from resources.cluster import TRIES, ClusterError
from resources.cluster_calls import CallLost
from resources.cluster_training import fit_on_cluster, interface_of
from resources.compute import Compute
from resources.compute_settings import ComputeSettings, compute_of
from resources.recommender_fit import RecommenderFit, fitted, replicas_of
from tests.attributes.conftest import plant
from tests.resources.training_worker import ATTRIBUTES, recommender_fit

TOGETHER = Compute("cpu", 1, "ray", training_workers=2)


class WorkerGroupError(Exception):
    """In the place of Ray's: what failed in each process, by its number."""

    def __init__(self, failures: dict[int, BaseException]) -> None:
        super().__init__("some failed")
        self.worker_failures = failures


class ControllerError(Exception):
    """In the place of Ray's: what failed beside the processes."""

    def __init__(self, failure: BaseException) -> None:
        super().__init__("not started")
        self.controller_failure = failure


class WorkerGroupStartupTimeoutError(Exception):
    """In the place of Ray's."""


class Dead(Exception):
    """In the place of Ray's errors that say that a process is gone."""

    __module__ = "ray.exceptions"


def lost(rank: int = 1) -> WorkerGroupError:
    return WorkerGroupError({rank: Dead("the node died"), 1 - rank: ReplicaLostError("closed")})


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How groups of processes end, one after the other, on a cluster of two processors."""
    listed: list[Any] = []
    train = SimpleNamespace(WorkerGroupError=WorkerGroupError, ControllerError=ControllerError)
    nodes = [{"Alive": True, "Resources": {"CPU": 1.0}} for _ in range(2)]
    ray = SimpleNamespace(train=train, put=lambda what: what, nodes=lambda: nodes)

    @contextmanager
    def connected(_: Compute) -> Any:
        yield ray

    def together(_: Compute, given: dict[str, Any]) -> Any:
        end = listed.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setitem(sys.modules, "ray.train", train)
    monkeypatch.setattr(cluster_training, "connected", connected)
    monkeypatch.setattr(cluster_training, "_together", together)
    return listed


def test_a_group_of_which_one_was_lost_is_started_anew(ends: list[Any]) -> None:
    ends += [lost(), lost(0), "made"]
    assert fit_on_cluster(TOGETHER, str) == "made"


def test_groups_that_are_lost_again_and_again_are_given_up(ends: list[Any]) -> None:
    ends += [lost()] * 9
    with pytest.raises(CallLost, match=r"of 3 groups of processes .* one was lost, the last time so: the node died"):
        fit_on_cluster(TOGETHER, str)
    assert len(ends) == 9 - TRIES


def test_what_a_fit_raised_is_raised_as_it_was_and_not_tried_again(ends: list[Any]) -> None:
    error = ValueError("no such column")
    ends += [WorkerGroupError({0: ReplicaLostError("closed"), 1: error}), "made"]
    with pytest.raises(ValueError, match="no such column") as raised:
        fit_on_cluster(TOGETHER, str)
    assert raised.value is error
    assert ends == ["made"]


def test_where_the_cluster_is_busy_it_waits(ends: list[Any]) -> None:
    ends += [ControllerError(WorkerGroupStartupTimeoutError())] * 9 + ["made"]
    assert fit_on_cluster(TOGETHER, str) == "made"


def test_a_training_that_cannot_be_started_says_why(ends: list[Any]) -> None:
    ends += [ControllerError(ValueError("mistake"))]
    with pytest.raises(ClusterError, match="did not start the training: not started"):
        fit_on_cluster(TOGETHER, str)


def test_a_cluster_that_is_too_small_is_named(ends: list[Any]) -> None:
    with pytest.raises(
        ClusterError, match=r"training_workers is 3, .* has room for 2 processes with 1 processors each"
    ):
        fit_on_cluster(Compute("cpu", 1, "ray", training_workers=3), str)


# ---- which fits go there


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would go to the cluster, and is done here."""
    listed: list[Any] = []

    def here(_: Compute, fit: Any) -> Any:
        listed.append(fit)
        return fit(Replicas())

    monkeypatch.setattr(cluster_training, "fit_on_cluster", here)
    return listed


def test_networks_are_sent_and_other_models_are_not(sent: list[Any], tmp_path: Path) -> None:
    fit = recommender_fit("hybrid", tmp_path / "state")
    there, here = fitted(fit, TOGETHER), fitted(fit, Compute("cpu", 1, "ray"))
    assert sent == [fit]
    assert (there.weights["articles"] == here.weights["articles"]).all()
    assert there.replicas is None
    assert there.training_state is None
    als = RecommenderFit("als", {"factors": 4, "iterations": 1, "threads": 1}, "cpu", fit.data)
    assert fitted(als, TOGETHER).name == "als"
    assert sent == [fit]


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("hybrid", {}, 2),
        ("sequencer", {}, 2),
        ("transformer", {}, 2),
        ("transformer", {"loss": "in_batch"}, 1),
        ("als", {}, 1),
        ("two_tower", {}, 1),
    ],
)
def test_how_many_processes_train_a_model(name: str, config: dict[str, Any], expected: int) -> None:
    model = RecommenderFit(name, config, "cpu", (None, None, None)).model()
    assert replicas_of(model, TOGETHER) == expected
    assert replicas_of(model, Compute("cpu", 1)) == 1


def test_an_attribute_model_is_sent(sent: list[Any], tmp_path: Path) -> None:
    planted = plant(120)
    config = ATTRIBUTES.model_copy(update={"max_epochs": 1})
    given: dict[str, Any] = {"test_share": 0.1, "seed": 0, "device": "cpu", "state": tmp_path / "state"}
    (there, figures), (_, expected) = (
        fitted_and_evaluated(planted.articles, planted.labels, config, compute, **given)
        for compute in (TOGETHER, Compute("cpu", 1))
    )
    assert len(sent) == 1
    assert there.replicas is ALONE
    assert there.training_state is None
    assert figures.equals(expected)
    assert not (tmp_path / "state").exists()


# ---- settings and addresses


def test_the_settings_say_how_many_processes_train() -> None:
    assert compute_of(ComputeSettings(executor="ray")).training_workers == 1
    assert compute_of(ComputeSettings(executor="ray", training_workers=4)).training_workers == 4
    with pytest.raises(ValueError, match=r'executor is "local".*write executor = "ray", or remove training_workers'):
        ComputeSettings(training_workers=2)
    with pytest.raises(ValueError, match="training_workers must be 1 where the executor is local"):
        Compute("cpu", 1, training_workers=2)
    assert compute_of(ComputeSettings(training_workers=1)) == Compute()


@pytest.mark.skipif(sys.platform != "linux", reason="interfaces are asked for by Linux's own requests")
def test_the_interface_of_an_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("127.0.0.3") == "lo", "a node on loopback has an address of its own"
    assert interface_of("203.0.113.9") is None
    assert interface_of("::1") is None
