"""Training ``hybrid``: which examples there are, the losses of batches, the step, what an epoch passes over.

What belongs here: what the config says of examples, what a step is. What does not: how positives are found and
negatives drawn (:mod:`atelier.recommenders.training_data`), when to stop (:mod:`atelier.nn.training_loop`), losses,
layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.arrays import distinct_values
from atelier.catalogue import Catalogue
from atelier.devices import autocast, copied
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.nn.choice_ranks import choice_ranks
from atelier.nn.content_features import CPU
from atelier.nn.ranking_losses import LOSSES
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_loop import Epoch, Part, Passes, StepLoss, TrainingLoop, Watch
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.factorisation.hybrid_network import Factorisation
from atelier.recommenders.training_data.negatives import Sampler, TrainingBatch, negative_pool
from atelier.recommenders.training_data.positives import last_part, newest, positive_rows, window_of
from atelier.search.ragged import Indices, Mask

MOST_HELD_OUT = 20_000
"""Positives of held-out customers that decide when to stop, at most."""
MOST_RANKED = 2_000
"""Those of them whose rank among all articles is computed for somebody who watches, at most."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What there is to train on.

    Attributes:
        training: int64: the positives of most customers, as rows of the interactions.
        held_out: int64: those of the customers who decide when to stop.
        pool: int32: the articles that can be negatives.
        sampler: draws the rest of an example.
    """

    training: Indices
    held_out: Indices
    pool: Codes
    sampler: Sampler

    @classmethod
    def of(
        cls, interactions: Interactions, catalogue: Catalogue | None, ranked: Mask, config: HybridConfig
    ) -> Self | None:
        """The examples that the config asks for; None where there is no positive.

        Args:
            interactions: what is trained on.
            catalogue: says since and until when articles are sold.
            ranked: bool [n_articles]: what the model can rank.
            config: see :class:`HybridConfig`.
        """
        window = window_of(interactions)
        least = 0 if config.positives == "window" else config.min_window_days
        recent = None if config.positives == "last" else last_part(window, config.positives_share, least)
        rows = positive_rows(
            interactions,
            recent,
            share=config.positives_share,
            min_inputs=config.min_inputs,
            min_interactions=config.min_interactions,
            repeats=config.repeat_positives,
        )
        if not len(rows):
            return None
        rows = newest(interactions, rows, config.newest_positives)
        on_sale = {"ever": None, "window": window, "positives": recent or window}[config.negatives_on_sale]
        pool = negative_pool(interactions, catalogue, on_sale, ranked, config.negatives)
        sampler = Sampler(
            interactions,
            pool,
            inputs=config.inputs,
            last=config.inputs_drawn == "last",
            negatives=config.negatives,
            shared=config.negative_sampling == "shared",
            popularity=config.negative_popularity,
        )
        held_out = held_out_split(interactions.customers[rows], config.validation_share, config.seed)
        return cls(rows[~held_out], rows[held_out], pool, sampler)


def held_out_split(customers: npt.NDArray[np.integer], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which positives belong to held-out customers.

    Args:
        customers: int [n], whose each positive is.
        share: of the distinct customers, rounded down.
        seed: decides who.
    """
    distinct = distinct_values(customers)
    chosen = np.random.default_rng([seed, 0]).permutation(distinct)[: int(share * len(distinct))]
    return np.isin(customers, chosen)


class Trainer:
    """Computes losses of batches and moves the weights.

    Args:
        network: is changed in place.
        config: see :class:`HybridConfig`.
        n_articles: how many articles numbers run over.
        attributes: float32 [customers, positions], read by the customer network.
        device: where the network and its content lie.
        replicas: the processes that train the network together.

    Attributes:
        replicas: likewise.
        parts: what steps depend on beside the network: the optimiser. The embedding's squares are part of the network.
    """

    def __init__(
        self,
        network: Factorisation,
        config: HybridConfig,
        n_articles: int,
        attributes: npt.NDArray[np.float32],
        device: torch.device = CPU,
        replicas: Replicas = ALONE,
    ) -> None:
        self.network, self.device, self._config, self.replicas = network, device, config, replicas
        self._attributes = torch.from_numpy(attributes).to(device)
        self._zero = torch.zeros((), device=device)
        self._place = np.zeros(n_articles, dtype=np.int64)
        self._loss = LOSSES[config.loss]
        parameters = list(network.parameters())
        self._adam = torch.optim.Adam(parameters, config.learning_rate, fused=True) if parameters else None
        self.parts: dict[str, Part] = {} if self._adam is None else {"adam": self._adam}

    def step(self, batch: TrainingBatch) -> Tensor:
        """Move the weights by one batch; gives its mean loss, or the part that this replica's share has in it."""
        self.network.train()
        articles = self._distinct(batch)
        embedded = self.network.embedded(articles)
        if self._adam is not None:
            self._adam.zero_grad(set_to_none=True)
        loss = self._loss_of_share(batch, articles, None if embedded is None else embedded.vectors)
        leaves = [] if embedded is None else [leaf for _, _, leaf in embedded.leaves]
        self.replicas.sum_gradients([*self.network.parameters(), *leaves])
        if self._adam is not None:
            self._adam.step()
        if embedded is not None:
            embedded.step()
        return loss

    def _loss_of_share(self, batch: TrainingBatch, articles: Tensor, embeddings: Tensor | None) -> Tensor:
        """The part of a batch's mean loss that this replica's share has; its gradients are gathered.

        Content is computed for the articles of the share only. An article that several replicas read counts for each of
        them as the part of one in the penalty on lengths.

        Args:
            batch: all of it.
            articles: its distinct ones.
            embeddings: theirs.
        """
        examples, weights = len(batch.positives), None
        if self.replicas.count > 1:
            counts = torch.zeros(len(articles))
            for rows in self.replicas.shares(examples):
                if rows.start < rows.stop:
                    counts += torch.isin(articles, self._distinct(batch.of(rows)))
            batch = batch.of(self.replicas.share(examples))
            if not len(batch.positives):
                return self._zero
            own = self._distinct(batch)
            places = torch.searchsorted(articles, own)
            weights = copied(1 / (counts[places] * len(articles)), self.device)
            embeddings = None if embeddings is None else embeddings[copied(places, self.device)]
            articles = own
        losses, penalty = self._losses(batch, articles, embeddings, weights)
        loss = losses.sum() / examples
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @torch.no_grad()
    def loss(self, batches: Sequence[TrainingBatch]) -> float:
        """The mean loss of batches, without dropout; nan without any."""
        self.network.eval()
        total = 0.0
        for batch in batches:
            articles = self._distinct(batch)
            embedded = self.network.embedded(articles)
            total += float(self._losses(batch, articles, None if embedded is None else embedded.vectors)[0].sum())
        examples = sum(len(batch.positives) for batch in batches)
        return total / examples if examples else float("nan")

    @torch.no_grad()
    def ndcg(self, batches: Sequence[TrainingBatch], articles: Indices) -> float:
        """The mean of 1 / log2(1 + rank) of the positives among articles; ties rank behind; nan without any.

        Unlike the loss it is comparable between configs with other losses and other negatives.

        Args:
            batches: the examples.
            articles: int64 [n], ascending: those that are ranked; all inputs and positives are among them.
        """
        vectors = self.network.article_vectors(len(self._place))[self._there(articles)]  # [n, factors]
        total = 0.0
        for batch in batches:
            positives = self._there(np.searchsorted(articles, batch.positives))
            customers = self._customers(batch, vectors, np.searchsorted(articles, batch.inputs))
            losses, ranks = choice_ranks(customers, vectors, positives)
            if not losses.isfinite().all():  # of scores that are no numbers nothing can be said
                return float("nan")
            total += float((1 / torch.log2(1 + ranks)).sum())
        examples = sum(len(batch.positives) for batch in batches)
        return total / examples if examples else float("nan")

    def _distinct(self, batch: TrainingBatch) -> Tensor:
        """The distinct articles of a batch, ascending, in main memory: each vector is computed once.

        The place of each article among them is kept in ``_place``.
        """
        used = np.zeros(len(self._place), dtype=bool)
        for articles in (batch.inputs[batch.inputs >= 0], batch.positives, batch.negatives):
            used[articles] = True
        distinct = np.flatnonzero(used)
        self._place[distinct] = np.arange(len(distinct))
        return torch.from_numpy(distinct)

    def _losses(
        self, batch: TrainingBatch, articles: Tensor, embeddings: Tensor | None, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The loss of each example [b], and the penalty on lengths.

        Args:
            batch: the examples.
            articles: int64 [n], their distinct ones.
            embeddings: float32 [n, factors], theirs, or None.
            weights: float32 [n]: what the length of each counts in the penalty; None: it is the mean.
        """
        with autocast(self._config.precision, self.device):
            content = self.network.content_part(articles)
            parts = [part for part in (embeddings, content) if part is not None]
            vectors = parts[0] if len(parts) == 1 else parts[0] + parts[1]  # [distinct, factors]
            positive, negative = self._scores(batch, vectors)
        counts, scale = self._there(batch.valid), self._config.rank_scale
        r = self._there(batch.importance) if scale == "articles/sampled" else self._zero + float(scale)
        penalties = zip((self._config.l2_embedding, self._config.l2_content), (embeddings, content), strict=True)
        squares = [(weight, part.square().sum(1)) for weight, part in penalties if weight and part is not None]
        lengths = [weight * (each.mean() if weights is None else (each * weights).sum()) for weight, each in squares]
        return self._loss(positive.float(), negative.float(), counts, r), sum(lengths, self._zero)

    def _scores(self, batch: TrainingBatch, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of the positives [b] and of the negatives [b, n]."""
        customers = self._customers(batch, vectors, self._place[batch.inputs])
        positives = functional.embedding(self._there(self._place[batch.positives]), vectors)
        negatives = functional.embedding(self._there(self._place[batch.negatives]), vectors)
        shared = negatives.ndim == 2  # [n, factors], otherwise [b, n, factors]
        scores = customers @ negatives.T if shared else torch.bmm(negatives, customers[:, :, None])[:, :, 0]
        return (customers * positives).sum(1), scores

    def _customers(self, batch: TrainingBatch, vectors: Tensor, places: npt.NDArray[np.integer]) -> Tensor:
        """The vectors of the customers [b, factors], from those of their inputs.

        Args:
            batch: the examples.
            vectors: of articles [n, factors].
            places: int [b, inputs]: the row of each input in ``vectors``; it makes no difference where there is none.
        """
        present = batch.inputs >= 0  # [b, inputs]
        starts = np.cumsum(present.sum(1)) - present.sum(1)
        inputs = self._there(places[present].astype(np.int64))
        customers = functional.embedding_bag(inputs, vectors, self._there(starts), mode="mean")
        if self.network.customer is not None:
            customers = customers + self.network.customer(self._attributes[self._there(batch.customers)])
        return customers

    def _there(self, array: npt.NDArray[Any]) -> Tensor:
        """The array on the device."""
        return copied(torch.from_numpy(array), self.device)


def train(
    trainer: Trainer,
    sampler: Sampler,
    rows: Indices,
    held_out: Indices,
    config: HybridConfig,
    state: Path | None = None,
    made_from: str = "",
    watch: Watch | None = None,
) -> list[Epoch]:
    """Train until the held-out customers' loss stops falling; the network ends with the weights of its best epoch.

    The loss decides, not precision@10: every held-out positive counts in it, where few lists of ten hold one.

    Args:
        trainer: its network is changed in place.
        sampler: draws inputs and negatives, anew in each epoch.
        rows: the positives to train on, at least one.
        held_out: positives of customers held out, whose inputs and negatives are drawn once; without any, all epochs
            are run.
        config: see :class:`HybridConfig`.
        state: a file to resume from, see :class:`~atelier.nn.training_loop.TrainingLoop`.
        made_from: the fingerprint of what is trained on.
        watch: is told of each epoch, whose figures then hold ``ndcg`` of :meth:`Trainer.ndcg`.

    Returns:
        A record of each epoch; its figure ``loss`` is the mean loss of the held-out customers' positives, nan without
        any.

    Raises:
        DivergedError: a loss is not a finite number, and no earlier epoch was better.
        TrainingStateError: ``state`` is unreadable, or of another training.
    """
    random, draws = np.random.default_rng([config.seed, 1]), np.random.default_rng([config.seed, 2])
    if len(held_out) > MOST_HELD_OUT:
        held_out = np.sort(draws.choice(held_out, MOST_HELD_OUT, replace=False))
    judged = [sampler.batch(part, draws) for part in _parts(held_out, config.batch_size)]
    amount = config.amount(len(rows))
    passes = Passes(lambda: _parts(random.permutation(rows)[: amount.epoch], config.batch_size))
    an_epoch = -(-amount.epoch // config.batch_size)
    # Drawn by a generator of their own: training is the same whether or not somebody watches.
    own = np.random.default_rng([config.seed, 3])
    few = np.sort(own.permutation(held_out)[: MOST_RANKED if watch is not None else 0])
    ranked = [sampler.batch(part, own) for part in _parts(few, config.batch_size)]
    rates = config.model_dump(include={"learning_rate", "embedding_learning_rate"})
    return TrainingLoop(
        "hybrid: fitting",
        trainer.network,
        lambda: StepLoss(trainer.step(sampler.batch(passes.next(), random))),
        {"random": random, "passes": passes, **trainer.parts},
        trainer.device,
        steps=amount.epochs * an_epoch,
        every=an_epoch,
        patience=config.patience,
        learning_rates=rates,
        score=lambda: (
            {"loss": trainer.loss(judged)} | ({"ndcg": trainer.ndcg(ranked, sampler.articles)} if ranked else {})
        ),
        by="loss" if judged else None,
        state=state,
        made_from=made_from,
        watch=watch,
        replicas=trainer.replicas,
    ).run()


def _parts(rows: Indices, size: int) -> list[Indices]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
