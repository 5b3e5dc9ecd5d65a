"""The features of candidates: what a ranker reads of each pair of a customer and an article.

What belongs here: the names of the features and how they are computed, many pairs at once. What does not: what they are
computed from (:mod:`~atelier.recommenders.two_stage.snapshot`, :mod:`~atelier.recommenders.two_stage.histories`), the
ranker.

A feature is a function of a snapshot, histories and candidates. None of these knows anything later than its moment, so
that no feature can.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atelier.arrays import Float32s, Mask, distinct_values
from atelier.ids import Codes
from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.histories import Histories, Owned, Rows, days_between, mean_by
from atelier.recommenders.two_stage.snapshot import WEEK, WINDOWS, ArticleGroups, Snapshot, age_groups, log_rate
from atelier.recommenders.two_stage.sources import own_last
from atelier.search.ragged import Indices

NEAREST = 10
"""A customer's last distinct articles to which a candidate's content is compared."""
COUNTS = frozenset(
    {
        *("own_times", "own_distinct_days", "own_not_bought", "own_share", "own_last_day"),
        *("style_times", "type_times", "type_share"),
        *("customer_times", "customer_articles", "customer_active_days"),
        *(f"sold_{days}" for days in WINDOWS),
        *("type_sold", "share_of_type", "sold_in_age_group", "sold_in_channels", "repurchase", "type_repurchase"),
    }
)
"""The features that count something, or are a share or a rate of it: 0 says that nothing of the kind happened."""

Column = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Named = Iterator[tuple[str, Column]]


def feature_names(sources: tuple[str, ...], groups: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the features, in the order of their columns."""
    listed = [f"{what}_{name}" for name in sources for what in ("rank", "score")]
    by_group = {
        "sources": [*listed, "sources"],
        "own": ["own_days", "own_times", "own_distinct_days", "own_not_bought", "own_share", "own_last_day"],
        "style": ["style_days", "style_times"],
        "type": ["type_days", "type_times", "type_share"],
        "customer": ["customer_times", "customer_articles", "customer_days", "customer_since", "customer_active_days"],
        "popularity": [*(f"sold_{days}" for days in WINDOWS), "trend", "type_sold", "share_of_type"],
        "segments": ["sold_in_age_group", "sold_in_channels"],
        "freshness": ["first_sold_days", "last_sold_days"],
        "price": ["price", "price_against_own"],
        "repurchase": ["repurchase", "type_repurchase"],
        "content": ["content_mean", "content_nearest"],
    }
    return tuple(name for group in groups for name in by_group[group])


@dataclass(frozen=True, eq=False)
class FeatureInputs:
    """What features are computed from, all of one moment."""

    snapshot: Snapshot
    histories: Histories
    groups: ArticleGroups


def features(inputs: FeatureInputs, rows: Indices, candidates: Candidates, groups: tuple[str, ...]) -> Float32s:
    """The features of candidates.

    Args:
        inputs: of the moment.
        rows: int64 [n], the customers of the candidates, as places in the histories.
        candidates: m rows of the n customers.
        groups: of :data:`~atelier.recommenders.two_stage.two_stage_config.GROUPS`.

    Returns:
        float32 [m, features], in the order of :func:`feature_names`; NaN for what is not known or does not apply.
    """
    pairs = _Pairs(inputs, inputs.histories.of(rows), candidates)
    made = {name: column for group in groups for name, column in getattr(pairs, group)()}
    names = feature_names(candidates.names, groups)
    matrix = np.empty((len(candidates), len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        matrix[:, place] = made[name]
    return matrix


def tells(names: Sequence[str], matrix: Float32s) -> Mask:
    """Which features say something of a pair, bool [m, features]: those that are known, and no count of 0.

    Args:
        names: of the features.
        matrix: float32 [m, features].
    """
    counts = np.array([name in COUNTS for name in names], dtype=bool)
    said: Mask = ~np.isnan(matrix) & ~(counts & (matrix == 0))
    return said


class _Pairs:
    """m pairs of a customer and an article, with what both have in common; each method gives one group of features."""

    def __init__(self, inputs: FeatureInputs, history: Rows, candidates: Candidates) -> None:
        self.snapshot, self.groups_of, self.history, self.candidates = (
            inputs.snapshot,
            inputs.groups,
            history,
            candidates,
        )
        self.owner, self.codes = candidates.rows, candidates.codes
        self.n = len(inputs.groups.style)
        self.back = days_between(history.times, inputs.snapshot.moment)
        self.day = np.ceil(np.nan_to_num(self.back)).astype(np.int64)
        self.total = np.bincount(history.owner, minlength=history.customers)

    def sources(self) -> Named:
        """The place and the score in each source's list, and how many sources list the article."""
        for place, name in enumerate(self.candidates.names):
            yield f"rank_{name}", self.candidates.ranks[:, place]
            yield f"score_{name}", self.candidates.scores[:, place]
        yield "sources", (~np.isnan(self.candidates.ranks)).sum(axis=1).astype(np.float32)

    def own(self) -> Named:
        """The customer's own interactions with the article."""
        days, times, last = self._owned(self.history.codes, self.n, self.codes)
        yield "own_days", days
        yield "own_times", times
        yield "own_distinct_days", self._distinct_days()
        bought = self.history.bought
        _, unbought, _ = self._owned(np.where(bought, -1, self.history.codes), self.n, self.codes)
        yield "own_not_bought", unbought
        yield "own_share", times / np.maximum(self.total[self.owner], 1)
        yield "own_last_day", last

    def style(self) -> Named:
        """The customer's interactions with any article of the style."""
        yield from self._group("style", self.groups_of.style)

    def type(self) -> Named:
        """The customer's interactions with any article of the product type."""
        yield from self._group("type", self.groups_of.type)
        _, times, _ = self._owned_group(self.groups_of.type)
        yield "type_share", times / np.maximum(self.total[self.owner], 1)

    def customer(self) -> Named:
        """How active the customer is."""
        n, owner = self.history.customers, self.history.owner
        yield "customer_times", self.total[self.owner].astype(np.float32)
        distinct = distinct_values(owner * self.n + self.history.codes) // self.n
        yield "customer_articles", np.bincount(distinct, minlength=n)[self.owner].astype(np.float32)
        yield "customer_days", _extreme(owner, self.back, n, np.fmin)[self.owner]
        yield "customer_since", _extreme(owner, self.back, n, np.fmax)[self.owner]
        active = distinct_values(owner * np.int64(1 << 20) + self.day) >> 20
        yield "customer_active_days", np.bincount(active, minlength=n)[self.owner].astype(np.float32)

    def popularity(self) -> Named:
        """How the article sells a day, lately and before, and within its type."""
        for place, days in enumerate(WINDOWS):
            yield f"sold_{days}", log_rate(self.snapshot.sold[place])[self.codes]
        day, week = self.snapshot.sold[0], self.snapshot.sold[WEEK]
        yield "trend", np.log((day + 0.5) / (week + 0.5))[self.codes]
        kind = self.groups_of.type
        by_type = np.append(np.bincount(kind[kind >= 0], week[kind >= 0]), np.nan)
        own_type = by_type[kind]
        yield "type_sold", np.log1p(own_type)[self.codes]
        with np.errstate(divide="ignore", invalid="ignore"):
            yield "share_of_type", (week / own_type)[self.codes]

    def segments(self) -> Named:
        """How the article sells in the customer's age group, and in the channels that the customer uses."""
        group = age_groups(self.history.ages)
        by_age = self.snapshot.sold_by_age
        known = len(by_age) > 0
        yield (
            "sold_in_age_group",
            (np.log1p(by_age[group[self.owner], self.codes]) if known else np.full(len(self.codes), np.nan)),
        )
        yield "sold_in_channels", self._in_channels()

    def freshness(self) -> Named:
        """How long ago the article was sold for the first time, and for the last."""
        yield "first_sold_days", days_between(self.snapshot.first, self.snapshot.moment)[self.codes]
        yield "last_sold_days", days_between(self.snapshot.last, self.snapshot.moment)[self.codes]

    def price(self) -> Named:
        """The price, and the logarithm of its ratio to what the customer pays on average."""
        price = self.snapshot.price[self.codes]
        own = mean_by(self.history.owner, self.history.prices, self.history.customers)[self.owner]
        yield "price", price
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(price / own)
        yield "price_against_own", np.where(np.isfinite(ratio), ratio, np.nan)

    def repurchase(self) -> Named:
        """How often customers choose the article, or any of its type, on a later day again."""
        yield "repurchase", self.snapshot.repurchase[self.codes]
        yield "type_repurchase", self.snapshot.type_repurchase[self.codes]

    def content(self) -> Named:
        """The cosine of the article's content with the mean of the customer's last articles, and with the nearest."""
        vectors = self.groups_of.content
        if not vectors.shape[1]:
            nothing = np.full(len(self.codes), np.nan, dtype=np.float32)
            yield from (("content_mean", nothing), ("content_nearest", nothing))
            return
        owner, codes, place = own_last(self.history, self.n)
        mean, nearest = np.zeros(len(self.codes), np.float32), np.full(len(self.codes), np.nan, np.float32)
        theirs = vectors[self.codes]
        count = np.bincount(owner[place < NEAREST], minlength=self.history.customers)
        for step in range(NEAREST):
            who, what = owner[place == step], codes[place == step]
            at = np.full(self.history.customers, -1, dtype=np.int64)
            at[who] = what
            has = np.flatnonzero(at[self.owner] >= 0)
            cosine = np.einsum("ij,ij->i", theirs[has], vectors[at[self.owner[has]]])
            mean[has] += cosine
            # An article is not compared with itself: that it was chosen before is what other features say.
            cosine = np.where(at[self.owner[has]] == self.codes[has], np.nan, cosine)
            nearest[has] = np.fmax(nearest[has], cosine)
        yield "content_mean", np.where(count[self.owner] > 0, mean / np.maximum(count[self.owner], 1), np.nan)
        yield "content_nearest", nearest

    # parts

    def _owned(self, group: Codes, groups: int, wanted: Codes) -> tuple[Float32s, Float32s, Float32s]:
        """Of each pair: days since the customer's last interaction with the group, how many, and how many that day.

        Args:
            group: int [h], the group of each interaction; −1 for none.
            groups: the number of groups.
            wanted: int [m], the group of each pair.
        """
        owned = Owned.of(self.history.owner, group, groups)
        place, found = owned.find(self.owner, wanted)
        if not len(owned.keys):
            nothing = np.zeros(len(self.owner), np.float32)
            return np.full(len(self.owner), np.nan, np.float32), nothing, nothing
        known = group >= 0
        latest = self.day[owned.last[np.searchsorted(owned.keys, self.history.owner[known] * groups + group[known])]]
        same = self.day[known] == latest
        keys = (self.history.owner[known] * groups + group[known])[same]
        that_day = np.bincount(np.searchsorted(owned.keys, keys), minlength=len(owned.keys))
        days = np.where(found, self.back[owned.last[place]], np.nan).astype(np.float32)
        return days, np.where(found, owned.counts[place], 0), np.where(found, that_day[place], 0).astype(np.float32)

    def _owned_group(self, group_of: Codes) -> tuple[Float32s, Float32s, Float32s]:
        """:meth:`_owned` for a group of articles, int32 [n]."""
        groups = int(group_of.max(initial=-1)) + 1
        return self._owned(group_of[self.history.codes], max(groups, 1), group_of[self.codes])

    def _group(self, name: str, group_of: Codes) -> Named:
        days, times, _ = self._owned_group(group_of)
        yield f"{name}_days", days
        yield f"{name}_times", times

    def _distinct_days(self) -> Float32s:
        """On how many days the customer chose the article, float32 [m]."""
        keys = self.history.owner * self.n + self.history.codes
        by_day = np.unique(np.stack([keys, self.day], axis=1), axis=0)[:, 0]
        pairs, days = np.unique(by_day, return_counts=True)
        owned = Owned(pairs, self.n, days.astype(np.float32), pairs)
        place, found = owned.find(self.owner, self.codes)
        return np.where(found, np.append(days, 0)[place], 0).astype(np.float32)

    def _in_channels(self) -> npt.NDArray[np.float64]:
        """log(1 + Σ_c share of channel c in the history × sales a day in c), float64 [m]; NaN where c is unknown."""
        by_channel = self.snapshot.sold_by_channel
        channel, owner = self.history.channels, self.history.owner
        known = channel >= 0
        if not len(by_channel):
            return np.full(len(self.codes), np.nan)
        cells = owner[known] * len(by_channel) + channel[known]
        used = np.bincount(cells, minlength=self.history.customers * len(by_channel)).reshape(-1, len(by_channel))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = used / used.sum(axis=1, keepdims=True)
        total = np.zeros(len(self.codes))
        for place, sold in enumerate(by_channel):
            total += share[self.owner, place] * sold[self.codes]
        return np.log1p(total)


def _extreme(owner: Indices, values: Float32s, n: int, of: np.ufunc) -> Float32s:
    """The least or greatest value of each of ``n`` owners, float32 [n]; NaN where there is none."""
    found = np.full(n, np.nan, dtype=np.float32)
    of.at(found, owner, values)
    return found
