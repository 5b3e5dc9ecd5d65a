"""A retailer of H&M's size, generated: 105,542 articles, 1,371,980 customers, 31.8 million purchases in 734 days.

    python -m benchmarks.full_size_retailer FOLDER --share 0.01

It is a landing zone as docs/sources.md describes it, so that the real source reads it. Models have something to learn:
articles belong to hidden styles, on which their words, labels and vectors depend; customers prefer a few styles, drift
towards others, and buy again what they bought. Few articles sell much (Zipf's law), and articles come and go. A smaller
share has fewer articles, customers and purchases in the same number of days. The same share and seed give the same
bytes.

Photographs are squares of eight pixels in one colour, each a file of its own, because files that are listed have to
exist; their vectors are generated (:func:`vectors_of`), because there is nothing to see in them. The photographs that
the day after the history adds are encoded as any others.

What belongs here: what is drawn, and its files. What does not: running the daily job on them
(:mod:`benchmarks.full_size`), a retailer that resembles a real one (:mod:`atelier.sources.sample`).
"""

import argparse
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FIRST_DAY = date(2018, 9, 20)
HISTORY = 734
#: Days after the history: the first is the day that is added, the last judges the history's last day.
LATER = 7
SEED = 20180920
STYLES = 64
#: Share of the articles whose photographs arrive on the day after the history.
NEW_PHOTOGRAPHS = 0.01
LABELLED = 0.6
REPEATED = 0.12
OWN_STYLE = 0.75
MEAN_BASKET = 3.0


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TYPES = _names(
    "trousers dress sweater t-shirt top blouse jacket shorts skirt shirt cardigan blazer hoodie coat jumpsuit leggings "
    "vest swimsuit bra socks boots sneakers sandals hat scarf bag belt gloves pyjamas robe"
)
VALUES: dict[str, tuple[str, ...]] = {
    "colour": _names("black white blue red green yellow pink beige grey brown orange purple"),
    "pattern": _names("solid stripe check floral dots melange lace denim print animal"),
    "material": _names("cotton wool linen silk viscose polyester leather denim cashmere nylon"),
    "fit": _names("slim regular loose oversized tailored cropped"),
    "season": _names("spring summer autumn winter"),
    "occasion": _names("everyday work evening sport home holiday"),
}
MANNERS = _names("soft crisp ribbed woven knitted lined pleated draped washed quilted sheer padded fine sturdy")
DIVISIONS = ("Ladieswear", "Divided", "Menswear", "Baby and Children", "Sport", "Home")


@dataclass(frozen=True)
class Size:
    """How much there is of everything, in the history."""

    articles: int
    customers: int
    interactions: int

    @classmethod
    def of_share(cls, share: float) -> Self:
        """A share of H&M's size, in (0, 1]."""
        if not 0 < share <= 1:
            raise ValueError(f"a share is above 0 and at most 1, not {share}")
        return cls(*(max(1, round(share * whole)) for whole in (105_542, 1_371_980, 31_800_000)))


@dataclass(frozen=True)
class Articles:
    """What is drawn of the articles; arrays ``[articles]``, days counted from the first of the history."""

    ids: "pa.Array"
    codes: Ints
    styles: Ints
    types: Ints
    values: dict[str, Ints]
    prices: Floats
    first: Ints
    last: Ints
    weights: Floats


def history_ends() -> date:
    """The last day of the history, which the daily job is run for."""
    return FIRST_DAY + timedelta(days=HISTORY - 1)


def generate(root: Path, size: Size, seed: int = SEED) -> None:
    """Write the landing zone; one that is complete already stays, one that is not is written again.

    Args:
        root: its folder.
        size: how much of everything.
        seed: of everything that is drawn.
    """
    if (root / "retailer.json").exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    articles = draw_articles(size, seed)
    _write_articles(root, articles, seed)
    _write_photographs(root, articles)
    customers = _write_customers(root, size, seed)
    _write_interactions(root, size, articles, customers, seed)
    last = FIRST_DAY + timedelta(days=HISTORY + LATER - 1)
    told = {"first_day": f"{FIRST_DAY}", "last_day": f"{last}", "description": f"generated: {size}"}
    (root / "retailer.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")  # last: now it is complete


def draw_articles(size: Size, seed: int = SEED) -> Articles:
    """Articles by style: about two to a product code, which share style and type."""
    import pyarrow as pa

    rng, count = np.random.default_rng([seed, 1]), size.articles
    codes = np.sort(rng.integers(0, max(1, count * 9 // 20), count))
    variants = np.arange(count) - np.searchsorted(codes, codes)
    of_code = rng.integers(0, STYLES, codes[-1] + 1)
    styles = of_code[codes]
    preferred_types = rng.integers(0, len(TYPES), (STYLES, 3))
    types = preferred_types[styles, (codes * 7919) % 3]
    values = {}
    for name, known in VALUES.items():
        typical = rng.integers(0, len(known), STYLES)[styles]
        values[name] = np.where(rng.random(count) < OWN_STYLE, typical, rng.integers(0, len(known), count))
    # A twentieth is always on sale; of the others some were there before the history, and the last come after it.
    first = rng.integers(-150, HISTORY + LATER, count)
    last = first + 14 + rng.exponential(140, count).astype(np.int64)
    always = np.arange(count) % 20 == 0
    weights: Floats = (1.0 + rng.permutation(count).astype(np.float64)) ** -0.8
    ids = pa.array([f"{100_000 + code:07d}{variant:03d}" for code, variant in zip(codes, variants, strict=True)])
    prices: Floats = np.round(rng.lognormal(3.0, 0.5, count), 2)
    everlasting = HISTORY + LATER
    return Articles(
        ids,
        codes,
        styles,
        types,
        values,
        prices,
        np.where(always, -150, first),
        np.where(always, everlasting, last),
        weights,
    )


def vectors_of(articles: Articles, rows: Sequence[int], dimension: int, seed: int = SEED) -> npt.NDArray[np.float32]:
    """Vectors that tell style, colour and pattern through noise: float32 ``[len(rows), dimension]``.

    The vector of an article does not depend on which others are asked for.
    """
    rng = np.random.default_rng([seed, 2])
    told = np.asarray(rows, dtype=np.int64)
    parts = [(articles.styles, STYLES)] + [(articles.values[name], len(VALUES[name])) for name in ("colour", "pattern")]
    found = np.zeros((len(told), dimension), np.float32)
    for values, count in parts:
        found += rng.standard_normal((count, dimension), dtype=np.float32)[values[told]]
    for place, row in enumerate(told):
        found[place] += np.random.default_rng([seed, 3, row]).standard_normal(dimension, dtype=np.float32)
    return found


def photograph(article: int, shot: int) -> bytes:
    """A PNG of 8 × 8 pixels in one colour, which no other number and shot has."""
    number = article * 2 + shot
    row = b"\0" + bytes(((number >> 16) & 255, (number >> 8) & 255, number & 255)) * 8

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 8, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def photograph_path(article: int, shot: int) -> str:
    """Where a photograph lies, relative to the folder of photographs."""
    return f"{article // 1000:03d}/{article:06d}_{shot}.png"


def _write(root: Path, table: str, day: date, columns: "dict[str, Any]") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / table).mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), root / table / f"ds={day}.parquet")


def _words(words: Sequence[str], numbers: Ints) -> "pa.Array":
    import pyarrow as pa

    return pa.array(words).take(pa.array(numbers))


def _write_articles(root: Path, articles: Articles, seed: int) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    rng, count = np.random.default_rng([seed, 4]), len(articles.styles)
    manner = _words(MANNERS, (articles.styles * 5 + (rng.random(count) < 0.3)) % len(MANNERS))
    words = {name: _words(VALUES[name], numbers) for name, numbers in articles.values.items()}
    types = _words(TYPES, articles.types)
    silent = pa.array(rng.random(count) < 0.5)
    colour = pc.if_else(silent, "", words["colour"])
    named = [manner, words["pattern"], types, words["material"], colour, words["occasion"]]
    first, last = (np.datetime64(FIRST_DAY) + days for days in (articles.first, articles.last))
    _write(
        root,
        "articles",
        FIRST_DAY,
        {
            "article_id": articles.ids,
            "product_code": pc.utf8_slice_codeunits(articles.ids, 0, 7),
            "name": pc.binary_join_element_wise(manner, types, " "),
            "description": pc.binary_join_element_wise(*named, " "),
            "product_type": types,
            "brand": pa.array([f"brand {style % 12}" for style in articles.styles]),
            "division": _words(DIVISIONS, articles.styles % len(DIVISIONS)),
            "price": articles.prices,
            "available_from": pa.array(first),
            "available_until": pa.array(last),
            "in_stock": pa.array(np.ones(count, bool)),
        },
    )
    known = {name: np.flatnonzero(rng.random(count) < LABELLED) for name in VALUES}
    labels = {
        "article_id": pa.concat_arrays([articles.ids.take(pa.array(rows)) for rows in known.values()]),
        "attribute": _words(tuple(known), np.repeat(np.arange(len(known)), [len(rows) for rows in known.values()])),
        "value": pa.concat_arrays([words[name].take(pa.array(rows)) for name, rows in known.items()]),
    }
    _write(root, "annotated_attributes", FIRST_DAY, labels)


def _write_photographs(root: Path, articles: Articles) -> None:
    """A photograph of each article, and on the day after the history a second one of a hundredth of them."""
    import pyarrow as pa

    count = len(articles.styles)
    new = range(max(1, round(count * NEW_PHOTOGRAPHS)))
    shots = [(article, 0) for article in range(count)] + [(article, 1) for article in new]
    for folder in range(1 + (count - 1) // 1000):
        (root / "photographs" / f"{folder:03d}").mkdir(parents=True, exist_ok=True)
    for article, shot in shots:
        (root / "photographs" / photograph_path(article, shot)).write_bytes(photograph(article, shot))
    for day, listed in ((FIRST_DAY, shots[:count]), (history_ends() + timedelta(days=1), shots)):
        ids = articles.ids.take(pa.array([article for article, _ in listed]))
        paths = [photograph_path(*each) for each in listed]
        columns = {"article_id": ids, "shot": pa.array([shot for _, shot in listed], pa.int32()), "path": paths}
        _write(root, "images", day, columns)


@dataclass(frozen=True)
class _Customers:
    """Customers in the order in which they join."""

    ids: "pa.Array"
    joined: Ints
    activity: Floats
    tastes: Ints


def _write_customers(root: Path, size: Size, seed: int) -> _Customers:
    import pyarrow as pa

    rng, count = np.random.default_rng([seed, 5]), size.customers
    text = rng.bytes(32 * count).hex()  # as long as H&M's, because lengths cost memory
    ids = pa.array([text[start : start + 64] for start in range(0, 64 * count, 64)])
    joined = np.sort(np.where(rng.random(count) < 0.6, 0, rng.integers(0, HISTORY + LATER, count)))
    joined[0] = 0
    ages = np.where(rng.random(count) < 0.6, rng.normal(26, 5, count), rng.normal(48, 9, count)).clip(16, 99)
    status = _words(("ACTIVE", "PRE-CREATE", "LEFT CLUB"), rng.choice(3, count, p=[0.93, 0.065, 0.005]))
    news = _words(("NONE", "Regularly", "Monthly"), rng.choice(3, count, p=[0.64, 0.35, 0.01]))
    columns = {"club_member_status": status, "fashion_news_frequency": news}
    keys = pa.array(list(columns)).take(pa.array(np.tile(np.arange(2), count)))
    items = pa.concat_arrays(list(columns.values())).take(pa.array((np.arange(count)[:, None] + [0, count]).ravel()))
    profile = pa.MapArray.from_arrays(pa.array(np.arange(0, 2 * count + 1, 2), pa.int32()), keys, items)
    _write(root, "customers", FIRST_DAY, {"customer_id": ids, "age": ages.astype(np.int16), "profile": profile})
    return _Customers(ids, joined, np.cumsum(rng.lognormal(0.0, 1.2, count)), rng.integers(0, STYLES, (count, 4)))


def rows_of_days(interactions: int) -> Ints:
    """How many rows each day has, by weekday and season; those of the history sum to ``interactions``."""
    days = np.arange(HISTORY + LATER)
    weights = (1.0 + 0.25 * ((days + 3) % 7 >= 5)) * (1.0 + 0.2 * np.sin(2 * np.pi * days / 365.25))
    ends = np.round(np.cumsum(weights) / weights[:HISTORY].sum() * interactions).astype(np.int64)
    rows: Ints = np.diff(ends, prepend=0)
    return rows


class _OnSale:
    """Articles on sale in one week, drawn by style and popularity."""

    def __init__(self, articles: Articles, week: int) -> None:
        live = np.flatnonzero((articles.first <= 7 * week) & (articles.last >= 7 * week + 6))
        self.articles = live[np.argsort(articles.styles[live], kind="stable")]
        self._upto = np.concatenate([[0.0], np.cumsum(articles.weights[self.articles])])
        self._bounds = np.searchsorted(articles.styles[self.articles], np.arange(STYLES + 1))

    def draw(self, styles: Ints, rng: np.random.Generator) -> Ints:
        """An article of each style; any article where none of the style is on sale."""
        low, high = self._upto[self._bounds[styles]], self._upto[self._bounds[styles + 1]]
        low, high = np.where(low == high, 0.0, low), np.where(low == high, self._upto[-1], high)
        places = np.searchsorted(self._upto, low + rng.random(len(styles)) * (high - low), side="right") - 1
        found: Ints = self.articles[np.clip(places, 0, len(self.articles) - 1)]
        return found


def _write_interactions(root: Path, size: Size, articles: Articles, customers: _Customers, seed: int) -> None:
    import pyarrow as pa

    bought = np.full(size.customers, -1)
    for day, count in enumerate(rows_of_days(size.interactions)):
        rng, ds = np.random.default_rng([seed, 6, day]), FIRST_DAY + timedelta(days=day)
        if day % 7 == 0:
            on_sale = _OnSale(articles, day // 7)
        buyers = _buyers(customers, day, int(count), rng)
        chosen = on_sale.draw(_styles(customers, buyers, day, rng), rng)
        again = bought[buyers]
        kept = (again >= 0) & (rng.random(len(buyers)) < REPEATED) & (articles.last[again] >= day)
        chosen = np.where(kept, again, chosen)
        bought[buyers] = chosen
        midnight = np.datetime64(datetime(ds.year, ds.month, ds.day), "us")
        times = midnight + np.sort(rng.integers(8 * 3600, 22 * 3600, len(buyers))) * np.timedelta64(1_000_000, "us")
        reduced = np.where(rng.random(len(buyers)) < 0.2, 0.7, 1.0)
        _write(
            root,
            "interactions",
            ds,
            {
                "customer_id": customers.ids.take(pa.array(buyers)),
                "article_id": articles.ids.take(pa.array(chosen)),
                "occurred_at": pa.array(times),
                "kind": pa.repeat("purchase", len(buyers)),
                "price": np.round(articles.prices[chosen] * reduced, 2),
                "channel": _words(("online", "store"), (rng.random(len(buyers)) < 0.3).astype(np.int64)),
            },
        )


def _buyers(customers: _Customers, day: int, count: int, rng: np.random.Generator) -> Ints:
    """The customer of each of ``count`` rows: baskets of customers who have joined, by their activity."""
    joined = np.searchsorted(customers.joined, day, side="right")
    sizes = rng.geometric(1 / MEAN_BASKET, count)
    drawn = np.searchsorted(customers.activity[:joined], rng.random(count) * customers.activity[joined - 1], "right")
    return np.repeat(np.minimum(drawn, joined - 1), sizes)[:count]


def _styles(customers: _Customers, buyers: Ints, day: int, rng: np.random.Generator) -> Ints:
    """The style that each row asks for: the customer's own, of which the first gives way to the last, or any."""
    late = rng.random(len(buyers)) < 0.6 * day / HISTORY
    places = np.where(rng.random(len(buyers)) < 0.6, np.where(late, 3, 0), rng.integers(1, 3, len(buyers)))
    own = customers.tastes[buyers, places]
    styles: Ints = np.where(rng.random(len(buyers)) < OWN_STYLE, own, rng.integers(0, STYLES, len(buyers)))
    return styles


def main(given: Sequence[str] | None = None) -> None:
    """Write the landing zone of a share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    options = parser.parse_args(given)
    generate(options.folder, Size.of_share(options.share))


if __name__ == "__main__":
    main()
