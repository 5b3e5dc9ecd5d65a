"""Articles as people see them: their names and small photographs, for every section that shows articles.

What belongs here: :class:`Album`, cards of articles, making photographs small and safe. What does not: which articles
a section shows, drawings that hold photographs (:mod:`atelier.report.neighbours_picture`).
"""

import base64
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from atelier.images.decode import ImageRejected, decode, read
from atelier.report.parts import NONE, plain

SIZE = (150, 200)  # pixels, the longest sides of a photograph on the page


class Album:
    """The names and photographs of articles; each photograph is read once.

    Args:
        articles: article_id, name; None: no article has a name.
        photographs: the image file of each article that has one.
        root: the folder that must hold the photographs, and that relative paths start from; one that a link or ``..``
            leads out of it is not shown. None: photographs may lie anywhere.
    """

    def __init__(
        self,
        articles: pd.DataFrame | None = None,
        photographs: Mapping[str, Path | str] | None = None,
        root: Path | None = None,
    ) -> None:
        self._names: Mapping[str, object] = (
            {} if articles is None else dict(zip(articles["article_id"].astype(str), articles["name"], strict=True))
        )
        self._photographs = photographs or {}
        self._root = root
        self._pictures: dict[str, str | None] = {}

    def __contains__(self, article: str) -> bool:
        """Whether the article has a photograph, shown or refused."""
        return article in self._photographs

    def name(self, article: str) -> str:
        """The article's name; a dash where it has none."""
        return plain(self._names.get(article))

    def named(self, article: str) -> str:
        """The article's name and id; the id alone where it has no name."""
        name = self.name(article)
        return article if name == NONE else f"{name} ({article})"

    def heading(self, article: str) -> str:
        """What stands on the article's card as its name; Markup where it leads somewhere."""
        return self.name(article)

    def picture(self, article: str) -> str | None:
        """The article's photograph as :func:`inline_picture` makes it; None where there is none, or it is refused."""
        if article not in self._pictures:
            self._pictures[article] = inline_picture(self._photographs.get(article), self._root)
        return self._pictures[article]

    def thumbnail(self, article: str, size: tuple[int, int]) -> str | None:
        """The article's photograph within another size, made anew each time; None as :meth:`picture`."""
        return inline_picture(self._photographs.get(article), self._root, size)

    def card(
        self, article: str, below: Iterable[str] = (), above: Markup | None = None, *, asked: bool = False
    ) -> Markup:
        """A card: the photograph, ``above``, the article's name and id, and the lines ``below``.

        Args:
            article: the article.
            below: lines of text.
            above: what stands between photograph and name.
            asked: set the card apart, as the article that the other cards are about.
        """
        name, picture = self.name(article), self.picture(article)
        inside = (
            Markup('<img src="{}" alt="{}" loading="lazy">').format(picture, f"{name}, article {article}")
            if picture
            else Markup("<span>no photograph</span>")
        )
        kind = Markup(' class="asked"') if asked else ""
        lines = Markup("").join(Markup("<span class=soft>{}</span>").format(line) for line in (article, *below))
        return Markup('<li{}><div class="photograph">{}</div>{}<span>{}</span>{}</li>').format(
            kind, inside, above or "", self.heading(article), lines
        )


def strip(cards: Iterable[Markup]) -> Markup:
    """Cards side by side; nothing where there are none."""
    shown = Markup("").join(cards)
    return Markup('<ul class="neighbours">{}</ul>\n').format(shown) if shown else shown


def inline_picture(path: Path | str | None, root: Path | None = None, size: tuple[int, int] = SIZE) -> str | None:
    """The photograph as :func:`small_picture` makes it, as a data URI; None where there is none, or it is refused."""
    try:
        content = None if path is None else small_picture(path, root, size)
    except ImageRejected:
        return None  # shown as "no photograph"; the images table says why
    return None if content is None else "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def small_picture(path: Path | str, root: Path | None = None, size: tuple[int, int] = SIZE) -> bytes:
    """The photograph made small, as a new JPEG: nothing of the file's own bytes is in it.

    Args:
        path: the file.
        root: the folder that must hold it.
        size: its longest sides, in pixels.

    Raises:
        ImageRejected: it is refused, as every stage that opens images refuses.
    """
    small = decode(read(path, root), str(path), at_least=min(size))  # a JPEG is decoded at a fraction of its size
    small.thumbnail(size)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
