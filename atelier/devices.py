"""What a device can do, and the precision that products of matrices take on it.

What belongs here: questions about a processor or a GPU that PyTorch answers differently for each. What does not: which
device is used (:mod:`resources.compute`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for products in bfloat16; without them they are slower than in float32."""
    if device.type == "cuda":  # PyTorch's own answer is also yes where it would emulate them
        return torch.cuda.get_device_capability(device) >= (8, 0)
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


@contextmanager
def autocast(precision: Precision, device: torch.device) -> Iterator[None]:
    """Products of matrices in bfloat16 where ``precision``, or for ``auto`` the device, says so.

    It is meant for training: predictions are always float32.
    """
    wanted = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted):
        yield
