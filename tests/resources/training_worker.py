"""Fits for tests of training on a cluster: small ones, some of which wait until the test has killed a node.

What belongs here: what the processes of the cluster do. What does not: the tests.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from atelier.attributes import AttributeConfig, fit_and_evaluate
from atelier.nn.replicas import Replicas
from atelier.nn.training_loop import TrainingLoop
from resources.recommender_fit import RecommenderFit
from tests.attributes.conftest import plant
from tests.recommenders.factorisation.planted import CATALOGUE, LEARNS, TRAIN
from tests.resources.waiting_worker import wait

CONFIGS: dict[str, dict[str, Any]] = {
    "hybrid": LEARNS | {"dropout": 0.3, "max_epochs": 6},
    "transformer": {"factors": 8, "hidden": [8], "heads": 2, "max_epochs": 4, "batch_interactions": 300},
}
ATTRIBUTES = AttributeConfig(
    image_units=16, filters=16, text_units=16, token_dim=8, brand_dim=2, joint_units=16, batch_size=64, max_epochs=25
)


def recommender_fit(name: str, state: Path | None = None) -> RecommenderFit:
    """The fit of a recommender on customers of planted tastes."""
    return RecommenderFit(name, CONFIGS[name], "cpu", (TRAIN, CATALOGUE, None), state)


def attribute_fit() -> "partial[Any]":
    """The fit of an attribute model on planted attributes, and its figures."""
    planted = plant(400)
    return partial(fit_and_evaluate, planted.articles, planted.labels, ATTRIBUTES)


@dataclass(frozen=True)
class WaitingFit:
    """A fit that says, once its training was kept twice, on which node it is, and waits for the file ``go``.

    Where the file is there already, it does not wait.

    Attributes:
        fit: what is fitted.
        folder: holds ``go``, and a file for each process that waited.
    """

    fit: RecommenderFit
    folder: Path

    def __call__(self, replicas: Replicas) -> Any:
        """Fit."""
        look = TrainingLoop._look

        def waiting(loop: Any, step: int, loss: float | None) -> bool:
            going_on = look(loop, step, loss)
            if len(loop._history) == 2:
                wait(self.folder)
            return going_on

        TrainingLoop._look = waiting  # type: ignore[method-assign]
        (self.folder / f"begun at step {_taken(self.fit.state)} {replicas.rank} {os.getpid()}").touch()
        return self.fit(replicas)


def _taken(state: Path | None) -> int:
    """The step from which a training goes on."""
    from atelier.nn.training_state import read_state

    return 0 if state is None or not state.exists() else int(read_state(state)["_taken"])


class Broken:
    """A fit that fails in one of its processes, of a mistake of its own."""

    def __call__(self, replicas: Replicas) -> None:
        """Fail in the second process; the first waits for it."""
        if replicas.rank == 1:
            raise ValueError("the columns are not those of the catalogue")
        replicas.summed(torch.ones(1))


@dataclass(frozen=True)
class Dying:
    """A fit whose second process dies each time.

    Attributes:
        folder: gets a file for each death.
    """

    folder: Path

    def __call__(self, replicas: Replicas) -> None:
        """Die, or wait for the other."""
        if replicas.rank == 1:
            (self.folder / f"died {os.getpid()}").touch()
            os._exit(1)
        replicas.summed(torch.ones(1))
