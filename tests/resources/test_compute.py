"""The choice of a device and of threads."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from atelier.errors import AtelierError
from resources import compute
from resources.compute import Compute, gpu_pool, pin_threads

HERE = Path(compute.__file__).parents[1]


def run(code: str, **environment: str) -> str:
    """What a fresh Python prints."""
    inherited = {k: v for k, v in os.environ.items() if k != compute.BLAS_THREADS}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE, env=inherited | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_it_loads_neither_numpy_nor_torch() -> None:
    code = "import sys, resources.compute; print([m for m in ('numpy', 'torch', 'dagster') if m in sys.modules])"
    assert run(code) == "[]"


BLAS = """
from threadpoolctl import threadpool_info
print({library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
"""


@pytest.mark.parametrize("order", ["before", "after"])
def test_blas_gets_one_thread_before_and_after_numpy(order: str) -> None:
    pin = "from resources.compute import pin_threads; pin_threads()"
    lines = [pin, "import numpy"] if order == "before" else ["import numpy", pin]
    assert run("\n".join([*lines, BLAS])) == "{1}"


def test_what_the_environment_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compute.BLAS_THREADS, "2")
    monkeypatch.delitem(sys.modules, "numpy", raising=False)  # as before its first import
    pin_threads()
    assert os.environ[compute.BLAS_THREADS] == "2"


FAULTS = """
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
len(b"x" * (64 << 20))
before = faults()
for _ in range(10):
    len(b"x" * (64 << 20))
print(faults() - before)
"""
"""Page faults of ten blocks of 64 MiB, each freed before the next, after a first one."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc reads these settings")
def test_processes_started_later_keep_the_memory_that_they_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compute.ALLOCATOR, "")  # so that it is put back afterwards as it was
    monkeypatch.delenv(compute.ALLOCATOR)
    compute.keep_freed_memory()
    kept = os.environ[compute.ALLOCATOR]
    assert int(run(FAULTS)) < 100
    # Without large pages, which may hide that blocks go back to the system: a block has 16,384 pages.
    small = kept.replace("hugetlb=1", "hugetlb=0")
    assert int(run(FAULTS, **{compute.ALLOCATOR: small})) < 1_000
    monkeypatch.setenv(compute.ALLOCATOR, "glibc.malloc.hugetlb=0")
    compute.keep_freed_memory()
    assert os.environ[compute.ALLOCATOR] == "glibc.malloc.hugetlb=0"


def test_auto_takes_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Compute().torch_device().type == "cuda"
    assert Compute("cpu").torch_device().type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Compute().torch_device().type == "cpu"
    with pytest.raises(AtelierError, match=r"'cuda'.*no CUDA device.*'auto'"):
        Compute("cuda").torch_device()


def test_threads_are_set_and_recorded() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        assert Compute("cpu", threads=1).apply() == torch.device("cpu")
        described = Compute("cpu", threads=1).describe()
    finally:
        torch.set_num_threads(before)
    assert described["torch_threads"] == 1
    assert described["device"] == "cpu"
    assert described["device_name"]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="device must be"):
        Compute("tpu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="threads"):
        Compute(threads=0)


def test_the_pool_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_pool("cuda") == "gpu"
    assert gpu_pool("cpu") is None
    monkeypatch.setattr(Path, "exists", lambda self: self.name == "nvidiactl")
    assert gpu_pool() == "gpu"
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert gpu_pool() is None
