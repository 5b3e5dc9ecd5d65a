"""The section on the recommenders' accuracy: who is best, how sure that is, and for whom.

What belongs here: showing offline_metrics of accuracy and model_comparisons. What does not: diversity
(:mod:`atelier.report.diversity`), computing either.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics import ACCURACY, FEW_CUSTOMERS
from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS, CANDIDATES, HISTORY_SEGMENTS
from atelier.report.figures import interval_plot
from atelier.report.measured import DAILY_K, EVALUATIONS, chosen, evaluations, grid, nearest_k, ranked_models
from atelier.report.parts import (
    Z_95,
    Badge,
    Section,
    count_text,
    details,
    figure,
    figure_text,
    heading,
    interval_cell,
    joined,
    missing,
    note,
    p_text,
    paragraph,
    table,
)

COMMAND = "dg launch --job judge --partition <day>"
PLOTTED = ("precision", "recall", "ndcg")
MOST_VALUES = 25
SEGMENTS = (
    *HISTORY_SEGMENTS,
    *ACTIVITY_SEGMENTS,
    *(name + lists for name in ARTICLE_SEGMENTS for lists in ("", CANDIDATES)),
)
SIGNIFICANT = 0.05


def leaderboard_section(
    offline_metrics: pd.DataFrame | None,
    comparisons: pd.DataFrame | None = None,
    *,
    train_kinds: Sequence[str] = ("save", "bag", "purchase"),
    truth_kinds: Sequence[str] = ("purchase",),
    period: str | None = None,
    k: int = DAILY_K,
    command: str = COMMAND,
) -> Section:
    """The leaderboard with intervals, by evaluation, segment and list length, and the paired comparisons.

    Args:
        offline_metrics: the table of that name.
        comparisons: the table model_comparisons.
        train_kinds: what the models learned from.
        truth_kinds: what counts as relevant.
        period: when the lists were made and by which days they are judged, for example "made on 2020-09-15, judged by
            2020-09-16 … 2020-09-22".
        k: the list length of the headline; the nearest one judged where it was not.
        command: what to run where there are none.
    """
    title, anchor = "Leaderboard", "leaderboard"
    if offline_metrics is None or offline_metrics.empty:
        return Section(title, anchor, missing("Recommendations of this day have not been judged yet.", command))
    k = nearest_k(offline_metrics, k)
    models = ranked_models(offline_metrics, k)
    kinds = f"Models learn from {_listed(train_kinds)}; what counts as a hit: {_listed(truth_kinds)}."
    parts = [paragraph(f"Lists {period}. {kinds}" if period else kinds), *_few(offline_metrics, k)]
    parts.append(_plot(offline_metrics, models, k))
    for seen in evaluations(offline_metrics):
        parts.append(heading(EVALUATIONS[seen].partition(":")[0]))
        parts.append(_headline(offline_metrics, models, seen, k, kinds))
        parts.append(_folded(offline_metrics, models, seen, k))
    parts.append(heading("Which differences are real"))
    parts.append(_comparisons(comparisons, k))
    return Section(title, anchor, joined(*parts))


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _few(metrics: pd.DataFrame, k: int) -> list[Markup]:
    """A warning where so few customers were judged that the figures mean little."""
    judged = chosen(metrics, metric="precision", k=k, segment=ALL)["customers"]
    least = int(judged.min()) if len(judged) else 0
    if least >= FEW_CUSTOMERS:
        return []
    return [note(f"Only {least:,} customers were judged: below {FEW_CUSTOMERS} the figures mean little.")]


def _plot(metrics: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    series = {}
    for seen in evaluations(metrics):
        rows = chosen(metrics[metrics["metric"].isin(PLOTTED)], k=k, segment=ALL, seen=seen)
        values, errors = (grid(rows, "metric", PLOTTED, "model", models, name) for name in ("value", "standard_error"))
        series[f"seen {seen}"] = (values, Z_95 * errors)
    drawing = interval_plot([f"{name}@{k}" for name in PLOTTED], models, series, "mean over customers")
    alt = f"Precision, recall and NDCG at {k} of {', '.join(models)}, with 95% intervals; the table gives the values."
    return figure(drawing, alt, "Mean over all judged customers; whiskers are 95% intervals of each mean on its own.")


def _headline(metrics: pd.DataFrame, models: Sequence[str], seen: str, k: int, kinds: str) -> Markup:
    rows = chosen(metrics, k=k, segment=ALL, seen=seen)
    caption = f"{EVALUATIONS[seen].partition(': ')[2].capitalize()} Means at {k} with 95% intervals. {kinds}"
    customers = grid(rows, "model", models, "metric", ["precision"], "customers")[:, 0]
    cells = [
        [model, *values, count_text(count)]
        for model, values, count in zip(models, _cells(rows, models, ACCURACY), customers, strict=True)
        if not np.isnan(count)
    ]
    names = [f"{name}@{k}" for name in ACCURACY]
    return table(caption, ["Model", *names, "Customers"], cells, numeric=(*names, "Customers"))


def _cells(rows: pd.DataFrame, models: Sequence[str], metrics: Sequence[str]) -> list[list[Markup]]:
    """Value ± interval for each model and metric; the best of each metric marked."""
    values, errors = (grid(rows, "model", models, "metric", metrics, name) for name in ("value", "standard_error"))
    best = np.where(np.isnan(values), -np.inf, values).max(axis=0, initial=-np.inf)
    return [
        [interval_cell(v, e, best=v == top and len(models) > 1) for v, e, top in zip(*line, best, strict=True)]
        for line in zip(values, errors, strict=True)
    ]


def _folded(metrics: pd.DataFrame, models: Sequence[str], seen: str, k: int) -> Markup:
    """What not everyone looks at: segments, values of the attribute, other list lengths."""
    rows = chosen(metrics, seen=seen)
    recall = chosen(rows, metric="recall", k=k)
    measured = set(recall.loc[recall["value"].notna(), "segment"])
    names = [name for name in SEGMENTS if name in measured]
    parts = []
    if names:
        text = f"Recall@{k} by segment; :candidates are lists made from articles of the segment only."
        parts.append(details(f"Recall@{k} by segment", _by_segment(recall, models, [ALL, *names], text)))
    values = recall[recall["segment"].str.contains("=", regex=False)]
    if len(values):
        sizes = values.groupby("segment")["customers"].max().reset_index()
        largest = sizes.sort_values(["customers", "segment"], ascending=[False, True])["segment"].head(MOST_VALUES)
        text = f"Recall@{k} where only articles of that value count; the values that most customers wanted."
        parts.append(
            details(
                f"Recall@{k} by {largest.iloc[0].partition('=')[0]}",
                _by_segment(recall, models, largest.tolist(), text),
            )
        )
    parts.append(details("All list lengths", _lengths(chosen(rows, segment=ALL), models)))
    return joined(*parts)


def _by_segment(recall: pd.DataFrame, models: Sequence[str], segments: Sequence[str], caption: str) -> Markup:
    values, errors = (grid(recall, "segment", segments, "model", models, name) for name in ("value", "standard_error"))
    customers = recall.groupby("segment")["customers"].max()
    cells = [
        [segment, count_text(customers.get(segment)), *[interval_cell(v, e) for v, e in zip(*line, strict=True)]]
        for segment, *line in zip(segments, values, errors, strict=True)
    ]
    return table(caption, ["Segment", "Customers", *models], cells, numeric=("Customers", *models))


def _lengths(rows: pd.DataFrame, models: Sequence[str]) -> Markup:
    judged = rows[rows["metric"].isin(ACCURACY)]
    lengths = sorted(set(judged["k"].astype(int)))
    cells = []
    for metric in ACCURACY:
        values = grid(judged[judged["metric"] == metric], "model", models, "k", lengths, "value")
        cells += [
            [f"{metric} · {model}", *[figure_text(v) for v in line]] for model, line in zip(models, values, strict=True)
        ]
    names = [f"@{k}" for k in lengths]
    return table(
        "Means over all judged customers at every list length.", ["Metric · model", *names], cells, numeric=names
    )


def _comparisons(comparisons: pd.DataFrame | None, k: int) -> Markup:
    """The paired tests of precision at k, one row for each pair."""
    if comparisons is None or comparisons.empty:
        return paragraph("No two models have been compared on the same customers.")
    rows = chosen(comparisons, metric="precision", k=k).sort_values(
        ["seen", "p_holm", "model", "baseline"], ascending=[False, True, True, True], kind="stable", na_position="last"
    )
    cells = [
        [
            f"{row['model']} − {row['baseline']}",
            f"seen {row['seen']}",
            interval_cell(row["difference"], row["standard_error"]),
            p_text(row["p_holm"]),
            count_text(row["customers"]),
            _verdict(row),
        ]
        for row in rows.to_dict("records")
    ]
    caption = (
        f"Difference in precision@{k} over the same customers with history, with its 95% interval; p from a two-sided "
        "paired t-test, Holm-corrected over the pairs."
    )
    numeric = (f"Δ precision@{k}", "p (Holm)", "Customers")
    return table(caption, ["Models", "Evaluation", *numeric, "Verdict"], cells, numeric=numeric)


def _verdict(row: Mapping[Hashable, Any]) -> Badge | str:
    p, difference = row["p_holm"], row["difference"]
    if pd.isna(p) or p >= SIGNIFICANT:
        return "no difference shown"
    return Badge(f"{row['model'] if difference > 0 else row['baseline']} is better", "good")
