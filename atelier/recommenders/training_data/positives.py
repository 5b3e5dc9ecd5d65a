"""Positives: which interactions a recommender learns to rank above others.

What belongs here: the window of time that positives come from, and which rows of it are positives. What does not: what
they are held against (:mod:`atelier.recommenders.training_data.negatives`).
"""

from dataclasses import dataclass

import numpy as np

from atelier.interactions import Interactions
from atelier.search.ragged import Indices, Mask, place_in_row

DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Window:
    """Days from ``first`` to ``last``, both included, as datetime64[D]."""

    first: np.datetime64
    last: np.datetime64

    @property
    def days(self) -> int:
        """Its length."""
        return int((self.last - self.first) / DAY) + 1


def window_of(interactions: Interactions) -> Window | None:
    """The days from the first interaction to the last; None where there are no dates."""
    if not interactions.dated or not len(interactions):
        return None
    times = interactions.occurred_at
    return Window(times.min().astype("datetime64[D]"), times.max().astype("datetime64[D]"))


def last_part(window: Window | None, share: float, min_days: int) -> Window | None:
    """The last ``share`` of a window, in whole days and at least one; None where it is shorter than ``min_days``."""
    if window is None or window.days < min_days:
        return None
    return Window(window.last - (max(1, round(share * window.days)) - 1) * DAY, window.last)


def positive_rows(
    interactions: Interactions,
    recent: Window | None,
    *,
    share: float,
    min_inputs: int,
    min_interactions: int,
    repeats: bool,
) -> Indices:
    """The rows that are positives, ascending.

    Args:
        interactions: what is trained on.
        recent: positives are the interactions of these days; None: each customer's last ones, one in 1/``share``,
            rounded down and at least one.
        share: see ``recent``.
        min_inputs: rows of the customer that have to precede a positive.
        min_interactions: rows that a customer needs not to be discarded.
        repeats: whether an article that the customer had before can be a positive.
    """
    customers = interactions.customers
    totals = np.bincount(customers, minlength=len(interactions.customer_ids))
    before = place_in_row(customers.astype(np.int64), len(totals))
    if recent is None:
        # A hair is added so that a twelfth of 24 is 2 whatever the rounding of 1/12.
        last = np.maximum(1, np.floor(totals * share + 1e-9)).astype(np.int64)
        chosen = before >= (totals - last)[customers]
    else:
        chosen = interactions.occurred_at >= recent.first
    chosen = chosen & (before >= min_inputs) & (totals >= min_interactions)[customers]
    if not repeats:
        chosen &= _first_times(interactions)
    return np.flatnonzero(chosen)


def _first_times(interactions: Interactions) -> Mask:
    """Which rows are a customer's first with an article."""
    keys = interactions.customers.astype(np.int64) * len(interactions.article_ids) + interactions.articles
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
