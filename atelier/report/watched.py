"""What watches over a day: the lines on gates and drift in its summary, and the section on gates.

What belongs here: showing the tables ``gates``, ``champions`` and ``drift``. What does not: the limits
(:mod:`atelier.monitoring`), the other lines (:mod:`atelier.report.this_day`), the section on drift.
"""

from collections.abc import Iterator

import pandas as pd

from atelier.monitoring.drift.verdicts import FLAGGED, UNKNOWN
from atelier.report import parts
from atelier.report.this_day import BAD, GOOD, NAMED, NONE, WARN, Line

#: What is said of a champion, by its action.
ACTIONS = {"passed": "tonight's", "kept": "kept", "unproven": "tonight's, though it failed: there is none to keep"}
_KINDS = {"passed": GOOD, "kept": BAD, "unproven": BAD}


def gates_line(gates: pd.DataFrame | None, champions: pd.DataFrame | None, *, listed: bool = False) -> Line | None:
    """Whether tonight's models pass their gates, and whose lists customers are shown; None: nothing is to be measured.

    Args:
        gates: the table gates of the day.
        champions: the table champions of the day.
        listed: whether the day has lists, which have to be measured.
    """
    if gates is None or gates.empty:
        text = "No gate has measured tonight's lists: nobody is shown them where an earlier day's have passed."
        todo = "Mend the cause, then run the day again."
        return Line("Gates", BAD, "not measured", text, "gates", todo) if listed else None
    failed = gates[~gates["passed"].astype(bool)].sort_values(["model", "gate"])
    models = gates["model"].nunique()
    unfit = failed["model"].nunique()
    named = "; ".join(f"{row['model']}: {row['said']}" for row in failed.head(NAMED).to_dict("records"))
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    text = f"{models - unfit} of {models} models pass their gates. {_shown(champions)}"
    todo = f"{named}{more}. The champions keep serving; mend the cause, then run the day again." if unfit else ""
    return Line("Gates", BAD if unfit else GOOD, f"{unfit} failed" if unfit else "all passed", text, "gates", todo)


def _shown(champions: pd.DataFrame | None) -> str:
    serving = [] if champions is None else champions[champions["serving"].astype(bool)].to_dict("records")
    if not serving:
        return "Nobody has lists."
    row = serving[0]
    return f"Customers are shown the lists of {row['model']} of {pd.Timestamp(row['made_on']).date()}."


def drift_line(drift: pd.DataFrame | None) -> Line | None:
    """How many figures of the day are unlike those of the days before; None: nothing was measured.

    Args:
        drift: the table drift of the day.
    """
    if drift is None or drift.empty:
        return None
    known = drift[drift["verdict"] != UNKNOWN]
    flagged = known[known["verdict"] == FLAGGED].sort_values("name")
    if known.empty:
        return Line("Drift", NONE, "not known", "Too few earlier days are stored to tell what is unusual.", "drift")
    text = f"{len(flagged)} of {len(known)} figures are unlike those of the days before."
    named = ", ".join(flagged["name"].head(NAMED)) + (", …" if len(flagged) > NAMED else "")
    todo = f"Look at {named}: the section shows by how much." if len(flagged) else ""
    return Line("Drift", WARN if len(flagged) else GOOD, f"{len(flagged)} flagged", text, "drift", todo)


@parts.section("Gates", "gates", "No gate was measured on this day.")
def gates_section(gates: pd.DataFrame, champions: pd.DataFrame | None) -> Iterator[str]:
    """The champion of each model and every measurement of tonight's models, those that failed first.

    Args:
        gates: the table gates of the day.
        champions: the table champions of the day; None: it is not there.
    """
    yield parts.paragraph(
        "Tonight's models have no truth yet: these measurements say whether they are fit to be shown. "
        + _shown(champions)
    )
    if champions is not None and len(champions):
        heads = ["Model", "Champion", "Made on", "Decided by", "Why"]
        ordered = champions.sort_values(["serving", "model"], ascending=[False, True])
        rows = [
            [
                f"{row['model']}{' (shown to customers)' if row['serving'] else ''}",
                parts.Badge(ACTIONS[row["action"]], _KINDS[row["action"]]),
                str(pd.Timestamp(row["made_on"]).date()),
                row["who"],
                row["why"],
            ]
            for row in ordered.to_dict("records")
        ]
        yield parts.table("Whose results are shown.", heads, rows, heads)
    ordered = gates.assign(passed=gates["passed"].astype(bool)).sort_values(["passed", "model", "gate"])
    heads = ["Model", "Gate", "Verdict", "Value", "Threshold", "In words"]
    rows = [
        [
            row["model"],
            row["gate"],
            parts.Badge("passed", GOOD) if row["passed"] else parts.Badge("failed", BAD),
            parts.figure_text(row["value"]),
            parts.figure_text(row["threshold"]),
            row["said"],
        ]
        for row in ordered.to_dict("records")
    ]
    text = ("Model", "Gate", "Verdict", "In words")
    failed = int((~ordered["passed"]).sum())
    yield parts.details(
        f"{len(rows)} measurements, {failed} failed", parts.table("Every measurement.", heads, rows, text)
    )
