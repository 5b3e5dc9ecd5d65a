"""What changed: the counts, the examples, and which figures moved beyond their standard errors."""

from datetime import date

import pandas as pd
import pytest

from atelier.report.changes import FIGURES, Changes, attribute_figures, changes_section, moved, recommender_figures
from atelier.report.page import render_page
from tests.report.test_page import HOSTILE, outline
from tests.report.test_sections import JUDGED, text

DS, YESTERDAY = date(2025, 3, 14), date(2025, 3, 13)


def listed(*rows: tuple[str, int, str, str | None, str | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["what", "total", "id", "attribute", "before", "after"])


def figures(*rows: tuple[str, float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=FIGURES)


def test_changes_are_counted_and_exemplified() -> None:
    found = listed(
        ("article_new", 5, "a1", None, None, None),
        ("article_new", 5, "a2", None, None, None),
        ("article_price", 1, "a3", None, "29.99", "24.99"),
        ("label_new", 1, "a4", "fit", None, "slim"),
        ("label_gone", 1, "a5", "fit", "slim", None),
        ("value_abstained", 1, "a6", "fit", "slim", "slim"),
    )
    shown = text(changes_section(Changes(DS, {"articles": YESTERDAY}, found)).html)
    assert "Since 2025-03-13." in shown
    assert "New articles 5 a1; a2 … Articles with another price 1 a3: 29.99 → 24.99" in shown
    assert "Labels added 1 a4 fit: slim Labels removed 1 a5 fit: slim" in shown
    assert "Values that are abstained now 1 a6 fit: slim" in shown
    assert "gone" not in shown, "what did not change is left out"


def test_an_older_day_is_named() -> None:
    nothing = listed()
    some = text(changes_section(Changes(DS, {"articles": YESTERDAY, "b": date(2025, 3, 7)}, nothing)).html)
    assert "Since 2025-03-13, but b with 2025-03-07: the newest earlier day that has the table." in some
    assert "No article, customer, label or value differs." in some
    assert "No figure of a model stands on both days." in some
    every = text(changes_section(Changes(DS, {"b": date(2025, 3, 7)}, nothing)).html)
    assert "Compared b with 2025-03-07" in every


def test_the_first_day_has_nothing_to_be_compared_with() -> None:
    page = render_page("x", DS, [changes_section(Changes(DS, {}, listed()))])
    outline(page)
    assert "nothing can be compared" in page
    assert "dg launch" not in page


def test_a_figure_moves_beyond_the_interval_of_its_difference() -> None:
    """Two errors of 3 and 4 make one of 5: 9.8 is the limit."""
    found = moved(
        figures(
            ("inside", 0.0, 3.0, 9.79, 4.0),
            ("higher", 0.0, 3.0, 9.81, 4.0),
            ("much lower", 0.0, 3.0, -20.0, 4.0),
            ("without errors and equal", 1.0, 0.0, 1.0, 0.0),
        )
    )
    assert found["what"].tolist() == ["much lower", "higher"]
    assert found["difference"].tolist() == [-20.0, 9.81]
    assert found["error"].tolist() == [5.0, 5.0]


def test_moved_figures_are_shown_with_their_difference() -> None:
    found = figures(("als: precision", 0.05, 0.001, 0.03, 0.001), ("x: accuracy", 0.5, 0.1, 0.6, 0.1))
    shown = text(changes_section(Changes(DS, {"offline_metrics": YESTERDAY}, listed(), found)).html)
    assert "1 of 2 figures moved" in shown
    assert "als: precision 0.0500 0.0300 −0.0200 ± 0.0028 lower" in shown
    assert "x: accuracy" not in shown


def test_figures_of_recommenders_that_both_days_have() -> None:
    after = JUDGED[JUDGED["model"] == "als"].assign(value=JUDGED["value"] + 0.5)
    both = recommender_figures(JUDGED, after)
    assert both["what"].tolist() == [
        f"als: {metric}@10, seen {seen}"
        for seen in ("allowed", "excluded")
        for metric in ("hit_rate", "ndcg", "precision", "recall")
    ]
    assert (both["after"] - both["before"]).to_numpy() == pytest.approx(0.5)
    assert both["before_error"].tolist() == [0.001] * 8
    assert recommender_figures(None, after).empty
    assert recommender_figures(JUDGED, JUDGED.iloc[:0]).empty


def test_the_error_of_an_accuracy_is_that_of_a_share() -> None:
    def metrics(accuracy: float, samples: float) -> pd.DataFrame:
        rows = [
            ("m", name, metric, value)
            for name in ("fit", "mean")
            for metric, value in (("accuracy", accuracy), ("samples", samples))
        ]
        return pd.DataFrame(rows, columns=["model_id", "attribute", "metric", "value"])

    both = attribute_figures(metrics(0.5, 100), metrics(0.8, 0))
    assert both["what"].tolist() == ["fit: accuracy of the attribute model"]
    assert both["before_error"].tolist() == [0.05]
    assert both["after_error"].isna().all(), "of no sample nothing is known"
    assert attribute_figures(None, metrics(0.5, 1)).empty


def test_hostile_texts_are_shown_as_text() -> None:
    found = listed(("label_changed", 1, HOSTILE, HOSTILE, HOSTILE, f"{HOSTILE}2"))
    page = render_page(
        "x", DS, [changes_section(Changes(DS, {HOSTILE: YESTERDAY}, found, figures((HOSTILE, 0, 1, 9, 1))))]
    )
    outline(page)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4
