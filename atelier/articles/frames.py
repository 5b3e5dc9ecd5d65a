"""Columns out of the frames that callers hand over.

What belongs here: reading a column of a pandas DataFrame or a ``pyarrow.Table`` as an Arrow array, absent columns
included, and choosing rows. What does not: what the columns mean.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.articles.errors import ArticlesError

Frame: TypeAlias = pd.DataFrame | pa.Table


def rows(frame: Frame) -> int:
    """How many rows a frame has."""
    return int(frame.num_rows) if isinstance(frame, pa.Table) else len(frame)


def where(frame: Frame, chosen: npt.NDArray[np.bool_]) -> Frame:
    """The chosen rows, bool [rows]."""
    return frame.filter(pa.array(chosen)) if isinstance(frame, pa.Table) else frame.loc[chosen]


def has(frame: Frame, name: str) -> bool:
    """Whether the frame has a column of that name."""
    return name in (frame.column_names if isinstance(frame, pa.Table) else frame.columns)


def column(frame: Frame, name: str, kind: Any) -> Any:
    """A column as one Arrow array of the type ``kind``; all null where the frame has no such column.

    Raises:
        ArticlesError: the column's values cannot be cast to ``kind``.
    """
    if not has(frame, name):
        return pa.nulls(rows(frame), kind)
    try:
        if isinstance(frame, pa.Table):
            values = frame[name].combine_chunks()
            return values.cast(kind)
        values = pa.array(frame[name], from_pandas=True)
        return (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise ArticlesError(f"Column {name!r} cannot be read as {kind}: {error}. Cast it before.") from error


def text(frame: Frame, name: str) -> Any:
    """A column of text, ``pa.StringArray [n]``; all null where the frame has no such column."""
    return column(frame, name, pa.string())


def identifiers(frame: Frame, name: str = "article_id") -> Any:
    """The identifiers of a frame with one row for each article, ``pa.StringArray [n]``.

    Raises:
        ArticlesError: the column is missing, or holds nulls or duplicates.
    """
    if not has(frame, name):
        raise ArticlesError(f"The frame of articles has no column {name!r}; it needs one row for each article.")
    ids = text(frame, name)
    if ids.null_count:
        raise ArticlesError(f"Column {name!r} is null in {ids.null_count} of {len(ids)} rows; drop or name them.")
    if pc.count_distinct(ids).as_py() != len(ids):
        twice = pd.Series(ids.to_pandas())
        examples = twice[twice.duplicated()].unique()[:3].tolist()
        raise ArticlesError(
            f"Column {name!r} holds articles more than once, for example {examples}; keep one row each."
        )
    return ids
