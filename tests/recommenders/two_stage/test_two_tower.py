"""two_tower: planted tastes, articles and customers known by their features alone, and what a step reads."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.two_stage.two_tower import LISTED, Tower, TowerLists, TwoTower, _parts, seen_before
from atelier.recommenders.two_stage.two_tower_config import TwoTowerConfig

SMALL: dict[str, Any] = {
    "hidden": [32],
    "factors": 8,
    "embedding": 8,
    "max_epochs": 30,
    "batch_size": 64,
    "learning_rate": 0.01,
}
IDS = [f"a{number:02d}" for number in range(20)]
NEW = ["n0", "n1"]
TASTE = np.array([number % 2 for number in range(20)] + [0, 1])
VECTORS = np.eye(2, dtype=np.float32)[TASTE] + np.random.default_rng(0).normal(0, 0.1, (22, 2)).astype(np.float32)
CATALOGUE = Catalogue.from_frames(pd.DataFrame({"article_id": IDS + NEW}), VECTORS)
CUSTOMERS = pd.DataFrame({"customer_id": [f"c{number:02d}" for number in range(42)]})
CUSTOMERS["taste"] = np.where(np.arange(42) % 2, "odd", "even")


def planted() -> pd.DataFrame:
    """Forty customers; those of an even number choose even articles. c40 and c41 choose nothing."""
    random = np.random.default_rng(0)
    customers = np.repeat(np.arange(40), 8)
    articles = random.integers(0, 10, len(customers)) * 2 + customers % 2
    times = pd.Timestamp("2020-03-01") + pd.to_timedelta(np.arange(len(customers)), unit="h")
    names = {"customer_id": [f"c{c:02d}" for c in customers], "article_id": [IDS[a] for a in articles]}
    return pd.DataFrame({**names, "occurred_at": times})


FRAME = planted()


@pytest.fixture(scope="module")
def model() -> TwoTower:
    fitted = recommenders.build("two_tower", **SMALL, customer_attributes=["taste"]).fit(FRAME, CATALOGUE, CUSTOMERS)
    assert isinstance(fitted, TwoTower)
    return fitted


def own_taste(recs: pd.DataFrame) -> float:
    """The share of recommended articles that are of the customer's taste."""
    wanted = recs["customer_id"].str[1:].astype(int) % 2
    place = dict(zip(IDS + NEW, TASTE, strict=True))
    return float((recs["article_id"].map(place) == wanted).mean())


def test_planted_tastes_are_found(model: TwoTower) -> None:
    assert own_taste(model.recommend(FRAME[["customer_id"]].drop_duplicates(), k=8, exclude_seen=False)) > 0.95
    assert model.training_figures()["epochs"] == 30


def test_a_customer_of_whom_only_attributes_are_known_gets_their_taste(model: TwoTower) -> None:
    recs = model.recommend(["c40", "c41"], k=5)
    assert own_taste(recs) > 0.95


def test_the_attributes_of_a_customer_who_comes_later_are_read_as_those_trained_on(model: TwoTower) -> None:
    nothing = FRAME.iloc[:0]
    new = pd.DataFrame({"customer_id": ["x0", "x1"], "taste": ["even", "odd"]})
    recs = model.with_histories(nothing, new).recommend(new, k=8, exclude_seen=False)
    assert own_taste(recs) > 0.95
    blind = model.with_histories(nothing, new[["customer_id"]]).customer_profiles.profiles["customers"]
    np.testing.assert_array_equal(blind[0], blind[1])


def test_an_article_that_nobody_chose_is_found_by_its_content(model: TwoTower) -> None:
    """Among the two new articles everyone's first is the one of their taste."""
    recs = model.recommend(k=1, candidates=NEW)
    assert own_taste(recs) == 1
    assert not model.weights["towers.embedding"][model.article_ids.encode(NEW)].any()


def test_vectors_have_length_one_and_scores_are_cosines(model: TwoTower) -> None:
    vectors = model.weights["articles"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    recs = model.recommend(["c00"], k=22, exclude_seen=False)
    mine = model.customer_vectors(model.customer_profiles.profiles, np.array([0]))[0]
    scores = vectors[model.article_ids.encode(recs["article_id"])] @ mine
    np.testing.assert_allclose(recs["score"], scores, atol=1e-5)


def test_what_a_step_reads_of_a_customer_is_before_it() -> None:
    rows = pd.DataFrame({"customer_id": list("uuuuv"), "article_id": ["a00", "a01", "a02", "a03", "a04"]})
    data = Interactions.from_frame(rows)
    place = np.array([0, 1, 2, 3, 0])
    seen = seen_before(data, np.arange(5), place, 2, np.zeros((5, 0), np.float32))
    assert seen.counts.tolist() == [0, 1, 2, 2, 0]
    assert seen.codes.tolist() == [0, 0, 1, 1, 2]
    assert seen.starts.tolist() == [0, 0, 1, 3, 5]
    # for lists: one row after each customer's last, everything is before
    everything = seen_before(data, np.array([4, 5]), np.array([4, 1]), 20, np.zeros((2, 0), np.float32))
    assert everything.codes.tolist() == [0, 1, 2, 3, 4]


def test_an_article_is_judged_against_others_only() -> None:
    """Of three articles a random one would often be the chosen one."""
    table = pd.DataFrame({"customer_id": list("uuuvvv"), "article_id": list("abcbca")})
    data = Interactions.from_frame(table)
    rows = np.arange(len(data))
    codes = TowerLists.of(data, rows % 3, rows, TwoTowerConfig()).codes
    assert codes.shape == (6, 1 + LISTED)
    assert (codes[:, :1] != codes[:, 1:]).all()
    assert all(set(row) == {0, 1, 2} for row in codes.tolist()), "each of the others is drawn"
    alone = Interactions.from_frame(table.assign(article_id="a"))
    assert TowerLists.of(alone, rows % 3, rows, TwoTowerConfig()).codes.tolist() == [[0]] * 6


def test_no_batch_has_a_single_positive() -> None:
    assert [len(part) for part in _parts(np.arange(9), 4)] == [4, 5]
    assert [len(part) for part in _parts(np.arange(8), 4)] == [4, 4]
    assert [len(part) for part in _parts(np.arange(1), 4)] == [1]


def test_a_tower_has_relu_between_its_layers() -> None:
    tower = Tower(3, (4,), 2, torch.Generator().manual_seed(0))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    first, last = tower.layers
    by_hand = torch.relu(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(tower(x), by_hand / by_hand.norm(dim=1, keepdim=True))


def test_without_vectors_it_warns_and_learns_embeddings() -> None:
    bare = Catalogue.from_frames(pd.DataFrame({"article_id": IDS}))
    with pytest.warns(UserWarning, match="given no article vectors"):
        model = recommenders.build("two_tower", **SMALL).fit(FRAME, bare)
    assert own_taste(model.recommend(k=8, exclude_seen=False)) > 0.9


def test_it_is_a_source_of_two_stages() -> None:
    small = {"trees": 5, "min_examples_in_leaf": 5, "candidates": 10, "threads": 1}
    model = recommenders.build("two_stage", **small, recommenders=["two_tower"]).fit(FRAME, CATALOGUE, CUSTOMERS)
    batch = next(iter(model.candidate_batches(["c00"])))  # type: ignore[attr-defined]
    assert batch["rank_two_tower"].null_count < batch.num_rows
