"""An epoch of ``hybrid``'s training against a plain PyTorch implementation, and against itself with other settings.

Run it as ``python -m benchmarks.hybrid_against_dense``. The plain implementation is straightforward PyTorch: an
``nn.Embedding`` whose gradient is as large as the matrix, Adagrad over all of it, dense features, and the content
network applied to every input, positive and negative of a batch, however often an article occurs. Both start from the
same weights and get the same batches, drawn before; their losses have to agree to 1e-4 at the first step, or the run
fails (the initial embeddings are longer than usual, so that a wrong score would show in the loss).
There are rows for each example's own negatives (as published) and for negatives shared by a batch (the default); then
ours in bfloat16 against float32, and ours with shared negatives against as many of each example's own.

Drawn articles have features as catalogues do: most of them zero.
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atelier.interactions import Interactions
from atelier.nn.article_network import ContentNetwork
from atelier.nn.content_features import Content
from atelier.nn.ranking_losses import LOSSES
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.factorisation.hybrid_network import Factorisation
from atelier.recommenders.factorisation.hybrid_training import Trainer
from atelier.recommenders.training_data.negatives import Sampler, TrainingBatch
from atelier.recommenders.training_data.positives import positive_rows
from benchmarks.als_against_implicit import interactions
from benchmarks.ratios import Row, in_turns, table, write

NAME = "hybrid_against_dense"
TOLERANCE = 1e-4
LONGER = 10
"""The factor by which the initial embeddings are longer than usual."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=69_000)
    parser.add_argument("--articles", type=int, default=18_000)
    parser.add_argument("--interactions", type=int, default=250_000)
    parser.add_argument("--features", type=int, default=512, help="positions of an article's features")
    parser.add_argument("--filled", type=int, default=20, help="of them not zero")
    parser.add_argument("--factors", type=int, default=200)
    parser.add_argument("--positives", type=int, default=8192, help="of an epoch")
    parser.add_argument("--negatives", type=int, default=100, help="of each positive")
    parser.add_argument("--shared", type=int, default=1000, help="negatives of a batch that shares them")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: one for each core")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


class PlainTrainer:
    """The same factorisation, implemented plainly.

    Args:
        network: the network with the initial weights.
        features: float32 [n_articles, dim].
        config: see :class:`HybridConfig`.
    """

    def __init__(self, network: Factorisation, features: Tensor, config: HybridConfig) -> None:
        if network.embedding is None or network.content is None:
            raise ValueError("the plain implementation has only mode 'hybrid'")
        weight = network.embedding.weight
        self._embedding = nn.Embedding.from_pretrained(weight.clone(), freeze=False)  # type: ignore[no-untyped-call]
        self._content: ContentNetwork = copy.deepcopy(network.content)
        self._features, self._loss = features, LOSSES[config.loss]
        self._steps: list[torch.optim.Optimizer] = [
            torch.optim.Adagrad(self._embedding.parameters(), config.embedding_learning_rate),
            torch.optim.Adam(self._content.parameters(), config.learning_rate),
        ]

    def _vectors(self, articles: Tensor) -> Tensor:
        """The vectors of article codes of any shape: float32 [*shape, factors]."""
        vectors: Tensor = self._embedding(articles) + self._content(self._features[articles])
        return vectors

    def step(self, batch: TrainingBatch) -> Tensor:
        """Train on one batch; gives its mean loss."""
        inputs = torch.from_numpy(batch.inputs.astype(np.int64))
        present = (inputs >= 0)[:, :, None]
        customers = (self._vectors(inputs.clamp(min=0)) * present).sum(1) / present.sum(1)
        positive = (customers * self._vectors(torch.from_numpy(batch.positives.astype(np.int64)))).sum(1)
        negatives = self._vectors(torch.from_numpy(batch.negatives.astype(np.int64)))
        negative = customers @ negatives.T if negatives.ndim == 2 else (negatives * customers[:, None]).sum(2)
        loss = self._loss(positive, negative, torch.from_numpy(batch.valid), torch.ones(1)).mean()
        for optimiser in self._steps:
            optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in self._steps:
            optimiser.step()
        return loss.detach()


class Epochs:
    """Epochs of drawn data, for our implementation and the plain one.

    Args:
        options: see :func:`arguments`.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        drawn = interactions(options.customers, options.articles, options.interactions)
        self._data = Interactions.from_frame(drawn)
        rows = positive_rows(self._data, None, share=1 / 12, min_inputs=1, min_interactions=2, repeats=True)
        self.rows = np.random.default_rng(1).permutation(rows)[: options.positives]
        self.articles = len(self._data.article_ids)
        self.features = drawn_features(self.articles, options.features, options.filled)

    def config(self, **changes: Any) -> HybridConfig:
        """The measured config: the published one with some changes."""
        return HybridConfig.published(factors=self.options.factors, negatives=self.options.negatives, **changes)

    def batches(self, negatives: int, shared: bool) -> list[TrainingBatch]:
        """The batches of one epoch."""
        pool, random = np.arange(self.articles, dtype=np.int32), np.random.default_rng(2)
        sampler = Sampler(self._data, pool, inputs=5, negatives=negatives, shared=shared)
        size = self.config().batch_size
        return [sampler.batch(self.rows[start : start + size], random) for start in range(0, len(self.rows), size)]

    def network(self, config: HybridConfig) -> Factorisation:
        """A new network, always with the same weights."""
        content = Content(self.features, np.arange(self.articles), self.articles)
        network = Factorisation(config, self.articles, content, 0, torch.Generator().manual_seed(0))
        if network.embedding is not None:
            network.embedding.weight.mul_(LONGER)
        return network

    def ours(self, config: HybridConfig, batches: list[TrainingBatch]) -> Callable[[], list[float]]:
        """A function that trains our implementation for an epoch from the initial weights and gives the losses."""
        attributes = np.zeros((len(self._data.customer_ids), 0), np.float32)
        trainer = Trainer(self.network(config), config, self.articles, attributes)
        return lambda: [float(trainer.step(batch)) for batch in batches]

    def plain(self, config: HybridConfig, batches: list[TrainingBatch]) -> Callable[[], list[float]]:
        """The same for the plain implementation."""
        trainer = PlainTrainer(self.network(config), torch.from_numpy(self.features), config)
        return lambda: [float(trainer.step(batch)) for batch in batches]


def drawn_features(articles: int, dim: int, filled: int) -> np.ndarray:
    """Rows of unit length with a few positions that are not zero, float32 [articles, dim]."""
    random = np.random.default_rng(3)
    features = np.zeros((articles, dim), np.float32)
    columns = random.integers(0, dim, (articles, filled))
    features[np.arange(articles)[:, None], columns] = random.random((articles, filled)) + 0.5
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features


def against_plain(epochs: Epochs, what: str, batches: list[TrainingBatch]) -> Row:
    """Our implementation against the plain one on some batches.

    Raises:
        RuntimeError: their losses differ at the first step.
    """
    config = epochs.config()
    first = [build(config, batches[:1])()[0] for build in (epochs.ours, epochs.plain)]
    if abs(first[0] - first[1]) > TOLERANCE:
        raise RuntimeError(f"the losses of the first step differ: {first[0]} and {first[1]}")
    ours, plain = epochs.ours(config, batches), epochs.plain(config, batches)
    seconds, (mine, peers) = in_turns(epochs.options.repeats, ours, plain)
    gap = abs(mine[-1] - peers[-1])
    checked = (
        f"loss {first[0]:.4f} at the first step, equal to {abs(first[0] - first[1]):.0e}; to {gap:.0e} at the last"
    )
    return Row.of(NAME, f"hybrid: an epoch, {what}", "plain PyTorch", *seconds, goal=1.0, checked=checked)


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table."""
    epochs = Epochs(options)
    own, shared = epochs.batches(options.negatives, shared=False), epochs.batches(options.shared, shared=True)
    print(f"{len(epochs.rows):,} positives, {epochs.articles:,} articles, {options.factors} factors")
    rows = [
        against_plain(epochs, f"{options.negatives} negatives each", own),
        against_plain(epochs, f"{options.shared} negatives shared", shared),
    ]
    single, half = epochs.config(), epochs.config(precision="bfloat16")
    for name, batches in ((f"{options.negatives} each", own), (f"{options.shared} shared", shared)):
        seconds, _ = in_turns(options.repeats, epochs.ours(half, batches), epochs.ours(single, batches))
        rows.append(Row.of(NAME, f"hybrid: bfloat16, {name}", "hybrid in float32", *seconds))
    many = epochs.batches(options.negatives, shared=True)
    seconds, _ = in_turns(options.repeats, epochs.ours(single, many), epochs.ours(single, own))
    rows.append(Row.of(NAME, f"hybrid: {options.negatives} negatives shared", "as many each", *seconds))
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
