"""What completes the look of every article, on outfits whose rule is known: their articles share a shade."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from atelier.outfits import OutfitModel
from atelier.outfits.complements import LookConfig, complete_looks
from atelier.outfits.completion import complete, outfits_around
from atelier.outfits.config import OutfitConfig
from tests.outfits.test_compatibility import EACH, NEW, SMALL, articles, fitted, outfits

HATS = pd.DataFrame(
    {"article_id": ["hats-0-0", "bare"], "product_family": ["hats", None], "shade": ["s0", None]}, dtype="str"
)


@cache
def with_hats() -> OutfitModel:
    """A model that also knows a hat, a type that no outfit has, and an article of which nothing but the id is known."""
    known = pd.concat([articles(), HATS], ignore_index=True)
    return OutfitModel(OutfitConfig(**SMALL)).fit(outfits(), known)


def looks(model: OutfitModel, offered: Any = None, styles: Any = None, **config: Any) -> pd.DataFrame:
    n = len(model.fitted.articles)
    offered = np.ones(n, bool) if offered is None else offered
    return complete_looks(model, offered, np.arange(n) if styles is None else styles, LookConfig(**config))


def parts(ids: pd.Series) -> pd.DataFrame:
    return ids.str.split("-", expand=True)


def test_each_article_gets_one_of_every_other_family_and_most_share_its_shade() -> None:
    table = looks(fitted())
    own, other = parts(table["article_id"]), parts(table["complement_article_id"])
    assert set(table["article_id"]) == set(articles()["article_id"]), "new articles have lists too"
    assert table.groupby("article_id")["rank"].apply(list).map(lambda ranks: ranks == [1, 2]).all()
    assert (own[0] != other[0]).all()
    assert not pd.DataFrame({"article": table["article_id"], "family": other[0]}).duplicated().any()
    assert (own[1] == other[1]).mean() > 0.95
    new = table["article_id"].isin(NEW)
    assert (own[1] == other[1])[new].mean() > 0.9


def test_scores_are_the_models_where_every_family_is_combined_alike() -> None:
    model = fitted()
    table = looks(model, k=1)
    assert (table.sort_values("article_id")["article_id"] == table["article_id"]).all()
    mine = table[table["article_id"] == "bags-0-0"].iloc[0]
    alone = complete(model, ["bags-0-0"], k=100).set_index("article_id")["score"]
    lift = mine["score"] - alone[mine["complement_article_id"]]
    families = model.fitted.inputs.families
    joint = np.zeros((4, 4))
    np.add.at(joint, (families[:, None], families[None, :]), model.fitted.counted.together.toarray())
    chance = np.outer(joint.sum(0), joint.sum(1)) / joint.sum()
    bag = families[model.fitted.articles.find(["bags-0-0"])[0]]
    other = families[model.fitted.articles.find([mine["complement_article_id"]])[0]]
    assert lift == pytest.approx(np.log((joint[bag, other] + 1) / (chance[bag, other] + 1)), abs=1e-5)


def test_outfits_are_those_of_training_that_have_both() -> None:
    table = looks(fitted())
    worn = outfits()
    sets = worn.groupby("outfit_id")["article_id"].agg(frozenset).drop_duplicates()
    row = table.sort_values("outfits").iloc[-1]
    pair = {row["article_id"], row["complement_article_id"]}
    assert row["outfits"] == sum(pair <= each for each in sets) > 0
    assert (table.loc[table["article_id"].isin(NEW), "outfits"] == 0).all()


def test_only_what_is_offered_and_of_another_style_is_named() -> None:
    model = fitted()
    names = model.fitted.articles.names.astype(str)
    family_shade = np.array([name.rsplit("-", 1)[0] for name in names])
    offered = ~np.isin(family_shade, ["shoes-0", "shoes-1", "shoes-2", "shoes-3"])
    table = looks(model, offered)
    assert not table["complement_article_id"].str.startswith("shoes").any()
    assert table[table["article_id"].str.startswith("shoes")]["rank"].max() == 2
    _, shades = np.unique([name.split("-")[1] for name in names], return_inverse=True)
    other = looks(model, styles=shades)
    assert (parts(other["article_id"])[1] != parts(other["complement_article_id"])[1]).all()
    assert looks(model, styles=np.zeros(len(names), np.int64)).empty
    assert looks(model, np.zeros(len(names), bool)).empty


def test_type_that_no_outfit_has_gets_a_list_and_is_never_named() -> None:
    table = looks(with_hats())
    odd = table[table["article_id"].isin(HATS["article_id"])]
    assert set(odd["article_id"]) == set(HATS["article_id"])
    assert odd["unseen"].all()
    assert not table.loc[~table["article_id"].isin(HATS["article_id"]), "unseen"].any()
    assert not table["complement_article_id"].isin(HATS["article_id"]).any()
    assert np.isfinite(table["score"]).all()


def test_a_partial_outfit_is_not_completed_by_a_type_that_no_outfit_has_either() -> None:
    model = with_hats()
    named = complete(model, ["bags-0-0"], k=1000)["article_id"]
    assert not named.isin(HATS["article_id"]).any()
    assert set(named) == {name for name in articles()["article_id"] if not name.startswith("bags")}
    assert complete(model, ["bags-0-0"], candidates=HATS["article_id"]).empty
    grown = outfits_around(model, "bags-0-0", size=6, count=6)["article_id"]
    assert not grown.isin(HATS["article_id"]).any()
    assert not complete(model, ["hats-0-0"])["article_id"].isin(HATS["article_id"]).any()
    assert len(complete(model, ["hats-0-0"])) == 5


def test_a_look_has_one_article_of_a_role_and_none_of_the_articles_own() -> None:
    model = fitted()
    names = pd.Series(model.fitted.articles.names.astype(str))
    kinds = names.str.split("-").str[0]
    roles = np.asarray(kinds.isin(["bags", "shoes"]), np.int64)  # bags and shoes are one role, all others another
    table = complete_looks(model, np.ones(len(names), bool), np.arange(len(names)), LookConfig(), roles)
    by_name = pd.Series(roles, names)
    assert (by_name[table["article_id"]].to_numpy() != by_name[table["complement_article_id"]].to_numpy()).all()
    assert set(table["rank"]) == {1}
    assert set(table["article_id"]) == set(names)
    plain = looks(model)
    both = plain["article_id"].map(by_name) != plain["complement_article_id"].map(by_name)
    best = plain[both].drop_duplicates("article_id").set_index("article_id")["complement_article_id"]
    assert (table.set_index("article_id")["complement_article_id"] == best[table["article_id"]]).all()


def test_answers_are_no_outfits() -> None:
    pair = ["bags-0-1", "shoes-3-2"]  # of two shades: no outfit has it
    worn = outfits()
    worn = worn[~worn["article_id"].str.startswith("shoes")]  # nor any shoe
    said = pd.DataFrame({"outfit_id": "f", "article_id": pair, "answer": "accepted"}, dtype="str")
    config = OutfitConfig(**SMALL | {"epochs": 2, "feedback_weight": 20})
    model = OutfitModel(config).fit(worn, articles(), said)
    names = model.fitted.articles.names.astype(str)
    table = looks(model, np.isin(names, pair))
    row = table[table["article_id"] == pair[0]].iloc[0]
    assert row["complement_article_id"] == pair[1]
    assert (row["outfits"], row["accepted"], row["family_outfits"], row["unseen"]) == (0, True, 0, False)
    plain = looks(model)
    sets = worn.groupby("outfit_id")["article_id"].agg(frozenset).drop_duplicates()
    most = plain.sort_values("outfits").iloc[-1]
    assert most["outfits"] == sum({most["article_id"], most["complement_article_id"]} <= each for each in sets) > 0
    assert most["family_outfits"] > most["outfits"]
    assert not most["accepted"]


def test_families_that_are_rarely_combined_are_left_out() -> None:
    rows = [(f"r{place}", article) for place in range(2) for article in (f"tops-0-{place}", f"socks-0-{place}")]
    bags = [name for name in articles()["article_id"] if name.startswith("bags")]
    rows += [(f"{bag} {place}", article) for bag in bags for place in range(4) for article in (bag, f"socks-0-{place}")]
    rare = pd.DataFrame(rows, columns=["outfit_id", "article_id"], dtype="str")
    worn = pd.concat([outfits(), rare], ignore_index=True)
    socks = pd.DataFrame(
        {"article_id": [f"socks-0-{place}" for place in range(4)], "product_family": "socks"}, dtype="str"
    )
    model = OutfitModel(OutfitConfig(**SMALL | {"epochs": 2})).fit(worn, pd.concat([articles(), socks]))
    strict, lax = (looks(model, least_lift=lift) for lift in (0.5, 0.0))
    of_tops = [table[table["article_id"] == "tops-0-0"] for table in (strict, lax)]
    assert not of_tops[0]["complement_article_id"].str.startswith("socks").any()
    assert of_tops[1]["complement_article_id"].str.startswith("socks").any()
    assert looks(model, families=1).groupby("article_id").size().max() == 1


def test_many_candidates_are_halved_into_known_ones_and_a_spread_of_others() -> None:
    table = looks(fitted(), candidates=6)
    named = table["complement_article_id"].nunique()
    assert named <= 3 * 6 < 3 * 4 * EACH
    assert set(table["article_id"]) == set(articles()["article_id"])


def test_blocks_do_not_change_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = looks(fitted())
    monkeypatch.setattr("atelier.outfits.complements.AT_ONCE", 30)
    pd.testing.assert_frame_equal(looks(fitted()), whole, rtol=1e-4)


def test_config_refuses_what_makes_no_list() -> None:
    with pytest.raises(ValidationError):
        LookConfig(k=0)
