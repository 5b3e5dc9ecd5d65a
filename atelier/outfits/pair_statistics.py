"""Counts over training outfits: which articles, and which values of attributes, were combined how often.

What belongs here: counts and what follows from them by arithmetic. What does not: anything that is learned by gradient
(:mod:`atelier.outfits.training`), the scores that are made of counts (:mod:`atelier.outfits.controls`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from atelier.arrays import Float32s, Float64s, Int64s, Mask
from atelier.outfits.outfits import Outfits

SMOOTHING = 0.2
"""Added to the count of a pair, and to the count that chance would give it: a pair never seen has a lift below 1, the
further the more often both articles were combined with others."""
PAIR_SMOOTHING = 1.0
"""The same for pairs of values, which are counted far more often."""


@dataclass(frozen=True, eq=False)
class PairStatistics:
    """What training outfits say about pairs.

    Attributes:
        together: how many outfits two articles share, symmetric, zero on the diagonal: float32 [n, n].
        frequency: how many outfits each article belongs to, int64 [n].
        outfits: how many there are.
        codes: the value of each attribute, int64 [n, attributes], from 0.
        pmi: for each attribute the pointwise mutual information of two of its values, float32 [values, values]: the log
            of how often articles with these values were combined, over how often they would be if articles were
            combined by chance (K. Church and P. Hanks, 1990); 0 for a value that was never combined.
    """

    together: sp.csr_array
    frequency: Int64s
    outfits: int
    codes: Int64s
    pmi: tuple[Float32s, ...]

    @classmethod
    def of(
        cls, outfits: Outfits, codes: Int64s, weights: Int64s | None = None, apart: sp.csr_array | None = None
    ) -> Self:
        """Count.

        Args:
            outfits: of training.
            codes: int64 [n, attributes], from 0.
            weights: as how many outfits each counts, int64 [m]; None: as one.
            apart: float32 [n, n], ones for pairs of articles that count as never combined; None: there are none.
        """
        often = np.ones(len(outfits), np.int64) if weights is None else weights
        weighted = (sp.diags_array(often.astype(np.float32)) @ outfits.incidence).tocsr()
        together = (outfits.incidence.T @ weighted).tocsr()
        if apart is not None:
            together = (together - together.multiply(apart)).tocsr()
        together.setdiag(0)
        together.eliminate_zeros()
        together.sort_indices()
        frequency = np.asarray(weighted.sum(axis=0)).astype(np.int64)
        return cls.of_counts(together, frequency, int(often.sum()), codes)

    @classmethod
    def of_counts(cls, together: sp.csr_array, frequency: Int64s, outfits: int, codes: Int64s) -> Self:
        """The statistics that follow from counts that were made before; arguments as the attributes."""
        return cls(
            together, frequency, outfits, codes, tuple(log_lift(combined(together, column)) for column in codes.T)
        )

    def counts(self, rest: Int64s, candidates: Int64s) -> Float32s:
        """How many outfits each candidate shares with each article of an outfit.

        Args:
            rest: int64 [q, s], −1 beyond an outfit's end.
            candidates: int64 [q, c].

        Returns:
            float32 [q, c, s], 0 beyond an outfit's end.
        """
        found = np.zeros((*candidates.shape, rest.shape[1]), np.float32)
        inside = np.broadcast_to((rest >= 0)[:, None, :], found.shape)
        rows = np.broadcast_to(rest[:, None, :], found.shape)[inside]
        columns = np.broadcast_to(candidates[:, :, None], found.shape)[inside]
        found[inside] = self.together[rows, columns]
        return found

    def lift(self, rest: Int64s, candidates: Int64s, counts: Float32s) -> Float32s:
        """The log of how often pairs were combined over how often they would be by chance, smoothed: [q, c, s].

        Args:
            rest: int64 [q, s], −1 beyond an outfit's end.
            candidates: int64 [q, c].
            counts: as :meth:`counts` gives them, maybe without the outfit in question.
        """
        often = self.frequency.astype(np.float32)
        by_chance = often[rest][:, None, :] * often[candidates][:, :, None] / max(self.outfits, 1)
        logs = np.log((counts + SMOOTHING) / (by_chance + SMOOTHING))
        return (logs * (rest >= 0)[:, None, :]).astype(np.float32)

    def value_pmi(self, rest: Int64s, candidates: Int64s) -> Float32s:
        """The mean over an outfit's articles of the summed mutual information of values: float32 [q, c]."""
        inside = (rest >= 0)[:, None, :]
        mine, theirs = self.codes[rest][:, None], self.codes[candidates][:, :, None]  # [q, 1, s, k], [q, c, 1, k]
        total = np.zeros((*candidates.shape, rest.shape[1]), np.float32)
        for attribute, table in enumerate(self.pmi):
            total += table[mine[..., attribute], theirs[..., attribute]]
        return np.asarray((total * inside).sum(axis=2) / np.maximum(inside.sum(axis=2), 1), np.float32)

    def beside(self, articles: Int64s, candidates: Int64s) -> tuple[Float32s, Float32s]:
        """The log lift and the mutual information of values of each candidate with each of single articles.

        As :meth:`lift` and :meth:`value_pmi` of outfits of one article, all of which have the same candidates.

        Args:
            articles: int64 [q].
            candidates: int64 [c].

        Returns:
            float32 [q, c] each.
        """
        often = self.frequency.astype(np.float32)
        by_chance = np.outer(often[articles] / np.float32(max(self.outfits, 1)), often[candidates])
        counts = self.together[articles][:, candidates].toarray()
        lift = np.log((counts + np.float32(SMOOTHING)) / (by_chance + np.float32(SMOOTHING)))
        information = np.zeros_like(lift)
        for attribute, table in enumerate(self.pmi):
            information += table[:, self.codes[candidates, attribute]][self.codes[articles, attribute]]
        return lift, information


def combined(together: sp.csr_array, codes: Int64s) -> Float64s:
    """How often articles of two values were combined, symmetric, float64 [values, values].

    Args:
        together: how many outfits two articles share, float32 [n, n].
        codes: the value of each article, int64 [n], from 0.
    """
    n, values = len(codes), int(codes.max(initial=-1)) + 1
    has = sp.csr_array((np.ones(n, np.float32), (np.arange(n), codes)), shape=(n, values))
    return np.asarray((has.T @ together @ has).todense(), np.float64)


def log_lift(joint: Float64s) -> Float32s:
    """The log of how often values were combined over how often they would be by chance, float32 [values, values]."""
    each, total = joint.sum(axis=1), joint.sum()
    by_chance = np.outer(each, each) / max(total, 1.0)
    logs = np.log((joint + PAIR_SMOOTHING) / (by_chance + PAIR_SMOOTHING))
    return np.asarray(logs, np.float32)


def weighted_sum(values: Float32s, mask: Mask) -> Float64s:
    """The sum over an outfit's articles divided by the root of their number: float64 [q, c] of [q, c, s] and [q, s]."""
    return np.asarray(values.sum(axis=2) / np.sqrt(np.maximum(mask.sum(axis=1, keepdims=True), 1)), np.float64)
