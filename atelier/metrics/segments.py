"""Whom and what a figure covers: segments of customers and of articles.

What belongs here: the names of segments and who is in which. What does not: any metric.

- ``all``: everyone.
- ``customer:with_history``, ``customer:without_history``: whether training data hold an interaction of theirs; and by
  how many, in bins that do not move from day to day: ``customer:activity_1-5``, ``customer:activity_6-20``,
  ``customer:activity_21+``.
- ``article:warm`` (at least 5 training interactions), ``article:cold`` (1 to 4), ``article:new`` (none): the relevant
  set restricted to such articles, the lists as they are; ``article:cold:candidates``: the same relevant sets, and
  lists made from such articles only.
- ``product_type=Dress``: the relevant set restricted to articles with that value of a chosen attribute.
- ``catalogue``: all articles of the catalogue, whatever was recommended.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from atelier.arrays import distinct_values
from atelier.frames import read
from atelier.metrics.encoding import (
    TRAIN_KINDS,
    Coded,
    Ints,
    MetricsError,
    Universe,
    article_codes,
    catalogue_frame,
    has_column,
    pairs,
    universe,
)

ALL = "all"
CATALOGUE = "catalogue"
CANDIDATES = ":candidates"
WARM_FROM = 5
ARTICLE_SEGMENTS = ("article:new", "article:cold", "article:warm")
ACTIVITY_FROM = (1, 6, 21)
ACTIVITY_SEGMENTS = ("customer:activity_1-5", "customer:activity_6-20", "customer:activity_21+")
HISTORY_SEGMENTS = ("customer:without_history", "customer:with_history")


def count_codes(codes: Ints, size: int) -> Ints:
    """How often each code 0 … size − 1 occurs; −1 is ignored. int64 [size]."""
    return np.bincount(codes + 1, minlength=size + 1)[1:]


def warmth_codes(interactions: Ints) -> Ints:
    """The index in :data:`ARTICLE_SEGMENTS` of each article, by its number of training interactions."""
    return np.digitize(interactions, (1, WARM_FROM))


def activity_codes(interactions: Ints) -> Ints:
    """The index in :data:`ACTIVITY_SEGMENTS` of each customer, by their training interactions; −1 without any."""
    return np.digitize(interactions, ACTIVITY_FROM) - 1


def article_segments(articles: Any, train: Any, train_kinds: Sequence[str] | None = TRAIN_KINDS) -> pd.DataFrame:
    """Which articles are warm, cold and new; the candidates from which restricted lists are made.

    Args:
        articles: a frame with article_id, or a Catalogue.
        train: the training interactions; a frame or Interactions.
        train_kinds: which kinds of them count.

    Returns:
        article_id (text, sorted), segment (one of :data:`ARTICLE_SEGMENTS`).

    Raises:
        MetricsError: a column is missing or an identifier null.
    """
    ids = universe(article_codes(catalogue_frame(articles), "articles"))
    history = pairs(train, train_kinds, "train", "train_kinds").articles
    history.warn_strangers(ids, "articles")
    counts = count_codes(history.within(ids), len(ids))
    names = np.array(ARTICLE_SEGMENTS, dtype=object)[warmth_codes(counts)]
    return pd.DataFrame({"article_id": ids.values.to_pandas().astype("str"), "segment": pd.Series(names, dtype="str")})


def customers_with_history(train: Any, train_kinds: Sequence[str] | None = TRAIN_KINDS) -> list[str]:
    """The customers with a training interaction, sorted: those on whom models are compared.

    Raises:
        MetricsError: a column is missing or an identifier null.
    """
    found = pairs(train, train_kinds, "train", "train_kinds").customers
    present = Coded(np.arange(len(found.values)), found.values.take(pa.array(distinct_values(found.codes))))
    return [str(name) for name in universe(present).to_pylist()]


def attribute_codes(catalogue: Any, attribute: str, article_ids: Universe) -> tuple[Ints, list[str]]:
    """The value of ``attribute`` of each article.

    Args:
        catalogue: a pandas or Arrow table with article_id; without the attribute's column no article has a value.
        attribute: the column's name.
        article_ids: the articles by code.

    Returns:
        For each article the index of its value among the names (−1: no value, or not in the catalogue), and the
        sorted names ``attribute=value``.

    Raises:
        MetricsError: a value is no text that can be written, or an identifier null.
    """
    result = np.full(len(article_ids), -1, np.int64)
    if not has_column(catalogue, attribute):
        return result, []
    found = catalogue[attribute]
    series = pd.Series(found if isinstance(found, pd.Series) else found.to_pandas())
    positions = article_codes(catalogue, "catalogue").within(article_ids)
    known = series.notna().to_numpy() & (positions >= 0)
    if series.dtype == object:  # a text that no table can hold is refused
        read([value for value in series[known] if isinstance(value, str)], attribute, MetricsError)
    codes, values = pd.factorize(series[known].astype(str), sort=True)
    result[positions[known]] = codes
    return result, [f"{attribute}={value}" for value in values]
