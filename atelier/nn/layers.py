"""Layers that several networks are built from.

What belongs here: small PyTorch modules without knowledge of their input. What does not: whole networks, embeddings
(:mod:`atelier.nn.embeddings`).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dense(nn.Module):
    """A dense layer with batch normalisation: [b, inputs] → [b, units]."""

    def __init__(self, inputs: int, units: int, dropout: float) -> None:
        super().__init__()
        self.inputs = inputs
        self.linear = nn.Linear(inputs, units, bias=False)  # the normalisation has its own
        self.norm = nn.BatchNorm1d(units)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return cast(Tensor, self.dropout(functional.relu(self.norm(self.linear(x)))))


class FastDropout(nn.Module):
    """Dropout, whose random numbers on a processor are bytes: a quarter of PyTorch's time there.

    PyTorch draws a number for each unit, one after the other. Here one draw gives the bytes of eight units, so that the
    share is rounded to a whole number of 256ths.

    Args:
        share: of the units dropped in training; the others are made larger by as much.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Drop units, in training mode."""
        if not self.training or not self.share:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.share)
        below = round(self.share * 256)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = (words.view(torch.uint8)[: x.numel()] >= below).view(x.shape)
        return x * kept.to(x.dtype).mul_(256 / (256 - below))


def unset_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with weights yet to be set, which leaves PyTorch's global random state alone."""
    return cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs))  # type: ignore[no-untyped-call]
