"""The pieces of which sections are made: paragraphs, tables, figures, numbers as text.

What belongs here: turning values into HTML that is safe whatever the values hold. What does not: what a section says.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from atelier.metrics.encoding import Floats

NONE = "–"
Z_95 = 1.96  # half-width of a 95% interval in standard errors
WIDEST = "45rem"  # a plot is not made smaller than this, or than its own width


Data = TypeVar("Data", bound=Sized)
Rest = ParamSpec("Rest")


@dataclass(frozen=True)
class Section:
    """What one stage contributes to the page.

    Attributes:
        title: the heading.
        anchor: the fragment that leads to it; letters, digits and hyphens.
        html: the body. Plain text is escaped; only Markup, as the functions of this module return it, stays as it is.
        absent: where there are no data, what is said in place of a body; between backquotes stand commands.
        job: the Dagster job that makes the data; the page names the command for its day. Empty: ``absent`` says it all.
    """

    title: str
    anchor: str
    html: str = ""
    absent: str = ""
    job: str = ""


def section(
    title: str, anchor: str, absent: str, job: str = "daily_retrain", *, may_be_empty: bool = False
) -> Callable[[Callable[Concatenate[Data, Rest], Iterable[str]]], Callable[Concatenate[Data | None, Rest], Section]]:
    """Turn a function that yields the parts of a section into one that returns the section.

    Args:
        title: the heading.
        anchor: the fragment that leads to it.
        absent: what is said where the function's first argument is None or empty; the function is not called then.
        job: the Dagster job that makes the data.
        may_be_empty: call the function with empty data as well.
    """

    def decorate(
        parts: Callable[Concatenate[Data, Rest], Iterable[str]],
    ) -> Callable[Concatenate[Data | None, Rest], Section]:
        @wraps(parts)
        def made(data: Data | None, /, *args: Rest.args, **options: Rest.kwargs) -> Section:
            if data is None or not (len(data) or may_be_empty):
                return Section(title, anchor, absent=absent, job=job)
            return Section(title, anchor, joined(*parts(data, *args, **options)))

        return made

    return decorate


@dataclass(frozen=True)
class Badge:
    """A cell that shows a verdict in words, and in the colour of its kind: ``good``, ``bad``, ``warn`` or ``none``."""

    text: str
    kind: str

    def html(self) -> Markup:
        """The same outside a table's cell."""
        return Markup('<span class="badge {}">{}</span>').format(self.kind, self.text)


@cache
def environment() -> Environment:
    """The templates; everything that is not Markup is escaped, a missing variable is an error."""
    made = Environment(
        loader=PackageLoader("atelier.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["with_code"] = with_code
    return made


def paragraph(text: str) -> Markup:
    """A paragraph of text."""
    return Markup("<p>{}</p>\n").format(text)


def with_code(text: str) -> Markup:
    """Text in which what stands between two backquotes is a command; all of it is escaped, Markup stays as it is."""
    if isinstance(text, Markup):
        return text
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a single backquote opens nothing
        pieces[-2:] = ["`".join(pieces[-2:])]
    return joined(*(Markup("<code>{}</code>").format(each) if i % 2 else each for i, each in enumerate(pieces)))


def heading(text: str) -> Markup:
    """A heading within a section."""
    return Markup("<h3>{}</h3>\n").format(text)


def note(text: str, kind: str = "warn") -> Markup:
    """A paragraph that must not be overlooked; ``kind`` as in :class:`Badge`; between backquotes stand commands."""
    return Markup('<p class="note {}">{}</p>\n').format(kind, with_code(text))


def details(summary: str, *parts: str) -> Markup:
    """Parts that are folded away under one line."""
    return Markup("<details><summary>{}</summary>\n{}</details>\n").format(summary, Markup("").join(parts))


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], text: Iterable[str] | None = None
) -> Markup:
    """A table, which scrolls in its own box where it is wider; a column of badges stays in sight on a narrow screen.

    Args:
        caption: one sentence that says what it shows.
        columns: the headings.
        rows: the cells, as text, Markup or :class:`Badge`; the first of a row is its heading.
        text: the headings of columns of text; all others hold numbers and are aligned to the right. None: the first
            column alone.
    """
    left = set(columns[:1] if text is None else text)
    cells = [[(cell, isinstance(cell, Badge)) for cell in row] for row in rows]
    badges = {place for row in cells for place, (_, badge) in enumerate(row) if badge}
    others = {place for row in cells for place, (cell, badge) in enumerate(row) if not badge and cell != NONE}
    verdicts = badges - others
    kinds = [
        "number" if name not in left else "verdict" if place in verdicts else "" for place, name in enumerate(columns)
    ]
    return Markup(  # noqa: S704 - the template escapes every cell
        environment()
        .get_template("table.html.j2")
        .render(caption=caption, columns=list(zip(columns, kinds, strict=True)), rows=cells)
    )


def figure(svg: str, alt: str, caption: str) -> Markup:
    """A plot of :mod:`atelier.report.figures` as inline SVG, with its text alternative and caption.

    It has its own size, so that the letters of all plots are equally large, and scrolls in its own box where that is
    wider than the page; only a very wide one is made smaller.
    """
    own = re.sub(r'<svg (?=[^>]*?\bwidth="([\d.]+pt)")', rf'<svg style="min-width:min({WIDEST},\1)" ', svg, count=1)
    # The plot's texts were escaped by matplotlib; the alternative is escaped here.
    drawing = Markup(own.replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(alt)}" ', 1))  # noqa: S704
    box = Markup('<div class="scroll" tabindex="0" role="region" aria-label="{}">{}</div>').format(alt, drawing)
    return Markup("<figure>{}<figcaption>{}</figcaption></figure>\n").format(box, caption)


def joined(*parts: str) -> Markup:
    """Parts one after the other; plain text among them is escaped."""
    return Markup("").join(parts)


def count_text(value: Any) -> str:
    """A whole number with thousands separated."""
    return NONE if _null(value) else f"{int(value):,}"


def figure_text(value: Any, digits: int = 4) -> str:
    """A number with fixed decimals; large ones with fewer, so that about four figures remain."""
    if _null(value):
        return NONE
    shown = digits if abs(value) < 10 else max(0, digits - int(math.log10(abs(value))))
    return f"{float(value):,.{shown}f}".replace("-", "−")


def money_text(value: Any) -> str:
    """A price or a sum of prices with two decimals; below 1, as where a retailer publishes scaled prices, with four."""
    return NONE if _null(value) else f"{float(value):,.{2 if abs(value) >= 1 or not value else 4}f}".replace("-", "−")


def interval_text(value: Any, error: Any, digits: int = 4) -> str:
    """A value with the half-width of its 95% interval, where it has one."""
    if _null(value) or _null(error):
        return figure_text(value, digits)
    return f"{figure_text(value, digits)} ± {figure_text(Z_95 * float(error), digits)}"


def interval_cell(value: Any, error: Any, *, best: bool = False, digits: int = 4) -> Markup:
    """The same for a table: the half-width small, below the value; the best of its kind marked."""
    shown = Markup('<span class="{}">{}</span>').format("best" if best else "", figure_text(value, digits))
    if _null(value) or _null(error):
        return shown
    return shown + Markup('<span class="half">± {}</span>').format(figure_text(Z_95 * float(error), digits))


def interval_cells(values: Floats, errors: Floats, *, mark_best: bool = False) -> list[list[Markup]]:
    """The cells of a table of values and standard errors, both float [rows, columns]; the best of a column marked."""
    best = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    return [
        [interval_cell(v, e, best=mark_best and v == top) for v, e, top in zip(*row, best, strict=True)]
        for row in zip(values, errors, strict=True)
    ]


def percent_text(value: Any) -> str:
    """A share as percent."""
    return NONE if _null(value) else f"{100 * float(value):.1f}%"


def p_text(value: Any) -> str:
    """A p-value: three decimals, or that it is smaller."""
    if _null(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{float(value):.3f}"


def plain(value: Any) -> str:
    """Any value as text; nothing where it is null."""
    return NONE if _null(value) else str(value)


def _null(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
