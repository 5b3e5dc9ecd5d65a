"""The frame of a served page, its links, and cards of articles that lead to their pages.

What belongs here: what every served page has. What does not: what one of them shows.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from urllib.parse import urlencode

import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album
from atelier.report.page import Link, checked

LONGEST_QUERY = 200
"""Characters of what is searched for, and of an identifier, at most."""
FOOTER = "Made by Atelier from atelier.duckdb, as it was published last. Nothing can be changed here."
PLACES = (Link("/", "Start"), Link("/days", "All days"))


def served_page(
    title: str, ds: date | str, sections: Sequence[parts.Section], asked: str = "", links: Sequence[Link] = PLACES
) -> str:
    """A page as one HTML document without a script; its photographs come from the server.

    Args:
        title: the page's heading.
        ds: the newest day that it shows.
        sections: its parts.
        asked: what stands in the search box.
        links: the pages that it leads to, above its sections.
    """
    return (
        parts.environment()
        .get_template("served.html.j2")
        .render(
            title=title,
            ds=str(ds),
            sections=checked(sections),
            links=links,
            footer=FOOTER,
            asked=asked,
            longest=LONGEST_QUERY,
        )
    )


def address(page: str, **parameters: object) -> str:
    """A page of this server: identifiers stand in the query, where any character may stand."""
    return f"/{page}?{urlencode({name: str(value) for name, value in parameters.items()})}"


def article_link(article: str, text: str | None = None) -> Markup:
    """A link to an article's page; without a text it shows the identifier."""
    return Markup('<a href="{}">{}</a>').format(address("article", id=article), text or article)


def customer_link(customer: str) -> Markup:
    """A link to a customer's page."""
    return Markup('<a href="{}">{}</a>').format(address("customer", id=customer), customer)


class LinkedAlbum(Album):
    """Cards whose names lead to the articles' pages, with photographs that the server sends when they are seen.

    Args:
        articles: article_id, name, path (of the first photograph; null: none).
    """

    def __init__(self, articles: pd.DataFrame) -> None:
        pictured = articles.loc[articles["path"].notna(), "article_id"].astype(str)
        super().__init__(articles, {article: address("photograph", id=article) for article in pictured})

    def heading(self, article: str) -> Markup:
        """The name, or without one the identifier, as a link."""
        name = self.name(article)
        return article_link(article, None if name == parts.NONE else name)

    def picture(self, article: str) -> str | None:
        """The address of the photograph on this server."""
        found = self._photographs.get(article)
        return None if found is None else str(found)


def facts(caption: str, rows: Iterable[tuple[str, object]]) -> Markup:
    """A table of names and values; rows whose value is null are left out."""
    kept = [(name, value) for name, value in rows if parts.plain(value) != parts.NONE]
    return parts.table(caption, ("What", "Value"), kept, ("What", "Value"))


def day(value: object) -> str:
    """A day of a frame, as people write it in Atelier: 2020-09-22; a dash where there is none."""
    return parts.NONE if parts.plain(value) in (parts.NONE, "NaT") else str(pd.Timestamp(str(value)).date())
