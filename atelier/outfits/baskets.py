"""Outfits where nobody made any: what one customer bought on one day.

What belongs here: making outfits of purchases. What does not: outfits that people put together
(:mod:`atelier.outfits.outfits`). It is weaker truth: what is bought on one day need not be worn together.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.arrays import Int64s
from atelier.interactions import Interactions

LARGEST = 8
"""Product types of a basket that counts: who buys more at once buys for more than one look."""


def baskets(purchases: Interactions, kinds: pd.Series, most: int) -> pd.DataFrame:
    """The purchases of one customer on one day, one article of each product type, as outfits.

    Args:
        purchases: what was bought; without dates there are no baskets.
        kinds: the product type of each article, indexed by ``article_id``; articles that it lacks, or whose type is
            null, are left out.
        most: baskets, at most; the newest ones.

    Returns:
        ``outfit_id`` (the customer and the day), ``article_id``; of baskets of 2 to 8 product types, in the order of
        the days.
    """
    if not purchases.dated:
        return pd.DataFrame({name: pd.array([], "str") for name in ("outfit_id", "article_id")})
    kind = pd.factorize(kinds.reindex(purchases.article_ids.values.to_pandas().to_numpy(object)))[0]  # −1: none
    days = purchases.occurred_at.astype("datetime64[D]")
    rows = _in_baskets(purchases, days, kind)
    rows = rows[np.lexsort((purchases.customers[rows], days[rows]))]
    basket = _runs(purchases.customers[rows], days[rows])
    rows = rows[basket > basket.max(initial=0) - most]
    customers, articles = purchases.customer_ids.take(purchases.customers[rows]), purchases.articles[rows]
    dates = pd.Series(np.datetime_as_string(days[rows]), dtype="str")
    named = customers.to_pandas().astype("str") + " " + dates
    bought = purchases.article_ids.take(articles).to_pandas().astype("str")
    return pd.DataFrame({"outfit_id": named, "article_id": bought})


def _in_baskets(purchases: Interactions, days: npt.NDArray[np.datetime64], kind: Int64s) -> Int64s:
    """The rows of the first article of each type in baskets of 2 to :data:`LARGEST` types, int64, ascending.

    Args:
        purchases: in order of customers and of time, so that the rows of a basket stand together.
        days: of the rows.
        kind: int64 [articles], the type of each article; −1 where it has none.
    """
    rows = np.flatnonzero(kind[purchases.articles] >= 0)
    basket = _runs(purchases.customers[rows], days[rows])
    several = np.bincount(basket)[basket] >= 2
    rows, basket = rows[several], basket[several]
    types = basket * (kind.max(initial=0) + 1) + kind[purchases.articles[rows]]
    first = np.sort(np.unique(types, return_index=True)[1])
    rows, basket = rows[first], basket[first]
    sizes = np.bincount(basket)[basket]
    return rows[(sizes >= 2) & (sizes <= LARGEST)]


def _runs(customers: npt.NDArray[np.int32], days: npt.NDArray[np.datetime64]) -> Int64s:
    """The number of the run of equal customers and days that each row is in, int64, from 0."""
    begins = np.zeros(len(customers), dtype=np.int64)
    begins[1:] = (customers[1:] != customers[:-1]) | (days[1:] != days[:-1])
    return np.cumsum(begins)
