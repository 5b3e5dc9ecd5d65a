"""How good predictions of attributes are: the arithmetic, and the one table of figures.

What belongs here: accuracy and weighted F1 of class positions, beside the majority value's, whether confidence is
honest, the table of figures by attribute and the names in it. What does not: splits (:mod:`atelier.articles.splits`),
asking a model (:mod:`atelier.attributes.evaluation`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from atelier.arrays import Float64s, Int64s, Mask
from atelier.attributes.labels import Head

BINS = 15
MEAN = "mean"
"""The name of the rows, in a table of figures by attribute, that hold the mean over attributes."""
BY_STEP = "weighted_f1_by_step"
"""Weighted F1 of the network as it was after a step of training, not of the weights that were kept at the end."""
AGAINST_MAJORITY = ("accuracy", "weighted_f1", "majority_accuracy", "majority_weighted_f1")


def accuracy(truth: Int64s, predicted: Int64s) -> float:
    """Share of positions that agree; nan without any.

    Args:
        truth: int64 [n].
        predicted: int64 [n].
    """
    return float((truth == predicted).mean()) if len(truth) else float("nan")


def weighted_f1(truth: Int64s, predicted: Int64s) -> float:
    """F1 of each class, weighted by its share of the truth: Σ_c n_c/n · 2·TP_c / (n_c + predicted_c); nan without any.

    A class that is predicted but never true weighs nothing.

    Args:
        truth: int64 [n], 0 or larger.
        predicted: int64 [n], 0 or larger.
    """
    if not len(truth):
        return float("nan")
    classes = int(max(truth.max(), predicted.max())) + 1
    support = np.bincount(truth, minlength=classes)
    claimed = np.bincount(predicted, minlength=classes)
    hits = np.bincount(truth[truth == predicted], minlength=classes)
    f1 = 2 * hits / np.maximum(support + claimed, 1)
    return float((support * f1).sum() / len(truth))


def against_majority(truth: Int64s, predicted: Int64s, majority: int | None) -> dict[str, float]:
    """The figures :data:`AGAINST_MAJORITY`: of predictions, and of always saying the majority value.

    Args:
        truth: int64 [n], 0 or larger.
        predicted: int64 [n], 0 or larger.
        majority: the majority value's position; None where no value is known to be it, and its figures are nan.
    """
    figures = [accuracy(truth, predicted), weighted_f1(truth, predicted), float("nan"), float("nan")]
    if majority is not None:
        usual = np.full_like(truth, majority)
        figures[2:] = accuracy(truth, usual), weighted_f1(truth, usual)
    return dict(zip(AGAINST_MAJORITY, figures, strict=True))


def positions_of(classes: Iterable[str], *texts: Any) -> list[Int64s]:
    """Texts as positions: those of the classes first, then all other texts in alphabetical order, null last.

    Args:
        classes: the values that can be predicted.
        texts: columns of n texts each.

    Returns:
        For each column int64 [n], 0 or larger; equal texts have equal positions in all columns.
    """
    columns = [pd.Index(column, dtype=object) for column in texts]
    known = list(classes)
    others = sorted({text for column in columns for text in column.dropna()} - set(known))
    names = pd.Index([*known, *others], dtype=object)
    found = [names.get_indexer(column) for column in columns]
    return [np.where(each < 0, len(names), each).astype(np.int64) for each in found]


def label_figures(head: Head | None, actual: Sequence[str], guesses: Sequence[str | None]) -> dict[str, float]:
    """The figures of one attribute: ``samples``, ``classes`` and, with a head and a label, :data:`AGAINST_MAJORITY`.

    Args:
        head: what could be predicted; None: nothing.
        actual: the true values of n labels; one that cannot be predicted is a miss.
        guesses: what was predicted for each; null is a miss.
    """
    counts = {"samples": float(len(actual)), "classes": float(len(head.values) if head else 0)}
    if head is None or not len(actual):
        return counts
    truth, predicted = positions_of(head.values, actual, guesses)
    return counts | against_majority(truth, predicted, head.majority)


def figures_table(
    figures: Mapping[str, Mapping[str, float]], counts: Sequence[str], averaged: Sequence[str]
) -> pd.DataFrame:
    """The figures of several attributes, and their means.

    Args:
        figures: by attribute; what is absent is null.
        counts: the figures whose sum over attributes stands for all.
        averaged: the figures of which the unweighted mean does, over attributes for which the first of these is known.

    Returns:
        attribute, metric, value (float64): for each attribute in turn every figure, then for :data:`MEAN`.
    """
    wide = pd.DataFrame.from_dict(dict(figures), orient="index", columns=[*counts, *averaged], dtype="float64")
    known = wide[wide[averaged[0]].notna()]
    wide.loc[MEAN] = pd.concat([wide[list(counts)].sum(), known[list(averaged)].mean()])
    long = wide.rename_axis(index="attribute", columns="metric").stack(future_stack=True).reset_index()
    return long.set_axis(["attribute", "metric", "value"], axis=1).astype({"attribute": "str", "metric": "str"})


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of confidence, (i/15, (i+1)/15], as a reliability diagram shows them.

    Attributes:
        labels: int64 [bins]: predictions in each bin.
        confidence: float64 [bins]: their mean confidence; nan in a bin without predictions.
        accuracy: float64 [bins]: the share of them that is right; nan in a bin without predictions.
    """

    labels: Int64s
    confidence: Float64s
    accuracy: Float64s

    @classmethod
    def of(cls, confidence: Float64s, correct: Mask) -> "Reliability":
        """Sort predictions into bins.

        Args:
            confidence: float64 [n], 0…1.
            correct: bool [n]: whether the prediction was right.
        """
        bins = (np.ceil(confidence * BINS).astype(np.int64) - 1).clip(0, BINS - 1)
        labels = np.bincount(bins, minlength=BINS)
        some = np.where(labels > 0, labels, np.nan)
        mean_confidence = np.bincount(bins, confidence, minlength=BINS) / some
        return cls(labels, mean_confidence, np.bincount(bins, correct, minlength=BINS) / some)

    @property
    def expected_calibration_error(self) -> float:
        """Σ_b n_b/n · |accuracy_b − confidence_b|; nan without any prediction.

        As in Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), equation 3, after Naeini, Cooper and
        Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015). With few predictions
        chance alone makes it large: about 0.13 with 30, 0.07 with 100, 0.02 with 1,000.
        """
        if not self.labels.sum():
            return float("nan")
        return float(np.nansum(self.labels * np.abs(self.accuracy - self.confidence)) / self.labels.sum())
