"""Returns: which purchases were sent back, and so do not count as purchases.

What belongs here: the one rule by which a return finds its purchase. What does not: who asks for it
(:meth:`atelier.interactions.Interactions.of_kinds`, :func:`atelier.metrics.encoding.pairs`).

The rule, for each customer and article: a return cancels the latest earlier purchase that no other return has
cancelled. One return cancels one purchase, as one row is one unit. Purchases come before returns of the same moment,
because the days of a shop that keeps no hours would otherwise depend on the order of its rows. A return without an
earlier purchase in the data cancels nothing.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.arrays import Int64s, Mask
from atelier.kinds import PURCHASE, RETURN

Codes = npt.NDArray[np.integer[Any]]


def cancels(asked: Collection[str], there: Collection[str]) -> bool:
    """Whether returns are to be taken into account.

    Args:
        asked: the kinds that somebody wants to count. Who asks for returns too gets all rows as they are.
        there: the kinds that occur in the data.
    """
    return PURCHASE in asked and RETURN not in asked and RETURN in there


def cancelled(
    customers: Codes, articles: Codes, purchases: Mask, returns: Mask, moments: npt.NDArray[Any] | None = None
) -> Mask:
    """Which rows are purchases that were sent back later.

    Args:
        customers: whose each row is, numbers from 0. [n]
        articles: of which article, likewise. [n]
        purchases: which rows are purchases. [n]
        returns: which rows are returns. [n]
        moments: when, anything that can be sorted; None: the order of rows is the order in time. [n]

    Returns:
        bool [n].
    """
    result: Mask = np.zeros(len(customers), dtype=bool)
    rows = np.flatnonzero(purchases | returns)
    keys = customers[rows].astype(np.int64) * (int(articles.max(initial=0)) + 1) + articles[rows]
    touched = np.isin(keys, keys[returns[rows]])  # all other pairs have nothing to cancel
    rows, keys = rows[touched], keys[touched]
    if not len(rows):
        return result
    order = (
        np.argsort(keys, kind="stable")
        if moments is None
        else np.lexsort((returns[rows], moments[rows], keys))  # stable, so that ties keep the order of rows
    )
    result[_sent_back(rows[order], keys[order], returns[rows][order])] = True
    return result


def _sent_back(rows: Int64s, keys: Int64s, is_return: Mask) -> Int64s:
    """The rows of cancelled purchases, of rows in the order of their keys and, within a key, of time."""
    new = np.append(True, keys[1:] != keys[:-1])
    group = np.cumsum(new) - 1
    step = np.where(is_return, -1, 1)
    total = np.cumsum(step)
    balance = total - (total - step)[new][group]
    # Returns without an open purchase count for nothing: the number of open purchases is the balance, reflected at 0.
    # Every later group lies below all earlier ones, so that one running minimum serves them all.
    below = group * np.int64(2 * (len(rows) + 1))
    lowest = np.minimum.accumulate(balance - below) + below
    after = balance - np.minimum(lowest, 0)
    before = np.where(new, 0, np.append(0, after[:-1]))
    level = np.where(is_return, before, after)  # a return at a level closes the last purchase of that level
    found = np.flatnonzero(~is_return | (before > 0))
    found = found[np.lexsort((found, level[found], group[found]))]
    one, other = found[:-1], found[1:]
    closed = (group[one] == group[other]) & (level[one] == level[other]) & ~is_return[one]
    sent_back: Int64s = rows[one[closed]]
    return sent_back
