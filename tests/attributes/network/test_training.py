"""Loss, batches, who looks on, a fit that was killed; calibration, scores and splits."""

import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional

from atelier.attributes import AttributeConfig, AttributeModel, evaluate, holdout
from atelier.attributes.labels import Head, Heads
from atelier.attributes.model import Monitor
from atelier.attributes.network.architecture import ArticleBatch
from atelier.attributes.network.batches import modality_dropout, word_dropout
from atelier.attributes.network.loss import JointLoss
from atelier.attributes.scores import AGAINST_MAJORITY, Reliability, accuracy, against_majority, weighted_f1
from atelier.attributes.temperature import fit_temperatures, uncalibrated
from atelier.nn.training_loop import DivergedError
from tests.nn.toy import Killed, kill_after_look


def _heads() -> Heads:
    values = np.array(["x", "y"], dtype=object)
    return Heads((Head("a", values, np.array([30, 10])), Head("b", values, np.array([2, 2]))))


def _parts() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn((2, 3, 2), generator=generator)
    return first.requires_grad_(), second.requires_grad_()


def test_loss_without_weights_is_the_mean_cross_entropy_over_labels() -> None:
    config = AttributeConfig(class_weighting=0.0, attribute_balance=0.0)
    first, second = _parts()
    # 44 labels over 40 articles: 1.1 expected per article; this batch of 3 holds 3 labels.
    value = JointLoss(config, _heads(), 40)((first, second), torch.tensor([[0, -1], [1, 1], [-1, -1]]))
    terms = functional.cross_entropy(first[:2], torch.tensor([0, 1]), reduction="sum") + functional.cross_entropy(
        second[1:2], torch.tensor([1]), reduction="sum"
    )
    assert value.item() == pytest.approx(terms.item() / 3 / 1.1, rel=1e-5)


def test_unlabelled_attributes_get_no_gradient() -> None:
    first, second = _parts()
    JointLoss(AttributeConfig(), _heads(), 40)((first, second), torch.tensor([[0, -1], [1, -1], [-1, -1]])).backward()
    assert first.grad is not None
    assert second.grad is not None
    assert first.grad[:2].abs().min() > 0
    assert first.grad[2].abs().max() == 0
    assert second.grad.abs().max() == 0


def test_weights_of_classes_and_attributes() -> None:
    config = AttributeConfig(class_weighting=1.0, attribute_balance=0.5)
    loss = JointLoss(config, _heads(), 40)
    # Shares 3/4 and 1/4: weights in the ratio 1 : 3, and 1 on average over labels.
    assert loss.get_buffer("class_weights_0").tolist() == pytest.approx([2 / 3, 2.0])
    assert loss.get_buffer("class_weights_1").tolist() == pytest.approx([1.0, 1.0])
    weights = loss.attribute_weights
    assert (weights[1] / weights[0]).item() == pytest.approx(math.sqrt(10))
    assert (weights * torch.tensor([1.0, 0.1])).sum().item() == pytest.approx(1.0)


def test_modalities_are_left_out_for_the_share_asked() -> None:
    ones = torch.ones(4000, dtype=torch.int64)
    batch = ArticleBatch(torch.ones(4000, 2, 3), torch.full((4000, 4), 2), ones, ones, ones)
    left = modality_dropout(batch, 0.25, torch.Generator().manual_seed(0))
    gone = [
        (left.images == 0).all(2).all(1),
        (left.tokens == 0).all(1),
        left.types == -1,
        left.brands == -1,
        left.divisions == -1,
    ]
    for modality in gone:
        assert modality.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(gone[0], gone[1])
    assert modality_dropout(batch, 0.0, torch.Generator()) is batch


def test_forgotten_words_become_unknown_and_padding_stays() -> None:
    codes = torch.zeros(500, dtype=torch.int64)
    tokens = torch.tensor([[7, 8, 9, 0]]).repeat(500, 1)
    batch = ArticleBatch(torch.zeros(500, 1, 0), tokens, codes, codes, codes)
    forgotten = word_dropout(batch, 0.2, torch.Generator().manual_seed(0)).tokens
    assert (forgotten[:, 3] == 0).all()
    assert (forgotten[:, :3] == 1).float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert ((forgotten == tokens) | (forgotten == 1)).all()


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn((4000, 3), generator=generator)
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)
    targets = torch.cat([truth, truth, torch.zeros_like(truth)], dim=1)
    temperatures = fit_temperatures([honest * 3, honest, honest[:, :1]], targets)
    assert temperatures[0].item() == pytest.approx(3.0, rel=0.1)
    assert temperatures[1].item() == pytest.approx(1.0, rel=0.1)
    assert temperatures[2].item() == 1.0


def test_with_few_labels_the_temperature_is_what_suits_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn((4000, 3), generator=generator)
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)
    none = torch.full_like(truth, -1)
    wrong = torch.where(torch.arange(4000)[:, None] < 2, (truth + 1) % 3, -1)  # two labels, both missed
    parts, targets = [honest * 3] * 3 + [honest * 3], torch.cat([truth, truth, wrong, none], dim=1)
    temperatures = fit_temperatures(parts, targets)
    assert temperatures[:2].tolist() == pytest.approx([3.0, 3.0], rel=0.1)
    assert 3.0 <= temperatures[2].item() <= 4.0
    assert 2.7 <= temperatures[3].item() <= 4.0
    assert fit_temperatures(parts, none.expand(-1, 4)).tolist() == [1.0] * 4
    assert fit_temperatures([], none[:, :0]).tolist() == []


def test_a_temperature_that_makes_confidence_less_honest_is_not_kept() -> None:
    """A few labels are wrong where it is very sure: dividing logits makes these likelier, and all else less honest."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (500, 1), generator=generator)
    honest = functional.one_hot(truth[:, 0], 3).float() * torch.tensor(0.96 / 0.02).log()
    missed = torch.arange(500) % 25 == 0  # as many as a confidence of 96% allows
    targets = torch.where(missed[:, None], (truth + 1) % 3, truth)
    sure = torch.where((torch.arange(500) % 50 == 0)[:, None], honest * 6, honest)
    assert fit_temperatures([sure], targets).tolist() == [1.0]
    assert fit_temperatures([honest * 3], targets).item() == pytest.approx(3.0, rel=0.2), "it is kept where it helps"
    # One attribute falls back alone: another that has as many labels keeps its own.
    first, second = fit_temperatures([sure, honest * 3], torch.cat([targets, targets], dim=1)).tolist()
    assert (first, second) == (1.0, pytest.approx(3.0, rel=0.2))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_what_probabilities_were_before_the_temperature(temperature: float) -> None:
    logits = 4 * torch.randn((50, 6), generator=torch.Generator().manual_seed(0))
    found = uncalibrated(torch.softmax(logits / temperature, dim=1).numpy(), temperature)
    np.testing.assert_allclose(found, torch.softmax(logits.double(), dim=1).numpy(), rtol=1e-4, atol=1e-7)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_calibration_error_equals_the_obvious_version(predictions: list[tuple[float, bool]]) -> None:
    found = Reliability.of(np.array([c for c, _ in predictions]), np.array([r for _, r in predictions], dtype=bool))
    expected = 0.0
    for place in range(15):
        mine = [p for p in predictions if place == min(max(math.ceil(p[0] * 15) - 1, 0), 14)]
        assert found.labels[place] == len(mine)
        if mine:
            confidence, right = (sum(column) / len(mine) for column in zip(*mine, strict=True))
            assert found.confidence[place] == pytest.approx(confidence)
            expected += len(mine) / len(predictions) * abs(right - confidence)
    if predictions:
        assert found.expected_calibration_error == pytest.approx(expected, abs=1e-12)
    else:
        assert math.isnan(found.expected_calibration_error)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_scores_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    truth, predicted = np.array(pairs, dtype=np.int64).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f1_score(truth, predicted, average="weighted", zero_division=0)
    assert weighted_f1(truth, predicted) == pytest.approx(expected)
    assert accuracy(truth, predicted) == pytest.approx(accuracy_score(truth, predicted))


def test_scores_of_nothing_are_undefined() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert math.isnan(weighted_f1(none, none))
    assert math.isnan(accuracy(none, none))


def _styles(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "article_id": [f"a{place}" for place in range(count)],
            "product_code": [None if place % 10 == 0 else f"p{place // 4}" for place in range(count)],
        }
    )


def test_a_style_is_on_one_side_only_and_the_share_is_kept() -> None:
    frame = _styles(2000)
    held = holdout(frame, 0.3)
    sides = frame[held].product_code.dropna().unique(), frame[~held].product_code.dropna().unique()
    assert set(sides[0]).isdisjoint(sides[1])
    assert held.mean() == pytest.approx(0.3, abs=0.04)
    assert holdout(frame, 0.0).sum() == 0


def test_the_choice_depends_on_neither_order_nor_much_on_other_articles() -> None:
    frame = _styles(2000).assign(held=lambda f: holdout(f, 0.2))
    shuffled = frame.sample(frac=1, random_state=1)
    assert holdout(shuffled, 0.2).tolist() == shuffled.held.tolist()
    fewer = frame.iloc[:1900]
    assert (holdout(fewer, 0.2) != fewer.held).mean() < 0.02


def test_seeds_and_purposes_choose_apart() -> None:
    frame = _styles(2000)
    first, other, validation = (
        holdout(frame, 0.5),
        holdout(frame, 0.5, seed=1),
        holdout(frame, 0.5, purpose="validation"),
    )
    assert (first & other).mean() == pytest.approx(0.25, abs=0.05)
    assert (first & validation).mean() == pytest.approx(0.25, abs=0.05)


def _files(model: AttributeModel, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


TRAINERS = [{"training": "joint", "max_epochs": 6}, {"training": "published", "learning_rate": 0.1, "max_epochs": 10}]


@pytest.mark.parametrize("way", TRAINERS, ids=lambda way: str(way["training"]))
def test_a_monitor_sees_the_model_learn_and_changes_nothing(planted, tiny, tmp_path, way) -> None:
    config = tiny.model_copy(update=way)
    seen: list[tuple[int, float]] = []

    def look(step: int, model: AttributeModel) -> None:
        torch.rand(3)  # takes from the random state that dropout takes from
        scores = evaluate(model, planted.articles, planted.truth).set_index(["attribute", "metric"])["value"]
        seen.append((step, scores["mean", "weighted_f1"]))

    alone = AttributeModel(config).fit(planted.articles, planted.labels)
    watched = AttributeModel(config).fit(planted.articles, planted.labels, monitor=Monitor(25, look))
    assert _files(alone, tmp_path / "alone") == _files(watched, tmp_path / "watched")
    steps = [step for step, _ in seen]
    assert steps == list(range(0, watched.history[-1].step + 1, 25))
    assert seen[-1][1] > seen[0][1] + 0.2


def test_published_training_learns_the_planted_attributes_and_repeats(planted, tiny, tmp_path) -> None:
    way = {"training": "published", "learning_rate": 0.1, "max_epochs": 20, "dropout": 0.0, "patience": 20}
    config = tiny.model_copy(update=way)
    one, two = (AttributeModel(config).fit(planted.articles, planted.labels) for _ in range(2))
    assert _files(one, tmp_path / "one") == _files(two, tmp_path / "two")
    scores = evaluate(one, planted.articles, planted.truth).set_index(["attribute", "metric"])["value"]
    assert scores["mean", "weighted_f1"] > 0.85


@pytest.mark.parametrize("way", TRAINERS, ids=lambda way: str(way["training"]))
def test_a_fit_that_was_killed_resumes_to_the_same_bytes(planted, tiny, tmp_path, way) -> None:
    """Looks fall into the middle of epochs, so that half an order of articles has to be taken up."""
    config = tiny.model_copy(update=way | {"evaluate_every": 5, "max_epochs": 4, "dropout": 0.2, "word_dropout": 0.2})
    model, killed = AttributeModel(config), AttributeModel(config)
    killed.training_state = tmp_path / "state"
    with pytest.MonkeyPatch.context() as patch:
        kill_after_look(patch, 3)
        with pytest.raises(Killed):
            killed.fit(planted.articles, planted.labels)
    assert killed.network is None
    files = _files(model.fit(planted.articles, planted.labels), tmp_path / "whole")
    assert _files(killed.fit(planted.articles, planted.labels), tmp_path / "resumed") == files
    assert [epoch.step for epoch in model.history][:3] == [5, 10, 15]


def test_training_that_diverges_leaves_a_model_that_is_not_fitted(planted, tiny) -> None:
    model = AttributeModel(tiny.model_copy(update={"learning_rate": 1e30, "max_epochs": 2}))
    with pytest.raises(DivergedError, match=r"lower learning_rate \(1e\+30\)"):
        model.fit(planted.articles, planted.labels)
    assert model.network is None


def test_the_majority_value_is_judged_like_a_model_that_always_says_it() -> None:
    truth, said = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    found = against_majority(truth, said, 1)
    always = np.array([1, 1, 1, 1])
    assert tuple(found) == AGAINST_MAJORITY
    assert list(found.values()) == [
        accuracy(truth, said),
        weighted_f1(truth, said),
        accuracy(truth, always),
        weighted_f1(truth, always),
    ]
    assert found["majority_accuracy"] == 0.25
    nobody_knows = against_majority(truth, said, None)
    assert nobody_knows["accuracy"] == 0.5
    assert math.isnan(nobody_knows["majority_accuracy"])
    assert math.isnan(nobody_knows["majority_weighted_f1"])


def test_a_batch_that_could_leave_one_article_over_is_refused() -> None:
    with pytest.raises(ValidationError, match="batch_size"):
        AttributeConfig(batch_size=2)
