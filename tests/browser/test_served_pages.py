"""The pages of `atelier serve` in a real headless browser: photographs are seen, nothing else is asked for."""

import base64
import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.looking import Browser, measured
from tests.web.shop import SCRIPT, Shop, make_home, serving

pytestmark = [pytest.mark.browser, pytest.mark.hostile]

PAGES = {
    "start": "/",
    "days": "/days",
    "customer": "/customer?id=c",
    "article": "/article?id=a",
    "search": "/search?q=coat",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with serving(make_home(tmp_path_factory.mktemp("served"))) as running:
        running.upkeep.look()
        yield running


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_this_server_alone_and_complains_of_nothing(browser: Browser, shop: Shop, name: str) -> None:
    here = f"http://127.0.0.1:{shop.port}"
    seen = browser.look(here + PAGES[name], expecting=["</footer>"])
    assert seen.console == []
    assert [request for request in seen.requests if not request.startswith(f"{here}/")] == []
    pictured = name in ("customer", "article", "search")
    assert any("/photograph?" in request for request in seen.requests) == pictured
    colours = {colour for _, colour in seen.picture.convert("RGB").getcolors(1 << 24) or ()}
    assert any(red > 200 > 60 > max(green, blue) for red, green, blue in colours) == pictured, "the red photograph"


def test_markup_of_the_catalogue_is_shown_and_does_not_run(browser: Browser, shop: Shop) -> None:
    seen = browser.look(f"http://127.0.0.1:{shop.port}/article?id=a", expecting=["</footer>"])
    assert html.escape(SCRIPT, quote=False) in seen.dom
    assert "<script" not in seen.dom
    assert seen.console == []


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, shop: Shop, name: str, tmp_path: Path) -> None:
    def inlined(found: re.Match[str]) -> str:
        """The frame that is as wide as a phone has no server: its photographs stand in it."""
        content = base64.b64encode(shop.ask(html.unescape(found[1])).body).decode()
        return f'src="data:image/jpeg;base64,{content}"'

    page = re.sub(r'src="(/photograph[^"]*)"', inlined, shop.ask(PAGES[name]).text)
    found = measured(browser, page, 390, tmp_path)
    assert found["width"] == 390, "the page itself scrolls sideways"
    assert found["cues"] == found["scrolled"]


def test_every_field_and_photograph_has_words(shop: Shop) -> None:
    """What a screen reader says, and what the tab key reaches."""
    for target in PAGES.values():
        page = shop.ask(target).text
        assert len(re.findall("<(?:input|select)", page)) == len(re.findall("<label", page))
        assert not re.findall(r'<img(?![^>]*alt="[^"]+")', page)
        assert 'lang="en"' in page
        for box in re.findall(r'<(?:div|ul) class="(?:scroll|shots)"[^>]*>', page):
            assert 'tabindex="0"' in box
            assert "aria-label=" in box
