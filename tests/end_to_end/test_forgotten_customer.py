"""A customer is forgotten in a home of the whole DAG, and does not come back with the next ingest."""

import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from click.testing import CliRunner

from dagster_project.build import build_defs
from dagster_project.cli import cli
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import without_pools
from resources.doctor import examine
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.publishing import publish
from resources.retailer import Home
from tests.end_to_end.house import HORIZON, House
from tests.resources.forgetting.small_home import texts

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]


@pytest.fixture
def copy(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A copy of the house with a Dagster on its disk, whose events, tags and logs name the customer."""
    shutil.copytree(house.home.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    write_dagster_yaml(home)
    publish(home.open_store(), home.database)
    monkeypatch.setenv("ATELIER_HOME", str(home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield House(home, instance, house.ds)


def ingested(house: House) -> dg.ExecuteInProcessResult:
    return house.run("ingest", house.ds, definitions=build_defs(house.home, stages=without_pools()))


def shown_customer(house: House) -> str:
    """A customer whom the page of the last day shows, and who did something on that day."""
    page = (house.home.reports / f"ds={house.ds}.html").read_text()
    shown = re.findall(r"Customer (c\d+)", page)
    active = house.store.read("interactions", house.ds)["customer_id"].to_pylist()
    assert shown
    return next((each for each in shown if each in active), shown[0])


def of_others(store: FeatureStore, table: str, house: House, customer: str) -> list[pd.DataFrame]:
    """The rows of everybody else, of every part of the two days that are complete."""
    frames = []
    for ds in (house.ds - timedelta(days=HORIZON), house.ds):
        frame = store.read(table, ds).to_pandas().drop(columns="model_id", errors="ignore")
        frames.append(frame[frame["customer_id"] != customer].reset_index(drop=True))
    return frames


def test_nothing_names_a_forgotten_customer_and_no_ingest_brings_them_back(house: House, copy: House) -> None:
    customer = shown_customer(copy)
    run_id = ingested(copy).run_id
    copy.instance.add_run_tags(run_id, {"note": f"asked for by {customer}"})
    run = copy.instance.get_run_by_id(run_id)
    copy.instance.report_engine_event(f"unknown customer_id: '{customer}'", run)
    named = {name for name, text in texts(copy.home.root) if customer in text}
    wanted = ["atelier.duckdb", "runs.db", f"ds={copy.ds}.html", "two_stage_model", "store/recommendations"]
    for place in [*wanted, f"history/runs/{run_id}.db"]:
        assert any(place in name for name in named), place

    done = CliRunner().invoke(cli, ["forget", customer, "--yes"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert {name for name, text in texts(copy.home.root) if customer in text} == set()
    assert "model als_model of" in done.output
    assert f"No model from {copy.ds + timedelta(days=1)} on has" in done.output
    assert customer not in done.output
    assert examine(copy.home).broken == []
    for table in ("recommendations", "customer_features"):
        for old, new in zip(
            of_others(house.store, table, copy, customer), of_others(copy.store, table, copy, customer), strict=True
        ):
            pd.testing.assert_frame_equal(new, old)
    assert copy.models(copy.ds)["als_model"] != house.models(copy.ds)["als_model"]
    index = ModelStore(copy.home.store).bundle("article_index", copy.models(copy.ds)["article_index"])
    assert copy.models(copy.ds)["als_model"] in index.manifest.upstreams.values()

    files = copy.files(copy.ds, "customers", "interactions")
    events = ingested(copy).get_asset_materialization_events()
    suppressed = {
        event.asset_key.to_user_string(): event.materialization.metadata["rows_suppressed"].value
        for event in events
        if event.asset_key and "rows_suppressed" in event.materialization.metadata
    }
    assert suppressed["customers"] == 1
    assert copy.files(copy.ds, "customers", "interactions") == files
    assert {name for name, text in texts(copy.home.root) if customer in text} == set()
    again = CliRunner().invoke(cli, ["forget", customer, "--yes"], catch_exceptions=False)
    assert "nothing was found" in again.output
