"""Given questions and outfits become numbers of articles; candidates of several families are scored one by one."""

import re

import numpy as np
import pandas as pd
import pytest

from atelier.articles.table import Articles
from atelier.outfits.files import BlankQuestion, LabelledOutfit
from atelier.outfits.given import given_outfits, given_questions, one_by_one
from atelier.outfits.outfits import OutfitsError

ARTICLES = Articles.from_frame(pd.DataFrame({"article_id": list("abcdef")}))
BLANK = BlankQuestion(("a", "b"), ("d", "e", "c", "f"), 2, 1)


def test_the_true_answer_comes_first_and_the_others_keep_their_order() -> None:
    found = given_questions([BLANK, BlankQuestion(("f",), ("a", "b", "c", "d"), 0, 2)], ARTICLES)
    assert found.candidates.tolist() == [[2, 3, 4, 5], [0, 1, 2, 3]]
    assert found.rest.tolist() == [[0, 1], [5, -1]]
    assert found.outfits.tolist() == [0, 1]


def test_real_outfits_and_others_are_told_apart() -> None:
    lines = [LabelledOutfit(True, ("a", "b")), LabelledOutfit(False, ("c", "c")), LabelledOutfit(True, ("d", "e", "f"))]
    found = given_outfits(lines, ARTICLES)
    assert found.real.tolist() == [[0, 1, -1], [3, 4, 5]]
    assert found.broken.tolist() == [[2, 2]]


def test_what_cannot_be_judged_is_named() -> None:
    for blanks, message in (
        ([], "has no questions"),
        ([BLANK, BLANK._replace(answers=("c", "d"), truth=0)], "these have [2, 4]"),
        ([BLANK._replace(answers=("c",), truth=0)], "these have [1]"),
        ([BLANK._replace(question=("x",))], "1 articles are in no file of outfits: 'x'"),
    ):
        with pytest.raises(OutfitsError, match=re.escape(message)):
            given_questions(blanks, ARTICLES)
    real, other = LabelledOutfit(True, ("a", "b")), LabelledOutfit(False, ("c", "d"))
    for lines, message in (
        ([real], "1 real outfits and 0 others"),
        ([other], "0 real outfits and 1 others"),
        ([real, other, LabelledOutfit(False, ("a",))], "fewer than two articles, first ('a',)"),
        ([real, LabelledOutfit(False, ("a", "x"))], "'x'"),
    ):
        with pytest.raises(OutfitsError, match=re.escape(message)):
            given_outfits(lines, ARTICLES)


def test_each_candidate_is_scored_alone() -> None:
    def relative(rest: np.ndarray, candidates: np.ndarray) -> np.ndarray:  # what it sees of a question is its first
        return np.asarray(candidates - candidates[:, :1] + 10.0 * candidates[:, :1] + rest.sum(axis=1, keepdims=True))

    rest, candidates = np.array([[1, 2], [3, -1]]), np.array([[4, 5], [0, 1]])
    assert one_by_one(relative)(rest, candidates).tolist() == [[43.0, 53.0], [2.0, 12.0]]
