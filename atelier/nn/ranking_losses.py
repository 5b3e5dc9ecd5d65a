"""Losses that push what a customer chose above what they did not.

What belongs here: losses as functions of scores. What does not: where scores and negatives come from.

All of them look at a positive's score s_ui, the scores s_uj of sampled negatives, and the gaps s_ui − s_uj; a negative
that does not count (``counts`` False) adds nothing. ``rank_scale``, r_j below, turns a sum over the sample into an
estimate of the sum over all articles where it is one over how often article j is drawn: |articles| / |sampled| where
all are drawn equally often (D. Horvitz, D. Thompson, A Generalization of Sampling Without Replacement, JASA 1952).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from atelier.nn.loss_names import LossName

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(s_ui [b], s_uj [b, n], counts bool [b, n], r_j [n] or [b, n]) → loss of each example [b]."""


def wmrb(positive: Tensor, negative: Tensor, counts: Tensor, rank_scale: Tensor) -> Tensor:
    """The weighted margin-rank batch loss: log(1 + Σ_j r_j |1 − s_ui + s_uj|₊).

    Source: K. Liu and P. Natarajan, WMRB: Learning to Rank in a Scalable Batch Training Approach, RecSys 2017, eq. 4
    and 5, where r = |articles| / |sampled|. Cardoso, Daolio and Vargas (KDD 2018) print it with r = 1.

    Args:
        positive: float32 [b], s_ui.
        negative: float32 [b, n], s_uj.
        counts: bool [b, n], whether a negative counts for the example.
        rank_scale: float32 [n] or [b, n], r_j.

    Returns:
        float32 [b], the loss of each example.
    """
    over_margin = functional.relu(1 - positive[:, None] + negative) * counts  # [b, n]
    return torch.log1p((rank_scale * over_margin).sum(1))


def bpr(positive: Tensor, negative: Tensor, counts: Tensor, rank_scale: Tensor) -> Tensor:
    """Bayesian personalised ranking: the mean of −log σ(s_ui − s_uj) over the negatives; r has no part in a mean.

    Source: S. Rendle and others, BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009, section 4. Takes
    and gives what :func:`wmrb` does.
    """
    losses = functional.softplus(negative - positive[:, None]) * counts  # [b, n]
    return losses.sum(1) / counts.sum(1).clamp(min=1)


def sampled_softmax(positive: Tensor, negative: Tensor, counts: Tensor, rank_scale: Tensor) -> Tensor:
    """Cross entropy of choosing the positive among itself and the negatives: log(1 + Σ_j r_j exp(s_uj − s_ui)).

    With r_j one over how often j is drawn, the sum estimates the one over all articles. Source: Y. Bengio and J.-S.
    Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model, 2008. Takes
    and gives what :func:`wmrb` does.
    """
    negative = (negative + torch.log(rank_scale)).masked_fill(~counts, float("-inf"))
    choices = torch.cat((positive[:, None], negative), dim=1)  # [b, 1 + n]
    first = torch.zeros(len(choices), dtype=torch.int64, device=choices.device)
    return functional.cross_entropy(choices, first, reduction="none")


LOSSES: dict[LossName, Loss] = {"wmrb": wmrb, "bpr": bpr, "sampled_softmax": sampled_softmax}
"""Each loss by its name in a config."""
