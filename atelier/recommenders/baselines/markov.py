"""``markov``: what most often followed the customer's last articles. The baseline of models that read an order.

What belongs here: counting what follows what. What does not: ranking
(:mod:`atelier.recommenders.baselines.from_articles`).
"""

import numpy as np
from scipy.sparse import csr_matrix

from atelier.interactions import Interactions
from atelier.recommenders.baselines.from_articles import FromArticlesRecommender
from atelier.recommenders.baselines.markov_config import DECLARATION, MarkovConfig


class Markov(FromArticlesRecommender[MarkovConfig]):
    """S[i, j] is the share of the interactions that followed one with i, the customer's next, which were with j.

    An article may follow itself. Interactions of one moment count in the order in which they came.
    """

    declaration = DECLARATION

    def _leads(self, train: Interactions) -> csr_matrix:
        articles = len(self.article_ids)
        same = train.customers[1:] == train.customers[:-1]
        first, second = train.articles[:-1][same], train.articles[1:][same]
        pairs, counts = np.unique(first.astype(np.int64) * articles + second, return_counts=True)
        totals = np.bincount(first, minlength=articles)
        shares = counts / totals[pairs // articles]
        return csr_matrix((shares.astype(np.float32), (pairs // articles, pairs % articles)), (articles, articles))
