"""The leaderboard and the attribute table for the terminal.

What belongs here: aligned plain text. What does not: HTML.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from atelier.metrics import ACCURACY
from atelier.metrics.segments import ALL
from atelier.report import measured
from atelier.report.attributes import attribute_table
from atelier.report.parts import count_text, figure_text, interval_text, percent_text


def leaderboard_text(offline_metrics: pd.DataFrame, k: int = measured.DAILY_K) -> str:
    """The leaderboard at ``k`` (or the nearest evaluated length), best model first: value ± half a 95% interval.

    Args:
        offline_metrics: the table of that name; empty gives a line that says so.
        k: the list length.
    """
    if offline_metrics.empty:
        return "No recommendations have been judged yet."
    k = measured.nearest_k(offline_metrics, k)
    models = measured.ranked_models(offline_metrics, k)
    blocks = []
    for seen in measured.evaluations(offline_metrics):
        rows = measured.chosen(offline_metrics, k=k, segment=ALL, seen=seen)
        values, errors = measured.values_and_errors(rows, "model", models, "metric", ACCURACY)
        others = measured.grid(rows, "model", models, "metric", ("coverage", "personalization"), "value")
        customers = measured.grid(rows, "model", models, "metric", ["precision"], "customers")[:, 0]
        lines = [["model", *[f"{name}@{k}" for name in ACCURACY], "coverage", "personal.", "customers"]]
        lines += [
            [model, *map(interval_text, v, e), *map(percent_text, o), count_text(count)]
            for model, v, e, o, count in zip(models, values, errors, others, customers, strict=True)
            if not np.isnan(count)
        ]
        blocks.append(measured.EVALUATIONS[seen] + "\n" + aligned(lines))
    return "\n\n".join([*blocks, "± is half a 95% interval over customers."])


def attribute_text(attribute_metrics: pd.DataFrame) -> str:
    """The attribute table: accuracy and weighted F1 beside the majority value's, and the share abstained.

    Args:
        attribute_metrics: the table of that name; empty gives a line that says so.
    """
    if attribute_metrics.empty:
        return "No attribute model has been judged yet."
    names = ("accuracy", "majority_accuracy", "weighted_f1", "majority_weighted_f1")
    heads = ("accuracy", "(majority)", "weighted F1", "(majority)")
    return scores_text(attribute_table(attribute_metrics), names, heads, {"abstained": "abstained"})


def values_text(counts: pd.DataFrame) -> str:
    """Where the values of the catalogue come from, as one line: how many people, the model alone, or neither gave.

    Args:
        counts: annotated, predicted, abstained: how many values of each attribute.
    """
    annotated, predicted, abstained = (int(counts[name].sum()) for name in ("annotated", "predicted", "abstained"))
    unlabelled = predicted + abstained
    share = percent_text(abstained / unlabelled) if unlabelled else "none"
    return (
        f"Of {count_text(annotated + unlabelled)} values {count_text(annotated)} are annotated, "
        f"{count_text(predicted)} predicted and {count_text(abstained)} abstained: {share} of those that nobody "
        "annotated are only the most probable of several."
    )


def scores_text(
    rows: pd.DataFrame, names: Sequence[str], heads: Sequence[str], shares: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A line for each attribute.

    Args:
        rows: attribute, samples, classes, ``names`` and ``shares``.
        names: the columns of scores.
        heads: their headings.
        shares: the headings of further columns, which hold shares, by column.
    """
    lines = [["attribute", "samples", "classes", *heads, *shares.values()]]
    for row in rows.to_dict("records"):
        scores = [*(figure_text(row[name], 3) for name in names), *(percent_text(row[name]) for name in shares)]
        lines.append([str(row["attribute"]), count_text(row["samples"]), figure_text(row["classes"], 0), *scores])
    return aligned(lines)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; the first to the left, the others to the right; a rule below the head."""
    printable = [["".join(c if c.isprintable() else "?" for c in cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*printable, strict=True)]
    rows = [
        "  ".join([line[0].ljust(widths[0]), *[c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]])
        for line in printable
    ]
    return "\n".join([rows[0], "─" * len(rows[0]), *rows[1:]])
