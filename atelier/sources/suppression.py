"""Rows of customers who asked to be forgotten, taken out of what a source hands over.

What belongs here: which rows of a :class:`~atelier.sources.landed.Landed` are about such a customer. What does not: who
asked (:mod:`resources.suppression`), removing what was stored before (:mod:`resources.forgetting`).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import TypeAlias

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from atelier.sources.landed import Landed

CUSTOMER = "customer_id"
IsForgotten: TypeAlias = Callable[[pa.Array], npt.NDArray[np.bool_]]
"""Says of distinct texts, none of them null, which are identifiers of forgotten customers: bool [n]."""
WORD = r"""[^\s"',:;(){}\[\]\\]+"""
"""What may be an identifier in a row that was never read into columns."""


def without_forgotten(
    landings: Iterator[tuple[date, Landed]], is_forgotten: IsForgotten
) -> Iterator[tuple[date, Landed]]:
    """The same days without rows of forgotten customers, which are counted.

    A day whose rows are the very object of the day before stays so.

    Args:
        landings: what a source yields of one table.
        is_forgotten: who is meant.
    """
    before: Landed | None = None
    made: Landed | None = None
    for day, landed in landings:
        if made is None or landed is not before:
            before, made = landed, _cleaned(landed, is_forgotten)
        yield day, made


def _cleaned(landed: Landed, is_forgotten: IsForgotten) -> Landed:
    own = rows_of_customers(landed.accepted, is_forgotten)
    rejected = rejected_of_customers(landed.rejected, is_forgotten)
    if not (own.any() or rejected.any()):
        return landed
    kept = landed.rejected.filter(pa.array(~rejected))
    dropped = landed.rejected_rows - (kept.num_rows - int(pc.sum(kept["row_kept"]).as_py() or 0))
    return replace(
        landed, accepted=landed.accepted.filter(pa.array(~own)), rejected=kept, suppressed=int(own.sum()) + dropped
    )


def rows_of_customers(table: pa.Table, is_forgotten: IsForgotten) -> npt.NDArray[np.bool_]:
    """Which rows of a table are about such a customer, bool [rows]; none where it has no column ``customer_id``."""
    if CUSTOMER not in table.column_names:
        return np.zeros(table.num_rows, dtype=bool)
    return _marked(table[CUSTOMER], is_forgotten)


def rejected_of_customers(rejected: pa.Table, is_forgotten: IsForgotten) -> npt.NDArray[np.bool_]:
    """Which rejected rows name such a customer, bool [rows].

    A row names one if its column ``customer_id``, or a word of the row as it came or of the reason, is the identifier.

    Args:
        rejected: has the columns ``record`` and ``reason``.
        is_forgotten: who is meant.
    """
    found = np.zeros(rejected.num_rows, dtype=bool)
    if not rejected.num_rows:
        return found
    rows = rejected.select(["record", "reason"]).append_column("place", pa.array(np.arange(rejected.num_rows)))
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        words = connection.sql(
            """SELECT DISTINCT place, word FROM (
                SELECT place, unnest(regexp_extract_all(concat_ws(' ', record, reason), $word)) AS word FROM rows
                UNION ALL
                SELECT place, trim(CASE WHEN json_valid(record) THEN record ->> '$.customer_id' END) FROM rows
            ) WHERE word IS NOT NULL""",
            params={"word": WORD},
        ).to_arrow_table()
    places: npt.NDArray[np.int64] = words["place"].to_numpy()
    found[places[_marked(words["word"], is_forgotten)]] = True
    return found


def _marked(texts: pa.ChunkedArray, is_forgotten: IsForgotten) -> npt.NDArray[np.bool_]:
    distinct = pc.unique(texts.cast(pa.large_string())).drop_null()
    chosen = distinct.filter(pa.array(is_forgotten(distinct)))
    marked: npt.NDArray[np.bool_] = pc.is_in(texts.cast(pa.large_string()), value_set=chosen).to_numpy()
    return marked
