"""What a step computes on: the device, the number of threads, this machine alone or a cluster.

What belongs here: choosing and recording them, so that a figure's record says what it was computed on. What does not:
any computation, the cluster (:mod:`resources.cluster`). Neither NumPy nor torch is imported at the top:
``pin_threads`` must run before the first, and the code location must not wait for the second.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
ExecutorName = Literal["local", "ray"]

ADDRESS = "127.0.0.1:6379"
"""Where the head of a Ray cluster is looked for that no setting names: on this machine, at Ray's own port."""

BLAS_THREADS = "OPENBLAS_NUM_THREADS"
ALLOCATOR = "GLIBC_TUNABLES"
KEPT_MEMORY = f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={1 << 30}:glibc.malloc.trim_threshold={1 << 32}"
"""Memory comes in large pages, and blocks up to 1 GiB go back to the process and not to the system when they are freed.
"""
GPU_POOL = "gpu"
"""The Dagster pool that steps on a GPU share; give it as many slots as there are GPUs."""


def pin_threads() -> None:
    """Let OpenBLAS use one thread, unless the environment says otherwise.

    With one BLAS thread ALS is four times faster and gives the same numbers on every run. OpenBLAS reads its variable
    when it is loaded; where NumPy is loaded already, the running BLAS is told directly. How OpenMP's threads wait is
    said by :mod:`atelier`.
    """
    os.environ.setdefault(BLAS_THREADS, "1")
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(int(os.environ[BLAS_THREADS]), user_api="blas")


def keep_freed_memory() -> None:
    """Let the processes that are started from now on keep what they free, unless the environment says otherwise.

    Each step of a training frees and asks for the same large blocks. By default C's allocator gives them back each
    time, and the system clears them page by page. That took about a tenth of a training of transformer. The allocator
    (glibc's, on Linux; others do not read the variable) reads its settings when a process starts, so this process stays
    as it is.
    """
    os.environ.setdefault(ALLOCATOR, KEPT_MEMORY)


def replicas_record(replicas: int) -> dict[str, int]:
    """What a recipe and a record say of the processes that train a network together: nothing of one by itself.

    Their number belongs there because it changes the last bits. One is left out: the recipes of most homes are older
    than the choice.

    Args:
        replicas: how many processes.
    """
    return {} if replicas == 1 else {"replicas": replicas}


def gpu_pool(device: Device = "auto") -> str | None:
    """The pool for steps that embed or train: ``gpu`` where they will run on CUDA, else None.

    Asked while the code location loads, so it looks for the driver's device file instead of importing torch.
    """
    if device == "auto":
        return GPU_POOL if any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg")) else None
    return GPU_POOL if device == "cuda" else None


@dataclass(frozen=True)
class Compute:
    """The device and the threads for embedding and training, and where what can be shared out is computed.

    Attributes:
        device: ``cpu``, ``cuda``, or ``auto``: CUDA where torch finds one, else the CPU.
        threads: torch's threads on the CPU. torch repeats its numbers at a fixed count, so it is config, not guessed.
        executor: ``local``: in the step's own process; ``ray``: by processes of a Ray cluster, each with as many
            threads, on the same kind of device.
        address: host and port of the cluster's head.
        workers: how many processes of the cluster at most; None: as many as it has room for.
        training_workers: how many processes of the cluster train one network together; 1: the step's own does.
    """

    device: Device = "auto"
    threads: int = 2
    executor: ExecutorName = "local"
    address: str = ADDRESS
    workers: int | None = None
    training_workers: int = 1

    def __post_init__(self) -> None:
        """Check device, threads, and that there is a cluster where several processes are to train.

        Raises:
            ValueError: an unknown device, no threads, or several processes that train without a cluster.
        """
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device must be auto, cpu or cuda, not {self.device!r}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, not {self.threads}")
        if self.training_workers < 1 or (self.training_workers > 1 and self.executor == "local"):
            raise ValueError(
                f"training_workers must be 1 where the executor is local, and at least 1, not {self.training_workers}"
            )

    def torch_device(self) -> "torch.device":
        """The device to put tensors on.

        Raises:
            AtelierError: CUDA is demanded and torch finds none.
        """
        from atelier.devices import choose_device

        return choose_device(self.device)

    def apply(self) -> "torch.device":
        """Set torch's threads for this process and return the device."""
        import torch

        torch.set_num_threads(self.threads)
        return self.torch_device()

    def describe(self) -> dict[str, Any]:
        """What a run was computed on, for a materialisation's metadata: device, its name, threads, versions."""
        import torch

        device = self.torch_device()
        return {
            "device": device.type,
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
            "torch_threads": torch.get_num_threads(),
            "blas_threads": os.environ.get(BLAS_THREADS, "unset"),
            "torch_version": torch.__version__,
        }


def processor_name() -> str:
    """The processor's name, as far as the system tells."""
    import platform

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
