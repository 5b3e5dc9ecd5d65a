"""What a training can be resumed from: one file of tensors and JSON, replaced as a whole.

What belongs here: nested dictionaries of tensors and plain values on disk, and the fingerprint that says whose they
are. What does not: which values a training has (:mod:`atelier.nn.training_loop`), finished models
(:mod:`atelier.bundles`).
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from atelier.errors import AtelierError

JSON = "state"
"""The entry of the file's header that holds everything but the tensors."""


class TrainingStateError(AtelierError):
    """A saved training state cannot be read, or belongs to another training; the message names the file."""


def fingerprint(*parts: str | npt.NDArray[Any] | Tensor) -> str:
    """A digest of texts and arrays: what a training is made from, so that it never resumes from another's state."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(json.dumps(part).encode())
            continue
        array = part.detach().cpu().contiguous().view(torch.uint8).numpy() if isinstance(part, Tensor) else part
        digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; whoever reads meanwhile, or after the process was killed, finds this one or the one before.

    Args:
        path: the file; its folder is made if need be.
        state: nested dictionaries, lists and tuples of tensors, arrays, texts, numbers and None.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_packed(state, tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    save_file(tensors, fresh, {JSON: text})
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """What :func:`write_state` wrote, with its tensors in main memory.

    Raises:
        TrainingStateError: the file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state: dict[str, Any] = _unpacked(json.loads(file.metadata()[JSON]), tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise TrainingStateError(
            f"the training state {path} cannot be read ({error}): delete it to train from the start"
        ) from error
    return state


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON. Its tensors go to ``tensors``; dictionaries become pairs, since their keys may be numbers."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, np.ndarray):
        return {"array": _packed(torch.from_numpy(value), tensors)["tensor"]}
    if isinstance(value, dict):
        return {"pairs": [[key, _packed(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_packed(each, tensors) for each in value]}
    return value


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind in ("tensor", "array"):
        return tensors[content] if kind == "tensor" else tensors[content].numpy()
    if kind == "pairs":
        return {key: _unpacked(each, tensors) for key, each in content}
    return {"list": list, "tuple": tuple}[kind](_unpacked(each, tensors) for each in content)
