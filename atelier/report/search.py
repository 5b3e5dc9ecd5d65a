"""The section on approximate search: how much of the exact answer the index of articles finds, and at what effort.

What belongs here: showing the recall that was measured when the index was built. What does not: measuring it
(:mod:`atelier.recommenders.index_recall`).
"""

import pandas as pd

from atelier.report.figures import line_plot
from atelier.report.parts import Section, count_text, figure, joined, missing, paragraph, percent_text, table

COMMAND = "dg launch --job daily_retrain --partition <day>"
TITLES = {"cosine": "similar articles (cosine)", "inner_product": "recommendations (inner product)"}


def search_section(curve: pd.DataFrame | None, *, command: str = COMMAND) -> Section:
    """Recall@10 of the index against exact search, by nodes inspected in a look-up.

    Args:
        curve: metric, nodes, used (the effort of the stored index), recall, queries.
        command: what to run where there is none.
    """
    title, anchor = "Approximate search", "search"
    if curve is None or curve.empty:
        return Section(title, anchor, missing("No index of articles has been built yet.", command))
    panels, lines, cells = [], [], []
    for metric, rows in curve.sort_values("nodes").groupby("metric", sort=True):
        name = TITLES.get(str(metric), str(metric))
        panels.append(name)
        lines.append({"recall@10": (rows["nodes"].to_numpy("float64"), rows["recall"].to_numpy("float64"))})
        for row in rows[rows["used"].astype(bool)].to_dict("records"):
            cells.append([name, count_text(row["nodes"]), percent_text(row["recall"]), count_text(row["queries"])])
    drawing = line_plot(panels, lines, "nodes inspected in a look-up", log_x=True)
    heads = ("Nodes inspected", "Recall@10", "Queries")
    return Section(
        title,
        anchor,
        joined(
            paragraph(
                "Lists for everybody come from exact search. The index answers single look-ups; this is how much "
                "of the exact first ten it finds, of what is in stock and neither the article itself nor seen by the "
                "customer."
            ),
            table("The effort that the stored index is searched with.", ["Look-up", *heads], cells, numeric=heads),
            figure(
                drawing,
                "Recall at 10 rises with the nodes inspected; the table gives the values of the effort used.",
                "Recall@10: more nodes find more and take longer.",
            ),
        ),
    )
