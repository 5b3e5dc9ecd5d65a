"""Embeddings of which a step reads, and moves, only few rows.

What belongs here: the matrix of vectors and the step that moves its rows. What does not: content
(:mod:`atelier.nn.content_features`), networks.
"""

from typing import Literal

import torch
from torch import Tensor, nn

EMBEDDING_LENGTH = 0.3
"""The initial length of an embedding: short, so that one that is never trained has little influence."""
BETAS = 0.9, 0.999
"""Of Adam, as PyTorch has them."""
SMALLEST = 1e-8
"""Of Adam, ε."""
Rule = Literal["adagrad", "adam"]


class RowEmbedding(nn.Module):
    """Embeddings of which only the rows in use are read, and moved by Adagrad or Adam.

    A row without gradient stays where it is under Adagrad, so this equals ``torch.optim.Adagrad`` on the whole matrix
    at the cost of the rows in use. Adam would go on moving a row by what it remembers; here rows that are not in use
    wait, as ``torch.optim.SparseAdam`` has it. All matrices are buffers, not parameters: no other optimiser moves them,
    and they follow the module to a device and into its state.

    Args:
        rows: how many there are.
        factors: length of each.
        learning_rate: of the rule.
        random: for the first values.
        rule: by which rows are moved.
        first: float32 [rows, factors], the values to start from; a row of zeros, and None, start at random.

    Attributes:
        weight: float32 [rows, factors].
        squares: float32 [rows, factors], the sums (Adam: the running means) of squared gradients.
    """

    def __init__(
        self,
        rows: int,
        factors: int,
        learning_rate: float,
        random: torch.Generator,
        rule: Rule = "adagrad",
        first: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.weight: Tensor
        self.squares: Tensor
        self.means: Tensor
        self.taken: Tensor
        weight = torch.randn(rows, factors, generator=random).mul_(EMBEDDING_LENGTH / factors**0.5)
        if first is not None:
            weight = torch.where(first.any(1, keepdim=True), first, weight)
        self.register_buffer("weight", weight)
        self.register_buffer("squares", torch.zeros(rows, factors))
        self._rate, self._rule = learning_rate, rule
        if rule == "adam":
            self.register_buffer("means", torch.zeros(rows, factors))
            self.register_buffer("taken", torch.zeros((), dtype=torch.float64))

    def start(self, rows: Tensor, vectors: Tensor) -> None:
        """Let training start from rows that were trained before, int64 [n] and float32 [n, factors]; zeros are not.

        They count as moved, and the rule remembers nothing of the steps that led to them.
        """
        known = vectors.any(1)
        self.weight[rows[known]] = vectors[known]
        self.squares[rows[known]] = torch.finfo(self.squares.dtype).tiny

    def leaf(self, rows: Tensor) -> Tensor:
        """The given rows (distinct, int64 [n]) as a tensor that gathers a gradient, [n, factors]."""
        return self.weight[rows].requires_grad_()

    def step(self, rows: Tensor, leaf: Tensor, scale: float = 1.0) -> None:
        """Move the rows by the gradient that their leaf gathered.

        Args:
            rows: as :meth:`leaf` took them.
            leaf: what it gave.
            scale: of this step, beside the learning rate, as a schedule has it.
        """
        if leaf.grad is None:
            return
        rate = self._rate * scale
        if self._rule == "adam":
            self._step_of_adam(rows, leaf, leaf.grad, rate)
            return
        squares = self.squares[rows].addcmul_(leaf.grad, leaf.grad)
        self.squares[rows] = squares
        self.weight[rows] = leaf.detach().addcdiv(leaf.grad, squares.sqrt_().add_(1e-10), value=-rate)

    def _step_of_adam(self, rows: Tensor, leaf: Tensor, gradient: Tensor, rate: float) -> None:
        """One step of Adam; the biases are corrected by the number of all steps, whichever rows they moved."""
        self.taken += 1
        first, second = BETAS
        means = self.means[rows].lerp_(gradient, 1 - first)
        squares = self.squares[rows].lerp_(gradient.square(), 1 - second)
        self.means[rows], self.squares[rows] = means, squares
        length = rate * (1 - second**self.taken).sqrt() / (1 - first**self.taken)  # float64 [], on the device
        self.weight[rows] = leaf.detach() - length.float() * means / squares.sqrt().add_(SMALLEST)

    def learned(self) -> Tensor:
        """The embeddings; zero for rows that no training step has moved, whose values are only the initial ones."""
        return self.weight * self.moved()[:, None]

    def moved(self) -> Tensor:
        """Which rows a training step has moved, bool [rows]."""
        return (self.squares > 0).any(1)
