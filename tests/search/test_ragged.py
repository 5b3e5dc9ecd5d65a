"""The vectorised steps on lists, against slow and obvious versions."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.search import ragged
from atelier.search.ragged import Pairs, RaggedLists, best, first_of_order, padded, without

ROWS, ARTICLES = 4, 7
PAIRS = st.lists(st.tuples(st.integers(0, ROWS - 1), st.integers(0, ARTICLES - 1)), max_size=30)


def pairs_of(listed: list[tuple[int, int]]) -> Pairs:
    ordered = sorted(listed, key=lambda pair: pair[0])
    return Pairs(np.array([row for row, _ in ordered], np.int64), np.array([code for _, code in ordered], np.int32))


def unpadded(codes: np.ndarray) -> list[list[int]]:
    """The lists; −1 may stand at the end only."""
    found = [[code for code in row if code >= 0] for row in codes.tolist()]
    assert all(row[: len(short)] == short for row, short in zip(codes.tolist(), found, strict=True))
    return found


@settings(max_examples=50)
@given(PAIRS, st.lists(st.integers(0, ROWS - 1), max_size=6))
def test_lists_of_rows(listed: list[tuple[int, int]], asked: list[int]) -> None:
    lists = RaggedLists.from_pairs(pairs_of(listed), ROWS)
    found = lists.of(np.array(asked, np.int64))
    expected = [
        (place, code) for place, row in enumerate(asked) for code in [code for other, code in listed if other == row]
    ]
    assert list(zip(found.rows.tolist(), found.codes.tolist(), strict=True)) == expected


@settings(max_examples=50)
@given(PAIRS)
def test_distinct(listed: list[tuple[int, int]]) -> None:
    rows, codes = np.array([p[0] for p in listed], np.int32), np.array([p[1] for p in listed], np.int32)
    lists = RaggedLists.distinct(rows, codes, (ROWS, ARTICLES))
    found = lists.of(np.arange(ROWS))
    assert list(zip(found.rows.tolist(), found.codes.tolist(), strict=True)) == sorted(set(listed))


@settings(max_examples=50)
@given(st.sets(st.tuples(st.integers(0, ROWS - 1), st.integers(0, ARTICLES - 1))), st.integers(1, 9), st.randoms())
def test_best_sorts_by_score_then_article(listed: set[tuple[int, int]], k: int, random: object) -> None:
    order = sorted(listed)
    random.shuffle(order)  # type: ignore[attr-defined]
    rows, codes = np.array([p[0] for p in order], np.int64), np.array([p[1] for p in order], np.int32)
    scores = (codes % 3).astype(np.float32)
    ranked = best(rows, codes, scores, ROWS, k)
    for row, found in enumerate(unpadded(ranked.codes)):
        assert found == sorted((code for r, code in listed if r == row), key=lambda code: (-(code % 3), code))[:k]
        assert ranked.scores[row, : len(found)].tolist() == [code % 3 for code in found]


SCORES = st.sampled_from([-np.inf, -3.5, -1e-30, -0.0, 0.0, 1e-30, 2.0, 2.0000002, 7.0, np.inf, np.nan])


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, ROWS - 1), SCORES), min_size=1, max_size=40), st.integers(1, 3))
def test_leaving_pairs_out_before_sorting_changes_nothing(listed: list[tuple[int, float]], k: int) -> None:
    rows, scores = np.array([row for row, _ in listed], np.int64), np.array([s for _, s in listed], np.float32)
    codes = np.arange(len(rows), dtype=np.int32)[::-1].copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "FEW", 0)
        some = best(rows, codes, scores, ROWS, k)
        patch.setattr(ragged, "FEW", 1_000)
        everything = best(rows, codes, scores, ROWS, k)
    np.testing.assert_array_equal(some.codes, everything.codes)
    np.testing.assert_array_equal(some.scores, everything.scores)


@settings(max_examples=50)
@given(PAIRS, st.permutations(range(ARTICLES)), st.integers(0, ARTICLES), st.integers(1, 9))
def test_first_of_order(excluded: list[tuple[int, int]], order: list[int], length: int, k: int) -> None:
    common = np.array(order[:length], np.int32)
    scores = np.linspace(1, 0, length).astype(np.float32)
    ranked = first_of_order(common, scores, pairs_of(excluded), ROWS, k, ARTICLES)
    for row, found in enumerate(unpadded(ranked.codes)):
        assert found == [code for code in common.tolist() if (row, code) not in excluded][:k]
        assert ranked.scores[row, : len(found)].tolist() == [scores[common.tolist().index(code)] for code in found]


@settings(max_examples=50)
@given(PAIRS, PAIRS, st.integers(0, ROWS), st.integers(0, ROWS))
def test_without_and_within(listed: list[tuple[int, int]], excluded: list[tuple[int, int]], one: int, two: int) -> None:
    pairs, start, stop = pairs_of(listed), min(one, two), max(one, two)
    kept = pairs.where(without(pairs, pairs_of(excluded), ARTICLES))
    expected = [pair for pair in zip(*map(np.ndarray.tolist, pairs), strict=True) if pair not in excluded]
    assert list(zip(kept.rows.tolist(), kept.codes.tolist(), strict=True)) == expected
    part = kept.within(start, stop)
    assert list(zip(part.rows.tolist(), part.codes.tolist(), strict=True)) == [
        (row - start, code) for row, code in expected if start <= row < stop
    ]


def test_padded_cuts_at_k() -> None:
    ranked = padded(pairs_of([(1, 4), (1, 2), (1, 3)]), np.array([3, 2, 1], np.float32), 3, 2)
    assert ranked.codes.tolist() == [[-1, -1], [4, 2], [-1, -1]]
    assert ranked.scores.tolist() == [[0, 0], [3, 2], [0, 0]]


def test_one_row_with_many_exclusions_costs_the_others_nothing() -> None:
    """Memory goes by the sum of the exclusions, not by the rows times the most of any row."""
    n, articles = 4000, 20_000
    bot = Pairs(np.full(15_000, n - 1, dtype=np.int64), np.arange(15_000, dtype=np.int32))
    order, scores = np.arange(articles, dtype=np.int32), np.linspace(1, 0, articles).astype(np.float32)
    tracemalloc.start()
    ranked = first_of_order(order, scores, bot, n, 5, articles)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * 15_000 / 4, "one byte for each row and exclusion would be four times as much"
    assert (ranked.codes[:-1] == np.arange(5)).all()
    assert ranked.codes[-1].tolist() == list(range(15_000, 15_005))
