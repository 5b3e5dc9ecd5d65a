"""What ``markov`` and ``item_knn`` share: scores that lead from the articles of a history to others.

What belongs here: adding up such scores, ranking by them. What does not: what leads from one article to another, which
each model says.
"""

from abc import abstractmethod
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import csr_matrix

from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.recommenders.abstract_recommender import Ranker
from atelier.recommenders.baselines.item_knn_config import ItemKNNConfig
from atelier.recommenders.baselines.markov_config import MarkovConfig
from atelier.recommenders.baselines.popular import CountingRecommender
from atelier.search.ragged import Indices, Pairs, RaggedLists, Ranked, best, cuts, first_of_order, followed, without

CELLS = 4_000_000
"""Scores of an article that one of a history leads to, added up at once."""

FromArticlesConfigT = TypeVar("FromArticlesConfigT", bound=MarkovConfig | ItemKNNConfig)


class FromArticlesRecommender(CountingRecommender[FromArticlesConfigT]):
    """The score is the mean of S[i, j] over the last interactions i of the history, plus 1; then come popular articles.

    Popular articles have scores below 1. S is kept as ``leads.starts``, ``leads.codes`` and ``leads.scores``, a
    compressed sparse matrix [n_articles, n_articles].
    """

    @abstractmethod
    def _leads(self, train: Interactions) -> csr_matrix:
        """S, float32 [n_articles, n_articles], from what is trained on; none is below 0."""

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        profiles = super()._fit(train, catalogue, customers)
        leads = self._leads(train).sorted_indices()
        self.weights |= {
            "leads.starts": leads.indptr.astype(np.int64),
            "leads.codes": leads.indices.astype(np.int32),
            "leads.scores": leads.data.astype(np.float32),
        }
        return profiles

    def _profile(self, history: Interactions) -> dict[str, Array]:
        n = len(history.customer_ids)
        ends = np.cumsum(np.bincount(history.customers, minlength=n))
        recent = np.arange(len(history)) >= ends[history.customers] - self.config.history
        last = Pairs(history.customers[recent].astype(np.int64), history.articles[recent])
        own = RaggedLists.from_pairs(last, n)
        return {"history.starts": own.starts, "history.codes": own.codes}

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        own = RaggedLists(profiles["history.starts"], profiles["history.codes"])
        order, popularity = self._order(eligible)
        articles = len(self.article_ids)
        leads = self._eligible_leads(eligible)
        lengths = np.diff(leads.indptr)

        def led(rows: Indices, excluded: Pairs) -> Ranked:
            """The lists of what the histories lead to."""
            mine = own.of(rows)
            shares = (1 / np.maximum(np.bincount(mine.rows, minlength=len(rows)), 1))[mine.rows].astype(np.float32)
            history = csr_matrix((shares, (mine.rows, mine.codes)), shape=(len(rows), articles))
            scores = (history @ leads).tocoo()
            found = Pairs(scores.row.astype(np.int64), scores.col.astype(np.int32))
            kept = without(found, excluded, articles) & (scores.data > 0)
            return best(*found.where(kept), scores.data[kept], len(rows), k)

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            mine = own.of(rows)
            work = np.bincount(mine.rows, lengths[mine.codes].astype(np.float64), minlength=len(rows))
            places = [0, *cuts(work, CELLS), len(rows)]
            parts = [led(rows[a:b], excluded.within(a, b)) for a, b in pairwise(places)]
            first = Ranked(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
            there = first.codes >= 0
            taken = excluded.joined(Pairs(np.nonzero(there)[0], first.codes[there]))
            first = Ranked(first.codes, np.where(there, first.scores + 1, 0).astype(np.float32))
            return followed(first, first_of_order(order, popularity, taken, len(rows), k, articles))

        return rank

    def _eligible_leads(self, eligible: Codes) -> csr_matrix:
        """S with the columns of other articles empty."""
        articles = len(self.article_ids)
        arrays = (self.weights["leads.scores"], self.weights["leads.codes"], self.weights["leads.starts"])
        allowed = np.zeros(articles, dtype=bool)
        allowed[eligible] = True
        leads = csr_matrix(arrays, shape=(articles, articles)).tocoo()
        kept = allowed[leads.col]
        return csr_matrix((leads.data[kept], (leads.row[kept], leads.col[kept])), shape=leads.shape)
