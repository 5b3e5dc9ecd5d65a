"""The networks of ``hybrid``: article numbers in, article vectors out.

What belongs here: layers, shapes, content features as tensors, the step that moves embeddings. What does not: sampling,
the training loop, identifiers.

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation: Learning Attributes from
Unstructured Data to Recommend Fashion Products" (KDD 2018), the section on the hybrid recommender.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.recommenders.hybrid_config import HybridConfig

DENSE_FROM = 0.1
"""Share of cells that are not zero from which on features are kept as a dense matrix."""
EMBEDDING_LENGTH = 0.3
"""The length of an embedding at first: short, so that what is never learned says little."""
CHUNK = 8192


@dataclass(frozen=True)
class SparseRows:
    """n rows of features by their cells that are not zero.

    Attributes:
        starts: int64 [n + 1]; row i has the cells ``starts[i]`` … ``starts[i + 1]`` − 1.
        columns: int32 [cells].
        values: float32 [cells].
    """

    starts: Tensor
    columns: Tensor
    values: Tensor


class Content:
    """The content features of all articles, in memory once: sparse where most are zero, otherwise in bfloat16.

    Args:
        vectors: float32 [m, dim], of the articles that have any.
        articles: int [m], their numbers.
        n_articles: how many articles numbers run over.

    Attributes:
        present: bool [n_articles], which articles have features that are not all zero.
        dim: number of features.
    """

    def __init__(self, vectors: npt.NDArray[np.float32], articles: npt.NDArray[np.integer], n_articles: int) -> None:
        self.dim = vectors.shape[1]
        filled = vectors.any(axis=1)
        self.present = torch.zeros(n_articles, dtype=torch.bool)
        self.present[torch.from_numpy(articles[filled].astype(np.int64))] = True
        self._row = torch.full((n_articles,), -1, dtype=torch.int64)
        self._row[torch.from_numpy(articles.astype(np.int64))] = torch.arange(len(articles))
        cells = np.count_nonzero(vectors)
        self.is_sparse = cells < DENSE_FROM * max(vectors.size, 1)
        self._rows = _sparse(vectors) if self.is_sparse else torch.tensor(vectors, dtype=torch.bfloat16)

    def of(self, articles: Tensor) -> "SparseRows | Tensor":
        """The features of articles that have some (int64 [n]), sparse or float32 [n, dim]."""
        rows = self._row[articles]
        if isinstance(self._rows, Tensor):
            return self._rows[rows].float()
        starts, lengths = self._rows.starts[rows], (self._rows.starts[1:] - self._rows.starts[:-1])[rows]
        ends = torch.cumsum(lengths, 0)
        cells = torch.arange(int(lengths.sum())) + torch.repeat_interleave(starts - (ends - lengths), lengths)
        return SparseRows(functional.pad(ends, (1, 0)), self._rows.columns[cells], self._rows.values[cells])


def _sparse(vectors: npt.NDArray[np.float32]) -> SparseRows:
    starts = np.zeros(len(vectors) + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(vectors, axis=1), out=starts[1:])
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    for first in range(0, len(vectors), CHUNK):  # in chunks: the places of all cells at once take 16 bytes each
        part = vectors[first : first + CHUNK]
        rows, places = np.nonzero(part)
        cells = slice(starts[first], starts[first + len(part)])
        columns[cells], values[cells] = places, part[rows, places]
    return SparseRows(torch.from_numpy(starts), torch.from_numpy(columns), torch.from_numpy(values))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A layer with weights yet to be set, which leaves PyTorch's global random state alone."""
    return cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs))  # type: ignore[no-untyped-call]


class ContentNetwork(nn.Module):
    """Features → hidden layers with ReLU → vectors: [n, dim] → [n, factors]."""

    def __init__(
        self, dim: int, hidden: tuple[int, ...], factors: int, dropout: float, random: torch.Generator
    ) -> None:
        super().__init__()
        widths = [dim, *hidden, factors]
        self.dropout = dropout
        self.first = nn.Parameter(torch.empty(dim, widths[1]))  # transposed, as embedding_bag reads it
        self.first_bias = nn.Parameter(torch.zeros(widths[1]))
        self.layers = nn.ModuleList(_linear(inputs, outputs) for inputs, outputs in pairwise(widths[1:]))
        # Features have unit length, so that unit weights keep it; the last layer starts as short as embeddings are.
        nn.init.normal_(self.first, std=1.0 if hidden else EMBEDDING_LENGTH / factors**0.5, generator=random)
        for place, layer in enumerate(self.layers):
            last = place == len(self.layers) - 1
            scale = EMBEDDING_LENGTH * (2 / factors) ** 0.5 if last else 2**0.5
            nn.init.normal_(cast(nn.Linear, layer).weight, std=scale / widths[place + 1] ** 0.5, generator=random)
            nn.init.zeros_(cast(nn.Linear, layer).bias)

    def forward(self, features: SparseRows | Tensor) -> Tensor:
        """Apply the network to rows of features."""
        if isinstance(features, Tensor):
            x = features @ self.first + self.first_bias
        else:
            summed = functional.embedding_bag(
                features.columns,
                self.first,
                features.starts.to(features.columns.dtype),
                mode="sum",
                per_sample_weights=features.values,
                include_last_offset=True,
            )
            x = summed + self.first_bias
        for layer in self.layers:
            x = layer(functional.dropout(functional.relu(x), self.dropout, self.training))
        return x


class CustomerNetwork(nn.Module):
    """Attributes of customers → one hidden layer → what is added to the mean of their history: [n, c] → [n, factors].

    The last layer starts at zero: at first only the history counts.
    """

    def __init__(self, attributes: int, hidden: int, factors: int, random: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.last = _linear(attributes, hidden), _linear(hidden, factors)
        nn.init.normal_(self.hidden.weight, std=(2 / max(attributes, 1)) ** 0.5, generator=random)
        for zero in (self.hidden.bias, self.last.weight, self.last.bias):
            nn.init.zeros_(zero)

    def forward(self, attributes: Tensor) -> Tensor:
        """Apply the network to float32 [n, attributes]."""
        return cast(Tensor, self.last(functional.relu(self.hidden(attributes))))


class RowEmbedding:
    """Embeddings of which only the rows in use are read, and moved by Adagrad.

    A row without gradient stays where it is under Adagrad, so this equals ``torch.optim.Adagrad`` on the whole matrix
    at the cost of the rows in use.

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
        self.weight = torch.randn(rows, factors, generator=random).mul_(EMBEDDING_LENGTH / factors**0.5)
        self.squares = torch.zeros(rows, factors)
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
        """The embeddings, zero where no training step read the row: its first values mean nothing."""
        return self.weight * (self.squares > 0).any(1, keepdim=True)


class Factorisation(nn.Module):
    """Vectors of articles, and what is known of customers beside their history.

    Args:
        config: sizes, ``factors`` too, and mode.
        n_articles: how many articles numbers run over.
        content: their features; None: embeddings only.
        attributes: how many positions the attributes of customers have; 0: none.
        random: for the first weights.

    Attributes:
        embedding: None in mode ``content``.
        content: the content network, or None.
        customer: the customer network, or None.
    """

    def __init__(
        self, config: HybridConfig, n_articles: int, content: Content | None, attributes: int, random: torch.Generator
    ) -> None:
        super().__init__()
        if config.factors is None:
            raise ValueError("the config leaves the length of vectors open: HybridConfig.sized chooses it")
        self.features, factors = content, config.factors
        self.embedding = (
            None
            if config.mode == "content"
            else RowEmbedding(n_articles, factors, config.embedding_learning_rate, random)
        )
        self.content = (
            None if content is None else ContentNetwork(content.dim, config.hidden, factors, config.dropout, random)
        )
        self.customer = CustomerNetwork(attributes, config.customer_hidden, factors, random) if attributes else None

    def content_part(self, articles: Tensor) -> Tensor | None:
        """The content network's vectors, [n, factors]: zero for articles without content; None without a network."""
        if self.content is None or self.features is None:
            return None
        present = self.features.present[articles]
        if present.all():
            return cast(Tensor, self.content(self.features.of(articles)))
        found = self.content(self.features.of(articles[present]))
        return torch.zeros(len(articles), found.shape[1], dtype=found.dtype).index_put(
            (present.nonzero()[:, 0],), found
        )

    @torch.no_grad()
    def article_vectors(self, n_articles: int) -> Tensor:
        """The vectors of all articles, float32 [n_articles, factors]."""
        self.eval()
        parts = [self.content_part(articles) for articles in torch.split(torch.arange(n_articles), CHUNK)]
        content = torch.cat([part for part in parts if part is not None]) if self.content is not None else None
        if self.embedding is None:
            return cast(Tensor, content)
        embedding = self.embedding.learned()
        return embedding if content is None else embedding.add_(content)
