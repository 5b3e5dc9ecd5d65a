"""Single calls on a cluster, as far as they can be tested without one: what is tried again, raised and given up."""

from types import SimpleNamespace
from typing import Any

import pytest

from resources.cluster import TRIES, ClusterError
from resources.cluster_calls import Call, CallLost, Calls
from resources.compute import Compute
from resources.trial_worker import trial_workers


class TaskError(Exception):
    """In the place of Ray's, which has what a function raised as its cause."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("with the traceback of the other process")
        self.cause = cause


class Crashed(Exception):
    """In the place of those of Ray's errors that say that a process is gone."""


class StandIn:
    """What stands in for Ray: a cluster of one processor, whose calls end as they are told to."""

    def __init__(self, *ends: Any) -> None:
        self.ends, self.begun, self.put_down, self.cancelled = list(ends), 0, 0, list[int]()
        self.options: dict[str, Any] = {}
        self.alive = True
        self.exceptions = SimpleNamespace(
            RayTaskError=TaskError, WorkerCrashedError=Crashed, NodeDiedError=Crashed, OutOfMemoryError=Crashed
        )

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": self.alive, "Resources": {"CPU": 1.0}}]

    def put(self, _: object) -> int:
        self.put_down += 1
        return self.put_down

    def remote(self, *given: object) -> Any:
        """Both what Ray makes of a function, and a call of it."""
        if len(given) == 1:
            return SimpleNamespace(options=lambda **options: self.options.update(options) or self)
        self.begun += 1
        return self.begun

    def get(self, _: int) -> Any:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force, "a fit does not look for a request to end"
        self.cancelled.append(reference)


def call(ray: StandIn) -> Call[Any]:
    return Call(ray, lambda: ray.remote(1, 2))  # type: ignore[arg-type]


def test_a_call_whose_process_died_is_begun_anew() -> None:
    ray = StandIn(Crashed(), Crashed(), "made")
    assert call(ray).result() == "made"
    assert ray.begun == TRIES == 3


def test_a_call_whose_last_machine_is_lost_does_not_wait_for_another() -> None:
    ray = StandIn(Crashed())
    wait = Calls(ray, Compute("cpu", 1)).share(str)(1)  # type: ignore[arg-type]
    ray.alive = False
    with pytest.raises(ClusterError, match="no machine of the cluster"):
        wait()
    assert ray.begun == 1


def test_a_call_that_every_process_dies_of_is_given_up() -> None:
    ray = StandIn(*[Crashed("killed for its memory")] * 9)
    with pytest.raises(CallLost, match="3 processes of the cluster died of it, the last one so: killed for its memory"):
        call(ray).result()
    assert ray.begun == TRIES


def test_what_a_function_raised_is_raised_as_it_was() -> None:
    error = MemoryError("no memory")
    ray = StandIn(TaskError(error))
    with pytest.raises(MemoryError) as raised:
        call(ray).result()
    assert raised.value is error
    assert "traceback of the other process" in str(raised.value.__cause__)
    assert ray.begun == 1, "another process would raise the same"


def test_data_is_sent_once_and_calls_that_nobody_waited_for_are_ended() -> None:
    ray = StandIn("first")
    calls = Calls(ray, Compute("cpu", 1))  # type: ignore[arg-type]
    assert calls.room == 1
    begin = calls.share(str)
    waits = [begin(number) for number in range(3)]
    assert waits[0]() == "first"
    calls.give_up()
    assert ray.put_down == 1
    assert sorted(ray.cancelled) == [2, 3]
    assert ray.options == {"num_cpus": 1, "num_gpus": None, "max_retries": 0}


def test_one_machine_runs_its_trials_itself() -> None:
    with trial_workers(Compute("cpu", 1)) as workers:
        assert workers is None
