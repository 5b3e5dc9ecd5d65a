"""Why ``als`` recommended an article: how much of the score is owed to each article of the history.

What belongs here: taking a score apart. What does not: the score itself
(:mod:`atelier.recommenders.factorisation.als`).

With the customer's vector solved for (eq. 4) the score is a sum over what was chosen,
y_iᵀ x_u = Σ_h y_iᵀ W y_h c_uh with W = (YᵀY + λI + Σ_h (c_uh − 1) y_h y_hᵀ)⁻¹: an article's weight is its term (Hu,
Koren and Volinsky, ICDM 2008, section 5). W is factors × factors and different for each customer. By the identity of
Woodbury only a matrix of the history's length m has to be inverted: with A = YᵀY + λI, the same for everyone,
k_ab = y_aᵀ A⁻¹ y_b and D = diag(c_uh − 1),

    y_iᵀ W y_h = [k_i (I + D K)⁻¹]_h,   k_i [1, m] and K [m, m] over the history.

A history longer than the vectors is solved for in their f factors instead: with z_a = L⁻¹ y_a, A = L Lᵀ,

    y_iᵀ W y_h = z_iᵀ (I + Zᵀ D Z)⁻¹ z_h,   Z [m, f] over the history,

the same numbers at m f² + f³ instead of m³ steps. It begins at histories of :data:`LONG` articles, so that the last
bits of all shorter ones are what they were.

The vectors trained come from a few steps of conjugate gradients before the articles' last move: the terms add up to the
score of eq. 4, near the one in the list.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from atelier.errors import BundleError
from atelier.ids import Codes, IdMap, column
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.explanations import Part, assembled, nothing, places_of
from atelier.search.ragged import Indices, Mask, Pairs, RaggedLists, Ranked, Scores, best, place_in_row

CELLS = 4_000_000
"""Numbers held at once for a batch of customers: 32 MB."""
LONG = 512
"""Articles of a history from which on it is solved for in factors."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ArticleFactors:
    """What ``als`` knows of articles, as far as scores are taken apart by it.

    Attributes:
        ids: n articles.
        ranked: bool [n]: which of them have vectors.
        whitened: float64 [ranked, factors]: what :func:`whitened` makes of the vectors.
    """

    ids: IdMap
    ranked: Mask
    whitened: Floats


def explain(factors: ArticleFactors, customer_profiles: CustomerProfiles, recs: Any, articles: int) -> pa.ListArray:
    """The reasons of each row of ``recs``; only what raised the score is a reason.

    Args:
        factors: the model's articles.
        customer_profiles: the customers, with the histories that the model keeps in their profiles.
        recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
        articles: reasons from the history, at most.

    Returns:
        n lists of kind (article), value and weight (in units of the score), by falling weight, ties by rising id.
    """
    codes = factors.ids.encode(column(recs, "article_id"), what="article_id")
    places = places_of(customer_profiles, recs)
    served = places >= 0
    known = np.flatnonzero(served & factors.ranked[codes])
    reasons = _History(factors, customer_profiles.profiles).reasons(places[known], codes[known], articles)
    row = np.full(len(codes), len(known))  # what the model does not rank has no reasons
    row[known] = np.arange(len(known))
    found = Ranked(
        *(
            np.concatenate([part, np.full((1, part.shape[1]), fill, part.dtype)])[row[served]]
            for part, fill in zip(reasons, (-1, 0), strict=True)
        )
    )
    parts: list[Part] = [(found, nothing(len(found.codes)))]
    return assembled(served, parts, factors.ids.values, len(factors.ids))


def whitened(vectors: Scores, regularization: float) -> Floats:
    """Vectors z of articles with z_a · z_b = y_aᵀ A⁻¹ y_b, float64 [n, factors].

    Args:
        vectors: Y, float32 [n, factors].
        regularization: λ.
    """
    y = vectors.astype(np.float64)
    gram = y.T @ y
    least = 1e-9 * max(float(np.trace(gram)), 1.0)  # λ may be 0, and articles fewer than factors
    lower = np.linalg.cholesky(gram + max(regularization, least) * np.eye(len(gram)))
    z: Floats = np.ascontiguousarray(np.linalg.solve(lower, y.T).T)  # rows are read, each in one piece
    return z


class _History:
    """What customers chose, as terms of scores.

    Args:
        factors: the model's articles.
        profiles: what it keeps of the customers.
    """

    def __init__(self, factors: ArticleFactors, profiles: dict[str, Any]) -> None:
        if "history.starts" not in profiles:
            raise BundleError("this als bundle keeps no histories, which reasons are made of: train the model again")
        self._ranked: Codes = np.flatnonzero(factors.ranked).astype(np.int32)
        self._column = np.cumsum(factors.ranked) - 1  # the place of each article among the ranked ones
        self._lists = RaggedLists(profiles["history.starts"], profiles["history.columns"])
        self._confidence = profiles["history.confidence"]
        self._z = factors.whitened

    def reasons(self, places: Indices, codes: Codes, k: int) -> Ranked:
        """The ``k`` articles of the history that each recommendation owes most to.

        Args:
            places: int64 [n], rows of the profiles.
            codes: int32 [n], ranked articles.
            k: number of reasons.
        """
        longest = int(np.diff(self._lists.starts)[places].max(initial=0))
        k = min(k, max(longest, 1))  # no list of reasons is longer than the history
        found = Ranked(np.full((len(places), k), -1, np.int32), np.zeros((len(places), k), np.float32))
        order = np.argsort(places, kind="stable")
        customers, counts = np.unique(places, return_counts=True)
        lengths = np.diff(self._lists.starts)[customers]
        starts = np.cumsum(counts) - counts
        for batch in self._batches(lengths, int(counts.max(initial=1))):
            rows = RaggedLists(np.append(starts, len(order)), order.astype(np.int32)).of(batch)
            mine = self._best(customers[batch], Pairs(rows.rows, codes[rows.codes]), k)
            found.codes[rows.codes], found.scores[rows.codes] = mine
        return found

    def _batches(self, lengths: Indices, asked: int) -> Iterator[Indices]:
        """Customers with histories of like length together, the longest first, so that padding costs little."""
        order, start = np.argsort(-lengths, kind="stable"), 0
        while start < len(order):
            longest = max(int(lengths[order[start]]), 1)
            size = max(1, CELLS // ((longest + asked) * max(self._side(longest), self._z.shape[1])))
            stop = start + size
            if self._is_long(longest):  # none of the shorter ones is solved for in this way
                stop = min(stop, start + int(np.searchsorted(-lengths[order[start:]], -self._least_long, side="right")))
            yield order[start:stop]
            start = stop

    @property
    def _least_long(self) -> int:
        """The length of a history from which on it is solved for in factors."""
        return max(LONG, int(self._z.shape[1]) + 1)

    def _is_long(self, length: int) -> bool:
        return length >= self._least_long

    def _side(self, length: int) -> int:
        """The side of the matrix that a history of a length is solved for with."""
        return int(self._z.shape[1]) if self._is_long(length) else length

    def _best(self, customers: Indices, asked: Pairs, k: int) -> Ranked:
        """The reasons of what is asked of a batch of customers; ``asked.rows`` counts them from 0."""
        n = len(customers)
        history, confidence = self._padded(customers)  # [n, m]
        slot = place_in_row(asked.rows, n)
        wanted = np.zeros((n, int(slot.max(initial=0)) + 1), dtype=np.int64)  # [n, r]
        wanted[asked.rows, slot] = self._column[asked.codes]
        z = self._z[history]  # [n, m, factors]
        targets = self._z[wanted].transpose(0, 2, 1)  # [n, factors, r]
        raised = np.maximum(confidence - 1, 0)
        if self._is_long(history.shape[1]):
            small = z.transpose(0, 2, 1) @ (z * raised[:, :, None])  # Zᵀ D Z, [n, factors, factors]
            small += np.eye(small.shape[1])
            solved = z @ np.linalg.solve(small, targets)  # [n, m, r]
        else:
            scaled = (z @ z.transpose(0, 2, 1)) * raised[:, None, :]  # K D, [n, m, m]
            scaled += np.eye(history.shape[1])
            solved = np.linalg.solve(scaled, z @ targets)  # [n, m, r]
        terms = solved * confidence[:, :, None]
        mine = terms[asked.rows, :, slot].astype(np.float32)  # [asked, m]
        rows, places = np.nonzero((mine > 0) & (confidence > 0)[asked.rows])
        articles = self._ranked[history[asked.rows[rows], places]]
        return best(rows.astype(np.int64), articles, mine[rows, places], len(asked.rows), k)

    def _padded(self, customers: Indices) -> tuple[Indices, Floats]:
        """The histories of customers as columns and confidences [n, m]; beyond a history's end both are 0."""
        starts = self._lists.starts[customers]
        lengths = self._lists.starts[customers + 1] - starts
        place = np.arange(max(int(lengths.max(initial=0)), 1))
        within = place < lengths[:, None]
        cells = (starts[:, None] + place)[within]
        history, confidence = np.zeros(within.shape, dtype=np.int64), np.zeros(within.shape)
        history[within] = self._lists.codes[cells]
        confidence[within] = self._confidence[cells]
        return history, confidence
