"""A plot with its name, text alternative and caption, which a study writes as a file and the page shows.

What belongs here: :class:`Drawing`. What does not: what is drawn (:mod:`atelier.report.attribute_plots`,
:mod:`atelier.report.recommender_plots`), how (:mod:`atelier.report.figures`).
"""

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
        """The figure on the page."""
        return figure(self.svg, self.alt, self.caption)


def figures(drawings: Iterable[Drawing]) -> list[Markup]:
    """Each drawing on the page."""
    return [drawing.html() for drawing in drawings]
