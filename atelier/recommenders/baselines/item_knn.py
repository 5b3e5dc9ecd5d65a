"""``item_knn``: what the customers of the same articles chose. The baseline of models that learn vectors.

What belongs here: the cosine of articles. What does not: ranking
(:mod:`atelier.recommenders.baselines.from_articles`).
"""

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from scipy.sparse import csr_matrix

from atelier.interactions import Interactions
from atelier.recommenders.baselines.from_articles import FromArticlesRecommender
from atelier.recommenders.baselines.item_knn_config import DECLARATION, ItemKNNConfig
from atelier.search.ragged import RaggedLists


class ItemKNN(FromArticlesRecommender[ItemKNNConfig]):
    """S[i, j] is the cosine |A ∩ B| / √(|A| |B|), where A and B are the customers of i and j, for i's best neighbours.

    An article is its own first neighbour, with a cosine of 1: where lists may hold what was seen, it comes first.
    """

    declaration = DECLARATION

    def _leads(self, train: Interactions) -> csr_matrix:
        shape = (len(train.customer_ids), len(self.article_ids))
        chosen = RaggedLists.distinct(train.customers, train.articles, shape)
        lengths = np.sqrt(np.bincount(chosen.codes, minlength=shape[1]))
        of_length_one = csr_matrix((1 / lengths[chosen.codes], chosen.codes, chosen.starts), shape)
        cosines = all_pairs_knn(of_length_one, self.config.neighbours, num_threads=1, show_progress=False)
        return cosines.tocsr().astype(np.float32)
