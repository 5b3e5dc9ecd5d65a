"""Histories in the order of time, as arrays, and the batches that sequence models read.

What belongs here: what is kept of a history, cutting it into windows, batches of windows of similar length. What does
not: which interactions speak for a preference (:mod:`atelier.recommenders.base`), negatives, networks.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.kinds import KINDS
from atelier.search.ragged import Indices, Mask

Bytes = npt.NDArray[np.uint8]
Moments = npt.NDArray[np.datetime64]
"""Times, by customer."""

UNKNOWN = 0
"""The number of a kind or a gap that is not known; that of a history's first interaction, before which none lies."""
GAPS = 16
"""Numbers of gaps: 1 is under an hour, each further one covers twice as long, the last begins at 16,383 hours."""
HOUR = 3_600_000_000
"""In microseconds."""
VISIT = 4
"""The number of a gap, and of all longer ones, after which a new visit begins: seven hours and more."""


class Windows(NamedTuple):
    """n stretches of histories, each of one customer.

    Attributes:
        starts: int64 [n], the row of the history arrays in which each begins.
        lengths: int64 [n].
    """

    starts: Indices
    lengths: Indices

    def of(self, places: Indices) -> "Windows":
        """The windows at these places."""
        return Windows(self.starts[places], self.lengths[places])


class PaddedRows(NamedTuple):
    """Windows as a matrix, each from its first interaction; what is beyond a window's end is not ``there``.

    Attributes:
        articles: int32 [n, length]; 0 where nothing is there.
        kinds: uint8 [n, length].
        gaps: uint8 [n, length].
        there: bool [n, length].
        owners: int64 [n], whose each is: the number of the customer among the histories.
    """

    articles: Codes
    kinds: Bytes
    gaps: Bytes
    there: Mask
    owners: Indices

    def before(self) -> "PaddedRows":
        """All but the last column: what is known before each of the other columns."""
        articles, kinds, gaps, there, owners = self
        return PaddedRows(articles[:, :-1], kinds[:, :-1], gaps[:, :-1], there[:, :-1], owners)

    def of(self, rows: slice) -> "PaddedRows":
        """Some of the windows, as wide as before."""
        articles, kinds, gaps, there, owners = self
        return PaddedRows(articles[rows], kinds[rows], gaps[rows], there[rows], owners[rows])


@dataclass(frozen=True, eq=False)
class Histories:
    """What each of n customers interacted with, in order, as compressed rows; m interactions.

    Attributes:
        starts: int64 [n + 1]; customer i has the interactions ``starts[i]`` … ``starts[i + 1]`` − 1.
        articles: int32 [m].
        kinds: uint8 [m]: 1 + the place in :data:`~atelier.kinds.KINDS`, or ``UNKNOWN``.
        gaps: uint8 [m]: how long ago the interaction before was, see ``GAPS``, or ``UNKNOWN``.
    """

    starts: Indices
    articles: Codes
    kinds: Bytes
    gaps: Bytes

    @classmethod
    def of(cls, interactions: Interactions) -> Self:
        """The histories of all customers of ``customer_ids``, in its order."""
        counts = np.bincount(interactions.customers, minlength=len(interactions.customer_ids))
        starts = np.zeros(len(counts) + 1, dtype=np.int64)
        np.cumsum(counts, out=starts[1:])
        return cls(starts, interactions.articles, _kinds(interactions), _gaps(interactions))

    def last(self, length: int) -> Self:
        """The same, cut to the last ``length`` interactions of each customer."""
        return self.keep(np.arange(len(self.articles)) >= np.repeat(self.starts[1:] - length, np.diff(self.starts)))

    def keep(self, chosen: Mask) -> Self:
        """The chosen interactions (bool [m]); each keeps its gap."""
        before = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(chosen, out=before[1:])
        return type(self)(before[self.starts], self.articles[chosen], self.kinds[chosen], self.gaps[chosen])

    def last_visits(self) -> Indices:
        """The place of the first interaction of each customer's last visit, int64 [n].

        Of a customer with a single visit, or without interactions, and where it is not known when these were, it is
        where the history starts.
        """
        begins = np.flatnonzero(self.gaps >= VISIT)
        before = np.searchsorted(begins, self.starts[1:]) - 1
        last = np.append(begins, -1)[before]  # before is -1 where no visit begins so early
        places: Indices = np.maximum(last, self.starts[:-1])
        return places

    def without_repeats(self) -> Self:
        """The same without interactions with the article of the interaction before: the first of each run is kept.

        Its gap becomes the longest of all gaps since the interaction that is kept before it, so that a visit which
        begins with a repeat still begins.
        """
        first = np.zeros(len(self.articles), dtype=bool)
        first[self.starts[:-1][np.diff(self.starts) > 0]] = True
        kept = first | (np.diff(self.articles, prepend=self.articles[:1]) != 0)
        found, places = self.keep(kept), np.flatnonzero(kept)
        if not len(places):
            return found
        longest = np.maximum.reduceat(self.gaps[: places[-1] + 1], np.append(0, places[:-1] + 1))
        return replace(found, gaps=np.where(first[kept], found.gaps, longest))

    def take(self, rows: Indices) -> Self:
        """The histories of some customers, in that order; one may come several times."""
        lengths = np.diff(self.starts)[rows]
        starts = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=starts[1:])
        places = np.arange(starts[-1]) + np.repeat(self.starts[:-1][rows] - starts[:-1], lengths)
        return type(self)(starts, self.articles[places], self.kinds[places], self.gaps[places])

    def windows(self, length: int) -> Windows:
        """The histories cut into windows of at most ``length``, from the last interaction backwards.

        Two windows of one customer share an interaction: the last of the earlier one, a target there, is the first of
        the later one, an input there. So each interaction but the very first is a target once. Windows of a single
        interaction, in which nothing can be predicted, are left out.

        Args:
            length: at least 2.
        """
        counts = np.diff(self.starts)
        step = length - 1
        each = np.maximum(-(-(counts - 1) // step), 0)  # windows of each customer
        owner = np.repeat(np.arange(len(counts)), each)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(each) - each, each)  # 0 is the last one
        ends = self.starts[1:][owner] - number * step
        starts = np.maximum(ends - length, self.starts[:-1][owner])
        return Windows(starts, ends - starts)

    def last_windows(self, windows: Windows, customers: Mask) -> Indices:
        """The places of those windows that are the last ones of some customers.

        Args:
            windows: of :meth:`windows`.
            customers: bool [n], whose.
        """
        owners = np.searchsorted(self.starts, windows.starts, side="right") - 1
        return np.flatnonzero(customers[owners] & (windows.starts + windows.lengths == self.starts[1:][owners]))

    def rows(self, windows: Windows) -> PaddedRows:
        """The windows as a matrix, as wide as the longest; for no windows it has no columns."""
        longest = int(windows.lengths.max()) if len(windows.lengths) else 0
        there = np.arange(longest) < windows.lengths[:, None]
        places = np.where(there, windows.starts[:, None] + np.arange(longest), 0)
        articles = np.where(there, self.articles[places], np.int32(0))
        kinds = np.where(there, self.kinds[places], np.uint8(UNKNOWN))
        gaps = np.where(there, self.gaps[places], np.uint8(UNKNOWN))
        owners = np.searchsorted(self.starts, windows.starts, side="right") - 1
        return PaddedRows(articles, kinds, gaps, there, owners)


def batches(windows: Windows, tokens: int, random: np.random.Generator) -> list[Indices]:
    """All windows in batches of about ``tokens`` cells, those of similar length together, in a random order.

    Windows are shuffled, then sorted by length, and cut where a matrix as wide as the longest window reaches ``tokens``
    cells: nearly nothing of it is padding. Which windows come together differs from pass to pass.

    Returns:
        Places among the windows, int64, each in one batch.
    """
    order = random.permutation(len(windows.lengths))
    order = order[np.argsort(windows.lengths[order], kind="stable")]
    lengths = windows.lengths[order]
    cuts, first = [], 0
    while first < len(order):  # a step for each batch, not for each window
        # The longest of `count` windows is the last: find the largest count with count × longest ≤ tokens.
        most = max(1, tokens // int(lengths[first]))
        candidates = lengths[first : first + most]
        fitting = int(np.searchsorted(candidates * np.arange(1, len(candidates) + 1), tokens, side="right"))
        cuts.append(order[first : first + max(1, fitting)])
        first += max(1, fitting)
    return [cuts[place] for place in random.permutation(len(cuts))]


def sampled(windows: Windows, most: int, random: np.random.Generator) -> Indices:
    """Places of random windows that together hold ``most`` interactions or fewer, but one window at least, ascending.

    All of them where they hold no more.
    """
    if windows.lengths.sum() <= most:
        return np.arange(len(windows.lengths))
    order = random.permutation(len(windows.lengths))
    fitting = max(1, int(np.searchsorted(np.cumsum(windows.lengths[order]), most, side="right")))
    return np.sort(order[:fitting])


def last_moments(interactions: Interactions) -> Moments | None:
    """When each customer's last interaction was, datetime64[us] [customers]; None without dates."""
    if not interactions.dated or not len(interactions):
        return None
    counts = np.bincount(interactions.customers, minlength=len(interactions.customer_ids))
    moments: Moments = interactions.occurred_at[np.cumsum(counts) - 1]
    return moments


def newest(histories: Histories, length: int, most: int | None, last: Moments) -> Mask | None:
    """The customers who were there last and whose last interactions together are ``most`` or fewer, one at least.

    Args:
        histories: of all customers.
        length: how many last interactions of each customer count.
        most: None: all customers.
        last: when each customer's last interaction was.

    Returns:
        bool [customers]; None where that is everybody, because all windows of the histories together hold no more.
    """
    if most is None or len(histories.articles) <= most:
        return None
    counts = np.minimum(np.diff(histories.starts), length)
    order = np.argsort(last, kind="stable")[::-1]
    chosen = np.zeros(len(counts), dtype=bool)
    chosen[order[: max(1, int(np.searchsorted(np.cumsum(counts[order]), most, side="right")))]] = True
    return chosen


def _kinds(interactions: Interactions) -> Bytes:
    if interactions.kinds is None:
        return np.full(len(interactions), UNKNOWN, dtype=np.uint8)
    number = [KINDS.index(kind) + 1 if kind in KINDS else UNKNOWN for kind in interactions.kinds.categories]
    found: Bytes = np.array([*number, UNKNOWN], dtype=np.uint8)[interactions.kinds.codes]
    return found


def _gaps(interactions: Interactions) -> Bytes:
    if not interactions.dated or not len(interactions):
        return np.full(len(interactions), UNKNOWN, dtype=np.uint8)
    times = interactions.occurred_at.astype(np.int64)
    hours = np.maximum(np.diff(times, prepend=times[:1]), 0) / HOUR
    numbers = np.minimum(1 + np.floor(np.log2(1 + hours)), GAPS - 1)
    first = np.diff(interactions.customers, prepend=-1) != 0
    found: Bytes = np.where(first, UNKNOWN, numbers).astype(np.uint8)
    return found
