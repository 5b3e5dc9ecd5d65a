"""Exact top-K by inner product: one matrix product, masks as filters, a partial sort.

What belongs here: :class:`ExactTopK`, the only place where vectors become lists. What does not: approximate indexes
(:mod:`atelier.retrieval`).
"""

import numpy as np
import torch

from atelier.ids import Codes
from atelier.recommenders.lists import Pairs, Ranked, Scores, best

BLOCK = 16 * 1024 * 1024
"""Scores held at once: 64 MiB of float32."""
SPREAD = 16


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
        excluded = excluded.where(self._place[excluded.codes] >= 0)
        ranked = Ranked(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))
        size = max(1, BLOCK // max(m, 1))
        for start in range(0, n if m else 0, size):
            stop = min(start + size, n)
            scores = torch.from_numpy(np.array(queries[start:stop], dtype=np.float32)) @ self._columns  # [rows, m]
            found = self._best(scores, k, excluded.within(start, stop))
            ranked.codes[start:stop], ranked.scores[start:stop] = found
        return ranked

    def _best(self, scores: torch.Tensor, k: int, excluded: Pairs) -> Ranked:
        n, m = scores.shape
        scores[torch.from_numpy(excluded.rows), torch.from_numpy(self._place[excluded.codes])] = -torch.inf
        reach = (scores >= _bound(scores, k)) & (scores > -torch.inf)
        flat = np.flatnonzero(reach.numpy())
        rows, places = np.divmod(flat, m)
        return best(rows, self._codes[places], scores.numpy().reshape(-1)[flat], n, k)


def _bound(scores: torch.Tensor, k: int) -> torch.Tensor:
    """A lower bound of each row's k-th highest score, [n, 1]; −∞ where a row has fewer than k."""
    n, m = scores.shape
    if m <= k:
        return torch.full((n, 1), -torch.inf)
    groups = min(SPREAD * k, m)
    depth = m // groups
    # Group g holds the articles g, g + groups, …: neighbours in id, which are alike, fall into different groups.
    maxima = scores[:, : groups * depth].view(n, depth, groups).amax(dim=1) if depth > 1 else scores
    return torch.topk(maxima, k, dim=1, sorted=True).values[:, -1:]
