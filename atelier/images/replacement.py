"""What to offer in the place of an article that is out of stock: what looks like it, of its type, at its price.

What belongs here: the order in which replacements are preferred, and the reason for each. What does not: how articles
are compared by photographs (:mod:`atelier.images.similarity`).

Another colour of the same style is allowed: to a customer it may be the best replacement of all.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from atelier.arrays import Float64s, Int64s
from atelier.images.similarity import UNKNOWN, Filters, ImageNeighbours, Pictured

PRICES = (0.5, 2.0)
"""From half to twice the price: a similar price."""
REASONS = {
    "image_type_price": "Of the articles in stock of its product type and at a similar price it looks most alike.",
    "image_type": "Of the articles in stock of its product type it looks most alike; the price is not similar.",
    "type_price": "It has the same product type and the nearest price; one of the two has no photograph.",
    "image": "It looks most alike; no article in stock is known to be of the same product type.",
    "nothing": "There is none: no article in stock is known to be of its product type, and it has no photograph.",
}
"""By how a replacement was found, in the order of preference, the reason in words."""
COLUMNS = ("article_id", "rank", "replacement_article_id", "basis", "similarity", "price_ratio", "reason")


def replacements(neighbours: ImageNeighbours, k: int = 5, price_range: tuple[float, float] = PRICES) -> pd.DataFrame:
    """The best replacements of every article that is out of stock.

    Args:
        neighbours: all articles of the day, those without a photograph too.
        k: replacements of each article; fewer where there are fewer.
        price_range: which prices are similar, as multiples of the article's own.

    Returns:
        ``article_id``, ``rank`` (from 1), ``replacement_article_id``, ``basis`` (a key of :data:`REASONS`),
        ``similarity`` (cosine; null where photographs were not compared), ``price_ratio`` (the replacement's price over
        the article's; null where one is not known), ``reason``. An article without any replacement has one row, whose
        replacement is null and whose reason says why.
    """
    pictured = neighbours.pictured
    absent = np.flatnonzero(~pictured.in_stock)
    found = pd.concat(_candidates(neighbours, absent, k, price_range), ignore_index=True)
    preference = pd.Series(range(len(REASONS)), index=list(REASONS))
    found = found.assign(place=found["basis"].map(preference)).sort_values(
        ["article_id", "place", "nth"], kind="stable", ignore_index=True
    )
    found = found.drop_duplicates(["article_id", "replacement_article_id"])
    found = found.assign(rank=found.groupby("article_id").cumcount().astype(np.int32) + 1)
    found = found[found["rank"] <= k]
    asked = pd.Series(_names(pictured, absent))
    none = asked[~asked.isin(found["article_id"])].to_numpy(dtype=object)
    gaps = pd.DataFrame({"article_id": none, "rank": 1, "replacement_article_id": None, "basis": "nothing"})
    listed = pd.concat([found, gaps.assign(similarity=np.nan)], ignore_index=True) if len(none) else found
    listed = listed.assign(price_ratio=_price_ratios(pictured, listed), reason=listed["basis"].map(REASONS))
    return listed[list(COLUMNS)].sort_values(["article_id", "rank"], ignore_index=True)


def _candidates(
    neighbours: ImageNeighbours, absent: Int64s, k: int, price_range: tuple[float, float]
) -> Iterator[pd.DataFrame]:
    """Replacements by each way of finding them: article_id, replacement_article_id, basis, similarity, nth."""
    pictured = neighbours.pictured
    names = _names(pictured, absent)
    ways = {"image_type_price": Filters(same_type=True, price_range=price_range), "image_type": Filters(same_type=True)}
    for basis, filters in ways.items():
        yield _by_image(neighbours, names, k, filters, basis)
    yield _by_price(pictured, absent, k)
    in_stock = pictured.types[pictured.in_stock]
    alone = absent[~np.isin(pictured.types[absent], in_stock[in_stock != UNKNOWN])]
    yield _by_image(neighbours, _names(pictured, alone), k, Filters(), "image")


def _names(pictured: Pictured, codes: Int64s) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    names: np.ndarray[tuple[int], np.dtype[np.object_]] = pictured.ids.take(codes).to_pandas().to_numpy(dtype=object)
    return names


def _by_image(neighbours: ImageNeighbours, names: object, k: int, filters: Filters, basis: str) -> pd.DataFrame:
    near = neighbours.similar(pd.DataFrame({"article_id": names}, dtype="str"), k, filters)
    return near.rename(columns={"similar_article_id": "replacement_article_id", "rank": "nth"}).assign(basis=basis)


def _by_price(pictured: Pictured, absent: Int64s, k: int) -> pd.DataFrame:
    """Articles in stock of the same type, the nearest price first, of two equally near ones the cheaper.

    How near two prices are is the logarithm of their ratio; an unknown price is farther than any.
    """
    parts = []
    for number in np.unique(pictured.types[absent]):
        mine = absent[pictured.types[absent] == number]
        theirs = np.flatnonzero(pictured.in_stock & (pictured.types == number))
        if number == UNKNOWN or not len(theirs):
            continue
        prices = np.nan_to_num(pictured.prices, nan=np.inf)
        theirs = theirs[np.argsort(prices[theirs], kind="stable")]
        places = np.searchsorted(prices[theirs], prices[mine])[:, None] + np.arange(-k, k)[None, :]
        inside = (places >= 0) & (places < len(theirs))
        chosen = theirs[np.clip(places, 0, len(theirs) - 1)]
        far = np.where(inside, _distance(pictured.prices[mine][:, None], pictured.prices[chosen]), np.inf)
        order = np.lexsort((np.broadcast_to(np.arange(2 * k), far.shape), far, ~inside), axis=1)
        rows = np.repeat(np.arange(len(mine)), 2 * k)
        picked = order.ravel()
        kept = inside[rows, picked]
        parts.append(
            pd.DataFrame(
                {
                    "article_id": _names(pictured, mine[rows[kept]]),
                    "replacement_article_id": _names(pictured, chosen[rows, picked][kept]),
                    "nth": np.tile(np.arange(1, 2 * k + 1), len(mine))[kept],
                }
            )
        )
    empty = pd.DataFrame({"article_id": [], "replacement_article_id": [], "nth": []})
    listed = pd.concat(parts, ignore_index=True) if parts else empty
    return listed.assign(basis="type_price", similarity=np.nan)


def _distance(own: Float64s, theirs: Float64s) -> Float64s:
    with np.errstate(divide="ignore", invalid="ignore"):  # articles that cost nothing
        found: Float64s = np.abs(np.log(theirs) - np.log(own))
    return np.nan_to_num(found, nan=np.inf)


def _price_ratios(pictured: Pictured, listed: pd.DataFrame) -> "pd.Series[float]":
    """The replacement's price over the article's; NaN where there is no replacement, or a price is not known or 0."""
    prices = pd.Series(pictured.prices, index=pictured.ids.values.to_pandas())
    own = prices.reindex(listed["article_id"]).to_numpy()
    theirs = prices.reindex(listed["replacement_article_id"]).to_numpy()
    ratio = np.divide(theirs, own, out=np.full(len(listed), np.nan), where=own > 0)
    return pd.Series(ratio, index=listed.index)
