"""The daily page: one self-contained HTML file made of sections.

What belongs here: the frame around the sections. What does not: what the sections show (a module for each).
"""

from collections.abc import Sequence
from datetime import date

from atelier.report.parts import Section, environment


def render_page(title: str, ds: date | str, sections: Sequence[Section]) -> str:
    """The page as one HTML document: no script, no external resource, the same bytes for the same input.

    Args:
        title: the page's heading, for example the retailer's name.
        ds: the day it reports on.
        sections: what the stages contribute, in the order in which they shall stand.

    Raises:
        ValueError: two sections have the same anchor, or one is not made of letters, digits and hyphens.
    """
    anchors = [section.anchor for section in sections]
    for anchor in anchors:
        if not anchor.isascii() or not anchor.replace("-", "").isalnum() or anchors.count(anchor) > 1:
            raise ValueError(f"the anchor {anchor!r} must be unique and made of letters, digits and hyphens")
    return environment().get_template("page.html.j2").render(title=title, ds=str(ds), sections=sections)
