"""The precision of training: products of matrices in bfloat16 where it helps.

What belongs here: the choice and its context. What does not: prediction, which is always float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from atelier.attributes.config import AttributeConfig
from atelier.devices import has_bfloat16


@contextmanager
def autocast(config: AttributeConfig, device: torch.device) -> Iterator[None]:
    """Products of matrices in bfloat16 where the config, or for ``auto`` the processor, says so."""
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted):
        yield
