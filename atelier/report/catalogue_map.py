"""The map of the catalogue: a picture for the daily page, and a page of its own whose points show their photographs.

What belongs here: both. What does not: computing places (:mod:`atelier.articles.catalogue_map`).
"""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.album import Album
from atelier.report.figures import MARKERS, SERIES, styled, subplots, svg
from atelier.report.page import Link

NAMED = len(SERIES)
"""Product types with a colour of their own: the most frequent."""
OTHERS = "other types"
MOST_POINTS = 5000
"""Points that are drawn: more would make the page slow, and its photographs large."""
THUMBNAIL = (72, 96)
"""Pixels, the longest sides of a photograph on the page of the map."""


@parts.section("Map of the catalogue", "map", "The catalogue has not been mapped yet, or no article has a photograph.")
def catalogue_map_section(places: pd.DataFrame, page: str | None = None) -> Iterator[str]:
    """The map as a picture, coloured by product type, and the way to the page whose points show photographs.

    Args:
        places: article_id, x, y, product_type.
        page: where the page of the map lies, relative to the daily page; None: there is none.
    """
    yield parts.paragraph(
        f"{len(places):,} articles by their photographs: what looks alike lies together. Only nearness says something, "
        "neither the axes nor how far groups lie apart."
    )
    alt = "A scatter plot of articles by photograph, coloured by product type"
    yield parts.figure(map_picture(places), alt, "Principal components of the image vectors, then t-SNE.")
    if page is not None:
        yield Markup('<p><a href="{}">The map whose points show their photographs</a></p>').format(page)


def grouped(places: pd.DataFrame) -> pd.Series:
    """The product type of each article; all but the most frequent are other types."""
    types = places["product_type"].astype("str").where(places["product_type"].notna(), OTHERS)
    counts = types[types != OTHERS].value_counts()
    frequent = sorted(counts.index, key=lambda name: (-counts[name], name))[:NAMED]
    return types.where(types.isin(frequent), OTHERS)


def _series(places: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The articles of each group, the largest first and the other types last."""
    groups = grouped(places)
    counts = groups.value_counts()
    for name in sorted(counts.index, key=lambda name: (name == OTHERS, -counts[name], name)):
        yield str(name), places[groups == name]


def map_picture(places: pd.DataFrame) -> str:
    """The map as SVG, coloured by product type; of more than ``MOST_POINTS`` articles so many are drawn.

    Args:
        places: article_id, x, y, product_type.
    """
    with styled():
        plot, (axis,) = subplots(1, 6.5, 5.0)
        for number, (name, rows) in enumerate(_series(_sample(places))):
            known = name != OTHERS
            axis.scatter(
                rows["x"],
                rows["y"],
                s=9,
                linewidths=0,
                label=name,
                color=SERIES[number] if known else "#888888",
                marker=MARKERS[number] if known else ".",
                alpha=1.0 if known else 0.5,
            )
        axis.set_xticks([])
        axis.set_yticks([])
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handletextpad=0.2)
        return svg(plot)


def _sample(places: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_POINTS`` of the articles, evenly chosen."""
    return places.iloc[np.linspace(0, len(places) - 1, min(len(places), MOST_POINTS)).astype(int)]


def catalogue_map_page(places: pd.DataFrame, album: Album, title: str, ds: str, back: Link) -> str:
    """A page of its own, which needs nothing from outside: a map to zoom, whose points show name and photograph.

    Args:
        places: article_id, x, y, product_type; at most ``MOST_POINTS`` are shown, evenly chosen.
        album: names and photographs.
        title: the page's heading.
        ds: the day.
        back: the way to the daily page.
    """
    from plotly.offline import get_plotlyjs

    shown, traces = _sample(places), []
    cards: list[list[str | None]] = []
    for name, rows in _series(shown):
        ids = rows["article_id"].astype(str).tolist()
        traces.append(
            {
                "name": name,
                "x": [round(float(x), 3) for x in rows["x"]],
                "y": [round(float(y), 3) for y in rows["y"]],
                "first": len(cards),
            }
        )
        cards += [[article, album.name(article), album.thumbnail(article, THUMBNAIL)] for article in ids]
    return (
        parts.environment()
        .get_template("map.html.j2")
        .render(
            title=title,
            ds=ds,
            back=back,
            count=len(shown),
            total=len(places),
            plotly=Markup(get_plotlyjs()),  # noqa: S704 - the library's own script
            data=_script_safe({"traces": traces, "cards": cards}),
        )
    )


def _script_safe(data: object) -> Markup:
    """JSON that can stand in a script: no text in it can end the script or begin a comment."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704 - as it says
