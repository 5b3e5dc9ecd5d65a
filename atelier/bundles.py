"""Model bundles on disk: a folder of config.json and weights.safetensors, beside id maps as Parquet.

What belongs here: writing and reading the two files, and what is wrong with a broken folder. What does not: which
arrays a model has (:mod:`atelier.recommenders.base`), pointers and manifests (the model store's business).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.errors import BundleError

Array = npt.NDArray[Any]

FORMAT = 2
"""The layout of a bundle; a change that old code cannot read, or new code cannot read of old, raises it."""


def write(folder: Path, model: str, config: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Write config.json, which also names the arrays' shapes, and weights.safetensors; same arguments, same bytes."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    content = {"model": model, "format": FORMAT, "config": config, "arrays": shapes}
    (folder / "config.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / "weights.safetensors")


def read_config(folder: Path, expected: str | None = None) -> dict[str, Any]:
    """A bundle's config.json: ``model``, ``format``, ``config``, ``arrays`` (the shape of each).

    Raises:
        BundleError: it is missing, unreadable, of another format, or not of the model ``expected``.
    """
    try:
        raw: dict[str, Any] = json.loads((folder / "config.json").read_text())
        model, format_ = str(raw["model"]), raw["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder} is no model bundle: config.json is missing or broken ({error})") from error
    if format_ != FORMAT:
        raise BundleError(f"{folder} has format {format_}, this version reads {FORMAT}: train the model again")
    if absent := [name for name in ("config", "arrays") if not isinstance(raw.get(name), dict)]:
        raise BundleError(f"config.json of {folder} lacks {' and '.join(absent)}: train the model again")
    if expected is not None and model != expected:
        raise BundleError(f"{folder} holds the model {model}, not {expected}: use recommenders.load")
    return raw


def read_arrays(folder: Path, shapes: dict[str, Any]) -> dict[str, Array]:
    """A bundle's arrays, which have to have the ``shapes`` that config.json names.

    Raises:
        BundleError: the file is missing or broken, or an array is missing, too many or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / "weights.safetensors"
    try:
        arrays: dict[str, Array] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path} is missing or broken ({error}): train the model again") from error
    found = {name: list(array.shape) for name, array in arrays.items()}
    wrong = sorted(name for name in found.keys() | shapes.keys() if found.get(name) != shapes.get(name))
    if wrong:
        raise BundleError(
            f"{path} does not belong to its config.json: of {wrong[0]} it has the shape {found.get(wrong[0])}, "
            f"not {shapes.get(wrong[0])}: train the model again"
        )
    return arrays


def under(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
