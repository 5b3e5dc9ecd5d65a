"""Training one network by several processes of a Ray cluster together, by Ray Train.

What belongs here: starting these processes, letting them find each other, starting them anew where one is lost. What
does not: what they do together (:mod:`atelier.nn.replicas`), what is fitted (:mod:`resources.recommender_fit`,
:mod:`resources.attribute_fit`), connecting to the cluster (:mod:`resources.cluster`).
"""

import copy
import fcntl
import os
import signal
import socket
import struct
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from ipaddress import IPv4Address, IPv4Network
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from resources.cluster import TRIES, ClusterError, arrived, connected, own_signals, places, workers_code
from resources.cluster_calls import CallLost
from resources.compute import Compute

if TYPE_CHECKING:
    from atelier.nn.replicas import Replicas

Made = TypeVar("Made")

#: Linux's requests for the address of a network interface, and for the mask of its network.
ADDRESS_OF, MASK_OF = 0x8915, 0x891B
#: What the libraries that replicas talk by read: the interface that they use, and no other.
INTERFACE = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
#: What Ray Train reads: it neither changes the folder of the processes, nor keeps figures for a dashboard, nor looks
#: for announcements that machines will be taken away.
PLAIN = {"RAY_CHDIR_TO_TRIAL_DIR": "0", "RAY_TRAIN_METRICS_ENABLED": "0", "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0"}
#: What Ray Train starts for each training beside it: an actor that outlives a killed step for good, and asks a
#: dashboard, which clusters here do not have, every second whether the step lives. What it would clean up ends with the
#: step anyway.
UNWANTED = "PlacementGroupCleanerCallback"


def fit_on_cluster(compute: Compute, fit: "Callable[[Replicas], Made]") -> Made:
    """What a function makes that ``compute.training_workers`` processes of the cluster call together.

    All of them start together or not at all: where the cluster is busy, they wait for room. Where one or its machine is
    lost, all are started anew, and go on from the state that the function keeps of its training.

    Args:
        compute: the cluster's address, and the device and threads of each process.
        fit: is sent once to each machine, with all the data that it holds, and told which of the processes it is in; it
            must do the same in all of them. What the first one returns is returned.

    Raises:
        ClusterUnreachable: the cluster does not answer.
        ClusterError: Ray is not installed, the machines of the cluster have too few processors or cards, or one has
            another version of the code.
        CallLost: of as many groups as :data:`~resources.cluster.TRIES` a process was lost. What the function
            raised itself is raised.
    """
    for name, value in PLAIN.items():
        os.environ.setdefault(name, value)
    with connected(compute) as ray, own_signals(signal.SIGINT):
        given = {"sent": [ray.put(fit)], "compute": compute, "code": workers_code()}
        lost = 0
        while True:
            _check_room(ray, compute)
            try:
                made: Made = _together(compute, given)
                return copy.deepcopy(made)  # its arrays lie in Ray's memory, which ends with the connection
            except ray.train.WorkerGroupError as error:
                failures = list(error.worker_failures.values())
                for failure in failures:
                    if not is_loss(failure):
                        raise failure from error
                lost += 1
                if lost == TRIES:
                    raise CallLost(
                        f"of {TRIES} groups of processes of the cluster that were to train together one was lost, the "
                        f"last time so: {failures[0]}"
                    ) from error
            except ray.train.ControllerError as error:
                if not is_wait(error.controller_failure):
                    raise ClusterError(f"the Ray cluster did not start the training: {error}") from error


def is_loss(failure: BaseException) -> bool:
    """Whether a process failed because it, its machine or another replica was lost; otherwise its own work failed."""
    from atelier.nn.replicas import ReplicaLostError

    return isinstance(failure, ReplicaLostError) or type(failure).__module__.startswith("ray.")


def is_wait(failure: BaseException) -> bool:
    """Whether a group did not start because its processors are busy, or because a machine was lost meanwhile."""
    return type(failure).__name__ in ("WorkerGroupStartupTimeoutError", "WorkerGroupStartupFailedError")


def _check_room(ray: ModuleType, compute: Compute) -> None:
    """Make sure that the cluster is large enough, whoever uses it now.

    Raises:
        ClusterError: it is not.
    """
    found = places(ray, compute)
    if found < compute.training_workers:
        raise ClusterError(
            f"compute.training_workers is {compute.training_workers}, and the Ray cluster at {compute.address} has "
            f"room for {found} processes with {compute.threads} processors each; start more nodes, or lower "
            "compute.training_workers"
        )


def _together(compute: Compute, given: Mapping[str, Any]) -> Any:
    """One group of processes, from start to end."""
    from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    class Trainer(TorchTrainer):  # type: ignore[misc]
        def _create_default_callbacks(self) -> list[Any]:
            return [each for each in super()._create_default_callbacks() if type(each).__name__ != UNWANTED]

    cards = compute.torch_device().type == "cuda"
    with tempfile.TemporaryDirectory(prefix="ray-train-") as folder:
        trainer = Trainer(
            _replica,
            train_loop_config=dict(given),
            torch_config=_on_own_interfaces(),
            scaling_config=ScalingConfig(
                num_workers=compute.training_workers,
                use_gpu=cards,
                resources_per_worker={"CPU": compute.threads, **({"GPU": 1} if cards else {})},
            ),
            run_config=RunConfig(
                name="training",
                storage_path=folder,
                # Ray's own repetitions would repeat mistakes as well: groups are started anew here.
                failure_config=FailureConfig(max_failures=0, controller_failure_limit=0, max_preemption_failures=0),
                logging_config=LoggingConfig("ERROR"),
            ),
        )
        return trainer.fit().return_value


def _replica(given: Mapping[str, Any]) -> Any:
    """What each process does; Ray Train has connected it with the others.

    Args:
        given: ``sent``, a list of one reference, to the function; ``compute``; and ``code``, the version of the code of
            the process that began this.
    """
    compute: Compute = given["compute"]
    [fit] = arrived(given["sent"], compute, given["code"])
    from atelier.nn.replicas import Replicas

    replicas = Replicas.of_process_group(compute.torch_device())
    made = fit(replicas)
    return made if replicas.first else None


def _on_own_interfaces() -> Any:
    """Ray Train's way of connecting the processes, by the network on which Ray itself knows their machines.

    By default they would listen at the address that the machine's name stands for, also in a cluster on loopback.
    """
    from ray.train.torch import TorchConfig

    connect: Any = TorchConfig().backend_cls

    class OnOwnInterfaces(connect):  # type: ignore[misc]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(_use_own_interface)
            super().on_start(worker_group, backend_config)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type:
            return OnOwnInterfaces

    return Config()


def _use_own_interface() -> None:
    """Let what replicas send go over the network on which Ray knows this machine, unless the environment says where."""
    import ray

    name = interface_of(ray.util.get_node_ip_address())
    for variable in INTERFACE if name is not None else ():
        os.environ.setdefault(variable, name or "")


def interface_of(address: str) -> str | None:
    """The network interface of this machine that an IPv4 address belongs to; None where none is found."""
    try:
        wanted = IPv4Address(address)
    except ValueError:  # a name, or IPv6
        return None
    networks = {name: network for _, name in socket.if_nameindex() if (network := _network(name)) is not None}
    fitting = [name for name, network in networks.items() if wanted in network]
    return max(fitting, key=lambda name: networks[name].prefixlen, default=None)


def _network(interface: str) -> IPv4Network | None:
    """The network of an interface; None where it has no IPv4 address."""
    request = struct.pack("256s", interface.encode()[:15])
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:
        try:
            address, mask = (fcntl.ioctl(any_socket.fileno(), what, request)[20:24] for what in (ADDRESS_OF, MASK_OF))
        except OSError:  # it has none
            return None
    return IPv4Network((address, str(IPv4Address(mask))), strict=False)
