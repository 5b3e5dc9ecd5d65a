"""The contributions of many rows have the bits that LightGBM gives row by row."""

from typing import Any

import lightgbm
import numpy as np
import pytest

from atelier.recommenders.two_stage import contributions as module
from atelier.recommenders.two_stage import ranker as ranker_module
from atelier.recommenders.two_stage.contributions import TreeContributions
from atelier.recommenders.two_stage.ranker import BoostedRanker


def rows(count: int, seed: int) -> Any:
    """Six features: of few and of many values, one of them unknown for every third row, and one constant."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, 6)).astype(np.float32)
    features[:, 1] = random.integers(0, 4, count)
    features[random.random(count) < 1 / 3, 2] = np.nan
    features[:, 5] = 1
    return features


def booster(leaves: int, trees: int = 12) -> lightgbm.Booster:
    """Trees that were trained on such rows."""
    features = rows(1500, 0)
    target = features[:, 0] * features[:, 1] + np.nan_to_num(features[:, 2], nan=2) + np.sin(3 * features[:, 3])
    settings = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "deterministic": True, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(features, target, params=settings), trees)


def by_lightgbm(trees: lightgbm.Booster, features: Any) -> Any:
    return np.asarray(trees.predict(features, pred_contrib=True, num_threads=1))[:, :-1]


@pytest.mark.parametrize("leaves", [2, 15, 80])  # of 80, the answers are more than one number holds
def test_they_are_lightgbms_to_the_last_bit(leaves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 300)
    trees, asked = booster(leaves), rows(1000, 1)
    asked[:50, [0, 1, 3]] = np.nan  # never unknown in training
    thresholds = trees.trees_to_dataframe()["threshold"].dropna().to_numpy()
    asked[50:500, 0] = np.resize(thresholds.astype(np.float32), 450)  # rounded up and down
    found = TreeContributions(trees)(asked)
    assert np.abs(found).max() > 0
    np.testing.assert_array_equal(found, by_lightgbm(trees, asked))


def test_trees_that_ask_nothing_add_nothing() -> None:
    settings = {"verbosity": -1, "num_threads": 1}
    trees = lightgbm.train(settings, lightgbm.Dataset(rows(50, 0), np.ones(50), params=settings), 2)
    np.testing.assert_array_equal(TreeContributions(trees)(rows(5, 1)), np.zeros((5, 6)))


def test_questions_of_another_kind_are_refused() -> None:
    random = np.random.default_rng(0)
    features = random.integers(0, 5, (500, 1)).astype(np.float32)
    settings = {"verbosity": -1, "num_threads": 1, "min_data_per_group": 5}
    data = lightgbm.Dataset(features, features[:, 0] % 2, categorical_feature=[0], params=settings)
    with pytest.raises(ValueError, match="asks '=='"):
        TreeContributions(lightgbm.train(settings, data, 2))


def test_the_ranker_tells_the_same_of_few_rows_and_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker, asked = BoostedRanker(booster(15).model_to_string(), threads=1), rows(400, 2)
    few = ranker.contributions(asked)
    monkeypatch.setattr(ranker_module, "MANY", 400)
    monkeypatch.setattr(ranker, "_booster", None)  # whoever asks it for the rows now fails
    ranker.__dict__["_contributions"] = TreeContributions(booster(15))
    np.testing.assert_array_equal(ranker.contributions(asked), few)
