"""faiss' and usearch's side of ``search_against_peers``, run by an interpreter that has them.

What belongs here: calling and timing the two libraries. What does not: Atelier, which it cannot import; making
vectors and exact lists, which it reads from a folder. Prints one line of JSON, and writes the lists of faiss' flat
index to ``flat.npy``.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ratios import in_turns

LINKS = 32
"""Of a node of faiss' HNSW, the number in faiss' own examples; usearch keeps its default."""
DEEPEST = 2**14
"""The greatest search depth that is tried."""
Lists = Any
"""Whole numbers [queries, k]: the articles of each list."""
Search = Callable[[int], Lists]
"""Lists by the search depth."""


def recall(found: Lists, exact: Lists) -> float:
    """The share of the exact lists' articles that the lists hold."""
    return float(np.mean([np.isin(wanted, got).mean() for got, wanted in zip(found, exact, strict=True)]))


def deep_enough(search: Search, exact: Lists, least: float, k: int) -> tuple[int, float]:
    """The least depth, in steps of a quarter from ``k``, at which the recall is at least ``least``; and that recall.

    Raises:
        RuntimeError: there is none.
    """
    depth = k
    while depth <= DEEPEST:
        if (reached := recall(search(depth), exact)) >= least:
            return depth, reached
        depth += max(depth // 4, 1)
    raise RuntimeError(f"no depth up to {DEEPEST} reaches a recall of {least:.3f}")


def measured(build: Callable[[], Any], of: Callable[[Any], Search], options: argparse.Namespace) -> dict[str, Any]:
    """What building and asking one index took, at which depth, and its recall there."""
    exact = np.load(options.folder / "exact.npy", allow_pickle=False)
    (built,), (index,) = in_turns(1, build)
    search = of(index)
    depth, reached = deep_enough(search, exact, options.least, options.k)
    (asked,), _ = in_turns(options.repeats, lambda: search(depth))
    return {"build": built, "look up": asked, "depth": depth, "recall": reached}


def of_faiss(options: argparse.Namespace) -> dict[str, Any]:
    """HNSW, and the flat index, which compares every pair."""
    import faiss

    articles, lookups, listed = (np.load(options.folder / f"{name}.npy", allow_pickle=False) for name in PARTS)
    threads = options.threads or os.cpu_count() or 1

    def build() -> Any:
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexHNSWFlat(articles.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.add(articles)
        return index

    def one_by_one(index: Any) -> Search:
        faiss.omp_set_num_threads(1)

        def search(depth: int) -> Lists:
            index.hnsw.efSearch = depth
            return np.array([index.search(one[None], options.k)[1][0] for one in lookups])

        return search

    hnsw = measured(build, one_by_one, options)
    faiss.omp_set_num_threads(threads)
    flat = faiss.IndexFlatIP(articles.shape[1])
    flat.add(articles)
    (seconds,), ((_, lists),) = in_turns(options.repeats, lambda: flat.search(listed, options.k))
    np.save(options.folder / "flat.npy", lists, allow_pickle=False)
    return {"faiss HNSW": hnsw, "faiss flat": {"lists": seconds}}


def of_usearch(options: argparse.Namespace) -> dict[str, Any]:
    """Usearch's HNSW of float32, by cosine."""
    from usearch.index import Index

    articles, lookups, _ = (np.load(options.folder / f"{name}.npy", allow_pickle=False) for name in PARTS)

    def build() -> Any:
        index = Index(ndim=articles.shape[1], metric="cos", dtype="f32")
        index.add(np.arange(len(articles)), articles, threads=options.threads)
        return index

    def one_by_one(index: Any) -> Search:
        def search(depth: int) -> Lists:
            index.expansion_search = depth
            return np.array([index.search(one, options.k, threads=1).keys for one in lookups])

        return search

    return {"usearch": measured(build, one_by_one, options)}


PARTS = ("articles", "lookups", "listed")
"""The files of vectors, ``<name>.npy``."""


def main() -> None:
    """Read, build, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--least", type=float, required=True, help="the recall that each index has to reach")
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="of building and of the flat index; 0: all cores")
    options = parser.parse_args()
    print(json.dumps(of_faiss(options) | of_usearch(options)))


if __name__ == "__main__":
    main()
