"""The section on approximate search: how much of the exact answer the index of articles finds, and at what effort.

What belongs here: showing the recall that was measured when the index was built. What does not: measuring it
(:mod:`atelier.recommenders.index_recall`).
"""

from collections.abc import Iterator

import pandas as pd

from atelier.report import parts
from atelier.report.figures import line_plot

TITLES = {"cosine": "similar articles (cosine)", "inner_product": "recommendations (inner product)"}


@parts.section("Approximate search", "search", "No index of articles has been built yet.")
def search_section(curve: pd.DataFrame) -> Iterator[str]:
    """Recall@10 of the index against exact search, by nodes inspected in a look-up.

    Args:
        curve: metric, nodes, used (the effort of the stored index), recall, queries.
    """
    panels, lines, cells = [], [], []
    for metric, rows in curve.sort_values("nodes").groupby("metric", sort=True):
        panels.append(name := TITLES.get(str(metric), str(metric)))
        lines.append({"recall@10": (rows["nodes"].to_numpy("float64"), rows["recall"].to_numpy("float64"))})
        cells += [
            [name, parts.count_text(row["nodes"]), parts.percent_text(row["recall"]), parts.count_text(row["queries"])]
            for row in rows[rows["used"].astype(bool)].to_dict("records")
        ]
    yield parts.paragraph(
        "Lists for everybody come from exact search. The index answers single look-ups; this is how much of the exact "
        "first ten it finds, of what is in stock and neither the article itself nor seen by the customer."
    )
    heads = ("Look-up", "Nodes inspected", "Recall@10", "Queries")
    yield parts.table("The effort that the stored index is searched with.", heads, cells)
    yield parts.figure(
        line_plot(panels, lines, "nodes inspected in a look-up", log_x=True),
        "Recall at 10 rises with the nodes inspected; the table gives the values of the effort used.",
        "Recall@10: more nodes find more and take longer.",
    )
