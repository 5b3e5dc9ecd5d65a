"""Stand-ins for outfits that nobody made: what one visit looked at, and what was looked at next.

What belongs here: making outfits and pairs of views, and cleaning the pairs of what chance would give. What does not:
outfits of purchases (:mod:`atelier.outfits.baskets`), outfits that people put together
(:mod:`atelier.outfits.outfits`). Both are weaker truth: what is looked at in one visit need not be worn together.
"""

import numpy as np
import pandas as pd

from atelier.outfits.baskets import LARGEST
from atelier.outfits.pair_statistics import SMOOTHING

COLUMNS = ["outfit_id", "article_id"]


def sessions(views: pd.DataFrame, kinds: pd.Series, most: int) -> pd.DataFrame:
    """What was looked at in one visit, one article of each product type, as outfits.

    Args:
        views: ``session_id``, ``occurred_at``, ``article_id``; rows without a session are left out.
        kinds: the product type of each article, indexed by ``article_id``; articles without one are left out.
        most: sessions, at most; the newest ones.

    Returns:
        ``outfit_id`` (the session), ``article_id``; of sessions of 2 to 8 product types, the first of each type.
    """
    rows = _ordered(views, kinds).drop_duplicates(["session_id", "kind"])
    sizes = rows.groupby("session_id")["kind"].transform("size")
    rows = rows[(sizes >= 2) & (sizes <= LARGEST)]
    newest = rows.groupby("session_id")["occurred_at"].max().sort_values(kind="stable").index[-most:]
    return _named(rows["session_id"], rows["article_id"])[rows["session_id"].isin(newest).to_numpy()].reset_index(
        drop=True
    )


def next_clicks(views: pd.DataFrame, kinds: pd.Series, most: int) -> pd.DataFrame:
    """Pairs of articles of different product types, looked at one right after the other, cleaned of chance.

    A pair is kept if it was seen more often than the popularity of both would give by chance, smoothed, and at least
    twice if there are pairs that were.

    Args:
        views: ``session_id``, ``occurred_at``, ``article_id``; rows without a session are left out.
        kinds: the product type of each article, indexed by ``article_id``; articles without one are left out.
        most: pairs, at most; those with the highest lift.

    Returns:
        ``outfit_id`` (both identifiers), ``article_id``: two rows for each pair.
    """
    rows = _ordered(views, kinds)
    after = rows.groupby("session_id")[["article_id", "kind"]].shift(-1)
    clicked = after["kind"].notna() & (after["kind"] != rows["kind"])
    if not clicked.any():
        return _named([], [])
    ends = np.sort(np.stack([rows["article_id"][clicked], after["article_id"][clicked]], axis=1).astype(str), axis=1)
    pairs = pd.DataFrame(ends, columns=["left", "right"]).value_counts().reset_index(name="times")
    often = pd.concat([pairs[["left", "times"]], pairs[["right", "times"]].set_axis(["left", "times"], axis=1)])
    each, total = often.groupby("left")["times"].sum(), max(int(pairs["times"].sum()), 1)
    chance = pairs["left"].map(each) * pairs["right"].map(each) / (2 * total)
    pairs["lift"] = np.log((pairs["times"] + SMOOTHING) / (chance + SMOOTHING))
    pairs = pairs[(pairs["lift"] > 0) & (pairs["times"] >= min(2, int(pairs["times"].max())))]
    order = ["lift", "left", "right"]
    pairs = pairs.sort_values(order, ascending=[False, True, True], ignore_index=True).head(most)
    both = pairs[["left", "right"]].to_numpy(object).ravel()
    return _named(np.repeat((pairs["left"] + " " + pairs["right"]).to_numpy(object), 2), both)


def _ordered(views: pd.DataFrame, kinds: pd.Series) -> pd.DataFrame:
    """The views of articles of a known type in a session, by session and time."""
    rows = views.loc[views["session_id"].notna(), ["session_id", "occurred_at", "article_id"]]
    rows = rows.assign(kind=kinds.reindex(rows["article_id"]).to_numpy(object))
    return rows[rows["kind"].notna()].sort_values(["session_id", "occurred_at"], kind="stable", ignore_index=True)


def _named(outfits: object, articles: object) -> pd.DataFrame:
    values = (pd.array(np.asarray(each, object), "str") for each in (outfits, articles))
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
