"""The section on sequence models."""

from datetime import date

import pandas as pd
import pytest

from atelier.report.page import render_page
from atelier.report.sequence_study import TOLD, _weekly, longevity_drawing, sequence_drawings, sequence_study_section
from tests.report.test_recommender_study import text

DAY = date(2025, 5, 1)


def study() -> pd.DataFrame:
    values = {
        ("models", "als"): 0.1,
        ("models", "transformer"): 0.2,
        ("order", "kept"): 0.2,
        ("order", "shuffled"): 0.15,
    }
    rows = [
        {
            "part": part, "variant": variant, "metric": metric, "k": 14, "value": value + place / 100,
            "deviation": 0.01, "standard_error": 0.02 if metric in ("hit_rate", "ndcg") else None,
            "customers": 40, "seeds": 3, "seconds": 12.4,
        }
        for (part, variant), value in values.items()
        for place, metric in enumerate(TOLD)
    ]  # fmt: skip
    return pd.DataFrame(rows).convert_dtypes()


def test_each_question_has_its_plot_and_its_table() -> None:
    page = render_page("x", DAY, [sequence_study_section(study(), day=DAY)])
    shown = text(sequence_study_section(study(), day=DAY).html)
    assert page.count("<figure") == 2
    assert "All models side by side" in shown
    assert "lists are made from histories in their true order" in shown
    for value in ("0.2000 ± 0.0392", "0.1000 ± 0.0392", "0.1200"):
        assert value in shown, value
    assert [drawing.name for drawing in sequence_drawings(study())] == ["models", "order"]


def test_without_a_study_it_says_how_to_run_one() -> None:
    page = render_page("x", DAY, [sequence_study_section(None)])
    assert "<code>dg launch --job sequence_study --partition 2025-05-01</code>" in page


def test_longevity_is_drawn_as_means_of_seven_days() -> None:
    rows = [
        {
            "model": model, "histories": histories, "day": day, "metric": metric, "value": 0.5, "standard_error": 0.1,
            "customers": 10,
        }
        for model in ("als", "popular")
        for histories in ("frozen", "reads on")
        for day in range(1, 15)
        for metric in ("hit_rate", "ndcg")
    ]  # fmt: skip
    drawn = longevity_drawing(pd.DataFrame(rows).convert_dtypes())
    assert drawn.name == "longevity"
    for name in ("als, frozen", "popular, reads on"):
        assert name in drawn.alt
        assert name in drawn.svg
    assert "seven days" in drawn.caption
    dates = pd.DataFrame(rows).assign(value=lambda frame: (frame["day"] == 7).astype(float))
    (days, means) = _weekly(
        dates[(dates["model"] == "als") & (dates["histories"] == "frozen") & (dates["metric"] == "ndcg")]
    )
    assert days.tolist() == [7, 8, 9, 10, 11, 12, 13, 14]
    assert means.tolist() == [pytest.approx(1 / 7)] * 7 + [pytest.approx(0)]
