"""What callers hand over, and the one reader of each sort of it: columns, times, days, flags, numbers, collections.

What belongs here: the rows and columns of a pandas DataFrame or an Arrow table, any column as one Arrow array, and what
is refused of it. What does not: what a column means, identifiers (:mod:`atelier.ids`).

Every reader takes the class of the error that it raises, which names the column, what is wrong with it and the remedy.
"""

import datetime
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Float32s, Float64s, Mask
from atelier.errors import AtelierError, NothingInCommonWarning

Frame: TypeAlias = pd.DataFrame | pa.Table | pa.RecordBatch

MOMENTS = pa.timestamp("us")
"""How times are kept: microseconds of the retailer's wall clock, without a zone."""
FAULTS = pa.ArrowException, TypeError, ValueError, OverflowError
"""What Arrow raises for values of which it can make no array."""


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
    """Any column or iterable as an Arrow array, in chunks where it has any; NaN and None are null.

    Raises:
        TypeError: it is a single text, a frame or a mapping, of which Python would take letters, names or keys.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, str | bytes):
        raise TypeError(f"the single text {values!r} is given where a list or column is wanted: put it into a list")
    if is_frame(values) or isinstance(values, Mapping):
        raise TypeError(
            f"a {type(values).__name__} is given where a list or column is wanted: choose one of its columns"
        )
    return pa.array(values, from_pandas=True)


def read(values: Any, name: str, error: type[AtelierError], wanted: str = "column") -> Any:
    """The column ``name`` as :func:`as_arrow` gives it, with errors that name it.

    Args:
        values: what :func:`as_arrow` takes.
        name: of the column or argument, for the message.
        error: is raised where Arrow can make no array of the values: they are of several types, are no column, or are
            texts with half a surrogate pair, which no file can hold.
        wanted: what it should be, for the message.
    """
    try:
        return as_arrow(values)
    except UnicodeEncodeError as fault:
        raise error(_broken_text(values, name)) from fault
    except FAULTS as fault:
        raise error(f"{name} is not a {wanted}: {fault}") from fault


def _broken_text(values: Any, name: str) -> str:
    """The message about texts that cannot be encoded, with the first row that holds one."""
    row = next((place for place, value in enumerate(values) if isinstance(value, str) and not _encodes(value)), 0)
    return (
        f"{name} holds half a surrogate pair in row {row}, which is no text: replace it, for example with "
        ".str.encode('utf-8', 'replace').str.decode('utf-8')"
    )


def _encodes(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def whole(array: Any) -> Any:
    """An Arrow array without chunks; the dictionaries of its chunks become one."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if pa.types.is_dictionary(array.type) and array.num_chunks > 1:
        # Arrow compares the texts of all chunks' dictionaries, also where these are one and the same.
        if len({_place(chunk.dictionary) for chunk in array.chunks}) > 1:
            array = array.unify_dictionaries()
        indices = pa.concat_arrays([chunk.indices for chunk in array.chunks])
        return pa.DictionaryArray.from_arrays(indices, array.chunk(0).dictionary, ordered=array.type.ordered)
    array = array.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array  # pyarrow 18 leaves the one chunk wrapped


def _place(array: Any) -> tuple[int, ...]:
    """Where an Arrow array lies in memory."""
    buffers = (0 if buffer is None else buffer.address for buffer in array.buffers())
    return (array.offset, len(array), *buffers)


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
    except UnicodeEncodeError as fault:
        raise error(_broken_text(values, f"column {name}")) from fault
    except FAULTS as fault:
        given = getattr(values, "type", None) or getattr(values, "dtype", type(values).__name__)
        raise error(f"column {name} ({given}) cannot be read as {kind}: {fault}. Cast it before.") from fault


def column(frame: Frame, name: str, kind: Any, error: type[AtelierError]) -> Any:
    """The column ``name`` as :func:`cast` gives it; all null where the frame has no such column."""
    return cast(frame[name], kind, name, error) if name in columns(frame) else pa.nulls(len(frame), kind)


def decoded(array: Any) -> Any:
    """An Arrow array without chunks and without a dictionary."""
    array = whole(array)
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or bool(kind == pa.string_view())


def times(values: Any, name: str, error: type[AtelierError]) -> Any:
    """A column of times, ``timestamp[us]`` without a zone; null where there is none.

    A time with a zone is read off the clock of that zone: a day is what the retailer's wall clock says. A date is its
    first moment.

    Args:
        values: times, dates or ISO texts, as pandas, Arrow, NumPy or Python have them.
        name: of the column, for the message.
        error: is raised for anything else. Numbers too are refused: nobody says whether they count days, seconds or
            nanoseconds, and since when.
    """
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        _refuse_mixture(values, name, error)
    array = decoded(read(values, name, error))
    kind = array.type
    if not len(array):  # of any type: nothing says what it would hold
        return pa.array([], MOMENTS)
    if pa.types.is_timestamp(kind):
        _refuse_several_zones(values, name, error)
    try:
        if pa.types.is_timestamp(kind):
            array = pc.local_timestamp(array) if kind.tz else array
            return pc.cast(array, options=pc.CastOptions(MOMENTS, allow_time_truncate=True))
        if pa.types.is_date(kind) or pa.types.is_null(kind) or is_text(kind):
            return array.cast(pa.large_string() if is_text(kind) else kind).cast(MOMENTS)
    except FAULTS as fault:
        raise error(f"column {name} ({kind}) cannot be read as {MOMENTS}: {fault}. Cast it before.") from fault
    raise error(
        f"column {name} ({kind}) holds no times: convert it before, numbers for example with "
        "pd.to_datetime(values, unit='s'), so that it is said what they count"
    )


def _refuse_mixture(values: Any, name: str, error: type[AtelierError]) -> None:
    """Refuse Python's values of several sorts: beside times Arrow takes a number for microseconds since 1970."""
    if getattr(values, "dtype", None) != np.dtype(object) and not isinstance(values, list | tuple):
        return  # a column of a type of its own has one sort
    types = {type(value) for value in values if not _is_missing(value)}
    sorts = {_sort_of_time(kind) for kind in types}
    if len(sorts) > 1:
        raise error(
            f"column {name} holds no times alone, but mixes {', '.join(sorted(sorts))}: convert it before, texts for "
            "example with pd.to_datetime(values), numbers with pd.to_datetime(values, unit='s'), so that it is said "
            "what they count"
        )


def _is_missing(value: Any) -> bool:
    """Whether one value of a column stands for none."""
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT


def _sort_of_time(kind: type) -> str:
    """What Python's type is where times are wanted."""
    if issubclass(kind, datetime.datetime | np.datetime64):
        return "times"
    if issubclass(kind, datetime.date):
        return "dates"
    return "texts" if issubclass(kind, str) else f"values of the type {kind.__name__}"


def _refuse_several_zones(values: Any, name: str, error: type[AtelierError]) -> None:
    """Refuse Python's times of several zones, of which Arrow would read all off the clock of the first."""
    if isinstance(values, pa.Array | pa.ChunkedArray) or getattr(values, "dtype", np.dtype(object)).kind != "O":
        return  # a column has one zone
    zones = {str(value.tzinfo) for value in values if isinstance(value, datetime.datetime) and not pd.isna(value)}
    if len(zones) > 1:
        raise error(
            f"column {name} mixes times of the zones {', '.join(sorted(zones))}: bring them to the retailer's zone, "
            "for example with .dt.tz_convert"
        )


def days(values: Any, name: str, error: type[AtelierError]) -> Any:
    """The days in which the times of a column lie, read as by :func:`times`: ``date32``, null where there is none."""
    return pc.floor_temporal(times(values, name, error), unit="day").cast(pa.date32())


def day(value: Any, name: str, error: type[AtelierError]) -> datetime.date:
    """One day.

    Args:
        value: a date, a time (of which the day is taken, in its own zone where it has one), or an ISO text.
        name: of the argument, for the message.
        error: is raised for anything else, a number above all.
    """
    try:
        if isinstance(value, str):
            value = datetime.datetime.fromisoformat(value)
        if isinstance(value, np.datetime64):
            value = value.astype("datetime64[D]").item()
    except ValueError as fault:
        raise error(f"{name} is {value!r}, which is no day ({fault}): write it as 2020-09-22") from fault
    if isinstance(value, datetime.datetime) and not pd.isna(value):
        return value.date()
    if isinstance(value, datetime.date) and not pd.isna(value):
        return value
    raise error(f"{name} is {value!r} ({type(value).__name__}), which is no day: pass a date or a text like 2020-09-22")


def flags(values: Any, name: str, error: type[AtelierError]) -> Mask:
    """A column of flags, bool [n].

    Args:
        values: booleans, or the numbers 0 and 1.
        name: of the column, for the message.
        error: is raised where one is null, another number, or not a number: Python takes the text ``"False"`` for true.
    """
    array = decoded(read(values, name, error))
    if array.null_count:
        raise error(f"{name} is null for {array.null_count:,} rows: say true or false")
    if not len(array):
        return np.zeros(0, dtype=bool)
    if pa.types.is_boolean(array.type):
        return np.array(array.to_numpy(zero_copy_only=False), dtype=bool)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        found = array.to_numpy(zero_copy_only=False)
        if np.isin(found, (0, 1)).all():
            return np.array(found, dtype=bool)
    raise error(
        f"column {name} ({array.type}) does not hold true and false: compare it before, for example "
        f"frame[{name!r}] == 'True'"
    )


def flag(value: Any, name: str, error: type[AtelierError]) -> bool:
    """One flag: true or false, of Python or NumPy, or the numbers 0 and 1.

    Args:
        value: the flag.
        name: of the argument, for the message.
        error: is raised for anything else: Python takes the text ``"False"`` for true.
    """
    if isinstance(value, bool | np.bool_ | int | np.integer) and value in (0, 1):
        return bool(value)
    raise error(f"{name} is {value!r} ({type(value).__name__}): say True or False")


def numbers(values: Any, name: str, error: type[AtelierError]) -> Float64s:
    """A column of finite numbers, float64 [n], NaN where there is none.

    Args:
        values: numbers of any sort, decimals too.
        name: of the column, for the message.
        error: is raised where a value is not a number, or infinite.
    """
    given = decoded(read(values, name, error))
    if pa.types.is_boolean(given.type):
        raise error(f"column {name} holds true and false, not numbers")
    array = cast(given, pa.float64(), name, error)
    found = np.array(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    if np.isinf(found).any():
        row = int(np.flatnonzero(np.isinf(found))[0])
        raise error(f"column {name} is infinite in {np.isinf(found).sum():,} rows, the first at place {row:,}")
    return found


def categories(values: Any, name: str, error: type[AtelierError]) -> Any:
    """A column of a few texts, above all of kinds, as an Arrow dictionary without chunks; none is null.

    Args:
        values: texts, dictionary-encoded or not.
        name: of the column, for the message.
        error: is raised where one is null or not a text.
    """
    array = read(values, name, error)
    array = array if len(array) else pa.array([], pa.large_string())
    plain = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (is_text(plain) or pa.types.is_null(plain)):
        raise error(f"column {name} is {plain}, not text")
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.large_string()).dictionary_encode()
    array = whole(array)
    nulls = decoded(array).null_count if array.dictionary.null_count else array.null_count
    if nulls:
        raise error(f"{name} is null in {nulls:,} rows: drop these rows or fill the column")
    return array


def chosen_texts(values: Any, name: str, error: type[AtelierError]) -> tuple[str, ...]:
    """A choice of names, for example of kinds: ``("purchase",)``. A single text is that one name, not its letters.

    Args:
        values: a text, or a collection of texts.
        name: of the argument, for the message.
        error: is raised where it is a frame or a mapping, or one is null or not a text.
    """
    if isinstance(values, str):
        return (values,)
    array = decoded(read(values, name, error))
    if not len(array):
        return ()
    if array.null_count or not (is_text(array.type) or pa.types.is_null(array.type)):
        raise error(f"{name} is {array.type}{' with nulls' * bool(array.null_count)}, not a list of texts")
    return tuple(array.to_pylist())


def warn_nothing_in_common(message: str, depth: int = 3) -> None:
    """Warn that two inputs have nothing in common, so that what follows from them is no answer.

    Args:
        message: what has nothing in common with what, and what to look at.
        depth: of the caller who is to be named, counted as by :func:`warnings.warn` from here.
    """
    warnings.warn(message, NothingInCommonWarning, stacklevel=depth)


def matrix(lists: Any, name: str, error: type[AtelierError]) -> Float32s:
    """A column of lists of numbers, all of one length, as float32 [rows, length].

    Args:
        lists: an Arrow array of lists, of fixed size or not, without chunks.
        name: of the column, for the message.
        error: is raised where they are no lists of numbers, differ in length, or one is null.
    """
    if not is_list(lists.type):
        raise error(f"column {name} holds {lists.type}, not lists of numbers: make a list of each vector")
    inner = lists.type.value_type
    if not (
        pa.types.is_integer(inner)
        or pa.types.is_floating(inner)
        or pa.types.is_decimal(inner)
        or pa.types.is_null(inner)
    ):
        raise error(f"column {name} holds lists of {inner}, not of numbers: cast them before")
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1 or None in lengths:
        raise error(f"column {name} mixes vectors of the lengths {lengths}: all have to be of one length, none null")
    flat = pc.list_flatten(lists).to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return np.asarray(flat.reshape(len(lists), lengths[0] if lengths else 0))


def is_list(kind: Any) -> bool:
    """Whether an Arrow type is one of lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
