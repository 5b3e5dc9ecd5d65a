"""What people see, in a real headless browser: the page of a day, a page for searches, our assets in Dagster's UI.

The browser reaches loopback only: every other name is unknown to it. Where ``ATELIER_PICTURES`` names a folder, what it
saw is kept there: that is how the pictures of README are made.
"""

import base64
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from assets.report import report_path
from atelier.report.index import INDEX
from tests.end_to_end.house import House
from tests.end_to_end.server import Server
from tests.web.shop import serving

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--window-size=1280,2000",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
)
CONSOLE = re.compile(r':CONSOLE:\d+\] "(.*)", source: ')
PICTURE_HEIGHT = 900
SECONDS = 180
ATTEMPTS = 3


@dataclass(frozen=True)
class Seen:
    """What a browser made of an address.

    Attributes:
        dom: the document once its scripts have run.
        console: what was said on its console.
        requests: what the document asked for, its own address included.
        picture: what it looks like.
    """

    dom: str
    console: Sequence[str]
    requests: Sequence[str]
    picture: Image.Image

    def keep(self, name: str) -> None:
        """Keep the upper part of the picture under that name, where the environment says in which folder."""
        if folder := os.environ.get("ATELIER_PICTURES"):
            upper = self.picture.crop((0, 0, self.picture.width, PICTURE_HEIGHT)).convert("RGB")
            upper.quantize(128).save(Path(folder) / f"{name}.png", optimize=True)


@dataclass(frozen=True)
class Browser:
    """A headless browser: each look is a new one, with a profile of its own."""

    program: str
    folder: Path

    def look(self, address: str, *, expecting: Sequence[str] = (), milliseconds: int = 10_000) -> Seen:
        """Open an address, again and with more time where something that is expected is not there yet."""
        for attempt in range(1, ATTEMPTS + 1):
            seen = self._look(address, milliseconds * attempt)
            if all(text in seen.dom for text in expecting):
                break
        return seen

    def _look(self, address: str, milliseconds: int) -> Seen:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        log, picture = self.folder / "network.json", self.folder / "picture.png"
        arguments = [
            f"--user-data-dir={self.folder / 'profile'}",
            f"--virtual-time-budget={milliseconds}",
            f"--log-net-log={log}",
            f"--screenshot={picture}",
            "--dump-dom",
            address,
        ]
        done = subprocess.run(
            [self.program, *FLAGS, *arguments], check=True, capture_output=True, text=True, timeout=SECONDS
        )
        with Image.open(picture) as image:
            image.load()
        return Seen(done.stdout, CONSOLE.findall(done.stderr), requested(log), image)


def requested(log: Path) -> list[str]:
    """What the document asked for: the browser's own business, which has no origin, is left out."""
    told = json.loads(log.read_text(encoding="utf-8"))
    start = told["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    starts = [
        event["params"] for event in told["events"] if event["type"] == start and "url" in event.get("params", {})
    ]
    return [params["url"] for params in starts if params.get("initiator") != "not an origin"]


@dataclass
class Page(HTMLParser):
    """The tables, pictures and words of each section of a report.

    Attributes:
        tables: how many tables there are in a section.
        cells: the text of the cells of a section's tables.
        pictures: the addresses of a section's pictures.
    """

    tables: dict[str, int] = field(default_factory=dict)
    cells: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._section, self._in_cell = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "section":
            self._section = values.get("id") or ""
        if tag == "table":
            self.tables[self._section] = self.tables.get(self._section, 0) + 1
        if tag == "img":
            self.pictures.setdefault(self._section, []).append(values.get("src") or "")
        if tag in ("td", "th"):
            self._in_cell = True
            self.cells.setdefault(self._section, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[self._section][-1] += data.strip()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser of this machine; the test is skipped where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return Browser(program, tmp_path_factory.mktemp("browser") / "look")


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


#: Shows a page as wide as a screen, without its policy against scripts of its own, and writes down what it measures.
FRAME = """
<iframe id="frame" style="border:0;height:800px"></iframe><pre id="found"></pre><script>
const frame = document.getElementById("frame"), box = e => e.getBoundingClientRect();
frame.style.width = "WIDTHpx";
frame.onload = () => {
  const page = frame.contentDocument, wanted = page.querySelectorAll("td.verdict, svg:not(.spark)");
  const shown = [...wanted].filter(e => box(e).width);
  const verdicts = shown.filter(e => e.tagName == "TD"), plots = shown.filter(e => e.tagName == "svg");
  const cues = [...page.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth);
  document.getElementById("found").textContent = JSON.stringify({
    width: page.documentElement.scrollWidth,
    verdicts: verdicts.length,
    hidden: verdicts.filter(e => box(e).right > box(e.closest(".scroll")).right + 1).length,
    scales: plots.map(e => box(e).width / e.viewBox.baseVal.width),
    scrolled: cues.length,
    cues: cues.filter(e => getComputedStyle(e).backgroundImage.split("gradient").length > 4).length,
  });
};
frame.srcdoc = PAGE;
</script>
"""


def measured(browser: Browser, page: str, width: int, folder: Path) -> dict[str, Any]:
    """How a page lies on a screen of that width: a window of its own cannot be as narrow as a phone."""
    content = json.dumps(page).replace("</", "<\\/")
    frame = folder / f"frame_{width}.html"
    frame.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGE", content), encoding="utf-8")
    dom = browser.look(frame.as_uri(), expecting=['{"width"']).dom
    found: dict[str, Any] = json.loads(dom.rpartition('<pre id="found">')[2].partition("</pre>")[0])
    return found


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


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("asset", "/assets/recommendations/als", ["recommendations", "daily_retrain", "customer_id", "recommenders"]),
        ("partitions", "/assets/als_model?view=partitions", ["als_model", "Partitions"]),
        (
            "group",
            "/locations/atelier/asset-groups/recommenders/list",
            ["recommendations", "als_model", "hybrid_model"],
        ),
        ("lineage", "/assets/predicted_attributes?view=lineage&lineageScope=upstream", ["attribute_model"]),
        ("jobs", "/overview/jobs", ["ingest", "daily_retrain", "judge"]),
        ("schedules", "/automation", ["daily_retrain_nightly", "judge_nightly"]),
    ],
)
def test_dagster_shows_our_assets_and_jobs(
    browser: Browser, server: Server, name: str, path: str, expected: list[str]
) -> None:
    seen = browser.look(server.url + path, expecting=expected, milliseconds=30_000)
    seen.keep(name)
    for text in expected:
        assert text in seen.dom, text
    assert "Join the Dagster community" not in seen.dom
    assert not [line for line in seen.console if "Uncaught" in line or "Failed to load" in line]
    here = (server.url, server.url.replace("http:", "ws:"), "data:", "blob:")
    assert seen.requests
    assert [request for request in seen.requests if not request.startswith(here)] == []
