"""The section on the attribute study: what each input brings, how fast the network learns, what linear models reach.

What belongs here: showing attribute_study and attribute_confusions. What does not: the plots themselves
(:mod:`atelier.report.study_drawings`), the study (:mod:`atelier.studies.attribute_study`).
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.attributes.scores import MEAN
from atelier.report.drawing import figures
from atelier.report.parts import (
    NONE,
    Badge,
    Section,
    count_text,
    details,
    figure_text,
    heading,
    interval_text,
    joined,
    missing,
    note,
    paragraph,
    table,
)
from atelier.report.study_drawings import (
    MOST_CLASSES,
    NAMES,
    RIVALS,
    SPLITS,
    ablation_drawings,
    confusion_drawings,
    f1_by_variant,
    final,
    followed,
    rival_drawings,
    splits_of,
    step_drawings,
)

EQUAL = 5e-4  # what three decimals cannot tell apart
COMMAND = "dg launch --job attribute_study --partition <day>"


def attribute_study_section(
    study: pd.DataFrame | None,
    confusions: pd.DataFrame | None = None,
    day: date | None = None,
    command: str = COMMAND,
    remark: str | None = None,
) -> Section:
    """The evaluation table, the ablation, F1 by training step, the linear classifiers, and the confusion matrices.

    Args:
        study: the table attribute_study of one day.
        confusions: the table attribute_confusions of that day.
        day: which day it is of.
        command: what to run where there is none.
        remark: what a reader must know, for example that the vectors have seen the labels.
    """
    title, anchor = "Attribute study", "attribute-study"
    if study is None or study.empty:
        return Section(title, anchor, missing("The attribute network has not been studied yet.", command))
    told = pd.DataFrame() if confusions is None else confusions
    shown = splits_of(study)
    parts: list[str] = [
        paragraph(f"Study of {day}: every variant was trained on the same articles and judged on the same others.")
    ]
    if remark:
        parts.append(note(remark))
    if "all" in set(study["variant"]):
        parts += [heading("Evaluation"), evaluation_table(study)]
    parts += [heading("What each input brings"), *figures(ablation_drawings(study)), ablation_table(study)]
    parts.extend(_if_any("F1 by training step", _curves(study, shown)))
    parts.extend(_if_any("Against linear classifiers", _rivals(study, shown)))
    parts.extend(_if_any("What is taken for what", [_matrices(told)] if len(told) else []))
    return Section(title, anchor, joined(*parts))


# ---- evaluation


def evaluation_table(study: pd.DataFrame) -> Markup:
    """Per attribute: classes, and for each split samples, weighted F1, accuracy and what the majority value scores."""
    shown = [split for split in splits_of(study) if len(final(study, split, "all"))]
    by_split = {split: final(study, split, "all") for split in shown}
    reference = by_split[shown[-1]]
    order = reference.assign(last=reference.index == MEAN).sort_values(["last", "samples"], ascending=[True, False])
    cells = []
    for attribute in order.index:
        row: list[str] = [
            str(attribute),
            NONE if attribute == MEAN else count_text(reference.loc[attribute, "classes"]),
        ]
        for frame in by_split.values():
            found = frame.reindex([attribute]).iloc[0]
            row += [count_text(found["samples"]), *(figure_text(found[name], 3) for name in _JUDGED)]
        cells.append(row)
    numeric = ["Classes", *(f"{head}, {split}" for split in shown for head in _HEADS)]
    return table(
        "The network with all inputs on articles that it was not trained on: random articles, as published, and whole "
        "styles, so that no colour of a style that is judged was seen. F1 is weighted by support.",
        ["Attribute", *numeric],
        cells,
        numeric=numeric,
    )


_HEADS = ("Samples", "Weighted F1", "Accuracy", "Majority F1")
_JUDGED = ("weighted_f1", "accuracy", "majority_weighted_f1")

# ---- ablation


def ablation_table(study: pd.DataFrame) -> Markup:
    """Mean weighted F1 of every variant, and how far it is from the network with all inputs."""
    shown = splits_of(study)
    by_split = {split: f1_by_variant(study, split) for split in shown}
    cells = []
    for name in NAMES:
        if not any(name in frame for frame in by_split.values()):
            continue
        row: list[str] = [NAMES[name]]
        for frame in by_split.values():
            row += _against(frame, name)
        cells.append(row)
    numeric = [f"{head}, {split}" for split in shown for head in ("Mean F1", "Difference", "Attributes ahead")]
    return table(
        "Mean over attributes of weighted F1 on test articles; the difference from the network with all inputs, its "
        "interval over attributes, and on how many of them the variant is ahead.",
        ["Variant", *numeric],
        cells,
        numeric=numeric,
    )


def _against(frame: pd.DataFrame, name: str) -> list[str]:
    if name not in frame:
        return [NONE] * 3
    mean = figure_text(frame[name].mean(), 3)
    if name == "all" or "all" not in frame:
        return [mean, NONE, NONE]
    return [mean, *_gap(frame[name] - frame["all"])]


def _gap(differences: "pd.Series[float]") -> tuple[str, str]:
    """The mean difference with half its 95% interval over attributes, and on how many it is above nought."""
    known = differences.dropna()
    sign = "+" if known.mean() >= EQUAL else ""
    return sign + interval_text(known.mean(), known.sem(), 3), f"{int((known > 0).sum())} of {len(known)}"


# ---- by training step


def _curves(study: pd.DataFrame, shown: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for variant in followed(study):
        first, *others = step_drawings(study, variant, shown)
        parts += [first.html(), details(f"By attribute: {NAMES[variant]}", *figures(others))]
    return parts


# ---- linear classifiers


def _rivals(study: pd.DataFrame, shown: Sequence[str]) -> list[str]:
    parts: list[str] = []
    for place, split in enumerate(reversed(shown)):
        frame = f1_by_variant(study, split)
        pairs = {read: pair for read, pair in RIVALS.items() if set(pair) <= set(frame.columns)}
        if pairs and not place:
            parts += [*map(_verdict, pairs, [frame[list(pair)] for pair in pairs.values()])]
            parts += [*figures(rival_drawings(study, shown)), _rival_table(frame, pairs, split)]
        elif pairs:
            parts.append(details(f"The same with {SPLITS[split]}", _rival_table(frame, pairs, split)))
    return parts


def _verdict(read: str, pair: pd.DataFrame) -> Markup:
    """Who is ahead where both read the same."""
    differences = pair.iloc[:, 0] - pair.iloc[:, 1]
    mean, ahead = _gap(differences)
    words = f"Reading {read}, the network is ahead of the linear classifier on {ahead} attributes"
    return note(f"{words}; the mean differs by {mean}.", "good" if differences.mean() > 0 else "warn")


def _rival_table(frame: pd.DataFrame, pairs: dict[str, tuple[str, str]], split: str) -> Markup:
    heads = [f"{read}: {who}" for read in pairs for who in ("network", "linear", "ahead")]
    means = frame.mean().to_frame(MEAN).T
    cells = []
    for attribute, row in pd.concat([frame, means]).iterrows():
        cell: list[object] = [str(attribute)]
        for network, linear in pairs.values():
            ours, theirs = row[network], row[linear]
            cell += [figure_text(ours, 3), figure_text(theirs, 3), _winner(ours, theirs)]
        cells.append(cell)
    return table(
        f"Weighted F1 on test articles, {SPLITS[split]}. Each linear classifier is a logistic regression on what the "
        "variant of the network beside it reads.",
        ["Attribute", *heads],
        cells,
        numeric=[head for head in heads if not head.endswith("ahead")],
    )


def _winner(ours: float, theirs: float) -> Badge | str:
    if np.isnan(ours) or np.isnan(theirs):
        return NONE
    if abs(ours - theirs) < EQUAL:
        return "equal"
    return Badge("network", "good") if ours > theirs else Badge("linear", "warn")


# ---- confusions


_BESIDE = Markup('<div style="display:flex;flex-wrap:wrap;gap:0 2rem;align-items:flex-end">{}</div>\n')


def _matrices(confusions: pd.DataFrame) -> Markup:
    drawings = confusion_drawings(confusions)
    text = (
        "Each row is an annotated value, and sums to 100%: what the network said of test articles with it. The most "
        f"frequent {MOST_CLASSES} values are shown, the others as one."
    )
    return joined(
        paragraph(text),
        details(f"Confusion matrices of {len(drawings)} attributes", _BESIDE.format(joined(*figures(drawings)))),
    )


def _if_any(title: str, parts: Sequence[str]) -> Sequence[str]:
    return [heading(title), *parts] if parts else []
