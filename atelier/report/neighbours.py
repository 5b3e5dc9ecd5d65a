"""The section on similar articles: a few articles and their nearest neighbours, with photographs.

What belongs here: choosing a few rows of similar_articles and showing them. What does not: computing similarity, how an
article's card looks (:mod:`atelier.report.album`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from atelier.report import parts
from atelier.report.album import Album, strip


@parts.section("Similar articles", "neighbours", "No similar articles have been computed yet.")
def neighbours_section(
    similar: pd.DataFrame,
    album: Album | None = None,
    *,
    shown: Sequence[str] | None = None,
    count: int = 4,
    neighbours: int = 6,
) -> Iterator[str]:
    """A few articles and what each model holds to be most like them; all models but the first are folded away.

    Args:
        similar: the table similar_articles.
        album: names and photographs.
        shown: the articles to show; None: ``count`` of them, evenly spread over the ids of those with a photograph.
        count: how many articles to show.
        neighbours: how many neighbours of each.
    """
    album = album or Album()
    asked = list(shown) if shown is not None else _spread(sorted(set(similar["article_id"].astype(str))), album, count)
    yield parts.paragraph(
        "Each row is an article (left) and the articles nearest to it, with the cosine of their vectors."
    )
    rows = similar[similar["article_id"].isin(asked) & (similar["rank"] <= neighbours)]
    by_model = rows.sort_values(["model", "article_id", "rank"]).groupby("model", sort=True)
    for place, (model, of_model) in enumerate(by_model):
        if place == 0:
            yield parts.heading(str(model))
            yield from _strips(of_model, asked, album)
        else:
            yield parts.details(str(model), *_strips(of_model, asked, album))


def _strips(similar: pd.DataFrame, asked: Sequence[str], album: Album) -> Iterator[str]:
    """Each article that has neighbours by one model, followed by them."""
    for article in asked:
        near = similar[similar["article_id"] == article]
        pairs = zip(near["similar_article_id"].astype(str), near["similarity"], strict=True)
        cards = [album.card(other, [f"cosine {parts.figure_text(cosine, 2)}"]) for other, cosine in pairs]
        if cards:
            yield strip([album.card(article, asked=True), *cards])


def _spread(ids: Sequence[str], album: Album, count: int) -> list[str]:
    """``count`` ids evenly spread over those with a photograph (over all where none has one)."""
    pictured = [article for article in ids if article in album] or list(ids)
    positions = np.linspace(0, len(pictured) - 1, min(count, len(pictured))).round().astype(int)
    return [pictured[position] for position in positions]
