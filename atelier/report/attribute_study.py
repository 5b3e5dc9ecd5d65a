"""The section on the attribute study: what each input brings, how fast the network learns, what linear models reach.

What belongs here: showing attribute_study and attribute_confusions. What does not: the plots themselves
(:mod:`atelier.report.attribute_plots`), the study (:mod:`atelier.studies.attribute_study`).
"""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import pandas as pd
from markupsafe import Markup

from atelier.attributes.scores import MEAN
from atelier.report import attribute_plots as plots
from atelier.report import parts
from atelier.report.drawing import figures

EQUAL = 5e-4  # what three decimals cannot tell apart


@parts.section(
    "Attribute study", "attribute-study", "The attribute network has not been studied yet.", "attribute_study"
)
def attribute_study_section(
    study: pd.DataFrame, confusions: pd.DataFrame | None = None, day: date | None = None, remark: str | None = None
) -> Iterator[str]:
    """The evaluation table, the ablation, F1 by training step, the linear classifiers, and the confusion matrices.

    Args:
        study: the table attribute_study of one day.
        confusions: the table attribute_confusions of that day.
        day: which day it is of.
        remark: what a reader must know, for example that the vectors have seen the labels.
    """
    shown = plots.splits_of(study)
    yield parts.paragraph(
        f"Study of {day}: every variant was trained on the same articles and judged on the same others."
    )
    if remark:
        yield parts.note(remark)
    if "all" in set(study["variant"]):
        yield parts.heading("Evaluation")
        yield evaluation_table(study)
    yield parts.heading("What each input brings")
    yield from figures(plots.ablation_drawings(study))
    yield ablation_table(study)
    yield from _if_any("F1 by training step", _curves(study, shown))
    yield from _if_any("Against linear classifiers", _rivals(study, shown))
    if confusions is not None and len(confusions):
        yield from _if_any("What is taken for what", _matrices(confusions))


def _if_any(title: str, body: Iterator[str]) -> Iterator[str]:
    """A heading before the parts; nothing where there are none."""
    for number, part in enumerate(body):
        if not number:
            yield parts.heading(title)
        yield part


# ---- evaluation


def evaluation_table(study: pd.DataFrame) -> Markup:
    """Per attribute: classes, and for each split samples, weighted F1, accuracy and what the majority value scores."""
    by_split = {split: plots.final(study, split, "all") for split in plots.splits_of(study)}
    by_split = {split: frame for split, frame in by_split.items() if len(frame)}
    reference = list(by_split.values())[-1]
    order = reference.assign(last=reference.index == MEAN).sort_values(["last", "samples"], ascending=[True, False])
    cells = []
    for attribute in order.index:
        classes = parts.NONE if attribute == MEAN else parts.count_text(reference.loc[attribute, "classes"])
        cells.append([str(attribute), classes])
        for frame in by_split.values():
            found = frame.reindex([attribute]).iloc[0]
            scores = (found[name] for name in ("weighted_f1", "accuracy", "majority_weighted_f1"))
            cells[-1] += [parts.count_text(found["samples"]), *(parts.figure_text(score, 3) for score in scores)]
    heads = ("Samples", "Weighted F1", "Accuracy", "Majority F1")
    return parts.table(
        "The network with all inputs on articles that it was not trained on: random articles, as published, and whole "
        "styles, so that no colour of a style that is judged was seen. F1 is weighted by support.",
        ["Attribute", "Classes", *(f"{head}, {split}" for split in by_split for head in heads)],
        cells,
    )


# ---- ablation


def ablation_table(study: pd.DataFrame) -> Markup:
    """Mean weighted F1 of every variant, and how far it is from the network with all inputs."""
    by_split = {split: plots.f1_by_variant(study, split) for split in plots.splits_of(study)}
    cells = [
        [title, *(cell for frame in by_split.values() for cell in _against(frame, name))]
        for name, title in plots.NAMES.items()
        if any(name in frame for frame in by_split.values())
    ]
    heads = ("Mean F1", "Difference", "Attributes ahead")
    return parts.table(
        "Mean over attributes of weighted F1 on test articles; the difference from the network with all inputs, its "
        "interval over attributes, and on how many of them the variant is ahead.",
        ["Variant", *(f"{head}, {split}" for split in by_split for head in heads)],
        cells,
    )


def _against(frame: pd.DataFrame, name: str) -> list[str]:
    if name not in frame:
        return [parts.NONE] * 3
    mean = parts.figure_text(frame[name].mean(), 3)
    if name == "all" or "all" not in frame:
        return [mean, parts.NONE, parts.NONE]
    return [mean, *_gap(frame[name] - frame["all"])]


def _gap(differences: "pd.Series[float]") -> tuple[str, str]:
    """The mean difference with half its 95% interval over attributes, and on how many it is above 0."""
    known = differences.dropna()
    sign = "+" if known.mean() >= EQUAL else ""
    return sign + parts.interval_text(known.mean(), known.sem(), 3), f"{int((known > 0).sum())} of {len(known)}"


# ---- by training step


def _curves(study: pd.DataFrame, shown: Sequence[str]) -> Iterator[str]:
    for variant in plots.followed(study):
        first, *others = plots.step_drawings(study, variant, shown)
        yield first.html()
        yield parts.details(f"By attribute: {plots.NAMES[variant]}", *figures(others))


# ---- linear classifiers


def _rivals(study: pd.DataFrame, shown: Sequence[str]) -> Iterator[str]:
    for split in reversed(shown):
        frame = plots.f1_by_variant(study, split)
        pairs = {read: pair for read, pair in plots.RIVALS.items() if set(pair) <= set(frame.columns)}
        if pairs and split == shown[-1]:
            yield from (_verdict(read, frame[network] - frame[linear]) for read, (network, linear) in pairs.items())
            yield from figures(plots.rival_drawings(study, shown))
            yield _rival_table(frame, pairs, split)
        elif pairs:
            yield parts.details(f"The same with {plots.SPLITS[split]}", _rival_table(frame, pairs, split))


def _verdict(read: str, differences: "pd.Series[float]") -> Markup:
    """Which of the two is ahead where both read the same."""
    mean, ahead = _gap(differences)
    words = f"Reading {read}, the network is ahead of the linear classifier on {ahead} attributes"
    return parts.note(f"{words}; the mean differs by {mean}.", "good" if differences.mean() > 0 else "warn")


def _rival_table(frame: pd.DataFrame, pairs: dict[str, tuple[str, str]], split: str) -> Markup:
    means = frame.mean().to_frame(MEAN).T
    cells: list[list[object]] = []
    for attribute, row in pd.concat([frame, means]).iterrows():
        cells.append([str(attribute)])
        for ours, theirs in ((row[network], row[linear]) for network, linear in pairs.values()):
            cells[-1] += [parts.figure_text(ours, 3), parts.figure_text(theirs, 3), _winner(ours, theirs)]
    return parts.table(
        f"Weighted F1 on test articles, {plots.SPLITS[split]}. Each linear classifier is a logistic regression on what "
        "the variant of the network beside it reads.",
        ["Attribute", *(f"{read}: {who}" for read in pairs for who in ("network", "linear", "ahead"))],
        cells,
        ["Attribute", *(f"{read}: ahead" for read in pairs)],
    )


def _winner(ours: float, theirs: float) -> parts.Badge | str:
    if np.isnan(ours) or np.isnan(theirs):
        return parts.NONE
    if abs(ours - theirs) < EQUAL:
        return "equal"
    return parts.Badge("network", "good") if ours > theirs else parts.Badge("linear", "warn")


# ---- confusions


_BESIDE = Markup('<div style="display:flex;flex-wrap:wrap;gap:0 2rem;align-items:flex-end">{}</div>\n')


def _matrices(confusions: pd.DataFrame) -> Iterator[Markup]:
    drawings = plots.confusion_drawings(confusions)
    yield parts.paragraph(
        "Each row is an annotated value, and sums to 100%: what the network said of test articles with it. The most "
        f"frequent {plots.MOST_CLASSES} values are shown, the others as one."
    )
    matrices = _BESIDE.format(parts.joined(*figures(drawings)))
    yield parts.details(f"Confusion matrices of {len(drawings)} attributes", matrices)
