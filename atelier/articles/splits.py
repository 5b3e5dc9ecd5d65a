"""Dividing articles so that no style is in two parts.

What belongs here: deterministic splits by style. What does not: what is done with the parts.
"""

from math import floor

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.arrays import Int64s, Mask
from atelier.articles.table import Articles
from atelier.frames import Frame


def holdout(articles: Frame | Articles, share: float, *, seed: int = 0, purpose: str = "test") -> Mask:
    """Choose articles to hold out, style by style.

    A style (``product_code``; the article itself where that is null or absent) goes by a hash of its name, so that an
    article that was held out yesterday is, with few exceptions, held out today, whatever else the catalogue holds.

    Args:
        articles: article_id and, if known, product_code.
        share: share of the styles to hold out; rounded down.
        seed: of the choice.
        purpose: what the split is for; splits for different purposes are independent of each other.

    Returns:
        bool [n]: held out.
    """
    styles, rows = np.unique(Articles.from_frame(articles).styles.astype(str), return_inverse=True)
    order = np.argsort(_hashes(styles, f"{purpose} {seed}"), kind="stable")
    chosen = np.zeros(len(styles), dtype=bool)
    chosen[order[: floor(share * len(styles))]] = True
    return chosen[rows]


def folds(articles: Frame | Articles, count: int, *, seed: int = 0, purpose: str = "folds") -> Int64s:
    """Divide articles into folds of about one size, style by style.

    A style's fold depends on its name alone, so it stays the same from day to day, whatever else the catalogue holds.

    Args:
        articles: article_id and, if known, product_code.
        count: how many folds.
        seed: of the folds.
        purpose: what the folds are for, as for :func:`holdout`.

    Returns:
        int64 [n]: each article's fold, 0…count−1. With few styles a fold may be empty.
    """
    styles, rows = np.unique(Articles.from_frame(articles).styles.astype(str), return_inverse=True)
    numbers = _hashes(styles, f"{purpose} {seed}") % np.uint64(count)
    return numbers.astype(np.int64)[rows]


def _hashes(styles: npt.NDArray[np.str_], salt: str) -> npt.NDArray[np.uint64]:
    salted = np.array([f"{salt} "], dtype=object) + styles.astype(object)
    return pd.util.hash_array(salted, categorize=False)
