"""The figures of customers and of what they do.

What belongs here: which figures customers and interactions have. What does not: the kinds of figure
(:mod:`atelier.monitoring.drift.figures`).
"""

import numpy as np
import pandas as pd

from atelier.monitoring.drift.figures import (
    Rows,
    bands,
    by_level,
    changed_rows,
    concentration,
    count,
    mean,
    nulls,
    share,
    share_of,
    shares,
    times,
    together,
    unknown_levels,
)

#: A price that differs from the catalogue's by more than this share is another price, and no rounding.
ROUNDING = 0.005
EVENT = ["customer_id", "article_id", "occurred_at", "kind"]


def customer_figures(today: pd.DataFrame, yesterday: pd.DataFrame | None) -> pd.DataFrame:
    """Figures of the table ``customers``.

    Args:
        today: customer_id, age.
        yesterday: the same of the day before; None: what needs it is left out.
    """
    own = [
        count("customers", len(today)),
        nulls("customers", today, ["age"]),
        shares("customers: age", bands(today["age"], 5)),
    ]
    if yesterday is None:
        return together(own)
    return together([*own, changed_rows("customers", today, yesterday, ["customer_id"], ["age"])])


def interaction_figures(
    today: pd.DataFrame, yesterday: pd.DataFrame | None, articles: pd.DataFrame | None, recent: pd.DataFrame | None
) -> pd.DataFrame:
    """Figures of a day of the table ``interactions``.

    Args:
        today: customer_id, article_id, occurred_at, kind, price, channel, session_id.
        yesterday: the same of the day before; None: what needs it is left out.
        articles: article_id, price: the day's catalogue; None likewise.
        recent: customer_id, article_id: who did something with what in the week before; None likewise.
    """
    moments = today["occurred_at"]
    hours = moments.dt.hour.map("{:02d}".format)
    # What a customer does at one sitting says no more of the clock than its beginning.
    first = moments.groupby(today["customer_id"]).min()
    with np.errstate(divide="ignore"):
        log_price = np.log(pd.to_numeric(today["price"]).astype("float64").clip(lower=0))
    parts = [
        count("interactions", len(today)),
        by_level({"interactions: hour": hours, "interactions: kind": today["kind"]}),
        times("interactions: time of day of each customer's first, in hours", first),
        by_level({"interactions: channel": today["channel"]}),
        shares("interactions: price", bands(today["price"], 0.5, logarithmic=True)),
        mean("interactions: price, logarithm", log_price),
        nulls("interactions", today, ["price", "channel", "session_id"]),
        share_of("interactions: rows that come twice", today.duplicated(EVENT)),
        concentration("interactions: concentration on few articles", today["article_id"]),
        concentration("interactions: concentration on few customers", today["customer_id"]),
    ]
    if yesterday is not None:
        parts.append(share_of("interactions: rows that came yesterday", _came_before(today, yesterday)))
        parts.append(unknown_levels("interactions: rows of channels", today["channel"], yesterday["channel"]))
    if articles is not None:
        parts.append(_prices_paid(today, articles))
    if recent is not None and len(recent):
        parts.append(_familiar(today, recent))
    return together(parts)


def _came_before(today: pd.DataFrame, yesterday: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows equal one of yesterday's but for the date."""
    timed = [
        pd.MultiIndex.from_arrays(
            [
                frame["customer_id"],
                frame["article_id"],
                frame["occurred_at"] - frame["occurred_at"].dt.normalize(),
                frame["kind"],
            ]
        )
        for frame in (today, yesterday)
    ]
    return pd.Series(timed[0].isin(timed[1]), index=today.index, dtype=bool)


def _prices_paid(today: pd.DataFrame, articles: pd.DataFrame) -> Rows:
    """The share of prices that are not the catalogue's of the day."""
    listed = today["article_id"].map(articles.set_index("article_id")["price"])
    paid, asked = (pd.to_numeric(each).astype("float64") for each in (today["price"], listed))
    known = paid.notna() & (asked > 0)
    other = (paid - asked).abs() > ROUNDING * asked
    return share("interactions: prices that are not the catalogue's", int((other & known).sum()), int(known.sum()))


def _familiar(today: pd.DataFrame, recent: pd.DataFrame) -> Rows:
    """How many of the day's customers, articles, and articles of a customer, are those of the week before."""
    pairs = today[["customer_id", "article_id"]].drop_duplicates()
    known = pd.MultiIndex.from_frame(recent[["customer_id", "article_id"]])
    again = np.asarray(pd.MultiIndex.from_frame(pairs).isin(known))
    return [
        *share_of("interactions: customers of the week before", _known(pairs, recent, "customer_id")),
        *share_of("interactions: articles of the week before", _known(pairs, recent, "article_id")),
        *share_of("interactions: articles that the same customer had in the week before", again),
    ]


def _known(pairs: pd.DataFrame, recent: pd.DataFrame, column: str) -> "pd.Series[bool]":
    return pairs[column].drop_duplicates().isin(recent[column].unique())
