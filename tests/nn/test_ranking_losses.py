"""Losses against loops that follow the printed formulas."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from atelier.nn.ranking_losses import LOSSES, bpr, sampled_softmax, wmrb


def slow_wmrb(positive: float, negatives: list[float], r: list[float]) -> float:
    return math.log(1 + sum(scale * max(0.0, 1 - positive + n) for n, scale in zip(negatives, r, strict=True)))


def slow_bpr(positive: float, negatives: list[float], r: list[float]) -> float:
    terms = [-math.log(1 / (1 + math.exp(-(positive - negative)))) for negative in negatives]
    return sum(terms) / len(terms) if terms else 0.0


def slow_softmax(positive: float, negatives: list[float], r: list[float]) -> float:
    others = sum(scale * math.exp(negative) for negative, scale in zip(negatives, r, strict=True))
    return -math.log(math.exp(positive) / (math.exp(positive) + others))


SLOW = {"wmrb": slow_wmrb, "bpr": slow_bpr, "sampled_softmax": slow_softmax}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 37.5])
def test_losses_equal_slow_ones(name: str, scale: float) -> None:
    random = np.random.default_rng(3)
    positive, negative = random.normal(size=6), random.normal(size=(6, 9)) * 2
    counts = random.random((6, 9)) < 0.7
    counts[4] = False  # an example without any negative
    slow: Callable[[float, list[float], list[float]], float] = SLOW[name]
    for r in (scale * np.arange(1, 10), scale * random.random((6, 9)) + 0.1):  # of each negative, or each cell
        found = LOSSES[name](*map(torch.tensor, (positive, negative, counts, r)))
        every = np.broadcast_to(r, (6, 9))
        expected = [slow(positive[b], list(negative[b][counts[b]]), list(every[b][counts[b]])) for b in range(6)]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def one(loss: Callable[..., torch.Tensor], positive: float, negatives: list[float], r: float) -> float:
    counts = torch.ones(1, len(negatives), dtype=torch.bool)
    return float(loss(torch.tensor([positive]), torch.tensor([negatives]), counts, torch.tensor([r])))


def test_printed_values() -> None:
    # 1 − 2 + 0 < 0 adds nothing, 1 − 2 + 1.5 = .5, 1 − 2 + 2 = 1
    assert one(wmrb, 2.0, [0.0, 1.5, 2.0], 1.0) == pytest.approx(math.log(2.5))
    assert one(wmrb, 2.0, [0.0, 1.5, 2.0], 10.0) == pytest.approx(math.log(16))
    assert one(bpr, 1.0, [1.0], 1.0) == pytest.approx(math.log(2))
    assert one(sampled_softmax, 1.0, [1.0, 1.0, 1.0], 1.0) == pytest.approx(math.log(4))


@pytest.mark.parametrize("name", LOSSES)
def test_far_scores_give_finite_losses_and_gradients(name: str) -> None:
    positive = torch.tensor([-500.0, 500.0], requires_grad=True)
    negative = torch.tensor([[500.0, 0.0], [-500.0, 0.0]], requires_grad=True)
    counts = torch.tensor([[True, False], [True, True]])
    loss = LOSSES[name](positive, negative, counts, torch.ones(1))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert loss[0] > loss[1]
    assert torch.isfinite(positive.grad).all()
    assert torch.isfinite(negative.grad).all()
    assert negative.grad[0, 1] == 0  # it does not count


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_positive_costs_less(name: str) -> None:
    losses = [one(LOSSES[name], score, [0.3, -0.2], 5.0) for score in (-1.0, 0.0, 0.5, 1.0)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4
