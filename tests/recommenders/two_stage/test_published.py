"""The published two-tower project: a ranking network that is trained together with the towers, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.recommenders.two_stage.ranking_network import RankingNetwork, vector_names
from atelier.recommenders.two_stage.two_stage import TwoStage
from atelier.recommenders.two_stage.two_stage_config import TOWERS, TwoStageConfig
from atelier.recommenders.two_stage.two_tower import TwoTower, ranking_loss

ARTICLES = [f"a{number:02d}" for number in range(20)]
VECTORS = np.eye(2, dtype=np.float32)[np.arange(20) % 2]
CATALOGUE = Catalogue.from_frames(pd.DataFrame({"article_id": ARTICLES}), VECTORS)
TASTES: dict[str, Any] = {"candidates": 20, "network_epochs": 40, "network_learning_rate": 0.01}


def planted(customers: int = 60) -> pd.DataFrame:
    """Customers of an even number choose even articles."""
    random = np.random.default_rng(0)
    who = np.repeat(np.arange(customers), 8)
    what = random.integers(0, 10, len(who)) * 2 + who % 2
    times = pd.Timestamp("2020-03-01") + pd.to_timedelta(np.arange(len(who)), unit="h")
    names = {"customer_id": [f"c{c:02d}" for c in who], "article_id": [ARTICLES[a] for a in what]}
    return pd.DataFrame({**names, "occurred_at": times})


def built(**changes: Any) -> TwoStage:
    model = recommenders.build("two_stage", **TwoStageConfig.published(**changes).model_dump())
    assert isinstance(model, TwoStage)
    return model


@pytest.fixture(scope="module")
def model() -> TwoStage:
    return built(**TASTES).fit(planted(), CATALOGUE)


def test_the_loss_is_the_mean_cross_entropy_of_positives_and_their_negatives() -> None:
    random = np.random.default_rng(0)
    customers, articles, others = (torch.from_numpy(random.normal(size=(n, 2)).astype(np.float32)) for n in (3, 3, 6))
    network = RankingNetwork(vector_names(2), torch.Generator().manual_seed(0))
    losses = []
    for row in range(3):
        for article, label in [(articles[row], 1), *((others[2 * row + n], 0) for n in range(2))]:
            (logit,) = network(torch.cat([customers[row], article])[None]).tolist()
            chance = 1 / (1 + np.exp(-logit))
            losses.append(-np.log(chance if label else 1 - chance))
    assert float(ranking_loss(network, customers, articles, others).detach()) == pytest.approx(np.mean(losses), 1e-5)


def test_the_published_numbers() -> None:
    model = built(**TASTES).fit(planted(), CATALOGUE)
    towers = {name: array.shape for name, array in model.weights.items() if "two_tower" in name}
    of = "source.two_tower.weight.towers"
    for tower in ("article", "customer"):
        widths = [towers[f"{of}.{tower}.layers.{number}.weight"][0] for number in range(3)]
        assert widths == [128, 64, 32]
    ranking = {name: array.shape for name, array in model.weights.items() if name.startswith("ranker.network")}
    for branch in ("customer", "candidate"):
        assert [ranking[f"ranker.network.{branch}.{number}.weight"][0] for number in range(2)] == [64, 32]
    assert [ranking[f"ranker.network.joined.{number}.weight"] for number in range(2)] == [(32, 64), (16, 32)]
    published = TwoStageConfig.published()
    assert (published.negatives, published.network_learning_rate) == (4, 0.001)
    assert published.recommenders == ("two_tower",)
    assert not published.sources


def test_towers_and_network_are_trained_together() -> None:
    towers = recommenders.build("two_tower", ranking_negatives=4, max_epochs=1, learning_rate=0.01)
    alone = recommenders.build("two_tower", max_epochs=1, learning_rate=0.01)
    for each in (towers, alone):
        each.fit(planted(), CATALOGUE)
    assert isinstance(towers, TwoTower)
    assert isinstance(alone, TwoTower)
    assert not alone.ranking_weights
    first = RankingNetwork(vector_names(towers.config.factors), torch.Generator()).state_dict()
    assert towers.ranking_weights.keys() == first.keys()
    name = "towers.article.layers.0.weight"
    assert not np.array_equal(towers.weights[name], alone.weights[name]), "the network's loss moves the towers too"


def test_the_network_ranks_what_the_towers_retrieve(model: TwoStage) -> None:
    recs = model.recommend(k=8, exclude_seen=False)
    own = recs["customer_id"].str[1:].astype(int) % 2 == recs["article_id"].str[1:].astype(int) % 2
    assert own.mean() > 0.95
    figures = model.training_figures()
    assert figures.pop("lists") == 0.0, "it learns from no list of candidates"
    assert set(figures) == {f"training_{name}" for name in ("loss", "auc", "precision", "recall")}, "the towers' own"
    (row,) = model.explain(recs.head(1)).to_pylist()
    assert [reason["value"] for reason in row] == ["two_tower"], "numbers of vectors are no reasons"
    assert row[0]["weight"] == pytest.approx(1 / 61), "its part of the fusion: it stands first in the source's list"


def test_a_bundle_gives_the_same_lists(model: TwoStage, tmp_path: Path) -> None:
    model.save(tmp_path / "bundle")
    again = recommenders.load(tmp_path / "bundle")
    pd.testing.assert_frame_equal(again.recommend(k=5), model.recommend(k=5))


def test_lists_are_filled_up_with_what_sells(model: TwoStage) -> None:
    few = built(**(TASTES | {"candidates": 3})).fit(planted(), CATALOGUE)
    recs = few.recommend(["c00"], k=10, exclude_seen=True)
    assert recs["rank"].tolist() == list(range(1, len(recs) + 1))
    assert len(recs) == len(model.recommend(["c00"], k=10, exclude_seen=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": ("towers",)}, "name it in recommenders"),
        ({"ranker": "joint"}, "reads the vectors of the towers alone"),
        ({"sources": ()}, "there is no source of candidates"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TwoStageConfig(**settings)


def test_the_towers_read_the_attributes_of_known_and_new_customers() -> None:
    """Whoever has no history gets another vector by their taste, and the same where it is not known."""
    tastes = pd.DataFrame({"customer_id": [f"c{number:02d}" for number in range(62)]})
    tastes["taste"] = np.where(np.arange(62) % 2, "odd", "even")
    model = built(**TASTES, customer_attributes=("taste",)).fit(planted(), CATALOGUE, tastes)
    vectors = model.customer_profiles.profiles[f"source.{TOWERS}.profile.customers"]
    place = model.customer_profiles.ids.encode(["c60", "c61", "c58"])
    assert vectors[place[0]] @ vectors[place[1]] < 0.9
    new = pd.DataFrame({"customer_id": ["x0", "x1"], "taste": ["even", "odd"]})
    nothing = planted().iloc[:0]
    read = model.with_histories(nothing, new).customer_profiles.profiles[f"source.{TOWERS}.profile.customers"]
    np.testing.assert_allclose(read, vectors[place[:2]], atol=1e-6)
    blind = model.with_histories(nothing, new[["customer_id"]]).customer_profiles.profiles
    np.testing.assert_array_equal(*blind[f"source.{TOWERS}.profile.customers"])


@pytest.mark.parametrize("wealth", [{"c60": 20.0}, {"c60": 1e6}])
def test_attributes_are_read_as_of_those_trained_on(wealth: dict[str, float]) -> None:
    """The mean, the spread and the texts are those of customers with interactions: c60 changes nothing."""
    frame = pd.DataFrame({"customer_id": [f"c{number:02d}" for number in range(60)], "wealth": 20.0 + np.arange(60)})
    frame["taste"] = "plain"
    others = pd.DataFrame({"customer_id": list(wealth), "wealth": list(wealth.values()), "taste": "rare"})
    config: dict[str, Any] = {"max_epochs": 1, "customer_attributes": ("wealth", "taste")}
    fits = [
        recommenders.build("two_tower", **config).fit(planted(), CATALOGUE, customers)
        for customers in (frame, pd.concat([frame, others], ignore_index=True))
    ]
    assert fits[0].weights.keys() == fits[1].weights.keys()
    for name, array in fits[0].weights.items():
        np.testing.assert_array_equal(fits[1].weights[name], array, err_msg=name)


def test_newcomers_with_attributes_are_ranked_for_by_them() -> None:
    """Of whom nothing is known gets what sells, and is told so."""
    tastes = pd.DataFrame({"customer_id": [f"c{number:02d}" for number in range(63)]})
    tastes["taste"] = [*np.where(np.arange(62) % 2, "odd", "even"), None]
    model = built(**TASTES, customer_attributes=("taste",)).fit(planted(), CATALOGUE, tastes)
    known = model.recommend(["c60", "c61", "c62"], k=8)
    described = known[known["customer_id"] != "c62"]
    own = described["customer_id"].str[1:].astype(int) % 2 == described["article_id"].str[1:].astype(int) % 2
    assert own.mean() > 0.95
    assert (known["score"] > 1).tolist() == (known["customer_id"] != "c62").tolist(), "only what is ranked is above 1"
    reasons = dict(zip(known["customer_id"], model.explain(known).to_pylist(), strict=True))
    assert [row[0]["value"] for row in reasons.values()] == [TOWERS, TOWERS, "popular"]
    new = pd.DataFrame({"customer_id": ["x0", "x1", "x2"], "taste": ["even", "odd", None]})
    lists = model.recommend(new, histories=planted().iloc[:0], k=8)
    assert lists["article_id"].tolist() == known["article_id"].tolist()
