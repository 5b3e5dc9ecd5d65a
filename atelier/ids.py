"""Identifiers: text outside, 0 … n − 1 inside, and the frozen map between the two.

What belongs here: :class:`IdMap` and the one function that reads identifiers from whatever a caller has (pandas, Arrow,
NumPy, lists). What does not: what the identifiers identify.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from atelier.arrays import distinct_values
from atelier.errors import AtelierError, BundleError, UnknownIdentifier
from atelier.frames import decoded, is_frame, is_text, read, require, warn_nothing_in_common, whole

Codes = npt.NDArray[np.int32]
"""Positions in an IdMap; −1 stands for none."""

NAMED = 5
"""How many identifiers an error message names."""
FEW = 32
"""Of a map with so many times as many identifiers as are asked for, bisecting is faster than hashing all of it."""


class IdentifierError(AtelierError, ValueError):
    """Identifiers that are not text, or are null."""


def preview(identifiers: Iterable[str], total: int) -> str:
    """The first few of ``total`` identifiers, as an error message names them."""
    names = [repr(str(value)) for _, value in zip(range(NAMED), identifiers, strict=False)]
    return ", ".join(names) + (f" and {total - len(names):,} more" if total > len(names) else "")


def column(values: Any, name: str) -> Any:
    """The column ``name`` where ``values`` is a frame (pandas or Arrow); otherwise ``values`` itself.

    Raises:
        IdentifierError: it is a frame without that column.
    """
    if not is_frame(values):
        return values.values if isinstance(values, IdMap) else values
    require(values, [name], IdentifierError, "the frame")
    return values[name]


def factorise(
    values: Any, what: str = "identifier", error: type[AtelierError] = IdentifierError
) -> tuple[pa.LargeStringArray, Codes]:
    """Read identifiers as a dictionary of texts and, for each row, its position in it.

    Args:
        values: texts as pandas (categorical or not), Arrow (dictionary-encoded or not), NumPy or any iterable.
        what: what they are called in error messages, for example ``"customer_id"``.
        error: the class of the error.

    Returns:
        The dictionary, in no promised order and possibly with entries that no row uses, and int32 [n].

    Raises:
        IdentifierError: some are null, or they are not text (a number has lost its leading zeros already).
    """
    if isinstance(values, str):
        raise error(f"{what} is the single text {values!r}: pass a list of them")
    array = _text_array(values, what, error)
    found = whole(array if pa.types.is_dictionary(array.type) else array.dictionary_encode())
    if found.null_count or found.dictionary.null_count:
        nulls = np.flatnonzero(pc.is_null(decoded(found)).to_numpy(zero_copy_only=False))
        if len(nulls):
            raise error(
                f"{what} is null in {len(nulls):,} rows, first in row {nulls[0]}: drop these rows or fill the column"
            )
    indices = found.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return found.dictionary.cast(pa.large_string()), indices


def texts(
    values: Any, what: str, error: type[AtelierError] = IdentifierError, *, nulls: bool = False
) -> pa.StringArray:
    """Identifiers as one Arrow array of texts, in their order: what :func:`factorise` reads, without its codes.

    Args:
        values: what :func:`factorise` takes.
        what: what they are called in error messages.
        error: the class of the error.
        nulls: whether some may be null.

    Raises:
        IdentifierError: or ``error``: some are not text, or null.
    """
    if nulls:
        return decoded(_text_array(values, what, error)).cast(pa.string())
    dictionary, indices = factorise(values, what, error)
    return dictionary.cast(pa.string()).take(pa.array(indices))


def _text_array(values: Any, what: str, error: type[AtelierError]) -> Any:
    """Values as an Arrow array of texts, dictionary-encoded or not, which may be null."""
    array = read(values, what, error, "column of text")
    if not len(array):  # of any type: nothing says what it would hold
        return pa.array([], pa.large_string())
    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (is_text(kind) or pa.types.is_null(kind)):
        raise error(f"{what} is {kind}, not text: convert it with .astype(str), mind leading zeros")
    return array if is_text(kind) and kind != pa.string_view() else array.cast(pa.large_string())


@dataclass(frozen=True, eq=False)
class IdMap:
    """The identifiers that a data set or a model knows, and the number of each.

    Attributes:
        values: the identifiers, unique, in ascending order of their UTF-8 bytes; the number of one is its place here,
            so that ordering by number is ordering by identifier.
    """

    values: pa.LargeStringArray

    @classmethod
    def from_values(cls, values: Any, what: str = "identifier") -> Self:
        """The map of the distinct identifiers among ``values``.

        Args:
            values: anything that :func:`factorise` reads.
            what: what they are called in error messages.

        Raises:
            IdentifierError: some are null or not text.
        """
        return cls.factorise(values, what)[0]

    @classmethod
    def factorise(cls, values: Any, what: str = "identifier") -> "tuple[Self, Codes]":
        """The map of the distinct identifiers among ``values``, and the number of each row (int32 [n]).

        Raises:
            IdentifierError: some are null or not text.
        """
        dictionary, indices = factorise(values, what)
        used = np.bincount(indices, minlength=len(dictionary)) > 0
        present = dictionary.filter(pa.array(used)).unique()
        ids = cls(present.take(pc.sort_indices(present)))
        place = pc.index_in(dictionary, value_set=ids.values).fill_null(-1).to_numpy(zero_copy_only=False)
        return ids, place.astype(np.int32, copy=False)[indices]

    @classmethod
    def union(cls, *maps: "IdMap") -> Self:
        """The map of the identifiers that any of ``maps`` holds."""
        return cls.from_values(pa.chunked_array([ids.values for ids in maps], type=pa.large_string()))

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdMap) and self.values.equals(other.values)

    def __repr__(self) -> str:
        return f"IdMap({len(self):,} identifiers)"

    def encode(self, ids: Any, unknown: Literal["raise", "minus_one"] = "raise", what: str = "identifier") -> Codes:
        """The number of each identifier.

        Args:
            ids: anything that :func:`factorise` reads; n of them.
            unknown: what to do about identifiers that the map does not hold: raise, or give them −1.
            what: what they are called in error messages.

        Returns:
            int32 [n].

        Raises:
            UnknownIdentifier: some are unknown and ``unknown`` is ``"raise"``; the message names the first few.
            IdentifierError: some are null or not text.
        """
        dictionary, indices = factorise(ids, what)
        codes: Codes = (self._bisected if FEW * len(dictionary) < len(self) else self._hashed)(dictionary)[indices]
        if unknown == "raise" and (codes < 0).any():
            missing = distinct_values(indices[codes < 0])
            names = sorted(dictionary.take(pa.array(missing)).to_pylist())
            raise UnknownIdentifier(
                f"{len(names):,} unknown {what}{'s' * (len(names) > 1)}: {preview(names, len(names))}"
            )
        return codes

    def _hashed(self, texts: pa.LargeStringArray) -> Codes:
        """The number of each text, −1 where it is unknown."""
        place: Codes = pc.index_in(texts, value_set=self.values).fill_null(-1).to_numpy(zero_copy_only=False)
        return place.astype(np.int32, copy=False)

    def _bisected(self, texts: pa.LargeStringArray) -> Codes:
        """The same of a few texts in a map that is not empty: the last value that is not above each."""
        place = np.zeros(len(texts), dtype=np.int64)
        for power in range(len(self).bit_length())[::-1]:
            further = np.minimum(place + 2**power, len(self) - 1)
            reached = pc.less_equal(self.values.take(pa.array(further)), texts).fill_null(False)
            place = np.where(reached.to_numpy(zero_copy_only=False), further, place)
        found = pc.equal(self.values.take(pa.array(place)), texts).fill_null(False)
        return np.where(found.to_numpy(zero_copy_only=False), place, -1).astype(np.int32)

    def decode(self, codes: npt.ArrayLike) -> "pd.api.extensions.ExtensionArray":
        """The identifiers of these numbers, as a pandas array of text.

        Raises:
            IndexError: a number is negative or not below ``len(self)``.
        """
        texts: pd.api.extensions.ExtensionArray = self.take(codes).to_pandas().array
        return texts

    def take(self, codes: npt.ArrayLike) -> pa.LargeStringArray:
        """The identifiers of these numbers, as an Arrow array.

        Raises:
            IndexError: a number is negative or not below ``len(self)``.
        """
        numbers = np.asarray(codes, dtype=np.int64)
        if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(self)):
            raise IndexError(f"numbers must lie in 0 … {len(self) - 1}, not {numbers.min()} … {numbers.max()}")
        return self.values.take(pa.array(numbers))

    def save(self, path: str | Path) -> None:
        """Write the map as a Parquet file of one column ``id``, in order. The same map gives the same bytes."""
        pq.write_table(pa.table({"id": self.values}), path, compression="zstd", use_dictionary=False)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            BundleError: the file is missing or is not such a map.
        """
        try:
            values = whole(pq.read_table(path, columns=["id"])["id"].cast(pa.large_string()))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise BundleError(
                f"{path} is not a readable map of identifiers ({error}): train the model again"
            ) from error
        if values.null_count or (len(values) > 1 and not pc.all(pc.less(values[:-1], values[1:])).as_py()):
            raise BundleError(
                f"{path} holds identifiers that are null, repeated or out of order: train the model again"
            )
        return cls(values)


def warn_of_strangers(what: str, these: IdMap, where: str, others: IdMap) -> None:
    """Warn where there are identifiers on both sides, and none is on both.

    Args:
        what: which identifiers they are, and whose: ``"article_id of the catalogue"``.
        these: the identifiers.
        where: who has the others.
        others: the identifiers among which they should be.
    """
    if len(these) and len(others) and not (others.encode(these.values, unknown="minus_one") >= 0).any():
        names = [preview(ids.values[:1].to_pylist(), 1) for ids in (these, others)]
        warn_nothing_in_common(
            f"no {what} is among those of {where} (the one is for example {names[0]}, the other {names[1]}): what is "
            "made of both says nothing. Look at how the identifiers are written",
            depth=5,
        )
