"""Attributes of customers as a matrix of numbers, the input of a small network.

What belongs here: turning columns of a frame of customers into a matrix. What does not: the network.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from atelier.frames import read
from atelier.ids import IdMap, column, preview
from atelier.interactions import InteractionsError

NUMBERS = frozenset({"decimal", "integer", "floating", "mixed-integer-float"})
"""What pandas calls objects that are numbers."""
MOST_VALUES = 50
"""The most values of a text column that get a position; the most frequent ones do."""


def attribute_matrix(customers: Any, names: Sequence[str], ids: IdMap) -> npt.NDArray[np.float32]:
    """The attributes of customers: numbers standardised, texts one-hot; unknown values are zero.

    Args:
        customers: a frame (pandas or Arrow) with ``customer_id`` and the columns ``names``; or None.
        names: the columns that are read.
        ids: the n customers of the rows.

    Returns:
        float32 [n, positions]: a column of numbers has one position, a column of texts up to 50.

    Raises:
        InteractionsError: there is no frame, it lacks a column, a number is infinite, or a text cannot be written.
    """
    if not names:
        return np.zeros((len(ids), 0), dtype=np.float32)
    blocks = [_block(values, ids) for values in _columns(customers, names, ids, "customer_attributes")]
    return np.concatenate(blocks, axis=1).astype(np.float32)


def number_column(customers: Any, name: str, ids: IdMap, setting: str) -> npt.NDArray[np.float32]:
    """A column of numbers of customers as it is.

    Args:
        customers: a frame (pandas or Arrow) with ``customer_id`` and the column.
        name: of the column.
        ids: the n customers of the rows.
        setting: the field of a config that names the column, for errors.

    Returns:
        float32 [n]; NaN where it is not known.

    Raises:
        InteractionsError: there is no frame, it lacks the column, or it holds something else than numbers.
    """
    (values,) = _columns(customers, [name], ids, setting)
    numbers = _numbers(values)
    if numbers is None:
        if values.notna().any():
            raise InteractionsError(f"{name} of customers holds something else than numbers: name another column")
        return np.full(len(ids), np.nan, dtype=np.float32)
    return numbers.astype(np.float32)


def _columns(customers: Any, names: Sequence[str], ids: IdMap, setting: str) -> list["pd.Series[Any]"]:
    """Columns of a frame of customers, a row for each of ``ids``, empty where a customer is not in the frame.

    ``setting`` is the field of a config that names the columns, for the error.
    """
    frame = customers.to_pandas() if isinstance(customers, pa.Table | pa.RecordBatch) else customers
    absent = [name for name in names if not isinstance(frame, pd.DataFrame) or name not in frame.columns]
    if absent:
        raise InteractionsError(
            f"{setting} names {', '.join(absent)}, which the frame of customers lacks: pass it to fit, or "
            f"leave it out of {setting}"
        )
    codes = ids.encode(column(frame, "customer_id"), unknown="minus_one", what="customer_id")
    row = np.full(len(ids), -1, dtype=np.int64)
    row[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
    wanted = frame[list(names)].take(np.maximum(row, 0)) if len(frame) else frame[list(names)].reindex(range(len(ids)))
    return [_readable(wanted[name]).where(row >= 0).reset_index(drop=True) for name in names]


def _readable(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column, if Arrow can hold its texts; a text that no file can hold is refused."""
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "string":
        read(values, str(values.name), InteractionsError)
    return values


def _block(values: "pd.Series[Any]", ids: IdMap) -> npt.NDArray[np.float64]:
    """The positions of one column, float64 [n, positions], for the customers ``ids``."""
    numbers = _numbers(values)
    if numbers is not None:
        endless = np.flatnonzero(np.isinf(numbers))
        if len(endless):
            raise InteractionsError(
                f"{values.name} of customers is infinite for {len(endless):,}, for example "
                f"{preview(ids.take(endless).to_pylist(), len(endless))}: leave it empty where it is not known"
            )
        known = numbers[~np.isnan(numbers)]
        spread = float(known.std()) if len(known) else 0.0
        scaled = (numbers - known.mean()) / spread if spread > 0 else np.zeros(len(numbers))
        return np.nan_to_num(scaled)[:, None]
    texts = values.astype("str")
    counts = texts.value_counts().rename_axis("value").reset_index(name="n")
    frequent = counts.sort_values(["n", "value"], ascending=[False, True])["value"].head(MOST_VALUES).sort_values()
    position = pd.Index(frequent).get_indexer(pd.Index(texts))
    return np.asarray(position[:, None] == np.arange(len(frequent))[None, :], dtype=np.float64)


def _numbers(values: "pd.Series[Any]") -> npt.NDArray[np.float64] | None:
    """The numbers of a column, NaN where there is none; None where it holds something else.

    Decimals and numbers among Python's objects are numbers too.
    """
    if pd.api.types.is_bool_dtype(values):
        return None
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in NUMBERS:
        return values.where(values.notna(), np.nan).to_numpy(dtype=np.float64)
    return None
