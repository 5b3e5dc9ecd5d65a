"""A part of the score of sequence models from counts: which articles stand near one another in the histories.

What belongs here: counting, what the counts say for a customer, the weights of that, ranking with it. What does not:
the network, whose score this part is added to (:mod:`atelier.recommenders.sequential.model`).

The score becomes x_u · y_i + a log(1 + c·n_u(i)) + b log(1 + d·o_u(i)) + e·l_u(i). n_u(i) is the mean of cosines S_ki
over the history's last interactions k, weighted by γ to the power of how many interactions ago k was. S_ki = C_ki /
√(C_k C_i): C_ki is how often the two articles stand within :data:`WINDOW` places of one another in anybody's history,
C_i the sum of C_ki over k. l_u(i) is 1 for the article of the last interaction, else 0; o_u(i) is the weight of the
interactions with i where i is another one. A network learns pairs of which there are few examples slowly, counts know
them at once; and what was chosen last is chosen again, or not, by another rule than what was chosen before.

Source: models that join factors with a neighbourhood (Koren, Factorization Meets the Neighborhood, KDD 2008, equation
15), here with counts for learned similarities, and with weights fitted as those of a conditional logit model (McFadden,
Conditional Logit Analysis of Qualitative Choice Behavior, 1974) on interactions that the network was not trained on.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import coo_matrix, csr_matrix

from atelier.bundles import Array
from atelier.ids import Codes
from atelier.recommenders.training_data.sequences import Histories
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Indices, Pairs, RaggedLists, Ranked, Scores, best, cuts, without

WINDOW = 5
"""Places within which two interactions of one history are counted as a pair."""
READ = 20
"""How many of a customer's last interactions are read."""
DECAY = 0.85
"""γ, by which an interaction counts less than the next one."""
OTHERS, OWN = 100.0, 1000.0
"""c and d: where 1/c and 1/d are small against n_u and o_u, the logarithm counts orders of magnitude."""
CANDIDATES = 150
"""The best articles of the network that each choice is held against when the weights are fitted."""
FEWEST_CHOICES = 100
"""Held-out interactions that the weights are fitted on at least; with fewer there is no such part."""
MOST_CHOICES = 5000
"""Those that they are fitted on at most."""
SMALLEST_SLOPE = 0.05
"""Of the network's score in the fit, so that the other weights can be divided by it."""
LENGTHS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
"""What the likeliest weights are multiplied by, to find those that rank best."""
CELLS = 4_000_000
"""Entries of the matrix that are sorted at once."""

Floats = npt.NDArray[np.float64]


class CoOccurrence(NamedTuple):
    """The part of the score.

    Attributes:
        cosines: S, float32 [n_articles, n_articles]: of each article's nearest ones.
        weights: float32 [3]: a, b and e.
    """

    cosines: csr_matrix
    weights: Array

    @classmethod
    def of_arrays(cls, arrays: dict[str, Array], articles: int) -> Self | None:
        """The part that a bundle keeps; None: it keeps none."""
        if "near.weights" not in arrays:
            return None
        parts = (arrays[f"near.{name}"] for name in ("cosines", "codes", "starts"))
        return cls(csr_matrix(tuple(parts), shape=(articles, articles)), arrays["near.weights"])

    def arrays(self) -> dict[str, Array]:
        """What a bundle keeps of it."""
        return {
            "near.starts": self.cosines.indptr.astype(np.int64),
            "near.codes": self.cosines.indices.astype(np.int32),
            "near.cosines": self.cosines.data.astype(np.float32),
            "near.weights": self.weights,
        }

    def added(self, histories: Histories) -> csr_matrix:
        """What the part adds to the scores of each of m customers, float32 [m, n_articles]; 0 where nothing is kept."""
        first, *others = (
            part * weight for part, weight in zip(evidence(self.cosines, histories), self.weights, strict=True)
        )
        return sum(others, first)


def following(histories: Histories, articles: int) -> csr_matrix:
    """How often an article stands up to :data:`WINDOW` places after another, float32 [earlier, later].

    Args:
        histories: what is counted.
        articles: how many articles numbers run over.
    """
    owners = np.repeat(np.arange(len(histories.starts) - 1), np.diff(histories.starts))
    counts = csr_matrix((articles, articles), dtype=np.float32)
    for lag in range(1, WINDOW + 1):
        same = owners[lag:] == owners[:-lag]
        counts = counts + _pairs_counted(histories.articles[:-lag][same], histories.articles[lag:][same], articles)
    return counts


def _pairs_counted(first: Codes, second: Codes, articles: int) -> csr_matrix:
    """How often each pair occurs, float32 [articles, articles]."""
    pairs = coo_matrix((np.ones(len(first), np.float32), (first, second)), shape=(articles, articles))
    # Of a matrix that is said to be canonical SciPy does not sort every row, which is slow. Converted to columns and
    # back to rows, its entries are in order, in linear time; what occurs twice is added up afterwards.
    pairs.has_canonical_format = True
    counts = pairs.tocsc().tocsr()
    counts.has_canonical_format = False
    counts.sum_duplicates()
    return counts


def following_now(counts: csr_matrix, before: Histories, now: Histories) -> csr_matrix:
    """:func:`following` of the histories ``now``, where ``counts`` is that of ``before``.

    Only customers with another number of interactions are counted again: one history is the beginning of the other.
    """
    changed = np.flatnonzero(np.diff(before.starts) != np.diff(now.starts))
    articles = counts.shape[0]
    return counts + following(now.take(changed), articles) - following(before.take(changed), articles)


def near(counts: csr_matrix, neighbours: int) -> csr_matrix:
    """S, the cosines of articles that stand near one another, float32 [articles, articles]; of each the largest.

    Args:
        counts: :func:`following` of the histories.
        neighbours: how many of an article are kept; ties go to the smaller number.
    """
    parts = list(_largest_cosines(counts, neighbours))
    rows, codes, cosines = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return csr_matrix((cosines, (rows, codes)), shape=counts.shape)


def _largest_cosines(after: csr_matrix, neighbours: int) -> Iterator[tuple[Indices, npt.NDArray[np.int32], Scores]]:
    """The largest cosines of the rows of counts, some rows at a time: rows, columns, cosines."""
    before = after.T.tocsr()
    totals = sum(np.asarray(each.sum(axis=1, dtype=np.float64)).ravel() for each in (before, after))
    scale = 1 / np.sqrt(np.maximum(totals, 1))
    lengths = np.diff(before.indptr) + np.diff(after.indptr)
    for first, stop in pairwise([0, *cuts(lengths, CELLS), len(lengths)]):
        some = before[first:stop] + after[first:stop]
        rows = np.repeat(np.arange(stop - first), np.diff(some.indptr))
        cosines = (some.data * scale[first + rows] * scale[some.indices]).astype(np.float32)
        kept = best(rows, some.indices, cosines, stop - first, neighbours)
        there = kept.codes >= 0
        yield np.nonzero(there)[0] + first, kept.codes[there], kept.scores[there]


def evidence(cosines: csr_matrix, histories: Histories) -> tuple[csr_matrix, csr_matrix, csr_matrix]:
    """log(1 + c·n_u(i)), log(1 + d·o_u(i)) and l_u(i) of m customers, each float32 [m, n_articles]."""
    recent = histories.last(READ)
    lengths = np.diff(recent.starts)
    owners, ends = np.repeat(np.arange(len(lengths)), lengths), recent.starts[1:]
    weights = DECAY ** (ends[owners] - 1 - np.arange(len(owners)))
    weights /= np.bincount(owners, weights, minlength=len(lengths))[owners]

    shape = (len(lengths), cosines.shape[0])

    def own(which: npt.NDArray[Any], values: npt.NDArray[Any]) -> csr_matrix:
        return csr_matrix((values.astype(np.float32), (owners[which], recent.articles[which])), shape=shape)

    last = ends[lengths > 0] - 1
    earlier = np.flatnonzero(recent.articles != recent.articles[ends[owners] - 1])
    every = own(np.arange(len(owners)), weights)
    near_them = (every @ cosines).tocsr()
    return logarithm(near_them, OTHERS), logarithm(own(earlier, weights[earlier]), OWN), own(last, np.ones(len(last)))


def logarithm(matrix: csr_matrix, scale: float) -> csr_matrix:
    """log(1 + scale · each entry), where there is one."""
    return csr_matrix((np.log1p(np.float32(scale) * matrix.data), matrix.indices, matrix.indptr), matrix.shape)


class Choices(NamedTuple):
    """Held-out interactions, on which the weights are fitted; m customers, whose last interaction each is.

    Attributes:
        histories: before it, without it.
        articles: int32 [m]: what was chosen.
        customers: float32 [m, factors]: the customers' vectors x_u before it.
    """

    histories: Histories
    articles: npt.NDArray[np.int32]
    customers: Scores


def fitted(cosines: csr_matrix, choices: Choices, search: ExactTopK) -> Array | None:
    """The weights a, b and e, float32 [3]; None: there are too few choices, or the lists of the choices get no better.

    A choice is held against the network's best articles and all that the counts name. A choice that is not among them
    says nothing and is left out. The weights under which the choices are likeliest are tried at several lengths, and
    those are taken that rank the choices best, by the mean of 1 / log2(1 + rank).

    Args:
        cosines: S, counted without the choices.
        choices: see :class:`Choices`.
        search: among the articles that can be chosen.
    """
    counted = evidence(cosines, choices.histories)
    listed = search(choices.customers, CANDIDATES, Pairs.none())
    pairs = _candidates(listed, sum(counted[1:], counted[0]).tocoo())
    pairs = pairs.where(search.holds(pairs.codes))
    chosen = pairs.codes == choices.articles[pairs.rows]
    known = np.zeros(len(choices.articles), dtype=bool)
    known[pairs.rows[chosen]] = True
    if known.sum() < FEWEST_CHOICES:
        return None
    kept = known[pairs.rows]
    pairs, chosen = pairs.where(kept), chosen[kept]
    columns = [search.scores_of(choices.customers, pairs), *(entries(each, pairs) for each in counted)]
    features = np.stack(columns, axis=1).astype(np.float64)
    weights = _likeliest(features, pairs.rows, chosen)
    gains = [_gain(features @ [1.0, *(length * weights)], pairs.rows, chosen) for length in LENGTHS]
    longest = int(np.argmax(gains))  # the first of the best
    return np.float32(LENGTHS[longest]) * weights if longest else None


def _gain(scores: Floats, rows: Indices, chosen: npt.NDArray[np.bool_]) -> float:
    """The mean of 1 / log2(1 + rank) of what was chosen, one of each row; ties rank behind."""
    starts, lengths = _runs(rows)
    ranks = np.add.reduceat(scores >= np.repeat(scores[chosen], lengths), starts)
    return float((1 / np.log2(1 + ranks)).mean())


def _runs(rows: Indices) -> tuple[Indices, Indices]:
    """Where the pairs of each row start, and how many they are; ``rows`` ascends."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    return starts, np.diff(np.append(starts, len(rows)))


def _candidates(listed: Ranked, named: coo_matrix) -> Pairs:
    """All pairs that are listed or named by counts, in order, each once."""
    rows, places = np.nonzero(listed.codes >= 0)
    both = np.concatenate([rows, named.row]), np.concatenate([listed.codes[rows, places], named.col])
    return RaggedLists.distinct(*both, named.shape).of(np.arange(named.shape[0]))


def entries(matrix: csr_matrix, pairs: Pairs) -> Scores:
    """The entries of a matrix at the pairs, float32 [n]; 0 where nothing is kept."""
    found: Scores = np.asarray(matrix[pairs.rows, pairs.codes], dtype=np.float32).ravel()
    return found


def _likeliest(features: Floats, rows: Indices, chosen: npt.NDArray[np.bool_]) -> Array:
    """The weights of a conditional logit model, those of evidence in units of the network's score.

    Args:
        features: float64 [n, 1 + p]: the network's score, and p kinds of evidence.
        rows: int64 [n], ascending: whose candidate each is.
        chosen: bool [n]: one of each row.
    """
    starts, lengths = _runs(rows)
    features = features - np.repeat(features[chosen], lengths, axis=0)  # what was chosen scores 0

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = features @ weights
        highest = np.maximum.reduceat(scores, starts)
        terms = np.exp(scores - np.repeat(highest, lengths))
        sums = np.add.reduceat(terms, starts)
        shares = terms / np.repeat(sums, lengths)
        value = (highest + np.log(sums)).mean()
        return float(value), shares @ features / len(starts)

    kinds = features.shape[1] - 1
    start, bounds = np.array([1.0, *[0.0] * kinds]), [(SMALLEST_SLOPE, None), *[(None, None)] * kinds]
    slope, *weights = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    found: Array = (np.array(weights) / slope).astype(np.float32)
    return found


def ranked_with(
    part: CoOccurrence, histories: Histories, search: ExactTopK, customers: Scores, k: int, excluded: Pairs
) -> Ranked:
    """The ``k`` best articles by the whole score, exactly; ties go to the smaller number.

    An article to which the part adds nothing is in a list only if it is among the ``k`` best by the inner product;
    those with less than nothing added are left out of that search and scored on their own, like all with more.

    Args:
        part: of the score.
        histories: of n customers.
        search: among the articles that may be recommended.
        customers: float32 [n, factors], their vectors x_u.
        k: length of the lists.
        excluded: what each customer must not get.
    """
    n, articles = len(customers), part.cosines.shape[0]
    matrix = part.added(histories)
    matrix.sort_indices()
    added = matrix.tocoo()
    pairs = Pairs(added.row.astype(np.int64), added.col.astype(np.int32))
    kept = search.holds(pairs.codes) & without(pairs, excluded, articles)
    pairs, more = pairs.where(kept), added.data[kept]
    barred = excluded.joined(pairs.where(more < 0))
    by_row = np.argsort(barred.rows, kind="stable")
    listed = search(customers, k, Pairs(barred.rows[by_row], barred.codes[by_row]))
    rows, places = np.nonzero(listed.codes >= 0)
    first = Pairs(rows, listed.codes[rows, places])
    alone = without(first, pairs, articles)
    whole = search.scores_of(customers, pairs) + more
    # What is below the k-th best inner product is in no list: to none of those k less than nothing is added.
    least = np.where(listed.codes[:, -1] >= 0, listed.scores[:, -1], -np.inf)
    enough = whole >= least[pairs.rows]
    both = first.where(alone).joined(pairs.where(enough))
    scores = np.concatenate([listed.scores[rows, places][alone], whole[enough]])
    return best(both.rows, both.codes, scores.astype(np.float32), n, k)
