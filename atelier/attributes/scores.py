"""How good predictions of one attribute are.

What belongs here: accuracy and weighted F1 of class positions. What does not: splits and baselines
(:mod:`atelier.attributes.evaluation`).
"""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def accuracy(truth: Integers, predicted: Integers) -> float:
    """Share of positions that agree; nan without any.

    Args:
        truth: int64 [n].
        predicted: int64 [n].
    """
    return float((truth == predicted).mean()) if len(truth) else float("nan")


def weighted_f1(truth: Integers, predicted: Integers) -> float:
    """F1 of each class, weighted by its share of the truth: Σ_c n_c/n · 2·TP_c / (n_c + predicted_c); nan without any.

    A class that is predicted but never true weighs nothing; so does one with a negative position, which is not allowed
    in ``truth``.

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
