"""What is trained by one process and by several that train together, for the comparison of their networks.

python -m tests.nn.replica_worker RANK COUNT FOLDER

is one of several: it meets the others by a file of the folder, and leaves what it trained there, as RANK.safetensors.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from atelier import recommenders
from atelier.attributes import AttributeConfig, AttributeModel
from atelier.nn.batch_norm import BatchNorm, share_statistics
from atelier.nn.replicas import ALONE, Replicas
from atelier.nn.training_loop import Epoch
from atelier.recommenders.base import Recommender
from tests.attributes.conftest import plant
from tests.nn.toy import Killed
from tests.recommenders.factorisation.planted import CATALOGUE, FRAME
from tests.recommenders.sequential.circle import circle

Trained = dict[str, Tensor]
WITHOUT_INFLUENCE = "attention.inputs.bias"
"""What is added to all keys of an attention alike changes nothing: AdamW moves it by what rounding leaves."""
SPENT = pd.DataFrame({"customer_id": sorted(set(FRAME["customer_id"])), "age": np.arange(240) % 50})
HYBRID: dict[str, Any] = {"factors": 8, "hidden": [16], "dropout": 0.0, "max_epochs": 2, "batch_size": 300}
HYBRIDS: dict[str, dict[str, Any]] = {
    "shared negatives": {"negatives": 30, "l2_content": 0.01, "l2_embedding": 0.01},
    "own negatives": {
        "negatives": 8,
        "negative_sampling": "per_customer",
        "loss": "wmrb",
        "customer_attributes": ["age"],
    },
}
SEQUENCE: dict[str, Any] = {
    "factors": 8,
    "dropout": 0.0,
    "content_dropout": 0.0,
    "max_epochs": 2,
    "batch_interactions": 150,
    "negatives": 10,
    "validation_share": 0.2,
}
SEQUENCES: dict[str, tuple[str, dict[str, Any]]] = {
    "transformer": ("transformer", {"heads": 2, "hidden": [8], "schedule": "one_cycle"}),
    "sequencer": (
        "sequencer",
        {"units": 8, "output": "untied", "customer_factors": 4, "embedding_optimiser": "adam", "loss": "gbce"},
    ),
}
ATTRIBUTES = AttributeConfig(
    image_units=8,
    filters=8,
    text_units=8,
    token_dim=4,
    brand_dim=2,
    joint_units=8,
    pair_units=4,
    members=2,
    batch_size=32,
    max_epochs=2,
    dropout=0.0,
    precision="float32",
)


class Uneven(Replicas):
    """The last replica has most rows of a batch; the others have none of a small one."""

    def share(self, rows: int) -> slice:
        each = rows // 50
        return slice(each * self.rank, rows if self.rank == self.count - 1 else each * (self.rank + 1))


def trained(replicas: Replicas) -> Trained:
    """The losses and the weights of every kind of model."""
    found: Trained = {}
    for name, config in HYBRIDS.items():
        found |= _of_recommender(name, fitted_hybrid(replicas, **config))
    for name, (model, config) in SEQUENCES.items():
        fitted: Any = recommenders.build(model, **SEQUENCE | config)
        fitted.replicas = replicas
        found |= _of_recommender(name, fitted.fit(circle(60)))
    # Some of its weights have no influence, since what they add is normalised away: Adam would move them by what
    # rounding leaves of their gradients, as far as any others.
    with mock.patch.object(torch.optim, "AdamW", lambda groups, rate, fused: torch.optim.SGD(groups, 10 * rate)):
        found |= _of_attributes("joint", replicas, ATTRIBUTES)
    published = {
        "training": "published",
        "learning_rate": 0.05,
        "evaluate_every": 8,
        "mentions": False,
        "max_epochs": 1,
        "members": 1,
    }
    return found | _of_attributes("published", replicas, ATTRIBUTES.model_copy(update=published))


def fitted_hybrid(replicas: Replicas, state: Path | None = None, **config: Any) -> Any:
    """A model with content, embeddings and styles."""
    model: Any = recommenders.build("hybrid", **HYBRID | config)
    model.replicas, model.training_state = replicas, state
    return model.fit(FRAME, CATALOGUE, SPENT)


def _of_recommender(name: str, model: Recommender[Any]) -> Trained:
    arrays = {
        f"{name}: {key}": torch.from_numpy(np.array(value))
        for key, value in model.weights.items()
        if not key.endswith(WITHOUT_INFLUENCE)
    }
    epochs: list[Epoch] = vars(model)["epochs"]
    return arrays | {f"{name}: history": _figures(epochs)}


def _of_attributes(name: str, replicas: Replicas, config: AttributeConfig) -> Trained:
    planted = plant(150)
    model = AttributeModel(config)
    model.replicas = replicas
    model.fit(planted.articles, planted.labels)
    assert model.network is not None
    found = {f"{name}: {key}": value for key, value in model.network.state_dict().items()}
    return found | {f"{name}: history": _figures(model.history)}


def _figures(history: list[Epoch]) -> Tensor:
    return torch.tensor([[epoch.loss or 0.0, *epoch.validation.values()] for epoch in history], dtype=torch.float64)


def normalised(replicas: Replicas) -> Trained:
    """Batch normalisation of rows of which the mean is large and the variance small: values, gradients, statistics."""
    draws = torch.Generator().manual_seed(0)
    rows, wanted = torch.randn((40, 3), generator=draws) + 100, torch.randn((40, 3), generator=draws)
    norm = BatchNorm(3)
    nn.init.normal_(norm.weight, generator=draws)
    share_statistics(norm, replicas)
    mine = replicas.share(40)
    read = rows[mine].requires_grad_()
    given = norm(read)
    (given * wanted[mine]).sum().backward()
    replicas.sum_gradients([norm.weight, norm.bias])
    assert read.grad is not None
    assert norm.weight.grad is not None
    found = {"values": given, "gradient": read.grad, "of weight": norm.weight.grad}
    statistics = {name: value.float() for name, value in norm.named_buffers()}
    return {name: value.detach().contiguous() for name, value in (found | statistics).items()}


def messages(replicas: Replicas) -> Trained:
    """What replicas send to each other."""
    rank = replicas.rank
    some, nobody, first = torch.zeros(2, 2), torch.zeros(3), torch.zeros(4)
    some.grad = torch.full((2, 2), float(rank + 1))
    if rank == 0:
        first.grad = torch.arange(4.0)
    replicas.sum_gradients([some, nobody, first])
    assert nobody.grad is None
    assert some.grad is not None
    assert first.grad is not None
    assert replicas.told(lambda: None) is None
    assert replicas.told(lambda: b"") == b""
    assert replicas.told(lambda: f"from {rank}".encode()) == b"from 0"
    agreed = replicas.agreed(lambda: {"rank": float(rank), "third": 1 / 3, "none": float("nan")})
    figures = torch.tensor(list(agreed.values()), dtype=torch.float64)
    return {"some": some.grad.contiguous(), "first": first.grad.contiguous(), "agreed": figures}


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Let hybrid's training be killed, on every replica, in a step."""
    from atelier.recommenders.factorisation.hybrid_training import Trainer

    count, step = itertools.count(1), Trainer.step

    def or_die(trainer: Trainer, batch: Any) -> Tensor:
        if next(count) > steps:
            raise Killed
        return step(trainer, batch)

    with mock.patch.object(Trainer, "step", or_die):
        yield


def resumed(replicas: Replicas, folder: Path) -> Trained:
    """A training with dropout, undisturbed and killed in its second epoch; only the first replica sees the state."""
    config = {"dropout": 0.5, "max_epochs": 3}
    whole = _of_recommender("whole", fitted_hybrid(replicas, **config))
    state = folder / f"state of {replicas.rank}"
    with killed_after(6):
        try:
            fitted_hybrid(replicas, state, **config)
        except Killed:
            assert state.exists() == replicas.first
        else:
            raise AssertionError("it was not killed")
    again = _of_recommender("again", fitted_hybrid(replicas, state, **config))
    assert not state.exists()
    return whole | again


def main(rank: int, count: int, folder: Path) -> None:
    """Train everything as one of ``count`` processes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo" if sys.platform == "linux" else "lo0"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count)
    replicas = Replicas.of_process_group()
    assert replicas == Replicas(rank, count)
    parts: dict[str, Callable[[], Trained]] = {
        "even": lambda: trained(replicas),
        "uneven": lambda: trained(Uneven(rank, count)),
        "normalised": lambda: normalised(replicas),
        "messages": lambda: messages(replicas),
        "resumed": lambda: resumed(replicas, folder),
    }
    found = {f"{part}/{name}": value for part, make in parts.items() for name, value in make().items()}
    save_file({name: value.detach().contiguous() for name, value in found.items()}, folder / f"{rank}.safetensors")
    dist.destroy_process_group()


def alone() -> Trained:
    """The same by one process."""
    return trained(ALONE)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
