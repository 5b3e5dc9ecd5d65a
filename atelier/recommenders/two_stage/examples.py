"""Labelled candidates: what rankers learn from and are judged by.

What belongs here: :class:`Examples`, samples of them, and whose are held out. What does not: how they are made
(:mod:`~atelier.recommenders.two_stage.two_stage`), rankers, figures
(:mod:`~atelier.recommenders.two_stage.training_curves`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from atelier.arrays import Float32s, Int64s, Mask
from atelier.bundles import Array
from atelier.search.ragged import Indices

SAMPLE = 2000
"""Lists of each part of a training that are judged, at most."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled candidates.

    Attributes:
        features: float32 [m, features].
        labels: int [m], 1 for what was chosen.
        groups: int64 [lists], how many rows each list has, in order.
        customers: int64 [lists], whose list each is.
    """

    features: Float32s
    labels: Array
    groups: Int64s
    customers: Indices

    @classmethod
    def joined(cls, parts: "Iterable[Examples]") -> Self:
        """The examples of several days, one below the other."""
        listed = list(parts)
        names = ("features", "labels", "groups", "customers")
        return cls(*(np.concatenate([getattr(part, name) for part in listed]) for name in names))

    def where(self, lists: Mask) -> Self:
        """The marked lists, bool [lists]."""
        rows = np.repeat(lists, self.groups)
        return type(self)(self.features[rows], self.labels[rows], self.groups[lists], self.customers[lists])

    def some(self, seed: int) -> Self:
        """At most ``SAMPLE`` of the lists, by a seeded choice."""
        chosen = np.zeros(len(self.groups), dtype=bool)
        chosen[np.random.default_rng(seed).permutation(len(chosen))[:SAMPLE]] = True
        return self.where(chosen)


def held_out(customers: int, share: float, seed: int) -> Mask:
    """Which of the customers are held out from training, by a seeded choice: bool [customers]."""
    chosen: Mask = np.random.default_rng(seed).random(customers) < share
    return chosen
