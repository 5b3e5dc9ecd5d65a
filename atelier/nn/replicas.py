"""This process among those that train one network together, each on its share of every batch (data parallelism).

What belongs here: which rows of a batch are this process's, and what all processes send to each other: sums, and what
the first one says. What does not: what a step is (the models), when to stop (:mod:`atelier.nn.training_loop`), starting
the processes (:mod:`resources.cluster_training`).

All replicas draw the same batches, so that the size of a batch does not depend on their number. Each computes the part
of the loss that its share of the rows has, divided by what the whole batch's mean is divided by: the sums of losses and
gradients over all replicas are then those of the whole batch, and all replicas take the same step. Tensors are sent,
never pickles.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from atelier.errors import AtelierError

CPU = torch.device("cpu")
NOTHING = -1
"""The length that stands for no content at all."""


class ReplicaLostError(AtelierError, ConnectionError):
    """Another replica does not answer: its process or its machine is gone, or it ended with an error of its own."""


class ReplicasError(AtelierError, ValueError):
    """What is asked for cannot be trained by several replicas; the message says why."""


@dataclass(frozen=True)
class Replicas:
    """This process among those that train one network together, connected by ``torch.distributed``'s process group.

    Attributes:
        rank: the number of this process, from 0. The first one judges the network, keeps its state and is watched.
        count: how many there are; with 1 nothing is sent, and no process group is needed.
        device: where tensors have to lie to be sent: NCCL sends those of a graphics card only.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @classmethod
    def of_process_group(cls, device: torch.device = CPU) -> Self:
        """The replicas that the process group of this process connects.

        Args:
            device: on which this process trains.
        """
        return cls(dist.get_rank(), dist.get_world_size(), device if dist.get_backend() == "nccl" else CPU)

    @property
    def first(self) -> bool:
        """Whether this is the replica that decides for all."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Which rows of a batch are this replica's: consecutive ones, about as many as any other's; perhaps none."""
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def shares(self, rows: int) -> list[slice]:
        """The shares of all replicas."""
        return [replace(self, rank=rank).share(rows) for rank in range(self.count)]

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum of every replica's tensor of this shape, the same bits on all of them.

        Raises:
            ReplicaLostError: another replica does not answer.
        """
        if self.count == 1:
            return tensor
        sent = tensor.detach().to(self.device, copy=True)
        with _together():
            dist.all_reduce(sent)
        return sent.to(tensor.device)

    def sum_gradients(self, tensors: Sequence[Tensor]) -> None:
        """Let each tensor have the sum of all replicas' gradients.

        A gradient that is None counts as zeros; where no replica has one it stays None, so that an optimiser leaves the
        tensor alone, as it would in a process of its own.

        Args:
            tensors: the same ones, in the same order, on every replica.

        Raises:
            ReplicaLostError: another replica does not answer.
        """
        if self.count == 1 or not tensors:
            return
        has = torch.tensor([each.grad is not None for each in tensors], dtype=torch.float32)
        parts = [(torch.zeros_like(each) if each.grad is None else each.grad).flatten() for each in tensors]
        both = self.summed(torch.cat([*parts, has.to(parts[0].device)]))
        sums, anybody = both[: -len(tensors)], both[-len(tensors) :]
        sums_of_each = torch.split(sums, [len(part) for part in parts])
        for place, (each, part) in enumerate(zip(tensors, sums_of_each, strict=True)):
            if each.grad is not None or anybody[place]:
                each.grad = part.view_as(each)

    def told(self, say: Callable[[], bytes | None]) -> bytes | None:
        """What the first replica says, on all of them.

        Args:
            say: is called on the first replica only.

        Raises:
            ReplicaLostError: another replica does not answer.
        """
        if self.count == 1:
            return say()
        content = say() if self.first else None
        length = torch.tensor([NOTHING if content is None else len(content)], device=self.device)
        with _together():
            dist.broadcast(length, 0)
            if int(length) == NOTHING:
                return None
            sent = torch.zeros(int(length), dtype=torch.uint8, device=self.device)
            if content:
                sent = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
            dist.broadcast(sent, 0)
        return bytes(sent.cpu().numpy().tobytes())

    def agreed(self, judge: Callable[[], Mapping[str, float]]) -> dict[str, float]:
        """The figures that the first replica finds, on all of them.

        Args:
            judge: is called on the first replica only.

        Raises:
            ReplicaLostError: another replica does not answer.
        """
        if self.count == 1:
            return dict(judge())
        found: dict[str, float] = json.loads(self.told(lambda: json.dumps(dict(judge())).encode()) or b"{}")
        return found

    def seed(self, seed: int, step: int, device: torch.device) -> None:
        """Let torch draw numbers in this step that are this replica's own: nothing of them has to be kept.

        With one replica nothing is seeded: it draws on.

        Args:
            seed: of the training.
            step: its number.
            device: whose generator is seeded beside the processor's.
        """
        if self.count == 1:
            return
        own = int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1, np.uint64)[0] >> 1)
        torch.default_generator.manual_seed(own)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(own)


ALONE = Replicas()
"""A process that trains by itself."""


class Summed(torch.autograd.Function):
    """The sum over all replicas as a part of a network: its gradient is the sum of all replicas' gradients of it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, replicas: Replicas) -> Tensor:
        """Sum."""
        ctx.replicas = replicas
        return replicas.summed(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        """Sum the gradients."""
        return ctx.replicas.summed(gradients[0]), None


@contextmanager
def _together() -> Iterator[None]:
    """Say of what fails in the block that it is another replica's doing: torch only says which socket was closed."""
    try:
        yield
    except RuntimeError as error:
        raise ReplicaLostError(f"another of the processes that train together does not answer: {error}") from error
