"""The ranking network: its scaler, that it learns an order, and that its arrays are its bundle.

That the scaler is made of the lists of training alone is tested where they are made: ``test_labels.py``.
"""

import numpy as np
import pytest

from atelier.errors import BundleError
from atelier.recommenders.two_stage.examples import Examples
from atelier.recommenders.two_stage.network_ranker import NetworkRanker, Scaler, _epoch
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig

CONFIG = TwoStageConfig(ranker="network", network_epochs=40, network_learning_rate=0.01)
NAMES = ("useful", "noise", "customer_times")


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Lists of eight, in each of which the row with the greatest first feature is the positive."""
    features = np.random.default_rng(0).normal(size=(800, 3)).astype(np.float32)
    labels = np.zeros((100, 8), np.int8)
    labels[np.arange(100), features[:, 0].reshape(100, 8).argmax(axis=1)] = 1
    return Examples(features, labels.ravel(), np.full(100, 8), np.arange(100))


def test_the_scaler_fills_with_the_median_and_standardises() -> None:
    features = np.array([[1, np.nan, 5], [2, np.nan, 5], [np.nan, np.nan, 5], [9, np.nan, 5]], np.float32)
    scaler = Scaler.of(features)
    assert (scaler.median.tolist(), scaler.deviation[1:].tolist()) == ([2, 0, 5], [1, 1])
    filled = np.array([1, 2, 2, 9])
    np.testing.assert_allclose(scaler(features)[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-5)
    np.testing.assert_array_equal(scaler(features)[:, 1:], 0)
    assert scaler(np.array([[1e9, 0, 5]], np.float32))[0, 0] == 10


def test_an_epoch_has_every_positive_and_others_of_its_list() -> None:
    labels = np.array([0, 1, 0, 0, 0, 1], np.int8)
    few = Examples(np.zeros((6, 1), np.float32), labels, np.array([3, 3]), np.arange(2))
    rows = np.concatenate(_epoch(few, 4, np.random.default_rng(0)))
    assert sorted(rows[labels[rows] == 1]) == [1, 5]
    assert set(rows[labels[rows] == 0]) <= {0, 2, 3, 4}
    assert len(rows) <= 2 + 2 * 4


def test_the_positive_comes_first_and_the_useful_feature_says_why(examples: Examples) -> None:
    ranker = NetworkRanker.trained(examples, NAMES, CONFIG)
    scores = ranker.scores(examples.features).reshape(100, 8)
    assert (scores.argmax(axis=1) == examples.labels.reshape(100, 8).argmax(axis=1)).mean() > 0.8
    added = np.abs(ranker.contributions(examples.features)).mean(axis=0)
    assert added[0] > 3 * added[1:].max()


def test_arrays_give_the_same_scores(examples: Examples) -> None:
    one, two = (NetworkRanker.trained(examples, NAMES, CONFIG) for _ in range(2))
    again = NetworkRanker.from_arrays(one.arrays(), NAMES)
    for other in (two, again):
        np.testing.assert_array_equal(other.scores(examples.features), one.scores(examples.features))
    assert one.scores(examples.features[:0]).shape == (0,)
    with pytest.raises(BundleError, match="reads other features than this version makes"):
        NetworkRanker.from_arrays(one.arrays(), (*NAMES, "fourth"))
