"""What stands at each rank: mean popularity, price and age, against the catalogue's mean.

What belongs here: quantities of articles, and their means by rank. What does not: whether anybody wanted them.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.metrics.encoding import Floats, Ints, article_codes, has_column


class Moments(NamedTuple):
    """A mean, its standard error over customers, and how many there are; nan where undefined."""

    mean: float
    standard_error: float
    customers: int


def moments(values: Floats) -> Moments:
    """Mean, standard error of the mean (sample deviation / √n; nan below two) and count of the values."""
    count = len(values)
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return Moments(float(values.mean()) if count else float("nan"), error, count)


def at_ranks(articles: Ints, quantity: Floats) -> Iterator[tuple[int, Moments]]:
    """The mean of ``quantity`` at each rank from 1, over the lists that have an article there whose quantity is known.

    Args:
        articles: article codes, −1 where absent. [lists, longest k]
        quantity: one value for each article code; nan where unknown.
    """
    extended = np.append(quantity, np.nan)
    for rank in range(articles.shape[1]):
        values = extended[articles[:, rank]]
        yield rank + 1, moments(values[~np.isnan(values)])


def quantities(catalogue: Any, article_ids: pa.Array, purchases: Ints | None, as_of: date | None) -> dict[str, Floats]:
    """What is known of each article: popularity (units bought in training), price, age in days on ``as_of``.

    Args:
        catalogue: a pandas or Arrow table with article_id and, where known, price and available_from; or None.
        article_ids: the articles by code.
        purchases: training purchases by code; None leaves popularity out.
        as_of: the day on which ages are counted; None leaves them out.

    Returns:
        float64 [articles] by metric name; a quantity that cannot be known is left out.
    """
    found: dict[str, Floats] = {}
    if purchases is not None:
        found["mean_popularity_at_rank"] = purchases.astype(np.float64)
    if catalogue is None:
        return found
    positions = article_codes(catalogue, "catalogue").within(article_ids)

    def spread(values: Floats) -> Floats:
        result = np.full(len(article_ids) + 1, np.nan)
        result[positions] = values
        return result[:-1]

    if has_column(catalogue, "price"):
        found["mean_price_at_rank"] = spread(_numbers(catalogue["price"]))
    if as_of is not None and has_column(catalogue, "available_from"):
        found["mean_age_days_at_rank"] = spread(_days_until(catalogue["available_from"], as_of))
    return found


def last_day(train: Any) -> date | None:
    """The last day of the training interactions; None where they carry no time."""
    if hasattr(train, "customer_ids") or has_column(train, "occurred_at"):
        times = train.occurred_at if hasattr(train, "customer_ids") else train["occurred_at"]
        latest = pc.max(times).as_py() if isinstance(times, pa.ChunkedArray) else pd.Series(times).max()
        return None if pd.isna(latest) else pd.Timestamp(latest).date()
    return None


def _numbers(values: Any) -> Floats:
    series = values if isinstance(values, pd.Series) else values.to_pandas()
    return np.asarray(series.astype("float64").to_numpy(np.float64, na_value=np.nan), np.float64)


def _days_until(values: Any, day: date) -> Floats:
    series = pd.to_datetime(values if isinstance(values, pd.Series) else values.to_pandas())
    return np.asarray((pd.Timestamp(day) - series).dt.total_seconds() / 86_400.0, np.float64)
