"""Our pages in light and dark, by the keyboard alone, and the map of the catalogue under a pointer.

What belongs here: what holds of every page however it is looked at. What does not: what a page says (``test_ui``,
``test_served_pages``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from assets.report import report_path
from atelier.report.index import INDEX
from tests.end_to_end.house import House
from tests.web.shop import Shop, make_home, serving

pytestmark = pytest.mark.browser

SERVED = ("/", "/days", "/customer?id=c", "/article?id=a", "/search?q=coat")
WRITTEN = ("day", "index", "map", "lineage")
#: Texts that stand out too little from what they stand on: WCAG 2.2, 1.4.3, 4.5 to 1, of large ones 3 to 1.
FAINT = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, place) => sum + v * [.2126, .7152, .0722][place], 0);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parts(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > .5) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter(n => n.nodeType == 3).map(n => n.data.trim()).join("");
    const said = /[\\p{L}\\p{N}]/u.test(text) && !element.closest("svg, script, style, noscript");
    if (!said || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const lights = [light(parts(style.color)), light(ground(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.6 && style.fontWeight >= 700);
    const ratio = (lights[0] + .05) / (lights[1] + .05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
  }
  return {faint: found, page: light(ground(document.body))};
}"""
#: How many elements a keyboard has to reach: those that are shown.
REACHABLE = """() => [...document.querySelectorAll("a[href], input, select, button, summary, [tabindex='0']")]
  .filter(e => e.getClientRects().length && e.checkVisibility()).length"""
#: The element that has the focus, marked so that it is counted once: a date has several fields. null: the page's end.
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element == document.body) return null;
  if (element.dataset.reached) return {again: true};
  element.dataset.reached = "yes";
  const style = getComputedStyle(element);
  return {
    name: element.outerHTML.slice(0, 80),
    shown: (style.outlineStyle != "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow != "none",
  };
}"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(make_home(tmp_path_factory.mktemp("served"))) as running:
        running.upkeep.look()
        yield running


def written(house: House, name: str) -> Path:
    """The file of one of the pages that the daily job writes."""
    reports: Path = house.home.reports
    if name == "lineage":
        return sorted((reports / f"ds={house.ds}-lineage").glob("*.html"))[0]
    names = {
        "day": report_path(reports, house.ds),
        "index": reports / INDEX,
        "map": reports / f"ds={house.ds}-map.html",
    }
    return names[name]


@pytest.fixture(params=[*SERVED, *WRITTEN])
def address(request: pytest.FixtureRequest) -> str:
    """Each page in turn."""
    if request.param in SERVED:
        return f"http://127.0.0.1:{request.getfixturevalue('shop').port}{request.param}"
    return written(request.getfixturevalue("house"), request.param).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_in_dark(tab: Page, address: str, scheme: Any) -> None:
    tab.emulate_media(color_scheme=scheme)
    tab.goto(address)
    found = tab.evaluate(FAINT)
    assert found["faint"] == []
    assert (found["page"] < 0.1) if scheme == "dark" else (found["page"] > 0.8)


def test_the_keyboard_reaches_everything_and_shows_where_it_is(tab: Page, address: str) -> None:
    tab.emulate_media(color_scheme="light")
    tab.goto(address)
    wanted = tab.evaluate(REACHABLE)
    reached = []
    for _ in range(2 * wanted):
        tab.keyboard.press("Tab")
        focused = tab.evaluate(FOCUSED)
        if focused is None or len(reached) == wanted:
            break
        if "again" not in focused:
            reached.append(focused)
    assert len(reached) == wanted
    assert [each["name"] for each in reached if not each["shown"]] == []


def test_a_customer_is_searched_by_the_keyboard(tab: Page, shop: Shop) -> None:
    tab.goto(f"http://127.0.0.1:{shop.port}/")
    tab.get_by_role("searchbox").focus()
    tab.keyboard.type("c2")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/customer?id=c2")


def test_an_article_of_the_map_is_shown_when_it_is_pointed_at(tab: Page, house: House) -> None:
    browser, said = tab.context.browser, list[str]()
    assert browser is not None
    page = browser.new_page()  # in which no earlier page is still loading
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = written(house, "map").as_uri()
    page.goto(address)
    point = page.locator("#map .scatterlayer .point").first
    point.wait_for()
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown = page.locator("#shown")
    shown.get_by_role("img").wait_for()
    assert "article" in (shown.get_by_role("img").get_attribute("alt") or "")
    assert said == []
    assert [request for request in asked if not request.startswith(("data:", "blob:"))] == [address]
    page.close()
