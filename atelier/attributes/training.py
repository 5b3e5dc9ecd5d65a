"""Joint training: one forward pass per batch serves all attributes.

What belongs here: loss, optimiser, early stopping. What does not: splitting data, encoding, files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.attributes.config import AttributeConfig
from atelier.attributes.feeding import Feed, forget_words, leave_out
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network import AttributeNetwork
from atelier.attributes.scores import weighted_f1
from atelier.progress import progress

PREDICTION_BATCH = 1024


@dataclass(frozen=True)
class Epoch:
    """What one pass over the labelled articles gave.

    Attributes:
        epoch: from 1.
        loss: mean training loss.
        validation_weighted_f1: mean over attributes on validation articles; nan without any.
    """

    epoch: int
    loss: float
    validation_weighted_f1: float


class JointLoss(nn.Module):
    """Cross entropy over all labels of a batch; unlabelled ones are masked.

    A class that holds the share s of its attribute's labels weighs s^−``class_weighting``, scaled so that a label
    weighs 1 on average; an attribute labelled on the share r of articles weighs r^−``attribute_balance``.
    """

    def __init__(self, config: AttributeConfig, heads: Heads, articles: int) -> None:
        super().__init__()
        self.smoothing = config.label_smoothing
        rates = torch.tensor([float(head.samples.sum()) / articles for head in heads.heads])
        attribute_weights = rates**-config.attribute_balance
        # Over the expected weight of an article's labels, so that the loss has the size of one cross entropy.
        self.attribute_weights: Tensor
        self.register_buffer("attribute_weights", attribute_weights / (attribute_weights * rates).sum())
        for place, head in enumerate(heads.heads):
            shares = torch.from_numpy(head.samples / head.samples.sum()).float()
            weights = shares**-config.class_weighting
            self.register_buffer(f"class_weights_{place}", weights / (shares * weights).sum())

    def forward(self, logits: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """The loss of a batch: logits of each attribute [b, classes], targets int64 [b, attributes], −1 unlabelled."""
        losses = [
            functional.cross_entropy(
                part, targets[:, place], weight=self.get_buffer(f"class_weights_{place}"),
                ignore_index=UNLABELLED, reduction="sum", label_smoothing=self.smoothing,
            )
            for place, part in enumerate(logits)
        ]  # fmt: skip
        return (torch.stack(losses) * self.attribute_weights).sum() / len(targets)


def train_joint(
    network: AttributeNetwork,
    feed: Feed,
    targets: Tensor,
    heads: Heads,
    config: AttributeConfig,
    training: Tensor,
    validation: Tensor,
) -> list[Epoch]:
    """Train until the validation score stops rising; the network ends with the weights of its best epoch.

    Args:
        network: is changed in place.
        feed: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the feed's device.
        heads: the attributes.
        config: see :class:`AttributeConfig`.
        training: int64: rows to train on, at least one.
        validation: int64: rows that decide when to stop; without any, all epochs are run.

    Returns:
        What each epoch gave.
    """
    generator = torch.Generator().manual_seed(config.seed)
    loss = JointLoss(config, heads, len(training)).to(targets.device)
    steps = _steps(len(training), config.batch_size)
    optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.max_epochs * steps + 1, pct_start=0.1, cycle_momentum=False
    )
    history: list[Epoch] = []
    best, best_score, stale = _snapshot(network), float("-inf"), 0
    for epoch in progress(range(1, config.max_epochs + 1), "training attributes", unit="epoch"):
        mean_loss = _run_epoch(network, feed, targets, loss, config, training, generator, optimiser, schedule)
        score = validation_score(network, feed, targets, validation)
        history.append(Epoch(epoch, mean_loss, score))
        if score > best_score or not len(validation):
            best, best_score, stale = _snapshot(network), score, 0
        else:
            stale += 1
        if stale >= config.patience:
            break
    network.load_state_dict(best)
    return history


def _run_epoch(
    network: AttributeNetwork,
    feed: Feed,
    targets: Tensor,
    loss: JointLoss,
    config: AttributeConfig,
    training: Tensor,
    generator: torch.Generator,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.OneCycleLR,
) -> float:
    network.train()
    order = training[torch.randperm(len(training), generator=generator).to(training.device)]
    # Even parts: batch normalisation cannot take a last batch of one article. A single article is seen twice.
    parts = torch.tensor_split(order.repeat(2) if len(order) == 1 else order, _steps(len(order), config.batch_size))
    total = torch.zeros((), device=targets.device)
    for rows in parts:
        batch = leave_out(feed.batch(rows), config.modality_dropout, generator)
        batch = forget_words(batch, config.word_dropout, generator)
        with autocast(config, targets.device):
            logits = network(batch)
        value = loss(network.split(logits), targets[rows])
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        total += value.detach()
    return float(total) / len(parts)


def validation_score(network: AttributeNetwork, feed: Feed, targets: Tensor, rows: Tensor) -> float:
    """Mean weighted F1 over the attributes that have labels among the rows; nan without any."""
    if not len(rows):
        return float("nan")
    predicted = torch.stack([part.argmax(1) for part in network.split(logits_of(network, feed, rows))], dim=1)
    truth, guesses = targets[rows].cpu().numpy(), predicted.cpu().numpy()
    scores = [
        weighted_f1(truth[labelled, place], guesses[labelled, place])
        for place, labelled in enumerate((truth != UNLABELLED).T)
        if labelled.any()
    ]
    return float(np.mean(scores)) if scores else float("nan")


def logits_of(network: AttributeNetwork, feed: Feed, rows: Tensor | None = None) -> Tensor:
    """Logits in evaluation mode and float32, [rows, classes]; all articles of the feed where ``rows`` is None."""
    network.eval()
    with torch.inference_mode():
        parts = [network(batch) for batch in feed.batches(PREDICTION_BATCH, rows)]
        empty = torch.zeros((0, sum(network.sizes.classes)), device=network.temperatures.device)
        return torch.cat(parts) if parts else empty


@contextmanager
def autocast(config: AttributeConfig, device: torch.device) -> Iterator[None]:
    """Products of matrices in bfloat16 where the config, or for ``auto`` the processor, says so."""
    wanted = config.precision == "bfloat16" or (config.precision == "auto" and has_bfloat16(device))
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted):
        yield


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # PyTorch has no public question for it.
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())


def _steps(articles: int, batch_size: int) -> int:
    return max(1, round(articles / batch_size))


def _groups(network: AttributeNetwork, decay: float) -> list[dict[str, object]]:
    """Only matrices of linear layers decay: not normalisation, not embeddings, not biases."""
    decaying = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear)}
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]


def _snapshot(network: AttributeNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
