"""The section on what the day lacks, first on the page.

What belongs here: naming what was not made, why, and what follows from it. What does not: finding out.
"""

from collections.abc import Mapping

from atelier.report import parts


def missing_section(missing: Mapping[str, str], served: str) -> parts.Section:
    """What was not made on the day.

    Args:
        missing: why it was not made, by asset; at least one.
        served: the asset of the lists that customers are shown.
    """
    customers = "Customers have no lists on this day" if served in missing else "The lists that customers see are there"
    verdict = f"{customers}; {len(missing)} of the day's models, lists and neighbours were not made."
    heads = ["Asset", "Reason"]
    rows = parts.table("What was not made, and why.", heads, [list(each) for each in missing.items()], heads)
    remedy = parts.paragraph("The last step of the run, completeness, names the command that makes them.")
    return parts.Section("Missing", "missing", parts.joined(parts.note(verdict, "bad"), rows, remedy))
