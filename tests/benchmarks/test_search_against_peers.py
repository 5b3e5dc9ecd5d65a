"""The comparison of indexes on tiny vectors: what is searched, equal recall, equal lists. No timing, no peer."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_against_peers, search_peers_side
from benchmarks.search_against_peers import Data

SMALL = ["--articles=400", "--dimension=16", "--queries=20", "--lists=30", "--repeats=1", "--threads=1", "--k=5"]


def test_drawn_vectors_have_unit_length_and_near_neighbours() -> None:
    vectors = search_against_peers.draw(400, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert np.median(cosines.max(axis=1)) > 0.9 > 0.5 > np.median(cosines)
    assert (search_against_peers.draw(400, 16) == vectors).all()


def test_recall_is_the_share_of_what_was_wanted() -> None:
    assert search_peers_side.recall([[3, 1], [7, 8]], [[1, 2], [8, 7]]) == 0.75


def test_a_peer_is_searched_as_deep_as_our_recall_takes() -> None:
    exact = np.arange(40).reshape(2, 20)
    search = lambda depth: exact[:, : depth // 5]  # noqa: E731
    assert search_peers_side.deep_enough(search, exact, 0.5, 8) == (51, 0.5)
    with pytest.raises(RuntimeError, match=r"reaches a recall of 0\.900"):
        search_peers_side.deep_enough(lambda _: exact[:, :3], exact, 0.9, 8)


def test_exact_lists_that_differ_are_no_comparison() -> None:
    ours = np.arange(10_000, dtype=np.int32).reshape(1000, 10)
    theirs = ours[:, ::-1].astype(np.int64)
    assert search_against_peers.same_articles(ours, theirs).startswith("100.000%")
    theirs[:2] += 20_000
    with pytest.raises(RuntimeError, match=r"only 99\.80%"):
        search_against_peers.same_articles(ours, theirs)


def test_each_peer_has_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(_: Path, module: str, given: Sequence[str], cwd: Path) -> str:
        asked.extend(given)
        folder = Path(given[0])
        articles, listed = np.load(folder / "articles.npy"), np.load(folder / "listed.npy")
        np.save(folder / "flat.npy", np.argsort(-(listed @ articles.T), axis=1)[:, :5])
        one = {"build": [1, 1], "look up": [1, 1], "depth": 6, "recall": 0.99}
        return json.dumps({"faiss HNSW": one, "usearch": one, "faiss flat": {"lists": [1, 1]}})

    monkeypatch.setattr(search_against_peers, "run", run)
    monkeypatch.setattr(search_against_peers, "peers", lambda folder: folder)
    rows = search_against_peers.measure(search_against_peers.arguments(SMALL))
    assert [row.peer for row in rows] == ["Annoy"] * 2 + ["faiss HNSW"] * 2 + ["usearch"] * 2 + ["faiss flat"]
    assert rows[-1].checked.startswith("100.000%")
    assert "--k=5" in asked
    assert 0.9 < float(asked[1].removeprefix("--least=")) <= 1


def test_our_index_that_differs_from_annoys_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    options = search_against_peers.arguments(SMALL)
    real = search_against_peers.in_turns

    def turns(repeats: int, *actions: object) -> object:
        seconds, results = real(repeats, *actions)
        return seconds, [results[0], results[1] + 1] if isinstance(results[1], np.ndarray) else results

    monkeypatch.setattr(search_against_peers, "in_turns", turns)
    with pytest.raises(RuntimeError, match="different lists"):
        search_against_peers.of_annoy(Data.of(options), options)
