"""Joint training: one forward pass per batch serves all attributes; what is not labelled is masked.

What belongs here: its loss, its batches, its optimiser. What does not: when to stop
(:mod:`atelier.nn.training_loop`).
"""

import torch
from torch import Tensor, nn

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import Heads
from atelier.attributes.network.architecture import AttributeNetwork, MentionWeights
from atelier.attributes.network.batches import ArticleBatches, mention_dropout, modality_dropout, share_of, word_dropout
from atelier.attributes.network.loss import JointLoss
from atelier.devices import autocast, copied
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_loop import Part, Passes, StepLoss

LARGEST_GRADIENT = 5.0
OWN_DECAY = 1.0
"""AdamW's decay of an attribute's own weights of mentions: an attribute with few labels stays at the shared ones."""


class JointTraining:
    """Steps of AdamW, each on a batch of articles; the learning rate rises once and falls along a cosine.

    Args:
        network: is changed in place.
        batches: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the device of the batches.
        heads: the attributes.
        config: see :class:`AttributeConfig`.
        training: int64, in main memory: rows to train on, at least one.
        replicas: the processes that train the network together.

    Attributes:
        steps_per_epoch: steps in which every article is seen once.
    """

    def __init__(
        self,
        network: AttributeNetwork,
        batches: ArticleBatches,
        targets: Tensor,
        heads: Heads,
        config: AttributeConfig,
        training: Tensor,
        replicas: Replicas = ALONE,
    ) -> None:
        self.network, self.batches, self.targets, self.replicas = network, batches, targets, replicas
        self.config, self.training = config, training
        self.generator = torch.Generator().manual_seed(config.seed)
        self.loss = JointLoss(config, heads, len(training)).to(targets.device)
        self.steps_per_epoch = max(1, round(len(training) / config.batch_size))
        self.optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), config.learning_rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            config.learning_rate,
            total_steps=config.max_epochs * self.steps_per_epoch + 1,
            pct_start=0.1,
            cycle_momentum=False,
        )
        self._passes = Passes(self._draw)
        self.parts: dict[str, Part] = {
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "generator": self.generator,
            "passes": self._passes,
        }

    def step(self) -> StepLoss:
        """Take a step on the next articles of an order that is drawn anew in each epoch."""
        return StepLoss(self._step(self._passes.next()))

    def _draw(self) -> tuple[Tensor, ...]:
        """The rows of each step of an epoch."""
        order = self.training[torch.randperm(len(self.training), generator=self.generator)]
        # Even parts: batch normalisation cannot take a last batch of one article. A single article is seen twice.
        order = order.repeat(2) if len(order) == 1 else order
        return torch.tensor_split(order, self.steps_per_epoch)

    def _step(self, rows: Tensor) -> Tensor:
        batch = modality_dropout(self.batches.batch(rows), self.config.modality_dropout, self.generator)
        batch = mention_dropout(batch, self.config.mention_dropout, self.generator)
        batch = word_dropout(batch, self.config.word_dropout, self.generator)
        mine = self.replicas.share(len(rows))
        with autocast(self.config.precision, self.targets.device):
            logits = self.network(share_of(batch, mine))
        targets = self.targets[copied(rows[mine], self.targets.device)]
        value: Tensor = self.loss(self.network.split(logits), targets, len(rows))
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        self.replicas.sum_gradients(list(self.network.parameters()))
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        return value.detach()


def _groups(network: AttributeNetwork, decay: float) -> list[dict[str, object]]:
    """Only matrices of linear layers decay, and an attribute's own weights of mentions, these fast.

    Normalisation, embeddings, biases and the weights of mentions that all share do not.
    """
    decaying = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear)}
    pulled = {id(module.own) for module in network.modules() if isinstance(module, MentionWeights)}
    parameters = list(network.parameters())
    groups: list[dict[str, object]] = [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": decay},
        {"params": [p for p in parameters if id(p) not in decaying | pulled], "weight_decay": 0.0},
    ]
    if pulled:
        groups.append({"params": [p for p in parameters if id(p) in pulled], "weight_decay": OWN_DECAY})
    return groups
