"""Catalogue: rows, vectors and stock stay together whatever order they come in."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.catalogue import Catalogue, CatalogueError

ARTICLES = pd.DataFrame({"article_id": ["c", "a", "b"], "price": [3.0, 1.0, 2.0], "in_stock": [True, False, True]})
VECTORS = np.array([[3, 30], [1, 10], [2, 20]], dtype=np.float32)


@settings(max_examples=40)
@given(st.permutations(range(3)), st.permutations(range(4)))
def test_everything_is_aligned_with_the_sorted_ids(rows: list[int], others: list[int]) -> None:
    frame = pd.DataFrame({"article_id": ["c", "a", "b", "extra"], "vector": [[3, 30], [1, 10], [2, 20], [0, 0]]})
    shuffled = ARTICLES.iloc[rows]
    for vectors in (VECTORS[rows], frame.iloc[others], pa.Table.from_pandas(frame.iloc[others])):
        catalogue = Catalogue.from_frames(shuffled, vectors, names=["one", "ten"])
        assert catalogue.ids.values.to_pylist() == ["a", "b", "c"] == catalogue.frame["article_id"].tolist()
        assert catalogue.frame["price"].tolist() == [1.0, 2.0, 3.0]
        assert catalogue.in_stock.tolist() == [False, True, True]
        assert catalogue.vectors is not None
        np.testing.assert_array_equal(catalogue.vectors, [[1, 10], [2, 20], [3, 30]])
        assert catalogue.vectors.dtype == np.float32
        assert catalogue.names == ("one", "ten")


def test_without_vectors_and_stock() -> None:
    catalogue = Catalogue.from_frames(pa.Table.from_pandas(ARTICLES[["article_id"]]))
    assert catalogue.vectors is None
    assert catalogue.in_stock.all()
    assert len(catalogue) == 3
    assert len(Catalogue.from_frames(ARTICLES.iloc[:0])) == 0


def test_nothing_passed_is_changed_and_nothing_kept_can_be() -> None:
    articles, vectors = ARTICLES.copy(deep=True), VECTORS.copy()
    catalogue = Catalogue.from_frames(articles, vectors)
    assert catalogue.vectors is not None
    for array in (catalogue.vectors, catalogue.in_stock):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    vectors[:] = 7
    articles["in_stock"] = False
    assert catalogue.in_stock.tolist() == [False, True, True]
    assert catalogue.vectors[0, 0] == 1


@pytest.mark.parametrize(
    ("articles", "vectors", "names", "message"),
    [
        (ARTICLES.drop(columns="article_id"), None, None, "no column 'article_id'"),
        (pd.concat([ARTICLES, ARTICLES.iloc[:2]]), None, None, "2 articles occur more than once: 'a', 'c'"),
        (ARTICLES, np.where(VECTORS == 30, np.inf, VECTORS), None, r"of 1 articles .* not finite .*: 'c': make them"),
        (
            ARTICLES,
            pd.DataFrame({"article_id": ["a", "b", "c"], "vector": [[1, None], [2, 3], [np.nan, 4]]}),
            None,
            r"of 2 articles .* not finite .*: 'a', 'c': make them again",
        ),
        (ARTICLES, VECTORS[:2], None, r"shape \(2, 2\), for 3 articles"),
        (ARTICLES, VECTORS, ["one"], "1 names for vectors of 2"),
        (ARTICLES, None, ["one"], "1 names for vectors of 0"),
        (ARTICLES, pd.DataFrame({"article_id": ["a"], "vector": [[1.0]]}), None, "2 articles have no vector: 'b', 'c'"),
        (ARTICLES, pd.DataFrame({"article_id": ["a"]}), None, "no column 'vector'; it has article_id"),
        (ARTICLES, pd.DataFrame({"article_id": list("abc"), "vector": [[1], [1, 2], [1]]}), None, "one length"),
        (
            ARTICLES,
            pd.DataFrame({"article_id": list("abc"), "vector": [[1], [1, 2], []]}),
            None,
            r"of the lengths \[1, 2, 0\]",
        ),
        (ARTICLES, pd.DataFrame({"article_id": list("abca"), "vector": [[1.0]] * 4}), None, "one row for each article"),
        (ARTICLES.assign(in_stock=[True, None, False]), None, None, "in_stock is null for 1"),
    ],
)
def test_bad_frames_are_refused(articles: Any, vectors: Any, names: Any, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        Catalogue.from_frames(articles, vectors, names)


def test_siblings_are_the_articles_of_one_style() -> None:
    frame = pd.DataFrame({"article_id": ["e", "d", "c", "b", "a"], "product_code": ["p", None, "q", "p", "q"]})
    found = Catalogue.from_frames(frame).siblings()
    assert found is not None
    assert found.tolist() == [0, 1, 0, 3, 1]  # of a, b, c, d, e
    assert Catalogue.from_frames(frame[["article_id"]]).siblings() is None
