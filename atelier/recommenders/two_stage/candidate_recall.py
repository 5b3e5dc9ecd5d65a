"""How much of what customers chose is among their candidates, by source, and what a perfect ranker would get.

What belongs here: recall of candidates and the oracle. What does not: the metrics of lists (:mod:`atelier.metrics`).
"""

import numpy as np
import pandas as pd

from atelier.arrays import Mask, distinct_values
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.moment import Moment
from atelier.search.ragged import Indices, Pairs, without

MERGED = "merged"
CHUNK = 1024
"""Customers whose candidates are held at once."""
ORACLE_K = 12


def candidate_recall(moment: Moment, truth: Interactions, customer_ids: IdMap, article_ids: IdMap) -> pd.DataFrame:
    """The recall of candidates for each customer of the truth.

    Args:
        moment: makes the candidates, as many as its config says.
        truth: what customers chose later; those whom the moment does not know have no candidates.
        customer_ids: of the moment.
        article_ids: of the moment.

    Returns:
        A row for each customer and source, and for all sources ``merged``: ``customer_id``, ``source``, ``recall`` (the
        share of the distinct articles that they chose), ``oracle`` (MAP@12 of a list that begins with the hits),
        ``candidates`` (how many there are).
    """
    pairs = distinct_values(truth.customers.astype(np.int64) * len(truth.article_ids) + truth.articles)
    who, what = np.divmod(pairs, max(len(truth.article_ids), 1))
    relevant = np.bincount(who, minlength=len(truth.customer_ids))
    place = customer_ids.encode(truth.customer_ids.values, unknown="minus_one")
    codes = article_ids.encode(truth.article_ids.values, unknown="minus_one")
    known = np.flatnonzero(place >= 0)
    chosen = Pairs(who, codes[what])
    names = [*(source.name for source in moment.sources), MERGED]
    hits, sizes = np.zeros((2, len(names), len(relevant)))
    for start in range(0, len(known), CHUNK):
        part = known[start : start + CHUNK]
        candidates = moment.candidates(place[part].astype(np.int64))
        hit = ~without(Pairs(part[candidates.rows], candidates.codes), chosen, len(article_ids))
        for number, listed in enumerate(_listed(candidates)):
            hits[number] += np.bincount(part[candidates.rows[hit & listed]], minlength=len(relevant))
            sizes[number] += np.bincount(part[candidates.rows[listed]], minlength=len(relevant))
    return _table(truth.customer_ids, names, hits, sizes, relevant)


def _listed(candidates: Candidates) -> list[Mask]:
    """Which rows each source lists, and all of them."""
    every = np.ones(len(candidates), dtype=bool)
    return [*(candidates.of_source(name) for name in candidates.names), every]


def _table(
    ids: IdMap,
    names: list[str],
    hits: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    sizes: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    relevant: Indices,
) -> pd.DataFrame:
    customers = ids.decode(np.arange(len(ids)))
    parts = [
        pd.DataFrame(
            {
                "customer_id": customers,
                "source": name,
                "recall": hits[number] / relevant,
                "oracle": np.minimum(hits[number], ORACLE_K) / np.minimum(relevant, ORACLE_K),
                "candidates": sizes[number].astype(np.int64),
            }
        )
        for number, name in enumerate(names)
    ]
    return pd.concat(parts, ignore_index=True)
