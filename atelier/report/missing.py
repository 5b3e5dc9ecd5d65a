"""The section on what the day lacks, first on the page.

What belongs here: naming what was not made, why, and what follows from it. What does not: finding out.
"""

from collections.abc import Mapping

from atelier.report.parts import Section, joined, missing, note, table


def missing_section(absent: Mapping[str, str], served: str, command: str) -> Section:
    """What was not made on the day.

    Args:
        absent: why it was not made, by asset; at least one.
        served: the asset of the lists that customers are shown.
        command: what makes the day again.
    """
    customers = "Customers have no lists on this day: " if served in absent else "The lists that are served are there; "
    verdict = f"{customers}{len(absent)} of the day's models, lists and neighbours were not made."
    rows = table("What was not made, and why.", ["Asset", "Reason"], list(absent.items()))
    body = joined(note(verdict, "bad"), rows, missing("Mend the cause, then make it.", command))
    return Section("Missing", "missing", body)
