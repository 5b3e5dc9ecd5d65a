"""Models that keep a vector of each article and each customer: als, hybrid, and what else scores by inner products.

What belongs here: exact ranking by inner product and comparing by cosine, and customers as queries to an approximate
index. What does not: how vectors are trained (the models), the search itself (:mod:`atelier.search`).
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from atelier.bundles import Array
from atelier.devices import choose_device
from atelier.ids import Codes
from atelier.recommenders.base import ConfigT, NeighbourRanker, Ranker, Recommender
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Indices, Pairs, Ranked, Scores


class Queries(NamedTuple):
    """Customers as queries to an index.

    Attributes:
        ids: n identifiers.
        vectors: float32 [n, factors].
        seen: what each has seen; rows count from 0 to n − 1.
    """

    ids: pa.Array
    vectors: Scores
    seen: Pairs


class VectorRecommender(Recommender[ConfigT]):
    """A model whose score is x_u · y_i, a customer's vector by an article's; articles are compared by cosine.

    Attributes:
        torch_device: the device, which exact search uses too.
    """

    def __init__(self, config: ConfigT | None = None, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.torch_device = choose_device(device)

    @abstractmethod
    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of articles that the model ranks (numbers in ``article_ids``), float32 [n, factors]."""

    @abstractmethod
    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, float32 [n, factors]."""

    def queries(self, customers: Any = None) -> Queries:
        """The vectors of customers, and what they have seen.

        Args:
            customers: as :meth:`recommend` takes them; None: all whom the model can serve.

        Raises:
            UnknownIdentifier: a customer is unknown.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        customer_profiles, places = self.customer_profiles, self._places(self.customer_profiles, customers)
        codes = customer_profiles.rankable[places]
        vectors = self.customer_vectors(customer_profiles.profiles, places)
        return Queries(customer_profiles.ids.take(codes), vectors, customer_profiles.seen.of(codes))

    def exact_search(self, vectors: Scores, codes: Codes) -> ExactTopK:
        """Exact search among vectors, float32 [n, factors], of articles (ascending)."""
        return ExactTopK(vectors, codes, len(self.article_ids), self.torch_device)

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        search = self.exact_search(self.article_vectors(eligible), eligible)

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            return search(self.customer_vectors(profiles, rows), k, excluded)

        return rank

    def _neighbour_ranker(self, eligible: Codes, k: int) -> NeighbourRanker:
        search = self.exact_search(unit(self.article_vectors(eligible)), eligible)

        def neighbours(codes: Codes) -> Ranked:
            return search(unit(self.article_vectors(codes)), k, Pairs(np.arange(len(codes)), codes))

        return neighbours


def unit(vectors: Scores) -> Scores:
    """Each row at unit length; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Scores = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
