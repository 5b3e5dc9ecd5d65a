"""The section on the recommenders' accuracy: who is best, how sure that is, and for whom.

What belongs here: showing offline_metrics of accuracy and model_comparisons. What does not: diversity
(:mod:`atelier.report.diversity`), computing either.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.metrics import ACCURACY, FEW_CUSTOMERS
from atelier.metrics.segments import ACTIVITY_SEGMENTS, ALL, ARTICLE_SEGMENTS, CANDIDATES, HISTORY_SEGMENTS
from atelier.report import measured, parts
from atelier.report.figures import interval_plot

PLOTTED = ("precision", "recall", "ndcg")
MOST_VALUES = 25
SEGMENTS = (
    *HISTORY_SEGMENTS,
    *ACTIVITY_SEGMENTS,
    *(name + lists for name in ARTICLE_SEGMENTS for lists in ("", CANDIDATES)),
)
SIGNIFICANT = 0.05
NO_DIFFERENCE = parts.Badge("no difference shown", "none")


@parts.section("Leaderboard", "leaderboard", "Recommendations have not been judged on this day.", "judge")
def leaderboard_section(
    offline_metrics: pd.DataFrame,
    comparisons: pd.DataFrame | None = None,
    *,
    train_kinds: Sequence[str] = ("save", "bag", "purchase"),
    truth_kinds: Sequence[str] = ("purchase",),
    period: str | None = None,
    k: int = measured.DAILY_K,
) -> Iterator[str]:
    """The leaderboard with intervals, by evaluation, segment and list length, and the paired comparisons.

    Args:
        offline_metrics: the table of that name.
        comparisons: the table model_comparisons.
        train_kinds: what the models learned from.
        truth_kinds: what counts as relevant.
        period: when the lists were made and on which days they are evaluated, for example "made on 2020-09-15, judged
            by 2020-09-16 … 2020-09-22".
        k: the list length of the headline; the nearest one that was evaluated where this one was not.
    """
    k = measured.nearest_k(offline_metrics, k)
    models = measured.ranked_models(offline_metrics, k)
    kinds = f"Models learn from {_listed(train_kinds)}; what counts as a hit: {_listed(truth_kinds)}."
    yield parts.paragraph(f"Lists {period}. {kinds}" if period else kinds)
    customers = measured.chosen(offline_metrics, metric="precision", k=k, segment=ALL)["customers"]
    least = int(customers.min()) if len(customers) else 0
    if least < FEW_CUSTOMERS:
        yield parts.note(f"Only {least:,} customers were judged: below {FEW_CUSTOMERS} the figures mean little.")
    yield _plot(offline_metrics, models, k)
    for seen, words in measured.EVALUATIONS.items():
        rows = measured.chosen(offline_metrics, seen=seen)
        if len(rows):
            title, _, meaning = words.partition(": ")
            yield parts.heading(title)
            yield _headline(rows, models, k, f"{meaning.capitalize()} Means at {k} with 95% intervals. {kinds}")
            yield from _folded(rows, models, k)
    yield parts.heading("Which differences are real")
    yield _comparisons(comparisons, k)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _plot(metrics: pd.DataFrame, models: Sequence[str], k: int) -> Markup:
    series = {}
    for seen in measured.evaluations(metrics):
        rows = measured.chosen(metrics[metrics["metric"].isin(PLOTTED)], k=k, segment=ALL, seen=seen)
        values, errors = measured.values_and_errors(rows, "metric", PLOTTED, "model", models)
        series[f"seen {seen}"] = (values, parts.Z_95 * errors)
    drawing = interval_plot([f"{name}@{k}" for name in PLOTTED], models, series, "mean over customers")
    alt = f"Precision, recall and NDCG at {k} of {', '.join(models)}, with 95% intervals; the table gives the values."
    caption = "Mean over all judged customers; whiskers are 95% intervals of each mean on its own."
    return parts.figure(drawing, alt, caption)


def _headline(metrics: pd.DataFrame, models: Sequence[str], k: int, caption: str) -> Markup:
    """Value ± interval of each model and metric over everyone; the best of each metric marked."""
    rows = measured.chosen(metrics, k=k, segment=ALL)
    customers = measured.grid(rows, "model", models, "metric", ["precision"], "customers")[:, 0]
    figures = parts.interval_cells(
        *measured.values_and_errors(rows, "model", models, "metric", ACCURACY), mark_best=len(models) > 1
    )
    cells = [
        [model, *values, parts.count_text(count)]
        for model, values, count in zip(models, figures, customers, strict=True)
        if not np.isnan(count)
    ]
    return parts.table(caption, ["Model", *(f"{name}@{k}" for name in ACCURACY), "Customers"], cells)


def _folded(metrics: pd.DataFrame, models: Sequence[str], k: int) -> Iterator[Markup]:
    """What not everyone looks at: segments, values of the attribute, other list lengths."""
    recall = measured.chosen(metrics, metric="recall", k=k)
    present = set(recall.loc[recall["value"].notna(), "segment"])
    names = [name for name in SEGMENTS if name in present]
    if names:
        text = f"Recall@{k} by segment; :candidates are lists made from articles of the segment only."
        yield parts.details(f"Recall@{k} by segment", segment_table(text, recall, models, [ALL, *names]))
    values = recall[recall["segment"].str.contains("=", regex=False)]
    if len(values):
        sizes = measured.sizes_of(values).reset_index().sort_values(["customers", "segment"], ascending=[False, True])
        largest = sizes["segment"].head(MOST_VALUES).tolist()
        text = f"Recall@{k} where only articles of that value count; the values that most customers wanted."
        title = f"Recall@{k} by {largest[0].partition('=')[0]}"
        yield parts.details(title, segment_table(text, recall, models, largest))
    yield parts.details("All list lengths", _lengths(measured.chosen(metrics, segment=ALL), models))


def segment_table(
    caption: str,
    rows: pd.DataFrame,
    models: Sequence[str],
    segments: Sequence[str],
    titles: Mapping[str, str] = MappingProxyType({}),
) -> Markup:
    """One metric by segment and model, with intervals.

    Args:
        caption: what it shows.
        rows: segment, model, value, standard_error and customers; segment and model are unique together.
        models: the columns.
        segments: the rows.
        titles: what to call a segment, where that is not its name.
    """
    customers = measured.sizes_of(rows)
    figures = parts.interval_cells(*measured.values_and_errors(rows, "segment", segments, "model", models))
    cells = [
        [titles.get(name, name), parts.count_text(customers.get(name)), *line]
        for name, line in zip(segments, figures, strict=True)
    ]
    return parts.table(caption, ["Segment", "Customers", *models], cells)


def _lengths(metrics: pd.DataFrame, models: Sequence[str]) -> Markup:
    rows = metrics[metrics["metric"].isin(ACCURACY)]
    lengths = sorted(set(rows["k"].astype(int)))
    cells = [
        [f"{metric} · {model}", *map(parts.figure_text, line)]
        for metric in ACCURACY
        for model, line in zip(
            models,
            measured.grid(measured.chosen(rows, metric=metric), "model", models, "k", lengths, "value"),
            strict=True,
        )
    ]
    caption = "Means over all judged customers at every list length."
    return parts.table(caption, ["Metric · model", *(f"@{k}" for k in lengths)], cells)


def _comparisons(comparisons: pd.DataFrame | None, k: int) -> Markup:
    """The paired tests of precision at k, one row for each pair."""
    if comparisons is None or comparisons.empty:
        return parts.paragraph("No two models have been compared on the same customers.")
    order = ["seen", "p_holm", "model", "baseline"]
    rows = measured.chosen(comparisons, metric="precision", k=k).sort_values(
        order, ascending=[False, True, True, True], kind="stable", na_position="last"
    )
    cells = [
        [
            f"{row['model']} − {row['baseline']}",
            f"seen {row['seen']}",
            parts.interval_cell(row["difference"], row["standard_error"]),
            parts.p_text(row["p_holm"]),
            parts.count_text(row["customers"]),
            NO_DIFFERENCE
            if pd.isna(row["p_holm"]) or row["p_holm"] >= SIGNIFICANT
            else parts.Badge(f"{row['model' if row['difference'] > 0 else 'baseline']} is better", "good"),
        ]
        for row in rows.to_dict("records")
    ]
    caption = (
        f"Difference in precision@{k} over the same customers with history, with its 95% interval; p from a two-sided "
        "paired t-test, Holm-corrected over the pairs."
    )
    text = ("Models", "Evaluation", "Verdict")
    return parts.table(caption, [*text[:2], f"Δ precision@{k}", "p (Holm)", "Customers", "Verdict"], cells, text)
