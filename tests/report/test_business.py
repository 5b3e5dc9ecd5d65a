"""The tiles and the section on customers and sales: what they say, on ordinary days and where little is known."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier.report.business import business_section, tiles
from atelier.report.sparkline import sparkline

DS = date(2025, 6, 30)


def row(back: int, window: int = 1, **values: Any) -> dict[str, Any]:
    known = {
        "day": DS - timedelta(days=back),
        "window_days": window,
        "views": 50,
        "purchases": 10,
        "returns": 1,
        "revenue": 100.0,
        "active_customers": 20,
        "buyers": 5,
        "revenue_per_customer": 5.0,
        "revenue_per_customer_error": 0.5,
        "conversion": 0.2,
        "conversion_low": 0.1,
        "conversion_high": 0.3,
        "retention": 0.4,
        "retention_low": 0.3,
        "retention_high": 0.55,
        "churn": 0.6,
    }
    return {**known, **values}


FIGURES = pd.DataFrame(
    [
        *(row(back, purchases=10 + 5 * (back == 7) + 10 * (back == 1)) for back in range(29)),
        *(row(back, 7) for back in range(29)),
        *(row(back, 28, retention=np.nan, churn=np.nan) for back in range(9)),
    ]
)
SALES = pd.DataFrame(
    [
        ("colour", "red", 30, 10, 28, 4.0, 1.0, 3, [8, None, 10]),
        ("colour", "<blue>", 40, 41, 40, 5.0, 1.0, 0, [40, 39, 41]),
        ("fit", "slim", 0, 0, 0, 0.0, np.nan, 0, [0, 0, 0]),
    ],
    columns=[
        "attribute",
        "value",
        "units",
        "forecast",
        "next_forecast",
        "mae",
        "mase",
        "abstained_units",
        "past_units",
    ],
).assign(season_weeks=1, error_weeks=8, revenue=1.0)


def test_a_tile_holds_the_day_against_yesterday_and_a_week_ago() -> None:
    html = str(tiles(FIGURES, DS))
    assert "Units bought, 7 days" not in html
    assert 'aria-label="Units bought: 10; yesterday 20, a week ago 15."' in html
    assert "−50.0% vs yesterday<br>−33.3% vs a week ago" in html
    assert html.count("<li>") == 8
    assert "+0.0 points vs yesterday" in html
    assert "−0.0" not in html


def test_retention_is_that_of_a_week_until_eight_weeks_are_stored() -> None:
    assert 'aria-label="Retention, 7 days: 40.0%' in tiles(FIGURES, DS)


def test_a_first_day_has_nothing_to_be_held_against() -> None:
    html = str(tiles(pd.DataFrame([row(0)]), DS))
    assert "Revenue: 100; yesterday –, a week ago –." in html
    assert "– yesterday<br>– a week ago" in html
    assert "Active customers, 7 days: –" in html


@pytest.mark.parametrize("figures", [None, FIGURES.iloc[:0], pd.DataFrame([row(1)])])
def test_without_figures_of_the_day_a_sentence_says_so(figures: pd.DataFrame | None) -> None:
    assert "Nothing was counted on this day" in tiles(figures, DS)


def test_the_section_shows_intervals_and_what_is_not_stored() -> None:
    section = business_section(FIGURES[FIGURES["window_days"] != 28], SALES, DS)
    assert "10.0% to 30.0%" in section.html
    assert "45.0% to 70.0%" in section.html  # of churn: 1 − 0.55 … 1 − 0.3
    assert "± 0.98" in section.html
    assert "28 days that end with the day: not all of its days are stored." in section.html
    assert business_section(None, None, DS).absent


def test_values_that_surprise_come_before_those_that_sell_most() -> None:
    html = str(business_section(FIGURES, SALES, DS).html)
    first, second = html.split("The values that sold most.", 1)
    assert first.rindex(">red<") < first.rindex("&lt;blue&gt;")  # 20 units off at a usual error of 4; 1 off at 5
    assert "slim" not in first
    assert second.index("&lt;blue&gt;") < second.index(">red<") < second.index("slim")
    assert "<blue>" not in html
    assert "here they are one forecast, so it is 1" in html
    assert 'aria-label="colour red: units by week, 8, –, 10, 30."' in html
    assert "10.0%" in second  # 3 of 30 red units are only probably red


def test_a_week_that_is_not_whole_and_a_shop_without_values_say_so() -> None:
    unknown = SALES.assign(units=pd.array([pd.NA] * 3, dtype="Int64"))
    assert "not stored whole" in business_section(FIGURES, unknown, DS).html
    assert "No attribute has a value" in business_section(FIGURES, SALES.iloc[:0], DS).html


def test_a_line_has_a_gap_where_nothing_is_known_and_no_mark_there() -> None:
    drawn = str(sparkline(np.array([0.0, np.nan, 2.0, 1.0]), {1: "week", 2: "yesterday", 3: "now"}, 'a "b"'))
    assert 'd="M5.0 35.0M105.0 5.0L155.0 20.0"' in drawn
    assert "rect" not in drawn
    assert '<circle class="now" cx="155.0" cy="20.0" r="3.5"/>' in drawn
    assert 'aria-label="a &#34;b&#34;"' in drawn


@pytest.mark.parametrize("values", [np.full(3, np.nan), np.full(3, 7.0), np.array([7.0]), np.zeros(0)])
def test_a_line_without_height_is_drawn_in_the_middle(values: "np.ndarray[Any, Any]") -> None:
    drawn = str(sparkline(values, {}, "flat"))
    assert "nan" not in drawn
    assert ("20.0" in drawn) == bool(len(values) and not np.isnan(values).all())
