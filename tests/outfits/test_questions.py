"""Questions about outfits: what is masked, what is offered, which outfits are broken."""

import numpy as np
import pytest

from atelier.arrays import Int64s
from atelier.outfits.evaluation import broken_outfits
from atelier.outfits.outfits import Outfits, OutfitsError
from atelier.outfits.questions import FamilyDraw, fill_in_the_blank, masked
from tests.outfits.tiny import FAMILIES, of


def test_every_article_is_masked_once() -> None:
    found = masked(of([0, 4], [1, 5, 6]))
    assert found.outfits.tolist() == [0, 0, 1, 1, 1]
    assert found.candidates[:, 0].tolist() == [0, 4, 1, 5, 6]
    assert found.rest.tolist() == [[4, -1], [0, -1], [6, 5], [6, 1], [5, 1]]


def asked(outfits: Outfits, frequency: Int64s, negatives: str = "family", **more: object) -> Int64s:
    questions = fill_in_the_blank(outfits, FAMILIES, negatives, frequency=frequency, seed=0, **more)  # type: ignore[arg-type]
    return questions.candidates


def test_wrong_answers_are_other_articles_of_the_family() -> None:
    outfits = of(*[[0, 4]] * 40)
    found = asked(outfits, np.zeros(9, np.int64))
    assert found.shape == (80, 4)
    assert (np.sort(found[::2], axis=1) == [0, 1, 2, 3]).all()
    assert (FAMILIES[found[1::2]] == 1).all()
    assert set(found[1::2, 1:].ravel().tolist()) == {5, 6, 7, 8}
    assert all(len(set(row)) == 4 for row in found.tolist())


def test_an_article_of_the_outfit_is_no_wrong_answer() -> None:
    found = asked(of(*[[4, 5]] * 20), np.zeros(9, np.int64))
    assert all(set(row[1:]) == {6, 7, 8} for row in found.tolist())


def test_popular_wrong_answers_are_drawn_by_frequency() -> None:
    frequency = np.array([1, 1, 1, 1, 5, 1, 1, 8, 0])
    found = asked(of(*[[0, 4]] * 300), frequency, "popularity", wrong=1)[1::2, 1]
    share = np.bincount(found, minlength=9) / len(found)
    assert share[8] == 0
    assert abs(share[7] - 0.8) < 0.07  # 8 of 10; the standard error is 0.023


def test_random_wrong_answers_come_from_any_family() -> None:
    assert set(FAMILIES[asked(of(*[[0, 4]] * 40), np.zeros(9, np.int64), "random")[::2, 1:]].ravel()) == {0, 1}


def test_what_is_asked_and_offered_can_be_restricted() -> None:
    mine = np.array([False, False, False, False, True, True, True, True, False])
    found = asked(of([0, 4]), np.zeros(9, np.int64), asked=mine, offered=mine)
    assert found[:, 0].tolist() == [4]
    assert set(found[0, 1:].tolist()) == {5, 6, 7}


def test_a_family_too_small_for_any_question_is_said() -> None:
    with pytest.raises(OutfitsError, match="no masked article has 5 possible wrong answers among 'family'"):
        asked(of([0, 4]), np.zeros(9, np.int64), wrong=5)


def test_a_draw_keeps_families_and_weights() -> None:
    draw = FamilyDraw(FAMILIES, np.array([0, 0, 0, 0, 1.0, 0, 3.0, 0, 0]))
    found = draw(np.array([0, 1]), 400, np.random.default_rng(0))
    assert set(found[0].tolist()) == {-1}
    assert set(found[1].tolist()) == {4, 6}
    assert abs((found[1] == 6).mean() - 0.75) < 0.07


def test_a_broken_outfit_has_the_same_families() -> None:
    outfits = of([0, 4], [1, 5, 6])
    found = broken_outfits(outfits, FamilyDraw(FAMILIES, np.ones(9)), seed=0)
    assert found.real.tolist() == [[0, 4, -1], [1, 5, 6]]
    assert ((found.broken >= 0) == (found.real >= 0)).all()
    inside = found.real >= 0
    assert (FAMILIES[found.broken[inside]] == FAMILIES[found.real[inside]]).all()
    assert (found.broken != found.real).any()
