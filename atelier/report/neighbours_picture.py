"""The picture of nearest neighbours: a few articles, and what each model holds to be most like them, with photographs.

What belongs here: an SVG that stands alone, photographs included. What does not: computing similarity
(:mod:`atelier.recommenders`), the daily page's lists of similar articles (:mod:`atelier.report.neighbours`).
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from atelier.report.drawing import Drawing
from atelier.report.neighbours import inline_picture, names_of
from atelier.report.parts import figure_text, plain

#: Of popularity, in the order in which they are shown, with their words.
POPULARITY = {"most": "most popular", "median": "of median popularity", "least": "least popular"}
WIDE, HIGH, GAP = 84, 112, 12  # points: a photograph, and what stands between two
ABOVE, BELOW = 16, 46  # points, for a heading, and for two lines of a name and one of a figure
LINE, LETTERS = 10, 19  # points between lines of small text, and letters that fit below a photograph
BESIDE = 2  # models side by side


def neighbours_drawings(
    neighbours: pd.DataFrame,
    models: Sequence[str],
    photographs: Mapping[str, Path | str] | None = None,
    articles: pd.DataFrame | None = None,
    root: Path | None = None,
) -> list[Drawing]:
    """A drawing for each popularity: on the left the article, beside it the neighbours that each model finds.

    Args:
        neighbours: the table recommender_neighbours of one day.
        models: in the order in which they are shown; those without neighbours are left out.
        photographs: the image file of an article.
        articles: article_id, name, for captions.
        root: the folder that must hold the photographs, and that relative paths start from. None: any place.
    """
    names = names_of(articles)
    found = photographs or {}
    wanted = {*neighbours["article_id"].astype(str), *neighbours["similar_article_id"].astype(str)}
    pictures = {article: inline_picture(found.get(article), root) for article in sorted(wanted)}
    drawings = []
    for popularity, words in POPULARITY.items():
        rows = neighbours[neighbours["popularity"] == popularity].sort_values("rank")
        shown = [model for model in models if model in set(rows["model"])]
        if not shown:
            continue
        asked = str(rows["article_id"].iloc[0])
        by_model = {model: rows[rows["model"] == model] for model in shown}
        svg = _picture(words, asked, by_model, names, pictures)
        name = plain(names.get(asked))
        caption = f"The {words} article, {name} ({asked}), and the nearest to it by each model."
        alt = f"{name}, article {asked}, and its nearest neighbours by {', '.join(shown)}; the table below names them."
        drawings.append(Drawing(f"neighbours_{popularity}", svg, alt, caption))
    return drawings


def _picture(
    words: str,
    asked: str,
    by_model: Mapping[str, pd.DataFrame],
    names: Mapping[str, object],
    pictures: Mapping[str, str | None],
) -> str:
    most = max(len(rows) for rows in by_model.values())
    group, step, left = most * (WIDE + GAP) + GAP, ABOVE + HIGH + BELOW, WIDE + 3 * GAP
    parts = [_text(0, LINE, [words]), _card(0, ABOVE, asked, names, pictures)]
    for place, (model, rows) in enumerate(by_model.items()):
        x, y = left + place % BESIDE * group, place // BESIDE * step
        parts.append(_text(x, y + LINE, [model], size=10))
        pairs = zip(rows["similar_article_id"].astype(str), rows["similarity"], strict=True)
        parts += [
            _card(x + nth * (WIDE + GAP), y + ABOVE, article, names, pictures, similarity)
            for nth, (article, similarity) in enumerate(pairs)
        ]
    width = left + min(len(by_model), BESIDE) * group - 2 * GAP
    height = -(-len(by_model) // BESIDE) * step
    return str(
        Markup(
            '<svg width="{}pt" height="{}pt" viewBox="-4 -4 {} {}" xmlns="http://www.w3.org/2000/svg" '
            'font-family="sans-serif">{}</svg>'
        ).format(width + 8, height + 8, width + 8, height + 8, Markup("").join(parts))
    )


def _card(
    x: float,
    y: float,
    article: str,
    names: Mapping[str, object],
    pictures: Mapping[str, str | None],
    similarity: object = None,
) -> Markup:
    """A photograph with its name and, of a neighbour, its cosine; an empty frame where there is no photograph."""
    frame = Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="var(--line)"/>').format(
        x, y, WIDE, HIGH
    )
    picture = pictures.get(article)
    inside = (
        Markup('<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="xMidYMid slice" href="{}"/>').format(
            x, y, WIDE, HIGH, picture
        )
        if picture
        else _text(x + WIDE / 2, y + HIGH / 2, ["no photograph"], anchor="middle")
    )
    title = plain(names.get(article)) if names.get(article) else article
    lines = textwrap.wrap(title, LETTERS, max_lines=2, placeholder="…") or [article]
    if similarity is not None:
        lines.append(f"cosine {figure_text(similarity, 2)}")
    return inside + frame + _text(x, y + HIGH + LINE, lines)


def _text(x: float, y: float, lines: Sequence[str], anchor: str = "start", size: float = 8) -> Markup:
    spans = [
        Markup('<text x="{}" y="{}" text-anchor="{}" font-size="{}" fill="var(--ink)">{}</text>').format(
            x, y + place * LINE, anchor, size, line
        )
        for place, line in enumerate(lines)
    ]
    return Markup("").join(spans)
