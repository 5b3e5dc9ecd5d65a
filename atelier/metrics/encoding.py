"""Frames in, small integers out: what every metric reads.

What belongs here: the translation of recommendation lists, truth, training data and catalogues (pandas, Arrow, or
Atelier's own Interactions and Catalogue) into NumPy codes over common id ranges. What does not: any metric.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from atelier.errors import AtelierError
from atelier.frames import as_arrow, cast, columns, require, where, whole

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.float64]

PURCHASE = ("purchase",)
TRAIN_KINDS = ("save", "bag", "purchase")


class MetricsError(AtelierError, ValueError):
    """A metric cannot be computed from what was given: a column is missing, a rank comes twice, or there is no k."""


@dataclass(frozen=True)
class Coded:
    """A column of identifiers as codes.

    Attributes:
        codes: the position in ``values`` of each row's identifier; −1 where it is not among them.
        values: the distinct identifiers, text.
    """

    codes: Ints
    values: pa.Array

    def within(self, universe: pa.Array) -> Ints:
        """The codes of the rows in ``universe`` (distinct text); −1 where it lacks the identifier. int64 [rows]."""
        return self.positions(universe)[self.codes]

    def positions(self, universe: pa.Array) -> Ints:
        """The index in ``universe`` of each of ``values``, −1 where it is absent, and a last −1 for code −1. int64."""
        found = pc.index_in(self.values, value_set=universe)
        return np.append(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), -1).astype(np.int64)

    def used(self) -> NDArray[np.bool_]:
        """Whether any row has each of ``values``, and a last one for code −1: a dictionary may hold what no row has."""
        found = np.zeros(len(self.values) + 1, bool)
        found[self.codes] = True
        return found


@dataclass(frozen=True)
class CodedInteractions:
    """Who did what with which article, one row for each interaction.

    Attributes:
        customers: coded customers, one for each row.
        articles: coded articles, one for each row.
    """

    customers: Coded
    articles: Coded

    def __len__(self) -> int:
        return len(self.customers.codes)


def coded(values: object, name: str) -> Coded:
    """Code a column of identifiers: pandas (text, categorical, anything printable), Arrow (dictionary or plain), NumPy.

    Raises:
        MetricsError: an identifier is null.
    """
    array = as_arrow(values)
    if array.null_count:
        nulls = array.null_count
        raise MetricsError(f"column {name!r} holds {nulls} nulls; identifiers cannot be null: drop those rows")
    if pa.types.is_integer(array.type) and len(array):
        found = _numbered(whole(array))
        if found is not None:
            return found
    if not pa.types.is_dictionary(array.type):
        # Before chunks are put together and before the cast to text: both then touch the distinct ones only.
        array = array.dictionary_encode()
    array = whole(array)
    return Coded(array.indices.to_numpy(zero_copy_only=False), array.dictionary.cast(pa.string()))


def _numbered(numbers: pa.Array) -> Coded | None:
    """Whole numbers, coded by a table over all of their range; None where that range is much longer than the column."""
    low, high = pc.min_max(numbers).as_py().values()
    if high - low > 4 * len(numbers) or high >= 2**62:
        return None
    offsets = numbers.to_numpy().astype(np.int64, copy=False)
    offsets = offsets if low == 0 else offsets - low
    used = np.zeros(high - low + 1, bool)
    used[offsets] = True
    codes = offsets if used.all() else (np.cumsum(used, dtype=np.int32) - np.int32(1))[offsets]
    return Coded(codes, pa.array(np.flatnonzero(used) + low).cast(pa.string()))


def universe(*columns: Coded) -> pa.Array:
    """Every identifier of the columns once, sorted."""
    return united(*columns)[0]


def united(*columns: Coded) -> tuple[pa.Array, list[Ints]]:
    """The :func:`universe` of the columns, and the :meth:`Coded.positions` of each in it: every text is hashed once."""
    values = pa.chunked_array([column.values for column in columns], pa.string()).combine_chunks()
    together = values.dictionary_encode(null_encoding="encode")
    order = pc.sort_indices(together.dictionary)
    position = np.empty(len(order), np.int64)
    position[order.to_numpy()] = np.arange(len(order))
    bounds = np.cumsum([len(column.values) for column in columns], dtype=np.int64)[:-1]
    parts = np.split(position[together.indices.to_numpy()], bounds)
    return together.dictionary.take(order), [np.append(part, -1) for part in parts]


def identifiers(values: Iterable[Any]) -> Coded:
    """Code any iterable of identifiers, for example the customers to whom an evaluation is restricted."""
    return coded(values, "ids")


def column(data: Any, name: str, what: str) -> Any:
    """Column ``name`` of a pandas or Arrow table.

    Raises:
        MetricsError: there is none; the message says what the table is, and which columns it has.
    """
    require(data, [name], MetricsError, what)
    return data[name]


def has_column(data: Any, name: str) -> bool:
    """Whether a pandas or Arrow table has that column."""
    return name in columns(data)


def article_codes(articles: Any, what: str) -> Coded:
    """The column ``article_id`` of a pandas or Arrow table, coded; ``what``: how error messages call the table."""
    return coded(column(articles, "article_id", what), "article_id")


def pairs(data: Any, kinds: Sequence[str] | None, what: str) -> CodedInteractions:
    """The interactions of ``data`` that are of ``kinds`` (None: all), coded.

    Args:
        data: a frame with customer_id, article_id and, where kinds differ, kind; or Interactions.
        kinds: which interactions count. A frame without ``kind`` is all of the kind that counts.
        what: how error messages call it.

    Raises:
        MetricsError: a column is missing or an identifier null.
    """
    if hasattr(data, "customer_ids"):
        return _pairs_of_interactions(data if kinds is None else data.of_kinds(kinds))
    if kinds is not None and has_column(data, "kind"):
        kind = cast(data["kind"], pa.string(), "kind", MetricsError)
        data = where(data, pc.is_in(kind, value_set=pa.array(list(kinds), pa.string())).to_numpy(zero_copy_only=False))
    return CodedInteractions(coded(column(data, "customer_id", what), "customer_id"), article_codes(data, what))


def lengths(k: int | Iterable[int]) -> tuple[int, ...]:
    """The list lengths to evaluate at, ascending and distinct.

    Raises:
        MetricsError: there is none, or one below 1.
    """
    ks = tuple(sorted({int(value) for value in ([k] if isinstance(k, int | np.integer) else k)}))
    if not ks or ks[0] < 1:
        raise MetricsError(f"k must be one or more list lengths of at least 1, not {k!r}")
    return ks


def catalogue_frame(catalogue: Any) -> Any:
    """The table of articles (pandas or Arrow) of a Catalogue, or the frame itself; None of None."""
    return getattr(catalogue, "frame", catalogue)


def distinct(keys: Ints) -> Ints:
    """The distinct keys, ascending. Sorting them is several times faster than :func:`numpy.unique`, which hashes."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _pairs_of_interactions(data: Any) -> CodedInteractions:
    def of(codes: Ints, ids: Any) -> Coded:
        return Coded(np.asarray(codes), pa.array(ids.values).cast(pa.string()))

    return CodedInteractions(of(data.customers, data.customer_ids), of(data.articles, data.article_ids))
