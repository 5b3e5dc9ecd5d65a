"""The articles of the sample retailer: what they truly are, what they cost, when they are on sale.

What belongs here: drawing articles, and the frame of the table `articles` on a day. What does not: their texts
(:mod:`~atelier.sources.sample.text`), annotations, photographs and how much they are liked.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atelier.sources.sample import taxonomy
from atelier.sources.sample.config import SampleConfig

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
NEVER = np.int64(1) << 40  # a day that lies beyond every history


@dataclass(frozen=True)
class Articles:
    """The catalogue's truth; arrays of length n, sorted by article_id. Days count from the first day of history.

    Attributes:
        ids: article ids.
        product_codes: the style; a style's articles differ in colour.
        types: index into taxonomy.TYPES.
        divisions: index into taxonomy.DIVISIONS.
        brands: index into taxonomy.BRANDS.
        attributes: int [n, attributes], code of the value; −1 where the attribute does not apply.
        prices: the full price.
        launched: first day on sale; may lie before the history.
        leaves: last day on sale; may lie beyond the history.
        markdown_from: first day of the reduced price.
        markdown: by how much it is reduced, 0…1.
    """

    ids: NDArray[np.str_]
    product_codes: NDArray[np.str_]
    types: Codes
    divisions: Codes
    brands: Codes
    attributes: Codes
    prices: Floats
    launched: Codes
    leaves: Codes
    markdown_from: Codes
    markdown: Floats

    def __len__(self) -> int:
        """How many articles there are."""
        return len(self.ids)

    def available(self, day: int) -> NDArray[np.bool_]:
        """Bool [n]: which articles can be bought on that day."""
        return (self.launched <= day) & (day <= self.leaves)

    def price_on(self, day: int) -> Floats:
        """Float [n]: the price asked on that day, in whole pence."""
        reduced = np.round(self.prices * (1.0 - self.markdown), 2)
        return np.where(self.markdown_from <= day, reduced, self.prices)


def is_snapshot_day(day: int) -> bool:
    """Whether the shop changes on that day: articles come and go, prices change and people join on two days a week."""
    return day % 7 in (0, 3)


def _on_snapshot_days(days: Codes) -> Codes:
    """Move each day back to the last snapshot day."""
    rest = days % 7
    return np.asarray(days - np.where(rest >= 3, rest - 3, rest))


def pick(rng: np.random.Generator, weights: Floats) -> Codes:
    """One column for each row of ``weights`` [n, k], with probability proportional to the weight."""
    cumulative = np.cumsum(weights, axis=1)
    position = rng.random(len(weights)) * cumulative[:, -1]
    passed = (position[:, None] >= cumulative).sum(axis=1)
    return np.asarray(np.minimum(passed, weights.shape[1] - 1), dtype=np.int64)


def tilted_shares(index: int, types: Codes, divisions: Codes, brands: Codes) -> Floats:
    """Float [n, values]: an attribute's shares for each article's product type, division and brand."""
    attribute = taxonomy.ATTRIBUTES[index]
    shares = np.tile(np.array(attribute.shares, dtype=np.float64), (len(types), 1))
    for names, tilts, codes in (
        (taxonomy.TYPE_NAMES, taxonomy.TYPE_TILTS, types),
        (taxonomy.DIVISIONS, taxonomy.DIVISION_TILTS, divisions),
    ):
        table = np.ones((len(names), shares.shape[1]))
        for row, name in enumerate(names):
            for column, value in enumerate(attribute.names):
                table[row, column] = tilts.get(name, {}).get(attribute.name, {}).get(value, 1.0)
        shares *= table[codes]
    if attribute.name == "occasion":
        favourite = np.array([attribute.names.index(name) for name in taxonomy.BRAND_OCCASION])[brands]
        shares[np.arange(len(types)), favourite] *= 5.0
    return shares


def _style_of_article(rng: np.random.Generator, n: int) -> tuple[Codes, Codes]:
    """For each of n articles its style and its number within the style, from 0; a style has one to five articles."""
    sizes = 1 + np.minimum(rng.geometric(0.6, size=n) - 1, 4)
    styles = np.repeat(np.arange(n), sizes)[:n]
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    return styles, np.arange(n) - starts[styles]


def _life(rng: np.random.Generator, config: SampleConfig, styles: Codes) -> tuple[Codes, Codes]:
    """Day of launch and last day on sale of each article; a style is launched together.

    A stationary shop: at the start as many articles are on sale as later, each somewhere in a life drawn in
    proportion to its length (otherwise those of the start would all be short-lived).
    """
    count = int(styles.max()) + 1
    shape = 2.0
    at_start = rng.random(count) < config.article_life / (config.article_life + config.days)
    life = rng.gamma(shape + at_start, config.article_life / shape, size=count)
    age = np.where(at_start, rng.random(count) * life, 0.0)
    launch = np.where(at_start, -age, rng.random(count) * config.days)
    launched = _on_snapshot_days(np.floor(launch).astype(np.int64))[styles]
    own_life = life[styles] * rng.uniform(0.85, 1.15, size=len(styles))
    # An article leaves on the eve of a snapshot day, so that every snapshot is right until the next.
    leaves = _on_snapshot_days(launched + np.maximum(np.ceil(own_life).astype(np.int64), 7)) - 1
    return launched, np.where(at_start[styles] & (leaves < 0), np.int64(2), leaves)


def draw_articles(config: SampleConfig, rng: np.random.Generator) -> Articles:
    """Draw the catalogue.

    Args:
        config: its size, days and the mean life of an article.
        rng: where chance comes from.

    Returns:
        The articles that are on sale at some time in the history.
    """
    n = config.articles
    styles, nth = _style_of_article(rng, n)
    count = int(styles.max()) + 1
    divisions = pick(rng, np.tile(np.array(taxonomy.DIVISION_SHARES), (count, 1)))
    type_shares = np.array([kind.share for kind in taxonomy.TYPES], dtype=np.float64).T
    types = pick(rng, (type_shares / type_shares.sum(axis=1, keepdims=True))[divisions])
    at_home = np.where(np.array(taxonomy.BRAND_HOME)[None, :] == divisions[:, None], 1.0, 0.06)
    brands = pick(rng, at_home)
    values = np.full((count, len(taxonomy.ATTRIBUTES)), -1, dtype=np.int64)
    for index in range(len(taxonomy.ATTRIBUTES)):
        drawn = pick(rng, tilted_shares(index, types, divisions, brands))
        values[:, index] = np.where(taxonomy.applicability()[types, index], drawn, -1)
    per_article = values[styles]
    colour = taxonomy.ATTRIBUTE_NAMES.index("colour")
    shares = tilted_shares(colour, types[styles], divisions[styles], brands[styles])
    per_article[:, colour] = _distinct_colours(rng, shares, styles, nth)
    launched, leaves = _life(rng, config, styles)
    prices, markdown_from, markdown = _priced(rng, styles, types, brands, launched, leaves)
    number = 110_000 + styles
    ids, codes = (
        numbered("", numbers, 6).to_numpy(False).astype(np.str_) for numbers in (number * 1000 + nth + 1, number)
    )
    return Articles(
        ids=ids,
        product_codes=codes,
        types=types[styles],
        divisions=divisions[styles],
        brands=brands[styles],
        attributes=per_article,
        prices=prices,
        launched=launched,
        leaves=leaves,
        markdown_from=markdown_from,
        markdown=markdown,
    )


def _distinct_colours(rng: np.random.Generator, shares: Floats, styles: Codes, nth: Codes) -> Codes:
    """A colour for each article, different from those of the style's earlier articles."""
    colours = np.full(len(styles), -1, dtype=np.int64)
    left = shares.copy()
    for turn in range(int(nth.max()) + 1):
        rows = np.flatnonzero(nth == turn)
        colours[rows] = pick(rng, left[rows])
        siblings = np.flatnonzero(nth > turn)
        taken = rows[np.searchsorted(styles[rows], styles[siblings])]
        left[siblings, colours[taken]] = 0.0
    return colours


def _priced(
    rng: np.random.Generator, styles: Codes, types: Codes, brands: Codes, launched: Codes, leaves: Codes
) -> tuple[Floats, Codes, Floats]:
    """The full price of each article, the first day of its reduced price, and by how much it is reduced."""
    count, n = len(types), len(styles)
    median = np.array([kind.price for kind in taxonomy.TYPES])[types] * np.array(taxonomy.BRAND_PRICE)[brands]
    price = np.maximum(np.round(median * np.exp(rng.normal(0.0, 0.25, size=count))), 3.0) - 0.01
    # One article in three is reduced before it goes; one in ten has been reduced for all its life.
    kind = rng.random(n)
    ends = _on_snapshot_days(leaves + 1 - rng.integers(14, 36, size=n))
    markdown_from = np.where(kind < 0.1, launched, np.where(kind < 0.43, np.maximum(ends, launched), NEVER))
    return price[styles], markdown_from, rng.choice([0.1, 0.2, 0.3, 0.5], p=[0.3, 0.35, 0.2, 0.15], size=n)


def numbered(prefix: str, numbers: Codes, digits: int) -> Any:
    """Arrow strings: ``prefix`` and the number, with leading zeros up to a number of digits."""
    padded = pc.utf8_lpad(pa.array(numbers, pa.int64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), padded, "")


def names_of(names: tuple[str, ...], codes: Codes) -> Any:
    """Arrow strings: the names of codes, null where a code is −1."""
    return pa.array(names, pa.string()).take(pa.array(codes, pa.int64(), mask=codes < 0))


def snapshot(articles: Articles, texts: pa.Table, day: int, first_day: date) -> pa.Table:
    """The table `articles` as the retailer knows it on a day: what has been launched, with that day's price and stock.

    Args:
        articles: the catalogue.
        texts: name and description of each article, aligned with the catalogue.
        day: the day, counted from the first day of history.
        first_day: that first day.

    Returns:
        Columns of the table `articles`; an article's last day stands there once it has passed.
    """
    known = np.flatnonzero(articles.launched <= day)
    epoch = (first_day - date(1970, 1, 1)) // timedelta(days=1)
    gone = articles.leaves[known] < day
    prices = np.round(articles.price_on(day)[known] * 100).astype(np.int64)
    return pa.table(
        {
            "article_id": pa.array(articles.ids[known], pa.string()),
            "product_code": pa.array(articles.product_codes[known], pa.string()),
            "name": texts["name"].take(pa.array(known)),
            "description": texts["description"].take(pa.array(known)),
            "product_type": names_of(taxonomy.TYPE_NAMES, articles.types[known]),
            "brand": names_of(taxonomy.BRANDS, articles.brands[known]),
            "division": names_of(taxonomy.DIVISIONS, articles.divisions[known]),
            "price": money(prices),
            "available_from": _dates(articles.launched[known] + epoch),
            "available_until": _dates(articles.leaves[known] + epoch, absent=~gone),
            "in_stock": pa.array(~gone),
        }
    )


def _dates(days: Codes, absent: NDArray[np.bool_] | None = None) -> Any:
    """Arrow dates of days counted from 1970, null where ``absent``."""
    return pa.array(days.astype(np.int32), mask=absent).cast(pa.date32())


def money(pence: Codes) -> Any:
    """Arrow DECIMAL(18,9) of amounts in whole pence: exact, no float in between."""
    scaled = np.stack([pence.astype(np.int64) * 10_000_000, np.where(pence < 0, -1, 0)], axis=1)
    return pa.Array.from_buffers(pa.decimal128(18, 9), len(pence), [None, pa.py_buffer(np.ascontiguousarray(scaled))])
