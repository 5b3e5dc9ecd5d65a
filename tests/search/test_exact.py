"""Exact top-K against a full sort, with many ties, blocks and filters, whatever the products' precision."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atelier.search import exact, exact_bounds
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs, RaggedLists, Ranked
from tests.devices import DEVICES

Banned = set[tuple[int, int]]


@pytest.fixture(params=["numpy", *DEVICES], ids=lambda param: "torch" if param == "cpu" else param)
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The processor; the same by the operations that other devices take; other devices."""
    if request.param == "numpy":
        return exact_bounds.CPU
    monkeypatch.setattr(exact_bounds, "_is_numpys", lambda scores: False)
    return torch.device(request.param)


def slow(queries: np.ndarray, vectors: np.ndarray, codes: np.ndarray, k: int, banned: Banned) -> list[list[int]]:
    scores = queries @ vectors.T
    return [
        [int(codes[i]) for i in np.lexsort((codes, -scores[row])) if (row, int(codes[i])) not in banned][:k]
        for row in range(len(queries))
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 9),
    m=st.integers(0, 400),
    k=st.integers(1, 12),
    levels=st.integers(1, 3),
    bans=st.integers(0, 60),
    block=st.sampled_from([1, 700, exact.BLOCK]),
    half=st.booleans(),
)
def test_equals_a_full_sort(
    where: torch.device, seed: int, n: int, m: int, k: int, levels: int, bans: int, block: int, half: bool
) -> None:
    """Small whole numbers are exact in float32, so that ties are true ties."""
    random = np.random.default_rng(seed)
    queries = random.integers(-levels, levels + 1, (n, 3)).astype(np.float32)
    vectors = random.integers(-levels, levels + 1, (m, 3)).astype(np.float32)
    codes = np.sort(random.choice(2 * m + 1, m, replace=False)).astype(np.int32)
    rows, banned = random.integers(0, max(n, 1), bans if n else 0), random.integers(0, 2 * m + 1, bans if n else 0)
    excluded = RaggedLists.distinct(rows, banned.astype(np.int32), (n, 2 * m + 1)).of(np.arange(n))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK", block)
        patch.setattr(exact, "DEVICE_BLOCK", block)
        chosen = half if where.type == "cpu" else None
        ranked = ExactTopK(vectors, codes, 2 * m + 1, where, bfloat16=chosen)(queries, k, excluded)
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


def hard(kind: str, seed: int, n: int, m: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and vectors that bfloat16 finds hard to tell apart, in one way or another."""
    random = np.random.default_rng(seed)
    queries, vectors = random.normal(size=(n, dim)), random.normal(size=(m, dim))
    if kind == "alike":  # nearly the same vector, so that roundings decide in bfloat16
        vectors = vectors[:1] + 2.0**-11 * vectors
        queries = vectors[:1] * random.uniform(0.5, 2, (n, 1)) + 0.3 * queries
    elif kind == "negative":
        queries, vectors = np.abs(queries), -np.abs(vectors)
    elif kind == "half way":  # each number lies between two of bfloat16
        queries, vectors = 1 + (2 * random.integers(0, 64, (n, dim)) + 1) / 256, 1 + random.normal(size=(m, dim)) / 256
    elif kind == "lengths":
        vectors *= random.lognormal(0, 3, (m, 1))
    elif kind == "huge":
        queries, vectors = 1e18 * queries, 1e18 * vectors
    elif kind == "tiny":
        queries, vectors = 1e-20 * queries, 1e-20 * vectors
    elif kind == "nought":
        queries[::2], vectors[::3] = 0, 0
    return queries.astype(np.float32), vectors.astype(np.float32)


KINDS = ("plain", "alike", "negative", "half way", "lengths", "huge", "tiny", "nought")


def same(one: Ranked, other: Ranked) -> bool:
    return bool((one.codes == other.codes).all() and (one.scores == other.scores).all())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**31),
    n=st.integers(1, 6),
    m=st.integers(1, 900),
    dim=st.integers(1, 70),
    k=st.integers(1, 9),
)
def test_lists_do_not_depend_on_the_precision_of_products_or_the_device(
    where: torch.device, kind: str, seed: int, n: int, m: int, dim: int, k: int
) -> None:
    queries, vectors = hard(kind, seed, n, m, dim)
    codes, random = np.arange(m, dtype=np.int32), np.random.default_rng(seed)
    excluded = RaggedLists.distinct(random.integers(0, n, m // 3), random.integers(0, m, m // 3), (n, m)).of(
        np.arange(n)
    )
    single = ExactTopK(vectors, codes, m, bfloat16=False)(queries, k, excluded)
    assert same(single, ExactTopK(vectors, codes, m, bfloat16=True)(queries, k, excluded))
    assert same(single, ExactTopK(vectors, codes, m, where)(queries, k, excluded))
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64)
    exact[excluded.rows, excluded.codes] = -np.inf
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)[:, None] * np.linalg.norm(
        vectors.astype(np.float64), axis=1
    )
    off = lengths * 2 * dim * 2.0**-24 + 1e-37
    for row in range(n):  # against float64: nobody left out is better than anybody listed, beyond rounding
        listed = single.codes[row][single.codes[row] >= 0]
        assert len(listed) == min(k, int((exact[row] > -np.inf).sum()))
        assert (np.abs(single.scores[row, : len(listed)] - exact[row, listed]) <= off[row, listed]).all()
        left = np.setdiff1d(np.flatnonzero(exact[row] > -np.inf), listed)
        if len(left) and len(listed):
            weakest = (exact[row, listed] + off[row, listed]).min()
            assert (exact[row, left] - off[row, left] <= weakest).all()


def test_a_score_depends_on_nothing_but_its_two_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, vectors = hard("alike", 3, 40, 700, 37)
    codes = np.arange(700, dtype=np.int32)
    whole = ExactTopK(vectors, codes, 700)(queries, 5, Pairs.none())
    monkeypatch.setattr(exact, "BLOCK", 3 * 700)
    assert same(whole, ExactTopK(vectors, codes, 700)(queries, 5, Pairs.none()))
    few = np.unique(whole.codes)
    fewer = ExactTopK(vectors[few], few.astype(np.int32), 700)(queries[7:8], 5, Pairs.none())
    assert same(fewer, Ranked(whole.codes[7:8], whole.scores[7:8]))


@pytest.mark.parametrize("kind", ["plain", "alike"])
def test_a_bound_that_is_too_small_would_be_noticed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the errors left out and the rounding on the wrong side, bfloat16 leaves articles out of lists."""
    queries, vectors = hard(kind, 0, 100, 3000, 64)
    codes = np.arange(3000, dtype=np.int32)
    single = ExactTopK(vectors, codes, 3000, bfloat16=False)(queries, 10, Pairs.none())
    assert same(single, ExactTopK(vectors, codes, 3000, bfloat16=True)(queries, 10, Pairs.none()))
    monkeypatch.setattr(
        exact_bounds.BFloat16Products, "_error", lambda _, queries, rounded: np.zeros((len(queries), 1))
    )
    monkeypatch.setattr(exact_bounds, "HALF", -exact_bounds.HALF)
    assert not same(single, ExactTopK(vectors, codes, 3000, bfloat16=True)(queries, 10, Pairs.none()))


def test_what_bfloat16_does_not_prove_is_done_again_and_counted() -> None:
    queries, vectors = np.ones((4, 2), np.float32), np.ones((9000, 2), np.float32)
    vectors[:5] = [[9, 9], [8, 8], [7, 7], [6, 6], [5, 5]]
    queries[1], queries[3] = 0, -1  # all the same; none above nought
    search = ExactTopK(vectors, np.arange(9000, dtype=np.int32), 9000, bfloat16=True)
    ranked = search(queries, 3, Pairs(np.array([0, 3]), np.array([1, 8], np.int32)))
    assert ranked.codes.tolist() == [[0, 2, 3], [0, 1, 2], [0, 1, 2], [5, 6, 7]]
    assert search.again == 1  # the query of noughts asks for no product
    assert ExactTopK(vectors, np.arange(9000, dtype=np.int32), 9000, bfloat16=False).again == 0


@pytest.mark.parametrize("half", [False, True])
def test_numbers_that_are_none_are_never_recommended(half: bool) -> None:
    vectors = np.ones((50, 2), np.float32)
    vectors[40:] *= np.arange(2, 12, dtype=np.float32)[:, None]
    vectors[47, 1], vectors[48], vectors[49] = np.nan, np.inf, -np.inf
    queries = np.array([[1, 1], [np.nan, 1], [0, 0], [-1, -1]], np.float32)
    excluded = Pairs(np.array([0, 0, 2]), np.array([45, 48, 1], np.int32))
    ranked = ExactTopK(vectors, np.arange(50, dtype=np.int32), 50, bfloat16=half)(queries, 3, excluded)
    assert ranked.codes.tolist() == [[46, 44, 43], [-1, -1, -1], [0, 2, 3], [0, 1, 2]]
    assert ranked.scores[0].tolist() == [16, 12, 10]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("least", [0.0, 0.5], ids=["all", "half"])
def test_a_query_of_noughts_gets_the_first_articles_and_reaches_no_cell(
    half: bool, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(5)
    n, m, k = 40, 900, 6
    queries, vectors = random.normal(size=(n, 3)), random.normal(size=(m, 3)).astype(np.float32)
    queries = np.where(random.random((n, 1)) < least, queries, 0).astype(np.float32)
    codes = np.sort(random.choice(2 * m, m, replace=False)).astype(np.int32)
    rows, banned = random.integers(0, n, 400), random.integers(0, 60, 400).astype(np.int32)
    reached: list[int] = []
    cells = exact_bounds._cells

    def counted(*given: Any) -> exact_bounds.CandidateCells:
        found = cells(*given)
        reached.append(len(found.rows))
        return found

    monkeypatch.setattr(exact_bounds, "_cells", counted)
    ranked = ExactTopK(vectors, codes, 2 * m, bfloat16=half)(
        queries, k, RaggedLists.distinct(rows, banned, (n, 2 * m)).of(np.arange(n))
    )
    noughts = np.flatnonzero(~queries.any(axis=1))
    assert len(noughts) > 0
    pairs = set(zip(rows.tolist(), banned.tolist(), strict=True))
    assert ranked.codes.tolist() == slow(queries, vectors, codes, k, pairs)
    assert not ranked.scores[noughts].any()
    assert sum(reached) < n * 300


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["plain", "alike"])
def test_lists_do_not_depend_on_the_precision_that_torch_is_set_to(
    kind: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With "medium" float32 is multiplied in bfloat16 or TensorFloat-32, about which the bounds know nothing."""
    queries, vectors = hard(kind, 1, 64, 6000, 128)
    search = ExactTopK(vectors, np.arange(6000, dtype=np.int32), 6000, torch.device(device), bfloat16=False)
    usual, during = search(queries, 10, Pairs.none()), []
    libraries = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul
    mm = torch.mm

    def watched(*given: Any, **named: Any) -> torch.Tensor:
        during.extend(library.fp32_precision for library in libraries)
        return mm(*given, **named)

    monkeypatch.setattr(torch, "mm", watched)
    before = [library.fp32_precision for library in libraries]
    try:
        torch.set_float32_matmul_precision("medium")
        assert same(usual, search(queries, 10, Pairs.none()))
        assert during == ["ieee", "ieee"]
        assert torch.get_float32_matmul_precision() == "medium"
        assert [library.fp32_precision for library in libraries] == ["bf16", "tf32"]
    finally:
        torch.set_float32_matmul_precision("highest")
        for library, precision in zip(libraries, before, strict=True):
            library.fp32_precision = precision
