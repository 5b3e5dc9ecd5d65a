"""The one reader of columns."""

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier import frames
from atelier.errors import AtelierError
from atelier.frames import as_arrow, cast, column, columns, is_frame, matrix, require, select, where, whole


class OddError(AtelierError):
    """The error of these tests."""


FRAMES = [
    pd.DataFrame({"x": ["a", None, "b"], "n": [1, 2, 3]}),
    pa.table({"x": ["a", None, "b"], "n": [1, 2, 3]}),
    pa.record_batch({"x": ["a", None, "b"], "n": [1, 2, 3]}),
    pd.DataFrame({"x": pd.Categorical(["a", None, "b"]), "n": pd.array([1, 2, 3], dtype="Int64")}),
    pa.concat_tables(
        [pa.table({"x": pa.array([v]).dictionary_encode(), "n": [n]}) for v, n in zip("a_b", (1, 2, 3), strict=True)]
    ),
]


@pytest.mark.parametrize("frame", FRAMES[:4])
def test_every_frame_reads_the_same(frame: Any) -> None:
    assert is_frame(frame)
    assert columns(frame) == ["x", "n"]
    assert column(frame, "x", pa.string(), OddError).to_pylist() == ["a", None, "b"]
    assert column(frame, "n", pa.float64(), OddError).to_pylist() == [1.0, 2.0, 3.0]
    absent = column(frame, "absent", pa.string(), OddError)
    assert (absent.to_pylist(), absent.type) == ([None] * 3, pa.string())
    assert columns(select(frame, ["n"])) == ["n"]
    few = where(frame, np.array([True, False, True]))
    assert column(few, "x", pa.string(), OddError).to_pylist() == ["a", "b"]


def test_dictionaries_of_chunks_become_one() -> None:
    values = whole(FRAMES[4]["x"])
    assert isinstance(values, pa.DictionaryArray)
    assert column(FRAMES[4], "x", pa.string(), OddError).to_pylist() == ["a", "_", "b"]
    assert whole(pa.chunked_array([], pa.string())).to_pylist() == []
    parts = [pa.array(["b", None, "a"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    apart = pa.chunked_array([*parts, parts[0].slice(1)])
    for array in (apart, apart.unify_dictionaries()):
        found = whole(array)
        assert found.to_pylist() == ["b", None, "a", "c", "a", None, "a"]
        assert sorted(found.dictionary.to_pylist()) == ["a", "b", "c"]
    again = whole(pa.chunked_array([parts[0], parts[0].slice(2), parts[0]]))
    assert again.to_pylist() == ["b", None, "a", "a", "b", None, "a"]
    assert again.dictionary.equals(parts[0].dictionary)


def test_any_iterable_is_a_column() -> None:
    for values in (["a"], ("a",), {"a"}, iter(["a"]), np.array(["a"], dtype=object), pd.Index(["a"]), pa.array(["a"])):
        assert as_arrow(values).to_pylist() == ["a"]
    assert as_arrow(np.array([1.0, np.nan])).to_pylist() == [1.0, None]
    assert not is_frame(["a"])


def test_what_a_frame_lacks_is_named_beside_what_it_has() -> None:
    require(FRAMES[0], ["x", "n"], OddError, "the frame")
    with pytest.raises(OddError, match=r"the odd frame has no column 'y' and no column 'z'; it has x, n"):
        require(FRAMES[1], ["y", "x", "z"], OddError, "the odd frame")
    with pytest.raises(OddError, match=r"no column 'y'; it has none"):
        require(pd.DataFrame(), ["y"], OddError, "the frame")
    with pytest.raises(OddError, match="pandas or Arrow frame, not dict"):
        require({"x": []}, [], OddError, "the frame")  # type: ignore[arg-type]


def test_what_cannot_be_cast_is_named_with_its_type() -> None:
    with pytest.raises(OddError, match=r"column price \(string\) cannot be read as double: .*'dear'.* Cast it before"):
        cast(pa.array(["dear"]), pa.float64(), "price", OddError)
    with pytest.raises(OddError, match=r"column mixed \(object\) cannot be read as string"):
        cast(pd.Series(["a", 1], dtype=object), pa.string(), "mixed", OddError)
    with pytest.raises(OddError, match="cannot be read as int64"):
        cast(np.array([1.5]), pa.int64(), "n", OddError)
    assert cast(np.array([1.5]), pa.int64(), "n", OddError, safe=False).to_pylist() == [1]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)])
def test_lists_of_one_length_are_a_matrix(kind: Any) -> None:
    lists = pa.array([[9.0, 9.0], [1.0, 2.0], [3.0, None]], kind).slice(1)
    found = matrix(lists, "vector", OddError)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([[1, 2], [3, np.nan]], np.float32))
    assert matrix(lists[:0], "vector", OddError).shape[0] == 0


@pytest.mark.parametrize("lists", [[[1.0], [1.0, 2.0]], [[1.0], None], [[1.0], []]])
def test_lists_of_several_lengths_are_refused(lists: list[Any]) -> None:
    with pytest.raises(OddError, match="column vector mixes vectors of the lengths"):
        matrix(pa.array(lists, pa.list_(pa.float32())), "vector", OddError)


MOMENT = pd.Timestamp("2020-09-01")


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.parametrize(
    ("values", "mixed"),
    [
        ([MOMENT, 1600732800], "times, values of the type int"),
        ([1600732800, MOMENT], "times, values of the type int"),
        ([MOMENT, 1.5, None], "times, values of the type float"),
        ([datetime.date(2020, 9, 1), 5], "dates, values of the type int"),
        ([MOMENT, "2020-09-02"], "texts, times"),
        (["2020-09-02", MOMENT], "texts, times"),
        ([datetime.date(2020, 9, 1), pd.Timestamp("2020-09-02 13:00")], "dates, times"),
    ],
)
def test_times_of_several_sorts_are_refused(values: list[Any], mixed: str, as_list: bool) -> None:
    given = values if as_list else pd.Series(values, dtype=object)
    with pytest.raises(AtelierError, match=rf"column at holds no times alone, but mixes {mixed}: convert it before"):
        frames.times(given, "at", AtelierError)


def test_times_with_gaps_are_read() -> None:
    given = pd.Series([MOMENT, None, pd.NaT, float("nan"), np.datetime64("2020-09-01", "us")], dtype=object)
    expected = [datetime.datetime(2020, 9, 1), None, None, None, datetime.datetime(2020, 9, 1)]
    assert frames.times(given, "at", AtelierError).to_pylist() == expected
