"""The picture of nearest neighbours: a few articles, and what each model holds to be most like them, with photographs.

What belongs here: an SVG that stands alone, photographs included. What does not: computing similarity
(:mod:`atelier.recommenders`), the daily page's lists of similar articles (:mod:`atelier.report.neighbours`).
"""

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from atelier.report.album import Album
from atelier.report.drawing import Drawing
from atelier.report.parts import NONE, figure_text

#: The popularities of recommender_neighbours, in the order in which they are shown, and how each is called.
POPULARITY = {"most": "most popular", "median": "of median popularity", "least": "least popular"}
WIDE, HIGH, GAP = 84, 112, 12  # points: a photograph, and what stands between two
ABOVE, BELOW = 16, 46  # points, for a heading, and for two lines of a name and one of a figure
LINE, LETTERS = 10, 19  # points between lines of small text, and letters that fit below a photograph
BESIDE = 2  # models side by side


def neighbours_drawings(neighbours: pd.DataFrame, models: Sequence[str], album: Album | None = None) -> list[Drawing]:
    """A drawing for each popularity: on the left the article, beside it the neighbours that each model finds.

    Args:
        neighbours: the table recommender_neighbours of one day.
        models: in the order in which they are shown; those without neighbours are left out.
        album: names and photographs.
    """
    album = album or Album()
    drawings = []
    for popularity, words in POPULARITY.items():
        rows = neighbours[neighbours["popularity"] == popularity].sort_values("rank")
        by_model = {model: found for model in models if len(found := rows[rows["model"] == model])}
        if not by_model:
            continue
        asked = str(rows["article_id"].iloc[0])
        name = album.name(asked)
        caption = f"The {words} article, {name} ({asked}), and the nearest to it by each model."
        alt = (
            f"{name}, article {asked}, and its nearest neighbours by {', '.join(by_model)}; the table below names them."
        )
        drawings.append(Drawing(f"neighbours_{popularity}", _picture(asked, words, by_model, album), alt, caption))
    return drawings


def _picture(asked: str, words: str, by_model: Mapping[str, pd.DataFrame], album: Album) -> str:
    most = max(len(rows) for rows in by_model.values())
    group, step, left = most * (WIDE + GAP) + GAP, ABOVE + HIGH + BELOW, WIDE + 3 * GAP
    parts = [_text(0, LINE, [words]), _card(0, ABOVE, asked, album)]
    for number, (model, rows) in enumerate(by_model.items()):
        x, y = left + number % BESIDE * group, number // BESIDE * step
        parts.append(_text(x, y + LINE, [model], size=10))
        pairs = zip(rows["similar_article_id"].astype(str), rows["similarity"], strict=True)
        parts += [
            _card(x + nth * (WIDE + GAP), y + ABOVE, article, album, cosine)
            for nth, (article, cosine) in enumerate(pairs)
        ]
    width = left + min(len(by_model), BESIDE) * group - 2 * GAP
    height = -(-len(by_model) // BESIDE) * step
    return str(
        Markup(
            '<svg width="{}pt" height="{}pt" viewBox="-4 -4 {} {}" xmlns="http://www.w3.org/2000/svg" '
            'font-family="sans-serif">{}</svg>'
        ).format(width + 8, height + 8, width + 8, height + 8, Markup("").join(parts))
    )


def _card(x: float, y: float, article: str, album: Album, cosine: float | None = None) -> Markup:
    """A photograph with its name and, of a neighbour, its cosine; an empty frame where there is no photograph."""
    box = Markup('x="{}" y="{}" width="{}" height="{}"').format(x, y, WIDE, HIGH)
    picture = album.picture(article)
    inside = (
        Markup('<image {} preserveAspectRatio="xMidYMid slice" href="{}"/>').format(box, picture)
        if picture
        else _text(x + WIDE / 2, y + HIGH / 2, ["no photograph"], anchor="middle")
    )
    name = album.name(article)
    lines = textwrap.wrap(article if name == NONE else name, LETTERS, max_lines=2, placeholder="…") or [article]
    if cosine is not None:
        lines.append(f"cosine {figure_text(cosine, 2)}")
    frame = Markup('<rect {} fill="none" stroke="var(--line)"/>').format(box)
    return inside + frame + _text(x, y + HIGH + LINE, lines)


def _text(x: float, y: float, lines: Sequence[str], anchor: str = "start", size: float = 8) -> Markup:
    return Markup("").join(
        Markup('<text x="{}" y="{}" text-anchor="{}" font-size="{}" fill="var(--ink)">{}</text>').format(
            x, y + number * LINE, anchor, size, line
        )
        for number, line in enumerate(lines)
    )
