"""The names of the ranking losses, without PyTorch: configs are read where nothing heavy may be loaded.

What belongs here: the names. What does not: the losses (:mod:`atelier.nn.ranking_losses`).
"""

from typing import Literal

LossName = Literal["wmrb", "bpr", "sampled_softmax"]
