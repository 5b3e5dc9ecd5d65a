"""What the section on catalogue errors says, and how it shows what people may have written."""

import html
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from atelier.report.album import Album
from atelier.report.catalogue_errors import catalogue_errors_section

ERRORS = pd.DataFrame(
    {
        "article_id": ["b", "a", "c"],
        "attribute": ["colour", "colour", "fit"],
        "annotated_value": ["red", "blue", "<b>slim</b>"],
        "annotated_probability": [0.001, 0.02, 0.1],
        "predicted_value": ["black", "navy", "wide"],
        "confidence": [0.99, 0.95, 0.5],
        "error_probability": [0.97, 0.8, 0.6],
        "fold": [0, 1, 2],
        "rank": [1, 2, 3],
    }
)


def text(markup: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", markup)))


def test_the_most_suspicious_come_first_with_both_values_and_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atelier.report.catalogue_errors.SHOWN", 2)
    articles = pd.DataFrame({"article_id": ["a", "b"], "name": ["Blue & navy coat", None]})
    section = catalogue_errors_section(ERRORS.iloc[::-1], Album(articles))
    shown = text(section.html)
    assert "3 annotations are probably wrong" in shown
    assert "the 2 most suspicious are shown" in shown
    first, second = shown.index("1. colour: red model: black 99.0%"), shown.index("2. colour: blue model: navy 95.0%")
    assert first < second
    assert "Blue & navy coat" in shown
    assert "3. fit" not in shown
    assert shown.index("colour 2") < shown.index("fit 1"), "counts by attribute, most first"
    assert section.html.count("no photograph") == 2


def test_photographs_stand_in_the_page_and_values_are_escaped(tmp_path: Path) -> None:
    Image.new("RGB", (300, 400), "red").save(tmp_path / "c.jpg")
    page = catalogue_errors_section(ERRORS, Album(None, {"c": Path("c.jpg"), "a": Path("../away.jpg")}, tmp_path)).html
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert "<b>slim" not in page
    assert "&lt;b&gt;slim" in page


def test_no_errors_and_no_table_are_said() -> None:
    assert "No annotation is probably wrong" in catalogue_errors_section(ERRORS.head(0)).html
    assert catalogue_errors_section(None).job == "daily_retrain"


def test_a_remark_is_said_whether_errors_were_found_or_not() -> None:
    for errors in (ERRORS, ERRORS.head(0)):
        page = catalogue_errors_section(errors, remark="It has seen <them>.").html
        assert '<p class="note warn">It has seen &lt;them&gt;.</p>' in page
        assert "note" not in catalogue_errors_section(errors).html


def test_the_expected_share_of_errors_is_said_with_its_interval() -> None:
    shares = pd.DataFrame(
        {
            "attribute": ["colour", "fit", "heel", "all"],
            "expected_share": [0.885, None, None, 0.8],
            "low": [0.7, None, None, 0.6],
            "high": [1.0, None, None, 0.9],
        }
    )
    shown = text(catalogue_errors_section(ERRORS, shares=shares).html)
    assert "(80.0% of them should be true errors, with a 90% interval of 60.0% to 90.0%)" in shown
    assert "colour 2 88.5% 70.0% to 100.0%" in shown
    assert "fit 1 – –" in shown
    assert "should be true errors, with" not in text(catalogue_errors_section(ERRORS).html)
