"""The lines on gates and drift, and the section on gates."""

import pandas as pd

from atelier.report.this_day import BAD, GOOD, NONE, WARN, Line
from atelier.report.watched import drift_line, gates_line, gates_section

GATES = pd.DataFrame(
    [
        ("als", "coverage", 0.4, 0.05, True, "its lists hold 40% of the articles"),
        ("gru", "on_sale", 3.0, 0.0, False, "3 rows are of <sold> articles"),
    ],
    columns=["model", "gate", "value", "threshold", "passed", "said"],
)
CHAMPIONS = pd.DataFrame(
    [
        ("gru", False, "2025-06-29", "kept", "gates", "tonight's failed"),
        ("als", True, "2025-06-30", "passed", "gates", "it passed every gate"),
    ],
    columns=["model", "serving", "made_on", "action", "who", "why"],
)
DRIFT = pd.DataFrame({"name": ["a", "b", "c"], "verdict": ["usual", "flagged", "too few days"]})


def line(found: Line | None) -> Line:
    assert found is not None
    return found


def test_a_failed_gate_is_named_and_so_is_what_customers_see() -> None:
    found = line(gates_line(GATES, CHAMPIONS))
    assert (found.mark, found.figure, found.anchor) == (BAD, "1 failed", "gates")
    assert "1 of 2 models pass their gates. Customers are shown the lists of als of 2025-06-30." in found.text
    assert "gru: 3 rows" in found.todo


def test_lists_that_no_gate_has_measured_are_told() -> None:
    found = line(gates_line(None, None, listed=True))
    assert (found.mark, found.figure) == (BAD, "not measured")
    assert gates_line(None, None) is None


def test_gates_that_pass_leave_nothing_to_do() -> None:
    found = line(gates_line(GATES.head(1), None))
    assert (found.mark, found.todo) == (GOOD, "")
    assert "Nobody has lists." in found.text


def test_what_was_not_measured_has_no_line() -> None:
    assert gates_line(None, None) is None
    assert gates_line(GATES.iloc[:0], CHAMPIONS) is None
    assert drift_line(None) is None
    assert gates_section(None, None).absent


def test_a_figure_that_drifted_is_named() -> None:
    found = line(drift_line(DRIFT))
    assert (found.mark, found.figure, found.anchor) == (WARN, "1 flagged", "drift")
    assert "1 of 2 figures" in found.text
    assert "Look at b:" in found.todo
    assert line(drift_line(DRIFT.head(1))).mark == GOOD
    assert line(drift_line(DRIFT.tail(1))).mark == NONE


def test_the_section_shows_the_shown_model_and_the_failed_gate_first() -> None:
    html = str(gates_section(GATES, CHAMPIONS).html)
    assert html.index("als (shown to customers)") < html.index(">gru<")
    assert html.index("3 rows are of &lt;sold&gt;") < html.index("its lists hold 40%")
    assert "2 measurements, 1 failed" in html
