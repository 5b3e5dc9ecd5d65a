"""Atelier's index of articles and its exact lists, against usearch, faiss and Annoy called directly.

Run it as ``python -m benchmarks.search_against_peers``. Three questions, of vectors of unit length, so that the highest
inner product is the nearest by cosine:

- how long an index takes to build: ours (:class:`~atelier.search.annoy_forest.AnnoyIndex`, as the step
  ``article_index`` builds it), Annoy with the same trees, faiss' HNSW and usearch with their own settings. faiss and
  usearch build with all cores (``--threads``); Annoy with one, because with more no two builds are the same.
- how long a look-up of the ``k`` nearest takes, one query after another on one thread. Each index is searched at *our*
  recall: each peer's own search depth is raised from ``k`` until its recall against the exact lists is at least ours.
  Annoy is asked for as many nodes as ours.
- how long exact lists of many queries take: :class:`~atelier.search.exact.ExactTopK` against faiss' flat index, which
  compares every pair as well, both with all cores. The run fails where fewer than ``SAME`` of the articles are the
  same.

faiss and usearch have an environment of their own (:mod:`benchmarks.environments`) and run in their own process, which
times calls alone, on arrays in memory (:mod:`benchmarks.search_peers_side`).

The vectors are generated: articles belong to styles and styles to families, some styles have many articles and most
few, and later dimensions vary less than early ones, as they do in trained embeddings. Pure noise would be no test,
because no index can find its way in it. Queries are further articles of the same kind.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from annoy import AnnoyIndex as BareAnnoy

from atelier.recommenders.article_index import ArticleIndexConfig
from atelier.search.annoy_forest import AnnoyConfig, AnnoyIndex
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs
from benchmarks.environments import ENVIRONMENTS, ROOT, peers
from benchmarks.ratios import Row, Seconds, in_turns, run, table, write
from benchmarks.search_peers_side import recall

NAME = "search_against_peers"
SAME = 0.999
"""The share of the exact lists' articles that have to be the same on both sides: sums of float32 differ in the last
digits, and with them the order of articles that are equally near."""
Vectors = npt.NDArray[np.float32]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=105_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1000, help="look-ups")
    parser.add_argument("--lists", type=int, default=10_000, help="queries whose exact lists are made")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3, help="of look-ups and lists; an index is built once")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each core")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENTS / "peers", help="where the peers are")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def draw(count: int, dimension: int, seed: int = 0) -> Vectors:
    """Vectors of unit length, float32 [count, dimension], of articles in styles in families."""
    random = np.random.default_rng(seed)
    spread = 1 / np.sqrt(1 + np.arange(dimension, dtype=np.float32))

    def normal(rows: int) -> Vectors:
        return np.asarray(random.standard_normal((rows, dimension), dtype=np.float32) * spread, np.float32)

    styles = max(count // 17, 1)
    centres = normal(60)[random.integers(0, 60, styles)] + np.float32(0.7) * normal(styles)
    style = (styles * random.random(count) ** 2).astype(np.int64)
    vectors = centres[style] + np.float32(0.5) * normal(count)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


class Data(NamedTuple):
    """What is searched.

    Attributes:
        articles: float32 [articles, dimension].
        lookups: float32 [queries, dimension].
        listed: float32 [lists, dimension].
    """

    articles: Vectors
    lookups: Vectors
    listed: Vectors

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Data":
        """Drawn vectors, apart into articles and queries."""
        ends = np.cumsum([options.articles, options.queries, options.lists])
        return cls(*np.split(draw(int(ends[-1]), options.dimension), ends[:-1]))

    def exact(self, queries: Vectors, k: int) -> npt.NDArray[np.int32]:
        """The exact lists of the queries, int32 [queries, k]."""
        codes = np.arange(len(self.articles), dtype=np.int32)
        return ExactTopK(self.articles, codes, len(codes))(queries, k, Pairs.none()).codes


def of_annoy(data: Data, options: argparse.Namespace) -> tuple[float, list[tuple[str, Seconds]]]:
    """Our index and the library under it: the recall of ours, and what building and asking each of them took."""
    config = AnnoyConfig(metric="cosine", **ArticleIndexConfig().model_dump())
    codes = np.arange(len(data.articles), dtype=np.int32)

    def bare() -> BareAnnoy:
        forest = BareAnnoy(options.dimension, "angular")
        forest.set_seed(config.seed)
        for place, vector in enumerate(data.articles):
            forest.add_item(place, vector)
        forest.build(config.trees, n_jobs=1)
        return forest

    nodes = config.search or -1
    built, (ours, forest) = in_turns(1, lambda: AnnoyIndex.build(data.articles, codes, len(codes), config), bare)
    asked, (found, by_bare) = in_turns(
        options.repeats,
        lambda: ours(data.lookups, options.k, Pairs.none()).codes,
        lambda: np.array([forest.get_nns_by_vector(one, options.k, nodes) for one in data.lookups]),
    )
    if not (found == by_bare).all():
        raise RuntimeError("our index and Annoy with the same trees and seed gave different lists")
    reached = recall(found, data.exact(data.lookups, options.k))
    return reached, [
        ("build", built[0]),
        ("look up", asked[0]),
        ("build, Annoy called directly", built[1]),
        ("look up, Annoy called directly", asked[1]),
    ]


def of_peers(data: Data, options: argparse.Namespace, least: float) -> dict[str, Any]:
    """What :mod:`benchmarks.search_peers_side` printed, and the lists of faiss' flat index under ``flat_lists``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, values in zip(Data._fields, data, strict=True):
            np.save(folder / f"{part}.npy", values, allow_pickle=False)
        np.save(folder / "exact.npy", data.exact(data.lookups, options.k), allow_pickle=False)
        given = [f"--least={least}", f"--k={options.k}", f"--repeats={options.repeats}", f"--threads={options.threads}"]
        printed = run(peers(options.environment), "benchmarks.search_peers_side", [name, *given], cwd=ROOT)
        measured: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return measured | {"flat_lists": np.load(folder / "flat.npy", allow_pickle=False)}


def same_articles(ours: npt.NDArray[np.int32], theirs: npt.NDArray[np.int64]) -> str:
    """The share of the exact lists' articles [n, k] that are the same, as text.

    Raises:
        RuntimeError: too few are.
    """
    share = recall(theirs, ours)
    if not share >= SAME:
        raise RuntimeError(f"only {share:.2%} of the exact lists' articles are the same, not {SAME:.1%}")
    return f"{share:.3%} of the lists' articles are the same"


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table.

    Raises:
        RuntimeError: lists that should be the same are not, or a peer never reaches our recall.
    """
    import torch

    data = Data.of(options)
    torch.set_num_threads(options.threads or os.cpu_count() or 1)
    reached, own = of_annoy(data, options)
    ours = dict(own)
    codes = np.arange(len(data.articles), dtype=np.int32)
    exact = ExactTopK(data.articles, codes, len(codes))
    (listing,), (lists,) = in_turns(options.repeats, lambda: exact(data.listed, options.k, Pairs.none()).codes)
    found = of_peers(data, options, reached)
    size = f"{len(data.articles):,} × {options.dimension}"
    looking = f"index: {len(data.lookups):,} look-ups, one after another, {size}"
    same = f"the same lists; recall@{options.k} {reached:.3f}"
    rows = [
        Row.of(NAME, f"index: build, {size}", "Annoy", ours["build"], ours["build, Annoy called directly"]),
        Row.of(NAME, looking, "Annoy", ours["look up"], ours["look up, Annoy called directly"], checked=same),
    ]
    for peer in ("faiss HNSW", "usearch"):
        one = found[peer]
        equal = f"recall@{options.k} {reached:.3f}, {peer} {one['recall']:.3f} at a depth of {one['depth']}"
        rows.append(Row.of(NAME, f"index: build, {size}", peer, ours["build"], Seconds(*one["build"])))
        rows.append(Row.of(NAME, looking, peer, ours["look up"], Seconds(*one["look up"]), checked=equal))
    agree = same_articles(lists, found["flat_lists"])
    flat = Seconds(*found["faiss flat"]["lists"])
    rows.append(
        Row.of(NAME, f"exact lists of {len(data.listed):,}, {size}", "faiss flat", listing, flat, checked=agree)
    )
    return rows


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
