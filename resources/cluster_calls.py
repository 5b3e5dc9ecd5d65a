"""Single calls of one function on a Ray cluster, each begun anew where its process or its machine is lost.

What belongs here: handing out calls, giving them up. What does not: connecting to the cluster
and blocks of rows (:mod:`resources.cluster`), what is called.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, Generic, TypeVar

from resources.cluster import TRIES, ClusterError, arrived, connected, room, workers_code
from resources.compute import Compute

Given = TypeVar("Given")
Made = TypeVar("Made")


class CallLost(ClusterError):
    """Every process that a call was handed to died."""


@contextmanager
def calls(compute: Compute) -> Iterator["Calls"]:
    """Single calls on the cluster for the time of the block; those that nobody waited for are given up at its end.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterError: Ray is not installed, or no machine of the cluster has room.
    """
    with connected(compute) as ray:
        found = Calls(ray, compute)
        try:
            yield found
        finally:
            found.give_up()


class Calls:
    """Calls on a connected cluster, each by a process with the threads, or the card, of a worker.

    Args:
        ray: connected.
        compute: the device and the threads of each process, and how many at most.

    Attributes:
        room: how many are done at once; others wait.

    Raises:
        ClusterError: no machine of the cluster has room.
    """

    def __init__(self, ray: ModuleType, compute: Compute) -> None:
        self._ray, self._compute = ray, compute
        self.room = room(ray, compute)
        self._open: set[Call[Any]] = set()

    def share(self, function: Callable[[Given], Made]) -> Callable[[Given], Callable[[], Made]]:
        """What begins a call of the function, and returns what waits for it.

        Args:
            function: is sent once to each machine, with all the data that it holds; arrays arrive read-only.

        Where no machine of the cluster has room any more, both raise ClusterError.
        """
        cards = 1 if self._compute.torch_device().type == "cuda" else None
        # Ray's own repetitions have no end where a process is killed for its memory: calls are repeated here.
        remote = self._ray.remote(_called).options(num_cpus=self._compute.threads, num_gpus=cards, max_retries=0)
        sent = [self._ray.put(function)]

        def begin(given: Given) -> Callable[[], Made]:
            def started() -> Any:
                room(self._ray, self._compute)  # where the last machine was lost, a call would wait for ever
                return remote.remote(sent, self._compute, workers_code(), given)

            call: Call[Made] = Call(self._ray, started)
            self._open.add(call)
            return partial(self._waited, call)

        return begin

    def give_up(self) -> None:
        """End the calls that nobody waited for."""
        for call in self._open:
            call.cancel()
        self._open.clear()

    def _waited(self, call: "Call[Made]") -> Made:
        try:
            return call.result()
        finally:
            self._open.discard(call)


class Call(Generic[Made]):
    """One call on the cluster, begun anew where its process or its machine is lost.

    Args:
        ray: connected.
        begin: begins it, and returns the reference to its result.
    """

    def __init__(self, ray: ModuleType, begin: Callable[[], Any]) -> None:
        self._ray, self._begin = ray, begin
        self._reference = begin()

    def result(self) -> Made:
        """What the function returned; what it raised is raised.

        Raises:
            CallLost: as many processes as :data:`~resources.cluster.TRIES` died of it.
        """
        errors, attempt = self._ray.exceptions, 1
        while True:
            try:
                made: Made = self._ray.get(self._reference)
                return made
            except errors.RayTaskError as error:
                raise error.cause from error
            except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
                if attempt == TRIES:
                    raise CallLost(f"{TRIES} processes of the cluster died of it, the last one so: {error}") from error
            attempt += 1
            self._reference = self._begin()

    def cancel(self) -> None:
        """End it, with its process."""
        self._ray.cancel(self._reference, force=True)


def _called(sent: Any, compute: Compute, code: str, given: Any) -> Any:
    """What a process of the cluster does with a call.

    Args:
        sent: a list of one reference, to the function; outside of a list Ray would resolve it before the versions are
            compared.
        compute: the device and the threads.
        code: the version of the code of the process that hands out the calls.
        given: the argument of the function.
    """
    [function] = arrived(sent, compute, code)
    return function(given)
