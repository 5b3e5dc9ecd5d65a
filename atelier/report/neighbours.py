"""The section on similar articles: a few articles and their nearest neighbours, with photographs.

What belongs here: choosing a few rows of similar_articles; names and small photographs of articles, for other sections
too. What does not: computing similarity.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.images.decode import ImageRejected, decode, read
from atelier.report.parts import Section, figure_text, heading, joined, missing, paragraph, plain

COMMAND = "dg launch --job daily_retrain --partition <day>"
SIZE = (150, 200)  # pixels, the longest sides of a photograph on the page
Photographs = Callable[[str], Path | str | None] | Mapping[str, Path | str | None]


def neighbours_section(
    similar: pd.DataFrame | None,
    photographs: Photographs | None = None,
    articles: pd.DataFrame | None = None,
    *,
    shown: Sequence[str] | None = None,
    count: int = 4,
    neighbours: int = 6,
    command: str = COMMAND,
    root: Path | None = None,
) -> Section:
    """A few articles and what each model holds to be most like them.

    Args:
        similar: the table similar_articles.
        photographs: the image file of an article, or None; a mapping or a function.
        articles: article_id, name, for captions.
        shown: the articles to show; None: ``count`` of them, evenly spread over the ids of those with a photograph.
        count: how many articles to show.
        neighbours: how many neighbours of each.
        command: what to run where there are none.
        root: the folder that must hold the photographs, and that relative paths start from; one that a link or ``..``
            leads out of it is not shown. None: any place.
    """
    title, anchor = "Similar articles", "neighbours"
    if similar is None or similar.empty:
        return Section(title, anchor, missing("No similar articles have been computed yet.", command))
    find = _finder(photographs)
    asked = list(shown) if shown is not None else _spread(sorted(set(similar["article_id"].astype(str))), find, count)
    names = names_of(articles)
    rows = similar[similar["article_id"].isin(asked) & (similar["rank"] <= neighbours)]
    wanted = list(dict.fromkeys([*asked, *rows["similar_article_id"].astype(str)]))
    pictures = {article: inline_picture(find(article), root) for article in wanted}
    parts = [
        paragraph("Each row is an article (left) and the articles nearest to it, with the cosine of their vectors.")
    ]
    for model, of_model in rows.sort_values(["model", "article_id", "rank"]).groupby("model", sort=True):
        parts.append(heading(str(model)))
        for article in asked:
            near = of_model[of_model["article_id"] == article]
            if len(near):
                parts.append(_strip(article, near, names, pictures))
    return Section(title, anchor, joined(*parts))


def _finder(photographs: Photographs | None) -> Callable[[str], Path | str | None]:
    if photographs is None:
        return lambda _: None
    return photographs.get if isinstance(photographs, Mapping) else photographs


def _spread(ids: Sequence[str], find: Callable[[str], Path | str | None], count: int) -> list[str]:
    """``count`` ids evenly spread over those with a photograph (over all where none has one)."""
    pictured = [article for article in ids if find(article) is not None] or list(ids)
    places = np.linspace(0, len(pictured) - 1, min(count, len(pictured))).round().astype(int)
    return [pictured[place] for place in places]


def _strip(article: str, near: pd.DataFrame, names: Mapping[str, object], pictures: Mapping[str, str | None]) -> Markup:
    cards = [_card(article, names, pictures, None)]
    cards += [
        _card(other, names, pictures, similarity)
        for other, similarity in zip(near["similar_article_id"].astype(str), near["similarity"], strict=True)
    ]
    return Markup('<ul class="neighbours">{}</ul>\n').format(Markup("").join(cards))


def _card(article: str, names: Mapping[str, object], pictures: Mapping[str, str | None], similarity: object) -> Markup:
    name = plain(names.get(article))
    below = Markup("<span>{}</span><span class=soft>{}</span>").format(name, article)
    if similarity is not None:
        below += Markup("<span class=soft>cosine {}</span>").format(figure_text(similarity, 2))
    kind = Markup(' class="asked"') if similarity is None else Markup("")
    return Markup("<li{}>{}{}</li>").format(kind, photograph(pictures[article], name, article), below)


def names_of(articles: pd.DataFrame | None) -> dict[str, object]:
    """The name of each article; none where there is no frame of article_id and name."""
    return {} if articles is None else dict(zip(articles["article_id"].astype(str), articles["name"], strict=True))


def photograph(picture: str | None, name: str, article: str) -> Markup:
    """The photograph on an article's card, of :func:`inline_picture`, or that there is none."""
    inside = Markup("<span>no photograph</span>")
    if picture:
        inside = Markup('<img src="{}" alt="{}">').format(picture, f"{name}, article {article}")
    return Markup('<div class="photograph">{}</div>').format(inside)


def inline_picture(path: Path | str | None, root: Path | None = None, size: tuple[int, int] = SIZE) -> str | None:
    """The photograph made small, as a data URI; None where it is refused, as every stage that opens images refuses.

    Args:
        path: the file, or None.
        root: the folder that must hold it.
        size: its longest sides, in pixels.
    """
    if path is None:
        return None
    try:
        small = decode(read(path, root), str(path), at_least=min(size))  # a JPEG is decoded at a fraction of its size
    except ImageRejected:
        return None  # shown as "no photograph"; the images table says why
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
