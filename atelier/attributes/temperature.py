"""Temperatures: by dividing logits they make an attribute's confidence the share of predictions that are right.

What belongs here: fitting temperatures on validation data, and undoing them. What does not: the network, which holds
and applies them.

Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from atelier.arrays import Float64s
from atelier.attributes.labels import UNLABELLED
from atelier.attributes.scores import Reliability

SHARED_LABELS = 30  # the mean over all attributes weighs as much as this many labels of one attribute
CANDIDATES = torch.logspace(-2, 2, 81, base=2.0)  # 1/4 … 4
NEUTRAL = 40
"""The place of the temperature 1 among the candidates."""
BLOCKS = 5


def fit_temperatures(logits: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The temperature of each attribute that makes its labels most likely, or 1 where that does not help.

    A few labels say little about one attribute, but a network tends to be too sure, or too unsure, of all attributes
    alike. So the mean over all attributes counts as 30 labels beside an attribute's own, and decides alone for an
    attribute without labels.

    A temperature is kept only where it helps on labels that did not choose it. The rows are cut into five blocks; the
    labels of each are judged by the temperature that the other blocks give. Where those make an attribute's labels less
    likely than the network left alone, or its calibration error larger, the temperature is 1. Here, too, the mean over
    all attributes counts as 30 labels.

    Args:
        logits: for each attribute float32 [n, classes].
        targets: int64 [n, attributes], −1 where unlabelled.

    Returns:
        float32 [attributes]; 1 for attributes with one class, and for all where nothing is labelled.
    """
    several = torch.tensor([part.shape[1] > 1 for part in logits], dtype=torch.bool)
    known = [(column != UNLABELLED).nonzero()[:, 0].cpu() for column in targets.T]
    informative = several & torch.tensor([len(rows) > 0 for rows in known], dtype=torch.bool)
    if not informative.any():
        return torch.ones(len(logits))
    labelled = [
        _Labelled.of(part[rows].cpu(), targets.cpu()[rows, place], rows * BLOCKS // len(targets)) if use else None
        for place, (part, rows, use) in enumerate(zip(logits, known, informative.tolist(), strict=True))
    ]
    kept = _helps(labelled) & several
    return torch.where(kept, CANDIDATES[_choose(labelled, None)], torch.ones(len(logits)))


@dataclass(frozen=True)
class _Labelled:
    """The labels of one attribute.

    Attributes:
        losses: float32 [candidates, labels]: cross entropy by each candidate.
        confidence: float32 [candidates, labels]: the largest probability by each candidate.
        correct: bool [labels]: whether the most probable value, whatever the temperature, is the label's.
        blocks: int64 [labels].
    """

    losses: Tensor
    confidence: Tensor
    correct: Tensor
    blocks: Tensor

    @classmethod
    def of(cls, logits: Tensor, truth: Tensor, blocks: Tensor) -> "_Labelled":
        values = logits.float()
        highest, likeliest = values.max(1)
        below = values - highest[:, None]
        own = below.gather(1, truth[:, None])[:, 0]
        # Σ exp((z − max z) / T), the reciprocal of the largest probability.
        sums = torch.stack([(below / t).exp_().sum(1) for t in CANDIDATES.tolist()])
        losses = sums.log() - own / CANDIDATES[:, None]
        return cls(losses, sums.reciprocal_(), likeliest == truth, blocks)

    def calibration_error(self, candidates: Tensor) -> float:
        """Of the labels, each with the confidence by the candidate of its block, int64 [blocks]."""
        confidence = self.confidence[candidates[self.blocks], torch.arange(len(self.blocks))]
        return Reliability.of(confidence.double().numpy(), self.correct.numpy()).expected_calibration_error


def _choose(labelled: Sequence[_Labelled | None], without: int | None) -> Tensor:
    """The candidate that makes each attribute's labels most likely, those of a block left out: int64 [attributes]."""
    losses, counts = torch.zeros(len(labelled), len(CANDIDATES)), torch.zeros(len(labelled))
    for place, mine in enumerate(labelled):
        used = None if mine is None else mine.blocks != (-1 if without is None else without)
        if mine is not None and used is not None and used.any():
            losses[place], counts[place] = mine.losses[:, used].mean(dim=1), float(used.sum())
    shared = losses[counts > 0].mean(dim=0) if (counts > 0).any() else (CANDIDATES.log().abs())
    return (counts[:, None] * losses + SHARED_LABELS * shared).argmin(dim=1)


def _helps(labelled: Sequence[_Labelled | None]) -> Tensor:
    """Whether temperatures help on labels that did not choose them, bool [attributes]."""
    chosen = torch.stack([_choose(labelled, block) for block in range(BLOCKS)], dim=1)  # [attributes, blocks]
    alone = torch.full((BLOCKS,), NEUTRAL)
    gains, counts = torch.zeros(2, len(labelled)), torch.zeros(len(labelled))
    for place, mine in enumerate(labelled):
        if mine is None:
            continue
        counts[place] = len(mine.blocks)
        own = mine.losses[chosen[place][mine.blocks], torch.arange(len(mine.blocks))]
        gains[0, place] = (mine.losses[NEUTRAL] - own).mean()
        gains[1, place] = mine.calibration_error(alone) - mine.calibration_error(chosen[place])
    shared = gains[:, counts > 0].mean(dim=1, keepdim=True)
    return ((counts * gains + SHARED_LABELS * shared) >= 0).all(dim=0)


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
