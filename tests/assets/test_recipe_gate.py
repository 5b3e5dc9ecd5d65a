"""The gate of recipes on a tiny store: who is judged on what, and what a verdict leaves behind."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.recipe_gate import CHECK, TABLE, RecipeGate, candidate_config, champion_of, code_of, judge_recipe
from assets.recommenders import READ, UnfittedModel, fitted
from assets.step import RunResources, Step
from atelier.recommenders import declared
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.promotions import Promotions
from resources.recipes import Recipe, recipe_of
from resources.retailer import Home, Preset, Settings
from resources.settings_file import write_preset, write_settings
from resources.tables import REGISTRY

FIRST, HORIZON = date(2025, 3, 3), 2
ORIGIN, DS = FIRST + timedelta(days=1), FIRST + timedelta(days=3)
CUSTOMERS, ARTICLES = 600, 60

Write = Callable[..., Step]


def columns_of(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reindex(columns=list(REGISTRY[table].by_name))


def write_day(step: Step, day: date, bought: np.ndarray) -> None:
    """Each customer buys one article."""
    frame = pd.DataFrame({"ordinal": range(len(bought)), "customer_id": [f"c{n}" for n in range(len(bought))]})
    frame = frame.assign(article_id=[f"a{n}" for n in bought], kind="purchase", price=1.0)
    frame["occurred_at"] = datetime.combine(day, time(12))
    step.write("interactions", columns_of("interactions", frame), ds=day)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A home whose customers buy again, after the origin, what they bought before."""

    def made(serving: str = "popular", customers: int = CUSTOMERS) -> Step:
        home = Home(tmp_path / "home")
        names = ("popular", "repeat")
        settings = Settings(
            source="parquet", path="x", first_day=FIRST, horizon=HORIZON, recommenders=names, serving_model=serving
        )
        write_settings(home, settings)
        resources = RunResources(home, FeatureStore(home.store), ModelStore(home.store), Compute("cpu", 1))
        step = Step(resources, [DS], "run", "1")
        random = np.random.default_rng(0)
        usual = random.integers(0, ARTICLES, customers)
        names_of = {"article_id": [f"a{n}" for n in range(ARTICLES)], "in_stock": True, "price": 1.0}
        step.write("articles", columns_of("articles", pd.DataFrame(names_of)), ds=ORIGIN)
        known = pd.DataFrame({"customer_id": [f"c{n}" for n in range(customers)]})
        step.write("customers", columns_of("customers", known), ds=ORIGIN)
        for day in (FIRST, ORIGIN, ORIGIN + timedelta(days=1), DS):
            often = random.random(customers) < 0.7
            write_day(step, day, np.where(often, usual, random.integers(0, ARTICLES, customers)))
        return step

    return made


def judged(step: Step, **config: Any) -> dict[str, Any]:
    """What the gate stored of a candidate, and its check's result as ``check``."""
    judge_recipe.compute(step, RecipeGate(exclude_seen=False, **config))
    (check,) = [each for each in step.outcome.checks if each.name == CHECK]
    assert check.gate
    recipe = step.outcome.written[TABLE][-1].pointer.part
    (row,) = step.store.read(TABLE, DS, part=recipe).to_pylist()
    assert check.passed == row["passed"]
    return {**row, "check": check.description}


def test_a_better_recipe_passes_on_the_purchases_since_the_origin(write: Write) -> None:
    found = judged(write(), model="repeat")
    assert found["passed"], found["reason"]
    assert (found["champion"], found["origin"], found["customers"]) == ("popular", ORIGIN, CUSTOMERS)
    assert found["candidate_value"] > 2 * found["champion_value"]
    assert found["difference"] == pytest.approx(found["candidate_value"] - found["champion_value"])
    assert found["lower"] > found["least"] == pytest.approx(-0.02 * found["champion_value"])
    assert found["recipe"] == recipe_of("repeat", {}, code_of("repeat")).digest


def test_a_worse_recipe_fails_and_the_check_says_why(write: Write) -> None:
    found = judged(write(serving="repeat"), model="popular")
    assert not found["passed"]
    assert "that it is not worse by more is not shown" in found["check"]


def test_the_same_recipe_on_few_customers_does_not_pass(write: Write) -> None:
    found = judged(write(customers=250), model="popular")
    assert (found["difference"], found["champion_recipe"]) == (0, found["recipe"])
    assert not found["passed"]


def test_the_champion_is_its_own_bundle_where_that_saw_the_same_data(write: Write) -> None:
    step = write()
    day = Step(step.resources, [ORIGIN], "run", "older code")
    model, *_ = fitted(day, UnfittedModel("popular", declared("popular").config(), "cpu"))
    day.save_model("popular_model", model.save, tables=READ, seed=0)
    assert champion_of(step, ORIGIN, "cpu")[1].code_version == "older code"
    promotions = Promotions(step.home.store)
    promotions.promote(Recipe("popular", {}, "older code"), DS, who="ann", why="-")
    assert champion_of(step, ORIGIN, "cpu")[1].code_version == "older code", "it is what was promoted"
    promotions.undo(who="ann", why="-")
    write_day(step, ORIGIN, np.zeros(CUSTOMERS, int))
    assert champion_of(step, ORIGIN, "cpu")[1].code_version == code_of("popular"), "its day was corrected since"
    promotions.promote(Recipe("repeat", {}, "gone"), DS, who="ann", why="-")
    with pytest.raises(dg.Failure, match=r"promoted with the code gone, today's is \w+; a bundle of it of 2025-03-04"):
        champion_of(step, ORIGIN, "cpu")


def test_a_preset_is_not_judged_by_what_chose_it(write: Write) -> None:
    step = write()
    chosen = {"model": "popular", "study": "s", "metric": "ndcg@12", "value": 0.1, "config": {"seed": 3}}
    for name, seen in (("early", ORIGIN), ("late", DS)):
        write_preset(step.home, name, Preset(last_day_seen=seen, **chosen))
    assert candidate_config(step, RecipeGate(model="popular", preset="early"), ORIGIN).seed == 3
    with pytest.raises(dg.Failure, match=f"by some of which it would be judged: .* nothing after {ORIGIN}"):
        candidate_config(step, RecipeGate(model="popular", preset="late"), ORIGIN)


def test_the_candidate_has_the_promoted_settings_unless_told_otherwise(write: Write) -> None:
    step = write()
    Promotions(step.home.store).promote(Recipe("repeat", {"seed": 5}, "code"), DS, who="ann", why="-")
    seeds = [
        candidate_config(step, RecipeGate(model="repeat", **told), ORIGIN).seed
        for told in ({}, {"from_defaults": True}, {"settings": {"seed": 7}})
    ]
    assert seeds == [5, 0, 7]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": "als2"}, "there is no recommender 'als2'; there are popular"),
        ({"model": "als", "settings": {"factorz": 1}}, "settings of als: factorz"),
        ({"model": "als", "preset": "none"}, "has no preset 'none'"),
    ],
)
def test_what_cannot_be_judged_is_named(write: Write, config: dict[str, Any], message: str) -> None:
    with pytest.raises(dg.Failure, match=message):
        candidate_config(write(), RecipeGate(**config), ORIGIN)
