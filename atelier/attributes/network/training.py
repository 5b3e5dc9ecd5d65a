"""Training in either way: take steps, look at the validation score now and then, keep the best weights.

What belongs here: when to look, when to stop, what is remembered. What does not: what a step is
(:mod:`atelier.attributes.network.joint_training`, :mod:`atelier.attributes.network.per_attribute_training`), splitting
data, files.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network.architecture import AttributeNetwork
from atelier.attributes.network.batches import ArticleBatches
from atelier.attributes.network.joint_training import JointTraining
from atelier.attributes.network.per_attribute_training import PerAttributeTraining
from atelier.attributes.scores import weighted_f1
from atelier.errors import AtelierError
from atelier.progress import progress

PREDICTION_BATCH = 1024
TRAINERS: Mapping[str, type[JointTraining] | type[PerAttributeTraining]] = {
    "joint": JointTraining,
    "published": PerAttributeTraining,
}


class DivergedError(AtelierError):
    """Training left the numbers before it found any usable weights."""


@dataclass(frozen=True)
class Epoch:
    """What training gave between two looks at the validation score: a pass, or ``evaluate_every`` steps.

    Attributes:
        epoch: from 1.
        loss: mean training loss since the look before.
        validation_weighted_f1: mean over attributes on validation articles; nan without any.
        step: steps of the optimiser so far.
    """

    epoch: int
    loss: float
    validation_weighted_f1: float
    step: int


@dataclass(frozen=True)
class Observer:
    """Somebody who looks on while a network is trained, without any influence on it.

    Attributes:
        every: steps between two looks; there is one before the first step as well.
        look: is called with the steps so far and the network as it is then, in evaluation mode. It may predict and draw
            random numbers; it must not change the network.
    """

    every: int
    look: Callable[[int, AttributeNetwork], None]

    def __call__(self, step: int, network: AttributeNetwork) -> None:
        """Look, where it is time to, and leave mode and random state as they were."""
        if step % self.every:
            return
        was_training = network.training
        device = network.temperatures.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            self.look(step, network.eval())
        network.train(was_training)


def train(
    network: AttributeNetwork,
    batches: ArticleBatches,
    targets: Tensor,
    heads: Heads,
    config: AttributeConfig,
    training: Tensor,
    validation: Tensor,
    observer: Observer | None = None,
) -> list[Epoch]:
    """Train until the validation score stops rising; the network ends with the weights of its best look.

    Args:
        network: is changed in place.
        batches: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the feed's device.
        heads: the attributes.
        config: see :class:`AttributeConfig`; its ``training`` says what a step is.
        training: int64: rows to train on, at least one.
        validation: int64: rows that decide when to stop; without any, all epochs are run.
        observer: looks on.

    Returns:
        What training gave between looks.

    Raises:
        DivergedError: the loss is not a number at the first look. Later on, training ends with the best weights.
    """
    way = TRAINERS[config.training](network, batches, targets, heads, config, training)
    total = config.max_epochs * way.steps_per_epoch
    every = config.evaluate_every or way.steps_per_epoch
    history: list[Epoch] = []
    best = _Best(config.patience)
    losses: list[Tensor] = []  # read only at a look: on a GPU reading waits for the step
    network.train()
    if observer:
        observer(0, network)
    for step, loss in enumerate(progress(way.steps(total), "training attributes", total=total, unit="step"), 1):
        losses.append(loss)
        if observer:
            observer(step, network)
        if step % every and step < total:
            continue
        mean_loss = float(sum(losses)) / len(losses)
        losses.clear()
        if not math.isfinite(mean_loss):
            break
        score = validation_score(network, batches, targets, validation)
        network.train()
        history.append(Epoch(len(history) + 1, mean_loss, score, step))
        if best.look(network, score):
            break
    if best.weights is None:
        raise DivergedError(
            f"The training loss is {mean_loss} within {step:,} steps; lower learning_rate ({config.learning_rate})."
        )
    network.load_state_dict(best.weights)
    return history


class _Best:
    """The weights of the best look so far; of the last one where there is no score."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.weights: dict[str, Tensor] | None = None
        self._score, self._stale = float("-inf"), 0

    def look(self, network: AttributeNetwork, score: float) -> bool:
        """Keep the weights if they are better; whether there has been nothing better for too long."""
        if math.isnan(score) or score > self._score:
            self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
            self._score, self._stale = score, 0
        else:
            self._stale += 1
        return self._stale >= self.patience


def validation_score(network: AttributeNetwork, batches: ArticleBatches, targets: Tensor, rows: Tensor) -> float:
    """Mean weighted F1 over the attributes that have labels among the rows; nan without any."""
    if not len(rows):
        return float("nan")
    predicted = torch.stack([part.argmax(1) for part in network.split(logits_of(network, batches, rows))], dim=1)
    truth, guesses = targets[rows].cpu().numpy(), predicted.cpu().numpy()
    scores = [
        weighted_f1(truth[labelled, place], guesses[labelled, place])
        for place, labelled in enumerate((truth != UNLABELLED).T)
        if labelled.any()
    ]
    return float(np.mean(scores)) if scores else float("nan")


def logits_of(network: AttributeNetwork, batches: ArticleBatches, rows: Tensor | None = None) -> Tensor:
    """Logits in evaluation mode and float32, [rows, classes]; all articles of the feed where ``rows`` is None."""
    network.eval()
    with torch.inference_mode():
        parts = [network(batch) for batch in batches.batches(PREDICTION_BATCH, rows)]
        empty = torch.zeros((0, sum(network.sizes.classes)), device=network.temperatures.device)
        return torch.cat(parts) if parts else empty
