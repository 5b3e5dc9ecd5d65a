"""The ranker by a network: how its inputs are prepared, its training, scores and contributions.

What belongs here: that. What does not: the network (:mod:`~atelier.recommenders.two_stage.ranking_network`), features
(:mod:`~atelier.recommenders.two_stage.ranking_features`), boosted trees
(:mod:`~atelier.recommenders.two_stage.ranker`).

The binary cross-entropy, the 4 sampled negatives of each positive and Adam's step of .001 are those of the published
H&M two-tower project. There the network reads the towers' vectors and is trained together with them
(:meth:`NetworkRanker.joint`); trained here it reads the features that the trees read, and its negatives are
candidates, up to 4 for each positive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from atelier.arrays import Float32s, Float64s
from atelier.bundles import Array, under
from atelier.devices import own_random_state
from atelier.errors import BundleError
from atelier.nn.training_loop import Epoch, Passes, StepLoss, TrainingLoop
from atelier.recommenders.two_stage.examples import Examples
from atelier.recommenders.two_stage.ranking_network import RankingNetwork
from atelier.recommenders.two_stage.training_curves import curve, look
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from atelier.search.ragged import Indices

EXPLAINED = 8192
"""Rows that are taken apart at once: a network keeps all that it computed of them."""
BATCH = 512
"""Rows of a step."""
CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Scaler:
    """Features as a network can read them: unknown ones are the median, all have mean 0 and deviation 1.

    Attributes:
        median: float32 [features], 0 for a feature that is never known.
        mean: float32 [features], after the unknown are filled.
        deviation: float32 [features], 1 for a feature that never varies.
    """

    median: Float32s
    mean: Float32s
    deviation: Float32s

    @classmethod
    def of(cls, features: Float32s) -> "Scaler":
        """What the training examples say, float32 [m, features]; nothing else is looked at."""
        known = ~np.isnan(features).all(axis=0)
        median = np.zeros(features.shape[1], dtype=np.float32)
        median[known] = np.nanmedian(features[:, known], axis=0)
        filled = np.where(np.isnan(features), median, features).astype(np.float64)
        deviation = filled.std(axis=0)
        varies = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        return cls(median, filled.mean(axis=0).astype(np.float32), varies)

    def __call__(self, features: Float32s) -> Float32s:
        """The features, filled and standardised; at most 10 deviations from the mean."""
        filled = np.where(np.isnan(features), self.median, features)
        scaled: Float32s = np.clip((filled - self.mean) / self.deviation, -10, 10).astype(np.float32)
        return scaled


class NetworkRanker:
    """A trained network, with the scaler of its inputs.

    Attributes:
        epochs: of its training; empty where it was read from a bundle.
    """

    def __init__(self, network: RankingNetwork, scaler: Scaler, epochs: Sequence[Epoch] = ()) -> None:
        self._network, self._scaler, self.epochs = network.eval(), scaler, epochs

    @classmethod
    def trained(
        cls,
        examples: Examples,
        names: Sequence[str],
        config: TwoStageConfig,
        judged: Mapping[str, Examples] | None = None,
    ) -> "NetworkRanker":
        """Train on the positives and, anew in each epoch, on a few of the other candidates of the same lists.

        Args:
            examples: at least one list, each with a positive.
            names: of the features.
            config: the model's.
            judged: lists that are judged after each epoch, by part; nothing depends on what is found.
        """
        scaler = Scaler.of(examples.features)
        features, labels = torch.from_numpy(scaler(examples.features)), torch.from_numpy(examples.labels).float()
        network = RankingNetwork(names, torch.Generator().manual_seed(config.seed))
        adam = torch.optim.Adam(network.parameters(), config.network_learning_rate, fused=True)
        random = np.random.default_rng(config.seed)
        passes = Passes(lambda: _epoch(examples, config.negatives, random))

        def step() -> StepLoss:
            rows = torch.from_numpy(passes.next())
            loss = functional.binary_cross_entropy_with_logits(network(features[rows]), labels[rows])
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            return StepLoss(loss.detach())

        every = len(_epoch(examples, config.negatives, np.random.default_rng(config.seed)))
        parts = judged or {}

        def score() -> dict[str, float]:
            ranker = cls(network, scaler)
            return look(parts, {part: ranker.scores(each.features) for part, each in parts.items()})

        with own_random_state(CPU, config.seed):
            epochs = TrainingLoop(
                "two_stage: ranking network",
                network,
                step,
                {"random": random, "passes": passes, "adam": adam},
                CPU,
                steps=every * config.network_epochs,
                every=every,
                patience=config.network_epochs,
                learning_rates={"network_learning_rate": config.network_learning_rate},
                score=score,
            ).run()
        return cls(network, scaler, epochs)

    def curve(self) -> pd.DataFrame:
        """The training curve by epoch of what was judged."""
        return curve((each.epoch, each.validation) for each in self.epochs)

    @classmethod
    def joint(cls, weights: Mapping[str, Array], names: Sequence[str]) -> "NetworkRanker":
        """The network that was trained together with two towers and reads their vectors as they are.

        Args:
            weights: of the network.
            names: of the features: the numbers of both vectors.
        """
        n = len(names)
        as_it_is = {
            "median": np.zeros(n, np.float32),
            "mean": np.zeros(n, np.float32),
            "deviation": np.ones(n, np.float32),
        }
        return cls.from_arrays({**{f"network.{name}": value for name, value in weights.items()}, **as_it_is}, names)

    @torch.inference_mode()
    def scores(self, features: Float32s) -> Float64s:
        """The logit of each row, float64 [m]."""
        if not len(features):
            return np.zeros(0)
        return np.asarray(self._network(torch.from_numpy(self._scaler(features))).numpy(), dtype=np.float64)

    def contributions(self, features: Float32s) -> Float64s:
        """Gradient × input of each standardised feature, float64 [m, features]: what it adds against the mean.

        Source: M. Ancona and others, Towards Better Understanding of Gradient-Based Attribution Methods, ICLR 2018.
        """
        added = np.empty(features.shape)
        for start in range(0, len(features), EXPLAINED):
            inputs = torch.from_numpy(self._scaler(features[start : start + EXPLAINED])).requires_grad_()
            (gradient,) = torch.autograd.grad(self._network(inputs).sum(), inputs)
            added[start : start + EXPLAINED] = (gradient * inputs.detach()).numpy()
        return added

    def arrays(self) -> dict[str, Array]:
        """What :meth:`from_arrays` reads, for a bundle."""
        weights = {f"network.{name}": value.numpy() for name, value in self._network.state_dict().items()}
        return weights | vars(self._scaler)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], names: Sequence[str]) -> "NetworkRanker":
        """The ranker of a bundle's arrays.

        Raises:
            BundleError: they are of other features.
        """
        network = RankingNetwork(names, torch.Generator())
        weights = {name: torch.tensor(value) for name, value in under(arrays, "network.").items()}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise BundleError(
                f"the network of two_stage reads other features than this version makes ({error}): train it again"
            ) from error
        return cls(network, Scaler(arrays["median"], arrays["mean"], arrays["deviation"]))


def _epoch(examples: Examples, negatives: int, random: np.random.Generator) -> list[Indices]:
    """The rows of one epoch in batches: all positives, and for each up to ``negatives`` random others of its list.

    So many rows of the list are drawn, with replacement; those that are positives are left out and not drawn again.
    """
    starts = np.cumsum(examples.groups) - examples.groups
    group = np.repeat(np.arange(len(starts)), examples.groups)
    positives = np.flatnonzero(examples.labels)
    lists = group[positives]
    drawn = starts[lists][:, None] + (random.random((len(lists), negatives)) * examples.groups[lists][:, None]).astype(
        np.int64
    )
    others = drawn[examples.labels[drawn] == 0]
    rows = random.permutation(np.concatenate([positives, others]))
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
