"""The section on drift: it names what is flagged first, and says where nothing can be told."""

from datetime import date

import pandas as pd

from atelier.monitoring.drift.verdicts import FLAGGED, UNKNOWN, USUAL
from atelier.report.drift import drift_section

DAY = date(2026, 3, 2)


def verdicts(**chosen: str) -> pd.DataFrame:
    """The table of a day: each figure with its verdict; the later, the more unusual."""
    return pd.DataFrame(
        [
            {
                "name": name,
                "verdict": verdict,
                "statistic": 10.0**place,
                "threshold": 20.0,
                "p_holm": 0.0002 if verdict == FLAGGED else 1.0,
                "effect": 0.5,
                "sample_size": 1_234,
                "compared_with": DAY,
                "level": "<b>" if place == 0 else "",
                "today": 0.25,
                "earlier": 0.75,
            }
            for place, (name, verdict) in enumerate(chosen.items())
        ]
    )


def test_flagged_figures_come_first_with_both_values() -> None:
    html = drift_section(verdicts(prices=FLAGGED, rows=USUAL, hours=USUAL)).html
    assert "1 of 3 figures" in html
    table = html[html.index("<table") :]
    assert table.index(">prices, &lt;b&gt;<") < table.index(">hours<") < table.index(">rows<")
    assert "0.2500" in html
    assert "0.7500" in html
    assert "1,234" in html
    assert html.count("<svg") == 1


def test_earlier_days_are_drawn() -> None:
    history = [(DAY, verdicts(prices=USUAL))]
    assert drift_section(verdicts(prices=FLAGGED), history).html.count("<svg") == 2
    assert drift_section(verdicts(prices=FLAGGED), [(DAY, verdicts(prices=UNKNOWN))]).html.count("<svg") == 1


def test_where_nothing_can_be_told_it_says_so() -> None:
    assert "none can be judged" in drift_section(verdicts(prices=UNKNOWN)).html
    assert drift_section(None).absent
