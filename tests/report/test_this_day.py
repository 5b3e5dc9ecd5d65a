"""The summary of a day: each line's mark, words and remedy, in tiny cases whose answer is known."""

from dataclasses import replace
from datetime import date
from typing import Any

import pandas as pd
import pytest

from atelier.report.page import render_page
from atelier.report.this_day import DayFacts, Line, Rows, Served, day_lines, status, this_day_section
from tests.report.test_page import HOSTILE, outline
from tests.report.test_sections import JUDGED, text

DS = date(2025, 3, 14)
RETRAIN = "`dg launch --job daily_retrain --partition 2025-03-14`"


def checks(*rows: tuple[str, str, bool, bool, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["table", "check", "success", "blocking", "observed"])


def values(**counts: tuple[int, int, int]) -> pd.DataFrame:
    rows = [(name, *numbers) for name, numbers in counts.items()]
    return pd.DataFrame(rows, columns=["attribute", "annotated", "predicted", "abstained"])


FACTS = DayFacts(
    ds=DS,
    horizon=7,
    rows={"interactions": Rows(812, 790, 801.0), "articles": Rows(150, 150), "customers": Rows(300, 298, rejected=1)},
    customers=300,
    serving="als",
    served={"als": Served(300, 30, 30)},
    values=values(fit=(10, 6, 4), colour=(5, 5, 0)),
    articles=150,
    without_neighbours={"als": 12, "hybrid": 0},
    without_any=0,
    checks=checks(("articles", "contract", True, True, "")),
    metrics=JUDGED,
    judged_later="The lists of 2025-03-14 are evaluated later: run `dg launch --job judge --partition 2025-03-21`.",
)
DAY = ["Rows", "Rejected", "Models", "Customers", "Values", "Neighbours", "Checks", "Judged"]


def line(subject: str, **changes: Any) -> Line:
    (found,) = [each for each in day_lines(replace(FACTS, **changes)) if each.subject == subject]
    return found


def test_a_day_without_fault_is_fine() -> None:
    lines = day_lines(FACTS)
    assert [each.subject for each in lines] == DAY
    assert {each.subject: each.mark for each in lines} == dict.fromkeys(DAY, "good")
    assert status(lines) == "good"
    assert "✓ Nothing unusual." in text(this_day_section(lines).html)


def test_rows_stand_beside_those_of_the_days_before() -> None:
    assert line("Rows").text == (
        "interactions 812 (790 yesterday, usually 801); customers 300 (298 yesterday); as yesterday: articles 150."
    )
    assert line("Rows").figure == "812"


@pytest.mark.parametrize(
    ("changes", "mark", "remedy"),
    [
        (
            {"rows": {**FACTS.rows, "articles": Rows(None, 150)}},
            "bad",
            "Not ingested: articles. Run `dg launch --job ingest --partition 2025-03-14`.",
        ),
        ({"rows": {**FACTS.rows, "interactions": Rows(0, 790, 801.0)}}, "warn", "source's files of interactions"),
        ({"rows": {**FACTS.rows, "articles": Rows(15, 150, unusual=True)}}, "warn", "source's files of articles"),
        (
            {"not_ingested": [date(2025, 3, 3), date(2025, 3, 5)]},
            "warn",
            "2 earlier days have no interactions: run `dg launch --job ingest --partition-range"
            " 2025-03-03...2025-03-05`.",
        ),
    ],
)
def test_what_was_not_ingested_names_the_command(changes: dict[str, Any], mark: str, remedy: str) -> None:
    found = line("Rows", **changes)
    assert found.mark == mark
    assert remedy in found.todo


def test_many_rejected_rows_are_something_to_look_at() -> None:
    assert line("Rejected").text == "1 of 1,263 rows: customers 1."
    assert not line("Rejected").todo
    found = line("Rejected", rows={**FACTS.rows, "customers": Rows(99, rejected=1)})
    assert found.mark == "good", "exactly 1% is few"
    found = line("Rejected", rows={**FACTS.rows, "customers": Rows(98, rejected=1)})
    assert found.mark == "warn"
    assert "of customers" in found.todo


def test_who_is_on_the_fallback_and_why() -> None:
    found = line(
        "Customers", served={"als": Served(300, 105, 100)}, served_before=(date(2025, 3, 13), Served(10, 3, 3))
    )
    assert found.text == (
        "195 of 300 customers have a list of als; 105 (35.0%) are on the fallback: 100 have done nothing yet that als "
        "learns from, 5 have, but als cannot use it. On 2025-03-13: 30.0%."
    )
    assert (found.mark, found.figure) == ("warn", "35.0% fallback")
    assert found.todo == (
        "Nothing to run: each leaves the fallback with the first interaction that the model learns from."
    )
    better = line("Customers", served={"als": Served(300, 105, 105), "hybrid": Served(100, 1, 1)})
    assert "hybrid leaves 1.0%" in better.todo
    assert "`atelier init --serving-model hybrid`" in better.todo


def test_a_share_on_the_fallback_that_rises_is_something_to_look_at() -> None:
    before = date(2025, 3, 13)
    assert line("Customers", served_before=(before, Served(300, 15, 15))).mark == "good"  # by 5 points
    assert line("Customers", served_before=(before, Served(300, 14, 14))).mark == "warn"


def test_customers_without_a_list_are_a_failure() -> None:
    found = line("Customers", customers=301)
    assert found.mark == "bad"
    assert "1 have no list at all" in found.text
    assert RETRAIN in found.todo
    nobody = line("Customers", served={})
    assert (nobody.mark, nobody.todo) == ("bad", f"Run {RETRAIN}.")
    crippled = line("Customers", served={}, missing={"als_model": "killed"}, remake="dg launch --assets als_model")
    assert crippled.todo == "Mend the cause, then run `dg launch --assets als_model`."


def test_the_share_abstained_is_of_what_nobody_annotated() -> None:
    found = line("Values")
    assert (found.mark, found.figure) == ("good", "26.7% abstained")  # 4 of 15
    much = line("Values", values=values(colour=(5, 4, 1), fit=(0, 0, 9), heel=(9, 1, 3), neckline=(3, 0, 0)))
    assert (much.mark, much.figure) == ("warn", "72.2% abstained")  # 13 of 18
    assert "first of fit (100.0%), heel (75.0%), colour (20.0%)" in much.todo
    assert line("Values", values=None).mark == "bad"
    assert line("Values", values=values()).figure == "0.0% abstained"


def test_articles_that_no_model_has_neighbours_of() -> None:
    assert "0 of 150 articles" in line("Neighbours").text
    assert "by model: als 12, hybrid 0" in line("Neighbours").text
    found = line("Neighbours", without_any=3)
    assert (found.mark, found.figure) == ("warn", "3 without")
    assert found.todo
    assert line("Neighbours", without_neighbours=None).mark == "bad"


def test_models_that_are_missing() -> None:
    found = line("Models", missing={"als_model": "killed", "article_index": "no als"}, remake="dg launch --assets x")
    assert (found.mark, found.figure, found.anchor) == ("bad", "2 missing", "missing")
    assert found.text == "Not made: als_model, article_index."
    assert "`dg launch --assets x`" in found.todo


def test_checks_say_what_they_found_the_failed_first() -> None:
    found = line(
        "Checks",
        checks=checks(
            ("a", "warns", False, False, "run `x`"),
            ("b", "fails", False, True, "broken."),
            ("c", "passes", True, True, ""),
        ),
    )
    assert found.mark == "bad"
    assert found.text == "1 failed, 1 warned, 1 passed."
    assert found.todo == "b, fails: broken. a, warns: run `x`."
    warned = line("Checks", checks=checks(*(("a", f"w{i}", False, False, "x") for i in range(5))))
    assert warned.mark == "warn"
    assert warned.todo.endswith("And 2 more.")
    assert line("Checks", checks=checks()).mark == "none"
    broken = line("Checks", checks=checks(("a", "contract", False, True, "rows\n" + "a row " * 100)))
    assert broken.todo.startswith("a, contract: rows a row a row")
    assert broken.todo.endswith("a row ….")
    assert len(broken.todo) < 300


def test_when_it_was_judged_and_by_what() -> None:
    found = line("Judged")
    assert found.text == (
        "The lists made on 2025-03-07 were judged by what 250 customers did on 2025-03-08 … 2025-03-14. "
        "Best: als, precision@10 0.0500 ± 0.0020."
    )
    assert "`dg launch --job judge --partition 2025-03-21`" in found.todo
    few = line("Judged", metrics=JUDGED.assign(customers=199))
    assert few.mark == "warn"
    assert few.todo.startswith("Below 200 customers")


def test_a_day_that_was_not_judged_says_why_and_what_to_run() -> None:
    why = "The lists of 2025-03-07 wait: run `dg launch --job judge --partition 2025-03-14`."
    found = line("Judged", metrics=None, unjudged=why)
    assert found.mark == "warn"
    assert found.todo.startswith(why)
    first = line("Judged", metrics=None, unjudged="There are no lists.", before_first_lists=True)
    assert first.mark == "none", "no day before the first one could have been judged"
    assert "--partition 2025-03-21" in first.todo


def test_the_worst_line_is_the_status_of_the_day() -> None:
    lines = day_lines(replace(FACTS, served={}, without_any=1))
    assert status(lines) == "bad"
    shown = text(this_day_section(lines).html)
    assert "✗ Something failed: customers." in shown
    assert shown.index("✗ Something failed") < shown.index("Rows")


def test_each_line_leads_to_its_section_and_commands_can_be_copied() -> None:
    html = this_day_section(day_lines(replace(FACTS, values=None))).html
    assert '<a href="#ingest"><strong>Rows</strong></a>' in html
    assert "<code>dg launch --job daily_retrain --partition 2025-03-14</code>" in html


def test_hostile_texts_are_shown_as_text() -> None:
    facts = replace(
        FACTS,
        serving=HOSTILE,
        served={HOSTILE: Served(300, 100, 90), f"`{HOSTILE}": Served(3, 0, 0)},
        values=values(**{HOSTILE: (1, 0, 9)}),
        without_neighbours={HOSTILE: 3},
        missing={HOSTILE: HOSTILE},
        remake=HOSTILE,
        checks=checks((HOSTILE, HOSTILE, False, False, f"`{HOSTILE}` {HOSTILE}`")),
    )
    page = render_page("x", DS, [this_day_section(day_lines(facts))])
    outline(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_on_a_night_that_failed_its_gates_the_customers_line_is_about_the_lists_that_are_shown() -> None:
    found = line("Customers", kept=("als", date(2025, 3, 1), 7))
    assert (found.mark, found.figure, found.anchor) == ("bad", "lists of 2025-03-01", "gates")
    assert "those of als of 2025-03-01 are shown, which 7 of 300 customers have" in found.text
