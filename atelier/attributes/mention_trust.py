"""Whether an attribute's predictions heed what texts name, decided on labels that were not trained on.

What belongs here: the comparison of predictions that are told with those that are not. What does not: the features and
their weights (:mod:`atelier.attributes.mention_features`, :class:`atelier.attributes.network.architecture
.MentionWeights`), temperatures (:mod:`atelier.attributes.temperature`).

A network that trains with ``mention_dropout`` predicts told and untold. With a few labels being told is worth much;
with thousands it reads by itself, and a name that is used loosely ("blue" of a group of colours, "top" in any text)
only disturbs it. Which of the two an attribute is, its held-out labels say.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from atelier.attributes.labels import UNLABELLED
from atelier.attributes.temperature import SHARED_LABELS, fit_temperatures


def choose_trust(told: Sequence[Tensor], untold: Sequence[Tensor], targets: Tensor) -> Tensor:
    """1 for the attributes whose labels are more likely where the network is told what texts name, otherwise 0.

    Both kinds of logits are divided by their own temperatures first, so that the surer kind is not punished for it.
    The mean over all attributes counts as 30 labels beside an attribute's own, as for temperatures. A tie is told.

    Args:
        told: for each attribute float32 [n, classes], logits.
        untold: likewise.
        targets: int64 [n, attributes], −1 where unlabelled.

    Returns:
        float32 [attributes]; all 1 where nothing is labelled.
    """
    losses, counts = torch.zeros(2, len(told)), torch.zeros(len(told))
    for kind, logits in enumerate((told, untold)):
        temperatures = fit_temperatures(logits, targets)
        for place, part in enumerate(logits):
            known = targets[:, place] != UNLABELLED
            counts[place] = known.sum()
            if known.any():
                losses[kind, place] = functional.cross_entropy(part[known] / temperatures[place], targets[known, place])
    judged = counts > 0
    if not judged.any():
        return torch.ones(len(told))
    gain = losses[1] - losses[0]
    return ((counts * gain + SHARED_LABELS * gain[judged].mean()) >= 0).float()
