"""The role that each article plays in an outfit, by what people wrote of it.

What belongs here: from the rows of outfits to one role for each article. What does not: lists that keep roles apart
(:mod:`atelier.outfits.complements`).
"""

import pandas as pd

MOST_REPEATED = 0.1
"""The share of outfits with two articles of one role above which roles are no places that one article fills."""


def roles_of(articles: pd.DataFrame, outfits: pd.DataFrame) -> pd.Series:
    """The role of each article: its own in outfits, else that of its product type, else its product type.

    An article's own role is the one that most of its outfits give it, and a type's the one that most of its articles
    have; of equally frequent ones the first in the alphabet. Where more than a tenth of the outfits have two articles
    of one role (main and accessory, say), roles are no places that one article fills, and product types stand in.

    Args:
        articles: ``article_id``, ``product_type``.
        outfits: ``outfit_id``, ``article_id``, ``role``; rows without a role, or of other articles, say nothing.

    Returns:
        Texts [n], in the order of the articles; null for an article with neither role nor product type.
    """
    types = articles.set_index("article_id")["product_type"]
    rows = outfits[outfits["role"].notna() & outfits["article_id"].isin(types.index)]
    rows = rows.drop_duplicates(["outfit_id", "article_id", "role"])
    repeated = rows.loc[rows.duplicated(["outfit_id", "role"]), "outfit_id"].nunique()
    if repeated > MOST_REPEATED * rows["outfit_id"].nunique():
        return types.reset_index(drop=True)
    own = _most_frequent(rows["article_id"], rows["role"])
    of_type = _most_frequent(own.index.to_series().map(types), own)
    found = types.index.to_series().map(own).astype(object)
    return found.fillna(types.map(of_type)).fillna(types).reset_index(drop=True)


def _most_frequent(keys: pd.Series, values: pd.Series) -> pd.Series:
    """The most frequent value of each key, indexed by the key; of equally frequent ones the smallest."""
    pairs = pd.DataFrame({"key": keys.to_numpy(object), "value": values.to_numpy(object)}).dropna()
    counts = pairs.value_counts().reset_index(name="count")
    ordered = counts.sort_values(["count", "value"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("key").set_index("key")["value"]
