"""Confidence that means what it says.

What belongs here: temperatures fitted on validation data. What does not: the network, which holds and applies them.

Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from atelier.attributes.labels import UNLABELLED

LEAST_LABELS = 30  # fewer say too little: the temperature stays 1
CANDIDATES = torch.logspace(-2, 2, 81, base=2.0)  # 1/4 … 4


def fit_temperatures(logits: Sequence[Tensor], targets: Tensor) -> Tensor:
    """The temperature of each attribute that makes its labels most likely.

    Args:
        logits: for each attribute float32 [n, classes].
        targets: int64 [n, attributes], −1 where unlabelled.

    Returns:
        float32 [attributes]; 1 where fewer than 30 labels, or one class only, say too little.
    """
    temperatures = torch.ones(len(logits))
    for place, part in enumerate(logits):
        labelled = targets[:, place] != UNLABELLED
        if part.shape[1] < 2 or int(labelled.sum()) < LEAST_LABELS:
            continue
        known, truth = part[labelled], targets[labelled, place]
        losses = torch.stack([functional.cross_entropy(known / t, truth) for t in CANDIDATES.tolist()])
        temperatures[place] = CANDIDATES[int(losses.argmin())]
    return temperatures
