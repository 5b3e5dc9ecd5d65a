"""Temperatures: by dividing logits they make an attribute's confidence the share of predictions that are right.

What belongs here: fitting temperatures on validation data, and undoing them. What does not: the network, which holds
and applies them.

Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.arrays import Float64s
from atelier.attributes.labels import UNLABELLED

SHARED_LABELS = 30  # the mean over all attributes weighs as much as this many labels of one attribute
CANDIDATES = torch.logspace(-2, 2, 81, base=2.0)  # 1/4 … 4


def fit_temperatures(logits: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The temperature of each attribute that makes its labels most likely.

    A few labels say little about one attribute, but a network tends to be too sure, or too unsure, of all attributes
    alike. So the mean over all attributes counts as 30 labels beside an attribute's own, and decides alone for an
    attribute without labels.

    Args:
        logits: for each attribute float32 [n, classes].
        targets: int64 [n, attributes], −1 where unlabelled.

    Returns:
        float32 [attributes]; 1 for attributes with one class, and for all where nothing is labelled.
    """
    counts = (targets != UNLABELLED).sum(dim=0)  # [attributes]
    several = torch.tensor([part.shape[1] > 1 for part in logits], dtype=torch.bool)
    informative = several & (counts > 0).cpu()
    temperatures = torch.ones(len(logits))
    if not informative.any():
        return temperatures
    losses = torch.zeros(len(logits), len(CANDIDATES))
    for number in informative.nonzero()[:, 0].tolist():
        labelled = targets[:, number] != UNLABELLED
        known, truth = logits[number][labelled], targets[labelled, number]
        losses[number] = torch.stack([functional.cross_entropy(known / t, truth) for t in CANDIDATES.tolist()])
    shared = losses[informative].mean(dim=0)
    best = (counts[:, None] * losses + SHARED_LABELS * shared).argmin(dim=1)
    return torch.where(several, CANDIDATES[best], temperatures)


def uncalibrated(matrix: npt.NDArray[np.floating], temperature: float) -> Float64s:
    """The probabilities before the temperature: softmax(z) from softmax(z / T), since the latter's power T is ∝ exp(z).

    Args:
        matrix: float [n, classes]: calibrated.
        temperature: T.

    Returns:
        float64 [n, classes]; rows sum to 1.
    """
    powers: Float64s = matrix.astype(np.float64) ** temperature
    powers /= powers.sum(axis=1, keepdims=True)
    return powers
