"""Our own pages in a real headless browser: the page of a day, and the page for searches."""

import base64
import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from assets.report import report_path
from atelier.report.index import INDEX
from tests.browser.looking import Browser, Page, measured
from tests.end_to_end.house import House
from tests.web.shop import serving

pytestmark = pytest.mark.browser


def test_the_browser_notices_requests_and_errors(browser: Browser, tmp_path: Path) -> None:
    """A page that does what ours must not, so that the tests below are known to see it."""
    page = tmp_path / "page.html"
    page.write_text(
        '<img src="http://127.0.0.1:9/pixel.png"><img src="http://atelier.example/far.png"><script>'
        "document.body.append('written by a script'); console.error('said'); throw new Error('thrown')</script>"
    )
    seen = browser.look(page.as_uri())
    assert "written by a script</body>" in seen.dom
    assert {"http://127.0.0.1:9/pixel.png", "http://atelier.example/far.png"} <= set(seen.requests)
    assert "said" in seen.console
    assert any("thrown" in line for line in seen.console)


def test_the_page_of_a_day_shows_the_leaderboard_and_photographs(browser: Browser, house: House) -> None:
    path = report_path(house.home.reports, house.ds)
    seen = browser.look(path.as_uri())
    seen.keep("report")
    page = Page()
    page.feed(seen.dom)
    assert page.tables.get("leaderboard")
    assert {"als", "popular", "recall@10"} <= set(page.cells["leaderboard"])
    metrics = house.store.read("offline_metrics", house.ds).to_pandas()
    wanted = {"model": "als", "metric": "recall", "k": 10, "segment": "all", "seen": "excluded"}
    (row,) = metrics[(metrics[list(wanted)] == pd.Series(wanted)).all(axis=1)].itertuples()
    assert any(cell.startswith(f"{row.value:.4f}") for cell in page.cells["leaderboard"])
    photographs = page.pictures["neighbours"]
    assert photographs
    for address in {picture for pictures in page.pictures.values() for picture in pictures}:
        kind, _, content = address.partition(";base64,")
        assert kind.startswith("data:image/")
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as image:
            image.load()
    colours = seen.picture.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    assert len(colours) > 50, "the page is painted in a few colours only: no photograph is seen"


def test_the_page_of_a_day_asks_for_nothing_and_complains_of_nothing(browser: Browser, house: House) -> None:
    address = report_path(house.home.reports, house.ds).as_uri()
    seen = browser.look(address)
    assert seen.dom.count("<section") >= 6
    assert seen.console == []
    assert {request for request in seen.requests if not request.startswith("data:")} <= {address}


def test_on_a_phone_verdicts_stay_in_sight_and_nothing_is_cut_without_a_cue(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    page = report_path(house.home.reports, house.ds).read_text(encoding="utf-8")
    found = measured(browser, page, 390, tmp_path)
    assert found["width"] == 390, "the page itself scrolls sideways"
    assert found["verdicts"] > 10
    assert found["hidden"] == 0
    assert found["scrolled"] > 3, "the case has to hold something that is wider than a phone"
    assert found["cues"] == found["scrolled"]


def test_the_letters_of_all_plots_are_equally_large(browser: Browser, house: House, tmp_path: Path) -> None:
    page = report_path(house.home.reports, house.ds).read_text(encoding="utf-8")
    scales = measured(browser, page, 1200, tmp_path)["scales"]
    assert len(scales) > 3
    assert max(scales) / min(scales) < 1.02


def test_the_page_of_all_days_leads_to_the_days(browser: Browser, house: House) -> None:
    address = (house.home.reports / INDEX).as_uri()
    seen = browser.look(address)
    assert f'href="ds={house.ds}.html"' in seen.dom
    assert seen.console == []
    assert {request for request in seen.requests if not request.startswith("data:")} <= {address}


def test_an_article_is_served_with_its_photographs_and_where_its_attributes_come_from(
    browser: Browser, house: House
) -> None:
    predicted = house.store.read("predicted_attributes", house.ds).to_pandas()
    pictured = predicted[predicted["image_digests"].map(len) > 0].sort_values(["source", "article_id"])
    article = pictured["article_id"].iloc[-1]  # "predicted" is the last source
    with serving(house.home) as shop:
        shop.upkeep.look()
        here = f"http://127.0.0.1:{shop.port}"
        seen = browser.look(f"{here}/article?id={article}", expecting=["</footer>"])
    seen.keep("served_article")
    assert article in seen.dom
    assert any("/photograph?" in request for request in seen.requests)
    assert seen.console == []
