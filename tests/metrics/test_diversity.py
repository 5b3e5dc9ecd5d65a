"""Coverage, overlap, personalization, novelty and shares against their definitions, word for word."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from atelier.metrics import diversity
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
