"""Questions about outfits with a known answer: which article is missing, and which outfit is a real one.

What belongs here: masking articles, drawing wrong answers, breaking outfits. What does not: scores, and how answers are
judged (:mod:`atelier.outfits.evaluation`).
"""

from dataclasses import dataclass

import numpy as np

from atelier.arrays import Float64s, Int64s, Mask, distinct_values
from atelier.outfits.names import Draw
from atelier.outfits.outfits import Outfits, OutfitsError
from atelier.search.ragged import place_in_row

WRONG = 3
"""Wrong answers beside the true one."""


@dataclass(frozen=True, eq=False)
class Questions:
    """q questions: which of some candidates completes an outfit?

    Attributes:
        outfits: the place of the outfit that each question is about, int64 [q].
        rest: the outfit without the masked article, int64 [q, longest], −1 beyond its end.
        candidates: int64 [q, 1 + wrong answers]; the true article comes first.
    """

    outfits: Int64s
    rest: Int64s
    candidates: Int64s

    def __len__(self) -> int:
        return len(self.outfits)

    def rows(self, chosen: Int64s) -> "Questions":
        """Some of the questions."""
        return Questions(self.outfits[chosen], self.rest[chosen], self.candidates[chosen])


def masked(outfits: Outfits) -> Questions:
    """Every article of every outfit masked once: questions whose only candidate is the truth."""
    rows, codes = outfits.pairs
    wide = outfits.padded()[rows]
    hidden = np.arange(wide.shape[1]) == place_in_row(rows, len(outfits))[:, None]
    rest = np.sort(np.where(hidden, -1, wide), axis=1)[:, ::-1][:, : max(wide.shape[1] - 1, 0)]
    return Questions(rows, np.ascontiguousarray(rest), codes[:, None].astype(np.int64))


@dataclass(frozen=True, eq=False)
class FamilyDraw:
    """Draws articles of a family by weights, many at once.

    Attributes:
        families: the number of each article's family, int64 [n].
        weights: of each article, not negative, float64 [n]; an article without weight is never drawn.
    """

    families: Int64s
    weights: Float64s

    def __post_init__(self) -> None:
        order = np.argsort(self.families, kind="stable")
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_sums", np.concatenate([[0.0], np.cumsum(self.weights[order])]))
        count = int(self.families.max(initial=-1)) + 1
        object.__setattr__(self, "_starts", np.searchsorted(self.families[order], np.arange(count + 1)))

    def __call__(self, families: Int64s, count: int, random: np.random.Generator) -> Int64s:
        """``count`` articles of each of some families, with repetition; −1 where nothing of a family has weight.

        Args:
            families: int64 [q].
            count: how many each.
            random: where chance comes from.

        Returns:
            int64 [q, count].
        """
        order, sums, starts = (getattr(self, name) for name in ("_order", "_sums", "_starts"))
        low, high = sums[starts[families]][:, None], sums[starts[families + 1]][:, None]
        spot = low + random.random((len(families), count)) * (high - low)
        places = np.searchsorted(sums, spot, side="right") - 1
        last = starts[families + 1][:, None] - 1
        return np.where(high > low, order[np.minimum(places, np.maximum(last, 0))], -1)


def fill_in_the_blank(
    outfits: Outfits,
    families: Int64s,
    negatives: Draw,
    *,
    frequency: Int64s,
    seed: int,
    wrong: int = WRONG,
    asked: Mask | None = None,
    offered: Mask | None = None,
) -> Questions:
    """Mask every article once, and offer it among wrong ones that are different and not of the outfit.

    Source: X. Han and others, Learning Fashion Compatibility with Bidirectional LSTMs, ACM MM 2017, section 4.3, with
    wrong answers of the true article's own family: those of another family can be told apart without any style.

    Args:
        outfits: that are asked about.
        families: the number of each article's family, int64 [n].
        negatives: which articles are wrong answers.
        frequency: how many outfits of training each article belongs to, int64 [n].
        seed: of the draw.
        wrong: wrong answers of each question.
        asked: bool [n], which articles are masked; None: all.
        offered: bool [n], which articles may be wrong answers; None: all.

    Returns:
        The questions, in the order of the outfits. Those without enough possible wrong answers are left out.

    Raises:
        OutfitsError: no question is left.
    """
    random = np.random.default_rng(seed)
    truth = masked(outfits)
    if asked is not None:
        truth = truth.rows(np.flatnonzero(asked[truth.candidates[:, 0]]))
    weights = np.ones(outfits.n_articles) if negatives != "popularity" else frequency.astype(np.float64)
    if offered is not None:
        weights = weights * offered
    groups = np.zeros_like(families) if negatives == "random" else families
    chosen = _wrong_answers(truth, groups, weights, wrong, random)
    enough = np.flatnonzero((chosen >= 0).all(axis=1))
    if not len(enough):
        raise OutfitsError(
            f"no question can be asked: no masked article has {wrong} possible wrong answers among {negatives!r} "
            "negatives; give more articles or outfits, or ask with fewer wrong answers"
        )
    left = truth.rows(enough)
    return Questions(left.outfits, left.rest, np.concatenate([left.candidates, chosen[enough]], axis=1))


def _wrong_answers(
    truth: Questions, groups: Int64s, weights: Float64s, wrong: int, random: np.random.Generator
) -> Int64s:
    """Distinct articles of the truth's group that are not of the outfit, int64 [q, wrong]; −1 where there are too few.

    They are drawn without repetition by the weights: the largest of log weight + Gumbel noise are such a draw
    (W. Kool and others, Stochastic Beams and Where to Find Them, ICML 2019, section 2.3).
    """
    found = np.full((len(truth), wrong), -1, np.int64)
    with np.errstate(divide="ignore"):
        logs = np.log(weights)
    of_truth = groups[truth.candidates[:, 0]]
    for group in distinct_values(of_truth):  # a loop over families, of which there are dozens
        rows, articles = np.flatnonzero(of_truth == group), np.flatnonzero(groups == group)
        for part in np.array_split(rows, max(1, len(rows) * len(articles) // 4_000_000)):
            noisy = logs[articles] + random.gumbel(size=(len(part), len(articles)))
            noisy[_own(truth.rows(part), articles)] = -np.inf
            best = np.argsort(-noisy, axis=1, kind="stable")[:, :wrong]
            usable = np.isfinite(np.take_along_axis(noisy, best, axis=1))
            found[part, : best.shape[1]] = np.where(usable, articles[best], -1)
    return found


def _own(questions: Questions, articles: Int64s) -> Mask:
    """Which of ``articles`` (ascending) belong to each question's outfit, bool [q, articles]."""
    members = np.concatenate([questions.rest, questions.candidates], axis=1)
    places = np.searchsorted(articles, members).clip(max=len(articles) - 1)
    rows, columns = np.nonzero(articles[places] == members)
    own = np.zeros((len(questions), len(articles)), bool)
    own[rows, places[rows, columns]] = True
    return own
