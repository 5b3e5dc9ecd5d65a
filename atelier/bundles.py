"""Models on disk: the one writer and the one reader of a bundle's files.

What belongs here: config.json, weights.safetensors and tables as Parquet, and what is wrong with a broken one. What
does not: which fields, arrays and tables a model has, which its own ``save`` and ``load`` know; id maps
(:class:`atelier.ids.IdMap`); pointers and manifests (:mod:`resources.model_store`).

The same content gives the same bytes. Every file that cannot be read is a BundleError that names it and the remedy.
Nothing that is read can run code.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from atelier.errors import AtelierError, BundleError

Array = npt.NDArray[Any]
Described = TypeVar("Described", bound=BaseModel)

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
REMEDY = "train the model again, or name another bundle"
FAULTS = OSError, ValueError, TypeError, KeyError, RuntimeError, pa.ArrowException, SafetensorError, AtelierError
"""What reading a file can raise: the file's, its format's and its content's faults."""


@contextmanager
def reading(path: Path, remedy: str = REMEDY) -> Iterator[None]:
    """Turn whatever goes wrong while ``path`` is read into an error that names it and the remedy.

    Raises:
        BundleError: the file is missing or broken, or its content does not fit the rest of the bundle.
    """
    try:
        yield
    except FAULTS as error:
        told = isinstance(error, BundleError)  # an inner file was named already
        raise error if told else BundleError(f"{path} cannot be read ({error}): {remedy}") from error


def write_config(folder: Path, described: BaseModel, name: str = CONFIG, *, sort_keys: bool = True) -> None:
    """Write what describes a bundle as JSON; the folder is made where it does not exist.

    Args:
        folder: the bundle.
        described: has a field ``format``, the number of the layout of the bundle's files.
        name: of the file.
        sort_keys: whether keys stand in alphabetical order; otherwise in that of the fields.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(described.model_dump(mode="json"), indent=2, sort_keys=sort_keys)
    (folder / name).write_text(text + "\n", encoding="utf-8")


def read_config(folder: Path, kind: type[Described], name: str = CONFIG, *, remedy: str = REMEDY) -> Described:
    """Read what :func:`write_config` wrote.

    Args:
        folder: the bundle.
        kind: what describes it; the default of its field ``format`` is the only format that can be read.
        name: of the file.
        remedy: what an error message advises.

    Raises:
        BundleError: the file is missing, broken, of another format, or a field is missing or not allowed.
    """
    try:
        raw = json.loads((folder / name).read_text(encoding="utf-8"))
        found = raw["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder} is no model bundle: {name} is missing or broken ({error}): {remedy}") from error
    if found != (wanted := kind.model_fields["format"].default):
        raise BundleError(f"{folder} has format {found}, this version reads {wanted}: {remedy}")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        wrong = " and ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors()))
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise BundleError(f"{folder / name} lacks {wrong} as this version knows it ({faults}): {remedy}") from error


def write_arrays(folder: Path, arrays: Mapping[str, Array], name: str = WEIGHTS) -> None:
    """Write arrays by name as safetensors."""
    # Unlike ascontiguousarray, require leaves an array without dimensions as it is.
    save_file({key: np.require(array, requirements="C") for key, array in arrays.items()}, folder / name)


def read_arrays(
    folder: Path, shapes: Mapping[str, list[int]] | None = None, name: str = WEIGHTS, *, remedy: str = REMEDY
) -> dict[str, Array]:
    """Read what :func:`write_arrays` wrote.

    Args:
        folder: the bundle.
        shapes: the shape of every array; None where config.json does not name them.
        name: of the file.
        remedy: what an error message advises.

    Raises:
        BundleError: the file is missing or broken, or an array is missing, too many or of another shape.
    """
    path = folder / name
    with reading(path, remedy):
        arrays: dict[str, Array] = load_file(path)
    found = shapes_of(arrays)
    wanted = found if shapes is None else shapes
    for key in sorted(found.keys() | wanted.keys()):
        if (have := found.get(key)) != (need := wanted.get(key)):
            raise BundleError(
                f"{path} does not belong to its config.json: of {key} it has the shape {have}, not {need}: {remedy}"
            )
    return arrays


def shapes_of(arrays: Mapping[str, Array]) -> dict[str, list[int]]:
    """The shape of each array, for a config.json that names them."""
    return {name: list(array.shape) for name, array in arrays.items()}


def digests(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 of files of a bundle, for a description that names them.

    Args:
        folder: the bundle.
        names: paths within it.
    """
    return {name: _digest(folder / name) for name in names}


def check_digests(folder: Path, names: Sequence[str], recorded: Mapping[str, str], *, remedy: str = REMEDY) -> None:
    """Make sure that files are those that were written with the description, before anything else reads them.

    Args:
        folder: the bundle.
        names: paths within it.
        recorded: what :func:`digests` gave when the bundle was written.
        remedy: what an error message advises.

    Raises:
        BundleError: a file is missing, damaged or of another bundle.
    """
    for name in names:
        with reading(folder / name, remedy):
            found = _digest(folder / name)
        if found != recorded.get(name):
            raise BundleError(
                f"{folder / name} is damaged, or the files of {folder} do not belong together (its SHA-256 is {found}, "
                f"not {recorded.get(name, 'recorded')}): {remedy}"
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def under(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def write_table(path: Path, table: pa.Table | pd.DataFrame) -> None:
    """Write a table as Parquet; of a DataFrame without its index."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path)


def read_table(path: Path, names: tuple[str, ...], *, remedy: str = REMEDY) -> pa.Table:
    """Read the columns ``names`` of what :func:`write_table` wrote.

    Raises:
        BundleError: the file is missing or broken, or lacks a column.
    """
    with reading(path, remedy):
        return pq.read_table(path).select(names)
