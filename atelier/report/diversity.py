"""The section on what is recommended: how varied, how popular, how new, of which kinds.

What belongs here: showing the figures of diversity, by rank and of shares in offline_metrics. What does not: accuracy
(:mod:`atelier.report.leaderboard`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics.segments import ALL
from atelier.report.figures import dot_plot, line_plot
from atelier.report.measured import DAILY_K, chosen, evaluations, grid, nearest_k, numbers, ranked_models
from atelier.report.parts import Section, figure, figure_text, joined, missing, paragraph, percent_text, table

COMMAND = "dg launch --job judge --partition <day>"
BY_RANK = {
    "mean_popularity_at_rank": "popularity (units sold)",
    "mean_price_at_rank": "price",
    "mean_age_days_at_rank": "age (days)",
}
MOST_VALUES = 12


def diversity_section(offline_metrics: pd.DataFrame | None, *, k: int = DAILY_K, command: str = COMMAND) -> Section:
    """Coverage, overlap, personalization and novelty; what stands at each rank; shares by an attribute's values.

    Args:
        offline_metrics: the table of that name.
        k: the list length; the nearest one judged where it was not.
        command: what to run where there are none.
    """
    title, anchor = "What is recommended", "diversity"
    if offline_metrics is None or offline_metrics.empty:
        return Section(title, anchor, missing("Recommendations of this day have not been judged yet.", command))
    k = nearest_k(offline_metrics, k)
    models = ranked_models(offline_metrics, k)
    seen = evaluations(offline_metrics)[0]
    parts = [_table(offline_metrics, models, k), _ranks(chosen(offline_metrics, seen=seen), models, seen)]
    parts.append(_shares(chosen(offline_metrics, seen=seen), models, seen, k))
    return Section(title, anchor, joined(*parts))


def _table(metrics: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    cells = []
    names = ("coverage", "overlap", "personalization", "novelty")
    for seen in evaluations(metrics):
        rows = chosen(metrics, k=k, segment=ALL, seen=seen)
        values = grid(rows, "model", models, "metric", names, "value")
        cells += [
            [model, f"seen {seen}", *map(percent_text, line[:3]), figure_text(line[3], 2)]
            for model, line in zip(models, values, strict=True)
            if not np.isnan(line).all()
        ]
    numeric = (f"Coverage@{k}", f"Overlap@{k}", f"Personalization@{k}", f"Novelty@{k} (bits)")
    return table(
        "Coverage is the share of the catalogue that anybody is shown; overlap the share of lists that repeat another "
        "customer's; personalization how unlike two customers' lists are; novelty how rarely the articles are bought.",
        ["Model", "Evaluation", *numeric],
        cells,
        numeric=numeric,
    )


def _ranks(metrics: pd.DataFrame, models: Sequence[str], seen: str) -> Markup:
    """What stands at each rank, against the catalogue's mean."""
    found = [name for name in BY_RANK if (metrics["metric"] == name).any()]
    if not found:
        return paragraph("Popularity, price and age by rank were not measured.")
    lines, levels = [], []
    for name in found:
        rows = chosen(metrics, metric=name)
        by_model = {model: chosen(rows[rows["model"] == model], segment=ALL).sort_values("k") for model in models}
        lines.append({m: (r["k"].to_numpy(np.float64), numbers(r["value"]).to_numpy()) for m, r in by_model.items()})
        means = numbers(chosen(rows, segment="catalogue")["value"]).dropna()
        levels.append(float(means.iloc[0]) if len(means) else float("nan"))
    drawing = line_plot([BY_RANK[name] for name in found], lines, "rank", levels, "mean of the catalogue")
    text = f"Means over customers of what stands at each rank, seen articles {seen}; dashed: the mean of the catalogue."
    return figure(
        drawing, f"Lines by rank for {', '.join(models)}: {', '.join(BY_RANK[name] for name in found)}.", text
    )


def _shares(metrics: pd.DataFrame, models: Sequence[str], seen: str, k: int) -> Markup:
    """The mix that is recommended beside the mix that customers wanted."""
    wanted = (
        chosen(metrics, metric="relevant_share").drop_duplicates("segment").assign(number=lambda f: numbers(f["value"]))
    )
    if wanted.empty:
        return joined()
    largest = wanted.sort_values(["number", "segment"], ascending=[False, True]).head(MOST_VALUES)
    segments = largest["segment"].tolist()
    shares = grid(chosen(metrics, metric="recommended_share", k=k), "segment", segments, "model", models, "value")
    attribute = segments[0].partition("=")[0]
    drawing = dot_plot(
        [segment.partition("=")[2] for segment in segments],
        {m: shares[:, i] for i, m in enumerate(models)} | {"wanted by customers": largest["number"].to_numpy()},
        "share of articles",
    )
    text = (
        f"Share of each {attribute} among what customers wanted and among the first {k} recommendations of each model, "
        f"seen articles {seen}; the {len(segments)} most wanted values."
    )
    return figure(drawing, f"Share of {attribute} wanted, and recommended by {', '.join(models)}.", text)
