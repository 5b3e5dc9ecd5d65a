"""The figures of what is computed: features, and each model's lists.

What belongs here: which figures these have. What does not: the kinds of figure
(:mod:`atelier.monitoring.drift.figures`), how good lists are (:mod:`atelier.metrics`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from atelier.monitoring.drift.figures import concentration, count, mean, share_of, together


def feature_figures(table: str, today: pd.DataFrame, key: str) -> pd.DataFrame:
    """The mean of every number of a table of features, as log(1 + x), and how often it is empty.

    Args:
        table: its name.
        today: the key and columns of numbers from 0; other columns are left out.
        key: the column that is no feature.
    """
    numbers = _numbers(today.drop(columns=key))
    return together(
        [
            count(table, len(today)),
            *(mean(f"{table}: {name}", np.log1p(values)) for name, values in numbers.items()),
            *(share_of(f"{table}: {name} empty", values.isna()) for name, values in numbers.items()),
        ]
    )


def _numbers(frame: pd.DataFrame) -> "dict[str, pd.Series[float]]":
    """The columns that hold numbers, decimals too."""
    from decimal import Decimal

    found = {}
    for name, values in frame.items():
        first = next(iter(values.dropna()), None)
        if isinstance(first, Decimal | int | float | np.number) and not isinstance(first, bool):
            found[str(name)] = pd.to_numeric(values).astype("float64")
    return found


def list_figures(model: str, today: pd.DataFrame, yesterday: pd.DataFrame | None) -> pd.DataFrame:
    """Figures of a model's lists.

    Args:
        model: its name.
        today: customer_id, article_id, rank (from 1), fallback: one list for each customer.
        yesterday: the same of the day before; None: what needs it is left out.
    """
    first = today[today["rank"] == 1]
    own = [
        count(f"lists of {model}", len(first)),
        share_of(f"lists of {model}: fallback", first["fallback"].astype(bool)),
        concentration(f"lists of {model}: concentration on few articles", today["article_id"]),
    ]
    if yesterday is None:
        return together(own)
    moved = list_changes(today, yesterday)
    return together(
        [
            *own,
            mean(f"lists of {model}: Jaccard with yesterday's", moved["jaccard"]),
            mean(f"lists of {model}: change of rank", moved["rank_change"]),
        ]
    )


def list_changes(today: pd.DataFrame, yesterday: pd.DataFrame) -> pd.DataFrame:
    """How far each customer's list moved, of the customers who have one on both days.

    Args:
        today: customer_id, article_id, rank.
        yesterday: the same.

    Returns:
        One row for each customer, by customer_id: ``jaccard``, the articles that both lists have over those that either
        has; ``rank_change``, the mean distance of the ranks of the former over the longer list's length, null where
        there are none.
    """
    key, columns = ["customer_id", "article_id"], ["customer_id", "article_id", "rank"]
    sizes = _sizes(today, yesterday)
    both = today[columns].merge(yesterday[columns], on=key, suffixes=("", "_before"))
    distance = (both["rank"].astype("int64") - both["rank_before"].astype("int64")).abs()
    grouped = distance.groupby(both["customer_id"])
    common = grouped.size().reindex(sizes.index, fill_value=0)
    either = sizes.sum(axis=1) - common
    far = grouped.mean().reindex(sizes.index) / sizes.max(axis=1)
    return pd.DataFrame({"jaccard": common / either, "rank_change": far})


def _sizes(*days: pd.DataFrame) -> pd.DataFrame:
    """The lengths of the lists of the customers who have one on all days."""
    lengths: Sequence[pd.Series[int]] = [day.groupby("customer_id").size() for day in days]
    return pd.concat(lengths, axis=1, join="inner").sort_index()
