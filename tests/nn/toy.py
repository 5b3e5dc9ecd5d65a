"""A small network to train: with dropout, drawn batches, AdamW and a schedule, so that a resumed fit needs them all.

Run as a script, it kills itself in the middle of a training, as an operating system would.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from atelier.devices import own_random_state
from atelier.nn.training_loop import Epoch, Observer, Part, Passes, StepLoss, TrainingLoop
from atelier.nn.training_state import write_state

STEPS, EVERY = 16, 5


class Killed(Exception):
    """Stands for a kill."""


def kill_after_look(patch: pytest.MonkeyPatch, looks: int) -> None:
    """Let whatever is trained next be killed when it has saved its state so many times."""
    written = 0

    def write(path: Path, state: dict[str, Any]) -> None:
        nonlocal written
        write_state(path, state)
        written += 1
        if written == looks:
            raise Killed

    patch.setattr("atelier.nn.training_loop.write_state", write)


class Toy:
    """Regression on fixed random rows, eight at a step; with ``cycles`` the toy has a schedule of its own."""

    def __init__(
        self, device: str = "cpu", kill_at: int | None = None, signalled: bool = False, cycles: bool = True
    ) -> None:
        self.device, self.kill_at, self.signalled, self.taken = torch.device(device), kill_at, signalled, 0
        draws = torch.Generator().manual_seed(0)
        self.inputs = torch.randn((64, 6), generator=draws).to(device)
        self.truth = self.inputs[:, :1] * 2 + 1
        self.network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1)).to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=0.05)
        if cycles:
            self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, 0.05, total_steps=STEPS + 1)
        self.generator = torch.Generator().manual_seed(1)
        self.passes = Passes(lambda: torch.randperm(64, generator=self.generator).to(device).split(8))
        self.cycles, self.rates = cycles, list[float]()
        self.parts: dict[str, Part] = {"optimiser": self.optimiser}
        if cycles:
            self.parts["schedule"] = self.schedule
        self.parts |= {"generator": self.generator, "passes": self.passes}

    def step(self) -> StepLoss:
        self.taken += 1
        rows = self.passes.next().to(self.device)
        loss = (self.network(self.inputs[rows]) - self.truth[rows]).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.rates.append(self.optimiser.param_groups[0]["lr"])
        self.optimiser.step()
        if self.cycles:
            self.schedule.step()
        if self.taken == self.kill_at:
            if self.signalled:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Killed
        return StepLoss(loss.detach())

    @torch.no_grad()
    def score(self) -> dict[str, float]:
        return {"loss": float((self.network(self.inputs) - self.truth).abs().mean())}


def train(
    state: Path | None,
    device: str = "cpu",
    kill_at: int | None = None,
    signalled: bool = False,
    observer: Observer[Any] | None = None,
    **changes: Any,
) -> tuple[list[Epoch], dict[str, Tensor]]:
    """The history and the weights of a training from the start or from ``state``."""
    with own_random_state(torch.device(device), 3):
        toy = Toy(device, kill_at, signalled, cycles=changes.get("schedule") != "one_cycle")
        plan: dict[str, Any] = {"steps": STEPS, "every": EVERY, "patience": 9, "learning_rates": {"rate": 0.05}}
        plan |= {"by": "loss", "state": state, "score": toy.score, "observer": observer} | changes
        history = TrainingLoop("toy", toy.network, toy.step, toy.parts, toy.device, **plan).run()
    return history, {name: value.cpu() for name, value in toy.network.state_dict().items()}


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    train(Path(sys.argv[1]), kill_at=int(sys.argv[2]), signalled=True)
