"""How good predictions of one attribute are.

What belongs here: accuracy and weighted F1 of class positions, beside the majority value's, whether confidence is
honest, and the names that tables of figures share. What does not: splits (:mod:`atelier.articles.splits`), tables.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15
MEAN = "mean"
"""What tables of figures by attribute call the mean over attributes."""
BY_STEP = "weighted_f1_by_step"
"""Weighted F1 with the weights as they were at a step, not with those that were kept at the end."""
AGAINST_MAJORITY = ("accuracy", "weighted_f1", "majority_accuracy", "majority_weighted_f1")

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def accuracy(truth: Integers, predicted: Integers) -> float:
    """Share of positions that agree; nan without any.

    Args:
        truth: int64 [n].
        predicted: int64 [n].
    """
    return float((truth == predicted).mean()) if len(truth) else float("nan")


def weighted_f1(truth: Integers, predicted: Integers) -> float:
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


def against_majority(truth: Integers, predicted: Integers, majority: int | None) -> dict[str, float]:
    """The figures :data:`AGAINST_MAJORITY`: of predictions, and of always saying the majority value.

    Args:
        truth: int64 [n], 0 or larger.
        predicted: int64 [n], 0 or larger.
        majority: the majority value's position; None: there is none, and its figures are nan.
    """
    figures = [accuracy(truth, predicted), weighted_f1(truth, predicted), float("nan"), float("nan")]
    if majority is not None:
        usual = np.full_like(truth, majority)
        figures[2:] = accuracy(truth, usual), weighted_f1(truth, usual)
    return dict(zip(AGAINST_MAJORITY, figures, strict=True))


@dataclass(frozen=True)
class Reliability:
    """Predictions by their confidence, in bins of equal width (i/15, (i+1)/15]: what a reliability diagram shows.

    Attributes:
        labels: int64 [bins]: predictions in each bin.
        confidence: float64 [bins]: their mean confidence; nan where there is none.
        accuracy: float64 [bins]: the share of them that is right; nan where there is none.
    """

    labels: Integers
    confidence: Floats
    accuracy: Floats

    @classmethod
    def of(cls, confidence: Floats, correct: Booleans) -> "Reliability":
        """Sort predictions into bins.

        Args:
            confidence: float64 [n], 0…1.
            correct: bool [n]: whether the prediction was right.
        """
        places = (np.ceil(confidence * BINS).astype(np.int64) - 1).clip(0, BINS - 1)
        labels = np.bincount(places, minlength=BINS)
        some = np.where(labels > 0, labels, np.nan)
        mean_confidence = np.bincount(places, confidence, minlength=BINS) / some
        return cls(labels, mean_confidence, np.bincount(places, correct, minlength=BINS) / some)

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
