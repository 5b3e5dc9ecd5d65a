"""The sections on similar articles and on what replaces sold-out ones: a few of them, with photographs.

What belongs here: choosing a few rows of similar_articles and out_of_stock_replacement and showing them. What does not:
computing similarity, how an article's card looks (:mod:`atelier.report.album`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from atelier.complement_lists import BOUGHT, LOOK
from atelier.report import parts
from atelier.report.album import Album, strip

#: The models whose neighbours look alike; those of all others are bought by the same people.
BY_PHOTOGRAPH = ("image",)
#: What each list of complements is, by its name.
LISTS = {
    LOOK: "Complete the look: what an outfit would add, one article of a product type.",
    BOUGHT: "People also bought: with the article or later, more often than by chance.",
}


@parts.section("Similar articles", "neighbours", "No similar articles have been computed yet.")
def neighbours_section(
    similar: pd.DataFrame,
    album: Album | None = None,
    *,
    complements: pd.DataFrame | None = None,
    shown: Sequence[str] | None = None,
    count: int = 4,
    neighbours: int = 6,
) -> Iterator[str]:
    """A few articles with what looks like them, and apart from it what the same people buy and what goes together.

    Of the models that learn from what people do all but the first are folded away.

    Args:
        similar: the table similar_articles.
        album: names and photographs.
        complements: the table complementary_articles; None or empty: nothing is said of what goes together.
        shown: the articles to show; None: ``count`` of them, evenly spread over the ids of those with a photograph.
        count: how many articles to show.
        neighbours: how many neighbours of each.
    """
    album = album or Album()
    asked = list(shown) if shown is not None else _spread(sorted(set(similar["article_id"].astype(str))), album, count)
    yield parts.paragraph(
        "Each row is an article (left) and the articles in stock nearest to it, with the cosine of their vectors."
    )
    rows = similar[similar["article_id"].isin(asked) & (similar["rank"] <= neighbours)]
    rows = rows.sort_values(["model", "article_id", "rank"])
    alike = rows["model"].isin(BY_PHOTOGRAPH)
    if alike.any():
        yield parts.heading("Looks alike")
        yield parts.paragraph("By photographs alone, other colours of the article's own style left out.")
        yield from _strips(rows[alike], asked, album)
    if not alike.all():
        yield parts.heading("Bought by the same people")
        yield parts.paragraph(
            "By what customers did, of any product type: what the same people like need not look alike."
        )
    for place, (model, of_model) in enumerate(rows[~alike].groupby("model", sort=True)):
        if place == 0:
            yield parts.paragraph(f"By {model}:")
            yield from _strips(of_model, asked, album)
        else:
            yield parts.details(str(model), *_strips(of_model, asked, album))
    if complements is not None and len(complements):
        yield parts.heading("Goes together")
        others = count if shown is None else 0
        yield from _together(complements[complements["rank"] <= neighbours], asked, album, others)


def _together(complements: pd.DataFrame, asked: Sequence[str], album: Album, others: int) -> Iterator[str]:
    """Each list by its name: every article that something goes with, followed by it.

    Where a list has none of the articles that are asked for, as many as ``others`` of its own are shown.
    """
    for name, of_list in complements.groupby("list", sort=True):
        strips = []
        listed = set(of_list["article_id"].astype(str))
        chosen = list(asked) if listed.intersection(asked) else _spread(sorted(listed), album, others)
        for article in chosen:
            own = of_list[of_list["article_id"] == article].sort_values("rank")
            cards = [album.card(other) for other in own["complement_article_id"].astype(str)]
            if cards:
                strips.append(strip([album.card(article, asked=True), *cards]))
        if strips:
            yield parts.paragraph(LISTS[str(name)])
            yield from strips


@parts.section("Out of stock", "out-of-stock", "Nothing is out of stock, or no replacements have been computed yet.")
def replacements_section(
    replacements: pd.DataFrame, album: Album | None = None, *, count: int = 4, shown: int = 5
) -> Iterator[str]:
    """How articles without stock are replaced, and a few of them with their replacements.

    Args:
        replacements: the table out_of_stock_replacement.
        album: names and photographs.
        count: how many articles to show.
        shown: how many replacements of each.
    """
    album = album or Album()
    first = replacements[replacements["rank"] == 1]
    counts, why = first["basis"].value_counts(), dict(zip(first["basis"], first["reason"], strict=True))
    rows = [
        (why[basis], parts.count_text(count), parts.percent_text(count / len(first)))
        for basis, count in zip(counts.index, counts.tolist(), strict=True)
    ]
    columns = ("Why the best replacement was chosen", "Articles", "Share")
    yield parts.table(f"The {len(first):,} articles without stock, by what is offered in their place.", columns, rows)
    replaced = replacements[replacements["replacement_article_id"].notna() & (replacements["rank"] <= shown)]
    for article in _spread(sorted(set(replaced["article_id"].astype(str))), album, count):
        own = replaced[replaced["article_id"] == article].sort_values("rank")
        facts = zip(own["replacement_article_id"].astype(str), own["similarity"], own["price_ratio"], strict=True)
        cards = [
            album.card(
                other,
                [
                    f"cosine {parts.figure_text(cosine, 2)}" if pd.notna(cosine) else "no photograph to compare",
                    f"{parts.figure_text(ratio, 2)} × the price" if pd.notna(ratio) else "price not known",
                ],
            )
            for other, cosine, ratio in facts
        ]
        yield strip([album.card(article, ["out of stock"], asked=True), *cards])


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
