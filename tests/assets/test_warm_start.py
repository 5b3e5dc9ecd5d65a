"""A night's sequence model that starts from the one of the night before: when it does, and when it must not."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets.recommenders import fit_model
from assets.step import RunResources, Step
from atelier import recommenders
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.transformer_config import TransformerConfig
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.forgetting.bundles import CustomerBundles
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY
from tests.recommenders.sequential.circle import ARTICLES, circle
from tests.resources.test_made_from import interactions

FIRST = date(2025, 3, 3)
DAYS = [FIRST + timedelta(days=n) for n in range(12)]
MODEL = "transformer_model"
CONFIG: dict[str, Any] = {
    "mode": "collaborative",
    "factors": 16,
    "heads": 2,
    "blocks": 1,
    "max_epochs": 4,
    "adds_co_occurrence": False,
    "warm_start": 0.5,
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Shop:
    """A tiny store with some days of people who go round a circle of articles."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        settings = Settings(source="parquet", path="x", first_day=FIRST, recommenders=("popular",), horizon=3)
        write_settings(self.home, settings)
        self.store, self.models = FeatureStore(self.home.store, threads=1), ModelStore(self.home.store)
        ids = [f"a{place:02d}" for place in range(ARTICLES)]
        articles = pd.DataFrame({"article_id": ids, "in_stock": True}).reindex(
            columns=list(REGISTRY["articles"].by_name)
        )
        for n, day in enumerate(DAYS):
            self.sell(n)
            people = pd.DataFrame({"customer_id": [f"c{n}{c:04d}" for c in range(30)], "age": None, "profile": None})
            self.store.write("customers", day, people)
            self.store.write("articles", day, articles)

    def sell(self, n: int, **columns: Any) -> None:
        """Store the interactions of a day, some columns of which differ."""
        chosen = circle(30, seed=n)
        rows = interactions(DAYS[n], rows=len(chosen)).to_pandas()
        bought = {name: chosen[name].to_numpy() for name in ("customer_id", "article_id")}
        self.store.write("interactions", DAYS[n], rows.assign(**bought, **columns))

    def fit(self, n: int, **config: Any) -> tuple[str, SequenceRecommender[Any]]:
        """What the stage does on a day; what it says of the start, and the model."""
        step = self.fitted(n, **config)
        model = recommenders.load(step.outcome.bundles[MODEL].path)
        assert isinstance(model, SequenceRecommender)
        return str(step.outcome.notes[MODEL].get("warm_start", "")), model

    def epochs(self, n: int) -> float:
        """How many epochs the training of a day took; 0 where a bundle was reused."""
        return float(self.fitted(n).outcome.notes[MODEL].get("epochs", 0))

    def fitted(self, n: int, **config: Any) -> Step:
        """The step of a day's fit, whose model passes its gates."""
        step = Step(RunResources(self.home, self.store, self.models, Compute("cpu", 1)), [DAYS[n]], "run", "1")
        fit_model("transformer", step, TransformerConfig(**CONFIG | config))
        self.judge(n, passed=True)
        return step

    def judge(self, n: int, *, passed: bool) -> None:
        """Write the day's champions: its model, or the one of the day before."""
        day = DAYS[n] if passed else DAYS[n - 1]
        row = {"model": "transformer", "serving": False, "model_id": self.models.pointer(MODEL, day), "made_on": day}
        row |= {"recipe": "r", "action": "passed" if passed else "kept", "promotion": None, "who": "gates", "why": "-"}
        self.store.write("champions", DAYS[n], pd.DataFrame([row]).astype({"promotion": "Int64"}))

    def upstreams(self, n: int) -> dict[str, str]:
        """What the model of a day was made from."""
        return self.models.bundle(MODEL, self.models.pointer(MODEL, DAYS[n])).manifest.upstreams


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_day_starts_from_the_day_before_and_trains_less(shop: Shop) -> None:
    assert shop.epochs(4) == 4
    assert shop.epochs(5) == 2
    assert shop.upstreams(5)[MODEL] == shop.models.pointer(MODEL, DAYS[4])
    assert shop.epochs(5) == 0, "the same inputs, among them the same model of the day before"
    said, _ = shop.fit(6)
    assert said == f"from the model of {DAYS[5]}"
    assert shop.fit(6, warm_start=None)[0] == ""
    assert MODEL not in shop.upstreams(6)


def test_what_was_corrected_or_is_too_old_or_has_other_settings_is_no_start(shop: Shop) -> None:
    assert shop.fit(4)[0] == f"from random weights: no model of the days from {DAYS[1]} on has passed its gates"
    assert shop.fit(8)[0].startswith("from random weights: no model of the days from")
    assert shop.fit(5, dropout=0.2)[0] == f"from random weights: the model of {DAYS[4]} has other settings"
    assert shop.fit(5)[0] == f"from the model of {DAYS[4]}"
    shop.sell(3, session_id="corrected")
    replaced = f"from random weights: interactions of {DAYS[5]} have changed since that day's model was made"
    assert shop.fit(6)[0] == replaced
    assert shop.fit(5)[0] == replaced.replace(str(DAYS[5]), str(DAYS[4])), "and so on, back to the corrected day"
    shop.fit(4)
    assert shop.fit(5)[0] == f"from the model of {DAYS[4]}"


def test_a_model_that_failed_its_gates_is_no_start(shop: Shop) -> None:
    for n in (4, 5):
        shop.fit(n)
    shop.judge(5, passed=False)
    assert shop.fit(6)[0] == f"from the model of {DAYS[4]}"


def test_layers_of_another_size_and_a_damaged_model_are_no_start(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.fit(4)
    monkeypatch.setattr(SequenceRecommender, "_factors", lambda *_: 32)
    monkeypatch.setattr("atelier.recommenders.sequential.transformer.Transformer._factors", lambda *_: 32)
    assert "from random weights: training cannot start from that model" in shop.fit(5)[0]
    bundle = shop.models.bundle(MODEL, shop.models.pointer(MODEL, DAYS[5]))
    (bundle.path / "config.json").write_text("{}")
    fresh = Shop.__new__(Shop)
    fresh.__dict__ |= shop.__dict__ | {"models": ModelStore(shop.home.store)}
    assert "is not what was published" in fresh.fit(6)[0]


def test_the_weights_of_who_was_forgotten_end_with_the_next_night(shop: Shop) -> None:
    for n in (4, 5, 6):
        shop.fit(n)
    assert shop.upstreams(6)[MODEL] == shop.models.pointer(MODEL, DAYS[5])
    gone = "c40003"
    bundles = CustomerBundles(shop.home, [gone])
    told = list(bundles.forget())
    assert {each.training_day for each in told} == set(DAYS[4:7])
    for n in (4, 5, 6):
        shop.judge(n, passed=True)  # as forgetting rewrites the tables that name a bundle
    bundles.remove_replaced()
    assert shop.upstreams(6)[MODEL] == shop.models.pointer(MODEL, DAYS[5]), "the chain names the new bundles"
    rows = shop.store.read("interactions", DAYS[4]).to_pandas()
    shop.store.write("interactions", DAYS[4], rows[rows["customer_id"] != gone])
    said, model = shop.fit(7)
    assert said == f"from random weights: interactions of {DAYS[6]} have changed since that day's model was made"
    assert not model.can_serve([gone])[0]
