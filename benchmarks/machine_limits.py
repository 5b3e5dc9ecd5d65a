"""What this machine can do at most: multiply-adds, memory, disk; what docs/speed.md holds the stages against.

Run it as ``python -m benchmarks.machine_limits [--threads 1]``. Each figure is the best of ``--repeats`` runs of the
simplest code that does nothing else: a product of two large matrices, in float32 and in bfloat16; copying an array that
no cache holds; writing a file and waiting for the disk.
Products and copies are given for each second of the clock and for each processor second: the second figure holds on a
busy machine too, where it is a lower bound.

What belongs here: limits of the machine. What does not: any code of Atelier's, peers.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

from benchmarks.ratios import Seconds, in_turns

GIGA = 1e9


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=2048, help="of the square matrices")
    parser.add_argument("--megabytes", type=int, default=512, help="that are copied, and written")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args(given)


def products(size: int, dtype: torch.dtype) -> tuple[float, Callable[[], torch.Tensor]]:
    """The billions of operations (a multiply-add is two) of a product of two square matrices, and the product."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn((size, size), generator=generator).to(dtype) for _ in range(2))
    return 2 * size**3 / GIGA, lambda: a @ b


def copies(megabytes: int) -> tuple[float, Callable[[], torch.Tensor]]:
    """The billions of bytes that copying an array reads and writes, and the copy."""
    source = torch.ones(megabytes * 2**18)
    target = torch.empty_like(source)
    return 2 * source.nbytes / GIGA, lambda: target.copy_(source)


def written(megabytes: int, folder: Path) -> float:
    """Billions of bytes a second that are written to a file, until they are on the disk."""
    data = np.random.default_rng(0).bytes(megabytes * 2**20)
    started = time.perf_counter()
    with (folder / "written").open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return len(data) / GIGA / (time.perf_counter() - started)


def line(what: str, unit: str, amount: float, seconds: Seconds) -> str:
    """A line of the table."""
    return f"{what:<44}{amount / seconds.wall:>10.1f}{amount / seconds.processor:>12.1f}  {unit}"


def timed(options: argparse.Namespace) -> list[tuple[str, str, float, Seconds]]:
    """Of products in float32 and in bfloat16 and of a copy: what, its unit, how many billions, and the best seconds."""
    torch.set_num_threads(options.threads)
    operations, bytes_ = "billion operations", "billion bytes, read and written"
    tasks = [
        ("product of matrices, float32", operations, *products(options.size, torch.float32)),
        ("product of matrices, bfloat16", operations, *products(options.size, torch.bfloat16)),
        ("copy", bytes_, *copies(options.megabytes)),
    ]
    for *_, action in tasks:
        action()
    seconds, _ = in_turns(options.repeats, *(action for *_, action in tasks))
    return [(what, unit, amount, spent) for (what, unit, amount, _), spent in zip(tasks, seconds, strict=True)]


def measure(options: argparse.Namespace) -> list[str]:
    """The lines of the table."""
    lines = [f"{'':<44}{'a second':>10}{'a processor second':>20}", *(line(*each) for each in timed(options))]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        rate = max(written(options.megabytes, Path(folder)) for _ in range(options.repeats))
    return [*lines, f"{'written to disk':<44}{rate:>10.1f}{'':>12}  billion bytes"]


def main() -> None:
    """Measure and print."""
    options = arguments()
    print(f"{options.threads} threads, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    print("\n".join(measure(options)))


if __name__ == "__main__":
    main()
