"""The outfit model, on outfits whose rule is known: their articles share a shade."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from atelier.articles.table import Articles
from atelier.errors import UnknownIdentifier
from atelier.outfits import OutfitModel
from atelier.outfits.article_inputs import ArticleEncoder
from atelier.outfits.compatibility import NotFittedError
from atelier.outfits.completion import complete, outfits_around, reasons
from atelier.outfits.config import OutfitConfig
from atelier.outfits.evaluation import right_answers, scored
from atelier.outfits.names import MERGES
from atelier.outfits.outfits import Outfits, OutfitsError
from atelier.outfits.questions import fill_in_the_blank

FAMILIES, SHADES, EACH = ("bags", "shoes", "tops"), 4, 6
SMALL: dict[str, Any] = {
    "epochs": 25, "batch_size": 128, "factors": 16, "hidden": 32, "heads": 2, "negatives": 12, "attribute_factors": 8,
    "learning_rate": 0.02,
}  # fmt: skip
NEW = ("shoes-0-new", "shoes-1-new", "shoes-2-new", "shoes-3-new")


@cache
def articles() -> pd.DataFrame:
    """Six articles of each family and shade, and one pair of shoes of each shade that is in no outfit."""
    names = [f"{family}-{shade}-{number}" for family in FAMILIES for shade in range(SHADES) for number in range(EACH)]
    frame = pd.DataFrame({"article_id": [*names, *NEW]}, dtype="str")
    parts = frame["article_id"].str.split("-", expand=True)
    shades = parts[1].astype(int).to_numpy()
    random = np.random.default_rng(0)
    pictures = np.eye(SHADES)[shades] + 0.1 * random.normal(size=(len(frame), SHADES))
    words = np.array(["quiet night", "warm sand", "deep sea", "bright field"], dtype=object)[shades]
    return frame.assign(
        product_family=parts[0], shade="s" + parts[1], embeddings=list(pictures[:, None].astype(np.float32)), text=words
    )


@cache
def outfits() -> pd.DataFrame:
    """Three hundred outfits of one article of each family, all of a shade."""
    random = np.random.default_rng(1)
    rows = [
        (f"{place:03}", f"{family}-{shade}-{random.integers(EACH)}")
        for place, shade in enumerate(random.integers(SHADES, size=300))
        for family in FAMILIES
    ]
    return pd.DataFrame(rows, columns=["outfit_id", "article_id"], dtype="str")


@cache
def fitted(**config: Any) -> OutfitModel:
    return OutfitModel(OutfitConfig(**SMALL, **config)).fit(outfits(), articles())


def accuracy(model: OutfitModel, *, new: bool = False) -> float:
    """Right answers to questions about other outfits of the same rule; there are as many shades as answers."""
    table = model.fitted.articles
    number = 5 if not new else "new"
    rows = [
        (f"{shade}", f"{family}-{shade}-{number if family == 'shoes' else place}")
        for shade in range(SHADES)
        for place, family in enumerate(FAMILIES)
    ]
    asked = Outfits.from_frame(pd.DataFrame(rows, columns=["outfit_id", "article_id"], dtype="str"), table)
    mine = np.isin(table.names, [f"shoes-{shade}-{number}" for shade in range(SHADES)])
    families = model.fitted.inputs.families
    frequency = model.fitted.counted.frequency
    questions = fill_in_the_blank(asked, families, "family", frequency=frequency, seed=0, asked=mine, offered=mine)
    assert len(questions) == SHADES
    return float(right_answers(scored(model.scorer(), questions)).mean())


def test_it_learns_the_rule() -> None:
    model = fitted()
    assert accuracy(model) == 1
    assert model.fitted.history[-1].loss < model.fitted.history[0].loss  # type: ignore[operator]


def test_it_knows_new_articles_by_what_is_known_of_them() -> None:
    assert accuracy(fitted(), new=True) == 1


@pytest.mark.parametrize("modality", ["image", "text", "attributes"])
def test_each_modality_is_enough_for_new_articles(modality: str) -> None:
    assert accuracy(fitted(modalities=(modality,), statistics=False), new=True) == 1


def test_a_learned_embedding_alone_says_nothing_of_new_articles() -> None:
    model = fitted(modalities=("embedding",), statistics=False, new_share=0.0)
    assert accuracy(model) == 1
    table = model.fitted.articles
    new = table.find(list(NEW))
    other = np.broadcast_to(table.find(["bags-0-0", "tops-0-0"]), (1, 2))
    scores = model.scorer()(np.ascontiguousarray(other), new[None, :])
    assert np.ptp(scores) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("merge", MERGES)
def test_the_siamese_network_learns_the_rule_by_concatenation_and_others_run(merge: str) -> None:
    model = fitted(head="pair", merge=merge, statistics=False)
    assert accuracy(model) >= (1 if merge == "concatenation" else 0.5)


@pytest.mark.parametrize("draw", ["family", "random"])
def test_other_negatives_teach_the_rule_too(draw: str) -> None:
    assert accuracy(fitted(draw=draw)) == 1


def test_augmentation_leaves_the_rule_learnable() -> None:
    assert accuracy(fitted(swap_share=0.3, image_noise=0.2), new=True) == 1


def test_the_same_data_give_the_same_scores() -> None:
    again = OutfitModel(OutfitConfig(**SMALL)).fit(outfits().iloc[::-1], articles())
    pd.testing.assert_frame_equal(again.score(outfits()), fitted().score(outfits()), check_exact=True)


def test_real_outfits_score_above_mixed_ones() -> None:
    mixed = pd.DataFrame(
        {"outfit_id": ["a"] * 3 + ["b"] * 3, "article_id": [f"{f}-{s}-1" for s in (0, 1) for f in FAMILIES]},
        dtype="str",
    )
    mixed.loc[1, "article_id"] = "shoes-2-1"
    scores = fitted().score(mixed)
    assert scores["outfit_id"].tolist() == ["a", "b"]
    assert scores["score"][1] > 0 > scores["score"][0]


def test_popularity_counts_only_where_it_is_asked_for() -> None:
    model = fitted()
    rest, candidates = np.array([[0, 1]]), np.array([[30, 40]])
    prior = np.log(model.fitted.counted.frequency[candidates] + 0.5)
    plain = model.scorer()(rest, candidates)
    assert model.scorer(popularity=2.0)(rest, candidates) - plain == pytest.approx(2 * prior)


def test_completion_adds_another_family_of_the_same_shade() -> None:
    found = complete(fitted(), ["bags-2-0", "tops-2-3"], k=6)
    assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert all(name.startswith("shoes-2-") for name in found["article_id"])
    assert (found["score"].diff().dropna() <= 0).all()
    stock = ["shoes-1-1", "shoes-2-new", "tops-2-1"]
    assert complete(fitted(), ["bags-2-0", "tops-2-3"], stock)["article_id"].tolist() == ["shoes-2-new", "shoes-1-1"]


def test_outfits_around_an_article_differ_and_hold_one_of_a_family() -> None:
    found = outfits_around(fitted(), "tops-1-0", size=3, count=5)
    assert found["outfit"].unique().tolist() == [1, 2], "there are two other families to begin with"
    families = found["article_id"].str.split("-").str[0]
    assert families.groupby(found["outfit"]).nunique().tolist() == [3, 3]
    assert (found["article_id"].str.split("-").str[1] == "1").all()
    assert not found.loc[found["place"] > 1, "article_id"].duplicated().any(), "two outfits share the article alone"
    starts = found.loc[found["place"] == 2, "article_id"].str.split("-").str[0]
    assert starts.nunique() == 2


def test_reasons_say_which_pair_weighs_against_an_outfit() -> None:
    found = reasons(fitted(), ["bags-0-0", "shoes-3-0", "tops-0-0"])
    assert len(found) == 6
    assert set(found.loc[:1, "article_id"]) == {"bags-0-0", "tops-0-0"}
    assert found["weight"][1] > 0 > found["weight"][2]


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        OutfitModel().score(outfits())
    with pytest.raises(OutfitsError, match="no column 'product_family'; it has 'article_id'"):
        OutfitModel().fit(outfits(), articles()[["article_id"]])
    with pytest.raises(OutfitsError, match="no outfit of two articles"):
        OutfitModel().fit(outfits().iloc[:1], articles())
    with pytest.raises(UnknownIdentifier, match="1 articles are unknown to the outfit model: 'hats-1'"):
        complete(fitted(), ["hats-1"])
    with pytest.raises(OutfitsError, match="there are no articles"):
        complete(fitted(), [])
    with pytest.raises(OutfitsError, match="no pairs"):
        reasons(fitted(), ["bags-0-0"])
    with pytest.raises(ValueError, match="k is the length"):
        complete(fitted(), ["bags-0-0"], k=0)


def test_photographs_and_texts_may_be_missing() -> None:
    bare = articles().copy()
    bare["embeddings"] = [vectors if place % 3 else vectors[:0] for place, vectors in enumerate(bare["embeddings"])]
    model = OutfitModel(OutfitConfig(**SMALL)).fit(outfits(), bare.drop(columns="text"))
    assert accuracy(model) == 1
    none = OutfitModel(OutfitConfig(**SMALL)).fit(outfits(), bare.drop(columns=["text", "embeddings"]))
    assert accuracy(none, new=True) == 1


def test_a_config_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"factors \(10\) is no multiple of heads \(4\)"):
        OutfitConfig(factors=10)
    with pytest.raises(ValueError, match="modalities"):
        OutfitConfig(modalities=())


def test_an_ensemble_scores_by_the_mean_of_its_members() -> None:
    model = fitted(members=2)
    members = list(model.fitted.network.members)
    assert len(members) == 2
    assert not torch.equal(members[0].leg.own.weight, members[1].leg.own.weight)  # type: ignore[union-attr]
    rest, candidates = np.array([[0, 40]]), np.array([[60, 61]])
    together = model.scorer()(rest, candidates)
    alone = []
    for member in members:
        model.fitted.network.members = torch.nn.ModuleList([member])
        alone.append(model.scorer()(rest, candidates))
    model.fitted.network.members = torch.nn.ModuleList(members)
    assert np.allclose(together, np.mean(alone, axis=0), atol=1e-5)
    assert not np.allclose(*alone)


def test_texts_that_share_most_words_are_no_large_numbers() -> None:
    texts = [f"{colour} {kind}" for colour in ("blue", "red") for kind in ("bag", "dress", "shoe")] * 3
    frame = pd.DataFrame({"article_id": [f"a{n}" for n in range(18)], "product_family": "x", "text": texts})
    table = Articles.from_frame(frame)
    words = ArticleEncoder.fit(table, OutfitConfig(modalities=("text",), attributes=()), np.ones(18, bool))(table).words
    assert words.std(axis=0).max() == pytest.approx(1)
    assert np.abs(words).max() < 10


def test_an_outfit_of_one_article_has_no_score_and_no_outfits_have_none() -> None:
    model = OutfitModel(OutfitConfig(**SMALL | {"epochs": 1})).fit(outfits().head(90), articles())
    real, alone = outfits().head(3), pd.DataFrame({"outfit_id": ["alone"] * 2, "article_id": ["bags-0-1"] * 2})
    for given in (alone, pd.concat([real, alone])):
        with pytest.raises(OutfitsError, match="1 outfits have only one article: 'alone'"):
            model.score(given)
    empty = model.score(real.head(0))
    assert (empty.columns.tolist(), len(empty)) == (["outfit_id", "score"], 0)
    assert model.score(real)["score"].notna().all()


@pytest.mark.parametrize(
    "config",
    [
        OutfitConfig(**SMALL | {"members": 2}),
        OutfitConfig(**SMALL | {"head": "pair", "merge": "concatenation"}),
        OutfitConfig(**SMALL | {"statistics": False}),
    ],
    ids=["two members", "pairs", "nothing counted"],
)
def test_scores_beside_single_articles_are_those_of_outfits_of_one(config: OutfitConfig) -> None:
    model = OutfitModel(config).fit(outfits(), articles())
    families, comparable = model.fitted.inputs.families, model.comparable_scorer()
    rows = np.arange(len(families))
    for family in np.unique(families):
        candidates = np.flatnonzero(families == family)
        expected = comparable(rows[:, None], np.broadcast_to(candidates, (len(rows), len(candidates))).copy())
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(model.pair_scores()(rows, candidates), expected, atol=1e-5)
