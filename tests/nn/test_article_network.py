"""The vectors of articles: embeddings of articles and of styles move as Adagrad on whole matrices would move them."""

import torch
from torch import Tensor

from atelier.nn.article_network import ArticleNetwork

RATE = 0.1
STYLES = torch.tensor([0, 0, 1, 2, 1])


def network(styles: Tensor | None = STYLES) -> ArticleNetwork:
    return ArticleNetwork(5, 3, None, (), 0.0, RATE, torch.Generator().manual_seed(0), styles)


def test_both_embeddings_take_the_steps_of_dense_adagrad() -> None:
    sparse = network()
    assert sparse.embedding is not None
    assert sparse.style_embedding is not None
    own, shared = (torch.nn.Parameter(each.weight.clone()) for each in (sparse.embedding, sparse.style_embedding))
    dense = torch.optim.Adagrad([own, shared], RATE)
    for articles in (torch.tensor([0, 1, 2]), torch.tensor([1, 4]), torch.tensor([2, 4])):
        goal = torch.randn(len(articles), 3, generator=torch.Generator().manual_seed(len(articles)))
        embedded = sparse.embedded(articles)
        assert embedded is not None
        torch.testing.assert_close(embedded.vectors, (own + shared[STYLES])[articles].detach())
        (embedded.vectors - goal).square().sum().backward()
        embedded.step()
        dense.zero_grad()
        ((own + shared[STYLES])[articles] - goal).square().sum().backward()
        dense.step()
    torch.testing.assert_close(sparse.embedding.weight, own.detach())
    torch.testing.assert_close(sparse.style_embedding.weight, shared.detach())


def test_an_article_that_was_never_trained_has_the_vector_of_its_style() -> None:
    part = network()
    embedded = part.embedded(torch.tensor([0, 2]))
    assert embedded is not None
    embedded.vectors.sum().backward()
    embedded.step()
    vectors, styles = part.article_vectors(5), part.learned_styles()
    assert styles is not None
    torch.testing.assert_close(vectors[[1, 4, 3]], torch.stack([styles[0], styles[1], torch.zeros(3)]))
    assert styles[:2].any(1).all()


def test_without_styles_there_is_one_embedding() -> None:
    part = network(None)
    embedded = part.embedded(torch.tensor([3]))
    assert embedded is not None
    assert len(embedded.leaves) == 1
    assert part.learned_styles() is None
