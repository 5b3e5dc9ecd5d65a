"""Attributes of customers as a matrix of numbers, the input of a small network.

What belongs here: turning columns of a frame of customers into a matrix, for those trained on and for others later.
What does not: the network (:mod:`atelier.nn.customer_network`).
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

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
    return AttributeSpace.fit(customers, names, ids).matrix(customers, ids)


class AttributeColumn(BaseModel):
    """How a column becomes positions.

    Attributes:
        name: of the column.
        mean: of its numbers; None: it holds texts.
        spread: their standard deviation; 0 where they are all the same, and then the position is zero.
        values: the texts that have a position, ascending.
    """

    name: str
    mean: float | None = None
    spread: float = 0.0
    values: tuple[str, ...] = ()

    @property
    def positions(self) -> int:
        """How many there are."""
        return len(self.values) if self.mean is None else 1


class AttributeSpace(BaseModel):
    """What was learned of the attributes of customers trained on, to read those of others in the same way.

    Attributes:
        columns: in the order of their positions.
    """

    columns: tuple[AttributeColumn, ...]

    @classmethod
    def fit(cls, customers: Any, names: Sequence[str], ids: IdMap) -> Self:
        """Learn means, spreads and texts; arguments and errors are those of :func:`attribute_matrix`."""
        if not names:
            return cls(columns=())
        frame = _frame(customers)
        absent = [name for name in names if frame is None or name not in frame.columns]
        if frame is None or absent:
            raise InteractionsError(
                f"customer_attributes names {', '.join(absent)}, which the frame of customers lacks: pass it to fit, "
                "or leave them out of customer_attributes"
            )
        return cls(columns=tuple(_learned(values, ids) for values in _values(frame, names, ids)))

    @property
    def positions(self) -> int:
        """The width of the matrix."""
        return sum(each.positions for each in self.columns)

    def matrix(self, customers: Any, ids: IdMap) -> npt.NDArray[np.float32]:
        """The attributes of customers, float32 [n, positions]; a column that the frame lacks is unknown for everybody.

        Args:
            customers: a frame (pandas or Arrow) with ``customer_id``; anything else: nothing is known.
            ids: the n customers of the rows.

        Raises:
            InteractionsError: a number is infinite, a text cannot be written, or a column of numbers holds none.
        """
        matrix, place, frame = np.zeros((len(ids), self.positions), dtype=np.float32), 0, _frame(customers)
        known = [each.name for each in self.columns if frame is not None and each.name in frame.columns]
        found = {} if frame is None or not known else dict(zip(known, _values(frame, known, ids), strict=True))
        for each in self.columns:
            if each.name in found:
                matrix[:, place : place + each.positions] = _block(each, found[each.name], ids)
            place += each.positions
        return matrix


def _frame(customers: Any) -> pd.DataFrame | None:
    """The frame as pandas has it; None where it is none."""
    frame = customers.to_pandas() if isinstance(customers, pa.Table | pa.RecordBatch) else customers
    return frame if isinstance(frame, pd.DataFrame) else None


def _values(frame: pd.DataFrame, names: Sequence[str], ids: IdMap) -> "list[pd.Series[Any]]":
    """The columns of the frame, each with a row for each of ``ids``."""
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


def _learned(values: "pd.Series[Any]", ids: IdMap) -> AttributeColumn:
    """What the values of customers say of their column."""
    name, numbers = str(values.name), _finite(values, ids)
    if numbers is not None:
        known = numbers[~np.isnan(numbers)]
        mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        return AttributeColumn(name=name, mean=mean, spread=spread)
    counts = values.astype("str").value_counts().rename_axis("value").reset_index(name="n")
    frequent = counts.sort_values(["n", "value"], ascending=[False, True])["value"].head(MOST_VALUES).sort_values()
    return AttributeColumn(name=name, values=tuple(frequent))


def _block(learned: AttributeColumn, values: "pd.Series[Any]", ids: IdMap) -> npt.NDArray[np.float64]:
    """The positions of one column, float64 [n, positions], for the customers ``ids``."""
    if learned.mean is None:
        position = pd.Index(learned.values, dtype="str").get_indexer(pd.Index(values.astype("str")))
        return np.asarray(position[:, None] == np.arange(len(learned.values))[None, :], dtype=np.float64)
    numbers = np.full(len(values), np.nan) if values.isna().all() else _finite(values, ids)
    if numbers is None:
        raise InteractionsError(
            f"{learned.name} of customers holds other things than numbers, which the model was trained on: pass "
            "numbers, or leave the column out"
        )
    scaled = (numbers - learned.mean) / learned.spread if learned.spread > 0 else np.zeros(len(numbers))
    return np.nan_to_num(scaled)[:, None]


def _finite(values: "pd.Series[Any]", ids: IdMap) -> npt.NDArray[np.float64] | None:
    """The numbers of a column; None where it holds something else; an infinite one is refused."""
    numbers = _numbers(values)
    endless = np.flatnonzero(np.isinf(numbers)) if numbers is not None else ()
    if len(endless):
        raise InteractionsError(
            f"{values.name} of customers is infinite for {len(endless):,}, for example "
            f"{preview(ids.take(endless).to_pylist(), len(endless))}: leave it empty where it is not known"
        )
    return numbers


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
