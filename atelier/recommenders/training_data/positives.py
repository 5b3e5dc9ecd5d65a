"""Positives: the interactions that a recommender is trained to rank above negatives.

What belongs here: the window of time of the positives, and which rows in it are positives. What does not: the negatives
(:mod:`atelier.recommenders.training_data.negatives`).
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
        """The number of days."""
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
        interactions: the training interactions.
        recent: positives are the interactions of these days; None: the last ``share`` of each customer's interactions,
            rounded down and at least one.
        share: see ``recent``.
        min_inputs: the least number of the customer's rows before a positive.
        min_interactions: the least number of rows of a customer; those with fewer have no positives.
        repeats: whether an article with which the customer interacted before can be a positive.
    """
    customers = interactions.customers
    totals = np.bincount(customers, minlength=len(interactions.customer_ids))
    before = place_in_row(customers.astype(np.int64), len(totals))
    if recent is None:
        # A small number is added because 24 × (1 / 12) may be rounded to less than 2.
        last = np.maximum(1, np.floor(totals * share + 1e-9)).astype(np.int64)
        chosen = before >= (totals - last)[customers]
    else:
        chosen = interactions.occurred_at >= recent.first
    chosen = chosen & (before >= min_inputs) & (totals >= min_interactions)[customers]
    if not repeats:
        chosen &= _first_times(interactions)
    return np.flatnonzero(chosen)


def newest(interactions: Interactions, rows: Indices, most: int | None) -> Indices:
    """The newest of some rows: those of as many whole last days as have ``most`` of them or fewer, but of one at least.

    Args:
        interactions: the training interactions.
        rows: int64, ascending.
        most: None: all of them. Without dates all of them are given, too.
    """
    if most is None or len(rows) <= most or not interactions.dated:
        return rows
    days = interactions.occurred_at[rows].astype("datetime64[D]").astype(np.int64)
    back = days.max() - days  # of each row, from the last day
    whole = max(1, int(np.searchsorted(np.cumsum(np.bincount(back)), most, side="right")))
    chosen: Indices = rows[back < whole]
    return chosen


def _first_times(interactions: Interactions) -> Mask:
    """Which rows are the customer's first interaction with the article: bool [rows]."""
    keys = interactions.customers.astype(np.int64) * len(interactions.article_ids) + interactions.articles
    first = np.zeros(len(keys), dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    return first
