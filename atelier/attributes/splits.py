"""Dividing articles so that no style is on both sides.

What belongs here: deterministic splits by style. What does not: what is done with the sides.
"""

from math import floor

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.attributes.frames import Frame, identifiers, text

Booleans = npt.NDArray[np.bool_]


def holdout(articles: Frame, share: float, *, seed: int = 0, purpose: str = "test") -> Booleans:
    """Choose articles to hold out, style by style.

    A style (``product_code``; the article itself where that is null or absent) goes by a hash of its name, so that an
    article that was held out yesterday is, with few exceptions, held out today, whatever else the catalogue holds.

    Args:
        articles: article_id and, if known, product_code.
        share: share of the styles to hold out; rounded down.
        seed: another seed gives another choice.
        purpose: so does another purpose: splits of different purposes are independent.

    Returns:
        bool [n]: held out.
    """
    ids = identifiers(articles).to_numpy(zero_copy_only=False)
    codes = text(articles, "product_code").to_numpy(zero_copy_only=False)
    none = pd.isna(codes)
    styles = np.where(none, "article " + ids, "style " + np.where(none, "", codes).astype(object))
    groups, rows = np.unique(styles.astype(str), return_inverse=True)
    salted = np.array([f"{purpose} {seed} "], dtype=object) + groups.astype(object)
    order = np.argsort(pd.util.hash_array(salted, categorize=False), kind="stable")
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[order[: floor(share * len(groups))]] = True
    return chosen[rows]
