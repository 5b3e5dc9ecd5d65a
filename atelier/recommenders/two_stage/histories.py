"""What each customer did before a moment, as flat arrays that candidate sources and features read.

What belongs here: :class:`Histories`, how they are cut out of interactions, kept in a bundle and looked up. What does
not: what is known of articles (:mod:`~atelier.recommenders.two_stage.snapshot`).
"""

import json
from dataclasses import dataclass
from typing import Self

import numpy as np

from atelier.arrays import Float32s, Float64s, Mask
from atelier.bundles import Array
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.kinds import PURCHASE
from atelier.search.ragged import Indices, place_in_row

MOST_CHANNELS = 64
"""Channels that are told apart; sales are counted for each, and a shop may name every till as one."""
MICROSECONDS_A_DAY = 86_400_000_000
UNKNOWN = np.iinfo(np.int64).min
"""The time of an interaction without a date, as NumPy counts NaT."""


def days_between(earlier: Indices, later: int) -> Float32s:
    """Days from each moment to a later one, float32; NaN where either is not known, 0 for what is not earlier.

    Args:
        earlier: microseconds since 1970, or ``UNKNOWN``.
        later: likewise.
    """
    if later == UNKNOWN:
        return np.full(len(earlier), np.nan, dtype=np.float32)
    passed = (later - np.maximum(earlier, later - 2**62)) / MICROSECONDS_A_DAY
    days: Float32s = np.where(earlier == UNKNOWN, np.nan, np.maximum(passed, 0)).astype(np.float32)
    return days


@dataclass(frozen=True, eq=False)
class Rows:
    """The interactions of a batch of n customers, one below the other, each customer's in order of time; h rows.

    Attributes:
        customers: n.
        owner: int64 [h], the place of the customer in the batch, ascending.
        codes: int32 [h], articles.
        times: int64 [h], microseconds since 1970, or ``UNKNOWN``.
        bought: bool [h], whether it was a purchase.
        prices: float32 [h], NaN where not known.
        channels: int16 [h], −1 where not known.
        ages: float32 [n], the customers' ages, NaN where not known.
    """

    customers: int
    owner: Indices
    codes: Codes
    times: Indices
    bought: Mask
    prices: Float32s
    channels: Array
    ages: Float32s


@dataclass(frozen=True, eq=False)
class Histories:
    """The last interactions of each of m customers.

    Attributes:
        starts: int64 [m + 1]; the rows of customer i are ``starts[i]:starts[i + 1]`` of the other arrays.
        codes: int32, articles.
        times: int64, microseconds since 1970.
        bought: bool, whether it was a purchase.
        prices: float32, NaN where not known.
        channels: int16, places in the list of channels, −1 where not known.
        ages: float32 [m], NaN where not known.
    """

    starts: Indices
    codes: Codes
    times: Indices
    bought: Mask
    prices: Float32s
    channels: Array
    ages: Float32s

    @classmethod
    def of_interactions(
        cls, interactions: Interactions, *, longest: int, channels: tuple[str, ...], ages: Float32s
    ) -> Self:
        """The last ``longest`` rows of each customer.

        Args:
            interactions: numbered by the articles of the model, and by the m customers.
            longest: rows of a customer, at most.
            channels: the names of the channels.
            ages: float32 [m].
        """
        m = len(interactions.customer_ids)
        customers = interactions.customers.astype(np.int64)
        counts = np.bincount(customers, minlength=m)
        kept = place_in_row(customers, m) >= (counts - longest)[customers]
        starts = np.concatenate([[0], np.cumsum(np.minimum(counts, longest))])
        codes = np.ascontiguousarray(interactions.articles[kept], dtype=np.int32)
        times = interactions.occurred_at.astype(np.int64)[kept]
        prices = np.full(len(kept), np.nan) if interactions.prices is None else interactions.prices
        found = (
            np.ascontiguousarray(each[kept])
            for each in (purchases_of(interactions), channels_of(interactions, channels))
        )
        bought, channel = found
        return cls(starts, codes, times, bought, prices[kept].astype(np.float32), channel, ages)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Indices:
        """How many interactions are kept of each customer, int64 [m]."""
        return self.starts[1:] - self.starts[:-1]

    def of(self, rows: Indices) -> Rows:
        """The interactions of the customers ``rows`` (int64 [n])."""
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        places = np.arange(total) + np.repeat(self.starts[:-1][rows] - (ends - lengths), lengths)
        owner = np.repeat(np.arange(len(rows)), lengths)
        return Rows(
            len(rows),
            owner,
            self.codes[places],
            self.times[places],
            self.bought[places],
            self.prices[places],
            self.channels[places],
            self.ages[rows],
        )

    def arrays(self) -> dict[str, Array]:
        """What :meth:`from_arrays` reads, for a bundle."""
        return {f"history.{name}": array for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """The histories of a bundle's arrays."""
        return cls(**{name: arrays[f"history.{name}"] for name in cls.__dataclass_fields__})


def purchases_of(interactions: Interactions) -> Mask:
    """Which rows are purchases, bool [rows]; all where the kinds are not known."""
    if interactions.kinds is None:
        return np.ones(len(interactions), dtype=bool)
    return np.asarray(interactions.kinds == PURCHASE, dtype=bool)


def frequent_channels(interactions: Interactions, before: Mask) -> tuple[str, ...]:
    """The names of the channels that are told apart: all, or where there are many the ``MOST_CHANNELS`` most frequent.

    Args:
        interactions: with or without channels.
        before: bool [rows], the rows by which many channels are chosen; ties go by the names' order.
    """
    if interactions.channels is None:
        return ()
    names, codes = interactions.channels.categories, interactions.channels.codes[before]
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST_CHANNELS])
    return tuple(map(str, names[chosen]))


def packed_channels(channels: tuple[str, ...]) -> Array:
    """The names of the channels as a bundle keeps them: JSON in UTF-8, uint8 [bytes]."""
    return np.frombuffer(json.dumps(channels).encode(), dtype=np.uint8).copy()


def unpacked_channels(array: Array) -> tuple[str, ...]:
    """The names that :func:`packed_channels` made."""
    return tuple(json.loads(array.tobytes().decode()))


def channels_of(interactions: Interactions, channels: tuple[str, ...]) -> Array:
    """The place of each row's channel in ``channels``, int16 [rows]; −1 where it is not known."""
    if interactions.channels is None or not channels:
        return np.full(len(interactions), -1, dtype=np.int16)
    place = [channels.index(name) if name in channels else -1 for name in interactions.channels.categories]
    places: Array = np.array([*place, -1], dtype=np.int16)[interactions.channels.codes]
    return places


@dataclass(frozen=True, eq=False)
class Owned:
    """The distinct (customer, group) pairs of a batch's interactions; the groups are articles, styles or types.

    Attributes:
        keys: int64 [pairs], ascending: customer × groups + group.
        groups: the number of groups.
        counts: float32 [pairs], interactions.
        last: int64 [pairs], the row (of the batch's interactions) of the last one.
    """

    keys: Indices
    groups: int
    counts: Float32s
    last: Indices

    @classmethod
    def of(cls, owner: Indices, group: Codes, groups: int) -> Self:
        """The pairs of interactions in order of time; those of group −1 are left out."""
        known = np.flatnonzero(group >= 0)
        keys = owner[known] * groups + group[known]
        distinct, backwards, counts = np.unique(keys[::-1], return_index=True, return_counts=True)
        return cls(distinct, groups, counts.astype(np.float32), known[len(keys) - 1 - backwards])

    def find(self, owner: Indices, group: Codes) -> tuple[Indices, Mask]:
        """The place among the pairs of each (customer, group), and whether it is there; the place is 0 where not."""
        keys = owner * self.groups + group
        place = np.searchsorted(self.keys, keys)
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), bool)
        place = np.minimum(place, len(self.keys) - 1)
        found = (self.keys[place] == keys) & (group >= 0)
        return np.where(found, place, 0), found


def mean_by(owner: Indices, values: Float32s, n: int) -> Float64s:
    """The mean of the known values of each of ``n`` owners, float64 [n]; NaN where none is known."""
    known = ~np.isnan(values)
    count = np.bincount(owner[known], minlength=n)
    total = np.bincount(owner[known], values[known].astype(np.float64), minlength=n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
