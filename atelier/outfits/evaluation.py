"""How good scores of outfits are: right answers, compatibility AUC, and intervals over outfits.

What belongs here: figures and their bootstrap. What does not: questions (:mod:`atelier.outfits.questions`), scores.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from atelier.arrays import Float64s, Int64s
from atelier.outfits.controls import Scorer
from atelier.outfits.outfits import Outfits
from atelier.outfits.questions import FamilyDraw, Questions

RESAMPLES = 2000
LEVEL = 0.95
BLOCK = 2048
"""Questions scored at once."""


class Interval(NamedTuple):
    """A figure and its 95% bootstrap interval over outfits."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """The figure with its interval."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def scored(scorer: Scorer, questions: Questions) -> Float64s:
    """The scores of all candidates, float64 [q, c], computed block by block."""
    starts = range(0, len(questions), BLOCK)
    parts = [scorer(questions.rest[at : at + BLOCK], questions.candidates[at : at + BLOCK]) for at in starts]
    return np.concatenate(parts)


def right_answers(scores: Float64s) -> Float64s:
    """Whether the first candidate has the best score, float64 [q]; a tie with m others counts 1 / (m + 1).

    Args:
        scores: float64 [q, c], the true article's first.
    """
    truth, wrong = scores[:, :1], scores[:, 1:]
    equal = (wrong == truth).sum(axis=1)
    return np.where((wrong > truth).any(axis=1), 0.0, 1.0 / (1.0 + equal))


def mean_over_outfits(values: Float64s, outfits: Int64s, seed: int = 0) -> Interval:
    """The mean of one value a question with its interval; whole outfits are drawn, since their questions hang together.

    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentiles).

    Args:
        values: float64 [q]; for a paired difference, one model's value less the other's.
        outfits: int64 [q], the outfit of each question.
        seed: of the resamples.
    """
    _, groups = np.unique(outfits, return_inverse=True)
    sums, counts = np.bincount(groups, weights=values), np.bincount(groups).astype(np.float64)
    drawn = _resamples(len(counts), seed)
    means = (drawn @ sums) / (drawn @ counts)
    return Interval(float(values.mean()), *_percentiles(means))


def auc(real: Float64s, broken: Float64s) -> float:
    """The probability that a real outfit has a better score than a broken one; equal scores count half."""
    return float(_wins(real, broken).mean())


def auc_over_outfits(real: Float64s, broken: Float64s, seed: int = 0, *, paired: bool = True) -> Interval:
    """The AUC with its interval.

    Args:
        real: scores of real outfits, float64 [r].
        broken: scores of others, float64 [b].
        seed: of the resamples.
        paired: whether the i-th broken outfit was made of the i-th real one, and is drawn with it; otherwise real and
            broken ones are drawn independently.
    """
    return _auc_interval(_wins(real, broken), seed, paired=paired)


def auc_difference(
    model: tuple[Float64s, Float64s], control: tuple[Float64s, Float64s], seed: int = 0, *, paired: bool = True
) -> Interval:
    """AUC of a model less a control's on the same outfits, each given as scores of real and of broken ones."""
    return _auc_interval(_wins(*model) - _wins(*control), seed, paired=paired)


def _wins(real: Float64s, broken: Float64s) -> Float64s:
    """1 where a real outfit leads a broken one, ½ where they are equal: float64 [real, broken]."""
    leads, equal = real[:, None] > broken[None, :], real[:, None] == broken[None, :]
    return np.asarray(leads + 0.5 * equal, np.float64)


def _auc_interval(wins: Float64s, seed: int, *, paired: bool) -> Interval:
    drawn = _resamples(wins.shape[0], seed)
    against = drawn if paired else _resamples(wins.shape[1], seed + 1)
    values = ((drawn @ wins) * against).sum(axis=1) / wins.size
    return Interval(float(wins.mean()), *_percentiles(values))


def _resamples(count: int, seed: int) -> Float64s:
    """How often each of ``count`` outfits is in each resample, float64 [resamples, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)


def _percentiles(values: Float64s) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class BrokenOutfits:
    """Real outfits and others: beside each, the same outfit with every article replaced, or such as a file gives.

    Attributes:
        real: int64 [m, longest], −1 beyond an outfit's end.
        broken: the same shape where each was made of a real one; otherwise int64 [others, longest].
    """

    real: Int64s
    broken: Int64s


def broken_outfits(outfits: Outfits, draw: FamilyDraw, seed: int) -> BrokenOutfits:
    """Replace every article by one of its family: families stay as they were, so that only style tells them apart.

    Args:
        outfits: real ones.
        draw: of articles of a family; an article whose family has none to draw stays.
        seed: of the draw.
    """
    _, codes = outfits.pairs
    drawn = draw(draw.families[codes], 1, np.random.default_rng(seed))[:, 0]
    real = outfits.padded()
    broken = real.copy()
    broken[real >= 0] = np.where(drawn < 0, codes, drawn)
    return BrokenOutfits(real, broken)


def outfit_scores(scorer: Scorer, outfits: Int64s) -> Float64s:
    """The mean score of each article given the others, float64 [m].

    Args:
        scorer: of candidates.
        outfits: int64 [m, longest], −1 beyond an outfit's end; an article may be in it twice.
    """
    rows, columns = np.nonzero(outfits >= 0)
    rest = outfits[rows].copy()
    rest[np.arange(len(rows)), columns] = -1
    rest = np.sort(rest, axis=1)[:, ::-1]
    scores = scored(scorer, Questions(rows, np.ascontiguousarray(rest), outfits[rows, columns][:, None]))[:, 0]
    return np.bincount(rows, weights=scores, minlength=len(outfits)) / np.bincount(rows, minlength=len(outfits))
