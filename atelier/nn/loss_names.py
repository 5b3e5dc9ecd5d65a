"""The names of the ranking losses, without PyTorch: configs are read where nothing heavy may be loaded.

What belongs here: the names. What does not: the losses (:mod:`atelier.nn.ranking_losses`).
"""

from typing import Literal

LossName = Literal["wmrb", "bpr", "sampled_softmax"]
"""Losses that need no number beside the scores."""

SequenceLossName = Literal["sampled_softmax", "full_softmax", "in_batch", "gbce", "bpr_max", "bpr", "wmrb"]
"""The losses of the sequence models: ``full_softmax`` scores every article, ``in_batch`` the batch's own targets."""
