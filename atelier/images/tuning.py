"""The training loop of fine-tuning: the last layers of a backbone, and one softmax for each attribute on its vector.

What belongs here: steps, early stopping, the linear classifier that says how good vectors were before. What does not:
which photographs and labels (:mod:`atelier.images.finetuning`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.attributes.config import AttributeConfig
from atelier.attributes.labels import UNLABELLED, Heads
from atelier.attributes.network.loss import JointLoss
from atelier.attributes.scores import accuracy, weighted_f1
from atelier.devices import has_bfloat16
from atelier.images.activations import Activations
from atelier.progress import progress

PREDICTION_BATCH = 256
LARGEST_GRADIENT = 5.0
PROBE_STEPS, PROBE_EPOCHS, PROBE_BATCH, PROBE_RATE, PROBE_DECAY = 200, 12, 256, 3e-3, 1.0

Integers = npt.NDArray[np.int64]
Figures = list[dict[str, float]]


@dataclass(frozen=True)
class Epoch:
    """What one pass gave.

    Attributes:
        epoch: from 0, which is before the first pass.
        loss: mean training loss; None in epoch 0.
        validation_loss: on the plain views of the validation photographs; None without any.
        validation_weighted_f1: mean over attributes on the same.
    """

    epoch: int
    loss: float | None
    validation_loss: float | None
    validation_weighted_f1: float | None


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
        dropout: share of the vector that the heads do not see in a step.
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
    label_smoothing: float
    seed: int


class Classifier(nn.Module):
    """Softmaxes on a vector: [n, dimension] → logits [n, classes of all attributes]. It starts without an opinion."""

    def __init__(self, dimension: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dimension, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(dimension, classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Apply it to vectors of any precision."""
        logits: Tensor = self.linear(self.dropout(self.norm(vectors.float())))
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
        self.classifier = Classifier(dimension, sum(heads.sizes), recipe.dropout).to(device)
        # On processors the gradients of convolutions are several times slower in bfloat16 than in float32.
        self.bf16 = device.type == "cuda" and has_bfloat16(device)

    def train(self) -> list[Epoch]:
        """Train until the validation score stops rising; the modules end with the weights of the best epoch.

        That may be epoch 0, before any step: a backbone that cannot be bettered stays as it was.
        """
        recipe = self.recipe
        generator = torch.Generator().manual_seed(recipe.seed)
        steps = max(1, round(len(self.training) / recipe.batch_size))
        optimiser, schedule = self._optimiser(steps)
        history = [Epoch(0, None, *self._judge())]
        best, best_score, stale = self._snapshot(), history[0].validation_weighted_f1, 0
        for epoch in progress(range(1, recipe.epochs + 1), "fine-tuning", unit="epoch"):
            loss = self._epoch(steps, generator, optimiser, schedule)
            validation_loss, score = self._judge()
            history.append(Epoch(epoch, loss, validation_loss, score))
            if score is None or best_score is None or score > best_score:
                best, best_score, stale = self._snapshot(), score, 0
            else:
                stale += 1
            if stale >= recipe.patience:
                break
        for module, state in zip((self.tail, self.classifier), best, strict=True):
            module.load_state_dict(state)
        return history

    def _optimiser(self, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        recipe = self.recipe
        groups = [{"params": list(module.parameters())} for module in (self.tail, self.classifier)]
        rates = [recipe.learning_rate * recipe.backbone_rate, recipe.learning_rate]
        optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rates, total_steps=recipe.epochs * steps + 1, pct_start=0.15, cycle_momentum=False
        )
        return optimiser, schedule

    def _epoch(
        self,
        steps: int,
        generator: torch.Generator,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
    ) -> float:
        """One pass: each photograph once, in one of its views."""
        self.tail.train()
        self.classifier.train()
        order = self.training[torch.randperm(len(self.training), generator=generator)]
        order = order.repeat(2) if len(order) == 1 else order  # batch normalisation cannot take a batch of one
        views = torch.randint(len(self.activations.values), (len(order),), generator=generator)
        total = 0.0
        for rows, numbers in zip(torch.tensor_split(order, steps), torch.tensor_split(views, steps), strict=True):
            inputs = self.activations.take(rows, numbers, self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                vectors = self.tail(inputs)
            value = self.loss(self._split(self.classifier(vectors)), self._targets(rows))
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_([*self.tail.parameters(), *self.classifier.parameters()], LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            total += float(value.detach()) * len(rows)
        return total / len(order)

    # ---- judging

    def probe(self) -> Figures:
        """Fit the heads, as a linear classifier, on the vectors as they are now; returns how good they are.

        It is fitted on the plain views of the training photographs. Training goes on from there: with heads that know
        nothing yet, the first steps would only distort layers that know much (Kumar et al., "Fine-Tuning can Distort
        Pretrained Features and Underperform Out-of-Distribution", ICLR 2022). Layers that know nothing themselves learn
        better together with new heads (:meth:`forget`).
        """
        vectors = self._vectors(self.training)
        norm, linear = self.classifier.norm, self.classifier.linear
        norm.running_mean, norm.running_var = vectors.mean(0), vectors.var(0, correction=0)
        norm.eval()
        inputs, targets = norm(vectors), self._targets(self.training)
        optimiser = torch.optim.AdamW(linear.parameters(), lr=PROBE_RATE, weight_decay=PROBE_DECAY)
        generator = torch.Generator().manual_seed(self.recipe.seed)
        steps = max(1, round(len(inputs) / PROBE_BATCH))
        for _ in range(max(PROBE_EPOCHS, -(-PROBE_STEPS // steps))):
            for rows in torch.tensor_split(torch.randperm(len(inputs), generator=generator), steps):
                optimiser.zero_grad(set_to_none=True)
                self.loss(self._split(linear(inputs[rows])), targets[rows]).backward()
                optimiser.step()
        return self.figures()

    def forget(self) -> None:
        """Take new heads, without an opinion."""
        sizes = self.dimension, sum(self.heads.sizes), self.recipe.dropout
        self.classifier = Classifier(*sizes).to(self.device)

    def figures(self) -> Figures:
        """How well the trained heads tell the validation photographs' labels."""
        return self._figures(self._logits(self.validation))

    def _judge(self) -> tuple[float | None, float | None]:
        """Loss and mean weighted F1 on the validation photographs; None without any."""
        if not len(self.validation):
            return None, None
        logits = self._logits(self.validation)
        loss = float(self.loss(self._split(logits), self._targets(self.validation)))
        scores = [each["weighted_f1"] for each in self._figures(logits) if each["samples"]]
        return loss, float(np.mean(scores))

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
        return self.targets[rows].to(self.device)

    def _split(self, logits: Tensor) -> tuple[Tensor, ...]:
        return torch.split(logits, list(self.heads.sizes), dim=1)

    def _snapshot(self) -> Sequence[dict[str, Any]]:
        return [
            {name: value.detach().clone() for name, value in module.state_dict().items()}
            for module in (self.tail, self.classifier)
        ]
