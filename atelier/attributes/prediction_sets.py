"""Sets of values that hold the true one with a promised probability.

What belongs here: the threshold of each attribute's sets, fitted on calibration labels; the sets and their figures; how
probable it is that sets hold fewer labels than promised by chance alone. What does not: calibrating probabilities
(:mod:`atelier.attributes.temperature`), what the catalogue does with a set (:mod:`atelier.attributes.completion`).

Source: split conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005) with the
score of Sadinle, Lei and Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels" (JASA 2019): one
minus the probability of the true value. The promise holds for an article drawn like the calibration articles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import numpy as np
import pyarrow as pa

from atelier import bundles
from atelier.arrays import Float32s, Float64s, Int64s, Mask
from atelier.attributes.labels import UNLABELLED

#: Probabilities are float32, and differ by up to about this much between batches of different sizes.
ROUNDING = 1e-6
SCHEMA = pa.schema([("attribute", pa.string()), ("least_probability", pa.float64()), ("labels", pa.int64())])


@dataclass(frozen=True)
class PredictionSets:
    """Which values of each attribute remain possible.

    Attributes:
        least_probability: float64 [attributes]: a set holds the values that are at least this probable, and always the
            most probable one. It is 0, so that a set holds every value, where the calibration labels are too few, or
            predicted too badly, for the promise to be kept otherwise.
        labels: int64 [attributes]: the number of calibration labels.
    """

    least_probability: Float64s
    labels: Int64s

    @classmethod
    def fit(cls, matrices: Sequence[Float32s], truth: Int64s, coverage: float) -> "PredictionSets":
        """Choose, for each attribute, the largest ``least_probability`` that keeps the promise.

        Of n calibration labels, ⌈(n + 1) · coverage⌉ have to be at least this probable. With too few labels, for 90%
        with fewer than 9, that is more than n, and no threshold above 0 is safe.

        Args:
            matrices: for each attribute float32 [m, classes]: probabilities of m calibration articles.
            truth: int64 [m, attributes]: the true value's position; −1 unlabelled, −2 a value without a position.
            coverage: the probability that a set is promised to hold the true value, between 0 and 1.
        """
        fitted = [_least_probability(matrix, mine, coverage) for matrix, mine in zip(matrices, truth.T, strict=True)]
        return cls(np.array(fitted, np.float64), (truth != UNLABELLED).sum(axis=0, dtype=np.int64))

    @classmethod
    def of_everything(cls, attributes: int) -> "PredictionSets":
        """Sets that hold every value, because without calibration labels nothing can be promised of smaller ones."""
        return cls(np.zeros(attributes), np.zeros(attributes, np.int64))

    def of(self, matrices: Sequence[Float32s]) -> tuple[Mask, ...]:
        """The sets: for each attribute bool [n, classes], from probabilities float32 [n, classes]."""
        thresholds = self.least_probability.tolist()
        return tuple(_sets(matrix, least) for matrix, least in zip(matrices, thresholds, strict=True))

    def save(self, path: Path, attributes: Sequence[str]) -> None:
        """Write one row for each attribute as Parquet."""
        bundles.write_table(path, pa.table([list(attributes), self.least_probability, self.labels], schema=SCHEMA))

    @classmethod
    def load(cls, path: Path, attributes: Sequence[str]) -> "PredictionSets":
        """Read what :meth:`save` wrote.

        Raises:
            BundleError: it cannot be read.
            KeyError: it is of other attributes.
        """
        table = bundles.read_table(path, tuple(SCHEMA.names))
        if table["attribute"].to_pylist() != list(attributes):
            raise KeyError(f"{path.name} holds other attributes than the classes")
        return cls(table["least_probability"].to_numpy(), table["labels"].to_numpy())


def _least_probability(matrix: Float32s, truth: Int64s, coverage: float) -> float:
    known = truth >= 0
    # A true value that cannot be predicted is missed whatever the threshold: as if its probability were below 0.
    probabilities = np.full(len(truth), -np.inf)
    probabilities[known] = matrix[known, truth[known]]
    ranked = np.sort(probabilities[truth != UNLABELLED])[::-1]
    needed = labels_needed(len(ranked), coverage)
    return max(0.0, float(ranked[needed - 1]) - ROUNDING) if needed <= len(ranked) else 0.0


def _sets(matrix: Float32s, least: float) -> Mask:
    sets = matrix >= least
    sets[np.arange(len(matrix)), matrix.argmax(axis=1)] = True
    return sets


def decided(sets: Mask, matrix: Float32s, least_confidence: float) -> Mask:
    """Where a value is certain enough to be called predicted, bool [n]; elsewhere the model abstains.

    Args:
        sets: bool [n, classes]: the values that remain possible; it has to be a single one.
        matrix: float32 [n, classes]: probabilities; the largest has to be at least ``least_confidence``. A set can be a
            single value with a small probability where calibration labels were predicted badly: it then says that no
            other value is likelier, and not that this one is likely.
        least_confidence: see above.
    """
    return np.asarray((sets.sum(axis=1) == 1) & (matrix.max(axis=1) >= least_confidence - ROUNDING))


def set_figures(sets: Mask, actual: Int64s) -> dict[str, float]:
    """How good sets are: ``coverage``, ``set_size``, ``abstained``.

    Args:
        sets: bool [n, classes], at least one row.
        actual: int64 [n]: the true value's position; one that is negative, or behind the classes, is in no set.

    Returns:
        The share of the sets that hold the true value, their mean number of values, and the share of them that are not
        a single value.
    """
    rows = np.flatnonzero((actual >= 0) & (actual < sets.shape[1]))
    sizes = sets.sum(axis=1)
    held = sets[rows, actual[rows]].sum()
    return {
        "coverage": float(held / len(sets)),
        "set_size": float(sizes.mean()),
        "abstained": float((sizes != 1).mean()),
    }


def labels_needed(labels: int, coverage: float) -> int:
    """How many of n calibration labels the sets have to hold: ⌈(n + 1) · coverage⌉, which may be more than n."""
    return ceil((labels + 1) * coverage - 1e-9)


def chance_of_covering_so_few(covered: float, labels: float, calibration_labels: float, coverage: float) -> float:
    """The probability that sets which keep their promise hold no more held-out labels than these did.

    Given n calibration labels, the coverage of split conformal sets is itself drawn, from Beta(n + 1 − l, l) or above,
    with l = ⌊(n + 1)(1 − coverage)⌋; the number of m held-out labels that they hold is then beta-binomial (Angelopoulos
    and Bates, "A Gentle Introduction to Conformal Prediction", 2021, section 3.2 and appendix C).

    Args:
        covered: share of the held-out labels that the sets hold.
        labels: how many held-out labels are independent of each other, m; rounded.
        calibration_labels: the same of the calibration labels, n; rounded.
        coverage: the promised share.

    Returns:
        The probability; 1 where the calibration labels are too few to promise anything, or no label is held out.
    """
    from scipy.stats import betabinom

    held_out, calibrated = round(labels), round(calibration_labels)
    missed = floor((calibrated + 1) * (1 - coverage) + 1e-9)
    if missed < 1 or held_out < 1:
        return 1.0
    return float(betabinom.cdf(round(covered * held_out), held_out, calibrated + 1 - missed, missed))
