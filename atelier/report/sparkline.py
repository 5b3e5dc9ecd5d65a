"""Small line charts for tiles and cells of tables: one series over days, the day and what it is held against marked.

What belongs here: drawing one series without axes. What does not: plots with axes (:mod:`atelier.report.figures`).

They are written as SVG here: a tile's chart is a path and three marks, of which matplotlib makes fifty times the bytes.
"""

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from atelier.metrics.encoding import Floats

WIDTH, HEIGHT, EDGE = 160, 40, 5


def sparkline(values: Floats, marks: Mapping[int, str], alt: str) -> Markup:
    """A line without axes, from the oldest value at the left to the newest; a gap where a value is not known.

    Args:
        values: float [days], the newest last; nan: not known. The lowest value lies at the bottom edge, the highest at
            the top.
        marks: class of the mark by place in ``values``; a place without a value has none. The page's style sheet has
            ``now``, ``yesterday`` and ``week``, which differ in shape as well as in colour.
        alt: what the chart shows, for those who do not see it.
    """
    known = ~np.isnan(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    x = np.linspace(EDGE, WIDTH - EDGE, len(values)) if len(values) > 1 else np.full(len(values), WIDTH / 2)
    height = (
        (HEIGHT - 2 * EDGE) * (values - low) / (high - low) if high > low else np.full(len(values), HEIGHT / 2 - EDGE)
    )
    y = HEIGHT - EDGE - height
    drawn = Markup("").join(
        _MARKS[kind].format(kind, f"{x[place]:.1f}", f"{y[place]:.1f}") for place, kind in marks.items() if known[place]
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="xMinYMid" role="img" aria-label="{}">'
        '<path d="{}"/>{}</svg>'
    ).format(WIDTH, HEIGHT, alt, _path(x, y, known), drawn)


_MARKS = {
    "now": Markup('<circle class="{}" cx="{}" cy="{}" r="3.5"/>'),
    "yesterday": Markup('<circle class="{}" cx="{}" cy="{}" r="3"/>'),
    "week": Markup('<rect class="{}" x="{}" y="{}" width="6" height="6" transform="translate(-3 -3)"/>'),
}


def _path(x: Floats, y: Floats, known: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> str:
    """The path through the known points: a new piece after each gap."""
    starts = known & ~np.concatenate([[False], known[:-1]])
    places = np.flatnonzero(known)
    return "".join(f"{'M' if starts[place] else 'L'}{x[place]:.1f} {y[place]:.1f}" for place in places)
