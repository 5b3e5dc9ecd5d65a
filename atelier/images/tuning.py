"""How fine-tuning trains: the last layers of a backbone, and one softmax for each attribute on its vector.

What belongs here: what a step is, dense layers below the softmaxes, the classifier that says how good vectors were
before. What does not: which photographs and labels (:mod:`atelier.images.finetuning`), when to stop
(:mod:`atelier.nn.training_loop`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network.loss import JointLoss
from atelier.attributes.scores import accuracy, weighted_f1
from atelier.devices import Precision, autocast, copied
from atelier.images.activations import Activations
from atelier.nn.training_loop import Epoch, Passes, StepLoss, TrainingLoop

PREDICTION_BATCH = 256
LARGEST_GRADIENT = 5.0
PROBE_STEPS, PROBE_EPOCHS, PROBE_BATCH, PROBE_RATE, PROBE_DECAY = 200, 12, 256, 3e-3, 1.0

Integers = npt.NDArray[np.int64]
Figures = list[dict[str, float]]


@dataclass(frozen=True)
class Recipe:
    """How the last layers are trained: the part of a fine-tuning's config that is read here.

    Attributes:
        epochs: passes at most.
        patience: passes without a better validation score before training stops.
        batch_size: photographs per step.
        learning_rate: AdamW's largest step for the heads.
        backbone_rate: the last layers' learning rate, as a share of the heads'.
        weight_decay: AdamW's decay.
        dropout: share of the vector, and of what each dense layer gives, that is not seen in a step.
        dense: widths of dense layers between vector and heads.
        label_smoothing: probability mass that the target gives away.
        seed: of the order and the choice of views.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    backbone_rate: float
    weight_decay: float
    dropout: float
    dense: tuple[int, ...]
    label_smoothing: float
    seed: int


class Classifier(nn.Module):
    """Softmaxes on a vector: [n, dimension] → logits [n, classes of all attributes]; their weights start at zero.

    Dense layers with ReLU may stand before them, shared by all attributes.
    """

    def __init__(self, dimension: int, classes: int, dropout: float, dense: Sequence[int] = ()) -> None:
        super().__init__()
        widths = [dimension, *dense]
        self.norm = nn.BatchNorm1d(dimension, affine=False)
        self.dense = nn.Sequential(
            *(nn.Sequential(nn.Dropout(dropout), nn.Linear(*pair), nn.ReLU()) for pair in pairwise(widths))
        )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(widths[-1], classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Apply it to vectors of any precision."""
        return self.heads(self.norm(vectors.float()))

    def heads(self, normalised: Tensor) -> Tensor:
        """What stands on normalised vectors."""
        logits: Tensor = self.linear(self.dropout(self.dense(normalised)))
        return logits


class Tuning:
    """Trains the last layers of a backbone, in place.

    Args:
        tail: the last layers: activations → [n, dimension].
        activations: what the layers before them gave.
        targets: int64 [n, attributes], −1 unlabelled.
        heads: the attributes.
        training: int64: the photographs to train on, at least one.
        validation: int64: those that decide when to stop; without any, all epochs are run.
        dimension: length of a vector.
        recipe: how.
        device: where.
    """

    def __init__(
        self,
        tail: nn.Module,
        activations: Activations,
        targets: Integers,
        heads: Heads,
        training: Integers,
        validation: Integers,
        dimension: int,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        self.tail = tail.to(device)
        self.activations = activations
        self.targets = torch.from_numpy(targets)
        self.heads = heads
        self.training, self.validation = torch.from_numpy(training), torch.from_numpy(validation)
        self.dimension = dimension
        self.recipe = recipe
        self.device = device
        how = AttributeConfig(label_smoothing=recipe.label_smoothing)
        self.loss = JointLoss(how, heads, int(activations.photographs["article_id"].nunique())).to(device)
        self.classifier = Classifier(dimension, sum(heads.sizes), recipe.dropout, recipe.dense).to(device)
        # On processors the gradients of convolutions are several times slower in bfloat16 than in float32.
        self.precision: Precision = "auto" if device.type == "cuda" else "float32"

    def train(self, state: Path | None = None, made_from: str = "") -> list[Epoch]:
        """Train until the validation score stops rising; the modules end with the weights of the best epoch.

        That may be epoch 0, before any step: a backbone that cannot be bettered stays as it was.

        Args:
            state: a file to resume from, see :class:`~atelier.nn.training_loop.TrainingLoop`.
            made_from: the fingerprint of what the photographs, their labels and the backbone are.

        Returns:
            A record of each epoch; its figures, on the plain views of the validation photographs and nan without any,
            are ``loss`` and ``weighted_f1``, the mean over attributes.
        """
        recipe, an_epoch = self.recipe, max(1, round(len(self.training) / self.recipe.batch_size))
        generator = torch.Generator().manual_seed(recipe.seed)
        passes = Passes(lambda: self._draw(an_epoch, generator))
        groups = [{"params": list(module.parameters())} for module in (self.tail, self.classifier)]
        optimiser = torch.optim.AdamW(groups, recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            [recipe.learning_rate * recipe.backbone_rate, recipe.learning_rate],
            total_steps=recipe.epochs * an_epoch + 1,
            pct_start=0.15,
            cycle_momentum=False,
        )
        return TrainingLoop(
            "fine-tuning",
            nn.ModuleList([self.tail, self.classifier]),
            lambda: self._step(*passes.next(), optimiser, schedule),
            {"optimiser": optimiser, "schedule": schedule, "generator": generator, "passes": passes},
            self.device,
            steps=recipe.epochs * an_epoch,
            every=an_epoch,
            patience=recipe.patience,
            learning_rates={"learning_rate": recipe.learning_rate},
            score=self._judge,
            by="weighted_f1" if len(self.validation) else None,
            direction="rises",
            from_start=True,
            state=state,
            made_from=made_from,
        ).run()

    def _draw(self, steps: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The photographs of each step of an epoch, and which view of each: all photographs once."""
        order = self.training[torch.randperm(len(self.training), generator=generator)]
        order = order.repeat(2) if len(order) == 1 else order  # batch normalisation cannot take a batch of one
        views = torch.randint(len(self.activations.values), (len(order),), generator=generator)
        return zip(order.tensor_split(steps), views.tensor_split(steps), strict=True)

    def _step(
        self,
        rows: Tensor,
        views: Tensor,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> StepLoss:
        """Move the weights by these photographs in these views."""
        inputs = self.activations.take(rows, views, self.device)
        with autocast(self.precision, self.device):
            vectors = self.tail(inputs)
        value = self.loss(self._split(self.classifier(vectors)), self._targets(rows))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_([*self.tail.parameters(), *self.classifier.parameters()], LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        return StepLoss(value.detach().double() * len(rows), len(rows))

    # ---- evaluation

    def probe(self) -> Figures:
        """Fit the heads and the dense layers below them on the vectors as they are now; returns how good they are.

        They are fitted on the plain views of the training photographs. Training goes on from there: with untrained
        heads, the first steps would distort pretrained layers (Kumar et al., "Fine-Tuning can Distort Pretrained
        Features and Underperform Out-of-Distribution", ICLR 2022). Layers with random weights are better trained
        together with new heads (:meth:`forget`).
        """
        vectors = self._vectors(self.training)
        classifier = self.classifier.eval()
        classifier.norm.running_mean, classifier.norm.running_var = vectors.mean(0), vectors.var(0, correction=0)
        inputs, targets = classifier.norm(vectors), self._targets(self.training)
        optimiser = torch.optim.AdamW(classifier.parameters(), lr=PROBE_RATE, weight_decay=PROBE_DECAY)
        generator = torch.Generator().manual_seed(self.recipe.seed)
        steps = max(1, round(len(inputs) / PROBE_BATCH))
        for _ in range(max(PROBE_EPOCHS, -(-PROBE_STEPS // steps))):
            for rows in torch.tensor_split(torch.randperm(len(inputs), generator=generator), steps):
                optimiser.zero_grad(set_to_none=True)
                mine = copied(rows, self.device)
                self.loss(self._split(classifier.heads(inputs[mine])), targets[mine]).backward()
                optimiser.step()
        return self.figures()

    def forget(self) -> None:
        """Replace the heads by new ones, whose weights are zero, on new dense layers where there are any."""
        sizes = self.dimension, sum(self.heads.sizes), self.recipe.dropout, self.recipe.dense
        self.classifier = Classifier(*sizes).to(self.device)

    def figures(self) -> Figures:
        """How well the trained heads predict the validation photographs' labels."""
        return self._figures(self._logits(self.validation))

    def _judge(self) -> dict[str, float]:
        """Loss and mean weighted F1 on the validation photographs; nan without any."""
        if not len(self.validation):
            return {"loss": math.nan, "weighted_f1": math.nan}
        logits = self._logits(self.validation)
        loss = float(self.loss(self._split(logits), self._targets(self.validation)))
        scores = [each["weighted_f1"] for each in self._figures(logits) if each["samples"]]
        return {"loss": loss, "weighted_f1": float(np.mean(scores))}

    def _figures(self, logits: Tensor) -> Figures:
        """Each attribute's samples, accuracy and weighted F1 on the validation photographs."""
        truth = self.targets[self.validation].numpy()
        guesses = [part.argmax(1).cpu().numpy() for part in self._split(logits)]
        rows = []
        for place, guessed in enumerate(guesses):
            labelled = truth[:, place] != UNLABELLED
            pair = truth[labelled, place], guessed[labelled]
            figures = {"accuracy": accuracy(*pair), "weighted_f1": weighted_f1(*pair)}
            rows.append({"samples": float(labelled.sum()), **figures})
        return rows

    def _vectors(self, rows: Tensor) -> Tensor:
        """float32 [rows, dimension] of the plain views."""
        self.tail.eval()
        with torch.no_grad():
            parts = [
                self.tail(self.activations.take(some, device=self.device)).float()
                for some in torch.tensor_split(rows, list(range(PREDICTION_BATCH, len(rows), PREDICTION_BATCH)))
            ]
        return torch.cat(parts) if len(rows) else torch.zeros((0, self.dimension), device=self.device)

    def _logits(self, rows: Tensor) -> Tensor:
        self.classifier.eval()
        with torch.no_grad():
            found: Tensor = self.classifier(self._vectors(rows))
        return found

    def _targets(self, rows: Tensor) -> Tensor:
        return copied(self.targets[rows], self.device)

    def _split(self, logits: Tensor) -> tuple[Tensor, ...]:
        return torch.split(logits, list(self.heads.sizes), dim=1)
