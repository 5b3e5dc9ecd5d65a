"""What completes the look of every article of a catalogue, by an outfit model.

What belongs here: the lists of all articles at once. What does not: completing one outfit
(:mod:`atelier.outfits.completion`), what the same people buy (:mod:`atelier.recommenders.co_purchase`).

How likely an article is with another is how likely its type is with the other's type, times how likely the article is
among those of its type. A list's score is the log of both over chance: the log lift of the types, counted over the
outfits of training, plus the model's score.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from atelier.arrays import Float64s, Int64s, Mask, distinct_values
from atelier.outfits.article_inputs import UNKNOWN
from atelier.outfits.compatibility import REFERENCES, OutfitModel
from atelier.outfits.feedback import rejected_pairs
from atelier.outfits.pair_scores import PairScores
from atelier.outfits.pair_statistics import combined, log_lift

AT_ONCE = 100_000
"""Pairs of an article and a candidate, or an article that it is held against, that are scored at once."""


class LookConfig(BaseModel):
    """How looks are completed.

    Attributes:
        k: complements of each article; they are of different families.
        families: for articles of a family candidates of this many others are compared: those that outfits combine with
            it most often.
        least_lift: a family is left out if outfits combine it with the article's less often than this, as a multiple of
            chance.
        candidates: of each family, at most; where there are more, those in most outfits and as many others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    k: int = Field(default=6, ge=1)
    families: int = Field(default=12, ge=1)
    least_lift: float = Field(default=0.5, ge=0)
    candidates: int = Field(default=200, ge=2)


class _Companions(NamedTuple):
    """The families that go with one: their numbers, int64 [m], and the log lift of each, float64 [m]."""

    families: Int64s
    lifts: Float64s


class _Apart(NamedTuple):
    """What keeps two articles out of one look.

    Attributes:
        styles: int64 [n]; those of one style.
        roles: int64 [n]; those of one role.
        rejected: float32 [n, n], ones for the pairs that people rejected.
    """

    styles: Int64s
    roles: Int64s
    rejected: sp.csr_array


def complete_looks(
    model: OutfitModel, offered: Mask, styles: Int64s, config: LookConfig, roles: Int64s | None = None
) -> pd.DataFrame:
    """For every article that the model knows the offered articles that complete its look best, one of a role.

    None is of the article's own family, role or style, or was rejected by people beside it. Articles of a family that
    no outfit has are no candidates, because nothing is known of what goes with it; their own lists are of the families
    that most outfits have.

    Args:
        model: a fitted one, of n articles.
        offered: bool [n], what may be named, for example what is in stock.
        styles: int64 [n], the number of each one's style.
        config: see :class:`LookConfig`.
        roles: int64 [n], the number of each one's role in an outfit; None: its family is its role.

    Returns:
        ``article_id``, ``rank`` from 1, ``complement_article_id``, ``score``, ``outfits`` (how many outfits of training
        have both, people's answers not counted), ``accepted`` (whether people accepted an outfit that has both),
        ``family_outfits`` (``outfits``, of both families), ``unseen`` (whether no outfit has the article's family).
        Equal scores stand in the order of identifiers. An article with no candidate has no row.
    """
    fitted = model.fitted
    families, frequency = fitted.inputs.families, fitted.counted.frequency
    joint = combined(fitted.counted.together, families)
    chosen = _candidates(offered, families, frequency, config.candidates)
    apart = _Apart(styles, families if roles is None else roles, rejected_pairs(fitted.rejected))
    scores = model.pair_scores()
    parts = [
        _of_family(scores, family, _companions(joint, family, config), families, chosen, apart)
        for family in distinct_values(families)  # a loop over families, of which there are dozens
    ]
    parts = [part for part in parts if len(part)]
    columns = ["article", "complement", "score"]
    table = pd.concat(parts) if parts else pd.DataFrame({name: np.zeros(0, np.int64) for name in columns})
    return _ranked(model, table, apart.roles, config.k)


def _candidates(offered: Mask, families: Int64s, frequency: Int64s, most: int) -> Mask:
    """Which articles are compared: of each family half those in most outfits, half spread evenly over the others."""
    chosen: Mask = offered & (families != UNKNOWN)
    for family in distinct_values(families[chosen]):  # a loop over families
        rows = np.flatnonzero(chosen & (families == family))
        if len(rows) > most:
            order = rows[np.argsort(-frequency[rows], kind="stable")]
            known, others = order[: most // 2], np.sort(order[most // 2 :])
            spread = others[np.linspace(0, len(others) - 1, most - len(known)).astype(np.int64)]
            chosen[rows] = np.isin(rows, np.concatenate([known, spread]))
    return chosen


def _companions(joint: Float64s, family: int, config: LookConfig) -> _Companions:
    """The families that outfits combine with one most often; of a family without outfits, those most combined."""
    lifts = log_lift(joint)[family].astype(np.float64)
    often = joint[family].copy()
    if not often.any():
        often, lifts = joint.sum(axis=1), np.zeros(len(joint))
    often[[UNKNOWN, family]] = 0
    usable = (often > 0) & (lifts >= np.log(max(config.least_lift, np.finfo(float).tiny)))
    order = np.argsort(np.where(usable, -often, np.inf), kind="stable")[: min(config.families, int(usable.sum()))]
    return _Companions(order.astype(np.int64), lifts[order])


def _of_family(
    pair_scores: PairScores, family: int, companions: _Companions, families: Int64s, chosen: Mask, apart: _Apart
) -> pd.DataFrame:
    """The best candidate of each companion family for every article of one family: article, complement, score."""
    queries = np.flatnonzero(families == family)
    parts = []
    for other, lift in zip(companions.families.tolist(), companions.lifts.tolist(), strict=True):
        candidates = np.flatnonzero(chosen & (families == other))
        if not len(candidates):
            continue
        best, scores = _best(pair_scores, queries, candidates, apart)
        found = np.isfinite(scores)
        parts.append(
            pd.DataFrame({"article": queries[found], "complement": best[found], "score": scores[found] + lift})
        )
    return pd.concat(parts) if parts else pd.DataFrame()


def _best(pair_scores: PairScores, queries: Int64s, candidates: Int64s, apart: _Apart) -> tuple[Int64s, Float64s]:
    """The best candidate of one family for each of some articles, and its score; −∞ where there is none to name."""
    best, scores = np.empty(len(queries), np.int64), np.empty(len(queries))
    step = max(1, AT_ONCE // (len(candidates) + REFERENCES))
    for at in range(0, len(queries), step):  # block by block
        block = queries[at : at + step]
        found = pair_scores(block, candidates)
        for same in (apart.styles, apart.roles):
            found[same[block][:, None] == same[candidates][None, :]] = -np.inf
        found[apart.rejected[block][:, candidates].toarray() > 0] = -np.inf
        place = found.argmax(axis=1)
        best[at : at + step], scores[at : at + step] = candidates[place], found[np.arange(len(block)), place]
    return best, scores


def _ranked(model: OutfitModel, table: pd.DataFrame, roles: Int64s, k: int) -> pd.DataFrame:
    """The first k complements of each article, best first, one of a role."""
    fitted = model.fitted
    names = fitted.articles.names
    article, complement = (table[name].to_numpy(np.int64) for name in ("article", "complement"))
    frame = pd.DataFrame(
        {
            "article_id": pd.array(names[article], "str"),
            "complement_article_id": pd.array(names[complement], "str"),
            "score": table["score"].to_numpy(np.float64),
            **_shared(model, article, complement),
            "role": roles[complement],
            "unseen": fitted.inputs.families[article] == UNKNOWN,
        }
    )
    frame = frame.sort_values(
        ["article_id", "score", "complement_article_id"], ascending=[True, False, True], ignore_index=True
    )
    frame = frame.drop_duplicates(["article_id", "role"]).drop(columns="role")
    frame.insert(1, "rank", frame.groupby("article_id").cumcount() + 1)
    return frame[frame["rank"] <= k].reset_index(drop=True)


def _shared(model: OutfitModel, articles: Int64s, others: Int64s) -> dict[str, Int64s | Mask]:
    """What outfits and people say of each pair of articles, [m] each: outfits, accepted, family_outfits."""
    fitted = model.fitted
    incidence, families = fitted.accepted.incidence, fitted.inputs.families
    accepted = sp.csr_array(incidence.T @ incidence)
    worn = sp.csr_array(fitted.counted.together - model.config.feedback_weight * accepted)
    worn.setdiag(0)
    worn.data = np.maximum(worn.data, 0)  # below 0 for a rejected pair of an accepted outfit, which was not counted
    by_family = combined(worn, families)
    return {
        "outfits": _values(worn, articles, others).astype(np.int64),
        "accepted": _values(accepted, articles, others) > 0,
        "family_outfits": by_family[families[articles], families[others]].astype(np.int64),
    }


def _values(matrix: sp.csr_array, rows: Int64s, columns: Int64s) -> Float64s:
    """The matrix's values at some places, [m]."""
    if not len(rows):  # SciPy gives an array of another kind for no places
        return np.zeros(0)
    return np.asarray(matrix[rows, columns], np.float64)
