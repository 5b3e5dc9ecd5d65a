"""Equal inputs train nothing: the day gets the bundle that they made before, unless something has changed or broke."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets import recommenders as stages
from assets.recommenders import fit_model
from assets.step import RunResources, Step
from atelier.nn.replicas import ALONE
from atelier.recommenders.baselines.popular_config import PopularConfig
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY
from tests.resources.test_made_from import interactions

DAY = date(2025, 3, 3)
MODEL = "popular_model"


class Shop:
    """A tiny store, and the days on which a model was trained."""

    def __init__(self, root: Path) -> None:
        self.home, self.trained = Home(root), list[date]()
        write_settings(self.home, Settings(source="parquet", path="x", first_day=DAY, recommenders=("popular",)))
        self.store, self.models = FeatureStore(self.home.store, threads=1), ModelStore(self.home.store)
        for n in range(2):
            self.store.write("interactions", DAY + timedelta(days=n), interactions(DAY))
            self.store.write("customers", DAY + timedelta(days=n), pd.DataFrame({"customer_id": ["c"]}).assign(**NONE))
            articles = pd.DataFrame({"article_id": ["a"], "in_stock": True})
            columns = list(REGISTRY["articles"].by_name)
            self.store.write("articles", DAY + timedelta(days=n), articles.reindex(columns=columns))

    def fit(self, day: date = DAY, code_version: str = "1", **config: Any) -> Step:
        """What the stage does; returns its step."""
        step = self.step(Compute("cpu", 1), day, code_version)
        fit_model("popular", step, PopularConfig(**config))
        return step

    def step(self, compute: Compute, day: date = DAY, code_version: str = "1") -> Step:
        """A step that has done nothing yet."""
        return Step(RunResources(self.home, self.store, self.models, compute), [day], "run", code_version)

    def reused(self, step: Step) -> bool:
        return "reused" in step.outcome.notes[MODEL]


NONE = {"age": None, "profile": None}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made, fitted = Shop(tmp_path), stages.fitted

    def counted(step: Step, *rest: Any, **named: Any) -> Any:
        made.trained.append(step.ds)
        return fitted(step, *rest, **named)

    monkeypatch.setattr(stages, "fitted", counted)
    return made


def test_the_same_inputs_train_nothing_and_end_in_the_same_bytes(shop: Shop) -> None:
    first = shop.fit()
    before = {path.name: path.read_bytes() for path in first.outcome.bundles[MODEL].path.iterdir()}
    again = shop.fit()
    assert shop.trained == [DAY]
    assert not shop.reused(first)
    assert shop.reused(again)
    assert again.outcome.bundles[MODEL].model_id == first.outcome.bundles[MODEL].model_id
    assert {path.name: path.read_bytes() for path in again.outcome.bundles[MODEL].path.iterdir()} == before
    checks = [{(check.name, check.passed) for check in step.outcome.checks} for step in (first, again)]
    assert checks[0] == checks[1]


def test_inputs_that_were_there_before_get_the_model_of_then(shop: Shop) -> None:
    original = shop.fit().outcome.bundles[MODEL].model_id
    shop.store.write("interactions", DAY, interactions(DAY, rows=3))
    assert shop.fit().outcome.bundles[MODEL].model_id != original
    shop.store.write("interactions", DAY, interactions(DAY))
    assert shop.reused(shop.fit())
    assert shop.models.pointer(MODEL, DAY) == original
    assert shop.trained == [DAY, DAY]


def test_other_settings_other_code_and_another_day_are_trained(shop: Shop) -> None:
    shop.fit()
    shop.fit(window_days=3)
    shop.fit(code_version="2")
    shop.fit(DAY + timedelta(days=1))
    assert len(shop.trained) == 4
    assert not shop.reused(shop.fit(DAY + timedelta(days=1), code_version="3"))


@pytest.mark.filterwarnings("ignore:hybrid has no examples")
def test_a_network_that_several_processes_train_is_another(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bits are others. A model that the step's own process trains all the same stays what it is."""
    monkeypatch.setattr("resources.cluster_training.fit_on_cluster", lambda _, fit: fit(ALONE))
    told = []
    for compute in (Compute("cpu", 1), Compute("cpu", 1, "ray"), Compute("cpu", 1, "ray", training_workers=2)):
        for _ in range(2):
            step = shop.step(compute)
            fit_model("hybrid", step, HybridConfig(mode="collaborative"))
            fit_model("popular", step, PopularConfig())
            told += [(name, notes["replicas"]) for name, notes in step.outcome.notes.items() if "replicas" in notes]
    assert told == [("hybrid_model", 2)]
    assert len(shop.trained) == 3, "popular once, hybrid by itself and together"


def test_a_damaged_bundle_is_trained_again(shop: Shop) -> None:
    bundle = shop.fit().outcome.bundles[MODEL]
    (broken := bundle.path / "config.json").write_bytes(b"{}" + broken.read_bytes()[2:])
    with pytest.warns(UserWarning, match="is not what was published"):
        step = shop.fit()
    assert not shop.reused(step)
    assert shop.models.bundle(MODEL, bundle.model_id).model_id == bundle.model_id


@pytest.mark.parametrize("content", ["", "{}", '{"model_id": 3}', '{"model_id": "../x"}'])
def test_a_damaged_record_of_a_recipe_is_written_again(shop: Shop, content: str) -> None:
    shop.fit()
    (file,) = (shop.home.store / "models" / MODEL).glob("recipe=*.json")
    sound = file.read_text()
    file.write_text(content)
    with pytest.warns(UserWarning, match="is not the record of a recipe"):
        shop.fit()
    assert len(shop.trained) == 2
    assert file.read_text() == sound


def test_a_bundle_that_was_removed_is_no_bundle(shop: Shop) -> None:
    step = shop.fit()
    shop.models.remove(step.outcome.bundles[MODEL])
    assert not shop.reused(shop.fit())
