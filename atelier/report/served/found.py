"""The page of what a search found: customers and articles.

What belongs here: showing hits. What does not: searching (``sql/pages``, :mod:`atelier.attributes.catalogue_search`).
"""

from collections.abc import Iterator, Sequence

import pandas as pd

from atelier.report import parts
from atelier.report.album import Album, strip
from atelier.report.served.frame import customer_link


@parts.section("Articles by identifier", "articles", "No article's identifier begins so.", "")
def articles_section(articles: pd.DataFrame, album: Album) -> Iterator[str]:
    """Articles whose identifier begins as asked.

    Args:
        articles: article_id, product_type.
        album: names and photographs.
    """
    pairs = zip(articles["article_id"].astype(str), articles["product_type"], strict=True)
    yield strip(album.card(article, [parts.plain(kind)]) for article, kind in pairs)


@parts.section("Articles by words", "words", "No article has such words.", "")
def words_section(hits: Sequence[tuple[str, Sequence[str]]], album: Album, of: int) -> Iterator[str]:
    """Articles that have the words, the best first, each with what matched.

    Args:
        hits: article_id and what matched, in words.
        album: names and photographs.
        of: how many there are in all.
    """
    yield parts.paragraph(
        f"{of:,} articles, best match first"
        + (f"; the first {len(hits):,} are shown. More words find fewer." if of > len(hits) else ".")
    )
    yield strip(album.card(article, matched) for article, matched in hits)


@parts.section("Customers by identifier", "customers", "No customer's identifier begins so.", "")
def customers_section(customers: pd.DataFrame) -> Iterator[str]:
    """Customers whose identifier begins as asked.

    Args:
        customers: customer_id, age.
    """
    rows = [
        (customer_link(customer), parts.count_text(age))
        for customer, age in zip(customers["customer_id"].astype(str), customers["age"], strict=True)
    ]
    yield parts.table("In the order of their identifiers.", ("Customer", "Age"), rows)
