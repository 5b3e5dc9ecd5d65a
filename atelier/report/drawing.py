"""A plot with its name, text alternative and caption, which a study writes as a file and the page shows.

What belongs here: :class:`Drawing`. What does not: what is drawn (:mod:`atelier.report.attribute_plots`,
:mod:`atelier.report.recommender_plots`), how (:mod:`atelier.report.figures`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from atelier.report.parts import figure


@dataclass(frozen=True)
class Drawing:
    """One picture of a study.

    Attributes:
        name: letters, digits and underscores: what its file is called.
        svg: as :mod:`atelier.report.figures` makes it.
        alt: its text alternative.
        caption: what it shows.
    """

    name: str
    svg: str
    alt: str
    caption: str

    def html(self) -> Markup:
        """The figure on the page, in its own size: a small plot is not stretched to the width of others."""
        own = re.sub(
            r'<svg (?=[^>]*?\bwidth="([\d.]+pt)")', r'<svg style="min-width:min(36rem,\1)" ', self.svg, count=1
        )
        return figure(own, self.alt, self.caption)


def figures(drawings: Iterable[Drawing]) -> list[Markup]:
    """Each drawing on the page."""
    return [drawing.html() for drawing in drawings]
