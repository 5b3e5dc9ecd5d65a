"""The stages of what a business asks, on a tiny store: what they read, and that nothing later than the day counts."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from assets.business import FIGURES, SALES, attribute_sales, business_figures
from assets.open_work import open_work
from assets.step import RunResources, Step
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import REGISTRY

FIRST = date(2025, 3, 3)
DAYS = [FIRST + timedelta(days=n) for n in range(9)]


def rows_of(table: str, rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows).reindex(columns=list(REGISTRY[table].by_name))


@pytest.fixture
def step_of(tmp_path: Path) -> Callable[[date], Step]:
    home = Home(tmp_path / "home")
    write_settings(home, Settings(source="parquet", path="x", first_day=FIRST, recommenders=("popular", "als")))
    store = FeatureStore(home.store)
    for n, day in enumerate(DAYS):
        bought = {"customer_id": f"c{n}", "article_id": "a", "occurred_at": pd.Timestamp(day), "kind": "purchase"}
        store.write("interactions", day, rows_of("interactions", [{"ordinal": 0, **bought, "price": 10}] * (n > 0)))
    value = {"article_id": "a", "attribute": "fit", "value": "slim", "source": "abstained", "image_digests": []}
    for day in DAYS[7:]:
        store.write("predicted_attributes", day, rows_of("predicted_attributes", [{**value, "text_digest": "0" * 64}]))
    return lambda ds: Step(RunResources(home, store, ModelStore(home.store), Compute("cpu", 1)), [ds], "run", "1")


def test_figures_and_sales_are_those_of_the_day_and_not_of_what_came_later(step_of: Callable[[date], Step]) -> None:
    step = step_of(DAYS[7])
    business_figures.compute(step)
    attribute_sales.compute(step)
    figures = step.read(FIGURES)
    today = figures[figures["day"].astype(str) == str(DAYS[7])].set_index("window_days")
    assert today.index.tolist() == [1, 7]
    assert today["active_customers"].tolist() == [1, 7]
    assert figures[figures["window_days"] == 1]["purchases"].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    (sales,) = step.read(SALES).to_dict("records")
    assert (sales["units"], sales["abstained_units"], sales["revenue"], sales["next_forecast"]) == (7, 7, 70, 7)
    assert pd.isna(sales["forecast"])
    assert step.outcome.notes[FIGURES]["active_customers_7d"] == 7
    work = open_work(step)
    assert work.abstained is not None
    assert work.abstained[["article_id", "units"]].to_numpy().tolist() == [["a", 7]]
    assert (work.errors, work.unlisted) == (None, None)


def test_a_first_day_without_interactions_has_zeros(step_of: Callable[[date], Step]) -> None:
    step = step_of(FIRST)
    business_figures.compute(step)
    (figures,) = step.read(FIGURES).to_dict("records")
    assert (figures["window_days"], figures["active_customers"], figures["revenue"]) == (1, 0, 0)
    assert pd.isna(figures["conversion"])
    assert step.outcome.notes[FIGURES] == {"revenue_1d": 0, "active_customers_1d": 0}


def test_articles_that_nobody_sees_are_those_of_no_list_that_is_shown(step_of: Callable[[date], Step]) -> None:
    """The serving model failed its gates: a's list of the day before stays, and tonight's, of b, is shown to nobody."""
    step, before = step_of(DAYS[8]), DAYS[7]
    articles = [{"article_id": name, "in_stock": True} for name in ("a", "b", "c")]
    step.store.write("articles", step.ds, rows_of("articles", articles))
    row = {"seen": "excluded", "customer_id": "c1", "rank": 1, "served": True, "fallback": False, "model_id": "m"}
    lists = {(before, "als"): "a", (before, "hybrid"): "c", (step.ds, "als"): "b"}
    for (day, model), article in lists.items():
        listed = rows_of("recommendations", [row | {"model": model, "article_id": article, "score": 1.0}])
        step.store.write("recommendations", day, listed, part=model)
    work = open_work(step)
    assert work.unlisted is not None
    assert set(work.unlisted["article_id"]) == {"a", "c"}, "no day has passed: tonight's lists are shown"
    champion = {"model": "als", "serving": True, "model_id": "0" * 32, "made_on": before}
    champion |= {"recipe": "r", "action": "passed", "who": "gates", "why": "-"}
    step.store.write("champions", before, rows_of("champions", [champion]))
    work = open_work(step)
    assert work.unlisted is not None
    assert set(work.unlisted["article_id"]) == {"b", "c"}, "the gates of tonight were not run"
    step.store.write("champions", step.ds, rows_of("champions", [champion | {"action": "kept"}]))
    work = open_work(step)
    assert work.unlisted is not None
    assert set(work.unlisted["article_id"]) == {"b", "c"}
