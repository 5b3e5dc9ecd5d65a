"""The one training loop: take steps, look at a score now and then, keep the best weights, resume after a kill.

What belongs here: when to look, when to stop, what is remembered, whose random state is used. What does not: what a
step is, which each model says; layers and losses; how a state lies on disk (:mod:`atelier.nn.training_state`).
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from atelier.devices import own_random_state, repeatable
from atelier.errors import AtelierError
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_state import TrainingStateError, kept, read_state, write_state
from atelier.progress import progress

FORMAT = 2
"""The layout of a saved state; a change that makes older ones unreadable raises it."""
MEMORY = ("_taken", "_stale", "_best_step", "_best_figure", "_best")
"""What a loop remembers beside its history, as a saved state names it."""
Schedule = Literal["constant", "one_cycle"]
"""What happens to the optimisers' steps in the course of a training."""

Batch = TypeVar("Batch")
NetworkT = TypeVar("NetworkT", bound=nn.Module)
NetworkT_contra = TypeVar("NetworkT_contra", bound=nn.Module, contravariant=True)
Score = Callable[[], Mapping[str, float]]
"""Gives figures on validation data, by name, of the network as it is; nan where there is nothing to judge by."""


class DivergedError(AtelierError, ArithmeticError):
    """The loss, the score or the weights are no finite numbers, and no earlier weights are worth keeping."""


@dataclass(frozen=True)
class Epoch:
    """What training gave between two looks, whether these are a pass over the data apart or some steps.

    Attributes:
        epoch: number of the look, from 1; 0 is the look before the first step, where there is one.
        step: steps of the optimiser so far.
        loss: mean training loss since the look before; None before the first step.
        validation: figures on validation data, by name.
    """

    epoch: int
    step: int
    loss: float | None
    validation: Mapping[str, float]

    def as_row(self) -> dict[str, float | int | None]:
        """The record as bundles keep it: one level, the figures' names after ``validation_``."""
        figures = {f"validation_{name}": value for name, value in self.validation.items()}
        return {"epoch": self.epoch, "step": self.step, "loss": self.loss, **figures}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record of a row; one without ``step`` has 0."""
        figures = {name.removeprefix("validation_"): row[name] for name in row if name.startswith("validation_")}
        return cls(row["epoch"], row.get("step", 0), row["loss"], figures)


class StepLoss(NamedTuple):
    """The loss of one step: a tensor without dimensions, ``weight`` times the mean that the step brings to an epoch."""

    total: Tensor
    weight: int = 1


class Stateful(Protocol):
    """Something whose state can be taken and given back: optimisers, their schedules, :class:`Passes`."""

    def state_dict(self) -> dict[str, Any]:
        """Dictionaries, lists and tuples of tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from a state, whose tensors lie in main memory."""
        ...


Part = Stateful | torch.Generator | np.random.Generator
"""Something beside the network that later steps depend on."""


class Passes(Generic[Batch]):
    """Endless passes over data, batch by batch; the batches of a pass are drawn when the last pass is used up.

    Args:
        draw: gives the batches of one pass: tensors, arrays, or tuples of them.
    """

    def __init__(self, draw: Callable[[], Iterable[Batch]]) -> None:
        self._draw = draw
        self._left: list[Batch] = []

    def next(self) -> Batch:
        """The next batch; one of a resumed pass lies in main memory."""
        if not self._left:
            self._left = list(self._draw())
        return self._left.pop(0)

    def state_dict(self) -> dict[str, Any]:
        """What is left of the pass."""
        return {"left": self._left}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Go on from such a state."""
        self._left = state["left"]


Watch = Callable[[Epoch], None]
"""Is told the record of each look, without any influence on the network; what it raises ends the training."""


@dataclass(frozen=True)
class Observer(Generic[NetworkT_contra]):
    """Somebody who watches a network while it is trained, without any influence on it.

    Attributes:
        every: steps between two calls; there is one before the first step as well.
        look: is called with the steps so far and the network as it is then, in evaluation mode. It may predict and draw
            random numbers; it must not change the network.
    """

    every: int
    look: Callable[[int, NetworkT_contra], None]


@dataclass(eq=False)
class TrainingLoop(Generic[NetworkT]):
    """Trains a network step by step, keeps its best weights, and goes on where a killed process was.

    Attributes:
        description: what the progress bar and errors call it.
        network: is changed in place. What is kept of it is its ``state_dict``.
        step: moves the weights once, in training mode. The loss is only read at the next look: on a GPU, reading waits
            for the step.
        parts: all that later steps depend on beside the network: optimisers, schedules, generators, :class:`Passes`.
        device: where the network lies.
        steps: steps at most.
        every: steps between two looks; the last step is looked at as well.
        patience: looks without better weights after which training stops.
        learning_rates: by the names that they have in the model's config: an error says which numbers to lower.
        score: judges the network in evaluation mode; None: nothing is judged.
        by: which figure of the score says which weights are better; None: the latest always are.
        direction: whether that figure falls or rises as weights become better.
        from_start: whether the weights before the first step are looked at too, and may be the best.
        observer: watches the network.
        watch: watches the records.
        state: the file that the training is saved in at each look, and resumed from; None: it is not saved.
        made_from: :func:`~atelier.nn.training_state.fingerprint` of config and data.
        schedule: ``one_cycle`` lets the learning rates of all optimisers among ``parts`` rise from a 25th of what they
            are to that within the first 30% of ``steps``, and fall to nearly nothing with the last one (L. Smith and N.
            Topin, Super-Convergence, 2018; PyTorch's ``OneCycleLR``, momentum stays). A training that stops early stops
            in the middle of the cycle. ``constant`` leaves them, and schedules among ``parts``, alone.
        replicas: the processes that train the network together, each of which runs this loop from the same beginning.
            The first one alone scores, is watched and observed, and keeps the state, from which all go on. A step's
            loss is then the share that this replica has in it, and torch's random numbers, dropout for example, are
            drawn anew in each step, by each replica others.

    Raises:
        ValueError: the schedule is ``one_cycle``, and no part is an optimiser.
    """

    description: str
    network: NetworkT
    step: Callable[[], StepLoss]
    parts: Mapping[str, Part]
    device: torch.device
    steps: int
    every: int
    patience: int
    learning_rates: Mapping[str, float]
    score: Score | None = None
    by: str | None = None
    direction: Literal["falls", "rises"] = "falls"
    from_start: bool = False
    observer: Observer[NetworkT] | None = None
    watch: Watch | None = None
    state: Path | None = None
    made_from: str = ""
    schedule: Schedule = "constant"
    replicas: Replicas = ALONE

    def __post_init__(self) -> None:
        self._history: list[Epoch] = []
        self._best: dict[str, Tensor] = {}
        self._best_figure: float | None = None
        self._taken = self._best_step = self._stale = 0
        self._schedules = self._cycles() if self.schedule == "one_cycle" else {}

    def run(self) -> list[Epoch]:
        """Train until the score stops getting better; the network ends with its best weights.

        A training that was killed and is run again from the same beginning with the same ``state`` goes on after its
        last look and ends with the same bytes, wherever its steps themselves are repeatable. The file is removed at the
        end.

        Returns:
            A record of each look.

        Raises:
            DivergedError: the loss, the deciding figure or the weights are not finite, and no look before was better.
                Where one was, training ends with its weights and a warning.
            TrainingStateError: the file cannot be opened, or belongs to another training.
            ReplicaLostError: another replica does not answer.
        """
        seed = torch.initial_seed()
        with own_random_state(self.device), repeatable(self.device):
            if not self._resumed():
                self._observe(0)
                if self.from_start:
                    self._look(0, None)
            self.network.train()
            total, weight = torch.zeros(()), 0
            for step in progress(range(self._taken + 1, self.steps + 1), self.description, unit="step"):
                if self._stale >= self.patience:
                    break
                self.replicas.seed(seed, step, self.device)
                loss = self.step()
                if step < self.steps:  # a cycle has a rate for each step, and none after the last
                    for each in self._schedules.values():
                        each.step()
                total, weight = loss.total if not weight else total + loss.total, weight + loss.weight
                self._observe(step)
                if step % self.every == 0 or step == self.steps:
                    if not self._look(step, float(self.replicas.summed(total)) / weight):
                        break
                    weight = 0
        self.network.load_state_dict(self._best)
        if self.state is not None and self.replicas.first:
            self.state.unlink(missing_ok=True)
        return self._history

    def _cycles(self) -> "dict[str, torch.optim.lr_scheduler.OneCycleLR]":
        """The schedule of each optimiser, by the name under which its state is saved."""
        optimisers = {name: part for name, part in self.parts.items() if isinstance(part, torch.optim.Optimizer)}
        if not optimisers:
            raise ValueError(
                f"{self.description}: the schedule one_cycle needs an optimiser among the parts, and there is none; "
                "hand it over, or train by the schedule constant"
            )
        return {
            f"schedule of {name}": torch.optim.lr_scheduler.OneCycleLR(
                optimiser,
                [float(group["lr"]) for group in optimiser.param_groups],
                total_steps=self.steps,
                cycle_momentum=False,
            )
            for name, optimiser in optimisers.items()
        }

    def _observe(self, step: int) -> None:
        """Let the observer look where it is time to, and leave mode and random state as they were."""
        if self.observer is not None and self.replicas.first and step % self.observer.every == 0:
            was_training = self.network.training
            with own_random_state(self.device):
                self.observer.look(step, self.network.eval())
            self.network.train(was_training)

    def _look(self, step: int, loss: float | None) -> bool:
        """Judge the network and keep its weights if they are better; False where the numbers are not finite."""
        weights = self.network.eval().state_dict()
        finite = (loss is None or math.isfinite(loss)) and _finite(weights)
        figures = self.replicas.agreed(self.score) if finite and self.score is not None else {}
        figure = figures[self.by] if finite and self.by is not None else None
        if not finite or (figure is not None and not math.isfinite(figure)):
            self._diverged(step, loss, figure)
            return False
        self._taken = step
        self._history.append(Epoch(len(self._history) + (not self.from_start), step, loss, figures))
        self._stale += 1
        if self._is_better(figure):
            self._best = {name: value.detach().clone() for name, value in weights.items()}
            self._best_figure, self._best_step, self._stale = figure, step, 0
        if self.state is not None and self.replicas.first:
            self._save(self.state)
        if self.watch is not None and self.replicas.first:
            self.watch(self._history[-1])
        self.network.train()
        return True

    def _is_better(self, figure: float | None) -> bool:
        """Whether a figure is better than the best so far; without figures the latest weights are."""
        if figure is None or self._best_figure is None:
            return True
        return figure < self._best_figure if self.direction == "falls" else figure > self._best_figure

    def _diverged(self, step: int, loss: float | None, figure: float | None) -> None:
        """Say that the numbers are not finite, and which to lower."""
        rates = " or ".join(f"{name} ({rate})" for name, rate in self.learning_rates.items())
        judged = "" if figure is None else f", {self.by} on validation data {figure}"
        text = f"{self.description}: at step {step:,} the loss is {loss}{judged}; lower {rates}"
        if not self._history:
            raise DivergedError(text)
        warnings.warn(f"{text}. The weights of step {self._best_step:,} are kept", stacklevel=4)

    def _identity(self) -> dict[str, Any]:
        """What has to be the same for a state to be this training's."""
        names = ("description", "steps", "every", "patience", "by", "direction", "from_start", "made_from", "schedule")
        plan = {name: getattr(self, name) for name in names} | {"replicas": self.replicas.count}
        return {"format": FORMAT, "device": self.device.type, "learning_rates": dict(self.learning_rates), **plan}

    def _save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        random = {"cpu": torch.random.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        parts = {name: _state(part) for name, part in {**self.parts, **self._schedules}.items()}
        memory = {name: getattr(self, name) for name in MEMORY}
        history = [epoch.as_row() for epoch in self._history]
        now = {"network": self.network.state_dict(), "parts": parts, "random": random, "history": history}
        write_state(path, self._identity() | now | memory)

    def _resumed(self) -> bool:
        """Take up what was saved; False where nothing is. The first replica reads the file, and sends it to the others.

        A file that is damaged is as good as none: a warning names it, and training starts anew and replaces it.

        Raises:
            TrainingStateError: the file cannot be opened, or is another training's.
        """
        path = self.state
        if path is None:
            return False
        content = self.replicas.told(partial(kept, path))
        if content is None:
            return False
        try:
            saved = read_state(path, content)
        except TrainingStateError as error:
            warnings.warn(f"{self.description}: {error}. Training starts anew", stacklevel=3)
            return False
        for name, value in self._identity().items():
            if saved.get(name) != value:
                raise TrainingStateError(
                    f"the training state {path} is of another training ({name} is {saved.get(name)!r} there and "
                    f"{value!r} here): delete it to train from the start"
                )
        self.network.load_state_dict(saved["network"])
        for name, part in {**self.parts, **self._schedules}.items():
            _restore(part, saved["parts"][name])
        torch.random.set_rng_state(saved["random"]["cpu"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(saved["random"]["cuda"], self.device)
        self._history = [Epoch.from_row(row) for row in saved["history"]]
        for name in MEMORY:
            setattr(self, name, saved[name])
        return True


def _state(part: Part) -> Any:
    if isinstance(part, torch.Generator):
        return part.get_state()
    return part.bit_generator.state if isinstance(part, np.random.Generator) else part.state_dict()


def _restore(part: Part, state: Any) -> None:
    if isinstance(part, torch.Generator):
        part.set_state(state)
    elif isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    else:
        part.load_state_dict(state)


def _finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether all floating-point numbers are finite; read once, since on a GPU each reading waits."""
    flags = [value.isfinite().all() for value in tensors.values() if value.is_floating_point()]
    return not flags or bool(torch.stack(flags).all())
