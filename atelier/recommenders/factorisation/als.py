"""``als``: matrix factorisation of implicit feedback by alternating least squares.

What belongs here: confidence weights, the factorisation (by ``implicit``) and what follows from its factors. What does
not: approximate search among them (:mod:`atelier.search`), reasons
(:mod:`~atelier.recommenders.factorisation.als_explanation`).

Source: Y. Hu, Y. Koren, C. Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.frames import warn_nothing_in_common
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.kinds import RETURN, unheard_of
from atelier.progress import progress
from atelier.recommenders.config import factors_for
from atelier.recommenders.factorisation import als_explanation
from atelier.recommenders.factorisation.als_config import DECLARATION, ALSConfig
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import Indices, Scores

DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")
ROUNDING = 1e-12


class ALS(VectorRecommender[ALSConfig]):
    """Vectors x_u of customers and y_i of articles that minimise Σ c_ui (p_ui − x_uᵀ y_i)² + λ (Σ |x_u|² + Σ |y_i|²).

    p_ui is 1 where r_ui > 0, else 0 (eq. 1 of the paper). The confidence is c_ui = 1 + α r_ui (eq. 3 and section 4),
    and 1 where r_ui ≤ 0, as of an article never touched: what was sent back or disliked does not attract. r_ui is the
    sum over interactions of kind's weight × ½^(age / half-life), age in days before the last interaction trained on,
    0 where either has no date. The score is x_uᵀ y_i; articles are compared by the cosine of their vectors. A new
    customer's vector is solved for from its history, the articles' vectors unchanged (eq. 4). What was chosen, with
    its confidence, is kept in the bundle: it explains the lists.
    """

    declaration = DECLARATION

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        vars(self).pop("whitened", None)  # it was computed from the vectors of the fit before
        self.weights = {"last": train.occurred_at.max(keepdims=True).astype(np.int64)}
        model = self._solver(self.config.factors or factors_for(int(self.ranked.sum())))
        confidence = self._confidence(train)
        with _progress(self.config.iterations) as step, threadpool_limits(1, user_api="blas"):
            model.fit(confidence, show_progress=False, callback=step)
        self.weights["articles"] = np.asarray(model.item_factors, dtype=np.float32)
        return {"customers": np.asarray(model.user_factors, dtype=np.float32), **_kept(confidence)}

    def _profile(self, history: Interactions) -> dict[str, Array]:
        model = self._solver(self.weights["articles"].shape[1])
        model.item_factors = self.weights["articles"]
        n, confidence = len(history.customer_ids), self._confidence(history)
        with threadpool_limits(1, user_api="blas"):
            return {"customers": model.recalculate_user(np.arange(n), confidence), **_kept(confidence)}

    def _solver(self, factors: int) -> AlternatingLeastSquares:
        config = self.config
        return AlternatingLeastSquares(
            factors=factors,
            regularization=config.regularization,
            alpha=1.0,
            iterations=config.iterations,
            num_threads=config.threads,
            random_state=config.seed,
        )

    def _confidence(self, interactions: Interactions) -> csr_matrix:
        """The confidences c_ui of what was chosen: float32, sparse [customers, ranked articles]."""
        shape = (len(interactions.customer_ids), int(self.ranked.sum()))
        amount = self._amounts(interactions, self.weights["last"])
        total = csr_matrix((amount, (interactions.customers, self.columns[interactions.articles])), shape=shape)
        total.data = 1 + self.config.alpha * total.data
        return total.astype(np.float32)

    def _preferred(self, interactions: Interactions, *, fitting: bool) -> Interactions:
        """The rows of the customers and articles whose r is above 0: all others say nothing of a preference."""
        last = interactions.occurred_at.max(keepdims=True).astype(np.int64) if fitting else self.weights["last"]
        amount = self._amounts(interactions, last)
        if (amount > 0).all():
            return interactions
        keys = interactions.customers.astype(np.int64) * len(interactions.article_ids) + interactions.articles
        _, pair = np.unique(keys, return_inverse=True)
        # What cancels out is 0, also where the sum of its parts is rounded.
        return interactions.rows((np.bincount(pair, amount) > ROUNDING * np.bincount(pair, np.abs(amount)))[pair])

    def _amounts(self, interactions: Interactions, last: Array) -> npt.NDArray[np.float64]:
        """What each interaction adds to r, float64 [interactions]; ``last``: the moment at which it counts in full."""
        amount = np.ones(len(interactions))
        if interactions.kinds is not None:
            known = {RETURN: 0.0, **self.config.kind_weights}
            if odd := unheard_of(self.config.kind_weights, interactions.kinds.categories):
                warn_nothing_in_common(f"kind_weights: {odd}")
            weights = [known.get(kind, 1.0) for kind in interactions.kinds.categories]
            amount *= np.array(weights, dtype=np.float64)[interactions.kinds.codes]
        undated = np.isnat(last.astype("datetime64[us]")).any()
        if self.config.half_life_days is not None and interactions.dated and not undated:
            age = np.maximum(last - interactions.occurred_at.astype(np.int64), 0) / DAY
            # However long ago, it happened: the share may not be rounded to 0.
            amount *= np.maximum(0.5 ** (age / self.config.half_life_days), np.finfo(np.float64).tiny)
        return amount

    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of ranked articles, float32 [n, factors]."""
        vectors: Scores = self.weights["articles"][self.columns[codes]]
        return vectors

    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, float32 [n, factors]."""
        vectors: Scores = profiles["customers"][rows]
        return vectors

    @property
    def columns(self) -> Array:
        """The place of each ranked article among the ranked ones, int [n_articles]."""
        return np.cumsum(self.ranked) - 1

    @cached_property
    def whitened(self) -> als_explanation.Floats:
        """The part of explanations that is the same for all customers: see :func:`als_explanation.whitened`."""
        return als_explanation.whitened(self.weights["articles"], self.config.regularization)

    def explain(
        self,
        recs: Any,
        catalogue: Catalogue | None = None,
        histories: Any = None,
        *,
        articles: int = 2,
        attributes: int = 2,
    ) -> pa.ListArray:
        """Why each article was recommended: see :func:`atelier.recommenders.factorisation.als_explanation.explain`.

        Args:
            recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
            catalogue: makes no difference: the model reads no content.
            histories: what the customers were ranked by, where it is not what was trained on.
            articles: reasons from the history, at most.
            attributes: makes no difference.

        Returns:
            n lists of kind, value and weight; null for customers whom the model cannot rank for.

        Raises:
            UnknownIdentifier: an article is unknown.
            BundleError: the bundle was written before histories were kept in it.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        customer_profiles = self.customer_profiles if histories is None else self._new_profiles(histories, None)
        factors = als_explanation.ArticleFactors(self.article_ids, self.ranked, self.whitened)
        return als_explanation.explain(factors, customer_profiles, recs, articles)


def _kept(confidence: csr_matrix) -> dict[str, Array]:
    """The histories that explanations are made of: the columns of what customers chose, and the confidences."""
    return {
        "history.starts": confidence.indptr.astype(np.int64),
        "history.columns": confidence.indices.astype(np.int32),
        "history.confidence": confidence.data,
    }


@contextmanager
def _progress(iterations: int) -> Iterator[Any]:
    """A callback for implicit's fit that moves our bar."""
    bar = iter(progress(range(iterations), "als: fitting", unit="iteration"))
    next(bar, None)
    yield lambda *_: next(bar, None)
    for _ in bar:  # only where the fit stopped early
        break
