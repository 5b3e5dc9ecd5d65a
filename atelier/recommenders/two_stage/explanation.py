"""Why two stages recommended an article: which source found it, and which features moved its score most.

What belongs here: reasons of a list's rows from the trees' contributions. What does not: the contributions themselves
(:mod:`~atelier.recommenders.two_stage.ranker`), the form of reasons (:mod:`atelier.recommenders.explanations`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from atelier.arrays import Float64s, Mask
from atelier.ids import IdMap, column
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.explanations import places_of
from atelier.recommenders.schemas import REASONS
from atelier.recommenders.two_stage.candidates import FUSION, Candidates
from atelier.recommenders.two_stage.moment import Moment
from atelier.recommenders.two_stage.ranker import Ranker
from atelier.recommenders.two_stage.ranking_features import tells
from atelier.recommenders.two_stage.ranking_network import VECTORS
from atelier.search.ragged import Indices

CUSTOMERS = 1024
"""Customers explained at once."""


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
    customers = np.unique(places[places >= 0])
    customers = customers[parts.moment.ranks_for(customers)]
    reasons: list[list[dict[str, Any]] | None] = [[_popular()] if place >= 0 else None for place in places]
    for start in range(0, len(customers), CUSTOMERS):
        rows = customers[start : start + CUSTOMERS]
        candidates = parts.moment.candidates(rows)
        keys = rows[candidates.rows] * n + candidates.codes
        chosen = np.isin(keys, wanted)
        keys, found = keys[chosen], candidates.where(chosen)
        made = _reasons(parts, rows, found, most)
        order = np.argsort(keys)
        at = np.searchsorted(keys[order], wanted)
        hit = np.flatnonzero(np.append(keys[order], -2)[at] == wanted)
        for row in hit:
            reasons[row] = made[order[at[row]]]
    return pa.array(reasons, type=REASONS)


def _popular() -> dict[str, Any]:
    return {"kind": "source", "value": "popular", "weight": 0.0}


def _reasons(parts: ListParts, rows: Indices, found: Candidates, most: int) -> list[list[dict[str, Any]]]:
    """The reasons of candidates, a list for each."""
    if not len(found):
        return []
    added, said = _contributions(parts, rows, found)
    best = np.nanargmin(found.ranks, axis=1)
    of_source = np.array([[name in (f"rank_{s}", f"score_{s}") for name in parts.names] for s in found.names])
    if parts.ranker is None or not of_source.any():  # no feature tells of sources
        weights = 1.0 / (FUSION + np.take_along_axis(found.ranks, best[:, None], axis=1)[:, 0])
    else:
        weights = np.maximum((added * of_source[best]).sum(axis=1), 0.0)
    told = np.array([not name.startswith(VECTORS) for name in parts.names]) & ~of_source.any(axis=0)
    others = np.where(told & said, added, -np.inf)
    strongest = np.argsort(-others, axis=1, kind="stable")[:, :most]
    made = []
    for row, (source, weight) in enumerate(zip(best, weights, strict=True)):
        own = [{"kind": "source", "value": found.names[source], "weight": float(weight)}]
        features = [(parts.names[place], float(others[row, place])) for place in strongest[row]]
        own += [{"kind": "feature", "value": name, "weight": value} for name, value in features if value > 0]
        made.append(own)
    return made


def _contributions(parts: ListParts, rows: Indices, found: Candidates) -> tuple[Float64s, Mask]:
    """What each feature added to each score, zero without a ranker, and whether it says something: [m, features]."""
    if parts.ranker is None:
        shape = len(found), len(parts.names)
        return np.zeros(shape), np.zeros(shape, dtype=bool)
    matrix = parts.moment.features(rows, found)
    return parts.ranker.contributions(matrix), tells(parts.names, matrix)
