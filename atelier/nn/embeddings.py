"""Embeddings of which a step reads, and moves, only few rows.

What belongs here: the matrix of vectors and the step that moves its rows. What does not: content
(:mod:`atelier.nn.content_features`), networks.
"""

import torch
from torch import Tensor, nn

EMBEDDING_LENGTH = 0.3
"""The initial length of an embedding: short, so that one that is never trained has little influence."""


class RowEmbedding(nn.Module):
    """Embeddings of which only the rows in use are read, and moved by Adagrad.

    A row without gradient stays where it is under Adagrad, so this equals ``torch.optim.Adagrad`` on the whole matrix
    at the cost of the rows in use. Both matrices are buffers, not parameters: no other optimiser moves them, and they
    follow the module to a device and into its state.

    Args:
        rows: how many there are.
        factors: length of each.
        learning_rate: Adagrad's.
        random: for the first values.

    Attributes:
        weight: float32 [rows, factors].
        squares: float32 [rows, factors], the sums of squared gradients.
    """

    def __init__(self, rows: int, factors: int, learning_rate: float, random: torch.Generator) -> None:
        super().__init__()
        self.weight: Tensor
        self.squares: Tensor
        first = torch.randn(rows, factors, generator=random).mul_(EMBEDDING_LENGTH / factors**0.5)
        self.register_buffer("weight", first)
        self.register_buffer("squares", torch.zeros(rows, factors))
        self._rate = learning_rate

    def leaf(self, rows: Tensor) -> Tensor:
        """The given rows (distinct, int64 [n]) as a tensor that gathers a gradient, [n, factors]."""
        return self.weight[rows].requires_grad_()

    def step(self, rows: Tensor, leaf: Tensor) -> None:
        """Move the rows by the gradient that their leaf gathered."""
        if leaf.grad is None:
            return
        squares = self.squares[rows].addcmul_(leaf.grad, leaf.grad)
        self.squares[rows] = squares
        self.weight[rows] = leaf.detach().addcdiv(leaf.grad, squares.sqrt_().add_(1e-10), value=-self._rate)

    def learned(self) -> Tensor:
        """The embeddings; zero for rows that no training step has moved, whose values are only the initial ones."""
        return self.weight * (self.squares > 0).any(1, keepdim=True)
