"""IdMap against the obvious dictionary, over every form in which identifiers arrive."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import BundleError, UnknownIdentifier
from atelier.ids import FEW, IdentifierError, IdMap, column

TEXTS = st.lists(st.text(max_size=4), max_size=30)


@settings(max_examples=40)
@given(TEXTS, st.integers(0, 5))
def test_factorise_equals_sorting_the_set(texts: list[str], chunks: int) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    expected = sorted(set(texts), key=lambda text: text.encode())
    forms = [
        texts,
        pd.Series(texts, dtype="str"),
        pd.Series(texts, dtype="object"),
        pd.Series(texts, dtype="category"),
        np.array(texts, dtype=object),
        pa.array(texts, pa.string()),
        pa.array(texts, pa.string()).dictionary_encode(),
        pa.chunked_array(
            [
                pa.array(texts[:chunks], pa.string()).dictionary_encode(),
                pa.array(texts[chunks:], pa.string()).dictionary_encode(),
            ]
        ),
    ]
    for form in forms:
        ids, codes = IdMap.factorise(form)
        assert ids.values.to_pylist() == expected
        assert codes.dtype == np.int32
        assert [expected[code] for code in codes] == texts
        assert list(ids.decode(codes)) == texts
        assert ids.encode(form).tolist() == codes.tolist()


@settings(max_examples=60)
@given(st.sets(st.text(max_size=3), min_size=1, max_size=40), st.lists(st.text(max_size=3), max_size=9))
def test_bisecting_and_hashing_are_the_same(known: set[str], others: list[str]) -> None:
    known, others = ({t.encode("utf-8", "ignore").decode() for t in texts} for texts in (known, others))
    ids, asked = IdMap.from_values(sorted(known)), pa.array([*others, *sorted(known)[::3]], pa.large_string())
    expected = [ids.values.to_pylist().index(text) if text in known else -1 for text in asked.to_pylist()]
    assert ids._bisected(asked).tolist() == ids._hashed(asked).tolist() == expected
    assert ids._bisected(asked).dtype == ids._hashed(asked).dtype == np.int32


def test_few_of_many_identifiers_are_bisected(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = IdMap.from_values([f"c{n}" for n in range(FEW + 1)])
    unused = pd.Series(pd.Categorical(["c7", None], categories=["c7"]))[:1]
    monkeypatch.setattr(IdMap, "_hashed", None)
    assert ids.decode(ids.encode(unused)).tolist() == ["c7"]
    with pytest.raises(UnknownIdentifier, match="1 unknown identifier: 'nobody'"):
        ids.encode(["nobody"])
    assert ids.encode([]).tolist() == []


def test_unused_categories_are_not_identifiers() -> None:
    ids = IdMap.from_values(pd.Series(pd.Categorical(["b", "a"], categories=["a", "b", "never"])))
    assert ids.values.to_pylist() == ["a", "b"]


def test_unknown_identifiers_are_named_and_counted() -> None:
    ids = IdMap.from_values(["a", "b"])
    asked = ["a", *(f"u{i}" for i in range(12)), "u0"]
    with pytest.raises(UnknownIdentifier, match=r"12 unknown customer_ids: 'u0', 'u1', 'u10', 'u11', 'u2' and 7 more"):
        ids.encode(asked, what="customer_id")
    assert ids.encode(["b", "?", "a"], unknown="minus_one").tolist() == [1, -1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([108775015], "leading zeros"),
        (["a", None], "null in 1 rows, first in row 1"),
        (pd.Series(["a", float("nan")], dtype="object"), "null in 1 rows"),
        (pa.array(["a", None]).dictionary_encode(), "null in 1 rows, first in row 1"),
        ("abc", "single text"),
        (["a", 1], "not a column of text"),
    ],
)
def test_what_is_not_text_is_refused(values: object, message: str) -> None:
    with pytest.raises(IdentifierError, match=message):
        IdMap.from_values(values, "customer_id")


def test_decode_refuses_numbers_outside() -> None:
    ids = IdMap.from_values(["a", "b"])
    for codes in ([2], [-1]):
        with pytest.raises(IndexError, match="0 … 1"):
            ids.decode(codes)


def test_union_equality_and_immutability() -> None:
    one, other = IdMap.from_values(["a", "c"]), IdMap.from_values(["b", "c"])
    assert IdMap.union(one, other) == IdMap.from_values(["a", "b", "c"])
    assert one != other
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.values = other.values  # type: ignore[misc]


@pytest.mark.parametrize("values", [[], ["ä", "a", "Z"]])
def test_save_and_load(values: list[str], tmp_path: pytest.TempPathFactory) -> None:
    ids, path, again = IdMap.from_values(values), tmp_path / "ids.parquet", tmp_path / "again.parquet"
    ids.save(path)
    assert IdMap.load(path) == ids
    IdMap.load(path).save(again)
    assert path.read_bytes() == again.read_bytes()


def test_broken_files_are_refused(tmp_path: pytest.TempPathFactory) -> None:
    path = tmp_path / "ids.parquet"
    with pytest.raises(BundleError, match="not a readable map"):
        IdMap.load(path)
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(BundleError, match="not a readable map"):
        IdMap.load(path)
    for values in (["b", "a"], ["a", "a"], ["a", None]):
        pq.write_table(pa.table({"id": values}), path)
        with pytest.raises(BundleError, match="null, repeated or out of order"):
            IdMap.load(path)
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(BundleError, match="not a readable map"):
        IdMap.load(path)


def test_column_of_a_frame() -> None:
    frame = pd.DataFrame({"customer_id": ["a"]})
    assert list(column(frame, "customer_id")) == ["a"]
    assert column(pa.Table.from_pandas(frame), "customer_id").to_pylist() == ["a"]
    assert column(["a"], "customer_id") == ["a"]
    with pytest.raises(IdentifierError, match="no column 'article_id'; it has customer_id"):
        column(frame, "article_id")
