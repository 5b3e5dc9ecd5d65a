"""Lists of article numbers, many at once: what customers have, what they must not get, what is recommended.

What belongs here: the ragged and padded lists that every recommender works on, and the vectorised steps between them.
What does not: scores from vectors (:mod:`atelier.search.exact`), identifiers (:mod:`atelier.ids`).
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from atelier.ids import Codes

FEW = 4
"""Where rows have more than this many times as many pairs as are kept, the others are left out before sorting."""
Indices = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class Ranked(NamedTuple):
    """One list per row, best first: ``codes`` int32 [n, k] with −1 beyond a list's end, ``scores`` float32 [n, k]."""

    codes: Codes
    scores: Scores


class Pairs(NamedTuple):
    """Pairs of a row and an article, in order of rows: ``rows`` int64 [n], ``codes`` int32 [n]. May repeat."""

    rows: Indices
    codes: Codes

    @classmethod
    def none(cls) -> Self:
        """No pairs at all."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int32))

    def within(self, start: int, stop: int) -> "Pairs":
        """The pairs of rows ``start`` … ``stop`` − 1, with rows counted from ``start``."""
        first, last = np.searchsorted(self.rows, [start, stop])
        return Pairs(self.rows[first:last] - start, self.codes[first:last])

    def where(self, keep: Mask) -> "Pairs":
        """The marked pairs."""
        return Pairs(self.rows[keep], self.codes[keep])

    def joined(self, other: "Pairs") -> "Pairs":
        """Both sets of pairs, these first; not in order of rows."""
        return Pairs(np.concatenate([self.rows, other.rows]), np.concatenate([self.codes, other.codes]))


@dataclass(frozen=True, eq=False)
class RaggedLists:
    """One list of article numbers for each of n rows, as a compressed sparse matrix keeps them.

    Attributes:
        starts: int64 [n + 1]; list i is ``codes[starts[i]:starts[i + 1]]``.
        codes: int32.
    """

    starts: Indices
    codes: Codes

    @classmethod
    def from_pairs(cls, pairs: Pairs, n: int) -> Self:
        """The lists of ``n`` rows, each in the order of its pairs."""
        starts = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.bincount(pairs.rows, minlength=n), out=starts[1:])
        return cls(starts, np.ascontiguousarray(pairs.codes, dtype=np.int32))

    @classmethod
    def distinct(cls, rows: npt.NDArray[np.integer], codes: Codes, shape: tuple[int, int]) -> Self:
        """The distinct articles of each of ``shape[0]`` rows, ascending; ``shape[1]`` is the number of articles."""
        # Pairs get to their rows by counting; sorting all of them would take many times as long.
        there = np.ones(len(rows), dtype=bool)
        matrix = sparse.coo_array((there, (rows, codes)), shape).tocsr()
        return cls(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, rows: npt.NDArray[np.integer]) -> Pairs:
        """The pairs of the given rows' lists; rows are counted by their place in ``rows``."""
        lengths = (self.starts[1:] - self.starts[:-1])[rows]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.starts[:-1][rows] - (ends - lengths), lengths)
        return Pairs(np.repeat(np.arange(len(lengths)), lengths), self.codes[places])


def cuts(work: npt.NDArray[np.number], most: int) -> npt.NDArray[np.intp]:
    """Where to cut a row of tasks so that no part has more than ``most`` work, as far as a single task has not."""
    return np.flatnonzero(np.diff(np.cumsum(work) // most) > 0) + 1


def check_k(k: int) -> None:
    """Refuse a length of lists that is not a whole number of at least 1.

    Raises:
        ValueError: it is not.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k is the length of a list, a whole number and at least 1, not {k!r}")


def place_in_row(rows: Indices, n: int) -> Indices:
    """The place of each pair among those of its row, from 0, where ``rows`` ascends over 0 … ``n`` − 1."""
    counts = np.bincount(rows, minlength=n)
    return np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)


def best(rows: Indices, codes: Codes, scores: Scores, n: int, k: int) -> Ranked:
    """Each row's ``k`` best pairs by falling score, ties by rising article number.

    Args:
        rows: int64 [m], in any order, each within 0 … ``n`` − 1.
        codes: int32 [m].
        scores: float32 [m].
        n: number of rows.
        k: length of the lists.
    """
    if len(rows) > FEW * n * k and not np.isnan(scores).any():
        kept = _as_good_as_the_kth(rows, scores, n, k)
        rows, codes, scores = rows[kept], codes[kept], scores[kept]
    order = np.lexsort((codes, -scores, rows))
    rows, codes, scores = rows[order], codes[order], scores[order]
    return padded(Pairs(rows, codes), scores, n, k)


def _as_good_as_the_kth(rows: Indices, scores: Scores, n: int, k: int) -> Mask:
    """Which pairs have a score that is not below their row's ``k``-th best.

    Sorting numbers alone is many times as fast as sorting where pairs go. A number holds the row in its upper half and
    in its lower half the score's bits, arranged so that the best score is the smallest number.
    """
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)  # −0 becomes 0
    falling = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF))
    keys = (rows.astype(np.uint64) << np.uint64(32)) | falling
    counts = np.bincount(rows, minlength=n)
    places = np.cumsum(counts) - counts + np.minimum(counts, k) - 1
    worst = np.sort(keys)[np.maximum(places, 0)]
    kept: Mask = keys <= worst[rows]
    return kept


def padded(pairs: Pairs, scores: Scores, n: int, k: int) -> Ranked:
    """Each row's first ``k`` pairs as arrays [n, k]."""
    place = place_in_row(pairs.rows, n)
    keep = place < k
    ranked = Ranked(np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32))
    ranked.codes[pairs.rows[keep], place[keep]] = pairs.codes[keep]
    ranked.scores[pairs.rows[keep], place[keep]] = scores[keep]
    return ranked


def followed(first: Ranked, second: Ranked) -> Ranked:
    """Each list of ``first``, filled up to its length from the list of ``second``."""
    own = (first.codes >= 0).sum(axis=1, keepdims=True)  # [n, 1]
    position = np.arange(first.codes.shape[1])[None, :] - own  # in the second list; negative: in the first one
    source = np.maximum(position, 0)
    return Ranked(
        np.where(position < 0, first.codes, np.take_along_axis(second.codes, source, axis=1)),
        np.where(position < 0, first.scores, np.take_along_axis(second.scores, source, axis=1)),
    )


def without(pairs: Pairs, excluded: Pairs, n_articles: int) -> Mask:
    """Which of ``pairs`` are not among ``excluded``; both over ``n_articles`` articles."""
    keys, barred = pairs.rows * n_articles + pairs.codes, np.sort(excluded.rows * n_articles + excluded.codes)
    if not len(barred):
        return np.ones(len(keys), dtype=bool)
    # Pairs come nearly in order, so that neighbouring searches read the same cache lines; np.isin sorts both sides.
    found: Mask = barred[np.minimum(np.searchsorted(barred, keys), len(barred) - 1)] != keys
    return found


def first_of_order(order: Codes, scores: Scores, excluded: Pairs, n: int, k: int, n_articles: int) -> Ranked:
    """The first ``k`` articles of one common order for each of ``n`` rows, leaving out what is excluded for it.

    Args:
        order: int32 [m], article numbers, best first.
        scores: float32 [m], their scores.
        excluded: which articles a row must not get.
        n: number of rows.
        k: length of the lists.
        n_articles: number of articles that numbers run over.
    """
    place = np.full(n_articles, len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    # However many of a row's first articles are excluded, k others remain, or all are here. The rows lie one behind the
    # other, each as long as it has to be: one row with many exclusions costs no other row anything.
    lengths = np.minimum(k + np.bincount(excluded.rows, minlength=n), len(order))
    ends = np.cumsum(lengths)
    starts = ends - lengths
    open_ = np.ones(int(lengths.sum()), dtype=bool)
    forbidden = place[excluded.codes]
    hit = forbidden < lengths[excluded.rows]
    open_[starts[excluded.rows[hit]] + forbidden[hit]] = False
    cells = np.flatnonzero(open_)
    rows = np.searchsorted(ends, cells, side="right")
    places = cells - starts[rows]
    return padded(Pairs(rows, order[places]), scores[places], n, k)
