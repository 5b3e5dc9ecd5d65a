"""The published training: one mini-batch of one attribute's labelled articles at a time.

What belongs here: its loss, its batches, its optimiser. What does not: when to stop
(:mod:`atelier.nn.training_loop`).

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018), section 3: each
attribute has a data set of the products labelled with it; in random order over the attributes one mini-batch of 64 is
drawn for each, and a step of plain stochastic gradient descent, 0.01 long, is taken on that attribute's cross entropy.
"""

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network.architecture import AttributeNetwork
from atelier.attributes.network.batches import ArticleBatches, modality_dropout, share_of, word_dropout
from atelier.devices import autocast, copied
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_loop import Part, StepLoss

HEADS = ("heads.weight", "heads.bias")


class Deck:
    """Rows in random order: every one is drawn once before any is drawn again.

    Args:
        rows: int64 [n].
        generator: shuffles them.
    """

    def __init__(self, rows: Tensor, generator: torch.Generator) -> None:
        self.rows = rows
        self._generator = generator
        self._left = rows[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, count: int) -> Tensor:
        """The next ``count`` rows, or all n where there are fewer. The order is drawn anew as the last one ends."""
        count = min(count, len(self))
        if len(self._left) < count:
            shuffled = torch.randperm(len(self), generator=self._generator)
            self._left = torch.cat([self._left, self.rows[shuffled]])
        drawn, self._left = self._left[:count], self._left[count:]
        return drawn

    def state_dict(self) -> dict[str, Tensor]:
        """What is left of the order."""
        return {"left": self._left}

    def load_state_dict(self, state: dict[str, Tensor], /) -> None:
        """Go on from such a state."""
        self._left = state["left"]


class PerAttributeTraining:
    """Steps of plain SGD, each on a batch of articles labelled with one attribute.

    Of the last layer only the rows of that attribute's classes are computed and changed.

    Args:
        network: is changed in place.
        batches: all articles.
        targets: int64 [n, attributes], −1 unlabelled, on the device of the batches.
        heads: the attributes.
        config: see :class:`AttributeConfig`.
        training: int64, in main memory: rows to train on, at least one of them labelled.
        replicas: the processes that train the network together.

    Attributes:
        steps_per_epoch: steps in which as many labels are seen as there are. Attributes take turns whatever their
            number of labels, so of a rare one labels are seen several times meanwhile.
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
        self.network, self.batches, self.targets, self.config = network, batches, targets, config
        self.replicas = replicas
        self.generator = torch.Generator().manual_seed(config.seed)
        labelled = targets.cpu()[training] != UNLABELLED
        decks = [Deck(training[labelled[:, place]], self.generator) for place in range(len(heads))]
        self.decks = {place: deck for place, deck in enumerate(decks) if len(deck)}
        self.turns = Deck(torch.tensor(list(self.decks)), self.generator)
        self.steps_per_epoch = max(1, round(int(labelled.sum()) / config.batch_size))
        # Leaves that share the memory of the last layer, one pair for each attribute: gradients of the others neither
        # exist nor cost anything.
        last = network.heads
        slices = [torch.split(whole.detach(), list(heads.sizes)) for whole in (last.weight, last.bias)]
        self.leaves = [tuple(part.requires_grad_() for part in pair) for pair in zip(*slices, strict=True)]
        self.body = [parameter for name, parameter in network.named_parameters() if name not in HEADS]
        leaves = [leaf for pair in self.leaves for leaf in pair]
        self.optimiser = torch.optim.SGD([*self.body, *leaves], lr=config.learning_rate)
        orders = {f"deck {place}": deck for place, deck in self.decks.items()} | {"turns": self.turns}
        self.parts: dict[str, Part] = {"optimiser": self.optimiser, "generator": self.generator, **orders}

    def step(self) -> StepLoss:
        """Take a step on articles labelled with the attribute whose turn it is."""
        place = int(self.turns.draw(1))
        return StepLoss(self._step(place, self.decks[place].draw(self.config.batch_size)))

    def _step(self, place: int, rows: Tensor) -> Tensor:
        # Batch normalisation cannot take a batch of one article: a single one is seen twice.
        rows = rows.repeat(2) if len(rows) == 1 else rows
        batch = modality_dropout(self.batches.batch(rows), self.config.modality_dropout, self.generator)
        batch = word_dropout(batch, self.config.word_dropout, self.generator)
        mine, share = dict(zip(HEADS, self.leaves[place], strict=True)), self.replicas.share(len(rows))
        with autocast(self.config.precision, self.targets.device):
            logits = functional_call(self.network, mine, (share_of(batch, share),))  # [b, classes of this attribute]
        targets = self.targets[copied(rows[share], self.targets.device), place]
        loss = functional.cross_entropy(logits, targets, reduction="sum") / len(rows)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.replicas.sum_gradients([*self.body, *self.leaves[place]])
        self.optimiser.step()
        return loss.detach()
