"""The comparison on H&M: its figures, its hidden labels, its kept vectors."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.hm_articles import ATTRIBUTES
from benchmarks.hm_attributes import MISSING, TOGETHER, cached_vectors, hide, scores


def _labels(articles: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ids = [f"{place:05d}" for place in range(articles)]
    return pd.concat(
        [
            pd.DataFrame({"article_id": ids, "attribute": attribute, "value": rng.choice(["a", "b", "c"], articles)})
            for attribute in ATTRIBUTES
        ],
        ignore_index=True,
    )


def test_figures_equal_scikit_learn_and_do_not_depend_on_the_order() -> None:
    truth = _labels(60)
    said = truth.assign(value=np.random.default_rng(1).choice(["a", "b", "new"], len(truth)))
    found = scores(said.sample(frac=1, random_state=0), truth)
    assert found.index.tolist() == [*ATTRIBUTES, "mean"]
    for attribute in ATTRIBUTES:
        true, guess = (frame.loc[frame["attribute"] == attribute, "value"] for frame in (truth, said))
        assert found.loc[attribute, "accuracy"] == pytest.approx(accuracy_score(true, guess))
        expected = f1_score(true, guess, average="weighted", zero_division=0)
        assert found.loc[attribute, "weighted F1"] == pytest.approx(expected)
    assert found.loc["mean"].tolist() == pytest.approx(found.loc[list(ATTRIBUTES)].mean().tolist())


def test_a_prediction_that_is_missing_is_a_miss() -> None:
    truth = _labels(30)
    assert scores(truth, truth).loc["mean"].tolist() == [1, 1]
    half = scores(truth[truth["article_id"] < "00015"], truth).loc["mean"]
    assert half["accuracy"] == 0.5
    assert 0.5 < half["weighted F1"] < 0.8
    assert scores(truth.iloc[:0], truth).loc["mean"].tolist() == [0, 0]


def test_labels_are_hidden_at_the_rates_stated() -> None:
    assert set(MISSING) == set(ATTRIBUTES)
    labels = _labels(4000)
    left = hide(labels, seed=0)
    for attribute, missing in MISSING.items():
        assert (left["attribute"] == attribute).sum() / 4000 == pytest.approx(1 - missing, abs=0.02)
    first, second = (set(left.loc[left["attribute"] == name, "article_id"]) for name in TOGETHER)
    assert first == second
    pd.testing.assert_frame_equal(left, labels.loc[left.index])
    assert not left.equals(hide(labels, seed=1))


def test_vectors_are_computed_once_and_follow_the_articles(tmp_path: Path) -> None:
    files = pd.DataFrame({"article_id": ["b", "a", "c"]})
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    file = tmp_path / "vectors.npz"
    np.testing.assert_array_equal(cached_vectors(file, files, lambda: vectors), vectors)

    def never() -> np.ndarray:
        raise AssertionError("computed twice")

    np.testing.assert_array_equal(cached_vectors(file, files.iloc[[2, 0]], never), vectors[[2, 0]])
    with pytest.raises(SystemExit, match="lacks 1 of 2"):
        cached_vectors(file, pd.DataFrame({"article_id": ["a", "d"]}), never)
