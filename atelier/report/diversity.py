"""The section on what is recommended: how varied, how popular, how new, of which kinds.

What belongs here: showing the figures of diversity, by rank and of shares in offline_metrics. What does not: accuracy
(:mod:`atelier.report.leaderboard`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics.segments import ALL, CATALOGUE
from atelier.report import parts
from atelier.report.drawing import Drawing
from atelier.report.figures import dot_plot, line_plot
from atelier.report.measured import DAILY_K, chosen, evaluations, grid, nearest_k, ranked_models

BY_RANK = {
    "mean_popularity_at_rank": "popularity (units sold)",
    "mean_price_at_rank": "price",
    "mean_age_days_at_rank": "age (days)",
}
MOST_VALUES = 12


@parts.section("What is recommended", "diversity", "Recommendations have not been judged on this day.", "judge")
def diversity_section(offline_metrics: pd.DataFrame, *, k: int = DAILY_K) -> Iterator[str]:
    """Coverage, overlap, personalization and novelty; what stands at each rank; shares by an attribute's values.

    Args:
        offline_metrics: the table of that name.
        k: the list length; the nearest one that was evaluated where this one was not.
    """
    k = nearest_k(offline_metrics, k)
    models = ranked_models(offline_metrics, k)
    seen = evaluations(offline_metrics)[0]
    rows = chosen(offline_metrics, seen=seen)
    yield _table(offline_metrics, models, k)
    yield _ranks(rows, models, seen)
    yield from _shares(rows, models, seen, k)


def _table(metrics: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    names = ("coverage", "overlap", "personalization", "novelty")
    cells = [
        [model, f"seen {seen}", *map(parts.percent_text, line[:3]), parts.figure_text(line[3], 2)]
        for seen in evaluations(metrics)
        for model, line in zip(
            models,
            grid(chosen(metrics, k=k, segment=ALL, seen=seen), "model", models, "metric", names, "value"),
            strict=True,
        )
        if not np.isnan(line).all()
    ]
    caption = (
        "Coverage is the share of the catalogue that anybody is shown; overlap the share of lists that repeat another "
        "customer's; personalization how unlike two customers' lists are; novelty how rarely the articles are bought."
    )
    text = ("Model", "Evaluation")
    heads = [*text, f"Coverage@{k}", f"Overlap@{k}", f"Personalization@{k}", f"Novelty@{k} (bits)"]
    return parts.table(caption, heads, cells, text)


def _ranks(metrics: pd.DataFrame, models: Sequence[str], seen: str) -> Markup:
    """What stands at each rank, against the catalogue's mean."""
    drawing = ranks_drawing(metrics, models, f", seen articles {seen}")
    if drawing is None:
        return parts.paragraph("Popularity, price and age by rank were not measured.")
    return drawing.html()


def ranks_drawing(metrics: pd.DataFrame, models: Sequence[str], remark: str = "") -> Drawing | None:
    """Mean popularity, price and age at each rank, against the catalogue's mean; None where none was measured.

    Args:
        metrics: model, metric, k (the rank), segment, value.
        models: in the order of the legend.
        remark: what the caption adds of the lists.
    """
    found = {name: title for name, title in BY_RANK.items() if (metrics["metric"] == name).any()}
    if not found:
        return None
    lines, levels = [], []
    for name in found:
        rows = chosen(metrics, metric=name).astype({"value": "float64"})
        by_model = {model: chosen(rows, model=model, segment=ALL).sort_values("k") for model in models}
        lines.append({m: (r["k"].to_numpy(np.float64), r["value"].to_numpy(np.float64)) for m, r in by_model.items()})
        levels.append(next(iter(chosen(rows, segment=CATALOGUE)["value"].dropna()), float("nan")))
    titles = list(found.values())
    plot = line_plot(titles, lines, "rank", levels, "mean of the catalogue")
    caption = f"Means over customers of what stands at each rank{remark}; dashed: the mean of the catalogue."
    return Drawing("by_rank", plot, f"Lines by rank for {', '.join(models)}: {', '.join(titles)}.", caption)


def _shares(metrics: pd.DataFrame, models: Sequence[str], seen: str, k: int) -> Iterator[Markup]:
    """The mix that is recommended beside the mix that customers wanted."""
    wanted = chosen(metrics, metric="relevant_share").drop_duplicates("segment").astype({"value": "float64"})
    if wanted.empty:
        return
    largest = wanted.sort_values(["value", "segment"], ascending=[False, True]).head(MOST_VALUES)
    segments = largest["segment"].tolist()
    shares = grid(chosen(metrics, metric="recommended_share", k=k), "segment", segments, "model", models, "value")
    attribute = segments[0].partition("=")[0]
    drawing = dot_plot(
        [segment.partition("=")[2] for segment in segments],
        {m: shares[:, i] for i, m in enumerate(models)} | {"wanted by customers": largest["value"].to_numpy()},
        "share of articles",
    )
    text = (
        f"Share of each {attribute} among what customers wanted and among the first {k} recommendations of each model, "
        f"seen articles {seen}; the {len(segments)} most wanted values."
    )
    yield parts.figure(drawing, f"Share of {attribute} wanted, and recommended by {', '.join(models)}.", text)
