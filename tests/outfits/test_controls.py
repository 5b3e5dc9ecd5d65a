"""Controls and the counts that they are made of, on outfits that can be counted by hand."""

import numpy as np
import pytest

from atelier.outfits.controls import Joined, controls
from atelier.outfits.pair_statistics import PAIR_SMOOTHING, SMOOTHING, PairStatistics
from atelier.outfits.questions import Questions
from tests.outfits.tiny import of

OUTFITS = of([0, 4], [0, 4, 5], [1, 5], [2, 6])
CODES = np.array([[0], [0], [1], [1], [0], [1], [1], [1], [1]])
REST = np.array([[0, -1], [0, 1]])
CANDIDATES = np.array([[4, 5, 7], [4, 5, 7]])


def test_counts_are_of_shared_outfits() -> None:
    found = PairStatistics.of(OUTFITS, CODES).counts(REST, CANDIDATES)
    assert found.tolist() == [[[2, 0], [1, 0], [0, 0]], [[2, 0], [1, 1], [0, 0]]]


def test_lift_is_the_smoothed_log_ratio() -> None:
    counted = PairStatistics.of(OUTFITS, CODES)
    found = counted.lift(REST, CANDIDATES, counted.counts(REST, CANDIDATES))
    assert found[0, 0, 0] == pytest.approx(np.log((2 + SMOOTHING) / (2 * 2 / 4 + SMOOTHING)))
    assert found[1, 0, 1] == pytest.approx(np.log(SMOOTHING / (1 * 2 / 4 + SMOOTHING)))
    assert (found[:, 2] == 0).all(), "nothing is known of an article of no outfit"
    assert (found[0, :, 1] == 0).all(), "nothing stands beyond an outfit's end"


def test_mutual_information_is_of_values_that_were_combined() -> None:
    counted = PairStatistics.of(OUTFITS, CODES)
    # Pairs in both directions: 0-4 twice (0, 0), 0-5 and 4-5 and 1-5 (0, 1), 2-6 (1, 1): 4, 3, 3 and 2 of 12.
    joint, each = np.array([[4, 3], [3, 2]]), np.array([7, 5])
    expected = np.log((joint + PAIR_SMOOTHING) / (np.outer(each, each) / 12 + PAIR_SMOOTHING))
    assert counted.pmi[0] == pytest.approx(expected, abs=1e-6)
    found = counted.value_pmi(REST, CANDIDATES)
    assert found[0] == pytest.approx([expected[0, 0], expected[0, 1], expected[0, 1]], abs=1e-6)


def test_controls_say_what_they_count() -> None:
    found = {name: score(REST, CANDIDATES).tolist() for name, score in controls(OUTFITS, CODES, ["colour"]).items()}
    assert list(found) == ["frequency", "attribute PMI", "co-occurrence", "lift"]
    assert found["frequency"] == [[2, 2, 0], [2, 2, 0]]
    assert found["co-occurrence"] == [[2, 1, 0], [2, 2, 0]]


def test_category_co_occurrence_reads_the_product_type_alone() -> None:
    twice = np.concatenate([np.zeros_like(CODES), CODES], axis=1)
    found = controls(OUTFITS, twice, ["brand", "product_type"])
    alone = controls(OUTFITS, CODES, ["product_type"])
    assert "category co-occurrence" in found
    expected = alone["attribute PMI"](REST, CANDIDATES)
    assert found["category co-occurrence"](REST, CANDIDATES) == pytest.approx(expected)


def test_joined_controls_are_weighed_by_what_answers_questions() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(50, 2))
    candidates = random.integers(0, 50, size=(400, 4))
    best = table[candidates, 0].argmax(axis=1)  # the first score knows the answer, the second knows nothing
    rows = np.arange(400)
    candidates[rows, 0], candidates[rows, best] = candidates[rows, best], candidates[rows, 0].copy()
    questions = Questions(rows, np.zeros((400, 1), np.int64), candidates)
    joined = Joined.fit((lambda _r, c: table[c, 0], lambda _r, c: table[c, 1]), questions)
    scores = joined(questions.rest, questions.candidates)
    assert (scores.argmax(axis=1) == 0).mean() > 0.95
    assert abs(joined.weights[0]) > 10 * abs(joined.weights[1])
