"""Whether a page can be read alone: from a mail, from a disk, on a machine without a network.

What belongs here: finding what a page would load from elsewhere. What does not: making the page
(:mod:`atelier.report.page`).
"""

import re
from html.parser import HTMLParser

#: The attributes by which an element loads something; a link that a reader follows (``a href``) loads nothing.
LOADS = {"src", "srcset", "poster", "data", "background"}
#: A style that loads something; a fragment (``url(#clip)``) and what is inside the page (``url(data:…)``) do not.
STYLE_URL = re.compile(r"""url\(\s*['"]?(?!#|data:)([^'")]+)""")


def loaded_from_elsewhere(page: str) -> list[str]:
    """What a browser would run, or load from outside the page, in the order in which it stands.

    Args:
        page: an HTML document.

    Returns:
        The element and the address of each, for example ``img https://…``; empty for a page that stands alone.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        given = {name: value or "" for name, value in attrs}
        if tag in ("script", "iframe", "object", "embed"):
            self.found.append(f"{tag} {given.get('src', given.get('data', ''))}".strip())
            return
        loads = LOADS | ({"href", "xlink:href"} if tag in ("link", "image", "use") else set())
        for name, value in given.items():
            if name in loads and not value.startswith(("data:", "#")):
                self.found.append(f"{tag} {value}")
        self.found += [f"{tag} {address}" for address in STYLE_URL.findall(given.get("style", ""))]

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += [f"style {address}" for address in STYLE_URL.findall(data)]
