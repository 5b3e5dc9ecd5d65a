"""What needs a person: counts, links and first rows, and what is said where nothing waits or nothing was made."""

import pandas as pd

from atelier.report.album import Album
from atelier.report.open_work import OpenWork, cards, open_work_section

ALBUM = Album(pd.DataFrame({"article_id": ["a1"], "name": ["<Shirt>"]}))
ERRORS = pd.DataFrame(
    [("a1", "colour", "red", "blue", 0.9)],
    columns=["article_id", "attribute", "annotated_value", "predicted_value", "error_probability"],
)
ABSTAINED = pd.DataFrame(
    [(40, "a1", "fit", "slim", 0.5, 9), (40, "a2", "fit", "wide", 0.4, 8)],
    columns=["total", "article_id", "attribute", "value", "confidence", "units"],
)
UNLISTED = pd.DataFrame(
    [(5, 1, "a1", "Shirt", 20.0, pd.Timestamp("2025-01-02"), True), (5, 1, "a2", None, None, pd.NaT, False)],
    columns=["total", "total_nowhere", "article_id", "product_type", "price", "available_from", "nowhere"],
)
WORK = OpenWork(28, ERRORS, 12, ABSTAINED, UNLISTED)
NOTHING = OpenWork(28, ERRORS.iloc[:0], 0, ABSTAINED.iloc[:0], UNLISTED.iloc[:0])


def test_each_card_has_a_count_a_link_and_first_rows() -> None:
    html = str(cards(WORK, ALBUM))
    assert '<a href="#catalogue-errors"><strong>12</strong> likely catalogue errors</a>' in html
    assert '<a href="#open-work-abstained"><strong>40</strong>' in html
    assert '<a href="#open-work-unlisted"><strong>5</strong>' in html
    assert "&lt;Shirt&gt; (a1): colour red, or blue?" in html
    assert "a2: fit wide? 8 sold" in html
    assert "a2: only beside other articles" in html


def test_the_section_has_what_the_links_lead_to() -> None:
    html = str(open_work_section(WORK, ALBUM).html)
    assert 'id="open-work-abstained"' in html
    assert 'id="open-work-unlisted"' in html
    assert "<code>atelier lineage a1 fit</code>" in html
    assert "40 values of articles that sold in the last 28 days" in html
    assert "5 articles on sale are in no customer&#39;s list; 1 of them" in html
    assert "2025-01-02" in html


def test_nothing_that_waits_is_told_from_nothing_that_was_made() -> None:
    assert str(cards(NOTHING, ALBUM)).count("None.") == 3
    html = str(open_work_section(NOTHING, ALBUM).html)
    assert "is settled" in html
    assert "Every article on sale is in some customer" in html
    missing = OpenWork(28, None, 0, None, None)
    assert str(cards(missing, ALBUM)).count("Not made on this day.") == 3
    assert "Neither values nor lists" in open_work_section(missing, ALBUM).absent
