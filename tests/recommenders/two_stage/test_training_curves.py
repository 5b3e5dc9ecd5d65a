"""Training curves: their figures by hand, what is held out, and that they change no model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.recommenders.two_stage.examples import Examples, held_out
from atelier.recommenders.two_stage.training_curves import (
    COLUMNS,
    curve,
    last_figures,
    list_figures,
    look,
    packed,
    unpacked,
)

FIGURES = {"loss", "auc", "precision", "recall"}


def test_figures_by_hand() -> None:
    """One list of three with the chosen row in the middle, and one of two with a tie."""
    scores, labels, groups = np.array([2.0, 1.0, 0.0, 5.0, 5.0]), np.array([0, 1, 0, 1, 0]), np.array([3, 2])
    found = list_figures(scores, labels, groups)
    # Pairs: 1 against 2 (wrong), 1 against 0 (right), 5 against 5 (a tie).
    assert found["loss"] == pytest.approx((np.log1p(np.e) + np.log1p(1 / np.e) + np.log(2)) / 3)
    assert found["auc"] == pytest.approx((0 + 1 + 0.5) / 3)
    assert found["precision"] == pytest.approx(1 / 12)
    assert found["recall"] == 1.0


def test_only_the_first_twelve_places_count_and_ties_go_against_the_chosen() -> None:
    labels = np.zeros(20, dtype=np.int8)
    labels[[0, 1]] = 1
    scores = np.zeros(20)
    scores[1] = 1.0
    found = list_figures(scores, labels, np.array([20]))
    assert (found["precision"], found["recall"]) == (pytest.approx(1 / 12), 0.5)


def test_a_list_without_a_chosen_row_is_in_no_mean() -> None:
    found = list_figures(np.array([1.0, 0.0, 3.0]), np.array([1, 0, 0]), np.array([2, 1]))
    assert (found["auc"], found["recall"]) == (1.0, 1.0)
    assert all(np.isnan(value) for value in list_figures(np.zeros(2), np.zeros(2, np.int8), np.array([2])).values())


def test_a_curve_goes_through_a_bundle_and_a_part_without_lists_is_left_out() -> None:
    examples = Examples(np.zeros((2, 1), np.float32), np.array([1, 0]), np.array([2]), np.array([7]))
    nobody = examples.where(np.zeros(1, dtype=bool))
    parts = {"training": examples, "held_out": nobody}
    looks = [(step, look(parts, {"training": np.array([step, 1.0]), "held_out": np.zeros(0)})) for step in (1, 2)]
    frame = curve(looks)
    assert set(frame["part"]) == {"training"}
    assert tuple(frame.columns) == COLUMNS
    pd.testing.assert_frame_equal(unpacked(packed(frame)), frame, check_dtype=False, atol=1e-8)
    assert last_figures(frame)["training_auc"] == 1.0
    assert last_figures(unpacked(packed(curve([])))) == {}


def test_whole_lists_are_chosen() -> None:
    examples = Examples(
        np.arange(5, dtype=np.float32)[:, None], np.array([1, 0, 0, 1, 0]), np.array([3, 2]), np.array([4, 9])
    )
    second = examples.where(np.array([False, True]))
    assert second.features.ravel().tolist() == [3, 4]
    assert (second.labels.tolist(), second.groups.tolist(), second.customers.tolist()) == ([1, 0], [2], [9])


def test_a_share_of_the_customers_is_held_out_and_always_the_same() -> None:
    chosen = held_out(10_000, 0.2, 3)
    assert chosen.mean() == pytest.approx(0.2, abs=0.02)
    assert (chosen == held_out(10_000, 0.2, 3)).all()
    assert not held_out(10_000, 0.0, 3).any()


def rows(customers: int = 60) -> pd.DataFrame:
    """On each of five days everybody takes the article of their own and one at random."""
    random = np.random.default_rng(0)
    days = pd.date_range("2020-03-01", periods=5)
    table = [
        (f"c{number:02d}", article, day)
        for number in range(customers)
        for day in days
        for article in (f"own{number % 8}", f"any{random.integers(20)}")
    ]
    return pd.DataFrame(table, columns=["customer_id", "article_id", "occurred_at"])


SETTINGS: dict[str, dict[str, Any]] = {
    "boosted": {"candidates": 15, "trees": 20, "min_examples_in_leaf": 5, "threads": 1},
    "network": {"ranker": "network", "candidates": 15, "network_epochs": 4, "network_learning_rate": 0.01},
    "two_tower": {"max_epochs": 4, "content_length": 0},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_models_keep_their_curve_of_both_parts(kind: str, tmp_path: Path) -> None:
    name = "two_tower" if kind == "two_tower" else "two_stage"
    model = recommenders.build(name, **SETTINGS[kind], held_out=0.25).fit(rows())
    found = model.training_curve()
    assert {(part, figure) for part in ("training", "held_out") for figure in FIGURES} == set(
        zip(found["part"], found["figure"], strict=True)
    )
    assert found["step"].is_monotonic_increasing
    assert found["step"].max() == (20 if kind == "boosted" else 4)
    learned = found[(found["part"] == "training") & (found["figure"] == "loss")]["value"]
    assert learned.iloc[-1] < learned.iloc[0]
    figures = model.training_figures()
    assert {f"{part}_{figure}" for part in ("training", "held_out") for figure in FIGURES} <= set(figures)
    model.save(tmp_path / "bundle")
    pd.testing.assert_frame_equal(recommenders.load(tmp_path / "bundle").training_curve(), found)


def test_whom_the_ranker_does_not_learn_from_is_held_out() -> None:
    """A quarter of the customers, on each of the four days that are learned from."""
    settings = SETTINGS["boosted"]
    every = recommenders.build("two_stage", **settings).fit(rows())
    part = recommenders.build("two_stage", **settings, held_out=0.25).fit(rows())
    away = int(held_out(60, 0.25, 0).sum())
    assert every.training_figures()["lists"] == 240.0
    assert part.training_figures()["lists"] == 240.0 - 4 * away
    assert set(every.training_curve()["part"]) == {"training"}


def test_a_curve_does_not_call_held_out_what_was_learned_from() -> None:
    """All 60 customers are in the share: there is nobody else to learn from."""
    with pytest.warns(UserWarning, match=r"holds nobody out: with held_out 0.999 .* lower held_out") as found:
        model = recommenders.build("two_stage", **SETTINGS["boosted"], held_out=0.999).fit(rows())
    assert found[0].filename == __file__
    assert set(model.training_curve()["part"]) == {"training"}
    assert not any(name.startswith("held_out") for name in model.training_figures())


def test_a_model_without_a_curve_has_no_rows() -> None:
    found = recommenders.build("popular").fit(rows()).training_curve()
    assert len(found) == 0
    assert tuple(found.columns) == COLUMNS
