"""The section on sequence models: which one, and what of it matters.

What belongs here: showing the table sequence_study. What does not: the study (:mod:`atelier.studies.sequence_plan`).
"""

from collections.abc import Iterator
from datetime import date

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics.encoding import Floats
from atelier.report import parts
from atelier.report.drawing import Drawing, figures
from atelier.report.figures import interval_plot, line_plot
from atelier.report.measured import grid, values_and_errors

DRAWN = ("hit_rate", "ndcg", "coverage", "novelty")
TOLD = (*DRAWN, "personalization", "overlap")
QUESTIONS = {
    "models": "All models side by side",
    "customer_embedding": "The length of the customer's vector",
    "article_embedding": "The length of the article's vector",
    "order": "Does the order of a history matter?",
    "history": "How long a history is read",
    "transfer": "Does a large market help in a small one?",
    "vectors": "Does the gain lie in the article vectors?",
}
NOTES = {
    "models": "",
    "customer_embedding": " none: customers are known by their history alone.",
    "article_embedding": "",
    "order": " Only what is trained on is shuffled: lists are made from histories in their true order.",
    "history": "",
    "transfer": " The large model knows none of these customers.",
    "vectors": " Neighbours: the mean cosine with the last five interactions.",
}


@parts.section("Sequence models", "sequence-study", "Sequence models have not been compared yet.", "sequence_study")
def sequence_study_section(study: pd.DataFrame, *, day: date | None = None) -> Iterator[str]:
    """Each question with its plot and its table.

    Args:
        study: the table sequence_study of one day.
        day: that day.
    """
    yield parts.paragraph(
        f"Lists of the day from which purchases until {day} were still to come, compared by these. Each variant was "
        "trained in the same manner but for what is varied; its best epoch was chosen on interactions that it was not "
        "trained on, and that are not among those which are judged here."
    )
    for part in dict.fromkeys(study["part"].astype(str)):
        rows = study[study["part"] == part]
        yield parts.heading(QUESTIONS[part])
        yield from figures([drawing(part, rows)])
        yield variants_table(part, rows)


def sequence_drawings(study: pd.DataFrame) -> list[Drawing]:
    """The plot of each part, for files and metadata."""
    return [drawing(part, study[study["part"] == part]) for part in dict.fromkeys(study["part"].astype(str))]


def drawing(part: str, rows: pd.DataFrame) -> Drawing:
    """Hit rate, NDCG, coverage and novelty of the variants of a part."""
    variants, k = list(dict.fromkeys(rows["variant"].astype(str))), int(rows["k"].iloc[0])
    values, errors = values_and_errors(rows, "metric", DRAWN, "variant", variants)
    series = {"95% interval over customers": (values, parts.Z_95 * errors)}
    spread = grid(rows, "metric", DRAWN, "variant", variants, "deviation")
    if not np.isnan(spread).all():
        series["standard deviation over seeds"] = (values, spread)
    plot = interval_plot([f"{name}@{k}" for name in DRAWN], variants, series, "mean")
    caption = f"{QUESTIONS[part]}: lists of {k}, over {int(rows['customers'].max()):,} customers.{NOTES[part]}"
    alt = (
        f"{QUESTIONS[part]}: hit rate, NDCG, coverage and novelty of {', '.join(variants)}; the table gives the values."
    )
    return Drawing(part, plot, alt, caption)


def longevity_drawing(table: pd.DataFrame) -> Drawing:
    """Hit rate and NDCG of frozen models by day, as means of the last seven days.

    Args:
        table: as :func:`atelier.studies.frozen_study.longevity` gives it.
    """
    names = table["model"].astype(str) + ", " + table["histories"].astype(str)
    rows = table.assign(name=names).astype({"value": "float64", "customers": "float64"})
    panels = ("hit_rate", "ndcg")
    lines = []
    for metric in panels:
        mine = rows[rows["metric"] == metric]
        lines.append({name: _weekly(mine[mine["name"] == name]) for name in dict.fromkeys(names)})
    plot = line_plot(panels, lines, "days after the last one that is known")
    caption = (
        "Models that were fitted once, judged by the purchases of each later day: means over the customers of seven "
        "days up to the day that is shown. Frozen: with the histories of the fit; reads on: with those up to the day "
        "before."
    )
    return Drawing("longevity", plot, f"Hit rate and NDCG by day for {', '.join(dict.fromkeys(names))}.", caption)


def _weekly(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    """The days from the seventh on, and the mean over the customers of the seven days up to each."""
    ordered = rows.sort_values("day").set_index("day")
    sums = (ordered["value"] * ordered["customers"]).rolling(7).sum() / ordered["customers"].rolling(7).sum()
    known = sums.dropna()
    return known.index.to_numpy(np.float64), known.to_numpy(np.float64)


def variants_table(part: str, rows: pd.DataFrame) -> Markup:
    """The figures of the variants of a part, the best of the accuracies marked."""
    variants, k = list(dict.fromkeys(rows["variant"].astype(str))), int(rows["k"].iloc[0])
    values, errors = values_and_errors(rows, "variant", variants, "metric", TOLD)
    seconds = rows.groupby("variant", sort=False)["seconds"].first().reindex(variants)
    best = [np.nanargmax(values[:, place]) if not np.isnan(values[:, place]).all() else -1 for place in (0, 1)]
    cells = [
        [
            name,
            *(parts.interval_cell(values[row, i], errors[row, i], best=best[i] == row) for i in (0, 1)),
            *(parts.figure_text(values[row, i]) for i in range(2, len(TOLD))),
            parts.count_text(round(seconds[name])),
        ]
        for row, name in enumerate(variants)
    ]
    heads = ["Variant", *(f"{name}@{k}" for name in TOLD), "Processor seconds of a fit"]
    return parts.table(f"{QUESTIONS[part]}. ± is half a 95% interval over customers.", heads, cells, heads[:1])
