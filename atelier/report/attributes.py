"""The section on predicted attributes: how often they are right, and whether their confidence is honest.

What belongs here: showing attribute_metrics. What does not: computing them.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.attributes.scores import AGAINST_MAJORITY, MEAN, Reliability
from atelier.report import parts
from atelier.report.figures import bar_plot, line_plot

ERRORS = ("expected_calibration_error_raw", "expected_calibration_error")
CONFIDENCE = (*ERRORS, "coverage", "set_size", "abstained", "calibration_samples")
METRICS = ("samples", "classes", *AGAINST_MAJORITY, *CONFIDENCE)
ENOUGH_SAMPLES = 100  # below, a comparison with the majority value says little


def attribute_table(attribute_metrics: pd.DataFrame) -> pd.DataFrame:
    """One row for each attribute, most samples first and ``mean`` last; one column for each metric."""
    wide = attribute_metrics.pivot_table(index="attribute", columns="metric", values="value", aggfunc="first")
    absent = dict.fromkeys(set(METRICS) - set(wide.columns), np.nan)
    wide = wide.assign(**absent).astype(dict.fromkeys(METRICS, "float64")).reset_index()
    order = [wide["attribute"] == MEAN, -wide["samples"].fillna(0), wide["attribute"]]
    return wide.iloc[np.lexsort([np.asarray(key) for key in reversed(order)])].reset_index(drop=True)


@parts.section("Attributes", "attributes", "No attribute model has been judged yet.")
def attributes_section(attribute_metrics: pd.DataFrame, remark: str | None = None) -> Iterator[str]:
    """Accuracy and weighted F1 of each attribute beside what always saying the majority value gives.

    Args:
        attribute_metrics: the table of that name, of one model.
        remark: what a reader must know, for example that the photographs' encoder was not trained.
    """
    rows = attribute_table(attribute_metrics)
    single = rows[rows["attribute"] != MEAN]
    yield parts.paragraph("Judged on articles held out of training whose attribute people had annotated.")
    if remark:
        yield parts.note(remark)
    if not single.empty:
        names = single["attribute"].astype(str).tolist()
        series = {
            "model": single["weighted_f1"].to_numpy(),
            "majority value": single["majority_weighted_f1"].to_numpy(),
        }
        yield parts.figure(
            bar_plot(names, series, "weighted F1"),
            f"Bars of weighted F1 for {len(names)} attributes, the model beside the majority value.",
            "Weighted F1 of the model, beside always answering with the most frequent value.",
        )
    yield _table(rows)
    if rows["coverage"].notna().any():
        yield parts.heading("How sure is it, and is it right to be?")
        yield from _reliability(rows)
        yield _confidence(rows)


def _reliability(rows: pd.DataFrame) -> Iterator[Markup]:
    """The reliability diagram; nothing where the metrics hold no bin."""
    mean = rows[rows["attribute"] == MEAN].iloc[0]
    bins = sorted(str(name)[-2:] for name in rows.columns if str(name).startswith("reliability_labels_"))
    if not bins:
        return
    labels, confidence, accuracy = (
        np.array([float(mean[f"reliability_{what}_{number}"]) for number in bins])
        for what in ("labels", "confidence", "accuracy")
    )
    error = Reliability(labels.astype(np.int64), confidence, accuracy).expected_calibration_error
    diagonal = np.array([0.0, 1.0])
    lines = {"predictions": (confidence, accuracy), "honest": (diagonal, diagonal)}
    yield parts.figure(
        line_plot(["share that is right"], [lines], "confidence"),
        f"The share of right predictions over their confidence, in {len(bins)} bins, beside the diagonal.",
        f"{int(labels.sum()):,} held-out labels of all attributes in bins of confidence: expected calibration error "
        f"{parts.figure_text(error, 3)}. Below the diagonal the model is surer than it should be. Bins of few labels "
        "jump.",
    )


def _confidence(rows: pd.DataFrame) -> Markup:
    return parts.table(
        "Expected calibration error (ECE) before and after the temperature: how far confidence is from the share that "
        "is right. Coverage: how often the set of values that remain possible holds the annotated one; set size: its "
        "mean number of values; abstained: how often it is not a single one. With too few calibration labels every "
        "value remains possible.",
        ["Attribute", "ECE before", "ECE after", "Coverage", "Set size", "Abstained", "Calibration labels"],
        [
            [
                row["attribute"],
                *[parts.figure_text(row[name], 3) for name in ERRORS],
                parts.percent_text(row["coverage"]),
                parts.figure_text(row["set_size"], 2),
                parts.percent_text(row["abstained"]),
                parts.count_text(row["calibration_samples"]),
            ]
            for row in rows.to_dict("records")
        ],
    )


def _table(rows: pd.DataFrame) -> Markup:
    text = ("Attribute", "Beats majority")
    measured = ("accuracy", "majority_accuracy", "weighted_f1", "majority_weighted_f1")
    numbers = ("Samples", "Classes", "Accuracy", "Majority accuracy", "Weighted F1", "Majority F1")
    return parts.table(
        "F1 is weighted by support; the majority columns are what the most frequent value alone would score.",
        [text[0], *numbers, text[1]],
        [
            [
                row["attribute"],
                parts.count_text(row["samples"]),
                parts.NONE if row["attribute"] == MEAN else parts.count_text(row["classes"]),
                *[parts.figure_text(row[name], 3) for name in measured],
                _verdict(row["samples"], row["weighted_f1"], row["majority_weighted_f1"]),
            ]
            for row in rows.to_dict("records")
        ],
        text,
    )


def _verdict(samples: float, f1: float, majority: float) -> parts.Badge | str:
    if np.isnan(f1) or np.isnan(majority):
        return parts.NONE
    if f1 > majority:
        return parts.Badge("yes", "good")
    return parts.Badge("no, few samples", "warn") if samples < ENOUGH_SAMPLES else parts.Badge("no", "bad")
