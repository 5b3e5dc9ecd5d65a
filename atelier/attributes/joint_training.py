"""Joint training: one forward pass per batch serves all attributes; what is not labelled is masked.

What belongs here: its loss, its batches, its optimiser. What does not: when to stop
(:mod:`atelier.attributes.training`).
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.attributes.config import AttributeConfig
from atelier.attributes.feeding import Feed, forget_words, leave_out
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network import AttributeNetwork
from atelier.attributes.precision import autocast

LARGEST_GRADIENT = 5.0


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
        """The loss of a batch: logits of each attribute [b, classes], targets int64 [b, attributes], −1 unlabelled.

        Of an ensemble, whose members' logits stand one after the other, [members · b, classes], it is their mean.
        """
        targets = targets.repeat(len(logits[0]) // len(targets), 1)
        losses = [
            functional.cross_entropy(
                part,
                targets[:, place],
                weight=self.get_buffer(f"class_weights_{place}"),
                ignore_index=UNLABELLED,
                reduction="sum",
                label_smoothing=self.smoothing,
            )
            for place, part in enumerate(logits)
        ]
        return (torch.stack(losses) * self.attribute_weights).sum() / len(targets)


class JointTraining:
    """Steps of AdamW along one cosine, each on a batch of articles.

    Args:
        network: is changed in place.
        feed: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the feed's device.
        heads: the attributes.
        config: see :class:`AttributeConfig`.
        training: int64: rows to train on, at least one.

    Attributes:
        steps_per_epoch: steps in which every article is seen once.
    """

    def __init__(
        self,
        network: AttributeNetwork,
        feed: Feed,
        targets: Tensor,
        heads: Heads,
        config: AttributeConfig,
        training: Tensor,
    ) -> None:
        self.network, self.feed, self.targets, self.config, self.training = network, feed, targets, config, training
        self.generator = torch.Generator().manual_seed(config.seed)
        self.loss = JointLoss(config, heads, len(training)).to(targets.device)
        self.steps_per_epoch = max(1, round(len(training) / config.batch_size))
        self.optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.learning_rate)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            config.learning_rate,
            total_steps=config.max_epochs * self.steps_per_epoch + 1,
            pct_start=0.1,
            cycle_momentum=False,
        )

    def steps(self, total: int) -> Iterator[Tensor]:
        """Take a step each time that one is asked for, and yield its loss; ``total``: a whole number of epochs."""
        for _ in range(total // self.steps_per_epoch):
            shuffled = torch.randperm(len(self.training), generator=self.generator).to(self.training.device)
            order = self.training[shuffled]
            # Even parts: batch normalisation cannot take a last batch of one article. A single article is seen twice.
            order = order.repeat(2) if len(order) == 1 else order
            for rows in torch.tensor_split(order, self.steps_per_epoch):
                yield self._step(rows)

    def _step(self, rows: Tensor) -> Tensor:
        batch = leave_out(self.feed.batch(rows), self.config.modality_dropout, self.generator)
        batch = forget_words(batch, self.config.word_dropout, self.generator)
        with autocast(self.config, self.targets.device):
            logits = self.network(batch)
        value: Tensor = self.loss(self.network.split(logits), self.targets[rows])
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        return value.detach()


def _groups(network: AttributeNetwork, decay: float) -> list[dict[str, object]]:
    """Only matrices of linear layers decay: not normalisation, not embeddings, not biases."""
    decaying = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear)}
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]
