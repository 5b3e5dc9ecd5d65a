"""Why two stages recommended an article: which source found it, and which features moved its score most.

What belongs here: reasons of a list's rows from the trees' contributions. What does not: the contributions themselves
(:mod:`~atelier.recommenders.two_stage.ranker`), the form of reasons (:mod:`atelier.recommenders.explanations`).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from atelier.arrays import Float32s, Float64s, Mask, distinct_values
from atelier.ids import IdMap, column
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.explanations import places_of
from atelier.recommenders.schemas import REASONS
from atelier.recommenders.two_stage.candidates import FUSION
from atelier.recommenders.two_stage.moment import Moment
from atelier.recommenders.two_stage.ranker import Ranker
from atelier.recommenders.two_stage.ranking_features import tells
from atelier.recommenders.two_stage.ranking_network import VECTORS
from atelier.search.ragged import Indices

CUSTOMERS = 1024
"""Customers whose candidates are made at once."""
ROWS = 16_384
"""Candidates whose strongest features are looked for at once."""


@dataclass(frozen=True, eq=False)
class ListParts:
    """What a list was made of: the moment, the trees (None: fusion), the names of the features, the articles."""

    moment: Moment
    ranker: Ranker | None
    names: tuple[str, ...]
    article_ids: IdMap


def explain(parts: ListParts, known: CustomerProfiles, recs: Any, most: int) -> pa.ListArray:
    """The reasons of each row of ``recs``.

    The first reason is the source with the best place for the article; its weight is what the features of that source
    added to the ranker's score, 0 where they added nothing or lowered it (where the ranker reads none: its part of the
    fusion). Then come the other features that raised the score, by falling contribution. Left out are the numbers of
    the towers' vectors, which say nothing to people, and features that are unknown or a count of 0 for this pair
    (:func:`tells`): that a customer never chose a style moves a score, and is no reason to recommend it.
    An article that is no candidate stands in a list because it sells: its only reason is the source ``popular``, of
    weight 0. So is every article of a customer for whom nothing is ranked (:meth:`Moment.ranks_for`).

    Args:
        parts: the model's.
        known: the customers.
        recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
        most: features among the reasons, at most.

    Returns:
        n lists of ``REASONS``; null for customers who are not known.
    """
    codes = parts.article_ids.encode(column(recs, "article_id"), what="article_id").astype(np.int64)
    places = places_of(known, recs)
    n = len(parts.article_ids)
    wanted = np.where(places >= 0, places * n + codes, -1)
    customers = distinct_values(places[places >= 0])
    found = _found(parts, customers[parts.moment.ranks_for(customers)], wanted)
    made = _reasons(parts, found, most)
    order = np.argsort(found.keys)
    at = np.searchsorted(found.keys[order], wanted)
    hit = np.append(found.keys[order], -2)[at] == wanted
    return _as_arrow(parts, made, np.where(hit, np.append(order, -1)[at], -1), places >= 0)


class _Found(NamedTuple):
    """m candidates that are explained.

    Attributes:
        keys: int64 [m], customer × articles + article.
        source: int64 [m], which source has the best place for the article.
        place: float32 [m], that place.
        features: float32 [m, features]; no columns without a ranker.
    """

    keys: Indices
    source: Indices
    place: Float32s
    features: Float32s


def _found(parts: ListParts, customers: Indices, wanted: Indices) -> _Found:
    """The candidates of the customers whose keys are ``wanted``."""
    n = len(parts.article_ids)
    chunks = []
    for start in range(0, len(customers), CUSTOMERS):
        rows = customers[start : start + CUSTOMERS]
        candidates = parts.moment.candidates(rows)
        keys = rows[candidates.rows] * n + candidates.codes
        chosen = np.isin(keys, wanted)
        each = candidates.where(chosen)
        source = np.nanargmin(each.ranks, axis=1)
        place = np.take_along_axis(each.ranks, source[:, None], axis=1)[:, 0]
        read = np.zeros((len(each), 0), np.float32) if parts.ranker is None else parts.moment.features(rows, each)
        chunks.append(_Found(keys[chosen], source, place, read))
    if not chunks:
        none, width = np.zeros(0, np.int64), 0 if parts.ranker is None else len(parts.names)
        return _Found(none, none, np.zeros(0, np.float32), np.zeros((0, width), np.float32))
    return _Found(*(np.concatenate(arrays) for arrays in zip(*chunks, strict=True)))


class _Reasons(NamedTuple):
    """The reasons of m candidates.

    Attributes:
        values: int64 [m, reasons], the source, then features numbered behind all sources; −1 for none.
        weights: float64 [m, reasons].
    """

    values: Indices
    weights: Float64s


def _reasons(parts: ListParts, found: _Found, most: int) -> _Reasons:
    """The reasons of candidates."""
    sources = _sources(parts)
    of_source = np.array([[name in (f"rank_{s}", f"score_{s}") for name in parts.names] for s in sources])
    by_place = 1.0 / (FUSION + found.place)
    if parts.ranker is None:
        return _Reasons(found.source[:, None], by_place[:, None].astype(np.float64))
    added = parts.ranker.contributions(found.features)
    told = np.array([not name.startswith(VECTORS) for name in parts.names]) & ~of_source.any(axis=0)
    most = min(most, len(parts.names))
    made = _Reasons(np.empty((len(added), 1 + most), np.int64), np.empty((len(added), 1 + most)))
    for start in range(0, len(added), ROWS):
        block = slice(start, start + ROWS)
        source = found.source[block]
        made.values[block, 0] = source
        # Where no feature tells of sources, the weight is the part of the fusion.
        made.weights[block, 0] = (
            np.maximum((added[block] * of_source[source]).sum(axis=1), 0.0) if of_source.any() else by_place[block]
        )
        said = told & tells(parts.names, found.features[block])
        strongest, weights = _strongest(np.where(said, added[block], -np.inf), most)
        made.values[block, 1:] = np.where(weights > 0, strongest + len(sources), -1)
        made.weights[block, 1:] = weights
    return made


def _strongest(added: Float64s, most: int) -> tuple[Indices, Float64s]:
    """The ``most`` greatest numbers of each row and their places, both [rows, most]; the first of equal ones first."""
    order = np.argsort(-added, axis=1, kind="stable")[:, :most]
    return order, np.take_along_axis(added, order, axis=1)


def _sources(parts: ListParts) -> tuple[str, ...]:
    return tuple(source.name for source in parts.moment.sources)


def _as_arrow(parts: ListParts, made: _Reasons, of_row: Indices, known: Mask) -> pa.ListArray:
    """The reasons of the rows of lists.

    Args:
        parts: the model's.
        made: the reasons of m candidates.
        of_row: int64 [rows], which of these each row has; −1 for what stands in its list because it sells.
        known: bool [rows]; the others get null.
    """
    sources = _sources(parts)
    names = pa.array([*sources, *parts.names, "popular"], pa.string())
    sells = np.full((1, made.values.shape[1]), -1, np.int64)
    sells[0, 0] = len(names) - 1
    values = np.concatenate([made.values, sells])[of_row[known]]  # −1 is the last row
    weights = np.concatenate([made.weights, np.zeros(sells.shape)])[of_row[known]]
    present = values >= 0
    lengths = np.zeros(len(known), np.int64)
    lengths[known] = present.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    is_feature = (values[present] >= len(sources)) & (values[present] < len(names) - 1)
    kinds = pa.array(["source", "feature"]).take(pa.array(is_feature.astype(np.int32)))
    columns = [kinds, names.take(pa.array(values[present])), pa.array(weights[present])]
    structs = pa.StructArray.from_arrays(columns, fields=list(REASONS.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=REASONS, mask=pa.array(~known))
