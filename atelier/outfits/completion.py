"""Completing outfits: which articles go with those that are there, and why.

What belongs here: ranking candidates for an outfit, growing outfits around an article, and what each pair weighs in a
score. What does not: the scores themselves (:mod:`atelier.outfits.compatibility`).
"""

from typing import Any

import numpy as np
import pandas as pd

from atelier.arrays import Float64s, Int64s, distinct_values
from atelier.errors import UnknownIdentifier
from atelier.ids import IdMap, preview
from atelier.outfits.article_inputs import UNKNOWN
from atelier.outfits.compatibility import OutfitModel
from atelier.outfits.feedback import forbidden
from atelier.outfits.outfits import OutfitsError
from atelier.search.ragged import check_k

LIST_COLUMNS = ("article_id", "score", "rank")


def complete(model: OutfitModel, outfit: Any, candidates: Any = None, k: int = 5) -> pd.DataFrame:
    """The candidates that go best with an outfit; none is of a family that the outfit has already.

    Articles of a family that no outfit of training has are no candidates, because nothing is known of what goes with
    it. No pair or outfit that people rejected is made complete.

    Args:
        model: a fitted model.
        outfit: the identifiers of its articles, at least one.
        candidates: the identifiers of what may be added, for example what is in stock; None: all articles. New articles
            of known families are scored by what is known of them.
        k: the length of the list.

    Returns:
        ``article_id``, ``score`` (log of how much likelier with the outfit than among its family), ``rank`` from 1;
        best first, ties by identifier. Fewer than ``k`` rows where there are fewer candidates.

    Raises:
        UnknownIdentifier: an article is not among those that the model was fitted with.
        OutfitsError: the outfit is empty.
        ValueError: ``k`` is less than 1.
    """
    check_k(k)
    given = numbers(model, outfit)
    pool = np.arange(len(model.fitted.articles)) if candidates is None else numbers(model, candidates)
    found, scores = ranked(model, given, pool)
    return _table(model, found[:k], scores[:k])


def outfits_around(model: OutfitModel, article: str, candidates: Any = None, *, size: int, count: int) -> pd.DataFrame:
    """Different outfits around one article, each with one article of a family.

    Each outfit begins with the best companion of a family that no outfit before it began with, so that outfits differ
    where a person looks first; then the best article of a further family is added until the outfit has its size. What
    one outfit holds beside the article no later one holds.

    Args:
        model: a fitted model.
        article: the identifier of the article that all outfits hold.
        candidates: what may be added; None: all articles.
        size: articles of an outfit, at least 2; fewer where there are no further families.
        count: how many outfits; fewer where the article has companions of fewer families.

    Returns:
        ``outfit`` (from 1), ``place`` (from 1, in the order in which they were added), ``article_id``.

    Raises:
        UnknownIdentifier: an article is not among those that the model was fitted with.
        OutfitsError: no outfit of that size is one.
    """
    if size < 2 or count < 1:
        raise OutfitsError(f"an outfit has at least 2 articles, and 1 is the fewest to make, not {size} and {count}")
    start = numbers(model, [article])
    pool = np.arange(len(model.fitted.articles)) if candidates is None else numbers(model, candidates)
    families = model.fitted.inputs.families
    first, _ = ranked(model, start, pool)
    grown: list[Int64s] = []
    while len(grown) < count and len(first):
        grown.append(_grown(model, np.append(start, first[0]), pool, size))
        pool = np.setdiff1d(pool, grown[-1])
        first = first[np.isin(first, pool) & (families[first] != families[first[0]])]
    rows = [(number, place, code) for number, outfit in enumerate(grown, 1) for place, code in enumerate(outfit, 1)]
    table = pd.DataFrame(rows, columns=["outfit", "place", "article_id"], dtype=np.int64)
    return table.assign(article_id=pd.array(model.fitted.articles.names[table["article_id"]], "str"))


def reasons(model: OutfitModel, outfit: Any) -> pd.DataFrame:
    """What each pair of an outfit says by itself: which weighs for the outfit, and which against it.

    Args:
        model: a fitted model.
        outfit: the identifiers of its articles, at least two.

    Returns:
        ``article_id``, ``with_article_id``, ``weight``: the score of the first given the second alone, for every
        ordered pair, highest first. Above 0 the second makes the first likelier.

    Raises:
        UnknownIdentifier: an article is not among those that the model was fitted with.
        OutfitsError: the outfit has fewer than two articles.
    """
    given = numbers(model, outfit)
    if len(given) < 2:
        raise OutfitsError("an outfit of one article has no pairs: give at least two")
    left, right = np.nonzero(~np.eye(len(given), dtype=bool))
    weights = model.comparable_scorer()(given[right][:, None], given[left][:, None])[:, 0]
    names = model.fitted.articles.names
    table = pd.DataFrame(
        {
            "article_id": pd.array(names[given[left]], "str"),
            "with_article_id": pd.array(names[given[right]], "str"),
            "weight": weights,
        }
    )
    return table.sort_values(
        ["weight", "article_id", "with_article_id"], ascending=[False, True, True], ignore_index=True
    )


def numbers(model: OutfitModel, article_ids: Any) -> Int64s:
    """The numbers of distinct articles, ascending by identifier, int64 [m].

    Raises:
        UnknownIdentifier: the model was not fitted with one of them.
        OutfitsError: there are none.
    """
    names = IdMap.from_values(article_ids, "article_id").values.to_pylist()
    if not names:
        raise OutfitsError("there are no articles: give at least one")
    found = model.fitted.articles.find(names)
    if (found < 0).any():
        absent = [name for name, row in zip(names, found, strict=True) if row < 0]
        raise UnknownIdentifier(
            f"{len(absent):,} articles are unknown to the outfit model: {preview(absent, len(absent))}; fit it with a "
            "frame of articles that holds them, which may be in no outfit"
        )
    return found


def ranked(model: OutfitModel, outfit: Int64s, pool: Int64s) -> tuple[Int64s, Float64s]:
    """The articles of a pool that are of no family of the outfit, best first, and their scores.

    None is of a family that no outfit of training has: all of these have one number. None completes a pair or an outfit
    that people rejected.
    """
    families = model.fitted.inputs.families
    usable = (families[pool] != UNKNOWN) & ~np.isin(families[pool], families[outfit])
    left = np.setdiff1d(pool[usable], forbidden(model.fitted.rejected, outfit))
    scorer, scores = model.comparable_scorer(), np.empty(len(left))
    for family in distinct_values(families[left]):  # a loop over families: a row of scores is about one of them
        rows = np.flatnonzero(families[left] == family)
        scores[rows] = scorer(outfit[None, :], left[rows][None, :])[0]
    names = model.fitted.articles.names
    order = np.lexsort((names[left].astype(str), -scores))
    return left[order], scores[order]


def _grown(model: OutfitModel, outfit: Int64s, pool: Int64s, size: int) -> Int64s:
    while len(outfit) < size:
        found, _ = ranked(model, outfit, pool)
        if not len(found):
            break
        outfit = np.append(outfit, found[0])
    return outfit


def _table(model: OutfitModel, found: Int64s, scores: Float64s) -> pd.DataFrame:
    values = (pd.array(model.fitted.articles.names[found], "str"), scores, np.arange(1, len(found) + 1))
    return pd.DataFrame(dict(zip(LIST_COLUMNS, values, strict=True)))
