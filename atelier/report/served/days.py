"""The page of all days: every figure of recommenders, attributes and interactions as it moved; and the start page.

What belongs here: lines over days, the choice of what they show, the newest day beside earlier ones. What does not: one
day in full (:mod:`atelier.report.page`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.report import parts
from atelier.report.served.frame import day
from atelier.report.served.plots import days_plot

LONGEST_SPAN = 3_660
"""How many days back a page may look."""
BUSINESS = {
    "active_customers": ("active customers in 7 days", 0),
    "revenue_per_customer": ("revenue per active customer in 7 days", 4),
    "conversion": ("views that led to a purchase within 7 days", 4),
    "retention": ("customers of the 7 days before who came again", 4),
}
"""Figures of a week: what each is called, and the digits that are shown."""
COMPARED = {"the day before": 1, "a week before": 7}
MOST_OPTIONS = 300
"""Options of one choice, at most: segments can be many."""
MOST_LEVELS = 8
"""Levels of one figure that are drawn, at most: those with the largest values."""


@dataclass(frozen=True)
class Choice:
    """What the page of all days shows.

    Attributes:
        metric: of the recommenders.
        k: the length of their lists.
        segment: of whom.
        seen: which evaluation.
        attribute_metric: of the attribute model.
        figure: of the data, see :mod:`atelier.monitoring.drift.figures`.
        span: how many days back.
        until: the last day; None: the newest.
    """

    metric: str = "recall"
    k: int = 10
    segment: str = "all"
    seen: str = "excluded"
    attribute_metric: str = "weighted_f1"
    figure: str = "interactions"
    span: int = 90
    until: date | None = None


@dataclass(frozen=True)
class Figure:
    """One figure of the start page.

    Attributes:
        name: what it is.
        by_day: its value on each day that has one; not empty.
        text: how a value is written.
    """

    name: str
    by_day: Mapping[date, float]
    text: Callable[[Any], str] = parts.figure_text


def figures_of(
    frame: pd.DataFrame, series: str, column: str, name: str, text: Callable[[Any], str] = parts.figure_text
) -> list[Figure]:
    """A figure for each series of a frame that has a value.

    Args:
        frame: ds, the column of series, the column of values.
        series: the name of the former.
        column: the name of the latter.
        name: what a figure is called, with {} for its series.
        text: how a value is written.
    """
    known = frame[frame[column].notna()]
    return [
        Figure(
            name.format(each),
            {date.fromisoformat(day(ds)): float(v) for ds, v in zip(rows["ds"], rows[column], strict=True)},
            text,
        )
        for each, rows in known.groupby(series, sort=True)
    ]


@parts.section("What to show", "choice", "", "", may_be_empty=True)
def choice_section(
    there: pd.DataFrame, attribute_metrics: Sequence[str], figures: Sequence[str], choice: Choice
) -> Iterator[str]:
    """The choices as a form; what is chosen stands in the address.

    Args:
        there: metric, k, segment, seen: which figures of the recommenders there are.
        attribute_metrics: which of the attribute model.
        figures: which of the data.
        choice: what is shown now.
    """
    until = "" if choice.until is None else choice.until.isoformat()
    boxes = [
        _select(name, label, options, now)
        for name, label, options, now in (
            ("metric", "Recommenders: metric", sorted(set(there["metric"])), choice.metric),
            ("k", "at", sorted(set(there["k"].astype(int))), choice.k),
            ("segment", "of", sorted(set(there["segment"]), key=lambda each: (each != "all", each)), choice.segment),
            ("seen", "bought before", sorted(set(there["seen"])), choice.seen),
            ("attribute_metric", "Attributes: metric", sorted(attribute_metrics), choice.attribute_metric),
            ("figure", "Data: figure", figures, choice.figure),
        )
    ]
    boxes.append(_input("span", "Days", f'type="number" min="1" max="{LONGEST_SPAN}"', str(choice.span)))
    boxes.append(_input("until", "up to (empty: the newest)", 'type="date"', until))
    yield Markup('<form action="/days" method="get">\n{}<button type="submit">Show</button>\n</form>\n').format(
        parts.joined(*boxes)
    )


def _select(name: str, label: str, options: Sequence[object], now: object) -> Markup:
    shown = list(dict.fromkeys([*list(options)[:MOST_OPTIONS], now]))
    chosen = Markup(" selected")
    inside = parts.joined(
        *(Markup("<option{}>{}</option>").format(chosen if each == now else "", each) for each in shown)
    )
    return Markup('<label>{}<select name="{}">{}</select></label>\n').format(label, name, inside)


def _input(name: str, label: str, kind: str, now: str) -> Markup:
    """A field of a form; ``kind`` is of this module and is not escaped."""
    field = Markup('<label>{}<input name="{}" {} value="{}"></label>\n')
    return field.format(label, name, Markup(kind), now)  # noqa: S704


@parts.section("Recommenders", "recommenders", "No list has been judged for what is chosen.", "judge")
def recommenders_section(figures: pd.DataFrame, choice: Choice) -> Iterator[str]:
    """One figure of each model over days.

    Args:
        figures: ds, model, value.
        choice: says which figure.
    """
    title = f"{choice.metric}@{choice.k}, {choice.segment}, bought before {choice.seen}"
    yield from _moved(figures, "model", title, 4)


@parts.section("Attributes", "attributes", "No attribute model has been judged for what is chosen.")
def attributes_section(figures: pd.DataFrame, choice: Choice) -> Iterator[str]:
    """One figure of each attribute over days.

    Args:
        figures: ds, attribute, value.
        choice: says which figure.
    """
    yield from _moved(figures, "attribute", choice.attribute_metric, 4)


@parts.section("What customers did", "interactions", "No interaction is stored of these days.", "ingest")
def interactions_section(figures: pd.DataFrame) -> Iterator[str]:
    """Units, customers and sums of prices of each kind over days.

    Args:
        figures: ds, kind, units, customers, revenue.
    """
    for column, title in (("units", "rows"), ("customers", "customers"), ("revenue", "sum of prices of purchases")):
        rows = figures[figures["kind"] == "purchase"] if column == "revenue" else figures
        if rows[column].notna().any():
            yield from _moved(rows.assign(value=rows[column].astype("float64")), "kind", title, 0)


@parts.section("Customers and revenue", "business", "No week that is stored whole ends in these days.")
def business_section(figures: pd.DataFrame) -> Iterator[str]:
    """What a business asks for over days, each of the week that ends with the day.

    Args:
        figures: ds, and a column for each of :data:`BUSINESS`.
    """
    for column, (title, digits) in BUSINESS.items():
        if figures[column].notna().any():
            value = figures[column].astype("float64")
            yield from _moved(figures.assign(value=value, name=title), "name", title, digits)


@parts.section("The data", "data", "That figure was not measured on these days.", "drift")
def data_section(figures: pd.DataFrame, flagged: pd.DataFrame, choice: Choice) -> Iterator[str]:
    """One figure of the data or of the lists over days, as drift is judged by, and when it was flagged.

    Args:
        figures: ds, level, value, sample_size; shares of 1 where levels have them.
        flagged: ds, level, today, earlier, compared_with.
        choice: says which figure.
    """
    most = figures.groupby("level")["value"].max().nlargest(MOST_LEVELS)
    shown = figures[figures["level"].isin(most.index)]
    left = figures["level"].nunique() - len(most)
    title = f"{choice.figure} ({left} smaller levels are left out)" if left else choice.figure
    yield from _moved(shown.assign(level=shown["level"].replace("", choice.figure)), "level", title, 4)
    if len(flagged):
        heads = ("Day", "Level", "That day", "Earlier", "Held against")
        rows = [
            [
                day(each.ds),
                each.level,
                parts.figure_text(each.today),
                parts.figure_text(each.earlier),
                day(each.compared_with),
            ]
            for each in flagged.itertuples(index=False)
        ]
        yield parts.table("Days on which it was unlike the days before.", heads, rows, heads[:2])


@parts.section("Drift", "drift", "No figure of these days was held against earlier days.")
def drift_section(figures: pd.DataFrame) -> Iterator[str]:
    """How many figures of each day are unlike those of the days before.

    Args:
        figures: ds, verdict, value.
    """
    yield from _moved(figures.assign(value=figures["value"].astype("float64")), "verdict", "figures by verdict", 0)


def _moved(figures: pd.DataFrame, series: str, title: str, digits: int) -> Iterator[Markup]:
    """A line for each series, and folded away the numbers, the newest day first."""
    wide = figures.assign(ds=pd.to_datetime(figures["ds"])).pivot_table(
        index="ds", columns=series, values="value", aggfunc="first", dropna=False
    )
    days = [each.date() for each in wide.index]
    names = [str(each) for each in wide.columns]
    values = wide.to_numpy(dtype=np.float64)
    rows = [
        [str(of_day), *(parts.figure_text(value, digits) for value in line)]
        for of_day, line in zip(reversed(days), values[::-1], strict=True)
    ]
    numbers = parts.table(f"{title}, by day, the newest first.", ["Day", *names], rows)
    if len(days) > 1:
        lines = {name: (days, values[:, place]) for place, name in enumerate(names)}
        caption = f"{title}, {days[0]} … {days[-1]}."
        alt = f"{title} of {', '.join(names)} on {len(days)} days; the table gives the numbers."
        yield parts.figure(days_plot(title, lines), alt, caption)
        yield parts.details(f"The numbers of {title}", numbers)
    else:
        yield numbers


@parts.section("The newest day", "newest", "Nothing is stored yet.", "")
def newest_section(figures: Sequence[Figure], newest: date) -> Iterator[str]:
    """The newest day's figures beside those of the day before and of a week before.

    Args:
        figures: those that there are; the newest value of one may be of an earlier day, which is said.
        newest: the newest day of all.
    """
    heads = ("Figure", "Day", "Value", *COMPARED)
    rows = []
    for each in figures:
        last = max(each.by_day)
        shown = (each.by_day.get(last - timedelta(days=back)) for back in (0, *COMPARED.values()))
        rows.append([each.name, last.isoformat(), *map(each.text, shown)])
    yield parts.table(f"The newest value of each figure up to {newest}, and the same before.", heads, rows, heads[:2])


@parts.section("The page of each day", "pages", "No day has a page yet.", "daily_retrain")
def written_section(pages: Sequence[str]) -> Iterator[str]:
    """The way to the pages that the daily job wrote.

    Args:
        pages: the page of all days, if it is there.
    """
    for name in pages:
        yield Markup('<p><a href="/reports/{}">What was made on each day, and what wants a person</a></p>\n').format(
            name
        )


@parts.section("Leaderboard", "leaderboard", "No list has been judged yet.", "")
def leaderboard_section(figures: pd.DataFrame, metrics: Sequence[str], k: int) -> Iterator[str]:
    """Every model's figures on the newest judged day.

    Args:
        figures: ds, model, seen, metric, value, standard_error.
        metrics: the columns.
        k: the length of the lists.
    """
    for seen, rows in figures.sort_values("seen", ascending=False).groupby("seen", sort=False):
        by_metric = rows.pivot_table(index="model", columns="metric", values=["value", "standard_error"], dropna=False)
        by_metric = by_metric.reindex(columns=pd.MultiIndex.from_product([["value", "standard_error"], metrics]))
        order = by_metric["value"][metrics[0]].sort_values(ascending=False, kind="stable").index
        by_metric = by_metric.loc[order]
        cells = parts.interval_cells(
            by_metric["value"].to_numpy(dtype=np.float64),
            by_metric["standard_error"].to_numpy(dtype=np.float64),
            mark_best=len(order) > 1,
        )
        yield parts.table(
            f"Articles bought before {seen}; judged on {day(rows['ds'].max())}; ± is half a 95% interval.",
            ("Model", *(f"{name}@{k}" for name in metrics)),
            [[str(model), *line] for model, line in zip(order, cells, strict=True)],
        )
