"""Training outfit networks: which articles are masked, which are drawn as wrong ones, what a step is.

What belongs here: from outfits to trained weights. What does not: networks (:mod:`atelier.outfits.network`), when to
stop (:mod:`atelier.nn.training_loop`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from atelier.arrays import Float32s, Int64s, Mask, distinct_values
from atelier.nn.training_loop import Epoch, Part, Passes, StepLoss, TrainingLoop
from atelier.outfits.config import OutfitConfig
from atelier.outfits.feedback import Feedback
from atelier.outfits.network import Batch, OutfitNetwork
from atelier.outfits.outfits import Outfits
from atelier.outfits.pair_statistics import PairStatistics, weighted_sum
from atelier.outfits.questions import FamilyDraw, Questions, masked

LARGEST_NORM = 1.0
"""Of a step's gradient, that of the articles' own vectors left out."""
NEVER = -1e4
"""The score of a candidate that is no wrong answer: it is in the outfit, or stands there twice."""


def statistics_of(
    counted: PairStatistics, rest: Int64s, candidates: Int64s, counts: Float32s, hidden: Mask | None = None
) -> Float32s:
    """What counting says about candidates: summed log lift, highest log lift, mutual information of values.

    Args:
        counted: the training outfits' counts.
        rest: int64 [q, s], −1 beyond an outfit's end.
        candidates: int64 [q, c].
        counts: float32 [q, c, s], how many outfits each pair shares.
        hidden: bool [n], articles of which nothing was counted, as if they were new; None: none are.

    Returns:
        float32 [q, c, 3].
    """
    inside = rest >= 0
    lift = counted.lift(rest, candidates, counts)
    if hidden is not None:
        lift[hidden[candidates][:, :, None] | hidden[rest][:, None, :]] = 0
    highest = np.where(inside[:, None, :], lift, -np.inf).max(axis=2, initial=-np.inf)
    highest = np.where(np.isfinite(highest), highest, 0)
    return np.stack(
        [weighted_sum(lift, inside).astype(np.float32), highest, counted.value_pmi(rest, candidates)], axis=2
    ).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Lessons:
    """What is learned from.

    Attributes:
        outfits: that people made, accepted or rejected.
        weights: as how many outfits each counts, int64 [m]; below 0 where people rejected it.
    """

    outfits: Outfits
    weights: Int64s

    @classmethod
    def of(cls, outfits: Outfits, feedback: Feedback, weight: int) -> Self:
        """Outfits, each counting once, and people's answers, each counting ``weight`` times."""
        parts = ((outfits, 1), (feedback.accepted, weight), (feedback.rejected, -weight))
        weights = np.repeat([each for _, each in parts], [len(some) for some, _ in parts])
        return cls(outfits.joined(feedback.accepted).joined(feedback.rejected), weights.astype(np.int64))

    @property
    def good(self) -> Self:
        """Those that nobody rejected."""
        kept = np.flatnonzero(self.weights > 0)
        return type(self)(self.outfits.rows(kept), self.weights[kept])


@dataclass(frozen=True, eq=False)
class Similar:
    """For each article the articles of its family that look most alike, int64 [n, k]; itself where there are none."""

    articles: Int64s

    def swapped(self, rest: Int64s, share: float, random: np.random.Generator) -> Int64s:
        """Outfits with a share of their articles replaced by similar ones; −1 stays."""
        choice = random.integers(0, self.articles.shape[1], size=rest.shape)
        return np.where((random.random(rest.shape) < share) & (rest >= 0), self.articles[rest, choice], rest)


class Steps:
    """Draws batches and moves a network by them.

    Args:
        network: is changed in place.
        lessons: outfits of training.
        counted: the counts of those that nobody rejected.
        families: the number of each article's family, int64 [n].
        similar: what articles may be swapped for.
        config: see :class:`OutfitConfig`.

    Attributes:
        parts: what steps depend on beside the network.
    """

    def __init__(
        self,
        network: OutfitNetwork,
        lessons: Lessons,
        counted: PairStatistics,
        families: Int64s,
        similar: Similar | None,
        config: OutfitConfig,
    ) -> None:
        self.network, self._counted, self._config, self._similar = network, counted, config, similar
        self._masked = masked(lessons.outfits)
        self._weights = lessons.weights[self._masked.outfits]
        self._sizes = (self._masked.rest >= 0).sum(axis=1)
        weights = counted.frequency if config.draw == "popularity" else np.ones(len(families))
        groups = np.zeros_like(families) if config.draw == "random" else families
        self._groups, self._draw = groups, FamilyDraw(groups, weights.astype(np.float64))
        self._random = np.random.default_rng([config.seed, 1])
        rows = [] if network.leg.own is None else [network.leg.own.weight]
        self._dense = [weight for weight in network.parameters() if all(weight is not each for each in rows)]
        self._adam = torch.optim.AdamW(self._dense, config.learning_rate, weight_decay=config.weight_decay, fused=True)
        # The articles' own vectors are nearly all weights of a large catalogue, and a batch moves few of them.
        self._rows = torch.optim.SparseAdam(rows, config.learning_rate) if rows else None
        self._batches = Passes(self._shuffled)
        self.parts: dict[str, Part] = {"adam": self._adam, "random": self._random, "batches": self._batches}
        if self._rows is not None:
            self.parts["rows"] = self._rows

    @property
    def each_pass(self) -> int:
        """Steps of a pass."""
        return -(-len(self._masked) // self._config.batch_size)

    def _shuffled(self) -> Iterator[Int64s]:
        """Batches of outfits of about one size, so that little of a batch is filling; in random order."""
        order = self._random.permutation(len(self._masked))
        order = order[np.argsort(self._sizes[order], kind="stable")]
        batches = np.array_split(order, self.each_pass)
        yield from (batches[place] for place in self._random.permutation(len(batches)))

    def step(self) -> StepLoss:
        """Move the weights once; the loss is the weighted mean over masked articles."""
        rows = np.asarray(self._batches.next())
        weights = torch.from_numpy(self._weights[rows]).float()
        batch, wrong = self._batch(self._masked.rows(rows), self._weights[rows])
        scores = self.network(batch)
        scores = torch.cat((scores[:, :1], scores[:, 1:].masked_fill(~wrong, NEVER)), dim=1)
        losses = functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64), reduction="none")
        if (weights < 0).any():
            losses = torch.where(weights < 0, _rejection_losses(scores, wrong), losses)
        loss = (losses * weights.abs()).sum() / weights.abs().sum()
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._dense, LARGEST_NORM)
        self._adam.step()
        if self._rows is not None:
            self._rows.step()  # type: ignore[no-untyped-call]
        return StepLoss(loss.detach() * len(scores), len(scores))

    def _batch(self, questions: Questions, weights: Int64s) -> tuple[Batch, Tensor]:
        """Candidates and statistics of some questions; and which of the candidates after the first are wrong ones."""
        truth, rest = questions.candidates, questions.rest
        rest = rest[:, : max(1, int((rest >= 0).sum(axis=1).max()))]
        drawn = self._drawn(truth[:, 0])
        wrong = (drawn >= 0) & (drawn != truth) & ~(drawn[:, :, None] == rest[:, None, :]).any(axis=2)
        candidates = np.concatenate([truth, np.where(drawn < 0, truth, drawn)], axis=1)
        if self._similar is not None:
            rest = self._similar.swapped(rest, self._config.swap_share, self._random)
        hidden = self._random.random(len(self._groups)) < self._config.new_share
        statistics = None
        if self._config.statistics:
            counts = self._counted.counts(rest, candidates)
            own = (rest >= 0) * np.maximum(weights, 0)[:, None]  # a rejected outfit was not counted
            counts[:, 0] = np.maximum(counts[:, 0] - own, 0)  # without the outfit in question
            statistics = torch.from_numpy(statistics_of(self._counted, rest, candidates, counts, hidden))
        tensors = [torch.from_numpy(each) for each in (rest, candidates, hidden, wrong)]
        return Batch(tensors[0], tensors[1], statistics, tensors[2]), tensors[3]

    def _drawn(self, truth: Int64s) -> Int64s:
        """Candidates of the truth's family, the same for all questions about one family: int64 [q, negatives]."""
        families, places = np.unique(self._groups[truth], return_inverse=True)
        return self._draw(families, self._config.negatives, self._random)[places]


def _rejection_losses(scores: Tensor, wrong: Tensor) -> Tensor:
    """−log of the probability that the first candidate does not go with the outfit, at equal odds: [q].

    Args:
        scores: [q, 1 + negatives]; far below all others where ``wrong`` is False.
        wrong: bool [q, negatives], the drawn articles that it is compared with; a question without any counts nothing.
    """
    level = torch.logsumexp(scores[:, 1:], dim=1) - wrong.sum(dim=1).clamp(min=1).log()
    return functional.softplus(scores[:, 0] - level) * wrong.any(dim=1)


def train(
    network: OutfitNetwork,
    lessons: Lessons,
    counted: PairStatistics,
    families: Int64s,
    config: OutfitConfig,
    similar: Similar | None = None,
) -> list[Epoch]:
    """Train a network to find each masked article among others of its family.

    The loss is a softmax over the true article and drawn ones. Where these are drawn by popularity, what it learns is
    the log of how much likelier an article is with the outfit than without it (T. Mikolov and others 2013, as read by
    O. Levy and Y. Goldberg, NeurIPS 2014); popularity itself is then no part of a score. Of an outfit that people
    rejected it is the logistic loss of the article against the mean of its family, as in noise-contrastive estimation
    (M. Gutmann and A. Hyvärinen, AISTATS 2010): the article shall be less likely with the outfit than without it.

    Args:
        network: is changed in place.
        lessons: outfits of training.
        counted: the counts of those that nobody rejected.
        families: the number of each article's family, int64 [n].
        config: see :class:`OutfitConfig`.
        similar: what articles may be swapped for, for augmentation.

    Returns:
        A record of each pass.

    Raises:
        DivergedError: the loss or the weights are not finite.
    """
    steps = Steps(network, lessons, counted, families, similar, config)
    loop = TrainingLoop(
        description="training outfits",
        network=network,
        step=steps.step,
        parts=steps.parts,
        device=torch.device("cpu"),
        steps=config.epochs * steps.each_pass,
        every=steps.each_pass,
        patience=config.epochs,
        learning_rates={"learning_rate": config.learning_rate},
        schedule="one_cycle",
    )
    return loop.run()


def similar_articles(vectors: Float32s, families: Int64s, known: Mask, count: int) -> Similar:
    """The ``count`` known articles of each article's family with the nearest vectors (by cosine).

    Args:
        vectors: float32 [n, dim].
        families: int64 [n].
        known: bool [n], the articles that may stand in.
        count: how many each.
    """
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    unit = vectors / lengths
    found = np.repeat(np.arange(len(families))[:, None], count, axis=1)
    for family in distinct_values(families):  # a loop over families, of which there are dozens
        rows, pool = np.flatnonzero(families == family), np.flatnonzero((families == family) & known)
        near = unit[rows] @ unit[pool].T
        near[rows[:, None] == pool[None, :]] = -np.inf
        best = np.argsort(-near, axis=1, kind="stable")[:, :count]
        usable = np.isfinite(np.take_along_axis(near, best, axis=1))
        found[rows, : best.shape[1]] = np.where(usable, pool[best], rows[:, None]) if len(pool) else rows[:, None]
    return Similar(found)
