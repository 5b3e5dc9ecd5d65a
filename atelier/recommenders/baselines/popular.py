"""``popular``: the same list for everyone, by the number of interactions of each article in a recent window.

What belongs here: counting, and the co-occurrence of articles, which replaces similarity in models without vectors.
What does not: anything personal except the filter of seen articles.
"""

from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.recommenders.abstract_recommender import NeighbourRanker, Ranker
from atelier.recommenders.base import Recommender
from atelier.recommenders.baselines.popular_config import DECLARATION, PopularConfig
from atelier.search.ragged import Indices, Mask, Pairs, RaggedLists, Ranked, Scores, best, cuts, first_of_order

PAIRS = 4_000_000
"""Products of two articles of a customer taken at once: a customer with thousands of articles has millions of them."""

FULL = 4
"""Cells for each one that is filled, at most, where the cells are written out to find their highest."""

PopularConfigT = TypeVar("PopularConfigT", bound=PopularConfig)


class CountingRecommender(Recommender[PopularConfigT]):
    """What ``popular`` and ``repeat`` share: an order of popularity, and neighbours by co-occurrence."""

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        counted = train.articles[_in_window(train, self.config.window_days)]
        counts = np.bincount(counted, minlength=len(self.article_ids))
        self.weights = {"counts": counts.astype(np.int64)}
        return self._profile(train)

    def _order(self, eligible: Codes) -> tuple[Codes, Scores]:
        """The eligible articles by falling count, ties by rising id, and their share of the highest count plus one."""
        counts = self.weights["counts"]
        order = eligible[np.argsort(-counts[eligible], kind="stable")]
        return order, (counts[order] / (counts.max() + 1)).astype(np.float32)

    def _neighbour_ranker(self, eligible: Codes, k: int) -> NeighbourRanker:
        """Neighbours by the cosine |A ∩ B| / √(|A| |B|), where A and B are the customers who have seen each article.

        Articles without a common customer are no neighbours, so lists may be shorter than ``k``.
        """
        return neighbours_by_common_customers(self.customer_profiles.seen, len(self.article_ids), eligible, k)


def neighbours_by_common_customers(seen: RaggedLists, n_articles: int, eligible: Codes, k: int) -> NeighbourRanker:
    """Rank neighbours by the cosine |A ∩ B| / √(|A| |B|), where A and B are the customers who have seen each article.

    Args:
        seen: the articles that each customer has seen.
        n_articles: the number of articles.
        eligible: int32, ascending, the articles that may be neighbours.
        k: neighbours of an article, at most; articles without a common customer are none.
    """
    shape = (len(seen), n_articles)
    bought = csr_matrix((np.ones(len(seen.codes), np.float32), seen.codes, seen.starts), shape=shape)
    norms = np.sqrt(np.bincount(seen.codes, minlength=shape[1]))
    in_stock, by_article = bought[:, eligible], bought.T.tocsr()

    # How many pairs of a customer and another article of theirs each article has: what its products cost at most.
    work = by_article @ np.diff(in_stock.indptr)

    def neighbours(codes: Codes) -> Ranked:
        parts = np.split(codes, cuts(work[codes], PAIRS))
        lists = [of(part) for part in parts]
        return Ranked(*(np.concatenate(columns) for columns in zip(*lists, strict=True)))

    def of(codes: Codes) -> Ranked:
        common = (by_article[codes] @ in_stock).tocoo()
        found = eligible[common.col]
        other = found != codes[common.row]
        rows, found, both = common.row[other].astype(np.int64), found[other], common.data[other]
        cosines = (both / (norms[codes[rows]] * norms[found])).astype(np.float32)
        high = _can_be_listed(rows, common.col[other], cosines, (len(codes), len(eligible)), k)
        return best(rows[high], found[high], cosines[high], len(codes), k)

    return neighbours


def _can_be_listed(rows: Indices, columns: Indices, scores: Scores, shape: tuple[int, int], k: int) -> Mask:
    """Which cells reach the ``k``-th highest score of their row, where so many are filled that sorting all is slow."""
    if shape[1] <= k or len(rows) * FULL < shape[0] * shape[1]:
        return np.ones(len(rows), dtype=bool)
    cells = np.zeros(shape, dtype=np.float32)
    cells[rows, columns] = scores
    least = np.partition(cells, shape[1] - k, axis=1)[:, shape[1] - k]
    high: Mask = scores >= least[rows]
    return high


class Popular(CountingRecommender[PopularConfig]):
    """The most chosen articles of a recent window; ties go to the smaller id.

    The score is the article's count as a share of the highest count plus one.
    """

    declaration = DECLARATION

    def _profile(self, history: Interactions) -> dict[str, Array]:
        return {}

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        order, scores = self._order(eligible)

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            return first_of_order(order, scores, excluded, len(rows), k, len(self.article_ids))

        return rank


def _in_window(train: Interactions, days: int | None) -> Array:
    """Which rows lie in the last ``days`` days; all where there are no dates."""
    if days is None or not train.dated:
        return np.ones(len(train), dtype=bool)
    last = train.occurred_at.max().astype("datetime64[D]")
    recent: Array = train.occurred_at >= last - np.timedelta64(days - 1, "D")
    return recent
