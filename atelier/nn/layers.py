"""Layers that several networks are built from.

What belongs here: small PyTorch modules without knowledge of their input. What does not: whole networks, embeddings
(:mod:`atelier.nn.embeddings`).
"""

from typing import cast

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
