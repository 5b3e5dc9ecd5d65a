"""Where candidates come from: each source gives a list of articles for each customer.

What belongs here: :class:`Source`, the sources that count, and the one that asks another recommender. What does not:
merging their lists (:mod:`~atelier.recommenders.two_stage.candidates`), what they count
(:mod:`~atelier.recommenders.two_stage.snapshot`).

A source gives the same list whatever a caller will allow later: the score of an article may not depend on which other
articles somebody asks for.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from atelier.arrays import Float32s, Int32s, Mask
from atelier.bundles import Array
from atelier.ids import Codes
from atelier.recommenders.base import Recommender
from atelier.recommenders.two_stage.histories import UNKNOWN, Histories, Owned, Rows
from atelier.recommenders.two_stage.snapshot import WEEK, WINDOWS, ArticleGroups, Snapshot, age_groups
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import Indices, Pairs, RaggedLists, Ranked, best, padded, place_in_row

RECENT = 30
"""A customer's last distinct articles that candidates are derived from."""


class Source(Protocol):
    """Gives candidates."""

    @property
    def name(self) -> str:
        """In tables, features and reasons."""
        ...

    def lists(self, rows: Indices, k: int) -> Ranked:
        """Lists of at most ``k`` articles, best first, for the customers ``rows`` (int64 [n])."""
        ...


def own_last(history: Rows, n_articles: int) -> tuple[Indices, Codes, Indices]:
    """Each customer's last distinct articles, the last first, at most ``RECENT``.

    Returns:
        The customer (int64), the article (int32) and the place from 0 (int64) of each, ordered by customer and place.
    """
    owned = Owned.of(history.owner, history.codes, n_articles)
    rows = np.sort(owned.last)[::-1]
    rows = rows[np.argsort(history.owner[rows], kind="stable")]
    owner = history.owner[rows]
    place = place_in_row(owner, history.customers)
    recent = place < RECENT
    return owner[recent], history.codes[rows[recent]], place[recent]


@dataclass(frozen=True, eq=False)
class OwnArticles:
    """The customer's own last articles, the last first; the score is 1 / place."""

    histories: Histories
    allowed: Mask
    name: str = "own"

    def lists(self, rows: Indices, k: int) -> Ranked:
        """See :class:`Source`."""
        owner, codes, place = own_last(self.histories.of(rows), len(self.allowed))
        can = self.allowed[codes]
        scores = (1 / (1 + place[can])).astype(np.float32)
        return padded(Pairs(owner[can], codes[can]), scores, len(rows), min(k, RECENT))


@dataclass(frozen=True, eq=False)
class _Derived:
    """Candidates that follow from the customer's own articles: the score is a sum of weight / (1 + place).

    Attributes:
        name: of the source.
        histories: of the customers.
        starts, codes, weights: for each article the articles that follow from it, and how much, as ragged lists.
        allowed: bool [n_articles].
    """

    name: str
    histories: Histories
    starts: Indices
    codes: Codes
    weights: Float32s
    allowed: Mask

    def lists(self, rows: Indices, k: int) -> Ranked:
        """See :class:`Source`."""
        owner, own, place = own_last(self.histories.of(rows), len(self.allowed))
        pairs = RaggedLists(self.starts, np.arange(len(self.codes), dtype=np.int32)).of(own)
        targets = self.codes[pairs.codes]
        weights = self.weights[pairs.codes] / (1 + place[pairs.rows])
        can = self.allowed[targets]
        keys = owner[pairs.rows[can]] * len(self.allowed) + targets[can]
        distinct, pair = np.unique(keys, return_inverse=True)
        scores = np.bincount(pair, weights[can], minlength=len(distinct)).astype(np.float32)
        who, what = np.divmod(distinct, len(self.allowed))
        return best(who, what.astype(np.int32), scores, len(rows), k)


def same_style(histories: Histories, style: Int32s, snapshot: Snapshot, allowed: Mask, most: int) -> Source:
    """The other articles of the styles that the customer chose: another colour of the same; the best-selling first.

    Args:
        histories: of the customers.
        style: int32 [n_articles], −1 where not known.
        snapshot: says how the articles sell.
        allowed: bool [n_articles].
        most: articles of a style, at most.
    """
    sold = snapshot.sold[WEEK]
    known = np.flatnonzero((style >= 0) & allowed & (sold > 0))
    order = known[np.lexsort((known, -sold[known], style[known]))]
    first = place_in_row(style[order].astype(np.int64), int(style.max(initial=-1)) + 1) < most
    order = order[first]
    members = RaggedLists.from_pairs(
        Pairs(style[order].astype(np.int64), order.astype(np.int32)), int(style.max(initial=-1)) + 1
    )
    articles = np.flatnonzero(style >= 0)
    pairs = members.of(style[articles])
    other = articles[pairs.rows] != pairs.codes
    lists = RaggedLists.from_pairs(Pairs(articles[pairs.rows[other]], pairs.codes[other]), len(style))
    weights = (sold / (sold.max(initial=0) + 1)).astype(np.float32)[lists.codes]
    return _Derived("style", histories, lists.starts, lists.codes, weights, allowed)


def bought_together(histories: Histories, snapshot: Snapshot, allowed: Mask) -> Source:
    """What other customers chose together with the customer's own articles, or after them."""
    graph = snapshot.next_starts, snapshot.next_codes, snapshot.next_confidence
    return _Derived("together", histories, *graph, allowed)


def content_neighbours(histories: Histories, groups: ArticleGroups, snapshot: Snapshot, allowed: Mask) -> Source:
    """Articles that nobody chose yet whose content is near that of the customer's own articles.

    Args:
        histories: of the customers.
        groups: with the nearest articles of each (:meth:`ArticleGroups.with_nearest`).
        snapshot: says which articles were chosen before.
        allowed: bool [n_articles].
    """
    unsold = (snapshot.first == UNKNOWN) & (snapshot.sold[-1] == 0)
    graph = groups.near_starts, groups.near_codes, groups.near_cosines
    return _Derived("neighbours", histories, *graph, allowed & unsold)


@dataclass(frozen=True, eq=False)
class _Ordered:
    """One of several common orders for each customer.

    Attributes:
        name: of the source.
        orders: int32 [orders, k], articles, best first, −1 beyond the end.
        scores: float32 [orders, k].
        order_of: int [customers], which order each customer gets; None: the first for everybody.
    """

    name: str
    orders: Codes
    scores: Float32s
    order_of: Array | None = None

    def lists(self, rows: Indices, k: int) -> Ranked:
        """See :class:`Source`."""
        which = np.zeros(len(rows), np.int64) if self.order_of is None else self.order_of[rows]
        return Ranked(self.orders[which, :k], self.scores[which, :k])


def popular(window: int, snapshot: Snapshot, allowed: Mask, k: int) -> Source:
    """The best-selling articles of the last days.

    Args:
        window: the place of the number of days in ``WINDOWS``.
        snapshot: says how the articles sell.
        allowed: bool [n_articles].
        k: the longest list that will be asked for.
    """
    return _Ordered(f"popular_{WINDOWS[window]}", *_order(snapshot.sold[window : window + 1], allowed, k))


def popular_by_age(histories: Histories, snapshot: Snapshot, allowed: Mask, k: int) -> Source:
    """The best-selling articles of the last 7 days among customers of the same age group."""
    return _Ordered("popular_age", *_order(snapshot.sold_by_age, allowed, k), age_groups(histories.ages))


def _order(sold: Float32s, allowed: Mask, k: int) -> tuple[Codes, Float32s]:
    """Articles by falling sales, ties by rising number; those without sales are left out.

    Args:
        sold: float32 [orders, n].
        allowed: bool [n].
        k: length.
    """
    can = np.flatnonzero(allowed)
    order = np.argsort(-sold[:, can], axis=1, kind="stable")[:, :k]
    codes = can[order].astype(np.int32)
    scores: Float32s = np.take_along_axis(sold, codes.astype(np.int64), axis=1)
    return np.where(scores > 0, codes, -1).astype(np.int32), scores


@dataclass(frozen=True, eq=False)
class FittedRecommender:
    """The list of a recommender that was fitted on the same interactions.

    Attributes:
        name: of the recommender.
        model: fitted, on the same articles.
        served: int32, ascending, the customers whom it ranks for.
        profiles: the model's own arrays about these customers.
        allowed: bool [n_articles].
    """

    name: str
    model: Recommender[Any]
    served: Codes
    profiles: dict[str, Array]
    allowed: Mask

    def lists(self, rows: Indices, k: int) -> Ranked:
        """See :class:`Source`."""
        eligible = np.flatnonzero(self.allowed & self.model.ranked).astype(np.int32)
        place, known = self._places(rows)
        ranked = Ranked(np.full((len(rows), k), -1, np.int32), np.zeros((len(rows), k), np.float32))
        if known.any() and len(eligible):
            own = self.model._ranker(self.profiles, eligible, min(k, len(eligible)))(place[known], Pairs.none())
            ranked.codes[known, : own.codes.shape[1]] = own.codes
            ranked.scores[known, : own.codes.shape[1]] = own.scores
        return ranked

    def described(self, rows: Indices) -> Mask:
        """Of which of the customers ``rows`` the model read an attribute, bool [n]."""
        place, known = self._places(rows)
        described = np.zeros(len(rows), dtype=bool)
        if "described" in self.profiles:
            described[known] = self.profiles["described"][place[known]]
        return described

    def _places(self, rows: Indices) -> tuple[Indices, Mask]:
        """The place of each customer among the profiles, and whether there is one."""
        place = np.searchsorted(self.served, rows)
        return place, np.append(self.served, -1)[place] == rows

    def vectors(self, rows: Indices, codes: Codes) -> Float32s:
        """The vectors of m pairs of a customer and an article, float32 [m, 2 · factors]; NaN for who is not served.

        Args:
            rows: int64 [m], customers.
            codes: int32 [m], articles.
        """
        if not isinstance(self.model, VectorRecommender):
            raise TypeError(f"{self.name} has no vectors")
        place, known = self._places(rows)
        articles = self.model.article_vectors(codes)
        customers = np.full_like(articles, np.nan)
        customers[known] = self.model.customer_vectors(self.profiles, place[known])
        return np.hstack([customers, articles])
