"""Figures of outfit scores and their intervals."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from atelier.outfits.evaluation import (
    auc,
    auc_difference,
    auc_over_outfits,
    mean_over_outfits,
    outfit_scores,
    right_answers,
)


def test_a_tie_counts_its_share() -> None:
    scores = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    assert right_answers(scores).tolist() == [1, 0, 0.5, 0.25]


def test_the_mean_is_over_questions_and_its_interval_over_outfits() -> None:
    values = np.array([1.0, 1, 1, 1, 0, 0])
    each = mean_over_outfits(values, np.arange(6))
    together = mean_over_outfits(values, np.array([0, 0, 0, 0, 1, 1]))
    assert each.value == together.value == pytest.approx(4 / 6)
    assert together.low == 0
    assert together.high == 1
    assert 0 < each.low < each.value < each.high <= 1
    assert mean_over_outfits(values, np.arange(6)) == each


def test_the_auc_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    real, broken = random.integers(0, 9, 40) + 1.0, random.integers(0, 9, 40).astype(float)
    expected = roc_auc_score(np.repeat([1, 0], 40), np.concatenate([real, broken]))
    assert auc(real, broken) == pytest.approx(expected)
    found = auc_over_outfits(real, broken)
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high


def test_a_model_does_not_differ_from_itself() -> None:
    random = np.random.default_rng(0)
    real, broken = random.normal(1, 1, 40), random.normal(0, 1, 40)
    assert auc_difference((real, broken), (real, broken)) == (0, 0, 0)
    assert auc_difference((real + 5, broken), (real, broken)).low > 0


def test_an_outfits_score_is_the_mean_over_its_articles() -> None:
    def score(rest: np.ndarray, candidates: np.ndarray) -> np.ndarray:  # the sum of the others, less the candidate
        return (np.where(rest >= 0, rest, 0).sum(axis=1, keepdims=True) - candidates).astype(np.float64)

    assert outfit_scores(score, np.array([[1, 2, 6], [3, 3, -1]])).tolist() == [3.0, 0.0]


def test_real_and_other_outfits_that_are_no_pairs_may_differ_in_number() -> None:
    random = np.random.default_rng(0)
    real, others = random.normal(1, 1, 30), random.normal(0, 1, 50)
    found = auc_over_outfits(real, others, paired=False)
    assert found.value == pytest.approx(roc_auc_score(np.repeat([1, 0], [30, 50]), np.concatenate([real, others])))
    assert found.low < found.value < found.high
    assert auc_difference((real, others), (real, others), paired=False) == (0, 0, 0)
    # Only one real outfit: all that varies is which others are drawn.
    one = auc_over_outfits(np.array([0.5]), np.array([0.0, 1.0]), paired=False)
    assert (one.low, one.value, one.high) == (0, 0.5, 1)
