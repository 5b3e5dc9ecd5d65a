"""Exact top-K by inner product: one matrix product, masks as filters, a partial sort.

What belongs here: :class:`ExactTopK`, the only place where vectors become lists. What does not: approximate indexes
(:mod:`atelier.retrieval`).
"""

import numpy as np
import numpy.typing as npt
import torch

from atelier.ids import Codes
from atelier.recommenders.lists import Mask, Pairs, Ranked, Scores, best

BLOCK = 8 * 1024 * 1024
"""Scores held at once: 32 MiB of float32."""
GROUPS = 16
"""Groups of articles for each place in a list: more make the bound tighter, fewer make it cheaper."""


class ExactTopK:
    """The articles with the highest inner products, exactly, ties by rising article number.

    A row's k-th highest score is bounded from below by the k-th highest of the maxima of disjoint groups of articles:
    only scores that reach this bound are sorted. All ties with the k-th score reach it, so that none is lost.

    Args:
        vectors: float32 [m, dim], one for each article.
        codes: int32 [m], ascending: the articles' numbers.
        n_articles: how many articles numbers run over.
    """

    def __init__(self, vectors: Scores, codes: Codes, n_articles: int) -> None:
        self._columns = torch.from_numpy(np.array(vectors, dtype=np.float32).T)  # [dim, m]
        self._codes = codes
        self._place = np.full(n_articles, -1, dtype=np.int64)
        self._place[codes] = np.arange(len(codes))

    def __call__(self, queries: Scores, k: int, excluded: Pairs) -> Ranked:
        """The ``k`` best articles for each query.

        Args:
            queries: float32 [n, dim].
            k: length of the lists; a list is shorter where fewer articles are not excluded.
            excluded: what each query must not get.
        """
        n, m = len(queries), len(self._codes)
        ranked = Ranked(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))
        size = min(n, max(1, BLOCK // max(m, 1)))
        if not size or not m:
            return ranked
        excluded = excluded.where(self._place[excluded.codes] >= 0)
        # Written again by each block: fresh memory costs as much as the product itself.
        products, reach = torch.empty(size, m), np.empty((size, m), dtype=bool)
        for start in range(0, n, size):
            stop = min(start + size, n)
            block = torch.from_numpy(np.array(queries[start:stop], dtype=np.float32))
            scores = torch.mm(block, self._columns, out=products[: stop - start])  # [rows, m]
            found = self._best(scores, reach[: stop - start], k, excluded.within(start, stop))
            ranked.codes[start:stop], ranked.scores[start:stop] = found
        return ranked

    def _best(self, scores: torch.Tensor, reach: Mask, k: int, excluded: Pairs) -> Ranked:
        """The best of a block of scores, which is written to, as is ``reach``."""
        n, m = scores.shape
        values: Scores = scores.numpy()
        values[excluded.rows, self._place[excluded.codes]] = -np.inf
        np.greater_equal(values, _bound(scores, k), out=reach)
        flat = np.flatnonzero(reach)
        found = values.reshape(-1)[flat]
        flat, found = flat[found > -np.inf], found[found > -np.inf]
        rows, places = np.divmod(flat, m)
        return best(rows, self._codes[places], found, n, k)


def _bound(scores: torch.Tensor, k: int) -> npt.NDArray[np.float32]:
    """A lower bound of each row's k-th highest score, [n, 1]; −∞ where a row has fewer than k."""
    n, m = scores.shape
    if m <= k:
        return np.full((n, 1), -np.inf, dtype=np.float32)
    groups = min(GROUPS * k, m)
    depth = m // groups
    # Group g holds the articles g, g + groups, …: neighbours in id, which are alike, fall into different groups.
    maxima = scores[:, : groups * depth].view(n, depth, groups).amax(dim=1).numpy()  # [n, groups]
    bound: npt.NDArray[np.float32] = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]
    return bound
