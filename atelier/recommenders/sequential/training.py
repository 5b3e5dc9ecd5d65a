"""Training sequence models: what is held out, what a step is, how the network is judged.

What belongs here: from histories to trained weights. What does not: when to stop (:mod:`atelier.nn.training_loop`),
losses (:mod:`atelier.nn.ranking_losses`), how batches are cut (:mod:`atelier.recommenders.training_data.sequences`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.devices import autocast, copied
from atelier.ids import Codes
from atelier.nn.choice_ranks import choice_ranks
from atelier.nn.loss_names import LossName
from atelier.nn.ranking_losses import LOSSES, Loss, bpr_max, full_softmax, gbce, gbce_exponent, in_batch
from atelier.nn.replicas import ALONE, Replicas, ReplicasError
from atelier.nn.training_loop import Epoch, Part, Passes, StepLoss, TrainingLoop, Watch
from atelier.recommenders.sequential.batch_vectors import BatchVectors
from atelier.recommenders.sequential.config import SequenceConfig
from atelier.recommenders.sequential.network import SequenceNetwork, inputs_of
from atelier.recommenders.training_data.negatives import SharedNegatives
from atelier.recommenders.training_data.sequences import (
    Histories,
    Moments,
    PaddedRows,
    Windows,
    batches,
    newest,
    sampled,
)
from atelier.search.ragged import Indices, Mask

FEWEST_HELD_OUT = 3
"""Interactions of a customer up to the one that is held out: something to train on has to remain."""
FEWEST_VISITORS = 1000
"""Customers with enough before their last visit, so that these alone are held out from; with fewer, all customers."""
JUDGED_INTERACTIONS = 2048
"""Interactions whose histories are encoded at once when the network is judged."""


class Examples(NamedTuple):
    """What there is to train on.

    Attributes:
        histories: of all customers, without what is held out.
        windows: of the histories; each has at least one target.
        judged: windows of held-out customers, whole histories with the held-out interaction last.
        whole: the histories that ``judged`` belongs to.
    """

    histories: Histories
    windows: Windows
    judged: Windows
    whole: Histories

    @classmethod
    def of(
        cls,
        histories: Histories,
        config: SequenceConfig,
        last: Moments | None = None,
        order: npt.NDArray[np.uint64] | None = None,
    ) -> Self:
        """Hold out an interaction of some customers, with all that came after it, and cut the rest into windows.

        Args:
            histories: of all customers.
            config: see :class:`SequenceConfig`.
            last: when each customer's last interaction was (:func:`last_moments`); None: nobody knows, and nothing is
                left out for being old.
            order: uint64 [n], of the customers, from the first of whom on something is held out; None: they are drawn.
        """
        recent = None if last is None else newest(histories, config.history + 1, config.newest_interactions, last)
        places, able, most = to_hold_out(histories, recent, config)
        count = min(most, config.validation_customers)
        drawn = (
            np.random.default_rng([config.seed, 0]).permutation(able) if order is None else able[order[able].argsort()]
        )
        held_out = np.sort(drawn[:count])
        ends = places[held_out] + 1
        starts = np.maximum(histories.starts[:-1][held_out], ends - config.history - 1)
        stops = histories.starts[1:].copy()
        stops[held_out] = places[held_out]
        training = histories.keep(np.arange(len(histories.articles)) < np.repeat(stops, np.diff(histories.starts)))
        windows = training.windows(config.history + 1)
        if recent is not None:
            windows = windows.of(training.last_windows(windows, recent))
        return cls(training, windows, Windows(starts, ends - starts), histories)

    def choices(self, most: int, history: int) -> tuple[Histories, Codes, Indices]:
        """Held-out interactions: the histories before them, their articles, and whose they are, int64.

        Args:
            most: how many at most.
            history: how many interactions before each are read.
        """
        count = len(self.judged.starts)
        some = self.judged.of(np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64)))
        owners = np.searchsorted(self.whole.starts, some.starts, side="right") - 1
        last = some.starts + some.lengths - 1
        return self.histories.take(owners).last(history), self.whole.articles[last], owners


def to_hold_out(histories: Histories, of: Mask | None, config: SequenceConfig) -> tuple[Indices, Indices, int]:
    """Which interaction of each customer is held out, of which customers one can be, and of how many.

    It is the first of the last visit, since recommendations are for the next visit: what is chosen within one follows
    other rules, nearly nothing twice for example. Where few customers have come twice, or it is not known when, it is
    the last interaction. A share of all customers is held out either way, as far as half of those who came twice are
    enough for it: from the others the network has to learn what a next visit brings.

    Args:
        histories: of n customers.
        of: bool [n], of which customers; None: of all.
        config: see :class:`SequenceConfig`.

    Returns:
        The places of the interactions, int64 [n], the customers, int64, ascending, and a number of them.
    """
    ends = histories.starts[1:] - 1
    everybody = _with_enough_before(ends, histories, of)
    count = int(config.validation_share * len(everybody))
    if config.held_out == "visit":
        places = histories.last_visits()
        visitors = _with_enough_before(places, histories, of)
        if len(visitors) >= FEWEST_VISITORS:
            return places, visitors, min(count, len(visitors) // 2)
    return ends, everybody, count


def _with_enough_before(places: Indices, histories: Histories, of: Mask | None) -> Indices:
    """The customers with something to train on before these places of theirs."""
    enough = places - histories.starts[:-1] >= FEWEST_HELD_OUT - 1
    return np.flatnonzero(enough if of is None else enough & of)


@dataclass(frozen=True, eq=False)
class Pool:
    """The articles that can be predicted.

    Attributes:
        articles: int32 [n], ascending: among these held-out interactions are ranked.
        negatives: int32 [m], ascending: those of them that are held against the targets.
        counts: int64 [m]: how often each of ``negatives`` is interacted with.
    """

    articles: Codes
    negatives: Codes
    counts: Indices

    @classmethod
    def of(cls, whole: Histories, counted: Histories, n_articles: int) -> Self:
        """Those that somebody interacted with.

        Args:
            whole: of all interactions, held-out ones too.
            counted: those by which negatives are chosen and drawn.
            n_articles: how many articles numbers run over.
        """
        counts = np.bincount(counted.articles, minlength=n_articles)
        negatives = np.flatnonzero(counts).astype(np.int32)
        return cls(np.unique(whole.articles).astype(np.int32), negatives, counts[negatives])


class Trainer:
    """Computes losses of batches, moves the weights, and judges the network.

    Args:
        network: is changed in place.
        config: see :class:`SequenceConfig`.
        pool: what can be predicted.
        n_articles: how many articles numbers run over.
        device: where the network lies.
        replicas: the processes that train the network together.

    Attributes:
        replicas: likewise.
        parts: what steps depend on beside the network.

    Raises:
        ReplicasError: the config's loss is ``in_batch``, and there are several replicas.
    """

    def __init__(
        self,
        network: SequenceNetwork,
        config: SequenceConfig,
        pool: Pool,
        n_articles: int,
        device: torch.device,
        replicas: Replicas = ALONE,
    ) -> None:
        if replicas.count > 1 and config.loss == "in_batch":
            raise ReplicasError(
                "the loss in_batch holds all targets of a batch against each other, and several replicas have a share "
                "of them each: choose another loss, or train in one process"
            )
        self.network, self.device, self._config, self._pool = network, device, config, pool
        self.replicas = replicas
        self._n_articles = n_articles
        self._often = np.zeros(n_articles, dtype=np.float32)
        self._often[pool.negatives] = pool.counts / pool.counts.sum()
        # β of gbce is for negatives that are drawn equally often.
        popularity = 0.0 if config.loss == "gbce" else config.negative_popularity
        self._negatives = SharedNegatives(pool.negatives, pool.counts, config.negatives, popularity)
        self._adam = torch.optim.AdamW(
            network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.parts: dict[str, Part] = {"adam": self._adam}

    def step(self, rows: PaddedRows, random: np.random.Generator) -> StepLoss:
        """Move the weights by one batch; its loss is the mean over targets, or this replica's share of it."""
        self.network.train()
        negatives = self._drawn(random)
        share = None if self.replicas.count == 1 else rows.of(self.replicas.share(len(rows.owners)))
        vectors = BatchVectors(self.network, rows, self._pool.negatives[negatives], self.device, share)
        self._adam.zero_grad(set_to_none=True)
        loss = self._loss_of_share(rows, share, vectors, negatives)
        self.replicas.sum_gradients([*self.network.parameters(), *(leaf for _, _, leaf in vectors.leaves)])
        # A schedule moves the optimiser's rate; the embeddings' goes with it.
        scale = float(self._adam.param_groups[0]["lr"]) / self._config.learning_rate
        self._adam.step()
        vectors.step(scale)
        return StepLoss(loss)

    def _loss_of_share(
        self, rows: PaddedRows, share: PaddedRows | None, vectors: BatchVectors, negatives: Indices
    ) -> Tensor:
        """The loss of a step, whose gradients are gathered."""
        if share is not None and not len(share.owners):
            return torch.zeros((), device=self.device)
        with autocast(self._config.precision, self.device):
            if share is None:
                loss = self.loss(rows, vectors, negatives)
            else:
                targets = int(rows.there[:, 1:].sum())
                loss = self.loss(share, vectors, negatives) * (int(share.there[:, 1:].sum()) / targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _drawn(self, random: np.random.Generator) -> Indices:
        """The places among the pool's negatives of what is held against the batch's targets."""
        if self._config.loss == "full_softmax":
            return np.arange(len(self._pool.negatives))
        return np.zeros(0, np.int64) if self._config.loss == "in_batch" else self._negatives.draw(random)

    def loss(self, rows: PaddedRows, vectors: BatchVectors, negatives: Indices) -> Tensor:
        """The mean loss of the windows' targets: all interactions but the first of each.

        Args:
            rows: b windows.
            vectors: of the batch.
            negatives: int64 [n], the places among the pool's negatives of what is held against the targets.
        """
        before, read = rows.before(), vectors.inputs.vectors()
        is_target = rows.there[:, 1:]
        given = inputs_of(before, read, vectors.inputs.places(before.articles), vectors.customers())
        states = self.network.encoder(given)  # [b, length, output's factors]
        places = np.flatnonzero(is_target)  # found here: a mask on a GPU would make each step wait for it
        customers = states.flatten(0, 1).index_select(0, self._there(places))  # [t, output's factors]
        articles = self.network.encoder.ranked(read if vectors.outputs is vectors.inputs else vectors.outputs.vectors())
        targets = rows.articles[:, 1:][is_target]
        positives = self._there(vectors.outputs.places(targets))
        if self._config.loss == "in_batch":
            scores = customers @ functional.embedding(positives, articles).T
            owners = self._there(rows.owners[places // is_target.shape[1]])
            return in_batch(scores.float(), self._there(targets), self._there(self._often[targets]), owners).mean()
        others = self._pool.negatives[negatives]
        held_against = functional.embedding(self._there(vectors.outputs.places(others)), articles)
        scores = (customers @ held_against.T).float()  # [t, n]
        if self._config.loss == "full_softmax":
            return full_softmax(scores, self._there(np.searchsorted(others, targets))).mean()
        positive = (customers * functional.embedding(positives, articles)).sum(1).float()
        counts = self._there(targets)[:, None] != self._there(others)[None, :]
        return self._sampled()(positive, scores, counts, self._there(self._negatives.importance[negatives])).mean()

    def _sampled(self) -> Loss:
        """The loss of a sample of negatives."""
        config = self._config
        if config.loss == "gbce":
            return gbce(gbce_exponent(config.negatives, len(self._pool.negatives), config.gbce_calibration))
        if config.loss == "bpr_max":
            return bpr_max(config.bpr_max_regularisation)
        return LOSSES[cast(LossName, config.loss)]

    @torch.no_grad()
    def judge(self, batch: list[PaddedRows]) -> dict[str, float]:
        """How well the last interaction of each window is predicted, among all articles of the pool.

        Returns:
            ``loss``: the mean of full softmax. ``ndcg``: the mean of 1 / log2(1 + rank), over lists of every length
            at once; ties rank behind.
        """
        self.network.eval()
        vectors = self.network.articles.article_vectors(self._n_articles)
        ranking = vectors if self.network.outputs is None else self.network.outputs.article_vectors(self._n_articles)
        pool = self.network.encoder.ranked(ranking[self._there(self._pool.articles.astype(np.int64))])
        customers_own = None if self.network.customers is None else self.network.customers.vectors()[0]
        loss, gain, count = 0.0, 0.0, 0
        for rows in batch:
            ends = rows.there.sum(1) - 1
            before = rows.before()
            own_vectors = None if customers_own is None else customers_own[self._there(rows.owners)]
            given = inputs_of(before, vectors, before.articles.astype(np.int64), own_vectors)
            customers = self.network.encoder.at(given, self._there(ends - 1))
            targets = self._there(np.searchsorted(self._pool.articles, rows.articles[np.arange(len(ends)), ends]))
            losses, ranks = choice_ranks(customers, pool, targets)
            loss += float(losses.sum())
            gain += float((1 / torch.log2(1 + ranks)).sum())
            count += len(ends)
        if not count or not math.isfinite(loss):  # of scores that are no numbers nothing can be said
            return {"loss": float("nan"), "ndcg": float("nan")}
        return {"loss": loss / count, "ndcg": gain / count}

    def _there(self, array: npt.NDArray[Any]) -> Tensor:
        return copied(torch.from_numpy(np.ascontiguousarray(array)), self.device)


def train(
    name: str,
    trainer: Trainer,
    examples: Examples,
    config: SequenceConfig,
    state: Path | None = None,
    made_from: str = "",
    watch: Watch | None = None,
    *,
    from_model: bool = False,
) -> list[Epoch]:
    """Train until the held-out interactions' lists get no better; the network ends with the weights of its best epoch.

    Args:
        name: of the model, for the progress bar and errors.
        trainer: its network is changed in place.
        examples: has at least one window.
        config: see :class:`SequenceConfig`.
        state: a file to resume from, see :class:`~atelier.nn.training_loop.TrainingLoop`.
        made_from: the fingerprint of what is trained on.
        watch: is told of each epoch.
        from_model: whether the network has the weights of another model.

    Returns:
        A record of each epoch, with the figures of :meth:`Trainer.judge`.

    Raises:
        DivergedError: a loss is not a finite number, and no earlier epoch was better.
        TrainingStateError: ``state`` is unreadable, or of another training.
    """
    order, draws = (np.random.default_rng([config.seed, stream]) for stream in (1, 2))
    amount = config.amount(int(examples.windows.lengths.sum()), from_model=from_model)
    an_epoch = len(_one_pass(examples.windows, amount.epoch, config, np.random.default_rng(0)))
    passes = Passes(lambda: _one_pass(examples.windows, amount.epoch, config, order))
    judged = list(_judged(examples))
    rows = examples.histories.rows
    return TrainingLoop(
        f"{name}: fitting",
        trainer.network,
        lambda: trainer.step(rows(examples.windows.of(passes.next())), draws),
        {"order": order, "draws": draws, "passes": passes, **trainer.parts},
        trainer.device,
        steps=amount.epochs * an_epoch,
        every=an_epoch,
        patience=config.patience,
        learning_rates=config.model_dump(include={"learning_rate", "embedding_learning_rate"}),
        score=lambda: trainer.judge(judged),
        by="ndcg" if judged else None,
        direction="rises",
        state=state,
        made_from=made_from,
        watch=watch,
        schedule=config.schedule,
        replicas=trainer.replicas,
    ).run()


def _one_pass(windows: Windows, most: int, config: SequenceConfig, random: np.random.Generator) -> list[Indices]:
    """The batches of an epoch of ``most`` interactions, as places among the windows; each pass has about as many."""
    chosen = sampled(windows, most, random)
    return [chosen[places] for places in batches(windows.of(chosen), config.batch_interactions, random)]


def _judged(examples: Examples) -> Iterator[PaddedRows]:
    """The held-out windows as matrices of similar length."""
    for places in batches(examples.judged, JUDGED_INTERACTIONS, np.random.default_rng(0)):
        yield examples.whole.rows(examples.judged.of(places))
