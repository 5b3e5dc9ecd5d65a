"""Training the attribute network in the way that its config asks for: jointly, or as published.

What belongs here: the call of the training loop, the validation score. What does not: the loop
(:mod:`atelier.nn.training_loop`), what a step is (:mod:`atelier.attributes.network.joint_training`,
:mod:`atelier.attributes.network.per_attribute_training`), splitting data, files.
"""

from collections.abc import Mapping
from pathlib import Path

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
from atelier.nn.batch_norm import share_statistics
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_loop import Epoch, Observer, TrainingLoop
from atelier.nn.training_state import fingerprint

PREDICTION_BATCH = 1024
TRAINERS: Mapping[str, type[JointTraining] | type[PerAttributeTraining]] = {
    "joint": JointTraining,
    "published": PerAttributeTraining,
}


def train(
    network: AttributeNetwork,
    batches: ArticleBatches,
    targets: Tensor,
    heads: Heads,
    config: AttributeConfig,
    training: Tensor,
    validation: Tensor,
    observer: Observer[AttributeNetwork] | None = None,
    state: Path | None = None,
    replicas: Replicas = ALONE,
) -> list[Epoch]:
    """Train until the validation score stops rising; the network ends with the weights of its best look.

    Args:
        network: is changed in place.
        batches: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the device of the batches.
        heads: the attributes.
        config: see :class:`AttributeConfig`; its ``training`` says what a step is.
        training: int64, in main memory: rows to train on, at least one.
        validation: likewise: rows that decide when to stop; without labels among them, all epochs are run.
        observer: looks on.
        state: a file to resume from, see :class:`~atelier.nn.training_loop.TrainingLoop`.
        replicas: the processes that train the network together, each of which calls this.

    Returns:
        A record of each look, with the figures of :func:`validation_scores`; training stops by ``score``.

    Raises:
        DivergedError: the loss is not a number at the first look. Later on, training ends with the best weights.
        TrainingStateError: ``state`` is unreadable, or of another training.
    """
    way = TRAINERS[config.training](network, batches, targets, heads, config, training, replicas)
    share_statistics(network, replicas)
    tensors = (*vars(batches).values(), targets, training, validation)
    data = [each for each in tensors if isinstance(each, Tensor)]
    history = TrainingLoop(
        "training attributes",
        network,
        way.step,
        way.parts,
        targets.device,
        steps=config.max_epochs * way.steps_per_epoch,
        every=config.evaluate_every or way.steps_per_epoch,
        patience=config.patience,
        learning_rates={"learning_rate": config.learning_rate},
        score=lambda: validation_scores(network, batches, targets, validation),
        by="score" if (targets.cpu()[validation] != UNLABELLED).any() else None,
        direction="rises",
        observer=observer,
        state=state,
        made_from=fingerprint(config.model_dump_json(), *data) if state else "",
        replicas=replicas,
    ).run()
    share_statistics(network, ALONE)
    return history


def validation_scores(
    network: AttributeNetwork, batches: ArticleBatches, targets: Tensor, rows: Tensor
) -> dict[str, float]:
    """How well the rows are predicted: means over the attributes that have labels among them; nan without any.

    Returns:
        ``weighted_f1``, and ``score``, the mean of that and of the probability that the true value gets. A few labels
        give few different F1, which a network that is half trained reaches by chance; the probability still tells it
        from a better one.
    """
    if not len(rows):
        return {"score": float("nan"), "weighted_f1": float("nan")}
    truth = targets.cpu()[rows]
    found = []
    for place, part in enumerate(network.split(logits_of(network, batches, rows).cpu())):
        known = truth[:, place] != UNLABELLED
        if known.any():
            mine, logits = truth[known, place], part[known]
            probability = float(torch.softmax(logits, dim=1).gather(1, mine[:, None]).mean())
            found.append((weighted_f1(mine.numpy(), logits.argmax(1).numpy()), probability))
    if not found:
        return {"score": float("nan"), "weighted_f1": float("nan")}
    f1, probability = (float(np.mean(each)) for each in zip(*found, strict=True))
    return {"score": (f1 + probability) / 2, "weighted_f1": f1}


def logits_of(network: AttributeNetwork, batches: ArticleBatches, rows: Tensor | None = None) -> Tensor:
    """Logits in evaluation mode and float32, [rows, classes]; of all articles where ``rows`` is None."""
    network.eval()
    with torch.inference_mode():
        parts = [network(batch) for batch in batches.batches(PREDICTION_BATCH, rows)]
        empty = torch.zeros((0, sum(network.sizes.classes)), device=network.temperatures.device)
        return torch.cat(parts) if parts else empty
