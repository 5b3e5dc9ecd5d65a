"""The sequencers of the H&M thesis: five cells, customers' own vectors, an output of its own, and the training."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from atelier import recommenders
from atelier.catalogue import Catalogue, CatalogueError
from atelier.ids import IdMap
from atelier.interactions import Interactions
from atelier.nn.embeddings import EMBEDDING_LENGTH
from atelier.nn.ranking_losses import full_softmax
from atelier.recommenders.sequential.batch_vectors import BatchVectors
from atelier.recommenders.sequential.embedding_start import first_embeddings
from atelier.recommenders.sequential.network import SequenceNetwork, inputs_of
from atelier.recommenders.sequential.sequencer import Sequencer
from atelier.recommenders.sequential.sequencer_config import Cell, SequencerConfig
from atelier.recommenders.sequential.training import Pool, Trainer
from atelier.recommenders.training_data.sequences import Histories, Windows
from tests.recommenders.sequential.circle import circle

CELLS: tuple[Cell, ...] = ("rnn", "lstm", "gru", "attention", "transformer")
ARTICLES = 12
QUICK: dict[str, Any] = {
    "mode": "collaborative",
    "factors": 16,
    "history": 8,
    "dropout": 0.0,
    "loss": "full_softmax",
    "learning_rate": 0.01,
    "embedding_learning_rate": 0.1,
    "batch_interactions": 512,
    "max_epochs": 25,
    "patience": 25,
    "heads": 2,
}


TRAIN, TRUTH = Interactions.from_frame(circle(200, articles=ARTICLES)).leave_last_out()


def fitted(train: Any = TRAIN, catalogue: Catalogue | None = None, customers: Any = None, **config: Any) -> Sequencer:
    model = recommenders.build("sequencer", **(QUICK | config))
    assert isinstance(model, Sequencer)
    return model.fit(train, catalogue, customers)


def hits(recs: pd.DataFrame, truth: Interactions) -> float:
    """The share of customers whose first recommendation is the next article."""
    chosen = dict(zip(recs.customer_id, recs.article_id, strict=True))
    pairs = zip(truth.customer_ids.decode(truth.customers), truth.article_ids.decode(truth.articles), strict=True)
    return float(np.mean([chosen[customer] == article for customer, article in pairs]))


def untrained(config: SequencerConfig, articles: int, customers: int) -> SequenceNetwork:
    model = Sequencer(config)
    model.article_ids = IdMap.from_values([f"a{a:05d}" for a in range(articles)], "article_id")
    torch.manual_seed(0)
    attributes = np.zeros((customers, 0), dtype=np.float32)
    return model._network(model._factors(articles), (None, None, None), attributes)


# ---- all prefixes in one pass


@pytest.mark.parametrize("output", ["tied", "untied"])
@pytest.mark.parametrize("cell", CELLS)
def test_one_pass_over_histories_is_a_sample_for_each_prefix(cell: Cell, output: str) -> None:
    """The same loss and the same gradients, of weights, of articles and of customers."""
    config = SequencerConfig(**(QUICK | {"cell": cell, "output": output, "customer_factors": 4, "layers": 2}))
    lengths = np.array([2, 9, 5, 3])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    random = np.random.default_rng(0)
    codes = np.concatenate([np.arange(ARTICLES), random.integers(0, ARTICLES, 19 - ARTICLES)]).astype(np.int32)
    bare = np.zeros(19, np.uint8)
    histories = Histories(starts, codes, bare, bare)
    pool, everything = Pool.of(histories, histories, ARTICLES), np.arange(ARTICLES)
    found = []
    for each_prefix in (False, True):
        network = untrained(config, ARTICLES, 4)
        trainer = Trainer(network, config, pool, ARTICLES, torch.device("cpu"))
        windows = histories.windows(9)
        if each_prefix:
            ends = np.concatenate([np.arange(2, length + 1) for length in lengths])
            windows = Windows(np.repeat(starts[:-1], lengths - 1), ends)
        rows = histories.rows(windows)
        vectors = BatchVectors(network, rows, pool.articles, torch.device("cpu"))
        if not each_prefix:
            loss = trainer.loss(rows, vectors, everything)
        else:
            before, read = rows.before(), vectors.inputs.vectors()
            given = inputs_of(before, read, vectors.inputs.places(before.articles), vectors.customers())
            last = windows.lengths - 1
            states = network.encoder(given)[torch.arange(len(last)), torch.from_numpy(last - 1)]
            articles = network.encoder.ranked(read) if output == "tied" else vectors.outputs.vectors()
            scores = states @ articles[vectors.outputs.places(pool.articles)].T
            targets = torch.from_numpy(rows.articles[np.arange(len(last)), last].astype(np.int64))
            loss = full_softmax(scores, targets).mean()
            assert len(targets) == 15
        loss.backward()  # type: ignore[no-untyped-call]
        leaves = [leaf.grad for _, _, leaf in vectors.leaves]
        assert len(leaves) == (2 if output == "tied" else 3)
        found.append((loss.detach(), [parameter.grad for parameter in network.encoder.parameters()], leaves))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    assert all(gradient is not None and gradient.any() for gradient in found[0][2])


# ---- what is learned


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns_with_an_output_of_its_own(cell: Cell) -> None:
    model = fitted(cell=cell, output="untied", max_epochs=30, learning_rate=0.003 if cell == "transformer" else 0.01)
    assert hits(model.recommend(k=1, exclude_seen=False), TRUTH) > 0.8, "by chance it is one in twelve"
    factors = 16 if cell == "transformer" else 32
    assert model.weights["outputs"].shape == (ARTICLES, factors)
    codes = np.arange(ARTICLES, dtype=np.int32)
    np.testing.assert_array_equal(model.article_vectors(codes), model.weights["outputs"])
    assert not np.allclose(model.weights["outputs"][:, :16], model.weights["articles"])


def test_the_published_training_learns() -> None:
    """Adam and one cycle, small."""
    sizes = {"factors": 16, "customer_factors": 8, "units": 32, "layers": 1, "dropout": 0.0}
    steps = {"learning_rate": 0.01, "embedding_learning_rate": 0.01, "batch_interactions": 256, "max_epochs": 30}
    model = Sequencer(SequencerConfig.published("lstm", **sizes, **steps)).fit(TRAIN)
    assert hits(model.recommend(k=1, exclude_seen=False), TRUTH) > 0.9


LATEST: dict[str, Any] = {"history": 1, "validation_share": 0.0}
"""Only the latest article is read, and nothing is held out: what would be is a00, which says nothing of tastes."""


def tastes(customers: int, seed: int = 0) -> pd.DataFrame:
    """Everybody comes back to a00 after each visit to the one article of their taste, a01 … a04."""
    of = np.random.default_rng(seed).integers(1, 5, customers)
    articles = np.where(np.arange(8) % 2 == 0, 0, of[:, None])
    return pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{seed}{c:04d}" for c in range(customers)], 8),
            "article_id": [f"a{place:02d}" for place in articles.ravel()],
            "taste": np.repeat([f"taste {each}" for each in of], 8),
        }
    )


def test_a_customers_own_vector_is_learned_and_a_new_customer_has_the_mean() -> None:
    """From the last article, which is a00 for everybody, nobody can tell which one comes next."""
    train, truth = Interactions.from_frame(tastes(150)[["customer_id", "article_id"]]).leave_last_out()
    known = fitted(train, **LATEST, customer_factors=8)
    assert hits(known.recommend(k=1, exclude_seen=False), truth) > 0.95
    assert hits(fitted(train, **LATEST).recommend(k=1, exclude_seen=False), truth) < 0.5
    profiles = known.customer_profiles.profiles
    assert len(np.unique(profiles["customer"], axis=0)) == 150
    np.testing.assert_allclose(profiles["customer"].mean(axis=0), known.weights["unknown_customer"], atol=1e-6)
    later = Interactions.from_frame(tastes(5, seed=8)[["customer_id", "article_id"]])
    profile = known._new_profiles(later, None).profiles["customer"]
    np.testing.assert_array_equal(profile, np.tile(known.weights["unknown_customer"], (5, 1)))
    assert len(known.recommend(histories=later, k=3, exclude_seen=False)) == 15


def test_attributes_take_the_place_of_the_customers_id() -> None:
    frame, new = tastes(150), tastes(60, seed=9)
    train, truth = Interactions.from_frame(frame[["customer_id", "article_id"]]).leave_last_out()
    known, others = (each[["customer_id", "taste"]].drop_duplicates() for each in (frame, new))
    model = fitted(train, customers=known, **LATEST, customer_factors=8, customer_attributes=("taste",))
    assert hits(model.recommend(k=1, exclude_seen=False), truth) > 0.95
    train, truth = Interactions.from_frame(new[["customer_id", "article_id"]]).leave_last_out()
    assert not model.can_serve(others).any()
    assert hits(model.recommend(others, k=1, exclude_seen=False, histories=train), truth) > 0.95
    strangers = model.recommend(others[["customer_id"]], k=1, exclude_seen=False, histories=train)
    assert hits(strangers, truth) < 0.5  # nothing is known of their taste
    pd.testing.assert_frame_equal(strangers, model.recommend(k=1, exclude_seen=False, histories=train))


def test_consecutive_repeats_are_dropped_where_the_config_says_so() -> None:
    doubled = TRAIN.to_frame()[["customer_id", "article_id"]].loc[lambda frame: frame.index.repeat(2)]
    few = {"max_epochs": 2}
    dropped = fitted(doubled, drop_consecutive_repeats=True, **few)
    plain = fitted(TRAIN, drop_consecutive_repeats=True, **few)
    for name, array in plain.weights.items():
        np.testing.assert_array_equal(dropped.weights[name], array)
    for name, array in plain.customer_profiles.profiles.items():
        np.testing.assert_array_equal(dropped.customer_profiles.profiles[name], array)
    kept = fitted(doubled, **few)
    lengths = np.diff(kept.customer_profiles.profiles["history.starts"])
    assert (lengths == QUICK["history"]).all()
    assert not np.array_equal(kept.weights["articles"], plain.weights["articles"])


def test_the_published_config_learns_from_views_and_predicts_them() -> None:
    frame = TRAIN.to_frame()[["customer_id", "article_id"]].assign(kind="view")
    config = SequencerConfig.published(**{"factors": 8, "customer_factors": 4, "units": 8, "max_epochs": 1})
    assert Sequencer(config).fit(frame).can_rank(["a03"]).all()
    assert set(config.train_kinds) == {"view", "save", "bag", "purchase"}


# ---- sizes


@pytest.mark.parametrize("cell", CELLS)
def test_published_sizes(cell: Cell) -> None:
    network = untrained(SequencerConfig.published(cell), 30, 7)
    head, layers = network.encoder.head, network.encoder.layers
    assert head is not None
    assert network.outputs is not None
    assert network.customers is not None
    assert network.customers.embedding is not None
    assert network.articles.embedding is not None
    assert network.outputs.embedding is not None
    assert network.customers.embedding.weight.shape == (7, 256)
    assert network.articles.embedding.weight.shape == (30, 256)
    sizes = [tuple(part.weight.shape) for part in head.layers if isinstance(part, torch.nn.Linear)]
    if cell == "transformer":
        assert sizes == [(1024, 512), (512, 1024), (256, 512)]
        assert network.outputs.embedding.weight.shape == (30, 256)
        (block,) = layers.blocks  # type: ignore[misc, union-attr]
        assert isinstance(block, torch.nn.TransformerEncoderLayer)
        assert (block.self_attn.num_heads, block.linear1.out_features) == (8, 2048)
        return
    assert sizes == [(512, 768)]
    assert network.outputs.embedding.weight.shape == (30, 512)
    recurrent = layers.decoder.layers if cell == "attention" else layers.layers
    assert isinstance(recurrent, torch.nn.RNNBase)
    assert (recurrent.hidden_size, recurrent.num_layers) == (512, 3)
    assert recurrent.mode.lower().startswith("lstm" if cell == "attention" else cell)


def test_sizes_that_do_not_fit_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match=r"factors \(12\) is no multiple of heads \(8\)"):
        SequencerConfig(cell="transformer", factors=12)
    assert SequencerConfig(cell="gru", factors=12).factors_of(1) == 12
    assert SequencerConfig(cell="transformer", heads=5).factors_of(400) == 20
    assert SequencerConfig(cell="gru", heads=5).factors_of(400) == 16 + 8 * (SequencerConfig().factors_of(400) > 16)
    with pytest.raises(ValidationError, match="customer_factors is empty: say how long the vector is"):
        SequencerConfig(customer_attributes=("age",))


# ---- what embeddings start from


def described() -> Catalogue:
    """Articles on a circle, two positions of another block, and one article whose image is missing."""
    angle = 2 * np.pi * np.arange(ARTICLES) / ARTICLES
    image = np.stack([np.cos(angle), np.sin(angle), 0.1 * np.cos(2 * angle)], axis=1)
    image[3] = 0
    vectors = np.concatenate([np.ones((ARTICLES, 1)), image, np.ones((ARTICLES, 1))], axis=1).astype(np.float32)
    names = ["price: price", "image: 0", "image: 1", "image: 2", "text: red"]
    return Catalogue.from_frames(pd.DataFrame({"article_id": [f"a{a:02d}" for a in range(ARTICLES)]}), vectors, names)


def test_embeddings_start_from_the_principal_components_of_a_block() -> None:
    catalogue = described()
    ids = IdMap.union(catalogue.ids, IdMap.from_values(["b"], "article_id"))
    first = first_embeddings(catalogue, "image", ids, 4)
    assert first.dtype == np.float32
    assert (first[[3, ARTICLES]] == 0).all()
    assert (first[:, 3] == 0).all()  # three positions have three components
    there = [place for place in range(ARTICLES) if place != 3]
    assert catalogue.vectors is not None
    image = catalogue.vectors[there, 1:4] - catalogue.vectors[there, 1:4].mean(axis=0)
    distances, expected = (
        np.linalg.norm(each[:, None] - each[None], axis=2) for each in (first[there], image.astype(np.float64))
    )
    np.testing.assert_allclose(distances * expected.max(), expected * distances.max(), atol=1e-5)
    assert np.sqrt(np.square(first[there]).sum(1).mean()) == pytest.approx(EMBEDDING_LENGTH, rel=1e-5)


def test_a_model_starts_from_images_without_ranking_by_them() -> None:
    model = fitted(TRAIN, described(), embedding_start="image", max_epochs=1, embedding_learning_rate=1e-9)
    first = first_embeddings(described(), "image", model.article_ids, 16)
    there = first.any(axis=1)
    np.testing.assert_allclose(model.weights["articles"][there], first[there], atol=1e-6)
    assert model.weights["articles"][~there].any()  # at random
    assert model.config.reads_content
    assert not model.ranks_unsold


def test_a_block_that_is_not_there_is_named() -> None:
    with pytest.raises(CatalogueError, match=r"names the block 'outfit'.*the blocks of the catalogue are price, image"):
        fitted(TRAIN, described(), embedding_start="outfit")
    with pytest.raises(CatalogueError, match="the blocks of the catalogue are none: pass a catalogue"):
        fitted(embedding_start="image")


# ---- articles that come later


def test_an_output_of_its_own_ranks_later_articles_by_content_and_style() -> None:
    """Both vectors of a new article, the one that is read and the one that ranks, come from its content and style."""
    sold = described()
    sold = Catalogue.from_frames(sold.frame.assign(product_code=["p1", "p1", *sold.frame.article_id[2:]]), sold.vectors)
    model = fitted(TRAIN, sold, mode="hybrid", hidden=(8,), output="untied", max_epochs=2)
    later = pd.concat([sold.frame, pd.DataFrame({"article_id": ["new", "other"], "product_code": ["p1", "p9"]})])
    assert sold.vectors is not None
    vectors = np.concatenate([sold.vectors, sold.vectors[[5, 5]]])
    after = model.with_catalogue(Catalogue.from_frames(later, vectors))
    new, other = after.article_ids.encode(["new", "other"])
    for name, prefix in (("articles", ""), ("outputs", "output_")):
        network = after.content_network(of=name)
        assert network is not None
        content = network(torch.tensor(sold.vectors[5:6]).bfloat16().float()).detach().numpy()[0]
        style = model.weights[f"{prefix}styles.vectors"][model.weights[f"{prefix}styles.of"][0]]
        assert style.any()
        np.testing.assert_allclose(after.weights[name][new], content + style, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(after.weights[name][other], content, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(after.weights[name][: len(model.article_ids)], model.weights[name])
    assert after.can_rank(["new", "other"]).all()
    assert "new" in set(after.recommend(k=100, exclude_seen=False).article_id)
    assert {each["kind"] for each in after.explain(after.recommend(k=1), sold).to_pylist()[0]} <= {
        "article",
        "attribute",
    }
