"""The daily page: one self-contained HTML file made of sections.

What belongs here: the frame around the sections. What does not: what the sections show (a module for each).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from atelier.report.parts import Section, environment

FOOTER = "Made by Atelier. Every figure comes from the partition of {ds}; ± is half a 95% interval."


@dataclass(frozen=True)
class Link:
    """A link from a page to another one.

    Attributes:
        href: the other page, relative to this one.
        text: what is shown.
        rel: what the other page is to this one, as HTML names it: ``prev``, ``next``, ``up``; empty: nothing special.
    """

    href: str
    text: str
    rel: str = ""


def render_page(
    title: str, ds: date | str, sections: Sequence[Section], links: Sequence[Link] = (), footer: str | None = None
) -> str:
    """The page as one HTML document: no script, no external resource, the same bytes for the same input.

    Args:
        title: the page's heading, for example the retailer's name.
        ds: the day it reports on.
        sections: what the stages contribute, in the order in which they shall stand.
        links: the pages that it leads to, above its sections.
        footer: the last line; None: that every figure comes from the partition of ``ds``.

    Raises:
        ValueError: two sections have the same anchor, or one is not made of letters, digits and hyphens.
    """
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            ds=str(ds),
            sections=checked(sections),
            links=links,
            footer=FOOTER.format(ds=ds) if footer is None else footer,
        )
    )


def checked(sections: Sequence[Section]) -> Sequence[Section]:
    """The sections of one page as they are.

    Raises:
        ValueError: two sections have the same anchor, or one is not made of letters, digits and hyphens.
    """
    anchors = [section.anchor for section in sections]
    for anchor in anchors:
        if not anchor.isascii() or not anchor.replace("-", "").isalnum() or anchors.count(anchor) > 1:
            raise ValueError(f"the anchor {anchor!r} must be unique and made of letters, digits and hyphens")
    return sections
