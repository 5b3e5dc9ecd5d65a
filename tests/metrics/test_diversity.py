"""Coverage, overlap, personalization, novelty and shares against their definitions, word for word."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atelier.catalogue import Catalogue
from atelier.metrics import MetricsError, diversity, evaluate
from atelier.metrics.diversity import intra_list_diversity
from atelier.metrics.lists import _first_mention_only

ABSENT = -1
MATRICES = st.lists(st.lists(st.integers(-1, 6), min_size=4, max_size=4), min_size=1, max_size=8).map(
    lambda rows: _first_mention_only(np.array(rows, np.int64))
)


def sets(matrix: NDArray[np.int64]) -> list[frozenset[int]]:
    found = [frozenset(int(article) for article in row if article != ABSENT) for row in matrix]
    return [items for items in found if items]


def same(found: float, expected: float) -> bool:
    return (math.isnan(found) and math.isnan(expected)) or found == pytest.approx(expected, abs=1e-12)


@given(MATRICES)
def test_coverage(matrix: NDArray[np.int64]) -> None:
    catalogue = np.arange(5)
    named = set().union(*sets(matrix)) if sets(matrix) else set()
    assert same(diversity.coverage(matrix, catalogue), len(named & set(range(5))) / 5)
    assert math.isnan(diversity.coverage(matrix, np.empty(0, np.int64)))


@given(MATRICES)
def test_overlap(matrix: NDArray[np.int64]) -> None:
    found = sets(matrix)
    expected = 1 - len(set(found)) / len(found) if found else math.nan
    assert same(diversity.overlap(matrix), expected)


@given(MATRICES)
def test_personalization_is_the_mean_over_all_pairs(matrix: NDArray[np.int64]) -> None:
    found = sets(matrix)
    cosines = [len(a & b) / math.sqrt(len(a) * len(b)) for a, b in combinations(found, 2)]
    assert same(diversity.personalization(matrix), 1 - sum(cosines) / len(cosines) if cosines else math.nan)


def test_personalization_of_the_extremes() -> None:
    assert diversity.personalization(np.tile(np.arange(10), (50, 1))) == pytest.approx(0)
    assert diversity.personalization(np.arange(500).reshape(50, 10)) == 1


@given(MATRICES)
def test_novelty(matrix: NDArray[np.int64]) -> None:
    purchases = np.array([7, 0, 3, 1, 0, 2, 9])
    bits = diversity.information(purchases, np.arange(7))
    assert (2.0**-bits).sum() == pytest.approx(1)
    expected = [np.mean([-math.log2((purchases[i] + 1) / (22 + 7)) for i in items]) for items in sets(matrix)]
    assert np.allclose(diversity.novelty(matrix, bits), expected)


def test_shares_count_articles_without_a_value_too() -> None:
    matrix = np.array([[0, 1, ABSENT], [2, 3, 0]])
    places = np.array([0, 1, 1, -1])
    assert diversity.shares(matrix, places, 2).tolist() == pytest.approx([2 / 5, 2 / 5])
    assert np.isnan(diversity.shares(np.full((2, 2), ABSENT), places, 2)).all()


def test_only_the_first_mention_stays() -> None:
    matrix = np.array([[3, 1, 3, 1], [1, 2, 3, 4], [ABSENT, ABSENT, 5, 5]])
    cleaned = _first_mention_only(matrix)
    assert cleaned.tolist() == [[3, 1, ABSENT, ABSENT], [1, 2, 3, 4], [ABSENT, ABSENT, 5, ABSENT]]
    assert matrix[0].tolist() == [3, 1, 3, 1]


LISTS = st.lists(st.lists(st.integers(0, 5), max_size=4, unique=True), min_size=1, max_size=6)


@given(LISTS, st.integers(0, 3))
def test_intra_list_diversity_is_the_mean_over_pairs(lists: list[list[int]], seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)
    vectors[0] = 0  # of which nothing is known
    matrix = np.array([row + [-1] * (4 - len(row)) for row in lists])
    for k, found in zip((2, 4), intra_list_diversity(matrix, vectors, (2, 4)), strict=True):
        expected = []
        for row in lists:
            known = [vectors[code] / np.linalg.norm(vectors[code]) for code in row[:k] if code]
            pairs = [1 - float(one @ other) for place, one in enumerate(known) for other in known[:place]]
            expected += [np.mean(pairs)] if pairs else []
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_intra_list_diversity_in_the_table() -> None:
    recs = pd.DataFrame(
        {"customer_id": list("uuuvvw"), "article_id": ["a", "b", "c", "a", "d", "a"], "rank": [1, 2, 3, 1, 2, 1]}
    )
    vectors = pd.DataFrame({"article_id": list("abcd"), "vector": [[1.0, 0.0], [0.0, 2.0], [0.0, 1.0], [3.0, 0.0]]})
    truth = recs[["customer_id", "article_id"]]
    catalogue = Catalogue.from_frames(vectors[["article_id"]], vectors)
    for form in (vectors, pa.Table.from_pandas(vectors), catalogue, vectors.sample(frac=1, random_state=0)):
        table = evaluate(recs, truth, (2, 3), vectors=form)
        rows = table[table["metric"] == "intra_list_diversity"].set_index("k")
        assert rows["segment"].unique().tolist() == ["all"]
        assert rows["value"].tolist() == pytest.approx([(1 + 0) / 2, (2 / 3 + 0) / 2])  # of w there is no pair
        assert rows["customers"].tolist() == [2, 2]
    assert "intra_list_diversity" not in set(evaluate(recs, truth, 2, catalogue=catalogue)["metric"])
    for wrong, message in (
        (Catalogue.from_frames(vectors[["article_id"]]), "without vectors"),
        (vectors.assign(vector=[[1.0], [1.0, 2.0], [1.0], [1.0]]), "lengths"),
        (vectors.assign(vector=[[np.inf, 1.0]] * 4), "not finite"),
        (vectors[["article_id"]], "no column 'vector'"),
    ):
        with pytest.raises(MetricsError, match=message):
            evaluate(recs, truth, 2, vectors=wrong)
