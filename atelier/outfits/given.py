"""Evaluations that come with outfit files: given questions and given outfits, real and not, as numbers of articles.

What belongs here: turning what :mod:`atelier.outfits.files` read of a Polyvore layout into questions and rows that
:mod:`atelier.outfits.evaluation` judges. What does not: reading files, drawing questions
(:mod:`atelier.outfits.questions`), figures.
"""

from collections.abc import Sequence

import numpy as np

from atelier.arrays import Int64s
from atelier.articles.table import Articles
from atelier.ids import preview
from atelier.outfits.controls import Scorer
from atelier.outfits.evaluation import BrokenOutfits
from atelier.outfits.files import BlankQuestion, LabelledOutfit
from atelier.outfits.outfits import FEWEST, OutfitsError
from atelier.outfits.questions import Questions


def given_questions(blanks: Sequence[BlankQuestion], articles: Articles) -> Questions:
    """Fill-in-the-blank questions of a file, the true answer first.

    Source: X. Han and others, Learning Fashion Compatibility with Bidirectional LSTMs, ACM MM 2017, section 4.3.

    Args:
        blanks: as :func:`~atelier.outfits.files.read_polyvore_questions` gives them. Each is an outfit of its own for
            the intervals, as the layout has one question of each outfit.
        articles: whose order numbers the articles.

    Raises:
        OutfitsError: there is no question, an article is not among ``articles``, or questions have different numbers
            of answers.
    """
    if not blanks:
        raise OutfitsError("the file has no questions: name another, or leave it out")
    counts = sorted({len(blank.answers) for blank in blanks})
    if len(counts) > 1 or counts[0] < FEWEST:
        raise OutfitsError(f"all questions need the same number of answers, two or more; these have {counts}")
    answers = _numbers([blank.answers for blank in blanks], articles)
    truth = np.array([blank.truth for blank in blanks])[:, None]
    places = np.arange(counts[0])[None, :]
    # The true answer moves to the front, those before it one back.
    order = np.where(places == 0, truth, np.where(places <= truth, places - 1, places))
    rest = _numbers([blank.question for blank in blanks], articles)
    return Questions(np.arange(len(blanks)), rest, np.take_along_axis(answers, order, axis=1))


def given_outfits(labelled: Sequence[LabelledOutfit], articles: Articles) -> BrokenOutfits:
    """The real and the other outfits of a file of compatibility; they are no pairs, and may differ in number.

    Args:
        labelled: as :func:`~atelier.outfits.files.read_polyvore_compatibility` gives them.
        articles: whose order numbers the articles.

    Raises:
        OutfitsError: one of the two sorts is absent, an outfit has fewer than two articles, or an article is not among
            ``articles``.
    """
    small = [each for each in labelled if len(each.articles) < FEWEST]
    if small:
        raise OutfitsError(
            f"{len(small)} outfits have fewer than two articles, first {small[0].articles}: whether one article goes "
            "together cannot be judged; leave these lines out"
        )
    sorts = [[each.articles for each in labelled if each.compatible == real] for real in (True, False)]
    if not all(sorts):
        raise OutfitsError(
            f"the file has {len(sorts[0])} real outfits and {len(sorts[1])} others: an AUC needs some of both"
        )
    return BrokenOutfits(*(_numbers(each, articles) for each in sorts))


def one_by_one(scorer: Scorer) -> Scorer:
    """A scorer that sees each candidate alone: for candidates of several families, whose scores must be comparable.

    Args:
        scorer: one whose scores can be compared, as
            :meth:`~atelier.outfits.compatibility.OutfitModel.comparable_scorer` gives it, which takes all candidates
            of a question to be of one family.
    """
    return lambda rest, candidates: scorer(
        np.repeat(rest, candidates.shape[1], axis=0), candidates.reshape(-1, 1)
    ).reshape(candidates.shape)


def _numbers(lists: Sequence[tuple[str, ...]], articles: Articles) -> Int64s:
    """Numbers of articles, int64 [lists, longest], −1 beyond the end of a list.

    Raises:
        OutfitsError: an article is not among ``articles``.
    """
    sizes = np.array([len(each) for each in lists])
    names = [name for each in lists for name in each]
    found = articles.find(names)
    if (found < 0).any():
        absent = sorted({name for name, number in zip(names, found, strict=True) if number < 0})
        raise OutfitsError(
            f"{len(absent):,} articles are in no file of outfits: {preview(absent, len(absent))}; give the outfits "
            "that hold them"
        )
    numbers = np.full((len(lists), int(sizes.max())), -1, np.int64)
    numbers[np.arange(numbers.shape[1]) < sizes[:, None]] = found
    return numbers
