"""The section on predicted attributes: how often they are right, and whether their confidence is honest.

What belongs here: showing attribute_metrics. What does not: computing them.
"""

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.attributes.scores import AGAINST_MAJORITY, MEAN, Reliability
from atelier.report.figures import bar_plot, line_plot
from atelier.report.parts import (
    NONE,
    Badge,
    Section,
    count_text,
    figure,
    figure_text,
    heading,
    joined,
    missing,
    note,
    paragraph,
    percent_text,
    table,
)

COMMAND = "dg launch --job daily_retrain --partition <day>"
CONFIDENCE = (
    "expected_calibration_error_raw",
    "expected_calibration_error",
    "coverage",
    "set_size",
    "abstained",
    "calibration_samples",
)
METRICS = ("samples", "classes", *AGAINST_MAJORITY, *CONFIDENCE)
ENOUGH_SAMPLES = 100  # below, a comparison with the majority value says little


def attribute_table(attribute_metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each attribute, most samples first and ``mean`` last; one column for each metric."""
    wide = attribute_metrics.pivot_table(
        index="attribute", columns="metric", values="value", aggfunc="first"
    ).reset_index()
    for name in METRICS:
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
                drawing,
                f"Bars of weighted F1 for {len(names)} attributes, the model beside the majority value.",
                "Weighted F1 of the model, beside always answering with the most frequent value.",
            )
        )
    parts.append(_table(rows))
    if rows["coverage"].notna().any():
        parts += [heading("How sure is it, and is it right to be?"), _reliability(rows), _confidence(rows)]
    return Section(title, anchor, joined(*parts))


def _reliability(rows: pd.DataFrame) -> Markup:
    """The reliability diagram; nothing where no bin was told."""
    mean = rows[rows["attribute"] == MEAN].iloc[0]
    bins = sorted(str(name)[-2:] for name in rows.columns if str(name).startswith("reliability_labels_"))
    if not bins:
        return Markup("")
    labels, confidence, accuracy = (
        np.array([float(mean[f"reliability_{what}_{place}"]) for place in bins])
        for what in ("labels", "confidence", "accuracy")
    )
    error = Reliability(labels.astype(np.int64), confidence, accuracy).expected_calibration_error
    diagonal = np.array([0.0, 1.0])
    drawing = line_plot(
        ["share that is right"], [{"predictions": (confidence, accuracy), "honest": (diagonal, diagonal)}], "confidence"
    )
    return figure(
        drawing,
        f"The share of right predictions over their confidence, in {len(bins)} bins, beside the diagonal.",
        f"{int(labels.sum()):,} held-out labels of all attributes in bins of confidence: expected calibration error "
        f"{figure_text(error, 3)}. Below the diagonal the model is surer than it should be. Bins of few labels jump.",
    )


def _confidence(rows: pd.DataFrame) -> Markup:
    numbers = ("ECE before", "ECE after", "Coverage", "Set size", "Abstained", "Calibration labels")
    return table(
        "Expected calibration error (ECE) before and after the temperature: how far confidence is from the share that "
        "is right. Coverage: how often the set of values that remain possible holds the annotated one; set size: its "
        "mean number of values; abstained: how often it is not a single one. With too few calibration labels every "
        "value remains possible.",
        ["Attribute", *numbers],
        [
            [
                row["attribute"],
                *[figure_text(row[name], 3) for name in CONFIDENCE[:2]],
                percent_text(row["coverage"]),
                figure_text(row["set_size"], 2),
                percent_text(row["abstained"]),
                count_text(row["calibration_samples"]),
            ]
            for row in rows.to_dict("records")
        ],
        numeric=numbers,
    )


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
