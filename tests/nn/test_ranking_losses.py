"""Losses against loops that follow the printed formulas."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from atelier.nn.ranking_losses import (
    LOSSES,
    Loss,
    bpr,
    bpr_max,
    full_softmax,
    gbce,
    gbce_exponent,
    in_batch,
    sampled_softmax,
    wmrb,
)


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


# Losses with a number of their own, and those without a sample


def slow_gbce(exponent: float, positive: float, negatives: list[float]) -> float:
    def sigma(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    return -math.log(sigma(positive) ** exponent) - sum(math.log(1 - sigma(negative)) for negative in negatives)


def slow_bpr_max(regularisation: float, positive: float, negatives: list[float]) -> float:
    if not negatives:
        return 0.0
    total = sum(math.exp(negative) for negative in negatives)
    weights = [math.exp(negative) / total for negative in negatives]
    found = sum(w / (1 + math.exp(-(positive - n))) for w, n in zip(weights, negatives, strict=True))
    return -math.log(found) + regularisation * sum(w * n**2 for w, n in zip(weights, negatives, strict=True))


@pytest.mark.parametrize(("loss", "slow"), [(gbce, slow_gbce), (bpr_max, slow_bpr_max)])
@pytest.mark.parametrize("number", [0.2, 1.0])
def test_gbce_and_bpr_max_equal_slow_ones(loss: Callable[..., Loss], slow: Callable[..., float], number: float) -> None:
    random = np.random.default_rng(4)
    positive, negative = random.normal(size=6), random.normal(size=(6, 9)) * 2
    counts = random.random((6, 9)) < 0.7
    counts[4] = False  # an example without any negative
    found = loss(number)(*map(torch.tensor, (positive, negative, counts)), torch.ones(9))
    expected = [slow(number, positive[b], list(negative[b][counts[b]])) for b in range(6)]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", [wmrb, bpr, sampled_softmax, gbce(0.3), bpr_max(0.5)])
def test_gradients_equal_those_of_small_differences(loss: Loss) -> None:
    random = np.random.default_rng(5)
    counts = torch.tensor(random.random((4, 7)) < 0.7)
    counts[2] = False
    r = torch.tensor(random.random(7) + 0.5)
    given = [torch.tensor(each, requires_grad=True) for each in (random.normal(size=4), random.normal(size=(4, 7)))]
    assert torch.autograd.gradcheck(lambda positive, negative: loss(positive, negative, counts, r), given)


@pytest.mark.parametrize(
    ("negatives", "articles", "calibration", "expected"),
    [(1, 101, 0.0, 1.0), (1, 101, 1.0, 0.01), (50, 101, 0.5, 0.75), (500, 101, 1.0, 1.0), (3, 1, 1.0, 1.0)],
)
def test_the_exponent_of_gbce(negatives: int, articles: int, calibration: float, expected: float) -> None:
    assert gbce_exponent(negatives, articles, calibration) == pytest.approx(expected)


def test_full_softmax_is_printed_and_in_gradient_what_its_formula_says() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.5], [0.0, 0.0, 3.0]], dtype=torch.float64, requires_grad=True)
    positives = torch.tensor([1, 0])
    losses = full_softmax(scores, positives)
    for b in range(2):
        total = sum(math.exp(value) for value in scores[b].tolist())
        assert float(losses[b]) == pytest.approx(-math.log(math.exp(float(scores[b, positives[b]])) / total))
    losses.sum().backward()  # type: ignore[no-untyped-call]
    expected = torch.softmax(scores.detach(), 1) - torch.nn.functional.one_hot(positives, 3)
    torch.testing.assert_close(scores.grad, expected)


def test_sampled_softmax_of_all_other_articles_is_the_full_one() -> None:
    scores = torch.randn(5, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    positives = torch.tensor([0, 3, 10, 5, 5])
    counts = torch.arange(11) != positives[:, None]
    sampled = sampled_softmax(scores.gather(1, positives[:, None])[:, 0], scores, counts, torch.ones(11))
    torch.testing.assert_close(sampled, full_softmax(scores, positives))


@pytest.mark.parametrize("popularity", [0.0, 1.0])
def test_sampled_softmax_nears_the_full_gradient_as_the_sample_grows(popularity: float) -> None:
    """The mean gradient over many samples, drawn equally often or by popularity, comes closer to that of all."""
    random = np.random.default_rng(6)
    articles = 10_000
    scores = torch.tensor(random.normal(size=articles), requires_grad=True)
    counts = np.arange(articles) != 17
    (full,) = torch.autograd.grad(full_softmax(scores[None], torch.tensor([17])).sum(), scores)
    share = (1.0 / np.arange(1, articles + 1)) ** popularity
    share /= share.sum()
    bias = []
    for size in (16, 256, 4096):
        mean = torch.zeros(articles, dtype=torch.float64)
        for _ in range(200):
            drawn = random.choice(articles, size, p=share)
            r = torch.tensor(1 / (size * share[drawn]))
            loss = sampled_softmax(scores[17][None], scores[drawn][None], torch.tensor(counts[drawn])[None], r).sum()
            mean += torch.autograd.grad(loss, scores)[0] / 200
        bias.append(abs(float(mean[17] - full[17])))  # the positive's, the largest part of the gradient
    assert bias[0] > bias[1] > bias[2]
    assert bias[2] < 5e-4


def test_sampled_softmax_has_the_gradient_of_the_corrected_log_q() -> None:
    """As published: (1 − P(positive)), held fixed, times −log of exp(s_ui) over the negatives' corrected sum alone."""
    random = torch.Generator().manual_seed(1)
    positive = torch.randn(6, dtype=torch.float64, generator=random, requires_grad=True)
    negative = torch.randn(6, 8, dtype=torch.float64, generator=random, requires_grad=True)
    r = torch.rand(8, dtype=torch.float64, generator=random) + 0.2
    ours = torch.autograd.grad(
        sampled_softmax(positive, negative, torch.ones(6, 8, dtype=torch.bool), r).sum(), (positive, negative)
    )
    others = torch.logsumexp(negative + r.log(), 1)
    misclassified = (1 - torch.softmax(torch.stack((positive, others), 1), 1)[:, 0]).detach()
    theirs = torch.autograd.grad((misclassified * (others - positive)).sum(), (positive, negative))
    for mine, published in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, published)


def test_in_batch_is_a_sampled_softmax_over_the_other_customers_positives() -> None:
    scores = torch.tensor([[1.0, 0.5, 2.0, 0.0], [0.3, 1.5, 0.1, 0.2], [0.0, 1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    articles, often = torch.tensor([7, 9, 7, 3]), torch.tensor([0.5, 0.25, 0.5, 0.125])
    owners = torch.tensor([0, 0, 1, 2])
    found = in_batch(scores, articles, often, owners)
    for b in range(4):
        drawn = [j for j in range(4) if owners[j] != owners[b]]
        others = [j for j in drawn if articles[j] != articles[b]]  # the article 7 is no negative of itself
        total = sum(math.exp(float(scores[b, j])) / (len(drawn) * float(often[j])) for j in others)
        own = math.exp(float(scores[b, b]))
        assert float(found[b]) == pytest.approx(-math.log(own / (own + total)), rel=1e-5)


def test_in_batch_estimates_the_full_softmax_where_customers_have_several_positives() -> None:
    """A customer's own positives are of few articles; over many batches all articles weigh what they should."""
    random, articles, each, customers = np.random.default_rng(0), 12, 4, 200
    scores = torch.tensor(random.normal(size=articles))
    found = []
    for _ in range(50):
        tastes = random.integers(0, articles - 1, customers)
        chosen = (tastes[:, None] + random.integers(0, 2, (customers, each))).ravel()
        owners = torch.arange(customers).repeat_interleave(each)
        share = torch.tensor(np.bincount(chosen, minlength=articles) / len(chosen))
        row = scores[torch.tensor(chosen)]
        losses = in_batch(row.repeat(len(chosen), 1), torch.tensor(chosen), share[torch.tensor(chosen)], owners)
        wanted = torch.logsumexp(scores, 0) - row
        found.append(float((losses - wanted).mean()))
    assert np.mean(found) == pytest.approx(0, abs=0.01)


def test_in_batch_has_the_gradient_of_its_formula() -> None:
    random = np.random.default_rng(6)
    scores = torch.tensor(random.normal(size=(4, 4)), requires_grad=True)
    articles, often = torch.tensor([7, 9, 7, 3]), torch.tensor(random.random(4) + 0.1)
    owners = torch.tensor([0, 0, 1, 2])
    assert torch.autograd.gradcheck(lambda scores: in_batch(scores, articles, often, owners), [scores])
    in_batch(scores, articles, often, owners).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad[0, 2] == scores.grad[2, 0] == 0  # the same article is no negative of itself
    assert scores.grad[0, 1] == scores.grad[1, 0] == 0  # nor is another positive of the same customer
