"""Checks of models and of the page that warn: each fails where what it looks for is so."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from assets import report
from assets.presets import PRESET_CONFIGS
from assets.recommenders import SERVES, fit_model
from assets.step import RunResources, Step
from atelier.report import page, this_day
from atelier.report.album import Album
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings
from resources.tables import table

DAY = date(2025, 3, 4)


def rows(of: str, /, **columns: Any) -> pd.DataFrame:
    """Rows of a table, with nothing in the columns that are not given."""
    declared = [column.name for column in table(of).columns]
    return pd.DataFrame(columns).assign(**{column: None for column in declared if column not in columns})


@pytest.fixture
def step(tmp_path: Path) -> Step:
    """A step of a day on which two customers bought something."""
    home = Home(tmp_path)
    write_settings(home, Settings(source="sample", path="retailer", first_day=DAY))
    store = FeatureStore(home.store)
    store.write("articles", DAY, rows("articles", article_id=["a0", "a1"], name="Shirt", in_stock=True))
    at = datetime(2025, 3, 4, 10)
    bought = {"ordinal": [0, 1], "customer_id": ["c0", "c1"], "article_id": ["a0", "a1"], "occurred_at": at}
    store.write("interactions", DAY, rows("interactions", **bought, kind="purchase"))
    return Step(RunResources(home, store, ModelStore(home.store), Compute("cpu", 1)), [DAY], "run", "1")


@pytest.mark.parametrize(
    ("customers", "passed", "share"), [(["c8", "c9"], False, "0.0%"), (["c0", "c9"], True, "50.0%")]
)
def test_a_model_that_can_rank_for_nobody_fails_its_check(
    step: Step, customers: list[str], passed: bool, share: str
) -> None:
    step.store.write("customers", DAY, rows("customers", customer_id=customers))
    fit_model("als", step, PRESET_CONFIGS["als"].model_validate({"factors": 2, "iterations": 1}))
    (check,) = [each for each in step.outcome.checks if each.name == SERVES]
    assert check.passed == passed
    assert check.description == f"als can rank articles for {share} of the customers"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<img src="https://elsewhere.example/pixel.png">', "the page loads"),
        ("<p>Everything is here.</p>", "it loads nothing"),
    ],
)
def test_a_page_that_loads_from_elsewhere_fails_its_check(
    step: Step, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr(report, "SECTIONS", ())
    monkeypatch.setattr(report, "day_facts", lambda _: None)
    monkeypatch.setattr(report, "album_of", lambda _: Album(None, {}, None))
    monkeypatch.setattr(this_day, "day_lines", lambda _: [])
    monkeypatch.setattr(page, "render_page", lambda *_, **__: f"<!DOCTYPE html><html><body>{body}</body></html>")
    report.report.compute(step)
    (check,) = step.outcome.checks
    assert check.name == "stands_alone"
    assert check.passed == (said == "it loads nothing")
    assert check.description.startswith(said)
