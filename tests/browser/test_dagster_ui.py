"""Dagster's UI in a real headless browser: our assets and jobs are looked at, days are materialised by clicking.

What belongs here: what people see and click there. What does not: our own pages (``test_ui``), the same requests
without a browser (``tests.end_to_end.test_server``).
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from atelier.sources.sample import SampleConfig
from tests.browser.looking import SECONDS, Browser, keep
from tests.end_to_end.server import Server

pytestmark = pytest.mark.browser

FIRST = SampleConfig().first_day


def materialise(tab: Page, address: str, days: str, button: str) -> None:
    """Click through the dialog that materialises an asset's or a job's days."""
    tab.goto(address)
    tab.get_by_role("button", name="Materialize…").click()
    dialog = tab.get_by_role("dialog")
    chosen = dialog.get_by_role("textbox").first
    chosen.fill(days)
    chosen.press("Enter")
    dialog.get_by_role("button", name=button).click()


def photograph(tab: Page, name: str) -> None:
    """Keep what the tab shows, for README."""
    keep(Image.open(BytesIO(tab.screenshot())), name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/assets/recommendations/als", ["recommendations", "daily_retrain", "customer_id", "recommenders"]),
        ("/assets/als_model?view=partitions", ["als_model", "Partitions"]),
        ("/locations/atelier/asset-groups/recommenders/list", ["recommendations", "als_model", "hybrid_model"]),
        ("/assets/predicted_attributes?view=lineage&lineageScope=upstream", ["attribute_model"]),
        ("/overview/jobs", ["ingest", "daily_retrain", "judge"]),
        ("/automation", ["daily_retrain_nightly", "judge_nightly"]),
    ],
)
def test_dagster_shows_our_assets_and_jobs(browser: Browser, server: Server, path: str, expected: list[str]) -> None:
    seen = browser.look(server.url + path, expecting=expected, milliseconds=30_000)
    if path == "/automation":
        seen.keep("schedules")
    for text in expected:
        assert text in seen.dom, text
    assert "Join the Dagster community" not in seen.dom
    assert not [line for line in seen.console if "Uncaught" in line or "Failed to load" in line]
    here = (server.url, server.url.replace("http:", "ws:"), "data:", "blob:")
    assert seen.requests
    assert [request for request in seen.requests if not request.startswith(here)] == []


def test_a_day_is_materialised_by_clicking(tab: Page, server: Server) -> None:
    day = FIRST + timedelta(days=4)
    materialise(tab, f"{server.url}/assets/articles", f"{day}", "Launch 1 run")
    tab.get_by_role("link", name="View", exact=True).or_(tab.get_by_role("button", name="View", exact=True)).click()
    tab.wait_for_url(re.compile("/runs/"))
    server.finished_run(tab.url.rpartition("/runs/")[2].partition("?")[0])
    expect(tab.get_by_text("Success", exact=True).first).to_be_visible(timeout=1000 * SECONDS)
    assert day in server.materialised_days("articles")
    for name, view, shown in (("asset", "overview", "Latest materialization"), ("partitions", "partitions", f"{day}")):
        tab.goto(f"{server.url}/assets/articles?view={view}")
        expect(tab.get_by_text(shown).first).to_be_visible()
        photograph(tab, name)


def test_checks_of_an_asset_are_told(tab: Page, server: Server) -> None:
    tab.goto(f"{server.url}/assets/articles?view=checks")
    for name in ("contract", "rows_add_up", "few_rows_rejected"):
        expect(tab.get_by_text(name, exact=True).first).to_be_visible()
    tab.get_by_text("rows_add_up", exact=True).first.click()
    expect(tab.get_by_text(re.compile("Passed|Succeeded")).first).to_be_visible()


def test_lineage_leads_from_an_asset_to_what_it_is_made_from(tab: Page, server: Server) -> None:
    tab.goto(f"{server.url}/assets/predicted_attributes?view=lineage&lineageScope=upstream")
    node = tab.get_by_text("attribute_model", exact=True).first
    expect(node).to_be_visible()
    photograph(tab, "lineage")
    node.click()
    tab.wait_for_url(re.compile("attribute_model"))


@pytest.mark.nightly
def test_days_are_backfilled_by_clicking(tab: Page, server: Server) -> None:
    days = [FIRST + timedelta(days=n) for n in (5, 6)]
    before = backfills(server)
    materialise(tab, f"{server.url}/locations/atelier/jobs/ingest/partitions", span(days), "Launch backfill")
    tab.get_by_text(re.compile("Created backfill|Launched backfill|View")).first.wait_for()
    (made,) = backfills(server) - before
    told = server.finished_backfill(made)
    assert sorted(told["partitionNames"]) == [f"{day}" for day in days]
    assert set(days) <= set(server.materialised_days("interactions"))


def span(days: Sequence[date]) -> str:
    """A range of days as the dialog takes it."""
    return f"[{days[0]}...{days[-1]}]"


def backfills(server: Server) -> set[str]:
    """The ids of all backfills."""
    told = server.ask("{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }")
    return {each["id"] for each in told["partitionBackfillsOrError"]["results"]}
