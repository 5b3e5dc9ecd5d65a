"""People's corrections: pairs and outfits that they accepted or rejected.

What belongs here: reading answers, and what a rejection forbids. What does not: how answers are learned from
(:mod:`atelier.outfits.training`), which questions are worth asking (:mod:`atelier.outfits.worth_asking`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import scipy.sparse as sp

from atelier.answers import ACCEPTED, ANSWERS
from atelier.arrays import Int64s, Mask
from atelier.articles.table import Articles
from atelier.frames import Frame, require
from atelier.ids import preview
from atelier.outfits.outfits import FEWEST, Outfits, OutfitsError

PAIR = 2
"""Articles of a pair."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """What people said about sets of articles; a pair is a set of two.

    Attributes:
        accepted: the sets that go together.
        rejected: the sets that do not.
        contradictory: how many sets were both accepted and rejected; they are in neither.
        unusable: how many answers name an article that is not among the articles, or fewer than two; likewise.
    """

    accepted: Outfits
    rejected: Outfits
    contradictory: int = 0
    unusable: int = 0

    @classmethod
    def none(cls, n_articles: int) -> Self:
        """Nobody said anything."""
        return cls(Outfits.none(n_articles), Outfits.none(n_articles))

    @classmethod
    def from_frame(cls, answers: Frame, articles: Articles) -> Self:
        """Read answers. A set that was answered twice alike counts once.

        Args:
            answers: ``outfit_id`` (the same in all rows of an answer), ``article_id``, ``answer`` (accepted, rejected).
            articles: whose order numbers the articles.

        Raises:
            OutfitsError: a column is missing, or an answer is another word.
            IdentifierError: an identifier is null or no text.
        """
        require(answers, ["outfit_id", "article_id", "answer"], OutfitsError, "the frame of answers")
        frame = answers if isinstance(answers, pd.DataFrame) else answers.to_pandas()
        if len(other := frame.loc[~frame["answer"].isin(ANSWERS), "answer"]):
            words = sorted({str(word) for word in other})
            raise OutfitsError(f"an answer is one of {', '.join(ANSWERS)}, not {preview(words, len(words))}")
        known = articles.find(frame["article_id"].tolist()) >= 0
        by_answer = frame.assign(known=known).groupby("outfit_id")
        usable = by_answer["known"].transform("all") & (by_answer["article_id"].transform("nunique") >= FEWEST)
        outfits = Outfits.from_frame(frame.loc[usable, ["outfit_id", "article_id"]], articles)
        said = frame[usable].groupby("outfit_id")["answer"].agg(["min", "max"]).loc[outfits.names]
        _, sets = np.unique(outfits.padded(), axis=0, return_inverse=True)
        yes, no = (np.zeros(int(sets.max(initial=-1)) + 1, bool) for _ in ANSWERS)
        yes[sets[(said["min"] == ACCEPTED).to_numpy()]] = True  # accepted comes first in the alphabet
        no[sets[(said["max"] != ACCEPTED).to_numpy()]] = True
        _, first = np.unique(sets, return_index=True)
        accepted, rejected = (outfits.rows(np.sort(first[chosen])) for chosen in (yes & ~no, no & ~yes))
        unusable = int(frame.loc[~usable, "outfit_id"].nunique())
        return cls(accepted, rejected, int((yes & no).sum()), unusable)


def forbidden(rejected: Outfits, outfit: Int64s) -> Int64s:
    """The articles that would make a rejected set complete within an outfit, ascending.

    Args:
        rejected: sets of articles.
        outfit: the numbers of distinct articles.
    """
    inside = np.zeros(rejected.n_articles, np.float32)
    inside[outfit] = 1
    nearly = np.flatnonzero(rejected.incidence @ inside == rejected.sizes - 1)
    return np.setdiff1d(rejected.members.of(nearly).codes, outfit).astype(np.int64)


def rejected_pairs(rejected: Outfits) -> sp.csr_array:
    """Which pairs were rejected by themselves: symmetric, float32 [n, n], ones and zeros."""
    left, right = _pairs(rejected).T
    ones = np.ones(2 * len(left), np.float32)
    places = (np.concatenate([left, right]), np.concatenate([right, left]))
    return sp.csr_array((ones, places), shape=(rejected.n_articles,) * 2)


def are_rejected(rejected: Outfits, left: Int64s, right: Int64s) -> Mask:
    """Which pairs of articles, int64 [m] each, were rejected by themselves: bool [m]."""
    pairs, n = _pairs(rejected), rejected.n_articles
    return np.isin(np.minimum(left, right) * n + np.maximum(left, right), pairs[:, 0] * n + pairs[:, 1])


def _pairs(rejected: Outfits) -> Int64s:
    """The sets of two articles, each in rising order: int64 [m, 2]."""
    pairs = rejected.rows(np.flatnonzero(rejected.sizes == PAIR))
    return pairs.members.codes.reshape(-1, PAIR).astype(np.int64)
