"""Prediction sets: what they promise, and when they promise nothing."""

from fractions import Fraction
from math import ceil

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.attributes.labels import RARE
from atelier.attributes.prediction_sets import (
    PredictionSets,
    chance_of_covering_so_few,
    decided,
    labels_needed,
    set_figures,
)


def _matrix(true: list[float]) -> np.ndarray:
    """Two classes; the first is the true one and has these probabilities."""
    first = np.array(true, dtype=np.float32)
    return np.stack([first, 1 - first], axis=1)


def _fit(true: list[float], coverage: float = 0.9, truth: list[int] | None = None) -> float:
    places = np.zeros(len(true), np.int64) if truth is None else np.array(truth)
    return float(PredictionSets.fit([_matrix(true)], places[:, None], coverage).least_probability[0])


@given(st.integers(0, 500), st.integers(1, 99))
def test_labels_needed_are_exact(labels: int, percent: int) -> None:
    assert labels_needed(labels, percent / 100) == ceil((labels + 1) * Fraction(percent, 100))


def test_fewer_than_nine_labels_promise_nothing_at_90_percent() -> None:
    assert _fit([0.99] * 8) == 0.0
    assert _fit([0.99] * 9) == pytest.approx(0.99, abs=1e-5)
    assert _fit([0.99] * 9, truth=[0] * 8 + [-1]) == 0.0  # an article without a label is none


def test_the_threshold_is_the_label_that_is_needed() -> None:
    # Of 19 labels 18 have to be held: the second least probable true value.
    true = [0.05 * place for place in range(1, 20)]
    assert _fit(true) == pytest.approx(0.1, abs=1e-5)
    assert _fit(true, coverage=0.5) == pytest.approx(0.5, abs=1e-5)


def test_values_that_cannot_be_predicted_count_as_missed() -> None:
    true = [0.8] * 20
    assert _fit(true, truth=[0] * 19 + [RARE]) == pytest.approx(0.8, abs=1e-5)  # 19 of 20 are needed, and are there
    assert _fit(true, truth=[0] * 18 + [RARE] * 2) == 0.0


def test_the_most_probable_value_is_always_in_the_set() -> None:
    sets = PredictionSets(np.array([0.95]), np.array([100]))
    matrix = np.array([[0.5, 0.3, 0.2], [0.96, 0.03, 0.01], [0.4, 0.4, 0.2]], dtype=np.float32)
    assert sets.of([matrix])[0].tolist() == [[True, False, False], [True, False, False], [True, False, False]]
    everything = PredictionSets.of_everything(1).of([matrix])[0]
    assert everything.all()


def test_coverage_is_as_promised_on_average() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        weights = rng.gamma(0.5, size=(300, 5)) + 1e-9
        matrix = weights / weights.sum(axis=1, keepdims=True)
        # Labels that do not follow the probabilities: the promise must not need an honest model.
        blurred = 0.5 * matrix + 0.1
        truth = (rng.random((300, 1)) > np.cumsum(blurred, axis=1)).sum(axis=1).clip(0, 4)
        matrix = matrix.astype(np.float32)
        sets = PredictionSets.fit([matrix[:50]], truth[:50, None], 0.8).of([matrix[50:]])[0]
        held.append(sets[np.arange(250), truth[50:]].mean())
    # ⌈51 · 0.8⌉ / 51 = 41/51: at least 80%, and not much more; the mean's standard error is 0.003.
    assert np.mean(held) == pytest.approx(41 / 51, abs=0.012)


def test_several_attributes_have_thresholds_of_their_own(tmp_path) -> None:
    truth = np.zeros((30, 3), np.int64)
    truth[5:, 1] = -1
    matrices = [_matrix([0.7] * 30), _matrix([0.7] * 30), np.ones((30, 1), np.float32)]
    sets = PredictionSets.fit(matrices, truth, 0.9)
    assert sets.least_probability.tolist() == pytest.approx([0.7, 0.0, 1.0], abs=1e-5)
    assert sets.labels.tolist() == [30, 5, 30]
    sets.save(tmp_path / "sets.parquet", ["a", "b", "c"])
    loaded = PredictionSets.load(tmp_path / "sets.parquet", ["a", "b", "c"])
    assert loaded.least_probability.tolist() == sets.least_probability.tolist()
    assert loaded.labels.tolist() == sets.labels.tolist()
    assert pq.read_table(tmp_path / "sets.parquet").num_rows == 3
    with pytest.raises(KeyError, match="other attributes"):
        PredictionSets.load(tmp_path / "sets.parquet", ["a", "c", "b"])


# ---- what is chance


def test_falling_short_is_told_from_chance() -> None:
    assert chance_of_covering_so_few(0.88, 1000, 1000, 0.9) > 0.05
    assert chance_of_covering_so_few(0.80, 1000, 1000, 0.9) < 1e-6
    assert chance_of_covering_so_few(0.80, 1000, 20, 0.9) > 0.05  # with 20, the threshold itself is chance
    assert chance_of_covering_so_few(0.80, 10, 1000, 0.9) > 0.1
    assert chance_of_covering_so_few(0.0, 1000, 8, 0.9) == 1.0  # nothing was promised
    assert chance_of_covering_so_few(float("nan"), 0, 1000, 0.9) == 1.0


def test_the_chance_is_that_of_the_simulation() -> None:
    rng = np.random.default_rng(0)
    calibration, labels, coverage = 40, 60, 0.9
    scores = np.sort(rng.random((20_000, calibration)), axis=1)
    thresholds = scores[:, labels_needed(calibration, coverage) - 1]
    held = rng.binomial(labels, thresholds)
    for share in (0.7, 0.8, 0.9):
        expected = (held <= round(share * labels)).mean()
        found = chance_of_covering_so_few(share, labels, calibration, coverage)
        assert found == pytest.approx(expected, abs=0.015)


def test_figures_of_sets_by_hand() -> None:
    sets = np.array([[True, False], [True, True], [False, True], [True, True]])
    # The first set misses, the second holds, and no set holds a value without a class, before or behind the classes.
    found = set_figures(sets, np.array([1, 0, RARE, 2]))
    assert found == {"coverage": 0.25, "set_size": 1.5, "abstained": 0.5}


def test_a_value_is_decided_where_it_stands_alone_and_is_probable() -> None:
    """At .16 a set of one value says that no other is likelier, and not that this one is true."""
    matrix = np.array([[0.9, 0.1], [0.16, 0.15], [0.5, 0.5], [0.5, 0.4]], dtype=np.float32)
    sets = np.array([[True, False], [True, False], [True, True], [True, False]])
    assert decided(sets, matrix, 0.5).tolist() == [True, False, False, True]
    assert decided(sets, matrix, 0.0).tolist() == [True, True, False, True]
