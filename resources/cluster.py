"""A Ray cluster, where one machine is not enough: blocks of rows through a pool of workers on many machines.

What belongs here: connecting to the cluster, its room, handing out blocks and taking back in order what was made of
them. What does not: single calls (:mod:`resources.cluster_calls`), any computation; whoever hands out blocks says
which function of :mod:`atelier` is to be called.

Ray is imported where a setting asks for it and nowhere else: it is an extra of the package. Ray sends functions and
data between its own processes as pickles, so whoever reaches its ports may run code there (SECURITY.md); nothing that
it sends is kept in a file of ours.
"""

import logging
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from atelier.errors import AtelierError
from resources.compute import Compute, pin_threads

if TYPE_CHECKING:
    import pyarrow as pa

MADE = "made"
#: What Ray itself reads: whether its ports want a token, which stands in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.
AUTHENTICATION = "RAY_AUTH_MODE"
#: Processes that a block or a call may cost before it is given up.
TRIES = 3
#: Seconds within which the head of the cluster has to take a connection.
PATIENCE = 5.0


class ClusterError(AtelierError):
    """Work cannot be shared out on a cluster; the message says why, and what to do."""


class ClusterUnreachable(ClusterError, ConnectionError):
    """The cluster does not answer; a later attempt may find it."""


class Worker(Protocol):
    """What a process of the cluster does with each block that it is handed."""

    def __call__(self, block: "pa.RecordBatch") -> "Iterable[pa.RecordBatch]":
        """What is made of the block; it must depend on nothing but the block and the worker's own arguments."""
        ...


def over_blocks(
    compute: Compute, make: Callable[..., Worker], arguments: Mapping[str, Any], blocks: "Sequence[pa.RecordBatch]"
) -> "Iterator[list[pa.RecordBatch]]":
    """What workers on the cluster make of blocks, in the order of the blocks, as it becomes ready.

    Each worker is made once and takes one block after another. Where a worker or its machine is lost, others do its
    blocks again, which gives the same, because a worker depends on its block alone. A block that :data:`TRIES`
    processes began in vain is given up: it may be what kills them.

    Args:
        compute: the cluster's address, how many workers, and the device and threads of each.
        make: makes a worker: a function or class of a module, which every machine must be able to import, in the same
            version.
        arguments: of ``make``; they are sent once to each machine.
        blocks: identifiers, paths or other small rows: they are all sent at the beginning.

    Yields:
        For each block what its worker made of it.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterError: Ray is not installed, no machine of the cluster has room, one has another version of the code, or
            a block was given up.
    """
    if not blocks:
        return
    with connected(compute) as ray:
        workers = min(len(blocks), room(ray, compute))
        yield from _streamed(ray, compute, workers, make, arguments, blocks)


@contextmanager
def connected(compute: Compute) -> Iterator[ModuleType]:
    """Ray, connected to the cluster for the time of the block; a connection that is there already is used and stays.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterError: Ray is not installed, or the cluster is on other machines and anybody may use it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    _check_token(compute.address)
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            'compute.executor is "ray", and Ray is not installed: install atelier[ray], or write executor = "local"'
        ) from error
    if ray.is_initialized():
        yield ray
        return
    _knock(compute.address)
    try:
        with own_signals(signal.SIGTERM):
            _join(ray, compute.address)
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def own_signals(*numbers: signal.Signals) -> Iterator[None]:
    """Keep what this process does on signals, SIGTERM for example, by which Dagster ends a step; Ray sets its own.

    Both only happen in the main thread; lists are asked for by a thread of DuckDB's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def room(ray: ModuleType, compute: Compute) -> int:
    """How many workers the cluster has room for, and no more than ``compute.workers``.

    Raises:
        ClusterError: no machine has as many processors as a worker has threads, or a card where it computes on one.
    """
    found = places(ray, compute)
    return min(found, compute.workers or found)


def places(ray: ModuleType, compute: Compute) -> int:
    """How many processes the machines of the cluster have room for, each with a worker's threads or its card.

    Raises:
        ClusterError: there is room for none.
    """
    cards = compute.torch_device().type == "cuda"
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    each = [int(min(one.get("CPU", 0) // compute.threads, one.get("GPU", 0) if cards else 1e9)) for one in found]
    if not sum(each):
        raise ClusterError(
            f"no machine of the cluster at {compute.address} has {compute.threads} processors"
            f"{' and a card' if cards else ''} for a worker; start nodes that have (`ray start --num-cpus`), or lower "
            "compute.threads"
        )
    return sum(each)


class Attempts:
    """How many processes have begun each block and not ended it, counted in a process of its own.

    Ray Data itself begins a block without end that kills every process which takes it.
    """

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, block: int) -> int:
        """Count one more process that begins a block; how many there are, this one included."""
        self._begun[block] += 1
        return self._begun[block]

    def end(self, block: int) -> None:
        """The process lived: a block whose result is lost with a machine may be made again however often."""
        self._begun[block] -= 1


class Loaded:
    """A worker in a process of the cluster; blocks reach it, and what it makes of them leaves it, as Arrow's bytes.

    Args:
        make: makes the worker.
        arguments: a list of one reference, to the arguments of ``make``; Ray would resolve it outside of a list.
        compute: the device and the threads.
        code: the version of the code of the process that hands out the blocks.
        attempts: :class:`Attempts`, as Ray reaches it.

    Raises:
        ClusterError: the code of this machine has another version.
    """

    def __init__(self, make: Callable[..., Worker], arguments: Any, compute: Compute, code: str, attempts: Any) -> None:
        [given] = arrived(arguments, compute, code)
        self._worker, self._attempts = make(**given), attempts

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        """One row for each row of ``rows``: the number of a block, and the block.

        Raises:
            ClusterError: a block is given up.
        """
        import pyarrow as pa

        made = [self._made(number.as_py(), _batch(block.as_py())) for number, block in zip(*rows.columns, strict=True)]
        return pa.table({MADE: pa.array(made, pa.list_(pa.large_binary()))})

    def _made(self, number: int, block: "pa.RecordBatch") -> list[bytes]:
        import ray

        if ray.get(self._attempts.begin.remote(number)) > TRIES:
            raise ClusterError(
                f"{TRIES} processes of the cluster died while they had block {number} ({block.num_rows:,} rows): "
                "Ray's logs say what ended them; where it was memory, take machines that have more, or fewer workers "
                "on each"
            )
        made = [_bytes(each) for each in self._worker(block)]
        ray.get(self._attempts.end.remote(number))
        return made


def arrived(references: Any, compute: Compute, code: str) -> list[Any]:
    """What was sent to this process of the cluster, which from here on computes like the one that sent it.

    Raises:
        ClusterError: the code of this machine has another version than ``code``.
    """
    own = workers_code()
    if own != code:
        raise ClusterError(
            f"{socket.gethostname()} has another version of Atelier ({own}) than the machine that hands out the "
            f"work ({code}): install the same on all machines of the cluster"
        )
    import ray

    pin_threads()
    compute.apply()
    found: list[Any] = ray.get(references)
    return found


def _streamed(
    ray: ModuleType,
    compute: Compute,
    workers: int,
    make: Callable[..., Worker],
    arguments: Mapping[str, Any],
    blocks: "Sequence[pa.RecordBatch]",
) -> "Iterator[list[pa.RecordBatch]]":
    """The blocks through a pool of at most ``workers``, by Ray Data."""
    import pyarrow as pa
    from ray.data import ActorPoolStrategy, from_arrow
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    rows = [
        pa.table({"number": [number], "block": pa.array([_bytes(block)], pa.large_binary())})
        for number, block in enumerate(blocks)
    ]
    data = from_arrow(rows)
    data.context.execution_options.preserve_order = True
    data.context.enable_progress_bars = False  # our own says how many photographs or customers there are
    data.context.raise_original_map_exception = True
    sent = ray.put(dict(arguments))
    # On this machine, without which there is no step: no other machine that is lost takes the counts with it.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    counter = ray.remote(Attempts).options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)
    # The pool may shrink to one: a worker whose machine was lost starts again where another has become idle.
    pool = ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers)
    made = data.map_batches(
        Loaded,
        fn_constructor_args=(make, [sent], compute, workers_code(), counter.remote()),
        batch_size=1,  # one block is one row; where workers have cards, Ray refuses to be told nothing
        batch_format="pyarrow",
        compute=pool,
        num_cpus=compute.threads,
        num_gpus=1 if compute.torch_device().type == "cuda" else None,
    )
    try:
        for table in made.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
            for row in table[MADE]:
                yield [_batch(each) for each in row.as_py()]
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error  # its own message is the traceback of the other process


def workers_code() -> str:
    """The version of everything that a worker may call: models are found by name, so that imports do not tell."""
    from atelier.code_version import packages_version

    return packages_version("atelier", "resources")


def _bytes(batch: "pa.RecordBatch") -> bytes:
    """A batch as Arrow's stream: it comes out as it went in, dictionaries and all, whatever Ray does with columns."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _batch(stream: bytes) -> "pa.RecordBatch":
    import pyarrow as pa

    with pa.ipc.open_stream(stream) as reader:
        return reader.read_next_batch()


def _knock(address: str) -> None:
    """Make sure that somebody listens at the address: Ray itself would go on asking for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except OSError as error:
        raise ClusterUnreachable(f"{_unreachable(address)} ({error})") from error


def _join(ray: ModuleType, address: str) -> None:
    try:
        ray.init(address=address, configure_logging=False, log_to_driver=True)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        raise ClusterUnreachable(f"{_unreachable(address)} ({error})") from error
    except RuntimeError as error:  # this machine has no node of the cluster, or something else listens there
        raise ClusterError(f"{_unreachable(address)} ({error})") from error


def _check_token(address: str) -> None:
    """Refuse a cluster of other machines that works for whoever reaches its ports.

    Raises:
        ClusterError: the address is not this machine's, and no token is asked for.
    """
    if not _is_loopback(address) and os.environ.get(AUTHENTICATION, "").lower() != "token":
        raise ClusterError(
            f"the Ray cluster at {address} is on other machines, and {AUTHENTICATION} is not `token`: whoever reaches "
            f"its ports could run code there and here. Set {AUTHENTICATION}=token and RAY_AUTH_TOKEN_PATH (or "
            "RAY_AUTH_TOKEN) on all machines before Ray is started (docs/scaling.md)"
        )


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _unreachable(address: str) -> str:
    return (
        f"the Ray cluster at {address} does not answer: start its head with `ray start --head` and join this machine "
        f"with `ray start --address={address}`, both with the same token where there is one (docs/scaling.md), correct "
        'compute.address in atelier.toml, or write executor = "local"'
    )
