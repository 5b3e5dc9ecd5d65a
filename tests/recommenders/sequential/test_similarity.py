"""The part of a sequence model's score for similarity to the last interactions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.network import WEIGHT_STEPS, RecentSimilarity, with_directions
from atelier.search.ragged import Scores

FITTED: dict[str, Any] = {"mode": "collaborative", "factors": 8, "negatives": 20, "max_epochs": 12, "patience": 12}
FITTED |= {"schedule": "constant", "batch_interactions": 256, "learning_rate": 0.005, "embedding_learning_rate": 0.1}


def loyal(customers: int, seed: int) -> pd.DataFrame:
    """Customers who go on choosing the three articles that they have, out of thirty."""
    random = np.random.default_rng(seed)
    own = random.integers(0, 10, customers)
    places = np.repeat(np.arange(customers), 10)
    articles = 3 * own[places] + random.integers(0, 3, len(places))
    return pd.DataFrame({"customer_id": [f"c{c:04d}" for c in places], "article_id": [f"a{a:02d}" for a in articles]})


@pytest.fixture(scope="module")
def model() -> SequenceRecommender[Any]:
    model = recommenders.build("transformer", heads=2, blocks=1, **FITTED)
    assert isinstance(model, SequenceRecommender)
    return model.fit(loyal(200, seed=1))


def test_it_is_the_weighted_mean_of_cosines_with_what_came_before() -> None:
    random = torch.Generator().manual_seed(3)
    states, history = torch.randn(2, 4, 5, generator=random), torch.randn(2, 4, 5, generator=random)
    articles = torch.randn(6, 5, generator=random)
    part = RecentSimilarity()
    part.weight.data.fill_(2.5 / WEIGHT_STEPS)
    part.decay.data.fill_(float(torch.logit(torch.tensor(0.6))))
    found = part.customers(states, history) @ with_directions(articles).T  # [2, 4, 6]
    for row in range(2):
        for place in range(4):
            weights = [0.6 ** (place - k) for k in range(place + 1)]
            for article in range(6):
                y = articles[article]
                cosines = [float(torch.cosine_similarity(history[row, k], y, dim=0)) for k in range(place + 1)]
                similarity = sum(w * c for w, c in zip(weights, cosines, strict=True)) / sum(weights)
                expected = float(states[row, place] @ y) + 2.5 * similarity
                assert float(found[row, place, article]) == pytest.approx(expected, abs=1e-5)


def test_after_one_place_it_is_what_it_is_after_all() -> None:
    part, (states, vectors) = RecentSimilarity(0.7), torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    places = torch.tensor([0, 2, 3])
    rows = torch.arange(3)
    found = part.customers_at(states[rows, places], vectors, places)
    torch.testing.assert_close(found, part.customers(states, vectors)[rows, places])


def test_an_article_without_vector_and_filled_places_stay_finite() -> None:
    part = RecentSimilarity()
    vectors = torch.zeros(1, 3, 4, requires_grad=True)
    (part.customers(vectors, vectors) @ with_directions(vectors[0]).T).sum().backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_its_weight_is_learned_and_raises_what_a_customer_has(model: SequenceRecommender[Any]) -> None:
    assert model.weights["encoder.similarity.weight"].item() * WEIGHT_STEPS > 0.5
    newcomers = loyal(50, seed=2)
    recs = model.recommend(k=3, exclude_seen=False, histories=newcomers)
    own = set(zip(newcomers.customer_id, newcomers.article_id, strict=True))
    assert np.mean([pair in own for pair in zip(recs.customer_id, recs.article_id, strict=True)]) > 0.8


def test_articles_are_compared_by_their_own_vectors(model: SequenceRecommender[Any]) -> None:
    own: Scores = model.weights["articles"]
    codes = np.flatnonzero(model.ranked).astype(np.int32)
    assert model.article_vectors(codes).shape == (len(codes), 16)
    asked = model.article_ids.values[int(codes[0])].as_py()
    similar = model.similar([asked], k=5)
    vector = own[codes[0]] / np.linalg.norm(own[codes[0]])
    for other, similarity in zip(similar.similar_article_id, similar.similarity, strict=True):
        theirs = own[model.article_ids.encode([other])[0]]
        assert similarity == pytest.approx(float(vector @ theirs / np.linalg.norm(theirs)), abs=1e-5)


def test_an_untied_output_has_none() -> None:
    model = recommenders.build("sequencer", cell="gru", output="untied", **FITTED)
    assert isinstance(model, SequenceRecommender)
    model.fit(loyal(40, seed=3))
    assert not any("similarity" in name for name in model.weights)
    assert model.article_vectors(np.array([0], dtype=np.int32)).shape[1] == model.weights["outputs"].shape[1]


def test_reasons_of_content_are_those_of_the_articles_own_vectors() -> None:
    """Each position's weight is its share of x_u · f(z_i), where x_u is the part that meets articles' own vectors."""
    frame = loyal(120, seed=4)
    articles = pd.DataFrame({"article_id": [f"a{a:02d}" for a in range(30)]})
    vectors = np.eye(10, dtype=np.float32)[np.arange(30) // 3]
    catalogue = Catalogue.from_frames(articles, vectors)
    model = recommenders.build("transformer", heads=2, blocks=1, **(FITTED | {"mode": "content", "hidden": ()}))
    assert isinstance(model, SequenceRecommender)
    model.fit(frame, catalogue)
    recs = model.recommend(["c0000"], k=1, exclude_seen=False)
    (reasons,) = model.explain(recs, catalogue).to_pylist()
    told = [reason["weight"] for reason in reasons if reason["kind"] == "attribute"]
    code = model.article_ids.encode(list(recs.article_id))[0]
    rows = model._places(model.customer_profiles, ["c0000"])
    x = model.content_queries(model.customer_vectors(model.customer_profiles.profiles, rows))[0]
    network = model.content_network(catalogue)
    assert network is not None
    position = int(np.argmax(vectors[int(recs.article_id.iloc[0][1:])]))
    expected = float(x @ network.first[position].detach().numpy())
    assert model.weights["articles"][code].shape == x.shape
    assert told == pytest.approx([expected] if expected > 0 else [], rel=1e-4)
