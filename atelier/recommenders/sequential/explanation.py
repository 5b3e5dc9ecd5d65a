"""What of a customer's history weighed most in a recommendation of a sequence model.

What belongs here: the history's part of the score. What does not: the content's part
(:mod:`atelier.recommenders.content_explanation`), the encoder.

A sequence model's score is no sum over the history. An article's weight is how much the score falls when the history
is read without it, (x_u − x_u without h) · y_i and what counts added for it: the same for every encoder, in units of
the score. The articles of the last interactions are tried, since one more encoding is needed for each.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix

from atelier.ids import Codes
from atelier.recommenders.content_explanation import Recommended
from atelier.recommenders.sequential.co_occurrence import entries
from atelier.recommenders.training_data.sequences import Histories
from atelier.search.ragged import Indices, Pairs, RaggedLists, Ranked, Scores, best

TRIED = 5
"""Interactions, the last ones, whose articles are tried."""


def from_history(
    encode: Callable[[Histories, Indices], Scores],
    histories: Histories,
    recommended: Recommended,
    articles: Scores,
    k: int,
    added: Callable[[Histories], csr_matrix] | None = None,
) -> Ranked:
    """The ``k`` articles of each history without which the score would fall most.

    Args:
        encode: gives the vectors x_u of histories, each of one of the m customers (int64 [n]), float32 [n, factors];
            zero for an empty one.
        histories: of the m customers.
        recommended: n recommendations to them.
        articles: float32 [n, factors], the vectors y of what is recommended.
        k: number of reasons.
        added: gives what scores have beside the product of vectors, [n, n_articles]; None: nothing.
    """
    customers, tried = _tried(histories)
    shorter = _without(histories, customers, tried)
    fall = recommended.vectors[customers] - encode(shorter, customers)  # [pairs, factors]
    numbered = Pairs(customers, np.arange(len(customers), dtype=np.int32))
    cells = RaggedLists.from_pairs(numbered, len(histories.starts) - 1).of(recommended.owners)
    weights = np.einsum("pk,pk->p", fall[cells.codes], articles[cells.rows]).astype(np.float32)
    if added is not None:
        codes = recommended.codes[cells.rows]
        weights += entries(added(histories), Pairs(customers[cells.codes], codes))
        weights -= entries(added(shorter), Pairs(cells.codes.astype(np.int64), codes))
    positive = weights > 0
    n = len(recommended.codes)
    return best(cells.rows[positive], tried[cells.codes[positive]], weights[positive], n, min(k, TRIED))


def _tried(histories: Histories) -> tuple[Indices, Codes]:
    """The distinct articles of each history's last interactions: rows and articles."""
    last = histories.last(TRIED)
    rows = np.repeat(np.arange(len(last.starts) - 1), np.diff(last.starts))
    pairs = np.unique(np.stack((rows, last.articles.astype(np.int64)), axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1].astype(np.int32)


def _without(histories: Histories, rows: Indices, articles: Codes) -> Histories:
    """For each pair the history of its row without its article."""
    copies = histories.take(rows)
    owner = np.repeat(np.arange(len(rows)), np.diff(copies.starts))
    return copies.keep(copies.articles != articles[owner])
