"""hybrid: its parts against plain versions, planted tastes, new articles, reasons that add up."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue, CatalogueError
from atelier.ids import IdMap
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.customer_attributes import attribute_matrix
from atelier.recommenders.hybrid import Hybrid
from atelier.recommenders.hybrid_config import HybridConfig
from atelier.recommenders.hybrid_network import Content, ContentNetwork, Factorisation, RowEmbedding, SparseRows
from atelier.recommenders.hybrid_reasons import labels_of
from atelier.recommenders.hybrid_training import DivergedError, Trainer, held_out_split, train
from atelier.recommenders.losses import LOSSES
from atelier.recommenders.sampling import Sampler
from atelier.recommenders.serving import serve

TASTES, PER_TASTE, CUSTOMERS = 6, 20, 240
NEW = [f"n{taste}" for taste in range(TASTES)]
NAMES = [f"attributes: kind={taste}" for taste in range(TASTES)] + ["image: 0", "image: 1", "price: price"]
LEARNS: dict[str, Any] = {"factors": 8, "hidden": [16], "positives_share": 1.0, "batch_size": 256, "max_epochs": 12,
                          "embedding_learning_rate": 0.1, "learning_rate": 0.01}  # fmt: skip


def planted(seed: int = 0) -> tuple[pd.DataFrame, Catalogue]:
    """Customers of six tastes who choose at random among their taste's articles; content says the taste, noisily."""
    random = np.random.default_rng(seed)
    customers = np.repeat(np.arange(CUSTOMERS), 8)
    own = random.random(len(customers)) < 0.9
    taste = np.where(own, customers % TASTES, random.integers(0, TASTES, len(customers)))
    frame = pd.DataFrame({
        "customer_id": [f"c{c:03d}" for c in customers],
        "article_id": [f"a{a:03d}" for a in taste * PER_TASTE + random.integers(0, PER_TASTE, len(customers))],
    })  # fmt: skip
    tastes = np.append(np.repeat(np.arange(TASTES), PER_TASTE), np.arange(TASTES))
    vectors = np.column_stack([np.eye(TASTES)[tastes], random.normal(size=(len(tastes), 3)) * 0.2])
    articles = pd.DataFrame({"article_id": [f"a{a:03d}" for a in range(TASTES * PER_TASTE)] + NEW})
    return frame, Catalogue.from_frames(articles, vectors.astype(np.float32), NAMES)


FRAME, CATALOGUE = planted()
TRAIN, TRUTH = Interactions.from_frame(FRAME).leave_last_out()


@pytest.fixture(scope="module", params=["content", "collaborative", "hybrid"])
def model(request: pytest.FixtureRequest) -> Hybrid:
    return fitted(mode=request.param)


def fitted(**config: Any) -> Hybrid:
    built = recommenders.build("hybrid", **(LEARNS | config))
    assert isinstance(built, Hybrid)
    return built.fit(TRAIN, CATALOGUE)


def taste_share(recs: pd.DataFrame) -> float:
    """The share of recommendations that are of the customer's taste."""
    place = recs.article_id.str[1:].astype(int)
    taste = np.where(recs.article_id.str[0] == "n", place, place // PER_TASTE)
    return float((taste == recs.customer_id.str[1:].astype(int) % TASTES).mean())


# What it learns


def test_planted_tastes_are_found(model: Hybrid) -> None:
    popular = recommenders.build("popular").fit(TRAIN, CATALOGUE)
    assert taste_share(popular.recommend(k=5)) < 0.3
    assert taste_share(model.recommend(k=5)) > 0.9
    near = model.similar([f"a{a:03d}" for a in range(0, 120, 7)], k=5)
    assert taste_share(near.rename(columns={"similar_article_id": "article_id"}).assign(
        customer_id="c" + (near.article_id.str[1:].astype(int) // PER_TASTE).astype(str)
    ).pipe(lambda f: f.loc[:, ~f.columns.duplicated()])) > 0.8  # fmt: skip


def test_new_articles_of_the_right_kind_from_content_alone(model: Hybrid) -> None:
    assert model.can_rank(NEW).all() == (model.config.mode != "collaborative")
    if model.config.mode != "collaborative":
        # With embeddings beside it, which learn the same, content alone says a little less.
        assert taste_share(model.recommend(k=1, candidates=NEW)) > (0.95 if model.config.mode == "content" else 0.75)
        content = model.content_network()(torch.tensor(CATALOGUE.vectors[-TASTES:])).detach().numpy()
        np.testing.assert_allclose(model.weights["articles"][-TASTES:], content, rtol=0.02, atol=0.02)  # bfloat16


@pytest.mark.parametrize("change", [
    {"loss": "bpr"}, {"loss": "sampled_softmax", "rank_scale": "articles/sampled"}, {"rank_scale": "articles/sampled"},
    {"negative_popularity": 0.7, "rank_scale": "articles/sampled", "loss": "sampled_softmax"}, {"inputs_drawn": "last"},
    {"negative_sampling": "per_customer", "negatives": 20}, {"precision": "bfloat16"}, {"hidden": []},
    {"hidden": [16, 8], "dropout": 0.1}, {"repeat_positives": False}, {"inputs": 1}, {"validation_share": 0.0},
], ids=str)  # fmt: skip
def test_other_ways_of_training_find_them_too(change: dict[str, Any]) -> None:
    assert taste_share(fitted(**change).recommend(k=5)) > 0.85


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


def test_early_stopping_keeps_the_best_epoch() -> None:
    model = fitted(max_epochs=40, patience=2, embedding_learning_rate=0.5)
    losses = [epoch.validation_loss for epoch in model.epochs]
    assert len(losses) < 40
    assert int(np.argmin(losses)) == len(losses) - 3
    short = fitted(max_epochs=len(losses) - 2, patience=2, embedding_learning_rate=0.5)
    np.testing.assert_array_equal(model.weights["articles"], short.weights["articles"])


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


# What it needs


def test_without_examples_it_serves_nobody_and_the_fallback_everybody(tmp_path: Path) -> None:
    once = FRAME.drop_duplicates("customer_id")
    with pytest.warns(UserWarning, match=r"no examples: nobody has 2 interactions with 1 before.*lower"):
        model = recommenders.build("hybrid").fit(once, CATALOGUE)
    model.save(tmp_path / "hybrid")
    model = recommenders.load(tmp_path / "hybrid")
    customers = once["customer_id"]
    assert not model.can_serve(customers).any()
    assert not model.can_rank(CATALOGUE.ids.values).any()
    assert model.similar().empty
    assert model.recommend(k=3).empty
    popular = recommenders.build("popular").fit(once, CATALOGUE)
    lists = pa.Table.from_batches(list(serve(model, popular, customers, k=3)))
    assert len(lists) == 3 * len(customers)
    assert all(lists["fallback"].to_pylist())


@pytest.mark.parametrize(("on_sale", "late_is_a_negative"), [("ever", True), ("window", False)])
def test_which_articles_can_be_negatives(
    monkeypatch: pytest.MonkeyPatch, on_sale: Any, late_is_a_negative: bool
) -> None:
    pools = []

    def spy(interactions: Interactions, pool: Any, **options: Any) -> Sampler:
        pools.append(interactions.article_ids.take(pool).to_pylist())
        return Sampler(interactions, pool, **options)

    monkeypatch.setattr("atelier.recommenders.hybrid.Sampler", spy)
    dated = FRAME.assign(occurred_at=pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(FRAME)) % 60, "D"))
    articles = CATALOGUE.frame.assign(available_from=pd.Timestamp("2019-01-01"))
    articles.loc[articles["article_id"] == "a005", "available_from"] = pd.Timestamp("2020-02-01")
    config = {**LEARNS, "max_epochs": 1, "negatives": 20, "mode": "collaborative"}
    recommenders.build("hybrid", **config, negatives_on_sale=on_sale).fit(dated, Catalogue.from_frames(articles))
    assert ("a005" in pools[0]) == late_is_a_negative
    assert "a006" in pools[0]


def test_training_that_diverges_is_an_error() -> None:
    with pytest.raises(DivergedError, match=r"epoch 1: lower learning_rate .* or embedding_learning_rate \(1e\+30\)"):
        fitted(embedding_learning_rate=1e30)


def test_the_published_preset_needs_longer_histories() -> None:
    few = FRAME.groupby("customer_id").head(5)
    with pytest.warns(UserWarning, match="6 interactions with 5 before"):
        Hybrid(HybridConfig.published()).fit(few, CATALOGUE)


def test_without_vectors() -> None:
    bare = Catalogue.from_frames(CATALOGUE.frame)
    with pytest.warns(UserWarning, match="no article vectors: it learns embeddings only"):
        hybrid = recommenders.build("hybrid", **LEARNS).fit(TRAIN, bare)
    assert not hybrid.can_rank(NEW).any()
    collaborative = recommenders.build("hybrid", **LEARNS, mode="collaborative").fit(TRAIN, CATALOGUE)
    np.testing.assert_array_equal(hybrid.weights["articles"], collaborative.weights["articles"])
    with pytest.raises(CatalogueError, match="mode 'content' reads vectors"):
        recommenders.build("hybrid", mode="content").fit(TRAIN, bare)


def test_content_mode_knows_only_articles_with_content() -> None:
    vectors = CATALOGUE.vectors.copy()
    vectors[:PER_TASTE] = 0
    blind = Catalogue.from_frames(CATALOGUE.frame, vectors, NAMES)
    only = pd.DataFrame({"customer_id": "blind", "article_id": ["a000", "a001"]})
    train_on = pd.concat([TRAIN.to_frame()[["customer_id", "article_id"]], only])
    content, hybrid = (
        recommenders.build("hybrid", **LEARNS, mode=m).fit(train_on, blind) for m in ("content", "hybrid")
    )
    assert content.can_serve(["blind", "c000"]).tolist() == [False, True]
    assert hybrid.can_serve(["blind", "c000"]).tolist() == [True, True]
    assert content.can_rank(["a000", "a020", "n0"]).tolist() == [False, True, True]
    assert hybrid.can_rank(["a000", "a020", "n0"]).tolist() == [True, True, True]


# Its parts


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
        mine = (batch.negatives if shared else batch.negatives[b])[batch.counts[b]]
        touched = np.intersect1d(pool, articles.articles[articles.customers == batch.customers[b]])
        possible = len(pool) if shared else len(pool) - len(touched)
        r = possible / 11 if scale == "articles/sampled" else 1.0
        gaps = [1 - x @ vectors[batch.positives[b]] + x @ vectors[j] for j in mine]
        losses.append(float(torch.log(1 + r * sum(gap.clamp(min=0) for gap in gaps))))
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_training_equals_a_dense_version(loss: Any) -> None:
    """Distinct rows and Adagrad on them give what autograd and torch's Adagrad give on the whole matrix."""
    config = HybridConfig(factors=4, mode="collaborative", loss=loss, rank_scale=1.0, max_epochs=2, batch_size=100,
                          validation_share=0.0, embedding_learning_rate=0.05, negatives=15)  # fmt: skip
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
            counts = torch.from_numpy(batch.counts)
            losses = LOSSES[config.loss](positive, x @ dense[batch.negatives].T, counts, torch.ones(1))
            optimiser.zero_grad()
            losses.mean().backward()
            optimiser.step()
    torch.testing.assert_close(network.embedding.weight, dense.detach(), rtol=1e-3, atol=1e-4)


# Customers


def test_the_customer_is_the_mean_of_the_history(model: Hybrid) -> None:
    history = pd.DataFrame({"customer_id": "z", "article_id": ["a001", "a001", "a050", "a033"]})
    recs = model.recommend(histories=history, exclude_seen=False, k=7)
    vectors = model.weights["articles"].astype(np.float64)
    scores = vectors @ vectors[[1, 1, 50, 33]].mean(axis=0)
    order = np.argsort(-np.where(model.ranked, scores, -np.inf))[:7]
    assert recs.article_id.tolist() == model.article_ids.take(order).to_pylist()
    np.testing.assert_allclose(recs.score, scores[order], rtol=1e-4)


def test_only_the_last_interactions_may_count() -> None:
    model = fitted(history=2, mode="collaborative", max_epochs=1)
    new = pd.DataFrame({"customer_id": ["y"] * 4 + ["z"], "article_id": ["a001", "a002", "a003", "a003", "a004"]})
    profiles = model._new_audience(new, None).profiles
    assert profiles["history.codes"].tolist() == [3, 4]
    assert profiles["history.shares"].tolist() == [1, 1]
    assert profiles["history.starts"].tolist() == [0, 1, 2]


def test_customer_attributes_are_read(tmp_path: Path) -> None:
    """What customers choose depends on their age alone: their history says nothing."""
    random = np.random.default_rng(0)
    customers = pd.DataFrame({"customer_id": [f"c{c:03d}" for c in range(400)]})
    customers["age"] = np.where(np.arange(400) % 2, 60.0, 20.0)
    customers["club"] = None
    last = np.where(np.arange(400) % 2, "old", "young")
    first = random.choice(["x", "y", "z"], (400, 3))
    frame = pd.DataFrame({"customer_id": np.repeat(customers.customer_id, 4),
                          "article_id": np.column_stack([first, last]).ravel()})  # fmt: skip
    model = recommenders.build("hybrid", **(LEARNS | {"mode": "collaborative", "positives_share": 0.1}),
                               customer_attributes=["age", "club"])  # fmt: skip
    model.fit(frame, customers=customers)
    recs = model.recommend(k=1, exclude_seen=False, candidates=["old", "young"])
    assert (recs.article_id == np.where(recs.customer_id.str[1:].astype(int) % 2, "old", "young")).mean() > 0.95
    model.save(tmp_path)
    loaded = recommenders.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.recommend(k=1, exclude_seen=False, candidates=["old", "young"]), recs)
    assert len(loaded.recommend(histories=frame.iloc[:4], k=1)) == 1
    with pytest.raises(InteractionsError, match=r"customer_attributes names size, which the frame.*lacks"):
        recommenders.build("hybrid", customer_attributes=["size"]).fit(frame, customers=customers)


def test_attributes_as_numbers() -> None:
    frame = pd.DataFrame(
        {"customer_id": ["b", "a", "d", "e"], "age": [30, 10, 20, None], "club": ["x", None, "y", "x"]}
    )
    ids = IdMap.from_values(["a", "b", "c", "e"])
    matrix = attribute_matrix(frame, ["age", "club"], ids)
    # Of a, b, c, e: ages 10, 30, unknown, unknown; of clubs only x occurs among them.
    np.testing.assert_allclose(matrix, [[-1, 0], [1, 1], [0, 0], [0, 1]])
    assert attribute_matrix(None, [], ids).shape == (4, 0)


# Articles that come later


def test_a_later_catalogue_brings_new_articles(model: Hybrid, tmp_path: Path) -> None:
    articles = pd.DataFrame(
        {"article_id": ["a000", "a021", "0 first", "zz last"], "in_stock": [True, False, True, True]}
    )
    vectors = np.zeros((4, len(NAMES)), dtype=np.float32)
    vectors[[2, 3], [0, 3]] = 1
    later = model.with_catalogue(Catalogue.from_frames(articles, vectors, NAMES))
    reads = model.config.mode != "collaborative"
    assert later.can_rank(["0 first", "zz last", "a021"]).tolist() == [reads, reads, True]
    recs = later.recommend(k=5)
    assert set(recs.article_id) <= ({"a000", "0 first", "zz last"} if reads else {"a000"})
    if reads:
        first = recs[(recs["rank"] == 1) & (recs.customer_id.str[1:].astype(int) % TASTES == 3)]
        assert (first.article_id == "zz last").mean() > 0.8
    kept = [f"a{a:03d}" for a in range(TASTES * PER_TASTE)]
    place = later.article_ids.encode(kept)
    np.testing.assert_array_equal(
        later.weights["articles"][place], model.weights["articles"][model.article_ids.encode(kept)]
    )
    before, after = (m.audience.seen.of(np.arange(9)).codes for m in (model, later))
    assert model.article_ids.take(before).equals(later.article_ids.take(after))
    rows = np.arange(CUSTOMERS)
    np.testing.assert_allclose(*(m.customer_vectors(m.audience.profiles, rows) for m in (model, later)), rtol=1e-5)
    later.save(tmp_path)
    pd.testing.assert_frame_equal(recommenders.load(tmp_path).recommend(k=5), recs)
    if reads:
        narrow = Catalogue.from_frames(articles, vectors[:, :2])
        for read in (model.with_catalogue, lambda catalogue: model.explain(model.recommend(k=1), catalogue)):
            with pytest.raises(CatalogueError, match="have 2 positions, the model was trained on 9"):
                read(narrow)


# Reasons


def test_reasons_add_up_to_the_score(model: Hybrid) -> None:
    recs = model.recommend(k=4).sample(60, random_state=0)
    vectors = model.weights["articles"].astype(np.float64)
    network = model.content_network()
    reasons = model.explain(recs, CATALOGUE, articles=99, attributes=99).to_pylist()
    assert len(reasons) == len(recs)
    for (customer, article, score), found in zip(
        recs[["customer_id", "article_id", "score"]].values, reasons, strict=True
    ):
        own = TRAIN.articles[TRAIN.customers == TRAIN.customer_ids.encode([customer])[0]]
        terms: dict[str, float] = {}
        y = vectors[model.article_ids.encode([article])[0]]
        for bought in TRAIN.article_ids.take(own).to_pylist():
            h = vectors[model.article_ids.encode([bought])[0]]
            terms[bought] = terms.get(bought, 0) + float(h @ y) / len(own)
        assert sum(terms.values()) == pytest.approx(score, rel=1e-4)
        articles = {r["value"]: r["weight"] for r in found if r["kind"] == "article"}
        assert articles == pytest.approx({a: w for a, w in terms.items() if w > 0}, rel=1e-3)
        attributes = {r["value"]: r["weight"] for r in found if r["kind"] == "attribute"}
        assert bool(attributes) == (network is not None)
        if network is not None:
            x = torch.tensor(model.customer_vectors(model.audience.profiles, model.audience.ids.encode([customer]))[0])
            z = torch.tensor(CATALOGUE.vectors[CATALOGUE.ids.encode([article])[0]])
            hidden = z @ network.first + network.first_bias  # one hidden layer: its open units decide
            slope = network.first @ ((hidden > 0) * (network.layers[0].weight.T @ x))
            slow = (slope * z).detach().numpy()
            grouped = dict(zip([f"kind={t}" for t in range(TASTES)], slow[:TASTES], strict=True))
            grouped |= {"image": slow[6] + slow[7], "price": slow[8]}
            expected = {name: weight for name, weight in grouped.items() if weight > 0}
            assert attributes == pytest.approx(expected, rel=1e-3, abs=1e-5)
        kinds = [r["kind"] for r in found]
        assert kinds == sorted(kinds)
        for kind in set(kinds):
            weights = [r["weight"] for r in found if r["kind"] == kind]
            assert weights == sorted(weights, reverse=True)


def test_the_kind_is_the_reason() -> None:
    model = fitted(mode="hybrid")
    recs = model.recommend(k=3)
    reasons = model.explain(recs, CATALOGUE, articles=1, attributes=1)
    frame = pd.DataFrame([r for found in reasons.to_pylist() for r in found])
    assert frame.groupby("kind").size().max() <= len(recs)
    attributes = frame[frame.kind == "attribute"]
    assert len(attributes) > 0.9 * len(recs)
    assert attributes.value.str.startswith("kind=").mean() > 0.9


def test_reasons_of_whom_and_of_what() -> None:
    model = fitted(mode="hybrid", max_epochs=1)
    frame = pd.DataFrame({"customer_id": ["nobody", "c001", "c002"], "article_id": ["a001", "a001", "n3"]})
    reasons = model.explain(frame, CATALOGUE)
    assert reasons.is_null().to_pylist() == [True, False, False]
    assert all(r["kind"] == "article" for found in model.explain(frame).to_pylist() if found for r in found)
    histories = pd.DataFrame({"customer_id": ["nobody"], "article_id": ["a002"]})
    new = model.explain(frame.iloc[:1], histories=histories).to_pylist()[0]
    assert {r["value"] for r in new} <= {"a002"}
    assert model.explain(frame.iloc[:0], CATALOGUE).to_pylist() == []
    assert model.explain(frame.iloc[:1], CATALOGUE).to_pylist() == [None]
    assert str(reasons.type).count("struct<kind: string, value: string, weight: double>") == 1


def test_many_reasons_are_those_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(mode="hybrid", max_epochs=2)
    recs = model.recommend(k=3)
    whole = model.explain(recs, CATALOGUE).to_pylist()
    monkeypatch.setattr("atelier.recommenders.hybrid_reasons.ROWS", 50)
    monkeypatch.setattr("atelier.recommenders.hybrid_reasons.PAIRS", 33)
    parts = model.explain(recs, CATALOGUE).to_pylist()
    for one, other in zip(whole, parts, strict=True):
        assert [(r["kind"], r["value"]) for r in one] == [(r["kind"], r["value"]) for r in other]


def test_labels() -> None:
    names = {
        "attributes: colour=blue": "colour=blue", "text: floral": "text=floral", "text: 501": "text=501",
        "image: 17": "image", "image: 18": "image", "price: price": "price",
        "product_type: Dress": "product_type=Dress",
        "x": "x",
    }  # fmt: skip
    assert labels_of(list(names)) == list(names.values())


def test_fitting_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(dropout=0.5, max_epochs=1)
    torch.testing.assert_close(torch.rand(3), expected)
