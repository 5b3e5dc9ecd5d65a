"""The activations of a backbone's frozen layers on photographs: computed once, stored in memory.

What belongs here: running the frozen layers over every view of every photograph, within a limit of memory. What does
not: training on the activations (:mod:`atelier.images.tuning`).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from atelier.devices import copied
from atelier.images.augmentation import Views
from atelier.images.decode import ImageRejected
from atelier.images.embedding import Normalised
from atelier.images.finetuning_config import Augmentation
from atelier.images.loading import DECODE_THREADS, load
from atelier.images.preprocessing import Preprocessing
from atelier.progress import progress

log = logging.getLogger(__name__)

BATCH_SIZE = 32
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Activations:
    """The activations of the frozen layers on n photographs.

    Attributes:
        photographs: those that could be read, in the order in which they were given; n rows.
        values: bfloat16 [views, n + unreadable, …], in main memory; view 0 is the plain one.
        rows: int64 [n]: the row of each photograph in ``values``. The rows of unreadable photographs stay unused,
            because removing them would need twice the memory.
        unreadable: how many could not be read.
    """

    photographs: pd.DataFrame
    values: Tensor
    rows: Tensor
    unreadable: int

    def take(self, rows: Tensor, views: Tensor | None = None, device: torch.device = CPU) -> Tensor:
        """Activations of some photographs: float32 [rows, …].

        Args:
            rows: int64 [rows]: rows of ``photographs``.
            views: int64 [rows]: the view of each; None: the plain one.
            device: where the result is needed.
        """
        numbers = torch.zeros_like(rows) if views is None else views
        return copied(self.values[numbers, self.rows[rows]], device).float()


@dataclass(frozen=True)
class Viewing:
    """How views of photographs are drawn and read.

    Attributes:
        views: views of each photograph; fewer where memory does not hold them.
        augmentation: how all but the first are drawn.
        seed: of the views.
        memory_bytes: memory that the activations may take.
        root: the folder of the photographs; None: any folder.
        threads: threads that decode.
    """

    views: int
    augmentation: Augmentation
    seed: int
    memory_bytes: int
    root: str | Path | None = None
    threads: int = DECODE_THREADS


def compute_activations(
    frozen: nn.Module, preprocessing: Preprocessing, photographs: pd.DataFrame, viewing: Viewing, device: torch.device
) -> Activations:
    """Run frozen layers once over every view of every photograph, as far as memory allows.

    Where not even one view of each fits, photographs are left out, evenly over their order, and a warning says so.

    Args:
        frozen: normalised pixels → activations.
        preprocessing: of the backbone.
        photographs: path, and if known digest (SHA-256); one row each.
        viewing: how their views are drawn and read.
        device: where to compute.
    """
    layers = Normalised(frozen, preprocessing, device, "auto")
    shape = layers(torch.zeros((1, 3, preprocessing.crop, preprocessing.crop), dtype=torch.uint8)).shape[1:]
    room = viewing.memory_bytes // (2 * shape.numel())  # views of photographs
    photographs = _thin(photographs, room)
    views = max(1, min(viewing.views, room // max(len(photographs), 1)))
    values = torch.empty((views, len(photographs), *shape), dtype=torch.bfloat16)
    ok = np.ones(len(photographs), bool)
    for number in range(views):
        drawn = Views.draw(preprocessing, viewing.augmentation, len(photographs), viewing.seed, number)
        what = f"frozen layers, view {number + 1} of {views}"
        ok &= _fill(values[number], layers, preprocessing, photographs, drawn, viewing, what)
    rows = torch.from_numpy(np.flatnonzero(ok))
    return Activations(photographs[ok].reset_index(drop=True), values, rows, int((~ok).sum()))


def _thin(photographs: pd.DataFrame, room: int) -> pd.DataFrame:
    """At most ``room`` photographs, evenly over their order."""
    if len(photographs) <= room:
        return photographs
    log.warning("memory holds %d of %d photographs: the others are left out; raise memory_gib", room, len(photographs))
    chosen = np.linspace(0, len(photographs) - 1, max(room, 1)).astype(np.int64)
    return photographs.iloc[chosen].reset_index(drop=True)


def _fill(
    values: Tensor,
    layers: Normalised,
    preprocessing: Preprocessing,
    photographs: pd.DataFrame,
    views: Views,
    viewing: Viewing,
    what: str,
) -> npt.NDArray[np.bool_]:
    """Write the activations of one view of each photograph; returns which could be read."""
    total, side = len(photographs), preprocessing.crop
    digests: Sequence[str] | None = photographs["digest"].tolist() if "digest" in photographs else None
    decoded = load(
        photographs["path"].tolist(),
        views.pixels,
        needed=preprocessing.needed,
        ahead=2 * BATCH_SIZE,
        root=viewing.root,
        digests=digests,
        threads=viewing.threads,
    )
    images = progress(decoded, what, total=total, unit="image")
    ok = np.ones(total, bool)
    for start in range(0, total, BATCH_SIZE):
        pixels = np.zeros((BATCH_SIZE, 3, side, side), np.uint8)  # a full batch always: results depend on its size
        batch = list(islice(images, BATCH_SIZE))
        for index, image in enumerate(batch):
            if isinstance(image, ImageRejected):
                ok[start + index] = False
                log.warning("left out: %s", image)
            else:
                pixels[index] = image
        values[start : start + len(batch)] = layers(torch.from_numpy(pixels))[: len(batch)].to(torch.bfloat16).cpu()
    next(images, None)  # ends the generator, so that the progress bar and the threads finish
    return ok
