"""Controls: what counting alone says about an outfit. A model that does not beat them has learned nothing about style.

What belongs here: scores that need no training but counting, and the few weights that join them. What does not: the
counts (:mod:`atelier.outfits.pair_statistics`), models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from scipy.optimize import minimize

from atelier.arrays import Float64s, Int64s
from atelier.outfits.outfits import Outfits
from atelier.outfits.pair_statistics import PairStatistics, weighted_sum
from atelier.outfits.questions import Questions

Scorer: TypeAlias = Callable[[Int64s, Int64s], Float64s]
"""(rest int64 [q, s] with −1 beyond the end, candidates int64 [q, c]) → how well each fits, float64 [q, c]."""
RIDGE = 1e-3
"""Weight of the squared weights of joined controls."""
TYPES = "product_type"


def frequency(statistics: PairStatistics) -> Scorer:
    """How many training outfits a candidate belongs to; the outfit in question is not looked at."""
    return lambda _rest, candidates: statistics.frequency[candidates].astype(np.float64)


def category_co_occurrence(statistics: PairStatistics, attribute: int) -> Scorer:
    """The mutual information of one attribute's values, such as product types, mean over the outfit's articles."""
    alone = PairStatistics(
        statistics.together,
        statistics.frequency,
        statistics.outfits,
        statistics.codes[:, [attribute]],
        (statistics.pmi[attribute],),
    )
    return attribute_pmi(alone)


def attribute_pmi(statistics: PairStatistics) -> Scorer:
    """The mutual information of the values of all attributes, summed; mean over the outfit's articles."""
    return lambda rest, candidates: statistics.value_pmi(rest, candidates).astype(np.float64)


def co_occurrence(statistics: PairStatistics) -> Scorer:
    """How many training outfits a candidate shares with the outfit's articles, summed."""
    return lambda rest, candidates: statistics.counts(rest, candidates).sum(axis=2).astype(np.float64)


def lift(statistics: PairStatistics) -> Scorer:
    """The log lift of the candidate with each of the outfit's articles, summed; pairs never seen are below 0."""

    def score(rest: Int64s, candidates: Int64s) -> Float64s:
        counts = statistics.counts(rest, candidates)
        return weighted_sum(statistics.lift(rest, candidates, counts), rest >= 0)

    return score


def controls(outfits: Outfits, codes: Int64s, names: list[str]) -> Mapping[str, Scorer]:
    """Every control that only counts, by name.

    Args:
        outfits: of training.
        codes: the value of each attribute, int64 [n, attributes], from 0.
        names: of the attributes; ``product_type`` is the category of category co-occurrence, where it is one of them.
    """
    counted = PairStatistics.of(outfits, codes)
    by_type = {"category co-occurrence": category_co_occurrence(counted, names.index(TYPES))} if TYPES in names else {}
    return {
        "frequency": frequency(counted),
        **by_type,
        "attribute PMI": attribute_pmi(counted),
        "co-occurrence": co_occurrence(counted),
        "lift": lift(counted),
    }


@dataclass(frozen=True, eq=False)
class Joined:
    """Several controls joined by weights that answer known questions best.

    Attributes:
        parts: the scorers that are joined.
        weights: of each part's score, and of the logarithm of 1 + it, float64 [2 · parts].
    """

    parts: tuple[Scorer, ...]
    weights: Float64s

    @classmethod
    def fit(cls, parts: tuple[Scorer, ...], questions: Questions) -> Self:
        """Choose the weights by conditional logistic regression (D. McFadden, 1974) on questions of validation.

        Args:
            parts: the scorers.
            questions: whose right answers are the first candidates.
        """
        features = _features(parts, questions.rest, questions.candidates)
        scale = np.maximum(features.std(axis=(0, 1)), 1e-9)
        gaps = (features / scale)[:, :1] - (features / scale)  # [q, c, weights]: how far the truth leads

        def loss(weights: Float64s) -> tuple[float, Float64s]:
            behind = -(gaps @ weights)
            top = behind.max(axis=1, keepdims=True)
            shares = np.exp(behind - top)
            total = shares.sum(axis=1, keepdims=True)
            value = (np.log(total) + top).mean() + RIDGE * (weights**2).sum()
            slope = -((shares / total)[:, :, None] * gaps).sum(axis=1).mean(axis=0) + 2 * RIDGE * weights
            return float(value), slope

        found = minimize(loss, np.zeros(features.shape[2]), jac=True, method="L-BFGS-B")
        return cls(parts, found.x / scale)

    def __call__(self, rest: Int64s, candidates: Int64s) -> Float64s:
        """The weighted sum."""
        found: Float64s = _features(self.parts, rest, candidates) @ self.weights
        return found


def _features(parts: tuple[Scorer, ...], rest: Int64s, candidates: Int64s) -> Float64s:
    """Each part's score and sign · log(1 + |score|), float64 [q, c, 2 · parts]."""
    scores = np.stack([part(rest, candidates) for part in parts], axis=2)
    return np.concatenate([scores, np.sign(scores) * np.log1p(np.abs(scores))], axis=2)
