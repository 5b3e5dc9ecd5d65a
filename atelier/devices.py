"""The device that tensors lie on, its random numbers, and the precision of products of matrices on it.

What belongs here: choosing a device, and what PyTorch does or answers differently for a processor and a GPU. What does
not: the number of threads (:mod:`resources.compute`), any computation.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from atelier.errors import AtelierError

Precision = Literal["auto", "float32", "bfloat16"]

PROBED = 512
"""Rows and columns of the matrices that are multiplied to see which precision is faster: a millisecond in float32."""
LEAST_GAIN = 0.8
"""Of the time in float32, what bfloat16 may take at most to be worth it."""


def choose_device(device: str | torch.device) -> torch.device:
    """The device of that name; ``auto`` is CUDA where torch finds one, else the processor.

    Raises:
        AtelierError: CUDA is demanded and torch finds none.
    """
    available = torch.cuda.is_available()
    if str(device) == "auto":
        return torch.device("cuda" if available else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and not available:
        raise AtelierError(
            f"device is {str(device)!r}, but torch finds no CUDA device; install the driver and a CUDA build of torch, "
            "or set the device to 'auto' or 'cpu'"
        )
    return chosen


def copied(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of main memory on the device, where the processor does not wait for the copy; itself on a processor."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def has_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster on the device than in float32, because it has instructions for them.

    A processor is asked for its instructions, and then tried: a virtual machine may name instructions that it emulates,
    and ``ONEDNN_MAX_CPU_ISA`` keeps the library for products from using them.
    """
    if device.type == "cuda":  # PyTorch's own answer is also yes where it would emulate them
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16")) and _bfloat16_is_faster()


@cache
def _bfloat16_is_faster() -> bool:
    """Whether the processor multiplies matrices of bfloat16 in less time than those of float32.

    With AMX they take a seventh of the time, emulated five times as much or more, so that the answer is the same on
    each start, however busy the machine is. Of processors with AVX512-BF16 alone none was at hand: a gain of less than
    a fifth, which might come and go from start to start, counts as none.
    """
    return _product_seconds(torch.bfloat16) < LEAST_GAIN * _product_seconds(torch.float32)


def _product_seconds(dtype: torch.dtype) -> float:
    """The least processor seconds of this thread in three products, after one that lets the library choose its code."""
    matrix = torch.ones(PROBED, PROBED, dtype=dtype)
    seconds = []
    for _ in range(4):
        before = time.thread_time()
        torch.mm(matrix, matrix)
        seconds.append(time.thread_time() - before)
    return min(seconds[1:])


@contextmanager
def own_random_state(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Let torch draw from a random state that ends with the block; the caller's is neither changed nor, seeded, read.

    Args:
        device: whose generator is used beside the processor's.
        seed: None: the block starts from a copy of the caller's state.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:  # torch.manual_seed would seed all GPUs, of which the fork restores one
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        yield


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Let a processor give the same bits every time, at a fixed number of threads; a GPU is left as it is.

    Without it PyTorch adds up the gradients of rows that were read several times (``vectors[rows]``) in whatever order
    its threads come, so that weights differ from one training to the next.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic  # its attribute is not in the stubs
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        settings.fill_uninitialized_memory = filled


@contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Products of matrices in bfloat16 where ``precision``, or for ``auto`` the device, says so.

    It is meant for training and for the vectors of images: attributes and recommendations are predicted in float32.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted):
        yield
