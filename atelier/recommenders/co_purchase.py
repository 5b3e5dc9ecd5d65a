"""People also bought: the articles that an article's buyers bought with it or after it, more often than by chance.

What belongs here: lists of articles from co-purchase counts. What does not: the counts
(:func:`~atelier.recommenders.two_stage.snapshot.follow_counts`), models that learn from interactions.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from atelier.arrays import Int64s, Mask
from atelier.interactions import Interactions
from atelier.recommenders.two_stage.snapshot import follow_counts
from atelier.search.ragged import place_in_row

SMOOTHING = 1.0
"""Added to the count of a pair and to what chance would give it, so that a single customer weighs little."""


class AlsoBoughtConfig(BaseModel):
    """How the lists are made.

    Attributes:
        k: their length.
        least: customers who have to have bought both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(default=6, ge=1)
    least: int = Field(default=2, ge=1)


def also_bought(
    purchases: Interactions,
    article_ids: pd.Series,
    offered: Mask,
    kinds: Int64s,
    styles: Int64s,
    config: AlsoBoughtConfig,
    apart: Callable[[Int64s, Int64s], Mask] | None = None,
) -> pd.DataFrame:
    """What an article's buyers also bought, at the same time or later; of another kind and style, and offered.

    The lists are directed: who buys a coat later buys gloves, which says nothing of the coats of those who buy gloves.
    The score is the log of the customers with both over those that chance would give, smoothed; only pairs above 0,
    which are more frequent than by chance, are listed.

    Args:
        purchases: what was bought; purchases of other articles than ``article_ids`` count as customers alone.
        article_ids: n articles.
        offered: bool [n], what may be named, for example what is in stock.
        kinds: int64 [n], the number of each one's product type; −1 where it is not known, which equals no other.
        styles: int64 [n], the number of each one's style.
        config: see :class:`AlsoBoughtConfig`.
        apart: says of pairs of articles, by their numbers, which must not be listed; None: none.

    Returns:
        ``article_id``, ``rank`` from 1, ``complement_article_id``, ``score``, ``customers`` (with both), ``buyers`` (of
        the article). Best first, equal scores in the order of identifiers. An article that nothing follows has no row.
    """
    counts, buyers = follow_counts(purchases, np.ones(len(purchases), bool))
    places = pd.Index(article_ids).get_indexer(purchases.article_ids.values.to_pandas())
    left, right = places[counts.row], places[counts.col]
    by_chance = buyers[counts.row] * buyers[counts.col] / max(len(purchases.customer_ids), 1)
    scores = np.log((counts.data + SMOOTHING) / (by_chance + SMOOTHING))
    kept = (left >= 0) & (right >= 0) & (counts.data >= config.least) & (scores > 0)
    kept &= offered[right] & (styles[left] != styles[right])
    kept &= (kinds[left] != kinds[right]) | (kinds[left] < 0)
    if apart is not None:
        kept &= ~apart(left, right)
    names = article_ids.to_numpy(object)
    frame = pd.DataFrame(
        {
            "article_id": pd.array(names[left[kept]], "str"),
            "complement_article_id": pd.array(names[right[kept]], "str"),
            "score": scores[kept].astype(np.float64),
            "customers": counts.data[kept].astype(np.int64),
            "buyers": buyers[counts.row[kept]].astype(np.int64),
        }
    )
    order = ["article_id", "score", "complement_article_id"]
    frame = frame.sort_values(order, ascending=[True, False, True], ignore_index=True)
    codes, _ = pd.factorize(frame["article_id"])
    frame.insert(1, "rank", place_in_row(codes.astype(np.int64), len(names)) + 1)
    return frame[frame["rank"] <= config.k].reset_index(drop=True)
