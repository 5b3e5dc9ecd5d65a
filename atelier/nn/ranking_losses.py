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

    With r_j one over how often j is drawn, the sum estimates the one over all articles; log r_j is the log-Q
    correction. The positive is always there and is no draw: it is not among the negatives and is not corrected. The
    gradient is then that of K. Khrylchenko and others, Correcting the LogQ Correction: Revisiting Sampled Softmax for
    Large-Scale Retrieval, RecSys 2025: their explicit weight 1 − P(positive) comes about by the denominator. Source: Y.
    Bengio and J.-S. Senécal, Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
    Model, 2008. Takes and gives what :func:`wmrb` does.
    """
    negative = (negative + torch.log(rank_scale)).masked_fill(~counts, float("-inf"))
    choices = torch.cat((positive[:, None], negative), dim=1)  # [b, 1 + n]
    first = torch.zeros(len(choices), dtype=torch.int64, device=choices.device)
    return functional.cross_entropy(choices, first, reduction="none")


def full_softmax(scores: Tensor, positives: Tensor) -> Tensor:
    """Cross entropy of choosing the positive among all articles.

    Args:
        scores: float32 [b, n_articles].
        positives: int64 [b], their places among the articles.

    Returns:
        float32 [b], the loss of each example.
    """
    return functional.cross_entropy(scores, positives, reduction="none")


def in_batch(scores: Tensor, positives: Tensor, often: Tensor, owners: Tensor) -> Tensor:
    """:func:`sampled_softmax` whose negatives are the positives of the batch's other customers.

    An article is drawn as often as it is a positive, so that popular ones need the correction: each counts 1 / (n q)
    where the batch has n positives of other customers. A positive is no negative of its own, wherever it stands. Nor
    are the customer's other positives: they are always in the batch and were not drawn, so that no correction fits
    them. Source: X. Yi and others, Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
    RecSys 2019, section 3.

    Args:
        scores: float32 [b, b], s_uj of each example's customer and each example's positive; the diagonal is s_ui.
        positives: int64 [b], which articles they are.
        often: float32 [b], q_j: the share of all positives that are of the article.
        owners: int64 [b], whose examples they are.

    Returns:
        float32 [b], the loss of each example.
    """
    drawn = owners[:, None] != owners[None, :]
    others = drawn & (positives[:, None] != positives[None, :])
    size = drawn.sum(1, keepdim=True).clamp(min=1)
    return sampled_softmax(scores.diagonal(), scores, others, 1 / (size * often))


def gbce(exponent: float) -> Loss:
    """Generalised binary cross entropy: −log σ(s_ui)^β − Σ_j log(1 − σ(s_uj)); β below 1 undoes over-confidence.

    Source: A. Petrov and C. Macdonald, gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with
    Negative Sampling, RecSys 2023, section 5, with β by :func:`gbce_exponent`. The negatives are drawn equally often; r
    has no part.

    Args:
        exponent: β.

    Returns:
        A loss that takes and gives what :func:`wmrb` does.
    """

    def loss(positive: Tensor, negative: Tensor, counts: Tensor, rank_scale: Tensor) -> Tensor:
        against = (functional.softplus(negative) * counts).sum(1)
        return exponent * functional.softplus(-positive) + against

    return loss


def gbce_exponent(negatives: int, articles: int, calibration: float) -> float:
    """β = α (t (1 − 1/α) + 1/α) for α = negatives / (articles − 1), at most 1; 1 for t = 0, α for t = 1.

    Args:
        negatives: of an example.
        articles: that there are.
        calibration: t, 0 … 1.
    """
    share = min(negatives / max(articles - 1, 1), 1.0)
    return share * (calibration * (1 - 1 / share) + 1 / share)


def bpr_max(regularisation: float) -> Loss:
    """BPR-max: −log Σ_j w_j σ(s_ui − s_uj) + λ Σ_j w_j s_uj², where w is the softmax of the negatives' scores.

    Source: B. Hidasi and A. Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based Recommendations,
    CIKM 2018, section 3.3. r has no part. An example without a negative that counts has the loss 0.

    Args:
        regularisation: λ.

    Returns:
        A loss that takes and gives what :func:`wmrb` does.
    """

    def loss(positive: Tensor, negative: Tensor, counts: Tensor, rank_scale: Tensor) -> Tensor:
        any_counts = counts.any(1)
        # A row without negatives keeps its scores, so that the softmax stays finite; its loss is set to zero below.
        weights = functional.log_softmax(negative.masked_fill(~counts & any_counts[:, None], float("-inf")), dim=1)
        found = torch.logsumexp(weights + functional.logsigmoid(positive[:, None] - negative), dim=1)
        penalty = (weights.exp() * negative.square()).sum(1)
        return torch.where(any_counts, regularisation * penalty - found, 0.0)

    return loss


LOSSES: dict[LossName, Loss] = {"wmrb": wmrb, "bpr": bpr, "sampled_softmax": sampled_softmax}
"""Each loss that needs no further number, by its name in a config."""
