"""The plots of the attribute study, and how its tables are shaped for them.

What belongs here: drawings, by name, for the page and for files of their own. What does not: the section's words and
tables (:mod:`atelier.report.attribute_study`), the study (:mod:`atelier.studies.attribute_study`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from atelier.attributes.scores import BY_STEP, MEAN
from atelier.metrics.encoding import Floats
from atelier.report.drawing import Drawing
from atelier.report.figures import density_plot, dot_plot, line_plot, matrix_plot
from atelier.report.measured import chosen

F1 = "weighted_f1"
SPLITS = {"random": "random articles held out", "style": "whole styles held out"}
NAMES = {
    "all": "all inputs",
    "published": "all inputs, published training",
    "without_text": "without text",
    "without_images": "without images",
    "without_metadata": "without metadata",
    "text_only": "text only",
    "images_only": "images only",
    "linear_text": "linear, text (TF-IDF)",
    "linear_images": "linear, images",
    "linear_joined": "linear, text and images",
}
#: The variants that the published density plot compares.
ABLATION = ("all", "without_text", "without_images", "without_metadata")
#: By what they read: a variant of the network, and the linear classifier that reads the same.
RIVALS = {
    "text": ("text_only", "linear_text"),
    "images": ("images_only", "linear_images"),
    "text and images": ("without_metadata", "linear_joined"),
}
MOST_CLASSES = 20
PANELS = 3  # side by side


def study_drawings(study: pd.DataFrame, confusions: pd.DataFrame) -> list[Drawing]:
    """Every plot of the study, for files and metadata."""
    shown = splits_of(study)
    curves = [drawing for variant in followed(study) for drawing in step_drawings(study, variant, shown)]
    return [*ablation_drawings(study), *curves, *rival_drawings(study, shown), *confusion_drawings(confusions)]


def splits_of(frame: pd.DataFrame) -> list[str]:
    """The splits of a table, in the order in which they are shown."""
    present = set(frame["split"]) if len(frame) else set()
    return [split for split in SPLITS if split in present]


def final(study: pd.DataFrame, split: str, variant: str) -> pd.DataFrame:
    """The figures of a trained variant on test articles: one row for each attribute, one column for each metric."""
    rows = chosen(study, split=split, variant=variant, side="test")
    rows = rows[rows["metric"] != BY_STEP]
    return rows.pivot(index="attribute", columns="metric", values="value").astype("float64")


def f1_by_variant(study: pd.DataFrame, split: str) -> pd.DataFrame:
    """Weighted F1 on test articles: one row for each attribute that has one, one column for each variant."""
    rows = chosen(study, split=split, side="test", metric=F1)
    wide = rows[rows["attribute"] != MEAN].pivot(index="attribute", columns="variant", values="value")
    return wide.astype("float64").dropna(how="all")[[name for name in NAMES if name in wide]]


def ablation_drawings(study: pd.DataFrame) -> list[Drawing]:
    """The densities over attributes of weighted F1 of the network with and without each input; none without data."""
    shown = splits_of(study)
    by_split = [f1_by_variant(study, split) for split in shown]
    series = [
        {NAMES[name]: frame[name].to_numpy(np.float64) for name in ABLATION if name in frame} for frame in by_split
    ]
    if not any(series):
        return []
    drawing = density_plot([SPLITS[split] for split in shown], series, "weighted F1 of an attribute")
    alt = f"Densities over attributes of weighted F1 for {', '.join(dict.fromkeys(n for s in series for n in s))}."
    caption = "How weighted F1 spreads over attributes. Ticks below: each attribute; the mark among them: their mean."
    return [Drawing("ablation", drawing, alt, caption)]


def followed(study: pd.DataFrame) -> list[str]:
    """The variants whose F1 was followed step by step."""
    present = set(study.loc[study["metric"] == BY_STEP, "variant"])
    return [name for name in NAMES if name in present]


def step_drawings(study: pd.DataFrame, variant: str, shown: Sequence[str]) -> list[Drawing]:
    """Weighted F1 by training step of one variant: the mean over attributes by split, then each attribute."""
    rows = chosen(study, metric=BY_STEP, variant=variant).dropna(subset=["value"])
    splits = [split for split in shown if split in set(rows["split"])]
    means = [_lines(chosen(rows, split=split, attribute=MEAN)) for split in splits]
    alt = f"Lines of mean weighted F1 by training step on training and test articles: {NAMES[variant]}."
    caption = f"Mean weighted F1 by training step: {NAMES[variant]}. A gap between the lines is overfitting."
    drawn = line_plot([SPLITS[split] for split in splits], means, "training step")
    drawings = [Drawing(f"f1_by_step_{variant}", drawn, alt, caption)]
    last = chosen(rows, split=splits[-1])
    attributes = sorted(set(last["attribute"]) - {MEAN})
    groups = np.array_split(np.array(attributes, dtype=object), max(1, -(-len(attributes) // PANELS)))
    for number, group in enumerate((group.tolist() for group in groups), start=1):
        drawn = line_plot(group, [_lines(chosen(last, attribute=name)) for name in group], "training step")
        alt = f"Lines of weighted F1 by training step for {', '.join(group)}."
        caption = f"Weighted F1 by training step, {SPLITS[splits[-1]]}: {', '.join(group)}."
        drawings.append(Drawing(f"f1_by_step_{variant}_{number}", drawn, alt, caption))
    return drawings


def _lines(rows: pd.DataFrame) -> dict[str, tuple[Floats, Floats]]:
    """Steps and values on training and on test articles."""
    points = {
        side: chosen(rows, side=side).sort_values("step")[["step", "value"]].to_numpy(np.float64)
        for side in ("train", "test")
    }
    return {f"{side} articles": (xy[:, 0], xy[:, 1]) for side, xy in points.items()}


def rival_drawings(study: pd.DataFrame, shown: Sequence[str]) -> list[Drawing]:
    """Weighted F1 of each attribute, the network beside the linear classifier that reads the same."""
    drawings = []
    frame = f1_by_variant(study, shown[-1]) if shown else pd.DataFrame()
    for read, (network, linear) in RIVALS.items():
        if not {network, linear} <= set(frame.columns):
            continue
        pair = frame[[network, linear]].dropna().sort_values(network, ascending=False, kind="stable")
        series = {"network": pair[network].to_numpy(np.float64), "linear": pair[linear].to_numpy(np.float64)}
        drawn = dot_plot(pair.index.astype(str).tolist(), series, f"weighted F1, reading {read}")
        alt = f"Weighted F1 of {len(pair)} attributes, the network beside a linear classifier, both reading {read}."
        caption = f"Both read {read}; {SPLITS[shown[-1]]}."
        drawings.append(Drawing(f"against_{linear}", drawn, alt, caption))
    return drawings


def confusion_drawings(confusions: pd.DataFrame) -> list[Drawing]:
    """A matrix for each attribute, of the stricter split that was studied."""
    drawings = []
    for split in splits_of(confusions)[-1:]:
        for number, (attribute, pairs) in enumerate(chosen(confusions, split=split).groupby("attribute"), start=1):
            matrix = confusion_matrix(pairs)
            rows, columns = list(matrix.index), list(matrix.columns)
            drawn = matrix_plot(str(attribute), rows, columns, matrix.to_numpy(np.float64), "predicted", "annotated")
            alt = f"Confusion matrix of {attribute}: {len(rows)} annotated values by {len(columns)} predicted."
            caption = f"{attribute}: {int(pairs['articles'].sum()):,} test articles, {SPLITS[split]}."
            drawings.append(Drawing(f"confusion_{number:02d}", drawn, alt, caption))
    return drawings


def confusion_matrix(pairs: pd.DataFrame, most: int = MOST_CLASSES) -> pd.DataFrame:
    """Shares of what was predicted for each annotated value, [annotated, predicted]; the rows sum to 1.

    Args:
        pairs: actual, predicted, articles: of one attribute.
        most: values shown, the most frequent first; the others become one, named ``n others``.
    """
    counts = pairs.groupby("actual")["articles"].sum().sort_index().sort_values(ascending=False, kind="stable")
    values = [*counts.index, *sorted(set(pairs["predicted"]) - set(counts.index))]
    shown = values if len(values) <= most + 1 else values[:most]
    other = f"{len(values) - len(shown)} others"
    order = shown if len(shown) == len(values) else [*shown, other]
    named = pairs.assign(
        **{side: pairs[side].where(pairs[side].isin(shown), other) for side in ("actual", "predicted")}
    )
    matrix = named.pivot_table(index="actual", columns="predicted", values="articles", aggfunc="sum", fill_value=0)
    matrix = matrix.reindex([v for v in order if v in matrix.index]).reindex(columns=order, fill_value=0)
    return matrix.div(matrix.sum(axis=1), axis=0)
