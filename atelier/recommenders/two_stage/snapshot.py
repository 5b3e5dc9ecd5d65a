"""What is known of articles at a moment: how they sell, to whom, for how much, how often again, and what follows them.

What belongs here: :class:`ArticleGroups` (what does not change from day to day), :class:`Snapshot` (what does) and how
both are computed. What does not: customers (:mod:`~atelier.recommenders.two_stage.histories`), features of a pair
(:mod:`~atelier.recommenders.two_stage.ranking_features`).

Nothing later than the moment is seen: :func:`snapshot` refuses interactions that are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from atelier.arrays import Float32s, Float64s, Int32s, Mask, distinct_values
from atelier.bundles import Array
from atelier.catalogue import Catalogue
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.two_stage.histories import MICROSECONDS_A_DAY, UNKNOWN, channels_of, days_between, mean_by
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Indices, Pairs, RaggedLists, cuts, place_in_row

WINDOWS = (1, 3, 7, 30)
"""Days over which sales are counted, ending with the moment."""
WEEK = WINDOWS.index(7)
AGES = np.array([20, 30, 40, 50, 60])
"""Where one age group ends and the next begins; the last group, ``len(AGES) + 1``, is of unknown age."""
SMOOTHING = 20.0
"""Customers of average repurchase that every rate of repurchase is mixed with."""
BASKET = 30
"""The last interactions of a customer from which pairs are made: more would cost their square."""
PAIRS = 4_000_000
"""Pairs of interactions taken at once."""
KEYS = 2**62
"""How many (customer, article, article) are numbered at once, as int64."""


def age_groups(ages: Float32s) -> Int32s:
    """The age group of each customer, int32 [n]."""
    group = np.digitize(np.nan_to_num(ages), AGES)
    return np.where(np.isnan(ages), len(AGES) + 1, group).astype(np.int32)


@dataclass(frozen=True, eq=False)
class ArticleGroups:
    """What belongs together among n articles.

    Attributes:
        style: int32 [n], the number of the article's ``product_code``; −1 where not known.
        type: int32 [n], the number of its ``product_type``; −1 where not known.
        content: float32 [n, dim], its content vector at unit length, made shorter; zero where not known.
        near_starts: int64 [n + 1], the nearest articles by content: rows of the following two arrays.
        near_codes: int32, the articles that are near article i, the nearest first.
        near_cosines: float32, their cosines with it.
    """

    style: Int32s
    type: Int32s
    content: Float32s
    near_starts: Indices = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    near_codes: Codes = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    near_cosines: Float32s = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    @classmethod
    def of_catalogue(cls, catalogue: Catalogue | None, ids: IdMap, dim: int, seed: int) -> Self:
        """The groups of the articles ``ids``.

        Args:
            catalogue: with ``product_code``, ``product_type`` and vectors, where known.
            ids: n articles.
            dim: length of the content vectors; longer ones are projected (:func:`projected`).
            seed: of the projection.
        """
        style, kind = (_numbers(catalogue, ids, name) for name in ("product_code", "product_type"))
        vectors = None if catalogue is None else without_the_day(catalogue).vectors
        if catalogue is None or vectors is None or not dim:
            return cls(style, kind, np.zeros((len(ids), 0), dtype=np.float32))
        short = projected(vectors, dim, seed)
        content = np.zeros((len(ids), short.shape[1]), dtype=np.float32)
        content[ids.encode(catalogue.ids.values)] = short
        return cls(style, kind, content)

    def with_nearest(self, asked: Codes, listed: Mask, k: int) -> Self:
        """The groups, with the ``k`` nearest listed articles of each asked article.

        Args:
            asked: int32, ascending, the articles whose nearest are looked for.
            listed: bool [n], the articles that can be near another; those of unknown content never are.
            k: nearest articles of each, at most; those at a right angle or beyond are not near.
        """
        codes = np.flatnonzero(listed & self.content.any(axis=1)).astype(np.int32)
        asked = asked[self.content[asked].any(axis=1)]
        found = ExactTopK(self.content[codes], codes, len(self.content))(self.content[asked], k, Pairs.none())
        rows, places = np.nonzero((found.codes >= 0) & (found.scores > 0))
        lists = RaggedLists.from_pairs(
            Pairs(asked[rows].astype(np.int64), found.codes[rows, places]), len(self.content)
        )
        return replace(self, near_starts=lists.starts, near_codes=lists.codes, near_cosines=found.scores[rows, places])


def without_the_day(catalogue: Catalogue) -> Catalogue:
    """The catalogue, its vectors with 0 where they count sales or days up to the catalogue's own day.

    The same vectors describe articles on earlier days, whose labels come later: a count of these knows them.
    """
    if catalogue.vectors is None or catalogue.names is None:
        return catalogue
    counts = [name.startswith(("popularity: ", "recency: ")) for name in catalogue.names]
    return replace(catalogue, vectors=np.where(counts, np.float32(0), catalogue.vectors))


def projected(vectors: Float32s, dim: int, seed: int) -> Float32s:
    """Vectors of ``dim`` positions whose inner products are about those of the vectors, at unit length.

    A random projection: the error of a cosine is about 1/√dim (Johnson and Lindenstrauss 1984). Zero stays zero.
    """
    if vectors.shape[1] > dim:
        draw = np.random.default_rng(seed).standard_normal((vectors.shape[1], dim), dtype=np.float32)
        vectors = vectors @ draw
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float32s = (vectors / np.maximum(length, np.finfo(np.float32).tiny)).astype(np.float32)
    return unit


def _numbers(catalogue: Catalogue | None, ids: IdMap, name: str) -> Int32s:
    """The number of each article's value of a column, by rising value, int32 [n]; −1 where it is not known."""
    numbers = np.full(len(ids), -1, dtype=np.int32)
    if catalogue is not None and name in catalogue.frame:
        values = catalogue.frame[name]
        place = values.astype("str").where(values.notna()).astype("category").cat.codes.to_numpy()
        numbers[ids.encode(catalogue.ids.values)] = place
    return numbers


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is known of n articles at a moment.

    Attributes:
        as_of: int64 [1], the moment in microseconds since 1970, ``UNKNOWN`` where there are no dates.
        sold: float32 [4, n], interactions a day over each of ``WINDOWS``, as far as the data go back.
        sold_by_age: float32 [age groups, n], interactions a day over 7 days; no rows where ages are not read.
        sold_by_channel: float32 [channels, n], likewise.
        first: int64 [n], the first interaction, in microseconds; ``UNKNOWN`` where there is none.
        last: int64 [n], the last one.
        price: float32 [n], the mean price; NaN where not known.
        repurchase: float32 [n], the share of its customers who chose it on a later day again, smoothed.
        type_repurchase: float32 [n], the same of its product type: who chose any article of the type again.
        next_starts: int64 [n + 1], the co-purchase graph: rows of the following two arrays.
        next_codes: int32, the articles that followed article i, by falling confidence.
        next_confidence: float32, the share of i's customers who chose that article at the same time or later.
    """

    as_of: Array
    sold: Float32s
    sold_by_age: Float32s
    sold_by_channel: Float32s
    first: Indices
    last: Indices
    price: Float32s
    repurchase: Float32s
    type_repurchase: Float32s
    next_starts: Indices
    next_codes: Codes
    next_confidence: Float32s

    @property
    def moment(self) -> int:
        """The moment, in microseconds since 1970, or ``UNKNOWN``."""
        return int(self.as_of[0])

    def arrays(self) -> dict[str, Array]:
        """What :meth:`from_arrays` reads, for a bundle."""
        return {f"snapshot.{each.name}": getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """The snapshot of a bundle's arrays."""
        return cls(**{each.name: arrays[f"snapshot.{each.name}"] for each in fields(cls)})


def moment_after(interactions: Interactions) -> int:
    """The first moment of the day after the last interaction, in microseconds; ``UNKNOWN`` where there are no dates."""
    if not interactions.dated or not len(interactions):
        return UNKNOWN
    last = interactions.occurred_at.max().astype("datetime64[D]") + np.timedelta64(1, "D")
    return int(last.astype("datetime64[us]").astype(np.int64))


def snapshot(
    interactions: Interactions,
    groups: ArticleGroups,
    as_of: int,
    *,
    ages: Float32s,
    channels: tuple[str, ...],
    followers: int,
    graph_days: int,
    by_age: bool,
) -> Snapshot:
    """What is known of the articles at the moment ``as_of``.

    Args:
        interactions: numbered by the n articles and m customers; all of them before ``as_of``.
        groups: of the articles.
        as_of: microseconds since 1970, or ``UNKNOWN`` for interactions without dates, which all count as recent.
        ages: float32 [m].
        channels: the names of the channels.
        followers: articles kept in the co-purchase graph for each article, at most.
        graph_days: days of which the graph is made.
        by_age: whether sales are counted by age group too.

    Raises:
        InteractionsError: an interaction is not before ``as_of``.
    """
    times = interactions.occurred_at.astype(np.int64)
    if as_of != UNKNOWN and len(times) and int(times.max()) >= as_of:
        late = int((times >= as_of).sum())
        raise InteractionsError(f"{late:,} interactions are not before the moment of the snapshot: leave them out")
    n, codes = len(interactions.article_ids), interactions.articles
    back = days_between(times, as_of)
    span = max(float(np.nanmax(back)), 1.0) if len(back) and as_of != UNKNOWN else 1.0
    rates = _Rates(codes, back, np.ceil(span), n)
    age = age_groups(ages)[interactions.customers]
    channel = channels_of(interactions, channels)
    known_ages = range(len(AGES) + 2) if by_age else ()
    price = np.full(len(codes), np.nan, np.float32) if interactions.prices is None else interactions.prices
    graph = follow_graph(interactions, back < graph_days if as_of != UNKNOWN else np.ones(len(back), bool), followers)
    return Snapshot(
        as_of=np.array([as_of], dtype=np.int64),
        sold=np.stack([rates.over(days) for days in WINDOWS]),
        sold_by_age=_stacked([rates.over(WINDOWS[WEEK], age == group) for group in known_ages], n),
        sold_by_channel=_stacked([rates.over(WINDOWS[WEEK], channel == place) for place in range(len(channels))], n),
        first=_extreme(codes, times, n, np.minimum, np.iinfo(np.int64).max),
        last=_extreme(codes, times, n, np.maximum, UNKNOWN),
        price=mean_by(codes.astype(np.int64), price.astype(np.float32), n).astype(np.float32),
        repurchase=repurchase_rate(interactions, codes, n),
        type_repurchase=_by_type(interactions, groups.type),
        **graph,
    )


@dataclass(frozen=True, eq=False)
class _Rates:
    """Interactions a day of n articles: ``codes`` [rows], ``back`` days ago [rows], over ``span`` days of data."""

    codes: Codes
    back: Float32s
    span: float
    n: int

    def over(self, days: int, chosen: Array | None = None) -> Float32s:
        """Of the last ``days`` days; rows without a date count as recent."""
        recent = ~(self.back > days)
        used = recent if chosen is None else recent & chosen
        return (np.bincount(self.codes[used], minlength=self.n) / min(days, self.span)).astype(np.float32)


def _stacked(rows: list[Float32s], n: int) -> Float32s:
    return np.stack(rows) if rows else np.zeros((0, n), dtype=np.float32)


def _extreme(codes: Codes, times: Indices, n: int, of: np.ufunc, start: int) -> Indices:
    """The first or last time of each article; ``UNKNOWN`` where there is none."""
    found = np.full(n, start, dtype=np.int64)
    of.at(found, codes, times)
    return np.where(found == np.iinfo(np.int64).max, UNKNOWN, found)


def repurchase_rate(interactions: Interactions, group: Codes, groups: int) -> Float32s:
    """The share of each group's customers who chose it on two days or more, mixed with the mean: float32 [groups].

    (again + 20 · mean) / (customers + 20), so that a rate of few customers is near the mean. Without dates each
    interaction counts as a day.

    Args:
        interactions: m rows.
        group: int [m], the group of each row; −1 for none.
        groups: the number of groups.
    """
    owner, several = _on_several_days(interactions, np.flatnonzero(group >= 0), group, groups)
    buyers = np.bincount(owner, minlength=groups)
    again = np.bincount(owner[several], minlength=groups)
    mean = again.sum() / max(buyers.sum(), 1)
    rate: Float32s = ((again + SMOOTHING * mean) / (buyers + SMOOTHING)).astype(np.float32)
    return rate


def _on_several_days(interactions: Interactions, rows: Indices, group: Codes, groups: int) -> tuple[Codes, Mask]:
    """The group of each distinct pair of a customer and a group, and whether it has rows of two days or more.

    Args:
        interactions: in order of customers.
        rows: int64, the rows that count.
        group: int [m], the group of each row of the interactions.
        groups: the number of groups.
    """
    customers, days = interactions.customers[rows], interactions.occurred_at.astype(np.int64)[rows]
    days = days // MICROSECONDS_A_DAY if interactions.dated else np.arange(len(rows))
    counts = np.bincount(customers, minlength=len(interactions.customer_ids))
    starts = np.concatenate([[0], np.cumsum(counts)])
    # Customers are in order already, so that only each one's own rows are sorted.
    matrix = csr_matrix((days, group[rows], starts), shape=(len(counts), groups))
    matrix.sort_indices()
    first = np.ones(len(rows), dtype=bool)
    first[1:] = matrix.indices[1:] != matrix.indices[:-1]
    first[starts[:-1][counts > 0]] = True
    another = ~first
    another[1:] &= matrix.data[1:] != matrix.data[:-1]
    pairs = np.flatnonzero(first)
    return matrix.indices[pairs], np.logical_or.reduceat(another, pairs) if len(pairs) else another


def _by_type(interactions: Interactions, kind: Int32s) -> Float32s:
    """The repurchase rate of each article's type, float32 [n]; NaN where the type is not known."""
    types = int(kind.max(initial=-1)) + 1
    rates = repurchase_rate(interactions, kind[interactions.articles], types)
    of_article: Float32s = np.append(rates, np.float32(np.nan))[kind]
    return of_article


# ---- what follows what


def follow_graph(interactions: Interactions, recent: Array, followers: int) -> dict[str, Array]:
    """The directed co-purchase graph: which articles were chosen together with an article or after it.

    An edge i → j weighs the number of customers with j at the time of i or later, divided by the customers of i.

    Args:
        interactions: in order of time within each customer.
        recent: bool [rows], the rows that count.
        followers: edges kept for each article, at most; by falling weight, ties by rising number of the article.

    Returns:
        ``next_starts`` int64 [n + 1], ``next_codes`` int32, ``next_confidence`` float32.
    """
    n = len(interactions.article_ids)
    table, buyers = follow_counts(interactions, recent)
    weight = (table.data / np.maximum(buyers[table.row], 1)).astype(np.float32)
    order = np.lexsort((table.col, -weight, table.row))
    rows, columns, weight = table.row[order].astype(np.int64), table.col[order].astype(np.int32), weight[order]
    kept = place_in_row(rows, n) < followers
    lists = RaggedLists.from_pairs(Pairs(rows[kept], columns[kept]), n)
    return {"next_starts": lists.starts, "next_codes": lists.codes, "next_confidence": weight[kept]}


def follow_counts(interactions: Interactions, recent: Array) -> tuple[coo_matrix, Indices]:
    """How many customers chose an article together with another or after it; of a customer the last ``BASKET`` count.

    Args:
        interactions: in order of time within each customer.
        recent: bool [rows], the rows that count.

    Returns:
        float32 [n, n], at (i, j) the customers with j at the time of i or later; and int64 [n], the customers of each.
    """
    n = len(interactions.article_ids)
    customers, codes = interactions.customers[recent].astype(np.int64), interactions.articles[recent]
    times = interactions.occurred_at.astype(np.int64)[recent]
    counts = np.bincount(customers, minlength=len(interactions.customer_ids))
    late = place_in_row(customers, len(counts)) >= (counts - BASKET)[customers]
    customers, codes, times = customers[late], codes[late], times[late]
    total = csr_matrix((n, n), dtype=np.float32)
    for edges in _edges(customers, codes, times, undated=not interactions.dated, n=n):
        total = total + edges
    return total.tocoo(), np.bincount(distinct_values(customers * n + codes) % n, minlength=n)


def _edges(customers: Indices, codes: Codes, times: Indices, *, undated: bool, n: int) -> Iterator[csr_matrix]:
    """The edges of one part of the customers after the other, each customer counting once for a pair of articles."""
    m = int(customers.max(initial=-1)) + 1
    counts = np.bincount(customers, minlength=m)
    ends = np.cumsum(counts)
    # A customer counts for so many pairs that a part's largest key, customers · n², stays below 2⁶³.
    fewest = -(-PAIRS * n * n // KEYS)
    work = np.maximum(counts.astype(np.int64) ** 2, fewest)
    for first, after in pairwise([0, *cuts(work, PAIRS), m]):
        start, stop = (int(ends[first - 1]) if first else 0), (int(ends[after - 1]) if after else 0)
        size = counts[customers[start:stop]]
        left = np.repeat(np.arange(start, stop), size)
        begin = (ends - counts)[customers[left]]
        right = begin + place_in_row(np.repeat(np.arange(stop - start), size), stop - start)
        # Without dates the order of rows is the order in time; with them, rows of one moment go both ways.
        follows = (right > left) if undated else (times[right] >= times[left])
        follows &= codes[left] != codes[right]
        left, right = left[follows], right[follows]
        keys = (customers[left] - first) * np.int64(n) * n + codes[left].astype(np.int64) * n + codes[right]
        pairs = distinct_values(keys) % (np.int64(n) * n)
        ones = np.ones(len(pairs), dtype=np.float32)
        yield csr_matrix((ones, (pairs // n, pairs % n)), shape=(n, n))


def log_rate(rates: Float32s) -> Float64s:
    """log(1 + rate) of interactions a day, float64."""
    return np.log1p(rates.astype(np.float64))
