"""How well articles of one family go with single articles, computed as matrices.

What belongs here: the scores of :meth:`~atelier.outfits.compatibility.OutfitModel.comparable_scorer` for outfits of one
article, where many articles are held against the same candidates. What does not: outfits of several articles, and the
networks (:mod:`atelier.outfits.network`).
"""

from typing import Self

import numpy as np
import torch
from torch import Tensor

from atelier.arrays import Float32s, Float64s, Int64s
from atelier.outfits.network import Ensemble, OutfitNetwork
from atelier.outfits.pair_statistics import PairStatistics

AT_ONCE = 8192
"""Articles whose vectors are computed at once."""


class PairScores:
    """Scores of candidates beside single articles, which can be compared between families.

    Each article's vector is computed once, and so is what an article asks of a family; a score is then an inner product
    and what was counted of the pair. :meth:`~atelier.outfits.compatibility.OutfitModel.comparable_scorer` computes all
    of it again for each row of candidates.

    Args:
        networks: the trained ensemble, in evaluation mode.
        vectors: of all n articles, float32 [n, factors], by each of its members.
        counted: what was counted over the outfits of training.
        families: int64 [n], the family of each article.
        references: int64 [families, r], the articles that a family's scores are held against.
    """

    def __init__(
        self,
        networks: list[OutfitNetwork],
        vectors: list[Tensor],
        counted: PairStatistics,
        families: Int64s,
        references: Int64s,
    ) -> None:
        self._members = list(zip(networks, vectors, strict=True))
        self._counted, self._families, self._references = counted, families, references

    @classmethod
    def of(cls, network: Ensemble, counted: PairStatistics, families: Int64s, references: Int64s) -> Self:
        """The scores of a trained ensemble; arguments as the class's."""
        n = len(families)
        with torch.inference_mode():
            vectors = [
                torch.cat([member.leg(torch.arange(at, min(at + AT_ONCE, n)), None) for at in range(0, n, AT_ONCE)])
                for member in network.networks
            ]
        return cls(network.networks, vectors, counted, families, references)

    def __call__(self, articles: Int64s, candidates: Int64s) -> Float64s:
        """The log of how much likelier each candidate is with each article than among its family: float64 [q, c].

        Args:
            articles: int64 [q].
            candidates: int64 [c], at least one, all of one family.
        """
        family = int(self._families[candidates[0]])
        references = self._references[family]
        found = self._scores(articles, np.concatenate([candidates, references]), family).astype(np.float64)
        scores, held_against = found[:, : len(candidates)], found[:, len(candidates) :]
        top = held_against.max(axis=1, keepdims=True)
        level = top + np.log(np.exp(held_against - top).mean(axis=1, keepdims=True))
        comparable: Float64s = scores - level
        return comparable

    def _scores(self, articles: Int64s, candidates: Int64s, family: int) -> Float32s:
        """The mean score of the members before it is held against anything, float32 [q, c]."""
        rows, columns = torch.from_numpy(articles), torch.from_numpy(candidates)
        with torch.inference_mode():
            found = torch.stack(
                [network.head.beside(known[rows], known[columns], family) for network, known in self._members]
            ).mean(dim=0)
            weights = [network.statistics.weight[0] for network, _ in self._members if network.statistics is not None]
        scores: Float32s = found.numpy()
        if weights:
            total, highest, mutual = torch.stack(weights).mean(dim=0).detach().numpy()
            lift, information = self._counted.beside(articles, candidates)
            # The sum of the log lifts and the highest of them are the same where the outfit is one article.
            scores = scores + (total + highest) * lift + mutual * information
        return scores
