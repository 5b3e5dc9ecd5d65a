"""Principal components of image vectors: the pipeline's call beside other ways that scikit-learn offers.

Run it as ``python -m benchmarks.pca_against_sklearn``. Ours is itself scikit-learn: ``PCA`` of the covariance, which
:mod:`atelier.articles.catalogue_map` and :mod:`atelier.recommenders.sequential.embedding_start` call; measured is
the second, from a catalogue's vectors to first embeddings. Beside it stand what one writes without choosing
(``PCA(n)``, which takes a randomised method at this size), ``TruncatedSVD`` and ``IncrementalPCA``, on the same
vectors. All have one BLAS thread, as the pipeline's steps have.

To the same quality: printed is the share of the vectors' variance that their best linear reconstruction from the
components explains, which exact components make as great as it can be. The run fails where a peer's is above ours by
more than ``ROOM``; where one is below, its row says so.

The vectors are generated: the deviations of directions fall with their rank, as they do in the last layer of a
backbone, under a random rotation, in float32.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD

from atelier.catalogue import Catalogue
from atelier.recommenders.sequential.embedding_start import first_embeddings
from benchmarks.ratios import Row, in_turns, table, write

NAME = "pca_against_sklearn"
ROOM = 1e-4
"""How far the explained share of a peer may be above ours: rounding."""
Vectors = npt.NDArray[np.float32]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--articles", type=int, default=18_000)
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--components", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    return parser.parse_args(given)


def draw(articles: int, dimension: int) -> Vectors:
    """Vectors, float32 [articles, dimension], whose directions vary less and less."""
    random = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(random.standard_normal((dimension, dimension), dtype=np.float32))
    deviations = (1 + np.arange(dimension, dtype=np.float32)) ** -0.6
    drawn = random.standard_normal((articles, dimension), dtype=np.float32) * deviations
    return np.asarray(1 + drawn @ rotation, np.float32)


def explained(vectors: Vectors, scores: Any) -> float:
    """The share of the variance of vectors [n, dim] that their best reconstruction from scores [n, m] explains."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    basis, _ = np.linalg.qr(np.asarray(scores, np.float64) - np.mean(scores, axis=0, dtype=np.float64))
    return float(np.square(basis.T @ centred).sum() / np.square(centred).sum())


def ways(vectors: Vectors, components: int) -> dict[str, Callable[[], Any]]:
    """By name, what gives scores [articles, components]; ours is the first."""
    names = pd.Series(np.arange(len(vectors))).astype(str).str.zfill(9)
    positions = [f"image: {number}" for number in range(vectors.shape[1])]
    catalogue = Catalogue.from_frames(pd.DataFrame({"article_id": names}), vectors, positions)
    return {
        "ours": lambda: first_embeddings(catalogue, "image", catalogue.ids, components),
        "PCA(n)": lambda: PCA(components, random_state=0).fit_transform(vectors),
        "TruncatedSVD": lambda: TruncatedSVD(components, random_state=0).fit_transform(vectors),
        "IncrementalPCA": lambda: IncrementalPCA(components, batch_size=10 * components).fit_transform(vectors),
    }


def compared(ours: float, theirs: float) -> str:
    """The shares of variance that ours and a peer explain, as text.

    Raises:
        RuntimeError: the peer explains more.
    """
    if not theirs - ours <= ROOM:
        raise RuntimeError(f"a peer explains {theirs:.4%} of the variance, and ours only {ours:.4%}")
    return f"variance explained: ours {ours:.3%}, theirs {theirs:.3%}"


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of the table.

    Raises:
        RuntimeError: a peer's components explain more than ours.
    """
    vectors = draw(options.articles, options.dimension)
    actions = ways(vectors, options.components)
    seconds, scores = in_turns(options.repeats, *actions.values())
    shares = [explained(vectors, one) for one in scores]
    what = f"PCA: {options.articles:,} × {options.dimension:,} to {options.components}"
    return [
        Row.of(
            NAME, what, f"scikit-learn, {peer}", seconds[0], seconds[index], checked=compared(shares[0], shares[index])
        )
        for index, peer in enumerate(actions)
        if index
    ]


def main() -> None:
    """Measure and print."""
    options = arguments()
    rows = measure(options)
    print(table(rows))
    write(rows, options.out)


if __name__ == "__main__":
    main()
