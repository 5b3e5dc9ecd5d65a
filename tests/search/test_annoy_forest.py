"""Annoy's indexes against the exact search, with filters, and on disk."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import BundleError
from atelier.recommenders.index_recall import recall
from atelier.search.annoy_forest import AnnoyConfig, AnnoyIndex
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs, Ranked

N_ARTICLES = 900
CODES = np.arange(0, N_ARTICLES, 2, dtype=np.int32)  # every other number is indexed


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(len(CODES), 12)) * rng.gamma(2.0, size=(len(CODES), 1))).astype(np.float32)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(40, 12)).astype(np.float32)


@pytest.fixture(scope="module", params=["cosine", "inner_product"])
def index(request: pytest.FixtureRequest, vectors: np.ndarray) -> AnnoyIndex:
    return AnnoyIndex.build(vectors, CODES, N_ARTICLES, AnnoyConfig(metric=request.param, trees=40, seed=5))


def exact(index: AnnoyIndex, vectors: np.ndarray, queries: np.ndarray, k: int, excluded: Pairs) -> Ranked:
    if index.config.metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return ExactTopK(vectors, CODES, N_ARTICLES)(queries, k, excluded)


def test_it_finds_most_of_the_exact_neighbours_and_scores_them_alike(
    index: AnnoyIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    near, best = index(queries, 10, Pairs.none()), exact(index, vectors, queries, 10, Pairs.none())
    assert recall(near, best) > 0.95
    same = near.codes == best.codes
    np.testing.assert_allclose(near.scores[same], best.scores[same], rtol=1e-4, atol=1e-4)


def test_longer_vectors_win_only_by_inner_product() -> None:
    along, short = np.array([[3.0, 3.0], [1.0, 0.0]], np.float32), np.array([[1.0, 0.1]], np.float32)
    first = {
        metric: AnnoyIndex.build(along, np.arange(2, dtype=np.int32), 2, AnnoyConfig(metric=metric))(
            short, 1, Pairs.none()
        ).codes.item()
        for metric in ("cosine", "inner_product")
    }
    assert first == {"cosine": 1, "inner_product": 0}


@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 600), forbidden=st.integers(0, 440), stocked=st.integers(0, 450), seed=st.integers(0, 99))
def test_filters_never_make_a_list_shorter_than_what_is_eligible(
    index: AnnoyIndex, queries: np.ndarray, k: int, forbidden: int, stocked: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    not_these = np.sort(rng.choice(CODES, forbidden, replace=False)).astype(np.int32)
    eligible = np.zeros(N_ARTICLES, bool)
    eligible[rng.choice(CODES, stocked, replace=False)] = True
    found = index(queries[:1], k, Pairs(np.zeros(forbidden, np.int64), not_these), eligible)
    codes = found.codes[0][found.codes[0] >= 0]
    allowed = eligible.copy()
    allowed[not_these] = False
    assert len(codes) == min(k, allowed.sum())
    assert allowed[codes].all()
    assert len(set(codes.tolist())) == len(codes)
    assert (np.diff(found.scores[0][: len(codes)]) <= 1e-6).all()


def test_with_everything_allowed_and_asked_for_it_is_exact(
    index: AnnoyIndex, vectors: np.ndarray, queries: np.ndarray
) -> None:
    near = index(queries, len(CODES), Pairs.none())
    best = exact(index, vectors, queries, len(CODES), Pairs.none())
    np.testing.assert_allclose(near.scores, best.scores, rtol=1e-4, atol=2e-3)
    assert (np.sort(near.codes, axis=1) == CODES).all()


def test_what_was_saved_answers_the_same_and_has_the_same_bytes(
    index: AnnoyIndex, vectors: np.ndarray, queries: np.ndarray, tmp_path: Path
) -> None:
    index.save(tmp_path / "a")
    again = AnnoyIndex.build(vectors, CODES, N_ARTICLES, index.config)
    again.save(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["codes.safetensors", "forest.ann", "index.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    loaded = AnnoyIndex.load(tmp_path / "a")
    assert loaded.config == index.config
    for mine, theirs in zip(loaded(queries, 7, Pairs.none()), index(queries, 7, Pairs.none()), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("broken", ["forest.ann", "index.json", "codes.safetensors"])
def test_a_broken_folder_is_named(index: AnnoyIndex, tmp_path: Path, broken: str) -> None:
    index.save(tmp_path)
    (tmp_path / broken).unlink()
    with pytest.raises(BundleError, match=str(tmp_path)):
        AnnoyIndex.load(tmp_path)


def test_an_index_of_nothing_finds_nothing() -> None:
    empty = AnnoyIndex.build(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), 10)
    assert (empty(np.ones((2, 4), np.float32), 3, Pairs.none()).codes == -1).all()


def test_recall_is_the_share_of_the_exact_lists_that_was_found() -> None:
    scores = np.zeros((2, 3), np.float32)
    best = Ranked(np.array([[1, 2, 3], [4, 5, -1]], np.int32), scores)
    near = Ranked(np.array([[3, 9, 1], [5, 1, 2]], np.int32), scores)
    assert recall(near, best) == pytest.approx(3 / 5)


@pytest.mark.parametrize("name", ["forest.ann", "codes.safetensors"])
def test_damaged_files_are_refused_before_annoy_reads_them(index: AnnoyIndex, tmp_path: Path, name: str) -> None:
    """One byte in a hundred is another: Annoy itself would follow a wrong pointer out of the file."""
    index.save(tmp_path)
    path = tmp_path / name
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    rng = np.random.default_rng(0)
    content[rng.choice(len(content), -(-len(content) // 100), replace=False)] ^= rng.integers(1, 256, dtype=np.uint8)
    path.write_bytes(content.tobytes())
    with pytest.raises(BundleError, match=f"{name} is damaged.*build the index again"):
        AnnoyIndex.load(tmp_path)
    path.write_bytes(content.tobytes()[:-8])
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        AnnoyIndex.load(tmp_path)


@pytest.mark.parametrize("name", ["forest.ann", "codes.safetensors"])
def test_the_files_of_another_day_are_refused(
    index: AnnoyIndex, vectors: np.ndarray, tmp_path: Path, name: str
) -> None:
    index.save(tmp_path / "today")
    other = AnnoyIndex.build(vectors[::-1].copy(), CODES + 1, N_ARTICLES + 1, index.config)
    other.save(tmp_path / "yesterday")
    (tmp_path / "yesterday" / name).replace(tmp_path / "today" / name)
    with pytest.raises(BundleError, match=f"{name} is damaged, or the files of .*today do not belong together"):
        AnnoyIndex.load(tmp_path / "today")


def test_an_index_without_digests_is_refused(index: AnnoyIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    described = json.loads((tmp_path / "index.json").read_text())
    assert set(described.pop("files")) == {"forest.ann", "codes.safetensors"}
    (tmp_path / "index.json").write_text(json.dumps(described))
    with pytest.raises(BundleError, match=r"lacks files.*build the index again"):
        AnnoyIndex.load(tmp_path)
