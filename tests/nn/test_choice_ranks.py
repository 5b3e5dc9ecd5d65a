"""Ranks and cross entropies of choices, against all scores at once."""

import pytest
import torch
from torch.nn import functional

from atelier.nn import choice_ranks as module
from atelier.nn.choice_ranks import choice_ranks
from tests.devices import DEVICES


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("articles", [1, 7, 40])
def test_blocks_give_what_all_scores_at_once_give(monkeypatch: pytest.MonkeyPatch, device: str, articles: int) -> None:
    for name, value in (("CUSTOMERS", 4), ("ARTICLES", 8), ("ON_A_CARD", 8)):
        monkeypatch.setattr(module, name, value)
    random = torch.Generator().manual_seed(articles)
    customers, vectors = (torch.randn(n, 5, generator=random).to(device) for n in (11, articles))
    chosen = torch.randint(articles, (11,), generator=random).to(device)

    losses, ranks = choice_ranks(customers, vectors, chosen)

    scores = customers @ vectors.T
    torch.testing.assert_close(losses, functional.cross_entropy(scores, chosen, reduction="none"))
    assert ranks.tolist() == [
        int((row.argsort(descending=True) == own).nonzero()) + 1
        for row, own in zip(scores.cpu(), chosen.cpu(), strict=True)
    ]


@pytest.mark.parametrize("customers", [1, 3])
def test_the_same_vector_in_another_block_ranks_before_the_choice(
    monkeypatch: pytest.MonkeyPatch, customers: int
) -> None:
    monkeypatch.setattr(module, "ARTICLES", 64)
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(150, 200, generator=random)
    vectors[[20, 70, 149]] = vectors[3].clone()
    reading = torch.randn(customers, 200, generator=random)
    _, ranks = choice_ranks(reading, vectors, torch.full((customers,), 3))
    others = (reading @ vectors[[n for n in range(150) if n not in (3, 20, 70, 149)]].T).gt(reading @ vectors[3:4].T)
    assert ranks.tolist() == (4 + others.sum(1)).tolist()


def test_scores_that_are_no_numbers_have_a_loss_that_is_none() -> None:
    losses, _ = choice_ranks(torch.full((1, 2), float("nan")), torch.ones(3, 2), torch.tensor([0]))
    assert not losses.isfinite().any()


def test_articles_with_the_same_vector_rank_before_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ARTICLES", 2)
    vectors = torch.tensor([[1.0], [2.0], [1.0], [0.5], [1.0]])
    _, ranks = choice_ranks(torch.tensor([[1.0], [-1.0]]), vectors, torch.tensor([0, 2]))
    assert ranks.tolist() == [4, 4]
