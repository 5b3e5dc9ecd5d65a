"""The section on checks: those of contracts, and those in which stages say what they found unusual.

What belongs here: showing the results of checks. What does not: checking.
"""

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from atelier.report import parts

#: The outcomes of a check, the worst first.
_FAILED, _WARNED, _PASSED = range(3)
_BADGES = (parts.Badge("failed", "bad"), parts.Badge("warning", "warn"), parts.Badge("passed", "good"))


@parts.section("Checks", "checks", "No check has run yet.")
def checks_section(checks: pd.DataFrame) -> Iterator[str]:
    """Which checks passed, failures first.

    Args:
        checks: table, check, success, blocking (false: a warning), and where known column, observed, examples.
    """
    outcome = [
        _PASSED if success else _FAILED if blocking else _WARNED
        for success, blocking in zip(checks["success"].astype(bool), checks["blocking"].astype(bool), strict=True)
    ]
    shown = checks.assign(outcome=outcome).sort_values(["outcome", "table", "check"], kind="stable")
    failed, passed = (shown[(shown["outcome"] == _PASSED) == whether] for whether in (False, True))
    yield parts.paragraph("Every table is audited before it is published.")
    if failed.empty:
        yield parts.note(f"All {len(shown)} checks passed.", "good")
    else:
        kind = "bad" if _FAILED in outcome else "warn"
        counts = f"{outcome.count(_FAILED)} failed, {outcome.count(_WARNED)} warned, {outcome.count(_PASSED)} passed."
        yield parts.note(counts, kind)
        yield _table("What did not pass; a failed check that blocks kept its partition from being published.", failed)
    if not passed.empty:
        yield parts.details(f"The {len(passed)} checks that passed", _table("What passed.", passed))


def _table(caption: str, rows: pd.DataFrame) -> Markup:
    optional = [name for name in ("column", "observed", "examples") if name in rows and rows[name].notna().any()]
    cells = [
        [
            row["table"],
            parts.plain(row["check"]),
            *[parts.plain(row[name]) for name in optional],
            _BADGES[row["outcome"]],
        ]
        for row in rows.to_dict("records")
    ]
    heads = ["Table", "Check", *[name.capitalize() for name in optional], "Result"]
    return parts.table(caption, heads, cells, heads)
