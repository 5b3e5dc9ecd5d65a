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
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from atelier.errors import AtelierError

JSON = "state"
"""The entry of the file's header that holds everything but the tensors."""
HEADER = 8
"""Bytes at the beginning of a safetensors file that say how long its header, which is JSON, is."""


class TrainingStateError(AtelierError):
    """A saved training state cannot be read, or belongs to another training; the message names the file."""


def fingerprint(*parts: str | npt.NDArray[Any] | Tensor) -> str:
    """A digest of texts and arrays: what a training is made from, so that it never resumes from another's state."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(json.dumps(part).encode())
            continue
        array = _bytes(part) if isinstance(part, Tensor) else part
        digest.update(f"{part.dtype} {tuple(part.shape)}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> npt.NDArray[np.uint8]:
    """The bytes of a tensor of any type, without a copy where it lies in one piece."""
    flat = tensor.detach().cpu().contiguous().flatten()
    # A tensor without numbers, or with one, counts as contiguous whatever its stride; as bytes it does not.
    content: npt.NDArray[np.uint8] = flat.as_strided((flat.numel(),), (1,)).view(torch.uint8).numpy()
    return content


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state; whoever reads meanwhile, or after the process was killed, finds this one or the one before.

    Args:
        path: the file; its folder is made if need be.
        state: nested dictionaries, lists and tuples of tensors, arrays, texts, numbers and None.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_packed(state, tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{uuid4().hex}.new")  # two processes may train the same at once
    try:
        save_file(tensors, fresh, {JSON: text})
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def kept(path: Path) -> bytes | None:
    """What a state's file holds; None where there is none.

    Raises:
        TrainingStateError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingStateError(f"{_unreadable(path, error)}: delete it to train from the start") from error


def read_state(path: Path, content: bytes | None = None) -> dict[str, Any]:
    """What :func:`write_state` wrote, with its tensors in main memory.

    Args:
        path: the file, which errors name.
        content: what the file holds, which may lie on another machine; None: it is read.

    Raises:
        TrainingStateError: the file cannot be read.
    """
    try:
        found = path.read_bytes() if content is None else content
        tensors = load(found)
        header = json.loads(found[HEADER : HEADER + int.from_bytes(found[:HEADER], "little")])
        state: dict[str, Any] = _unpacked(json.loads(header["__metadata__"][JSON]), tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error
    return state


def _unreadable(path: Path, error: Exception) -> TrainingStateError:
    return TrainingStateError(f"the training state {path} cannot be read ({error})")


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
