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

from atelier.arrays import Float32s
from atelier.errors import AtelierError
from atelier.frames import (
    categories,
    chosen_texts,
    columns,
    decoded,
    is_frame,
    is_text,
    matrix,
    read,
    require,
    times,
    warn_nothing_in_common,
    where,
    whole,
)
from atelier.ids import IdMap
from atelier.kinds import PURCHASE as ONE_PURCHASE
from atelier.kinds import RETURN, unheard_of
from atelier.returns import cancelled, cancels

Ints: TypeAlias = NDArray[np.integer[Any]]
Floats: TypeAlias = NDArray[np.float64]

PURCHASE = ("purchase",)
TRAIN_KINDS = ("save", "bag", "purchase")


class MetricsError(AtelierError, ValueError):
    """A metric cannot be computed from what was given: a column is missing, a rank comes twice, or there is no k."""


@dataclass(frozen=True)
class Universe:
    """Identifiers over which codes run.

    Attributes:
        values: distinct, text, sorted.
        form: what they were before: ``texts``, ``whole numbers``, or another type; empty: there are none.
        what: where they came from, for messages.
    """

    values: pa.Array
    form: str = ""
    what: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def to_pylist(self) -> list[str]:
        """The identifiers as a list."""
        found: list[str] = self.values.to_pylist()
        return found

    def take(self, codes: Any) -> pa.Array:
        """The identifiers of these codes."""
        return self.values.take(codes if isinstance(codes, pa.Array) else pa.array(codes))


@dataclass(frozen=True)
class Coded:
    """A column of identifiers as codes.

    Attributes:
        codes: the position in ``values`` of each row's identifier; −1 where it is not among them.
        values: the distinct identifiers, text.
        form: what they were before they were text, as in :class:`Universe`.
        what: which column it is, for messages.
    """

    codes: Ints
    values: pa.Array
    form: str = ""
    what: str = ""

    def within(self, universe: Universe) -> Ints:
        """The codes of the rows in ``universe``; −1 where it lacks the identifier. int64 [rows]."""
        return self.positions(universe)[self.codes]

    def positions(self, universe: Universe) -> Ints:
        """The index in ``universe`` of each of ``values``, −1 where it is absent, and a last −1 for code −1. int64.

        Raises:
            MetricsError: the ones are texts and the others numbers, which are never equal.
        """
        common_form(self, universe)
        found = pc.index_in(self.values, value_set=universe.values)
        return np.append(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), -1).astype(np.int64)

    def used(self) -> NDArray[np.bool_]:
        """Whether any row has each of ``values``, and a last one for code −1: a dictionary may hold what no row has."""
        found = np.zeros(len(self.values) + 1, bool)
        found[self.codes] = True
        return found

    def warn_strangers(self, universe: Universe, other: str) -> None:
        """Warn where there are identifiers on both sides, and none of these is in ``universe``."""
        if len(universe) and len(self.codes) and not (self.positions(universe)[:-1][self.used()[:-1]] >= 0).any():
            _warn_apart(self, other, universe.values)


def warn_apart(one: Coded, its_places: Ints, other: Coded, other_places: Ints) -> None:
    """Warn where both columns hold identifiers, and none is in both.

    Args:
        one: a column.
        its_places: the common code of each of its values, as :func:`united` gives them.
        other: another column.
        other_places: likewise.
    """
    there = np.zeros(max(int(its_places.max()), int(other_places.max())) + 2, bool)
    there[other_places[other.used()]] = True
    there[-1] = False  # where code −1 went
    if len(one.codes) and len(other.codes) and not there[its_places[one.used()]].any():
        _warn_apart(one, other.what, other.values)


def _warn_apart(one: Coded, other: str, values: pa.Array) -> None:
    example, their = (str(found[0].as_py()) for found in (one.values, values))
    warn_nothing_in_common(
        f"no {one.what} is among {other} (the one is for example {example!r}, the other {their!r}): what is computed "
        "of both says nothing. Look at how the identifiers are written, and at the dates",
        depth=6,
    )


def common_form(*columns: "Coded | Universe") -> tuple[str, str]:
    """What identifiers of several columns are, and a column that says so.

    Raises:
        MetricsError: they differ, so that none would be equal to another, or only by chance.
    """
    form, what = "", ""
    for column in columns:
        if form and column.form and column.form != form:
            raise MetricsError(
                f"{column.what} is {column.form}, but {what} is {form}: they would never be equal. Make both texts "
                "with .astype(str), and mind leading zeros"
            )
        form, what = (form, what) if form else (column.form, column.what)
    return form, what


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


def coded(values: object, name: str, what: str = "") -> Coded:
    """Code a column of identifiers: pandas (text, categorical, anything printable), Arrow (dictionary or plain), NumPy.

    Args:
        values: the column.
        name: of the column.
        what: how messages call the frame that it is of.

    Raises:
        MetricsError: an identifier is null, or the values are no column: a single text, a frame.
    """
    array = read(values, name, MetricsError)
    if array.null_count:
        nulls = array.null_count
        raise MetricsError(f"column {name!r} holds {nulls} nulls; identifiers cannot be null: drop those rows")
    form, named = _form(array), f"{name} of {what}" if what else name
    if pa.types.is_integer(array.type) and len(array):
        found = _numbered(whole(array))
        if found is not None:
            return Coded(*found, form, named)
    if not pa.types.is_dictionary(array.type):
        # Before chunks are put together and before the cast to text: both then touch the distinct ones only.
        array = array.dictionary_encode()
    array = whole(array)
    return Coded(array.indices.to_numpy(zero_copy_only=False), array.dictionary.cast(pa.string()), form, named)


def _form(array: Any) -> str:
    """What a column of identifiers is; empty where it has no rows, and so could be anything."""
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not len(array) or pa.types.is_null(kind):
        return ""
    return "texts" if is_text(kind) else "whole numbers" if pa.types.is_integer(kind) else str(kind)


def _numbered(numbers: pa.Array) -> tuple[Ints, pa.Array] | None:
    """Whole numbers as codes and values, by a table over their range; None where that is much longer than they."""
    low, high = pc.min_max(numbers).as_py().values()
    if high - low > 4 * len(numbers) or high >= 2**62:
        return None
    offsets = numbers.to_numpy().astype(np.int64, copy=False)
    offsets = offsets if low == 0 else offsets - low
    used = np.zeros(high - low + 1, bool)
    used[offsets] = True
    codes = offsets if used.all() else (np.cumsum(used, dtype=np.int32) - np.int32(1))[offsets]
    return codes, pa.array(np.flatnonzero(used) + low).cast(pa.string())


def universe(*columns: Coded) -> Universe:
    """Every identifier of the columns once, sorted."""
    return united(*columns)[0]


def united(*columns: Coded) -> tuple[Universe, list[Ints]]:
    """The :func:`universe` of the columns, and the :meth:`Coded.positions` of each in it: every text is hashed once.

    Raises:
        MetricsError: the identifiers of some are texts, of others numbers.
    """
    form = common_form(*columns)
    values = pa.chunked_array([column.values for column in columns], pa.string()).combine_chunks()
    together = values.dictionary_encode(null_encoding="encode")
    order = pc.sort_indices(together.dictionary)
    position = np.empty(len(order), np.int64)
    position[order.to_numpy()] = np.arange(len(order))
    bounds = np.cumsum([len(column.values) for column in columns], dtype=np.int64)[:-1]
    parts = np.split(position[together.indices.to_numpy()], bounds)
    return Universe(together.dictionary.take(order), *form), [np.append(part, -1) for part in parts]


def identifiers(values: Any, name: str = "customer_id") -> Coded:
    """Code identifiers that somebody chose, for example the customers to whom an evaluation is restricted.

    Args:
        values: a column or collection of them, or a frame with the column ``name``.
        name: what they are.

    Raises:
        MetricsError: it is a single text, a frame without that column, or an identifier is null.
    """
    if is_frame(values):
        return coded(column(values, name, "the frame of customers"), name, "customers")
    return coded(values.values if isinstance(values, IdMap) else values, name, "customers")


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
    return coded(column(articles, "article_id", what), "article_id", what)


def pairs(data: Any, kinds: Sequence[str] | None, what: str, name: str = "") -> CodedInteractions:
    """The interactions of ``data`` that are of ``kinds`` (None: all), coded, without purchases that were sent back.

    Args:
        data: a frame with customer_id, article_id and, where kinds differ, kind; or Interactions.
        kinds: which interactions count; a single text is one kind. A frame without ``kind`` is all of the kind that
            counts. A return cancels the customer's latest earlier purchase of the article (:mod:`atelier.returns`),
            earlier by ``occurred_at`` where there is such a column, by the order of rows otherwise; where returns count
            too, nothing is cancelled.
        what: how error messages call the data.
        name: of the argument that chose the kinds; where it is given, a warning is issued if no row is of them.

    Raises:
        MetricsError: a column is missing, an identifier or kind null, or ``kinds`` is no choice of kinds.
    """
    asked = None if kinds is None else chosen_texts(kinds, name or "kinds", MetricsError)
    if not hasattr(data, "customer_ids"):
        require(data, [], MetricsError, what)
    else:
        found = data if asked is None else data.of_kinds(asked)
        there = () if data.kinds is None else data.kinds.categories
        _warn_of_no_row(len(found), len(data), asked, there, what, name)
        return _pairs_of_interactions(found, what)
    if asked is None or not has_column(data, "kind"):
        return _pairs_of_frame(data, what)
    kind = categories(data["kind"], "kind", MetricsError)
    there = kind.dictionary.to_pylist()

    def of(*names: str) -> NDArray[np.bool_]:
        return np.isin(kind.indices.to_numpy(), [place for place, one in enumerate(there) if one in names])

    if odd := unheard_of(asked, there):
        warn_nothing_in_common(f"{name or 'kinds'} of {what}: {odd}", depth=4)
    chosen = of(*asked)
    if cancels(asked, there):
        rows = _pairs_of_frame(data, what)
        purchases, returns = of(ONE_PURCHASE), of(RETURN)
        chosen &= ~cancelled(rows.customers.codes, rows.articles.codes, purchases, returns, _moments(data))
    _warn_of_no_row(int(chosen.sum()), len(chosen), asked, there, what, name)
    return _pairs_of_frame(where(data, chosen), what)


def _pairs_of_frame(data: Any, what: str) -> CodedInteractions:
    return CodedInteractions(coded(column(data, "customer_id", what), "customer_id", what), article_codes(data, what))


def _moments(data: Any) -> Any:
    """When the rows of a frame happened, int64; None where it does not say."""
    if not has_column(data, "occurred_at"):
        return None
    found = times(data["occurred_at"], "occurred_at", MetricsError)
    if found.null_count:
        raise MetricsError(f"occurred_at is null in {found.null_count:,} rows: drop these rows or fill the column")
    return found.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _warn_of_no_row(
    found: int, rows: int, asked: Sequence[str] | None, there: Iterable[str], what: str, name: str
) -> None:
    """Warn where kinds are asked for that no row has."""
    if name and asked and rows and not found:
        kinds = ", ".join(sorted(there)) or "none"
        warn_nothing_in_common(
            f"{name} is {', '.join(asked)}, and of none of these {what} has a row that counts; its kinds are {kinds}",
            depth=5,
        )


def lengths(k: int | Iterable[int]) -> tuple[int, ...]:
    """The list lengths to evaluate at, ascending and distinct.

    Raises:
        MetricsError: there is none, or one below 1 or not whole.
    """
    array = decoded(read([k] if isinstance(k, int | np.integer | float) else k, "k", MetricsError))
    whole_numbers = pa.types.is_integer(array.type) and not array.null_count
    ks = tuple(sorted(set(array.to_pylist()))) if whole_numbers else ()
    if not ks or ks[0] < 1:
        raise MetricsError(f"k must be one or more list lengths, whole numbers of at least 1, not {k!r}")
    return ks


def catalogue_frame(catalogue: Any) -> Any:
    """The table of articles (pandas or Arrow) of a Catalogue, or the frame itself; None of None."""
    return getattr(catalogue, "frame", catalogue)


def article_vectors(vectors: Any, article_ids: Universe) -> tuple[Ints, Float32s]:
    """The vectors of articles, and the code of each one's article in ``article_ids``; −1 where it is not among these.

    Args:
        vectors: a frame of article_id and vector, or a Catalogue with vectors.
        article_ids: the articles by code.

    Returns:
        int64 [rows] and float32 [rows, dim].

    Raises:
        MetricsError: there are none, they differ in length, or one is not finite.
    """
    if hasattr(vectors, "vectors"):
        if vectors.vectors is None:
            raise MetricsError("vectors is a Catalogue without vectors: pass one that was read with them, or a frame")
        ids = coded(vectors.ids.values, "article_id", "vectors")
        found: Float32s = vectors.vectors
    else:
        ids = article_codes(vectors, "vectors")
        found = matrix(
            whole(read(column(vectors, "vector", "vectors"), "vector", MetricsError)), "vector", MetricsError
        )
    if not np.isfinite(found).all():
        raise MetricsError("vectors hold numbers that are not finite: make them again")
    ids.warn_strangers(article_ids, "the articles of recs, truth and catalogue")
    return ids.within(article_ids), found


def distinct(keys: Ints) -> Ints:
    """The distinct keys, ascending. Sorting them is several times faster than :func:`numpy.unique`, which hashes."""
    ordered = np.sort(keys)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _pairs_of_interactions(data: Any, what: str) -> CodedInteractions:
    def of(codes: Ints, ids: Any, name: str) -> Coded:
        form = "texts" if len(codes) else ""
        return Coded(np.asarray(codes), pa.array(ids.values).cast(pa.string()), form, f"{name} of {what}")

    return CodedInteractions(
        of(data.customers, data.customer_ids, "customer_id"), of(data.articles, data.article_ids, "article_id")
    )
