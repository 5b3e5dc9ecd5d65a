"""Exact top-K by inner product: products of matrices find candidates, which are filtered, scored exactly and sorted.

What belongs here: :class:`ExactTopK`, the only place where vectors become lists. What does not: the products and what
they prove (:mod:`atelier.search.exact_bounds`), approximate indexes (:mod:`atelier.search`).
"""

import warnings

import numpy as np
import torch
from torch import Tensor

from atelier.ids import Codes
from atelier.search.exact_bounds import CPU, BFloat16Products, CandidateCells, Excluded, Float32Products
from atelier.search.ragged import Mask, Pairs, Ranked, Scores, best, first_of_order, place_in_row

BLOCK = 16 * 1024 * 1024
"""Products held at once on a processor: 32 MiB of bfloat16, or 64 MiB of float32."""
DEVICE_BLOCK = 64 * 1024 * 1024
"""Products held at once on any other device, 256 MiB, so that it has enough to do at a time."""
ROWS = 256
"""Queries taken at once on a processor, at most: beyond it their products no longer stay in its cache."""
PAIRED = 1024
"""Queries whose pairs are scored at once."""
NOBODY = np.zeros(0, np.int64)
"""No query about which nothing is proven, where pairs are given and nothing has to be."""
UNEVEN = 4
"""Rows of unequal length are sorted as a matrix where that has at most this many times as many cells."""


class ExactTopK:
    """The articles with the highest inner products, exactly, ties by rising article number.

    The score of a pair is the sum of products in float32, added up for each pair on its own and in one order: it
    depends on the two vectors only, not on other queries, the number of threads, the device or the library for
    matrices. A product of matrices, in bfloat16 or in float32, only says which articles can be in a list. For each
    query it is proven that none is left out; where this cannot be proven for bfloat16, float32 is used. So lists and
    scores are the same with either.

    Args:
        vectors: float32 [m, dim], one for each article; one that is not finite is in no list.
        codes: int32 [m], ascending: the articles' numbers.
        n_articles: how many articles numbers run over.
        device: where products are computed. Candidates are scored on the processor, so that lists are the same.
        bfloat16: whether products are tried in bfloat16 first, on the processor; None: where it has instructions for
            that and no other device is given.

    Attributes:
        again: for how many queries so far bfloat16 proved nothing, so that they were done again in float32.
    """

    def __init__(
        self,
        vectors: Scores,
        codes: Codes,
        n_articles: int,
        device: torch.device = CPU,
        *,
        bfloat16: bool | None = None,
    ) -> None:
        finite = np.isfinite(vectors).all(axis=1)
        self._vectors = torch.from_numpy(vectors[finite].astype(np.float32, copy=False))  # [m, dim]
        self._codes = codes[finite]
        self._place = np.full(n_articles, -1, dtype=np.int64)
        self._place[self._codes] = np.arange(len(self._codes))
        self._single = Float32Products(self._vectors, device)
        self._block, self._rows = (BLOCK, ROWS) if device.type == "cpu" else (DEVICE_BLOCK, DEVICE_BLOCK)
        wanted = device.type == "cpu" and BFloat16Products.is_native() if bfloat16 is None else bfloat16
        self._half = BFloat16Products(self._vectors) if wanted else None
        self.again = 0

    def __call__(self, queries: Scores, k: int, excluded: Pairs) -> Ranked:
        """The ``k`` best articles for each query.

        Args:
            queries: float32 [n, dim].
            k: length of the lists; a list is shorter where fewer articles are not excluded.
            excluded: what each query must not get.
        """
        n, m = len(queries), len(self._codes)
        ranked = Ranked(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))
        size = min(n, self._rows, max(1, self._block // max(m, 1)))
        if not size or not m:
            return ranked
        excluded = excluded.where(self._place[excluded.codes] >= 0)
        for start in range(0, n, size):
            stop = min(start + size, n)
            block = torch.from_numpy(np.array(queries[start:stop], dtype=np.float32))
            ranked.codes[start:stop], ranked.scores[start:stop] = self._lists(block, k, excluded.within(start, stop))
        return ranked

    def holds(self, codes: Codes) -> Mask:
        """Which articles are searched among, bool like ``codes``."""
        found: Mask = self._place[codes] >= 0
        return found

    def scores_of(self, queries: Scores, pairs: Pairs) -> Scores:
        """The scores of pairs of a query and an article, float32 like ``pairs``, the same that lists have.

        Args:
            queries: float32 [n, dim].
            pairs: in order of rows, each article one that is searched among, ascending within a row.
        """
        scores = np.zeros(len(pairs.rows), dtype=np.float32)
        for start in range(0, len(queries), PAIRED):
            first, after = np.searchsorted(pairs.rows, [start, start + PAIRED])
            some = torch.from_numpy(np.array(queries[start : start + PAIRED], dtype=np.float32))
            cells = CandidateCells(pairs.rows[first:after] - start, self._place[pairs.codes[first:after]], NOBODY)
            scores[first:after] = self._scores(some, cells)
        return scores

    def _lists(self, queries: Tensor, k: int, excluded: Pairs) -> Ranked:
        """The lists of one block.

        A query of zeros scores 0 with every article, so that all would be candidates: it gets the first articles by
        number, without any product.
        """
        n, cells = len(queries), Excluded(excluded.rows, self._place[excluded.codes])
        rows = np.flatnonzero(queries.any(dim=1).numpy())
        if len(rows) == n:
            return self._best(queries, self._reach(queries, k, cells), k)
        zeros = np.zeros(len(self._codes), np.float32)
        ranked = first_of_order(self._codes, zeros, excluded, n, k, len(self._place))
        if len(rows):
            rest = queries[torch.from_numpy(rows)]
            found = self._reach(rest, k, cells.of(rows, n))
            ranked.codes[rows], ranked.scores[rows] = self._best(rest, found, k)
        return ranked

    def _reach(self, queries: Tensor, k: int, excluded: Excluded) -> CandidateCells:
        """The cells (query, article) that can be in a list."""
        if self._half is None:
            return self._single.reach(queries, k, excluded)
        found = self._half.reach(queries, k, excluded)
        left = found.unproven
        if not len(left):
            return found
        self.again += len(left)
        exact = self._single.reach(queries[torch.from_numpy(left)], k, excluded.of(left, len(queries)))
        rows = np.concatenate([found.rows, left[exact.rows]])
        order = np.argsort(rows, kind="stable")
        return CandidateCells(rows[order], np.concatenate([found.places, exact.places])[order], exact.unproven)

    def _best(self, queries: Tensor, found: CandidateCells, k: int) -> Ranked:
        """The lists that the candidate cells make."""
        scores = self._scores(queries, found)
        kept = scores > -np.inf
        rows, places, scores = found.rows[kept], found.places[kept], scores[kept]
        n, place = len(queries), place_in_row(rows, len(queries))
        width = int(place.max(initial=-1)) + 1
        codes = self._codes[places]
        if n * width > UNEVEN * len(rows) + k:
            return best(rows, codes, scores, n, k)
        falling, names = np.full((n, width), np.inf, np.float32), np.full((n, max(width, k)), -1, np.int32)
        falling[rows, place], names[rows, place] = -scores, codes
        order = np.argsort(falling, axis=1, kind="stable")[:, :k]  # stable: ties stay in the order of their numbers
        ranked = Ranked(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))
        ranked.codes[:, : order.shape[1]] = np.take_along_axis(names, order, axis=1)
        chosen = np.take_along_axis(falling, order, axis=1)
        ranked.scores[:, : order.shape[1]] = np.where(chosen < np.inf, -chosen, 0)
        return ranked

    def _scores(self, queries: Tensor, found: CandidateCells) -> Scores:
        """The score of each cell, float32 [cells]."""
        starts = torch.from_numpy(np.searchsorted(found.rows, np.arange(len(queries) + 1)))
        shape = (len(queries), len(self._vectors))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "in beta state"
            zeros = torch.zeros(len(found.rows))
            cells = torch.sparse_csr_tensor(
                starts, torch.from_numpy(found.places), zeros, shape, check_invariants=False
            )
            sums = torch.sparse.sampled_addmm(cells, queries, self._vectors.T, beta=0.0)
        scores: Scores = sums.values().numpy()
        return scores
