"""Loss, batches, calibration, scores and splits."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from atelier.attributes import AttributeConfig, holdout
from atelier.attributes.calibration import fit_temperatures
from atelier.attributes.feeding import forget_words, leave_out
from atelier.attributes.labels import Head, Heads
from atelier.attributes.network import Batch
from atelier.attributes.scores import accuracy, weighted_f1
from atelier.attributes.training import JointLoss


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
    batch = Batch(torch.ones(4000, 2, 3), torch.full((4000, 4), 2), ones, ones, ones)
    left = leave_out(batch, 0.25, torch.Generator().manual_seed(0))
    gone = [
        (left.images == 0).all(2).all(1), (left.tokens == 0).all(1),
        left.types == -1, left.brands == -1, left.divisions == -1,
    ]  # fmt: skip
    for modality in gone:
        assert modality.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert not torch.equal(gone[0], gone[1])
    assert leave_out(batch, 0.0, torch.Generator()) is batch


def test_forgotten_words_become_unknown_and_padding_stays() -> None:
    codes = torch.zeros(500, dtype=torch.int64)
    tokens = torch.tensor([[7, 8, 9, 0]]).repeat(500, 1)
    batch = Batch(torch.zeros(500, 1, 0), tokens, codes, codes, codes)
    forgotten = forget_words(batch, 0.2, torch.Generator().manual_seed(0)).tokens
    assert (forgotten[:, 3] == 0).all()
    assert (forgotten[:, :3] == 1).float().mean().item() == pytest.approx(0.2, abs=0.04)
    assert ((forgotten == tokens) | (forgotten == 1)).all()


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn((4000, 3), generator=generator)
    truth = torch.multinomial(torch.softmax(honest, 1), 1, generator=generator)
    few = torch.where(torch.arange(4000)[:, None] < 20, truth, -1)
    targets = torch.cat([truth, truth, few, torch.zeros_like(truth)], dim=1)
    temperatures = fit_temperatures([honest * 3, honest, honest * 3, honest[:, :1]], targets)
    assert temperatures[0].item() == pytest.approx(3.0, rel=0.1)
    assert temperatures[1].item() == pytest.approx(1.0, rel=0.1)
    assert temperatures[2:].tolist() == [1.0, 1.0]


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
        holdout(frame, 0.5), holdout(frame, 0.5, seed=1), holdout(frame, 0.5, purpose="validation"),
    )  # fmt: skip
    assert (first & other).mean() == pytest.approx(0.25, abs=0.05)
    assert (first & validation).mean() == pytest.approx(0.25, abs=0.05)
