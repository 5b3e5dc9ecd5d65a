"""The stage drift on a tiny store: what it measures, what it keeps, and what it says."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from assets.drift import FIGURES, TABLE, DriftSettings, drift, drift_config, figures_up_to
from assets.step import RunResources, Step
from resources import day_figures
from resources.compute import Compute
from resources.doctor import examine
from resources.embedding_cache import EmbeddingCache
from resources.feature_store import FeatureStore
from resources.figure_memory import FigureMemory
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

FIRST = date(2026, 3, 2)
DAYS = 16


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def articles(price: float = 10.0) -> pd.DataFrame:
    columns = ("product_code", "name", "description", "product_type", "brand", "division")
    frame = pd.DataFrame({"article_id": [f"a{number:03d}" for number in range(60)]})
    frame = frame.assign(**dict.fromkeys(columns, "same"), price=price, in_stock=True)
    return frame.assign(available_from=None, available_until=None)


def events(ds: date, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = int(rng.poisson(300))
    return pd.DataFrame(
        {
            "ordinal": range(size),
            "customer_id": rng.choice([f"c{number}" for number in range(40)], size=size),
            "article_id": rng.choice([f"a{number:03d}" for number in range(60)], size=size),
            "occurred_at": pd.Timestamp(ds) + pd.to_timedelta(rng.integers(0, 86_400, size=size), unit="s"),
            "kind": "view",
            "price": 10.0,
            "channel": "web",
            "session_id": None,
        }
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    write_settings(made, Settings(source="parquet", path="files", first_day=FIRST, last_day=day(DAYS)))
    store = FeatureStore(made.store, threads=1)
    store.write_range("articles", [(day(number), articles()) for number in range(DAYS)])
    store.write_range("interactions", [(day(number), events(day(number), number)) for number in range(DAYS)])
    return made


def run(home: Home, ds: date) -> Step:
    store = FeatureStore(home.store, threads=1)
    step = Step(RunResources(home, store, ModelStore(home.store), Compute("cpu", 1)), [ds], "run", "code")
    drift.compute(step, DriftSettings())
    return step


def days_measured(monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days of which articles are measured from now on."""
    seen: list[date] = []
    group = day_figures.GROUPS["articles"]

    def measure(tables: day_figures.DayTables, ds: date) -> pd.DataFrame:
        seen.append(ds)
        return group.measure(tables, ds)

    counted = day_figures.Group(group.reads, measure)
    monkeypatch.setattr(day_figures, "GROUPS", {**day_figures.GROUPS, "articles": counted})
    return seen


def test_a_quiet_day_passes_and_prices_in_pence_are_named(home: Home) -> None:
    store, last = FeatureStore(home.store, threads=1), day(DAYS - 1)
    (quiet,) = run(home, last).outcome.checks
    assert quiet.passed
    assert "none of" in quiet.description
    store.write("articles", last, articles(1_000.0))
    (wrong,) = run(home, last).outcome.checks
    assert not wrong.passed
    assert "articles: price changed: 1 after 0" in wrong.description
    verdicts = store.read(TABLE, last).to_pandas().set_index("name")["verdict"]
    assert verdicts["articles: price changed"] == "flagged"
    assert verdicts["articles: brand changed"] == "usual"


def test_too_few_days_are_said_to_be_too_few(home: Home) -> None:
    (check,) = run(home, day(3)).outcome.checks
    assert check.passed
    assert check.description == "too few earlier days are stored to tell"


def test_a_verdict_depends_neither_on_the_days_run_before_nor_on_later_ones(home: Home) -> None:
    store, last = FeatureStore(home.store, threads=1), day(DAYS - 2)
    run(home, last)
    alone = store.pointer(TABLE, last)
    for number in (DAYS - 4, DAYS - 1):
        run(home, day(number))
    run(home, last)
    assert alone is not None
    again = store.pointer(TABLE, last)
    assert again is not None
    assert again.data_version == alone.data_version


def test_what_was_measured_is_kept_until_what_it_was_measured_from_changes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = day(DAYS - 2), day(DAYS - 1)
    step = run(home, first)
    kept = step.store.read(FIGURES, first).to_pandas()
    seen = days_measured(monkeypatch)
    step = Step(step.resources, [last], "run", "code")
    figures = figures_up_to(step, 28)
    assert first not in seen
    assert last in seen
    assert sorted(figures[first]["what"].unique()) == sorted(kept["name"].unique())
    step.store.write("articles", first, articles(11.0))
    seen.clear()
    figures_up_to(step, 28)
    assert {first, last} <= set(seen)
    seen.clear()
    figures_up_to(Step(step.resources, [last], "run", "other code"), 28)
    assert first in seen


def test_a_night_measures_no_day_that_the_night_before_has_measured(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those days that had no night of their own."""
    seen = days_measured(monkeypatch)
    first = run(home, day(DAYS - 2))
    assert len(set(seen)) == len(seen) == DAYS - 1
    seen.clear()
    again = run(home, day(DAYS - 2))
    assert seen == []
    assert again.store.pointer(TABLE, again.ds) == first.store.pointer(TABLE, first.ds)
    run(home, day(DAYS - 1))
    assert seen == [day(DAYS - 1)]
    seen.clear()
    file = home.store / "figure_memory.parquet"
    whole = file.read_bytes()
    pd.DataFrame({"another": [1]}).to_parquet(file)  # sound, but none of ours
    with pytest.warns(UserWarning, match=r"figure_memory\.parquet is damaged .*made_from"):
        assert FigureMemory(home.store).read() == {}
    file.write_bytes(whole[:100])
    (finding,) = [each for each in examine(home).findings if each.file.endswith(file.name)]
    assert finding.state == "broken"
    assert finding.command == f"dg launch --job daily_retrain --partition {day(DAYS - 1)}"
    with pytest.warns(UserWarning, match=r"figure_memory\.parquet is damaged .* earlier days are measured again"):
        run(home, day(DAYS - 1))
    assert len(seen) == DAYS - 2  # the other two have nights of their own
    assert not [each for each in examine(home).findings if each.file.endswith(file.name)]


def test_a_config_out_of_range_names_the_field() -> None:
    import dagster as dg

    with pytest.raises(dg.Failure, match="false_alarm"):
        drift_config(DriftSettings(false_alarm=2.0))


def lists(model: str, articles: dict[str, list[str]]) -> pd.DataFrame:
    """The lists of a model, as the store has them."""
    rows = [(customer, n + 1, article) for customer, own in articles.items() for n, article in enumerate(own)]
    frame = pd.DataFrame(rows, columns=["customer_id", "rank", "article_id"])
    return frame.assign(
        model=model, seen="excluded", score=1.0, fallback=False, model_id="m", served=model == "als", reasons=None
    )


def test_lists_of_each_model_are_held_against_its_own_of_yesterday(home: Home) -> None:
    """Of als one customer's list of two changed by one article, and of hybrid, which is new, nothing can be said."""
    store = FeatureStore(home.store, threads=1)
    store.write_range(
        "customers",
        [(day(n), pd.DataFrame({"customer_id": ["b", "c"]}).assign(age=None, profile=None)) for n in (0, 1)],
    )
    store.write("recommendations", day(0), lists("als", {"b": ["x", "y"], "c": ["x", "y"]}), part="als")
    store.write("recommendations", day(1), lists("als", {"b": ["x", "y"], "c": ["z", "y"]}), part="als")
    store.write("recommendations", day(1), lists("hybrid", {"c": ["z", "x"]}), part="hybrid")
    tables = day_figures.DayTables(store, EmbeddingCache(home.store))
    found = day_figures.GROUPS[day_figures.LISTS].measure(tables, day(1)).set_index("what")["value"]
    assert found["lists of als: Jaccard with yesterday's"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["lists of als"] == 2
    assert found["lists of hybrid"] == 1
    assert "lists of hybrid: Jaccard with yesterday's" not in found
    held = tables.read(day_figures.LISTS, day(1))
    assert held is not None
    assert all(isinstance(held[name].dtype, pd.CategoricalDtype) for name in ("customer_id", "article_id", "model"))
