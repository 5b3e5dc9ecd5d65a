"""Plots as inline SVG that follow the page's light or dark colours.

What belongs here: drawing. What does not: choosing what is drawn (the sections), HTML around it.

Colours in a plot are stand-ins that :func:`svg` replaces by the page's CSS variables, so the same bytes are readable
in both schemes. Nothing uses pyplot: it would keep global state and look for a display.
"""

import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from atelier.metrics.encoding import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, _LINE, _CARD = "#010203", "#040506", "#070809"
SERIES = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06")
_VARIABLES = {INK: "var(--ink)", _LINE: "var(--line)", _CARD: "var(--card)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
_STYLE = {
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "atelier",  # the same ids each time
    "text.parse_math": False,  # a name with two dollar signs is not a formula
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
# Markers and dashes repeat what colours say, for those who cannot tell the colours apart.
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def interval_plot(
    panels: Sequence[str],
    rows: Sequence[str],
    series: Mapping[str, tuple[Floats, Floats]],
    xlabel: str,
    levels: Sequence[float] = (),
    level_name: str = "ceiling",
    *,
    from_zero: bool = True,
) -> str:
    """Points with intervals, one panel beside the other, one row for each model, one colour for each series.

    Args:
        panels: the panels' titles.
        rows: the rows' names, from the top.
        series: name → values and half-widths, each float [panels, rows]; nan is not drawn.
        xlabel: what the values are.
        levels: for each panel where a dashed line stands; nan: none.
        level_name: what the dashed line is.
        from_zero: whether the axis starts at 0; otherwise it holds every interval.
    """
    with styled():
        plot, axes = subplots(len(panels), 2.9, 0.6 + 0.45 * len(rows) + 0.25 * (len(series) > 1), share_y=True)
        plot.set_layout_engine("constrained", wspace=0.08)  # numbers below one panel stay apart from the next one's
        offsets = np.linspace(-0.16, 0.16, len(series)) if len(series) > 1 else np.zeros(1)
        for panel, axis in enumerate(axes):
            for i, (name, (values, half)) in enumerate(series.items()):
                y, error = np.arange(len(rows)) + offsets[i], np.nan_to_num(half[panel])
                axis.errorbar(
                    values[panel], y, xerr=error, linestyle="none", markersize=5, capsize=3, label=name, **_look(i)
                )
            axis.set_title(panels[panel])
            _dashed_line(axis.axvline, levels[panel : panel + 1], level_name)
            if from_zero:
                axis.set_xlim(left=0)
            axis.grid(axis="x")
            axis.locator_params(axis="x", nbins=4)
        _name_rows(axes[0], rows)
        axes[0].set_xlabel(xlabel)
        return _finished(plot, len(series) + bool(len(levels)))


def line_plot(
    panels: Sequence[str],
    lines: Sequence[Mapping[str, tuple[Floats, Floats]]],
    xlabel: str,
    levels: Sequence[float] = (),
    level_name: str = "catalogue",
    *,
    log_x: bool = False,
    from_zero: bool = True,
) -> str:
    """Lines over a common x, one panel beside the other.

    Args:
        panels: the panels' titles, which say what y is.
        lines: for each panel name → x and y.
        xlabel: what x is.
        levels: for each panel the height of a dashed line; nan: none.
        level_name: what the dashed line is.
        log_x: whether x is drawn on a logarithmic scale.
        from_zero: whether the axis of y starts at 0; otherwise it holds every value.
    """
    names = _names(lines)
    with styled():
        plot, axes = subplots(len(panels), 2.9, 2.5)
        for panel, axis in enumerate(axes):
            for name, (x, y) in lines[panel].items():
                axis.plot(x, y, markersize=3, linewidth=1.4, label=name, **_look(names.index(name)))
            _dashed_line(axis.axhline, levels[panel : panel + 1], level_name)
            axis.set_title(panels[panel])
            if from_zero:
                axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
            axis.grid(axis="y")
            if log_x:
                axis.set_xscale("log")
                axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
                axis.xaxis.set_minor_formatter("")
            axis.set_xlabel(xlabel)
        return _finished(plot, len(names) + bool(len(levels)))


def days_plot(title: str, lines: Mapping[str, tuple[Sequence[date], Floats]]) -> str:
    """Lines over days in one wide panel; the axis names a few days, y starts at 0.

    Args:
        title: says what y is.
        lines: name → days and values, equally many; nan breaks a line.
    """
    days = sorted({day for of_line, _ in lines.values() for day in of_line})
    named = [
        days[place] for place in dict.fromkeys(np.linspace(0, len(days) - 1, min(len(days), 7)).round().astype(int))
    ]
    with styled():
        plot, (axis,) = subplots(1, 7.4, 2.9)
        for number, (name, (of_line, values)) in enumerate(lines.items()):
            places = [day.toordinal() for day in of_line]
            look = _look(number) | {"linestyle": DASHES[number // len(SERIES) % len(DASHES)]}
            axis.plot(places, values, markersize=3, linewidth=1.4, label=name, **look)
        axis.set_xticks([day.toordinal() for day in named], [day.isoformat() for day in named])
        axis.set_title(title)
        axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
        axis.grid(axis="y")
        return _finished(plot, len(lines))


def bar_plot(rows: Sequence[str], series: Mapping[str, Floats], xlabel: str) -> str:
    """Horizontal bars, one group for each row from the top, one colour for each series; nan is not drawn."""
    with styled():
        thick = 0.8 / max(len(series), 1)
        plot, (axis,) = subplots(1, 7.6, 0.6 + len(rows) * (0.12 + 0.14 * len(series)) + 0.2 * (len(series) > 1))
        for i, (name, values) in enumerate(series.items()):
            y = np.arange(len(rows)) + (i - (len(series) - 1) / 2) * thick
            axis.barh(y, np.nan_to_num(values), height=thick * 0.86, color=_look(i)["color"], label=name)
        _name_rows(axis, rows)
        axis.grid(axis="x")
        axis.set_axisbelow(True)
        axis.set_xlabel(xlabel)
        return _finished(plot, len(series))


def dot_plot(rows: Sequence[str], series: Mapping[str, Floats], xlabel: str) -> str:
    """One line for each row from the top, with a mark on it for each series; nan is not drawn."""
    with styled():
        plot, (axis,) = subplots(1, 8.2, 0.9 + 0.27 * len(rows))
        for i, (name, values) in enumerate(series.items()):
            y = np.arange(len(rows))
            axis.plot(values, y, linestyle="none", markersize=6, clip_on=False, label=name, **_look(i))
        _name_rows(axis, rows)
        axis.set_xlim(left=-0.015 * axis.get_xlim()[1])  # room for a mark at 0
        axis.grid(axis="y")
        axis.set_xlabel(xlabel)
        return _finished(plot, len(series))


def density_plot(panels: Sequence[str], series: Sequence[Mapping[str, Floats]], xlabel: str) -> str:
    """Kernel densities of shares, one panel beside the other; below them every value as a tick and the mean as a mark.

    Args:
        panels: the panels' titles.
        series: for each panel name → values between 0 and 1; nan is left out. Fewer than three values, or all the
            same, have no density, only their ticks.
        xlabel: what the values are.
    """
    names, grid = _names(series), np.linspace(0, 1, 401)
    drawn = [{name: values[~np.isnan(values)] for name, values in panel.items()} for panel in series]
    curves = [{name: _density(values, grid) for name, values in panel.items()} for panel in drawn]
    highest = max((curve.max(initial=0.0) for panel in curves for curve in panel.values()), default=0.0) or 1.0
    with styled():
        plot, axes = subplots(len(panels), 4.2, 2.6 + 0.13 * len(names), share_y=True)
        plot.set_layout_engine("constrained", wspace=0.08)
        for panel, axis in enumerate(axes):
            for name, values in drawn[panel].items():
                i, curve = names.index(name), curves[panel][name]
                look, height = _look(i), -highest * (0.07 + 0.06 * i)
                axis.plot(grid[: len(curve)], curve, linestyle=DASHES[i % len(DASHES)], color=look["color"], label=name)
                axis.plot(values, np.full(len(values), height), "|", color=look["color"], markersize=6)
                if len(values):
                    axis.plot(values.mean(), height, linestyle="none", markersize=4.5, **look)
            axis.axhline(0, color=_LINE, linewidth=0.8)
            axis.set_xlim(-0.01, 1.01)
            axis.set_ylim(-highest * (0.1 + 0.06 * len(names)), highest * 1.06)
            axis.set_yticks([])
            axis.spines["left"].set_visible(False)
            axis.set_title(panels[panel])
            axis.set_xlabel(xlabel)
        return _finished(plot, len(names))


def _density(values: Floats, grid: Floats) -> Floats:
    """A Gaussian kernel density on 0 … 1, mirrored at both ends so that none of it lies outside; empty: no density."""
    from scipy.stats import gaussian_kde

    if len(values) < 3 or np.ptp(values) < 1e-9:
        return np.zeros(0)
    density = gaussian_kde(values)
    mirrored: Floats = density(grid) + density(-grid) + density(2 - grid)
    return mirrored


def matrix_plot(
    title: str, rows: Sequence[str], columns: Sequence[str], values: Floats, xlabel: str, ylabel: str
) -> str:
    """A matrix of shares: the larger, the fuller the cell; up to 12 columns with the numbers in per cent.

    Args:
        title: what the matrix is of.
        rows: the rows' names, from the top.
        columns: the columns' names.
        values: float [rows, columns], 0 … 1; nan is not drawn.
        xlabel: what the columns are.
        ylabel: what the rows are.
    """
    from matplotlib.patches import Rectangle

    with styled():
        side = 0.42 if len(columns) <= 12 else 0.3
        plot, (axis,) = subplots(1, 2.6 + side * len(columns), 1.7 + side * len(rows))
        # Only cells that hold something: most of a matrix of many classes is empty.
        for row, column in np.argwhere(np.nan_to_num(values) > 0):
            share = float(values[row, column])
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=SERIES[1], alpha=share, linewidth=0))
            if len(columns) <= 12 and share >= 0.005:
                colour = _CARD if share > 0.55 else INK
                axis.text(column, row, f"{100 * share:.0f}", color=colour, ha="center", va="center", fontsize=8)
        axis.set_xlim(-0.5, len(columns) - 0.5)
        _name_rows(axis, rows, 24)
        axis.set_aspect("equal")
        turned = {"rotation": 90} if len(columns) > 5 else {"rotation": 35, "ha": "right"}
        axis.set_xticks(np.arange(len(columns)), _short(columns, 20), **turned)
        axis.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axis.grid(which="minor", linewidth=0.5)
        axis.tick_params(which="minor", length=0)
        axis.set_title(title)
        axis.set_xlabel(xlabel)
        axis.set_ylabel(ylabel)
        return svg(plot)


def standalone(drawing: str) -> str:
    """A plot of this module as a file of its own: with the colours that the page would give it, light or dark."""
    light, dark = ("".join(f"--{name}:{value};" for name, value in palette.items()) for palette in palettes())
    style = f"<style>svg{{{light}background:var(--card)}}@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    return re.sub(r"(<svg [^>]*>)", rf"\g<1>{style}", drawing, count=1) + "\n"


@cache
def palettes() -> list[dict[str, str]]:
    """The colours of plots, light and dark, by name: read from the page's style sheet, which declares them."""
    page = files("atelier.report").joinpath("templates", "page.html.j2").read_text(encoding="utf-8")
    declared = [
        dict(re.findall(r"--([\w-]+): ([^;]+);", block)) for block in re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    ]
    names = [variable[len("var(--") : -1] for variable in _VARIABLES.values()]
    return [{name: palette[name] for name in names} for palette in declared]


def svg(plot: "Figure") -> str:
    """The figure as an ``<svg>`` element in the page's colours; the same figure gives the same text."""
    buffer = io.StringIO()
    plot.savefig(
        buffer,
        format="svg",
        transparent=True,
        bbox_inches="tight",
        pad_inches=0.05,
        metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # In one page an id must be unique, but plots use the same ones: each gets its plot's own prefix.
    prefix = f"plot-{hashlib.sha256(text.encode()).hexdigest()[:12]}-"
    text = re.sub(r'(<[a-zA-Z]+ id="|url\(#|xlink:href="#)', rf"\g<1>{prefix}", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text


def styled() -> AbstractContextManager[None]:
    """How every plot looks; what is drawn within it can be given to :func:`svg`."""
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)  # type: ignore[arg-type]


def subplots(count: int, width: float, height: float, *, share_y: bool = False) -> "tuple[Figure, list[Axes]]":
    """A figure with ``count`` panels in a row, each ``width`` × ``height`` inches."""
    from matplotlib.figure import Figure

    plot = Figure(figsize=(width * count, height), layout="constrained")
    grid = plot.subplots(1, count, squeeze=False, sharey=share_y)
    return plot, list(grid[0])


def _names(panels: Sequence[Mapping[str, object]]) -> list[str]:
    """The series of all panels, each once: the same series looks the same in every panel."""
    return list(dict.fromkeys(name for panel in panels for name in panel))


def _look(series: int) -> dict[str, Any]:
    """Colour and marker of the series with that number."""
    return {"color": SERIES[series % len(SERIES)], "marker": MARKERS[series % len(MARKERS)]}


def _name_rows(axis: "Axes", names: Sequence[str], longest: int = 32) -> None:
    """Rows from the top, with their names."""
    axis.set_yticks(np.arange(len(names)), _short(names, longest))
    axis.set_ylim(len(names) - 0.5, -0.5)


def _dashed_line(draw: Callable[..., object], level: Sequence[float], name: str) -> None:
    """A dashed line at a level: none where the list is empty or holds nan."""
    if len(level) and not np.isnan(level[0]):
        draw(level[0], color=INK, linestyle=(0, (4, 3)), linewidth=1, label=name)


def _finished(plot: "Figure", names: int) -> str:
    """The plot as SVG, with one legend for all panels above them where ``names`` says that there is more than one."""
    if names > 1:
        handles, labels = plot.axes[0].get_legend_handles_labels()
        plot.legend(
            handles, labels, loc="outside upper left", ncols=min(len(labels), 6), borderaxespad=0, handlelength=1.4
        )
    return svg(plot)


def _short(names: Sequence[str], longest: int) -> list[str]:
    """Names cut to a length that leaves room for the plot."""
    return [name if len(name) <= longest else name[: longest - 1] + "…" for name in names]
