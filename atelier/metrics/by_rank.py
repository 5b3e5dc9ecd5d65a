"""What stands at each rank: mean popularity, price and age, against the catalogue's mean.

What belongs here: quantities of articles, and their means by rank. What does not: whether anybody wanted them.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from atelier.frames import day, numbers, times
from atelier.metrics.encoding import Floats, Ints, MetricsError, Universe, article_codes, has_column


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


def quantities(catalogue: Any, article_ids: Universe, purchases: Ints | None, as_of: date | None) -> dict[str, Floats]:
    """What is known of each article: popularity (units bought in training), price, age in days on ``as_of``.

    Args:
        catalogue: a pandas or Arrow table with article_id and, where known, price and available_from (times, also with
            a zone, dates or ISO texts); or None.
        article_ids: the articles by code.
        purchases: training purchases by code; None leaves popularity out.
        as_of: the day on which ages are counted; None leaves them out.

    Returns:
        float64 [articles] by metric name; a quantity that cannot be known is left out.

    Raises:
        MetricsError: a price is no number, or a time none.
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
        found["mean_price_at_rank"] = spread(numbers(catalogue["price"], "price", MetricsError))
    if as_of is not None and has_column(catalogue, "available_from"):
        found["mean_age_days_at_rank"] = spread(_days_until(catalogue["available_from"], as_of))
    return found


def last_day(train: Any) -> date | None:
    """The last day of the training interactions; None where they carry no time.

    Raises:
        MetricsError: ``occurred_at`` holds anything but times.
    """
    if not hasattr(train, "customer_ids") and not has_column(train, "occurred_at"):
        return None
    given = train.occurred_at if hasattr(train, "customer_ids") else train["occurred_at"]
    latest = pc.max(times(given, "occurred_at", MetricsError)).as_py()
    return None if latest is None else day(latest, "occurred_at", MetricsError)


def _days_until(values: Any, until: date) -> Floats:
    """How many days lie between each time and the first moment of a day; nan where there is no time."""
    array = times(values, "available_from", MetricsError).to_numpy(zero_copy_only=False)
    gap = np.datetime64(until, "us") - array.astype("datetime64[us]")
    return np.where(np.isnat(gap), np.nan, gap / np.timedelta64(1, "D"))
