"""The network that ranks: two branches, of the customer and of the candidate, joined to the logit of a choice.

What belongs here: the layers. What does not: training over features of candidates
(:mod:`~atelier.recommenders.two_stage.network_ranker`), training together with two towers
(:mod:`~atelier.recommenders.two_stage.two_tower`).

The widths are those of the published H&M two-tower project.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.nn.layers import unset_linear

BRANCH, JOINED = (64, 32), (32, 16)
"""Widths of each branch, and of the layers over both."""
VECTORS = ("customer_tower_", "article_tower_")
"""How the names of features begin that are the numbers of a vector: of the customer, of the article."""


def vector_names(factors: int) -> tuple[str, ...]:
    """The names of features that are the vectors of a customer and of an article: the numbers of each."""
    return tuple(f"{of}{number}" for of in VECTORS for number in range(factors))


class RankingNetwork(nn.Module):
    """A branch over features of the customer and one over the others, joined: [m, features] → [m], the logit.

    Args:
        names: of the features; those of the customer begin with ``customer_``.
        random: for the first weights.
    """

    def __init__(self, names: Sequence[str], random: torch.Generator) -> None:
        super().__init__()
        own = np.array([name.startswith("customer_") for name in names])
        self._own, self._other = (torch.from_numpy(np.flatnonzero(mask)) for mask in (own, ~own))
        self.customer = _layers((len(self._own), *BRANCH), random)
        self.candidate = _layers((len(self._other), *BRANCH), random)
        self.joined = _layers((2 * BRANCH[-1], *JOINED), random)
        self.last = _layers((JOINED[-1], 1), random)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the network to standardised features."""
        own = _through(self.customer, features[:, self._own])
        other = _through(self.candidate, features[:, self._other])
        joined = _through(self.joined, torch.cat([own, other], dim=1))
        return cast(Tensor, self.last[0](joined)[:, 0])


def _layers(widths: tuple[int, ...], random: torch.Generator) -> nn.ModuleList:
    layers = [unset_linear(one, two) for one, two in pairwise(widths)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=(2 / max(layer.in_features, 1)) ** 0.5, generator=random)
        nn.init.zeros_(layer.bias)
    return nn.ModuleList(layers)


def _through(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers:
        x = functional.relu(layer(x))
    return x
