"""The parts of hybrid's network against plain versions."""

import numpy as np
import pytest
import torch

from atelier.nn.article_network import ContentNetwork
from atelier.nn.content_features import Content, SparseRows
from atelier.nn.embeddings import RowEmbedding
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.factorisation.hybrid_network import Factorisation


def test_row_embedding_equals_dense_adagrad() -> None:
    rows = RowEmbedding(30, 4, 0.1, torch.Generator().manual_seed(0))
    dense = torch.nn.Parameter(rows.weight.clone())
    optimiser = torch.optim.Adagrad([dense], lr=0.1)
    random = np.random.default_rng(0)
    for _ in range(20):
        used = torch.from_numpy(np.sort(random.choice(25, 6, replace=False)))
        target = torch.from_numpy(random.normal(size=(6, 4)).astype(np.float32))
        leaf = rows.leaf(used)
        (leaf - target).square().sum().backward()
        rows.step(used, leaf)
        optimiser.zero_grad()
        (dense[used] - target).square().sum().backward()
        optimiser.step()
    torch.testing.assert_close(rows.weight, dense.detach())
    assert (rows.learned()[25:] == 0).all()
    torch.testing.assert_close(rows.learned()[:25], dense.detach()[:25])


@pytest.mark.parametrize("density", [0.03, 0.6])
def test_content_sparse_and_dense_are_the_same(density: float) -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(40, 50)) * (random.random((40, 50)) < density)).astype(np.float32)
    vectors[7] = 0
    articles = random.permutation(60)[:40].astype(np.int32)
    content = Content(vectors, articles, 60)
    assert content.is_sparse == (density < 0.1)
    assert np.flatnonzero(content.present).tolist() == sorted(articles[vectors.any(axis=1)])
    asked = torch.from_numpy(random.permutation(articles[vectors.any(axis=1)])[:9].astype(np.int64))
    network = ContentNetwork(50, (8,), 4, 0.0, torch.Generator().manual_seed(0))
    row = {article: place for place, article in enumerate(articles)}
    plain = torch.from_numpy(vectors[[row[int(article)] for article in asked]])
    features = content.of(asked)
    assert isinstance(features, SparseRows) == content.is_sparse
    torch.testing.assert_close(network(features), network(plain), rtol=1e-2, atol=2e-2 if density > 0.1 else 1e-5)
    gradients = [torch.autograd.grad(network(x).square().sum(), network.first)[0] for x in (features, plain)]
    torch.testing.assert_close(*gradients, rtol=5e-2, atol=0.1 if density > 0.1 else 1e-4)


def test_a_network_does_not_choose_its_own_size() -> None:
    """By all articles it would be another than by those interacted with."""
    with pytest.raises(ValueError, match=r"HybridConfig\.sized chooses it"):
        Factorisation(HybridConfig(), 30, None, 0, torch.Generator())
    assert Factorisation(HybridConfig().sized(945), 30, None, 0, torch.Generator()).embedding.weight.shape == (30, 32)
