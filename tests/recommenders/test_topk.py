"""Exact top-K against a full sort, with many ties, blocks and filters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.recommenders import topk
from atelier.recommenders.lists import Lists, Pairs
from atelier.recommenders.topk import ExactTopK

Banned = set[tuple[int, int]]


def slow(queries: np.ndarray, vectors: np.ndarray, codes: np.ndarray, k: int, banned: Banned) -> list[list[int]]:
    scores = queries @ vectors.T
    return [
        [int(codes[i]) for i in np.lexsort((codes, -scores[row])) if (row, int(codes[i])) not in banned][:k]
        for row in range(len(queries))
    ]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31), n=st.integers(0, 9), m=st.integers(0, 400), k=st.integers(1, 12),
    levels=st.integers(1, 3), bans=st.integers(0, 60), block=st.sampled_from([1, 700, topk.BLOCK]),
)  # fmt: skip
def test_equals_a_full_sort(seed: int, n: int, m: int, k: int, levels: int, bans: int, block: int) -> None:
    """Small whole numbers are exact in float32, so that ties are true ties."""
    random = np.random.default_rng(seed)
    queries = random.integers(-levels, levels + 1, (n, 3)).astype(np.float32)
    vectors = random.integers(-levels, levels + 1, (m, 3)).astype(np.float32)
    codes = np.sort(random.choice(2 * m + 1, m, replace=False)).astype(np.int32)
    rows, banned = random.integers(0, max(n, 1), bans if n else 0), random.integers(0, 2 * m + 1, bans if n else 0)
    excluded = Lists.distinct(rows, banned.astype(np.int32), (n, 2 * m + 1)).of(np.arange(n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topk, "BLOCK", block)
        ranked = ExactTopK(vectors, codes, 2 * m + 1)(queries, k, excluded)
    pairs = set(zip(rows.tolist(), banned.tolist(), strict=True))
    expected = slow(queries, vectors, codes, k, pairs)
    assert [[code for code in row if code >= 0] for row in ranked.codes.tolist()] == expected
    by_code = {int(code): vector for code, vector in zip(codes, vectors, strict=True)}
    for row, found in enumerate(expected):
        assert ranked.scores[row, : len(found)].tolist() == [float(queries[row] @ by_code[code]) for code in found]


def test_inputs_are_not_changed() -> None:
    queries, vectors = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    for array in (queries, vectors):
        array.setflags(write=False)
    ranked = ExactTopK(vectors, np.arange(3, dtype=np.int32), 3)(queries, 1, Pairs.none())
    assert ranked.codes.tolist() == [[0], [1], [2]]
