"""A headless browser that looks at a page and tells what it saw, and how a page lies on a screen.

What belongs here: what several of the browser's tests use. What does not: what is asserted. The browser reaches
loopback only: every other name is unknown to it. Where ``ATELIER_PICTURES`` names a folder, what it saw is kept there:
that is how the pictures of README are made.
"""

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

from PIL import Image

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
"""For what a page does by itself; the machine may be busy."""
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
        """Keep the upper part of the picture under that name, see :func:`keep`."""
        keep(self.picture, name)


def keep(picture: Image.Image, name: str) -> None:
    """Keep the upper part of a picture under a name, where the environment says in which folder."""
    if folder := os.environ.get("ATELIER_PICTURES"):
        upper = picture.crop((0, 0, picture.width, PICTURE_HEIGHT)).convert("RGB")
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
