"""The section on contract checks and what stages found odd.

What belongs here: showing the results of checks. What does not: checking.
"""

import pandas as pd
from markupsafe import Markup

from atelier.report.parts import Badge, Section, details, joined, missing, note, paragraph, plain, table

COMMAND = "dg launch --job daily_retrain --partition <day>"


def checks_section(checks: pd.DataFrame | None, command: str = COMMAND) -> Section:
    """Which checks passed, failures first.

    Args:
        checks: table, check, success, blocking (false: a warning), and where known column, observed, examples.
        command: what to run where there are none.
    """
    if checks is None or checks.empty:
        return Section("Checks", "checks", missing("No check has run yet.", command))
    shown = checks.copy()
    shown["place"] = [_place(row.success, row.blocking) for row in shown.itertuples()]
    shown = shown.sort_values(["place", "table", "check"], kind="stable")
    failed = shown[shown["place"] < _PASSED]
    counts = shown["place"].value_counts()
    verdict = (
        note(f"All {len(shown)} checks passed.", "good")
        if failed.empty
        else note(
            f"{counts.get(0, 0)} failed, {counts.get(1, 0)} warned, {counts.get(_PASSED, 0)} passed.",
            "bad" if counts.get(0, 0) else "warn",
        )
    )
    parts = [verdict]
    if not failed.empty:
        parts.append(
            _table("What did not pass; a failed check that blocks kept its partition from being published.", failed)
        )
    passed = shown[shown["place"] == _PASSED]
    if not passed.empty:
        parts.append(details(f"The {len(passed)} checks that passed", _table("What passed.", passed)))
    return Section("Checks", "checks", joined(paragraph("Every table is audited before it is published."), *parts))


_PASSED = 2
_BADGES = (Badge("failed", "bad"), Badge("warning", "warn"), Badge("passed", "good"))


def _place(success: object, blocking: object) -> int:
    return _PASSED if bool(success) else (0 if bool(blocking) else 1)


def _table(caption: str, rows: pd.DataFrame) -> Markup:
    optional = [name for name in ("column", "observed", "examples") if name in rows and rows[name].notna().any()]
    cells = [
        [row["table"], plain(row["check"]), *[plain(row[name]) for name in optional], _BADGES[row["place"]]]
        for row in rows.to_dict("records")
    ]
    return table(caption, ["Table", "Check", *[name.capitalize() for name in optional], "Result"], cells)
