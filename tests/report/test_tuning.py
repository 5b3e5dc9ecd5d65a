"""The section on settings that were tried, and its plots."""

import html
import json
import re
from datetime import date
from xml.etree import ElementTree

import pandas as pd

from atelier.report.figures import standalone
from atelier.report.page import render_page
from atelier.report.tuning import settings_text, tuning_drawings, tuning_section

DAY = date(2025, 5, 1)


def text(markup: str) -> str:
    """What a reader sees, blanks joined."""
    bare = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", "", markup, flags=re.DOTALL))
    return re.sub(r"\s+", " ", html.unescape(bare))


def trials(values: tuple[float | None, ...] = (0.10, 0.14, None, 0.12), best: int = 1) -> pd.DataFrame:
    states = ["complete" if value is not None else "pruned" for value in values]
    return pd.DataFrame(
        {
            "model": "als",
            "study": "als-1",
            "trial": range(len(values)),
            "state": states,
            "origin": ["default", *["drawn"] * (len(values) - 1)],
            "metric": "ndcg",
            "k": 12,
            "value": pd.array(values, dtype="Float64"),
            "standard_error": pd.array([0.01 if value is not None else None for value in values], dtype="Float64"),
            "customers": [500 if value is not None else 0 for value in values],
            "epochs": pd.array([4] * len(values), dtype="Int64"),
            "settings": [json.dumps({"note": "<b>", "factors": number}) for number in range(len(values))],
            "best": [number == best for number in range(len(values))],
        }
    )


def parameters(importance: tuple[float | None, float | None] = (0.8, 0.2)) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": "als",
            "study": "als-1",
            "parameter": ["alpha", "half_life_days"],
            "searched": ["1 … 100, logarithmic", "empty, 7.0"],
            "default_value": ["20.0", "30.0"],
            "best_value": ["41.2", "null"],
            "importance": pd.array(importance, dtype="Float64"),
        }
    )


def test_without_a_search_the_command_is_named() -> None:
    page = render_page("x", DAY, [tuning_section(None)])
    assert "<code>dg launch --job tune --partition 2025-05-01</code>" in page


def test_the_section_says_what_was_found() -> None:
    section = tuning_section(trials(), parameters(), day=DAY, presets={"als-1": "als_tuned"})
    shown = text(section.html)
    assert "4 trials, 1 pruned; the best is trial 1: ndcg@12 0.1400 ± 0.0196" in shown
    assert "where the default settings give 0.1000, over 500 customers. Its settings are the preset als_tuned." in shown
    assert "The best 4 trials." in shown
    assert "alpha 1 … 100, logarithmic 20 41.2 80.0%" in shown
    assert "half_life_days empty, 7.0 30 empty 20.0%" in shown
    assert "note <b>, factors 1" in shown
    assert "<b>" not in section.html, "what a setting holds is escaped"
    assert section == tuning_section(trials(), parameters(), day=DAY, presets={"als-1": "als_tuned"}), "the same bytes"


def test_where_nothing_was_better_that_is_said() -> None:
    shown = text(tuning_section(trials((0.1, 0.05), best=0), None, day=DAY).html)
    assert "none was better than the default settings: ndcg@12 0.1000, over 500 customers." in shown
    assert "preset" not in shown


def test_many_trials_are_folded_away() -> None:
    values = tuple(0.01 * number for number in range(1, 15))
    shown = text(tuning_section(trials(values, best=13), parameters(), day=DAY).html)
    assert "The best 10 trials." in shown
    assert "All trials, in order." in shown


def test_default_settings_that_diverged_leave_no_line() -> None:
    found = trials((None, 0.2, 0.1), best=1)
    shown = text(tuning_section(found, parameters(), day=DAY).html)
    assert "the best is trial 1: ndcg@12 0.2000 ± 0.0196, over 500 customers." in shown
    assert "default settings" not in tuning_drawings(found, parameters())[0].svg


def test_plots() -> None:
    over_time, importance = tuning_drawings(trials(), parameters())
    assert (over_time.name, importance.name) == ("trials", "importance")
    assert "best so far" in over_time.svg
    assert "default settings" in over_time.svg
    assert "1 trials without a point" in over_time.caption
    for drawing in (over_time, importance):
        ElementTree.fromstring(standalone(drawing.svg))  # noqa: S314 - we drew it
    assert [each.name for each in tuning_drawings(trials(), parameters((None, None)))] == ["trials"]


def test_settings_in_words() -> None:
    assert settings_text({"alpha": 0.123456, "history": None, "loss": "bpr"}) == "alpha 0.123, history empty, loss bpr"
    assert settings_text({}) == "none"
