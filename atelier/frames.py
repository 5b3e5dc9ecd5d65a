"""Frames that callers hand over, and the one reader of their columns.

What belongs here: the rows and columns of a pandas DataFrame or an Arrow table, and any column as one Arrow array. What
does not: what a column means, identifiers as numbers (:mod:`atelier.ids`).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Float32s, Mask
from atelier.errors import AtelierError

Frame: TypeAlias = pd.DataFrame | pa.Table | pa.RecordBatch


def is_frame(values: Any) -> bool:
    """Whether ``values`` is a frame, and not for example a column or a list."""
    return isinstance(values, Frame)


def columns(frame: Frame) -> list[str]:
    """The names of a frame's columns, in their order."""
    return list(frame.columns) if isinstance(frame, pd.DataFrame) else list(frame.schema.names)


def where(frame: Frame, chosen: Mask) -> Frame:
    """The chosen rows, bool [rows]."""
    return frame.loc[chosen] if isinstance(frame, pd.DataFrame) else frame.filter(pa.array(chosen))


def select(frame: Frame, names: Sequence[str]) -> Frame:
    """The columns ``names``, in that order."""
    return frame[names] if isinstance(frame, pd.DataFrame) else frame.select(names)


def require(frame: Frame, names: Sequence[str], error: type[AtelierError], what: str) -> None:
    """Make sure that ``frame`` is a frame which has the columns ``names``.

    Args:
        frame: what a caller handed over.
        names: the columns that it needs.
        error: is raised otherwise, with a message that lists the columns there are.
        what: what the message calls the frame, for example ``"the frame of labels"``.
    """
    if not is_frame(frame):
        raise error(f"{what} has to be a pandas or Arrow frame, not {type(frame).__name__}")
    absent = [name for name in names if name not in columns(frame)]
    if absent:
        there = ", ".join(map(str, columns(frame))) or "none"
        raise error(f"{what} has no column {' and no column '.join(map(repr, absent))}; it has {there}")


def as_arrow(values: Any) -> Any:
    """Any column or iterable as an Arrow array, in chunks where it has any; NaN and None are null."""
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)


def whole(array: Any) -> Any:
    """An Arrow array without chunks; the dictionaries of its chunks become one."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    array = array.unify_dictionaries().combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array  # pyarrow 18 leaves the one chunk wrapped


def cast(values: Any, kind: Any, name: str, error: type[AtelierError], *, safe: bool = True) -> Any:
    """The values of the column ``name`` as one Arrow array of the type ``kind``.

    Args:
        values: what :func:`as_arrow` takes.
        kind: an Arrow type.
        name: of the column, for the message.
        error: is raised where a value cannot be cast.
        safe: whether a cast that loses digits is an error too.
    """
    try:
        return whole(as_arrow(values)).cast(kind, safe=safe)
    except pa.ArrowException as fault:
        given = getattr(values, "type", None) or getattr(values, "dtype", type(values).__name__)
        raise error(f"column {name} ({given}) cannot be read as {kind}: {fault}. Cast it before.") from fault


def column(frame: Frame, name: str, kind: Any, error: type[AtelierError]) -> Any:
    """The column ``name`` as :func:`cast` gives it; all null where the frame has no such column."""
    return cast(frame[name], kind, name, error) if name in columns(frame) else pa.nulls(len(frame), kind)


def matrix(lists: Any, name: str, error: type[AtelierError]) -> Float32s:
    """A column of lists of numbers, all of one length, as float32 [rows, length].

    Args:
        lists: an Arrow array of lists, of fixed size or not, without chunks.
        name: of the column, for the message.
        error: is raised where the lists differ in length, or one is null.
    """
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1 or None in lengths:
        raise error(f"column {name} mixes vectors of the lengths {lengths}: all have to be of one length, none null")
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return np.asarray(flat.reshape(len(lists), lengths[0] if lengths else 0))
