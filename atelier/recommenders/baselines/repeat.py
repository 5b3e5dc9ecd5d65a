"""``repeat``: a customer's own last articles, then the popular ones. The baseline where lists may hold seen articles.

What belongs here: the order of a customer's own articles. What does not: popularity itself
(:mod:`atelier.recommenders.baselines.popular`).
"""

import numpy as np

from atelier.bundles import Array
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.recommenders.abstract_recommender import Ranker
from atelier.recommenders.baselines.popular import CountingRecommender
from atelier.recommenders.baselines.repeat_config import DECLARATION, RepeatConfig
from atelier.search.ragged import (
    Indices,
    Pairs,
    RaggedLists,
    Ranked,
    first_of_order,
    followed,
    padded,
    place_in_row,
    without,
)


class Repeat(CountingRecommender[RepeatConfig]):
    """A customer's own articles, the last first, then the popular ones.

    The score of a customer's own article at rank p is 1 + 1/p, above the score of every popular article, which is below
    1.
    """

    declaration = DECLARATION

    def _profile(self, history: Interactions) -> dict[str, Array]:
        n, articles = len(history.customer_ids), len(self.article_ids)
        keys = history.customers.astype(np.int64) * articles + history.articles
        _, backwards = np.unique(keys[::-1], return_index=True)
        last = len(keys) - 1 - backwards  # the last row of each customer with each article
        last = last[np.lexsort((-last, history.customers[last]))]
        pairs = Pairs(history.customers[last].astype(np.int64), history.articles[last])
        own = RaggedLists.from_pairs(pairs.where(place_in_row(pairs.rows, n) < self.config.own_articles), n)
        return {"own.starts": own.starts, "own.codes": own.codes}

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        own = RaggedLists(profiles["own.starts"], profiles["own.codes"])
        order, scores = self._order(eligible)
        articles = len(self.article_ids)
        allowed = np.zeros(articles, dtype=bool)
        allowed[eligible] = True

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            n = len(rows)
            mine = own.of(rows)
            mine = mine.where(allowed[mine.codes])
            mine = mine.where(without(mine, excluded, articles))
            ranks = place_in_row(mine.rows, n) + 1
            first = padded(mine, (1 + 1 / ranks).astype(np.float32), n, k)
            taken = excluded.joined(mine)
            return followed(first, first_of_order(order, scores, taken, n, k, articles))

        return rank
