"""The embedding cache against the obvious version: a dictionary."""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from resources.embedding_cache import ROW_GROUP, EmbeddingCache, MissingEmbeddingError
from resources.storage import Storage

ENCODER = "mobilenet_v2-0a1b.c"


def digest(i: int) -> str:
    return f"{i:064x}"


def vectors(numbers: list[int] | range, dimension: int = 4) -> NDArray[np.float32]:
    """A vector per number, told apart in every position."""
    return (np.array(numbers, np.float32)[:, None] * 10 + np.arange(dimension, dtype=np.float32)).astype(np.float32)


@pytest.fixture
def cache(any_storage: Storage) -> EmbeddingCache:
    return EmbeddingCache(any_storage)


@pytest.fixture
def local(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=4), st.lists(st.integers(0, 15), max_size=12))
def test_it_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, appends: list[list[int]], asked: list[int]
) -> None:
    cache = EmbeddingCache(tmp_path_factory.mktemp("cache"))
    known: set[int] = set()
    for numbers in appends:
        new = cache.append(ENCODER, [digest(i) for i in numbers], vectors(numbers))
        assert new == len(set(numbers) - known)
        known |= set(numbers)
    assert cache.missing([digest(i) for i in asked], ENCODER) == [
        digest(i) for i in dict.fromkeys(asked) if i not in known
    ]
    if set(asked) <= known:
        found = cache.read([digest(i) for i in asked], ENCODER)
        assert found.dtype == np.float32
        assert np.array_equal(found, vectors(asked, 4 if known else 0))
    else:
        with pytest.raises(MissingEmbeddingError):
            cache.read([digest(i) for i in asked], ENCODER)


def test_rows_of_many_files_and_row_groups_come_back_aligned(cache: EmbeddingCache) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.permutation(3 * ROW_GROUP + 17)
    for block in np.array_split(numbers, 3):
        cache.append(ENCODER, [digest(int(i)) for i in block], vectors(block.tolist()))
    asked = rng.integers(0, len(numbers), 2_000).tolist()
    assert np.array_equal(cache.read([digest(i) for i in asked], ENCODER), vectors(asked))


def test_the_missing_are_named(cache: EmbeddingCache) -> None:
    cache.append(ENCODER, [digest(1)], vectors([1]))
    with pytest.raises(MissingEmbeddingError, match=f"2 images have no vector of encoder {ENCODER}.*{digest(7)}"):
        cache.read([digest(7), digest(1), digest(8)], ENCODER)
    assert cache.missing([digest(1)], "other") == [digest(1)]
    assert cache.dimension("other") is None


def test_what_does_not_fit_is_refused(cache: EmbeddingCache) -> None:
    cache.append(ENCODER, [digest(1)], vectors([1]))
    cases = {
        "not float32": ([digest(2)], vectors([2]).astype(np.float64)),
        r"not float32 \[2, dimension\]": ([digest(2), digest(3)], vectors([2])),
        "vectors of 4 numbers, not 5": ([digest(2)], vectors([2], 5)),
        "1 vectors are not finite, the first of 0+3": ([digest(2), digest(3)], np.array([[1], [np.nan]], np.float32)),
        "twice with different vectors": ([digest(2), digest(2)], vectors([2, 3])),
    }
    for message, (digests, values) in cases.items():
        with pytest.raises(ValueError, match=message):
            cache.append(ENCODER, digests, values)
    for unsafe in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(ValueError, match="encoder id"):
            cache.missing([], unsafe)
    assert cache.missing([digest(2), digest(3)], ENCODER) == [digest(2), digest(3)]


def test_a_digest_keeps_its_first_vector(cache: EmbeddingCache) -> None:
    cache.append(ENCODER, [digest(1)], vectors([1]))
    before = cache.read([digest(1)], ENCODER)
    assert cache.append(ENCODER, [digest(1), digest(2)], vectors([5, 2])) == 1
    assert np.array_equal(cache.read([digest(1), digest(2)], ENCODER), np.vstack([before, vectors([2])]))


def test_files_are_content_and_encoders_are_apart(local: EmbeddingCache, tmp_path: Path) -> None:
    cache, other = local, EmbeddingCache(tmp_path / "other")
    cache.append(ENCODER, [digest(2), digest(1), digest(1)], vectors([2, 1, 1]))
    other.append(ENCODER, [digest(1), digest(2)], vectors([1, 2]))
    (mine,) = (tmp_path / "embedding_cache" / ENCODER).iterdir()
    (theirs,) = (tmp_path / "other" / "embedding_cache" / ENCODER).iterdir()
    assert mine.name == theirs.name
    assert mine.read_bytes() == theirs.read_bytes()
    cache.append("vgg16", [digest(1)], vectors([9], 2))
    assert np.array_equal(cache.read([digest(1)], "vgg16"), vectors([9], 2))
    rows = duckdb.sql(
        "SELECT digest, embedding[2] FROM read_parquet($file) ORDER BY 1", params={"file": str(mine)}
    ).fetchall()
    assert rows == [(digest(1), 11.0), (digest(2), 21.0)]


def test_duplicates_that_were_copied_together_are_tolerated(local: EmbeddingCache, tmp_path: Path) -> None:
    cache, other = local, EmbeddingCache(tmp_path / "other")
    cache.append(ENCODER, [digest(1), digest(2)], vectors([1, 2]))
    other.append(ENCODER, [digest(2), digest(3)], vectors([2, 3]))
    (theirs,) = (tmp_path / "other" / "embedding_cache" / ENCODER).iterdir()
    shutil.copy(theirs, tmp_path / "embedding_cache" / ENCODER)
    assert np.array_equal(cache.read([digest(i) for i in (3, 2, 1)], ENCODER), vectors([3, 2, 1]))


def test_concurrent_appends_keep_one_vector_per_digest(cache: EmbeddingCache) -> None:
    def append(start: int) -> int:
        numbers = range(start, start + 10)
        return cache.append(ENCODER, [digest(i) for i in numbers], vectors(numbers))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(append, [0, 5, 10, 5, 0, 10, 0, 5]))
    assert sum(counts) == 20
    assert sorted(cache.digests(ENCODER).to_pylist()) == [digest(i) for i in range(20)]
    assert np.array_equal(cache.read([digest(i) for i in range(20)], ENCODER), vectors(range(20)))


def test_a_writer_reads_each_file_once_however_many_blocks_it_appends(
    local: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        local.append(ENCODER, [digest(n)], vectors([n]))
    read: list[str] = []
    opened = EmbeddingCache.opened

    def noted(cache: EmbeddingCache, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        for name, file in opened(cache, names):
            read.append(name)
            yield name, file

    writer = local.writer(ENCODER, [digest(n) for n in range(10)])
    monkeypatch.setattr(EmbeddingCache, "dimension", lambda cache, encoder_id: 4)
    monkeypatch.setattr(EmbeddingCache, "opened", noted)
    before = local.files(ENCODER)
    assert [writer.append([digest(n), digest(n + 1)], vectors([n, n + 1])) for n in range(1, 7)] == [0, 1, 1, 1, 1, 1]
    assert sorted(read) == sorted(before), "neither a file twice nor one of its own"


def test_a_writer_is_for_its_digests_only(cache: EmbeddingCache) -> None:
    with pytest.raises(ValueError, match=f"the writer is not for {digest(2)}"):
        cache.writer(ENCODER, [digest(1)]).append([digest(1), digest(2)], vectors([1, 2]))
    assert cache.files(ENCODER) == []


def test_a_writer_sees_what_others_add_meanwhile(cache: EmbeddingCache) -> None:
    writer, other = (cache.writer(ENCODER, [digest(n) for n in (1, 2, 3)]) for _ in range(2))
    assert writer.append([digest(1)], vectors([1])) == 1
    assert other.append([digest(1), digest(2)], vectors([9, 2])) == 1
    assert writer.append([digest(2), digest(3)], vectors([9, 3])) == 1
    assert np.array_equal(cache.read([digest(n) for n in (1, 2, 3)], ENCODER), vectors([1, 2, 3]))


def test_a_writer_appends_again_what_was_removed_meanwhile(local: EmbeddingCache, tmp_path: Path) -> None:
    writer = local.writer(ENCODER, [digest(n) for n in range(10)])
    writer.append([digest(1)], vectors([1]))
    writer.append([digest(2)], vectors([2]))
    (tmp_path / local.files(ENCODER)[0]).unlink()
    assert writer.append([digest(1), digest(2)], vectors([1, 2])) == 1
    assert np.array_equal(local.read([digest(1), digest(2)], ENCODER), vectors([1, 2]))


def test_writers_side_by_side_keep_one_vector_per_digest(cache: EmbeddingCache) -> None:
    def append(offset: int) -> int:
        writer = cache.writer(ENCODER, [digest(n) for n in range(20)])
        blocks = [range(start, start + 5) for start in (offset, 5, 0, 10)]
        return sum(writer.append([digest(n) for n in block], vectors(block)) for block in blocks)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(append, [0, 3, 7, 10]))
    assert sum(counts) == 15
    assert sorted(cache.digests(ENCODER).to_pylist()) == [digest(n) for n in range(15)]
