"""Devices to try everything on that takes one: the processor, and CUDA where there is any; and how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")),
]


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread within the block, as each process of a cluster does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
