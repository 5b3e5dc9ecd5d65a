"""Training hybrid: every way of it, its loss and its steps against plain versions, a fit that was killed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.nn.content_features import Content
from atelier.nn.ranking_losses import LOSSES
from atelier.nn.training_loop import DivergedError
from atelier.nn.training_state import TrainingStateError
from atelier.recommenders.factorisation.hybrid import Hybrid
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.factorisation.hybrid_network import Factorisation
from atelier.recommenders.factorisation.hybrid_training import Trainer, held_out_split, train
from atelier.recommenders.training_data.negatives import Sampler
from tests.nn.toy import Killed, kill_after_look
from tests.recommenders.factorisation.planted import (
    CATALOGUE,
    CUSTOMERS,
    FRAME,
    LEARNS,
    TASTES,
    TRAIN,
    fitted,
    learned,
    taste_share,
)


@pytest.mark.parametrize(
    ("change", "of"),
    [
        ({"loss": "bpr"}, {}),
        ({"loss": "wmrb"}, {}),
        ({"rank_scale": 1.0}, {"loss": "wmrb", "negatives": 20}),
        ({"rank_scale": 1.0}, {"negatives": 20}),
        ({"negative_popularity": 0.7}, {"negatives": 20}),
        ({"negative_sampling": "per_customer"}, {"negatives": 20}),
        ({"negatives": 20}, {}),
        ({"inputs_drawn": "last"}, {}),
        ({"inputs": 1}, {}),
        ({"precision": "bfloat16"}, {}),
        ({"hidden": []}, {}),
        ({"hidden": [16, 8], "dropout": 0.1}, {}),
        ({"repeat_positives": False}, {}),
        ({"validation_share": 0.0}, {}),
    ],
    ids=str,
)
def test_other_ways_of_training_find_them_too_and_are_others(change: dict[str, Any], of: dict[str, Any]) -> None:
    model = fitted(**of, **change)
    assert taste_share(model.recommend(k=5)) > 0.85
    assert not np.array_equal(model.weights["articles"], learned(**of).weights["articles"])


def test_penalties_shorten_their_component() -> None:
    def lengths(**config: Any) -> tuple[float, float]:
        """Mean length of content vectors, and of what embeddings add to them."""
        model = fitted(**config, max_epochs=6)
        content = model.content_network()(torch.tensor(CATALOGUE.vectors[:-TASTES])).detach().numpy()
        rest = model.weights["articles"][:-TASTES] - content
        return float(np.linalg.norm(content, axis=1).mean()), float(np.linalg.norm(rest, axis=1).mean())

    plain, short_content, short_embedding = lengths(), lengths(l2_content=3.0), lengths(l2_embedding=3.0)
    assert short_content[0] < 0.5 * plain[0]
    assert short_embedding[1] < 0.5 * plain[1]


def test_held_out_customers_are_a_share_and_whole() -> None:
    customers = np.repeat(np.arange(50), 3)
    held = held_out_split(customers, 0.1, seed=4)
    assert held.sum() == 15
    assert (held.reshape(50, 3).all(axis=1) == held.reshape(50, 3).any(axis=1)).all()
    assert not held_out_split(customers[:9], 0.1, seed=4).any()
    assert (held != held_out_split(customers, 0.1, seed=5)).any()


def test_the_published_preset() -> None:
    config = HybridConfig.published(mode="collaborative")
    assert (config.mode, config.factors, config.inputs, config.min_inputs) == ("collaborative", 200, 5, 5)
    assert (config.min_interactions, config.negatives, config.batch_size, config.max_epochs) == (6, 100, 1024, 100)
    assert (config.loss, config.rank_scale, config.negative_sampling) == ("wmrb", 1.0, "per_customer")
    dated = FRAME.assign(occurred_at=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(FRAME)) % 8 * 50, "D"))
    model = Hybrid(HybridConfig.published(factors=8, max_epochs=1)).fit(dated, CATALOGUE)
    assert model.weights["articles"].shape == (len(CATALOGUE), 8)


@pytest.mark.parametrize(("on_sale", "late_is_a_negative"), [("ever", True), ("window", False)])
def test_which_articles_can_be_negatives(
    monkeypatch: pytest.MonkeyPatch, on_sale: Any, late_is_a_negative: bool
) -> None:
    pools = []

    def spy(interactions: Interactions, pool: Any, **options: Any) -> Sampler:
        pools.append(interactions.article_ids.take(pool).to_pylist())
        return Sampler(interactions, pool, **options)

    monkeypatch.setattr("atelier.recommenders.factorisation.hybrid_training.Sampler", spy)
    dated = FRAME.assign(occurred_at=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(FRAME)) % 60, "D"))
    articles = CATALOGUE.frame.assign(available_from=pd.Timestamp("2019-01-01"))
    articles.loc[articles["article_id"] == "a005", "available_from"] = pd.Timestamp("2020-02-01")
    config = {**LEARNS, "max_epochs": 1, "negatives": 20, "mode": "collaborative"}
    recommenders.build("hybrid", **config, negatives_on_sale=on_sale).fit(dated, Catalogue.from_frames(articles))
    assert ("a005" in pools[0]) == late_is_a_negative
    assert "a006" in pools[0]


def test_training_that_diverges_is_an_error() -> None:
    with pytest.raises(DivergedError, match=r"lower learning_rate \(0\.01\) or embedding_learning_rate \(1e\+30\)"):
        fitted(embedding_learning_rate=1e30)


@pytest.mark.parametrize("mode", ["content", "collaborative", "hybrid"])
def test_a_fit_that_was_killed_resumes_to_the_same_bytes(mode: Any, tmp_path: Path) -> None:
    """The best epoch is not the last one, so that the embeddings' rows and sums of squares have to be taken back."""
    config = LEARNS | {"mode": mode, "embedding_learning_rate": 0.5, "max_epochs": 40, "patience": 2, "dropout": 0.3}

    def fit(state: Path | None, name: str) -> dict[str, bytes]:
        model = recommenders.build("hybrid", **config)
        assert isinstance(model, Hybrid)
        model.training_state = state
        torch.rand(3)  # another process has another random state
        model.fit(TRAIN, CATALOGUE).save(tmp_path / name)
        losses = [epoch.validation["loss"] for epoch in model.epochs]
        assert 2 < int(np.argmin(losses)) == len(losses) - 3
        return {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}

    with pytest.MonkeyPatch.context() as patch:
        kill_after_look(patch, 3)
        with pytest.raises(Killed):
            fit(tmp_path / "state", "killed")
    other = recommenders.build("hybrid", **config)
    other.training_state = tmp_path / "state"
    with pytest.raises(TrainingStateError, match="made_from"):
        other.fit(TRAIN.rows(np.arange(len(TRAIN) - 1)), CATALOGUE)
    assert fit(tmp_path / "state", "resumed") == fit(None, "whole")


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("scale", [1.0, "articles/sampled"])
def test_the_loss_of_a_batch_equals_a_slow_one(shared: bool, scale: Any) -> None:
    config = HybridConfig(factors=8, hidden=(4,), loss="wmrb", rank_scale=scale)
    articles = TRAIN.aligned(article_ids=CATALOGUE.ids)
    content = Content(CATALOGUE.vectors, np.arange(len(CATALOGUE), dtype=np.int32), len(CATALOGUE))
    network = Factorisation(config, len(CATALOGUE), content, 2, torch.Generator().manual_seed(1))
    torch.nn.init.normal_(network.customer.last.weight)
    attributes = np.random.default_rng(2).normal(size=(CUSTOMERS, 2)).astype(np.float32)
    pool = np.arange(0, 90, dtype=np.int32)
    sampler = Sampler(articles, pool, inputs=3, negatives=11, shared=shared)
    batch = sampler.batch(np.array([1, 2, 9, 40, 41]), np.random.default_rng(0))
    found = Trainer(network, config, len(CATALOGUE), attributes).loss([batch])
    everything = torch.arange(len(CATALOGUE))
    vectors = (network.embedding.weight + network.content(content.of(everything))).detach()
    losses = []
    for b in range(5):
        x = vectors[[i for i in batch.inputs[b] if i >= 0]].mean(0)
        x = x + network.customer(torch.tensor(attributes[[batch.customers[b]]]))[0].detach()
        mine = (batch.negatives if shared else batch.negatives[b])[batch.valid[b]]
        touched = np.intersect1d(pool, articles.articles[articles.customers == batch.customers[b]])
        possible = len(pool) if shared else len(pool) - len(touched)
        r = possible / 11 if scale == "articles/sampled" else 1.0
        gaps = [1 - x @ vectors[batch.positives[b]] + x @ vectors[j] for j in mine]
        losses.append(float(torch.log(1 + r * sum(gap.clamp(min=0) for gap in gaps))))
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_training_equals_a_dense_version(loss: Any) -> None:
    """Distinct rows and Adagrad on them give what autograd and torch's Adagrad give on the whole matrix."""
    config = HybridConfig(
        factors=4,
        mode="collaborative",
        loss=loss,
        rank_scale=1.0,
        max_epochs=2,
        batch_size=100,
        validation_share=0.0,
        embedding_learning_rate=0.05,
        negatives=15,
    )
    data = TRAIN.aligned(article_ids=CATALOGUE.ids)
    n, pool, rows = len(CATALOGUE), np.arange(120, dtype=np.int32), np.flatnonzero(np.arange(600) % 7)[::3]
    network = Factorisation(config, n, None, 0, torch.Generator().manual_seed(0))
    dense = torch.nn.Parameter(network.embedding.weight.clone())
    optimiser = torch.optim.Adagrad([dense], lr=0.05)
    sampler = Sampler(data, pool, inputs=3, negatives=15, shared=True)
    trainer = Trainer(network, config, n, np.zeros((CUSTOMERS, 0), np.float32))
    train(trainer, sampler, rows, rows[:0], config)
    random = np.random.default_rng([config.seed, 1])
    for _ in range(2):
        order = random.permutation(rows)
        for start in range(0, len(order), 100):
            batch = sampler.batch(order[start : start + 100], random)
            x = torch.stack([dense[[i for i in inputs if i >= 0]].mean(0) for inputs in batch.inputs])
            positive = (x * dense[batch.positives]).sum(1)
            counts = torch.from_numpy(batch.valid)
            losses = LOSSES[config.loss](positive, x @ dense[batch.negatives].T, counts, torch.ones(1))
            optimiser.zero_grad()
            losses.mean().backward()
            optimiser.step()
    torch.testing.assert_close(network.embedding.weight, dense.detach(), rtol=1e-3, atol=1e-4)
