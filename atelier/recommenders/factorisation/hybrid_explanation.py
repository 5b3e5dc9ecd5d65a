"""What of a customer's history weighed most in a recommendation of ``hybrid``.

What belongs here: the history's part of the score. What does not: the content's part
(:mod:`atelier.recommenders.content_explanation`), the score itself (:mod:`atelier.recommenders.factorisation.hybrid`).

The score is a sum over the customer's articles, Σ_h share_h y_h · y_i: an article's weight is its term, exactly.
"""

import numpy as np

from atelier.bundles import Array
from atelier.ids import Codes
from atelier.search.ragged import Indices, RaggedLists, Ranked, Scores, best

PAIRS = 65_536
"""Products of two vectors held at once."""


def from_history(vectors: Scores, profiles: dict[str, Array], places: Indices, codes: Codes, k: int) -> Ranked:
    """The ``k`` articles of each history with the largest terms of the score.

    Args:
        vectors: float32 [n_articles, factors], y.
        profiles: of the model.
        places: int64 [n], rows of the profiles.
        codes: int32 [n], the articles recommended.
        k: number of reasons.
    """
    starts, shares = profiles["history.starts"], profiles["history.shares"]
    cells = RaggedLists(starts, np.arange(len(shares), dtype=np.int32)).of(places)
    articles = profiles["history.codes"][cells.codes]
    terms = np.empty(len(articles), dtype=np.float32)
    for start in range(0, len(articles), PAIRS):
        part = slice(start, start + PAIRS)
        terms[part] = np.einsum("pk,pk->p", vectors[articles[part]], vectors[codes[cells.rows[part]]])
    terms *= shares[cells.codes]
    positive = terms > 0
    k = min(k, max(int(np.diff(starts).max(initial=0)), 1))  # no list of reasons is longer than a history
    return best(cells.rows[positive], articles[positive], terms[positive], len(places), k)
