"""What a business asks for: the tiles that open the page, and the section on customers, revenue and sales by attribute.

What belongs here: showing the tables ``business_figures`` and ``attribute_sales``. What does not: computing them (SQL).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics.encoding import Floats
from atelier.report import parts
from atelier.report.parts import count_text, figure_text, percent_text
from atelier.report.sparkline import sparkline

YESTERDAY, LAST_WEEK = 1, 7
#: How many values of attributes the page lists: those whose week differs most from the forecast, and the best sellers.
SURPRISING, BEST = 10, 15
Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of the table ``business_figures``, as the page names and writes it.

    Attributes:
        name: for people.
        column: of the table.
        text: writes a value.
        window: the length of the tile's window in days.
        share: whether differences are percentage points; otherwise they are relative.
    """

    name: str
    column: str
    text: Callable[[Any], str]
    window: int = 1
    share: bool = False


def _money(value: Any) -> str:
    return figure_text(value, 2) if parts.plain(value) == parts.NONE or abs(value) < 1000 else count_text(round(value))


TILES = (
    Figure("Revenue", "revenue", _money),
    Figure("Units bought", "purchases", count_text),
    Figure("Buyers", "buyers", count_text),
    Figure("Active customers", "active_customers", count_text, 28),
    Figure("Revenue per active customer", "revenue_per_customer", _money, 28),
    Figure("View-to-purchase conversion", "conversion", percent_text, 7, share=True),
    Figure("Retention", "retention", percent_text, 28, share=True),
    Figure("Churn", "churn", percent_text, 28, share=True),
)
#: The windows by which retention is shown where the longest is not known yet: a shop of seven weeks has one of 7 days.
SHORTER = 7
DEFINITIONS = (
    "A customer is active who did anything but send back. Revenue is the sum of the prices paid; returns are not "
    "subtracted. Conversion: of the pairs of a customer and an article that they viewed in the window, the share "
    "that they bought on the day of a view or later in the window. Retention: of the customers who were active in"
    " the window before, the share that is active in this one; churn is the others. Intervals are Wilson's at "
    "95%, of conversion as if each customer had viewed one article; ± is half a 95% interval over customers. A "
    "window of which a day is not stored has no figures. No figure knows anything later than the day."
)


def tiles(figures: pd.DataFrame | None, ds: date) -> Markup:
    """The day's figures, each beside yesterday's and those of a week ago, with a chart of four weeks.

    Args:
        figures: the table business_figures of the day; None or without the day: a sentence says so.
        ds: the day.
    """
    if figures is None or figures.empty or not (pd.to_datetime(figures["day"]).dt.date == ds).any():
        return parts.note("Nothing was counted on this day: `business_figures` has no row of it.", "none")
    series = _series(figures, ds)
    made = [_tile(figure, series) for figure in TILES]
    legend = Markup(
        '<p class="explain">Charts: four weeks; <span class="mark now">●</span> the day, <span class="mark yesterday">○'
        '</span> yesterday, <span class="mark week">■</span> the same weekday a week ago. '
        '<a href="#business">What the figures mean</a>.</p>\n'
    )
    return Markup('<ul class="tiles">{}</ul>\n{}').format(Markup("").join(made), legend)


def _series(figures: pd.DataFrame, ds: date) -> dict[int, pd.DataFrame]:
    """Of each window a row for every day of the table up to ``ds``, the newest last; days without figures are nan."""
    days = pd.to_datetime(figures["day"]).dt.date
    first = min(days.min(), ds - timedelta(days=LAST_WEEK))
    every = [first + timedelta(days=n) for n in range((ds - first).days + 1)]
    values = figures.assign(day=days).drop(columns="window_days").astype({"revenue": float})
    return {
        int(window): values[figures["window_days"] == window].set_index("day").reindex(every)
        for window in sorted({SHORTER, *(figure.window for figure in TILES), *figures["window_days"].unique()})
    }


def _tile(figure: Figure, series: Mapping[int, pd.DataFrame]) -> Markup:
    window = figure.window
    if window > SHORTER and pd.isna(series[window][figure.column].iloc[-1]):
        window = SHORTER
    values = series[window][figure.column].to_numpy(np.float64, na_value=np.nan)
    now, yesterday, week = values[-1], values[-1 - YESTERDAY], values[-1 - LAST_WEEK]
    told = [
        f"{_difference(figure, now, then)} {name}" for name, then in (("yesterday", yesterday), ("a week ago", week))
    ]
    over = "" if window == 1 else f"{window} days"
    last = len(values) - 1
    alt = (
        f"{figure.name}{', ' + over if over else ''}: {figure.text(now)}; yesterday {figure.text(yesterday)}, a week "
        f"ago {figure.text(week)}."
    )
    marks = {last - LAST_WEEK: "week", last - YESTERDAY: "yesterday", last: "now"}
    return Markup(
        '<li><span class="name">{} <span class="soft">{}</span></span><strong>{}</strong>{}<span class="against">{}'
        "</span></li>"
    ).format(figure.name, over, figure.text(now), sparkline(values, marks, alt), Markup("<br>").join(told))


def _difference(figure: Figure, now: float, then: float) -> str:
    """How a value differs from an earlier one: percentage points of shares, else per cent of the earlier value."""
    if np.isnan(now) or np.isnan(then) or (then == 0 and not figure.share):
        return f"{figure.text(then)}"
    change = 100 * (now - then) if figure.share else 100 * (now - then) / then
    unit = " points vs" if figure.share else "% vs"
    return f"{round(change, 1) + 0.0:+.1f}{unit}".replace("-", "−")  # + 0.0: nothing is shown as −0.0


# The section --------------------------------------------------------------------------------------------------------


@parts.section("Customers and sales", "business", "What a business asks for was not counted on this day.")
def business_section(figures: pd.DataFrame, sales: pd.DataFrame | None, ds: date) -> Iterator[str]:
    """The figures of every window beside those of yesterday and a week ago; sales by attribute value and forecast.

    Args:
        figures: the table business_figures of the day.
        sales: the table attribute_sales of the day; None: it was not made.
        ds: the day.
    """
    yield parts.paragraph(DEFINITIONS)
    series = _series(figures, ds)
    for window in sorted(series):
        yield from _window(series[window], window)
    yield parts.heading("Sales by attribute value")
    if sales is None or sales.empty:
        yield parts.paragraph("No attribute has a value, so sales cannot be told apart by it.")
        return
    yield from _sales(sales)


_ROWS = (
    Figure("Active customers", "active_customers", count_text),
    Figure("Buyers", "buyers", count_text),
    Figure("Views", "views", count_text),
    Figure("Units bought", "purchases", count_text),
    Figure("Units sent back", "returns", count_text),
    Figure("Revenue", "revenue", _money),
    Figure("Revenue per active customer", "revenue_per_customer", _money),
    Figure("View-to-purchase conversion", "conversion", percent_text, share=True),
    Figure("Retention", "retention", percent_text, share=True),
    Figure("Churn", "churn", percent_text, share=True),
)


def _window(series: pd.DataFrame, window: int) -> Iterator[str]:
    name = "The day" if window == 1 else f"{window} days that end with the day"
    today = series.iloc[-1].to_dict()
    if pd.isna(today["active_customers"]):
        yield parts.paragraph(f"{name}: not all of its days are stored.")
        return
    rows = []
    for figure in _ROWS:
        values = [series[figure.column].iloc[-1 - back] for back in (0, YESTERDAY, LAST_WEEK)]
        rows.append([figure.name, figure.text(values[0]), _interval(figure, today), *map(figure.text, values[1:])])
    caption = f"{name}, beside the same windows one day and one week earlier."
    yield parts.table(caption, ["Figure", "Now", "95% interval", "Yesterday", "A week ago"], rows)


def _interval(figure: Figure, today: Mapping[Any, Any]) -> str:
    if figure.column == "revenue_per_customer":
        error = today["revenue_per_customer_error"]
        return parts.NONE if pd.isna(error) else f"± {_money(parts.Z_95 * error)}"
    name = "retention" if figure.column == "churn" else figure.column
    if f"{name}_low" not in today or pd.isna(today[f"{name}_low"]):
        return parts.NONE
    ends = [today[f"{name}_low"], today[f"{name}_high"]]
    low, high = (1 - ends[1], 1 - ends[0]) if figure.column == "churn" else ends
    return f"{percent_text(low)} to {percent_text(high)}"


def _sales(sales: pd.DataFrame) -> Iterator[str]:
    season = int(sales["season_weeks"].iloc[0])
    repeated = "the same week a year before" if season > 1 else "the week before"
    yield parts.paragraph(
        f"Units sold in the 7 days that end with the day. The forecast is seasonal-naive: it repeats {repeated}. MAE "
        "is by how many units it missed on average in past weeks; MASE is the same over what repeating the week before "
        "missed" + (" (here they are one forecast, so it is 1)." if season == 1 else ".")
    )
    known = sales[sales["units"].notna()].copy()
    if known.empty:
        yield parts.note("The week is not stored whole, so nothing is known of it.", "none")
        return
    known["surprise"] = (known["units"] - known["forecast"]).abs().astype(float) / known["mae"].clip(lower=1)
    surprising = known[known["surprise"] > 0].sort_values(
        ["surprise", "units", "attribute", "value"], ascending=[False, False, True, True], kind="stable"
    )
    if len(surprising):
        yield _values(
            "The values whose week differs most from the forecast, for how well it usually does.",
            surprising,
            SURPRISING,
        )
    best = known.sort_values(["units", "attribute", "value"], ascending=[False, True, True], kind="stable")
    yield _values("The values that sold most.", best, BEST)
    yield parts.paragraph(f"All {count_text(len(sales))} values stand in the table attribute_sales.")


def _values(caption: str, sales: pd.DataFrame, most: int) -> Markup:
    heads = ["Attribute", "Value", "Weeks", "Units", "Forecast", "Next week", "MAE", "MASE", "Only probable"]
    rows = [
        [
            row["attribute"],
            row["value"],
            _weeks(row),
            *(count_text(row[name]) for name in ("units", "forecast", "next_forecast")),
            figure_text(row["mae"], 2),
            figure_text(row["mase"], 2),
            percent_text(row["abstained_units"] / row["units"] if row["units"] else None),
        ]
        for row in sales.head(most).to_dict("records")
    ]
    return parts.table(caption, heads, rows, heads[:3])


def _weeks(row: Row) -> Markup:
    """The chart of a value's weeks."""
    weeks = np.array([*row["past_units"], row["units"]], dtype=object)
    values: Floats = np.array([np.nan if pd.isna(each) else float(each) for each in weeks])
    told = ", ".join(map(count_text, values))
    alt = f"{row['attribute']} {row['value']}: units by week, {told}."
    return sparkline(values, {len(values) - 1: "now", len(values) - 2: "week"}, alt)
