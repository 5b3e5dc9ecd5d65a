"""The content features of articles as tensors: sparse or dense, in memory once.

What belongs here: keeping the features and handing out those of a batch. What does not: what the features are
(:mod:`atelier.articles.vectors`), the network that reads them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.devices import copied

DENSE_FROM = 0.1
"""Share of cells that are not zero from which on features are kept as a dense matrix."""

CHUNK = 8192
"""Articles whose features are worked on at once."""
CPU = torch.device("cpu")


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

    The features lie on the device; where each article's are lies in main memory, where batches are drawn, so that
    handing out those of a batch waits for nothing.

    Args:
        vectors: float32 [m, dim], of the articles that have any.
        articles: int [m], their numbers.
        n_articles: how many articles numbers run over.
        device: where the features lie.

    Attributes:
        present: bool [n_articles], which articles have features that are not all zero.
        dim: number of features.
    """

    def __init__(
        self,
        vectors: npt.NDArray[np.float32],
        articles: npt.NDArray[np.integer],
        n_articles: int,
        device: torch.device = CPU,
    ) -> None:
        self.dim = vectors.shape[1]
        counts = np.count_nonzero(vectors, axis=1)
        self.present = torch.zeros(n_articles, dtype=torch.bool)
        self.present[torch.from_numpy(articles[counts > 0].astype(np.int64))] = True
        self._row = torch.full((n_articles,), -1, dtype=torch.int64)
        self._row[torch.from_numpy(articles.astype(np.int64))] = torch.arange(len(articles))
        self.is_sparse = int(counts.sum()) < DENSE_FROM * max(vectors.size, 1)
        self._device, self._counts = device, torch.from_numpy(counts)
        dense = None if self.is_sparse else torch.tensor(vectors, dtype=torch.bfloat16, device=device)
        self._rows = _sparse(vectors, counts, device) if dense is None else dense

    def tensors(self) -> tuple[Tensor, ...]:
        """All that is kept, for a fingerprint."""
        rows = (self._rows,) if isinstance(self._rows, Tensor) else tuple(vars(self._rows).values())
        return (self._row, *rows)

    def of(self, articles: Tensor) -> "SparseRows | Tensor":
        """The features of articles that have some (int64 [n], in main memory), sparse or float32 [n, dim]."""
        places = self._row[articles]
        rows = copied(places, self._device)
        if isinstance(self._rows, Tensor):
            return self._rows[rows].float()
        total, lengths = int(self._counts[places].sum()), copied(self._counts[places], self._device)
        ends = torch.cumsum(lengths, 0)
        firsts = torch.repeat_interleave(self._rows.starts[rows] - (ends - lengths), lengths, output_size=total)
        cells = torch.arange(total, device=self._device) + firsts
        return SparseRows(functional.pad(ends, (1, 0)), self._rows.columns[cells], self._rows.values[cells])


def _sparse(vectors: npt.NDArray[np.float32], counts: npt.NDArray[np.int64], device: torch.device) -> SparseRows:
    starts = np.zeros(len(vectors) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    for first in range(0, len(vectors), CHUNK):  # in chunks: the places of all cells at once take 16 bytes each
        part = vectors[first : first + CHUNK]
        rows, places = np.nonzero(part)
        cells = slice(starts[first], starts[first + len(part)])
        columns[cells], values[cells] = places, part[rows, places]
    return SparseRows(*(torch.from_numpy(each).to(device) for each in (starts, columns, values)))
