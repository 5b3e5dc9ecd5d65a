"""Models that keep a vector of each article and each customer: als, hybrid, and what else scores by inner products.

What belongs here: exact ranking by inner product, comparing articles and customers by cosine, and customers as queries
to an approximate index. What does not: how vectors are trained (the models), the search itself
(:mod:`atelier.search`).
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.bundles import Array
from atelier.devices import choose_device
from atelier.ids import Codes
from atelier.recommenders.abstract_recommender import ConfigT, NeighbourRanker, Ranker
from atelier.recommenders.base import BATCH, Recommender
from atelier.recommenders.eligibility import fitting_k
from atelier.recommenders.schemas import SIMILAR_CUSTOMERS, encoded, plain
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Indices, Pairs, Ranked, Scores, check_k


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

    def compared_vectors(self, codes: Codes) -> Scores:
        """The vectors by whose cosine articles are compared, float32 [n, factors]: y_i, where a model says no other."""
        return self.article_vectors(codes)

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

    def similar_customers(self, customers: Any = None, k: int = 10, eligible: Any = None) -> pd.DataFrame:
        """The customers nearest to each customer by the cosine of their vectors, themselves left out.

        Args:
            customers: whom to compare (texts, or a frame with ``customer_id``), in this order; None: all whom the model
                can serve. Known customers whom it cannot serve are left out, with a warning.
            k: number of neighbours; fewer where fewer are eligible.
            eligible: who may be a neighbour (likewise); None: all whom the model can serve.

        Returns:
            ``customer_id``, ``similar_customer_id`` (text), ``similarity`` (float32, falling, −1 … 1), ``rank`` (int32,
            from 1). Ties go to the smaller id.

        Raises:
            UnknownIdentifier: a customer is unknown; the message names the first few.
            ValueError: ``k`` is below 1.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        check_k(k)
        known, places = self.customer_profiles, self._places(self.customer_profiles, customers)
        others = np.sort(self._places(known, eligible))
        codes = known.rankable[others]
        vectors = unit(self.customer_vectors(known.profiles, others))
        search, k = ExactTopK(vectors, codes, len(known.ids), self.torch_device), fitting_k(k, codes)
        batches = []
        for start in range(0, len(places), BATCH):
            chunk = places[start : start + BATCH]
            mine = known.rankable[chunk]
            themselves = Pairs(np.arange(len(mine)), mine)
            ranked = search(unit(self.customer_vectors(known.profiles, chunk)), k, themselves)
            batches.append(encoded(ranked, known.ids.take(mine), known.ids, SIMILAR_CUSTOMERS))
        neighbours: pd.DataFrame = plain(batches, SIMILAR_CUSTOMERS).to_pandas()
        return neighbours

    def exact_search(self, vectors: Scores, codes: Codes) -> ExactTopK:
        """Exact search among vectors, float32 [n, factors], of articles (ascending)."""
        return ExactTopK(vectors, codes, len(self.article_ids), self.torch_device)

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        search = self.exact_search(self.article_vectors(eligible), eligible)

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            return search(self.customer_vectors(profiles, rows), k, excluded)

        return rank

    def _neighbour_ranker(self, eligible: Codes, k: int) -> NeighbourRanker:
        search = self.exact_search(unit(self.compared_vectors(eligible)), eligible)

        def neighbours(codes: Codes) -> Ranked:
            return search(unit(self.compared_vectors(codes)), k, Pairs(np.arange(len(codes)), codes))

        return neighbours


def unit(vectors: Scores) -> Scores:
    """Each row at unit length; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Scores = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
