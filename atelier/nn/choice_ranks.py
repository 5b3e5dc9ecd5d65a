"""Of choices among all articles: how surprising each is, and its rank, block by block.

What belongs here: judging by inner products with all articles while the scores of a block of them lie in the
processor's cache. What does not: lists (:mod:`atelier.search`), losses that are trained on
(:mod:`atelier.nn.ranking_losses`), the metrics of a day's lists (:mod:`atelier.metrics`).
"""

import torch
from torch import Tensor

CUSTOMERS, ARTICLES = 512, 2048
"""Customers and articles whose scores are computed at once on a processor: 4 MiB, which stay in its cache."""
CLOSE = 1e-6
"""Scores that differ by less than this share of the product of both vectors' lengths count as ties."""
ON_A_CARD = 1 << 17
"""Articles that are scored at once elsewhere, where each block costs a wait for the card's kernels to begin."""


def choice_ranks(customers: Tensor, articles: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """The cross entropy of each choice among all articles, and its rank by inner product; ties rank before it.

    Args:
        customers: float32 [b, factors].
        articles: float32 [n, factors].
        chosen: int64 [b], places among the articles.

    Returns:
        float32 [b], −log of the choice's share in the softmax of all scores; int64 [b], its rank from 1.
    """
    width = ARTICLES if customers.device.type == "cpu" else ON_A_CARD
    parts = zip(torch.split(customers, CUSTOMERS), torch.split(chosen, CUSTOMERS), strict=True)
    losses, ranks = zip(*(_of_block(some, articles, theirs, width) for some, theirs in parts), strict=True)
    return torch.cat(losses), torch.cat(ranks)


def _of_block(customers: Tensor, articles: Tensor, chosen: Tensor, width: int) -> tuple[Tensor, Tensor]:
    theirs = articles[chosen]
    own = (customers * theirs).sum(1)
    tied = own - CLOSE * customers.norm(dim=1) * theirs.norm(dim=1)
    ranks = torch.ones_like(chosen)
    sums = [own]  # of the exponentials of some articles' scores, as logarithms
    for first in range(0, len(articles), width):
        scores = customers @ articles[first : first + width].T
        place = (chosen - first)[:, None]
        inside, place = (place >= 0) & (place < scores.shape[1]), place.clamp(0, scores.shape[1] - 1)
        # The choice itself is counted apart.
        scores.scatter_(1, place, scores.gather(1, place).masked_fill_(inside, float("-inf")))
        ranks += (scores >= tied[:, None]).sum(1)
        sums.append(scores.logsumexp(1))
    return torch.stack(sums).logsumexp(0) - own, ranks
