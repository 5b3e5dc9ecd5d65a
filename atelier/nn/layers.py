"""Layers that several networks are built from.

What belongs here: small PyTorch modules without knowledge of their input. What does not: whole networks, embeddings
(:mod:`atelier.nn.embeddings`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.nn.batch_norm import BatchNorm


class Dense(nn.Module):
    """A dense layer with batch normalisation: [b, inputs] → [b, units]."""

    def __init__(self, inputs: int, units: int, dropout: float) -> None:
        super().__init__()
        self.inputs = inputs
        self.linear = nn.Linear(inputs, units, bias=False)  # the normalisation has its own
        self.norm = BatchNorm(units)
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


class JoinedLayers(nn.Module):
    """Dense layers over states that are joined with a vector of their whole sequence.

    [b, length, width] and [b, extra] → [b, length, last of ``widths``]

    Args:
        width: of the states.
        extra: length of the sequence's vector; 0: there is none.
        widths: of the layers, at least one.
        dropout: share of what the first layer reads dropped in training.
        rectified: whether a leaky ReLU (slope 0.01) follows each layer.
    """

    def __init__(self, width: int, extra: int, widths: Sequence[int], dropout: float, *, rectified: bool) -> None:
        super().__init__()
        self.extra, self.rectified, self.dropout = extra, rectified, FastDropout(dropout)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise((width + extra, *widths)))

    def forward(self, states: Tensor, vectors: Tensor | None) -> Tensor:
        """Apply the layers.

        Raises:
            ValueError: the vectors of the sequences are missing, or there should be none.
        """
        if (vectors is None) != (self.extra == 0):
            raise ValueError(f"the layers were made for vectors of {self.extra} numbers beside the states")
        x = states
        if vectors is not None:
            x = torch.cat((states, vectors[:, None].expand(-1, states.shape[1], -1)), dim=2)
        x = cast(Tensor, self.dropout(x))
        for layer in self.layers:
            x = functional.leaky_relu(layer(x)) if self.rectified else layer(x)
        return x


def unset_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with weights yet to be set, which leaves PyTorch's global random state alone."""
    return cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs))  # type: ignore[no-untyped-call]
