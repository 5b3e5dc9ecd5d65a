"""The rate of wrong labels and the probability of each error, where both are known."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from atelier.attributes import label_noise
from atelier.attributes.label_noise import BINS, LabelNoise, ScoreCounts, bins_of, compressed, share_intervals


def drawn(
    rate: float, labels: int = 20_000, seed: int = 0, apart: float = 4.0
) -> tuple[ScoreCounts, np.ndarray, np.ndarray]:
    """Scores of right labels around −apart and of wrong ones around +apart; made-up errors look like wrong ones."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(labels) < rate
    scores = np.where(wrong, apart, -apart) + rng.normal(scale=1.5, size=labels)
    made_up = apart + rng.normal(scale=1.5, size=labels)
    return ScoreCounts.of(scores, made_up, np.ones(labels)), scores, wrong


def test_a_rate_that_the_scores_show_is_found_whatever_the_prior_says() -> None:
    for rate in (0.01, 0.03, 0.1):
        counts, _, _ = drawn(rate)
        assert LabelNoise.fit([counts]).rates[0] == pytest.approx(rate, rel=0.2)


def test_probabilities_are_the_share_of_wrong_labels_and_rise_with_the_score() -> None:
    counts, scores, wrong = drawn(0.05)
    noise = LabelNoise.fit([counts])
    probability = noise.error_probability(0, scores)
    assert (np.diff(probability[np.argsort(scores)]) >= 0).all()
    for low, high in ((0.05, 0.5), (0.5, 0.95), (0.95, 1.0)):
        mine = (probability >= low) & (probability <= high)
        assert probability[mine].mean() == pytest.approx(wrong[mine].mean(), abs=0.15)


def test_where_the_model_knows_nothing_no_label_is_probably_wrong() -> None:
    """Scores of labels and of made-up errors are the same: they tell nothing, whatever they are."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=300)
    told, _, _ = drawn(0.05)
    noise = LabelNoise.fit([told, ScoreCounts.of(scores, rng.normal(size=300), np.ones(300))])
    assert noise.error_probability(1, np.array([3.0])).max() < 0.5
    assert noise.error_probability(0, np.array([6.0])).min() > 0.9


def test_an_attribute_with_few_labels_takes_the_rate_of_the_others() -> None:
    counts, _, _ = drawn(0.08)
    few, _, _ = drawn(0.0, labels=30)
    rates, alone = LabelNoise.fit([counts, few]).rates, LabelNoise.fit([few]).rates
    assert rates[0] / 2.5 < rates[1] < rates[0], "thirty labels without an error say a little, not much"
    assert rates[1] > 1.5 * alone[0]


def test_the_gradient_is_that_of_the_cost() -> None:
    counts = [drawn(0.1, 200, seed)[0] for seed in range(2)]
    labels, made_up = (np.stack([getattr(each, name) for each in counts]) for name in ("labels", "made_up"))
    for seed in range(3):
        at = np.random.default_rng(seed).normal(scale=0.3, size=9)
        error = check_grad(
            lambda x: label_noise._cost(x, labels, made_up)[0], lambda x: label_noise._cost(x, labels, made_up)[1], at
        )
        assert error < 1e-2 * labels.sum()
        assert error / np.abs(label_noise._cost(at, labels, made_up)[1]).max() < 1e-4


def test_intervals_hold_the_share_and_are_the_same_each_time() -> None:
    counts, scores, wrong = drawn(0.05, labels=2_000)
    noise = LabelNoise.fit([counts])
    listed = noise.error_probability(0, scores) >= 0.5
    low, high = share_intervals([counts], [scores[listed]])
    assert low[0] <= wrong[listed].mean() <= high[0]
    assert (low[1], high[1]) == (low[0], high[0])
    assert np.array_equal(share_intervals([counts], [scores[listed]]), (low, high))
    none, _ = share_intervals([counts], [scores[:0]])
    assert np.isnan(none).all()


def test_scores_beyond_the_bins_count_in_the_outermost() -> None:
    assert bins_of(np.array([-np.inf, -13.0, 0.0, 13.0, np.inf])).tolist() == [0, 0, 49, 97, 97]
    assert compressed(np.array([-2.0, 0.0, 4.0, np.inf])).tolist() == pytest.approx(
        [-2.0, 0.0, 4 * np.log(2), 4 * np.log(1 + BINS[-1] / 4)]
    )
    assert len(LabelNoise.fit([]).rates) == 0
