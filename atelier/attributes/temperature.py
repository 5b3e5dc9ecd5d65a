"""Confidence that means what it says.

What belongs here: temperatures fitted on validation data, and what probabilities were before them. What does not: the
network, which holds and applies them.

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

SHARED_LABELS = 30  # what all attributes together say of one weighs as much as so many of its own labels
CANDIDATES = torch.logspace(-2, 2, 81, base=2.0)  # 1/4 … 4


def fit_temperatures(logits: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The temperature of each attribute that makes its labels most likely.

    A handful of labels says little, but networks are too sure, or too unsure, of all attributes alike: so the mean over
    all attributes counts as 30 labels beside an attribute's own, and decides where there are none.

    Args:
        logits: for each attribute float32 [n, classes].
        targets: int64 [n, attributes], −1 where unlabelled.

    Returns:
        float32 [attributes]; 1 for attributes with one class, and for all where nothing is labelled.
    """
    counts = (targets != UNLABELLED).sum(dim=0)  # [attributes]
    several = torch.tensor([part.shape[1] > 1 for part in logits], dtype=torch.bool)
    telling = several & (counts > 0).cpu()
    temperatures = torch.ones(len(logits))
    if not telling.any():
        return temperatures
    losses = torch.zeros(len(logits), len(CANDIDATES))
    for place in telling.nonzero()[:, 0].tolist():
        labelled = targets[:, place] != UNLABELLED
        known, truth = logits[place][labelled], targets[labelled, place]
        losses[place] = torch.stack([functional.cross_entropy(known / t, truth) for t in CANDIDATES.tolist()])
    shared = losses[telling].mean(dim=0)
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
