"""The section on predicted attributes: how often they are right, against the majority value.

What belongs here: showing attribute_metrics. What does not: computing them.
"""

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.report.figures import bar_plot
from atelier.report.parts import (
    NONE,
    Badge,
    Section,
    count_text,
    figure,
    figure_text,
    joined,
    missing,
    note,
    paragraph,
    table,
)

COMMAND = "dg launch --job daily_retrain --partition <day>"
MEAN = "mean"
ENOUGH_SAMPLES = 100  # below, a comparison with the majority value says little


def attribute_table(attribute_metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each attribute, most samples first and ``mean`` last; one column for each metric."""
    wide = attribute_metrics.pivot_table(
        index="attribute", columns="metric", values="value", aggfunc="first"
    ).reset_index()
    for name in ("samples", "classes", "accuracy", "weighted_f1", "majority_accuracy", "majority_weighted_f1"):
        wide[name] = wide[name].astype("float64") if name in wide else np.nan
    order = [wide["attribute"] == MEAN, -wide["samples"].fillna(0), wide["attribute"]]
    return wide.iloc[np.lexsort([np.asarray(key) for key in reversed(order)])].reset_index(drop=True)


def attributes_section(
    attribute_metrics: pd.DataFrame | None, remark: str | None = None, command: str = COMMAND
) -> Section:
    """Accuracy and weighted F1 of each attribute beside what always saying the majority value gives.

    Args:
        attribute_metrics: the table of that name, of one model.
        remark: what a reader must know, for example that the photographs' encoder was not trained.
        command: what to run where there are none.
    """
    title, anchor = "Attributes", "attributes"
    if attribute_metrics is None or attribute_metrics.empty:
        return Section(title, anchor, missing("No attribute model has been judged yet.", command))
    rows = attribute_table(attribute_metrics)
    single = rows[rows["attribute"] != MEAN]
    parts = [paragraph("Judged on articles held out of training whose attribute people had annotated.")]
    if remark:
        parts.append(note(remark))
    if not single.empty:
        names = single["attribute"].astype(str).tolist()
        drawing = bar_plot(
            names,
            {"model": single["weighted_f1"].to_numpy(), "majority value": single["majority_weighted_f1"].to_numpy()},
            "weighted F1",
        )
        parts.append(
            figure(
                drawing, f"Bars of weighted F1 for {len(names)} attributes, the model beside the majority value.",
                "Weighted F1 of the model, beside always answering with the most frequent value.",
            )
        )  # fmt: skip
    parts.append(_table(rows))
    return Section(title, anchor, joined(*parts))


def _table(rows: pd.DataFrame) -> Markup:
    numbers = ("Samples", "Classes", "Accuracy", "Majority accuracy", "Weighted F1", "Majority F1")
    measured = ("accuracy", "majority_accuracy", "weighted_f1", "majority_weighted_f1")
    return table(
        "F1 is weighted by support; the majority columns are what the most frequent value alone would score.",
        ["Attribute", *numbers, "Beats majority"],
        [
            [
                row["attribute"],
                count_text(row["samples"]),
                NONE if row["attribute"] == MEAN else count_text(row["classes"]),
                *[figure_text(row[name], 3) for name in measured],
                _verdict(row["samples"], row["weighted_f1"], row["majority_weighted_f1"]),
            ]
            for row in rows.to_dict("records")
        ],
        numeric=numbers,
    )


def _verdict(samples: float, f1: float, majority: float) -> Badge | str:
    if np.isnan(f1) or np.isnan(majority):
        return NONE
    if f1 > majority:
        return Badge("yes", "good")
    return Badge("no, few samples", "warn") if samples < ENOUGH_SAMPLES else Badge("no", "bad")
