"""Outfits where nobody made any: what one customer bought on one day.

What belongs here: making outfits of purchases. What does not: outfits that people put together
(:mod:`atelier.outfits.outfits`). It is weaker truth: what is bought on one day need not be worn together.
"""

import numpy as np
import pandas as pd

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
    columns = ["outfit_id", "article_id"]
    if not purchases.dated:
        return pd.DataFrame({name: pd.array([], "str") for name in columns})
    rows = pd.DataFrame(
        {
            "customer": purchases.customer_ids.values.to_pandas().to_numpy(object)[purchases.customers],
            "day": purchases.occurred_at.astype("datetime64[D]").astype(np.int64),
            "article_id": purchases.article_ids.values.to_pandas().to_numpy(object)[purchases.articles],
        }
    )
    rows["kind"] = kinds.reindex(rows["article_id"]).to_numpy(object)
    rows = rows[rows["kind"].notna()].drop_duplicates(["customer", "day", "kind"])
    sizes = rows.groupby(["customer", "day"])["kind"].transform("size")
    rows = rows[(sizes >= 2) & (sizes <= LARGEST)].sort_values(["day", "customer"], kind="stable", ignore_index=True)
    basket = rows.groupby(["day", "customer"], sort=True).ngroup()
    rows = rows[basket > basket.max() - most]
    dates = np.datetime_as_string(rows["day"].to_numpy(np.int64).astype("datetime64[D]"))
    named = rows["customer"].astype(str) + " " + pd.Series(dates, index=rows.index)
    return pd.DataFrame({"outfit_id": named.astype("str"), "article_id": rows["article_id"].astype("str")}).reset_index(
        drop=True
    )
