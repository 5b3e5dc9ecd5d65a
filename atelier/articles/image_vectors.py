"""Image vectors of articles: ragged lists in frames, flat matrices inside.

What belongs here: turning the column ``embeddings`` (0…n vectors per article) into one matrix and back. What does not:
computing vectors (:mod:`atelier.images`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Float32s, Int64s
from atelier.articles.errors import ArticlesError
from atelier.frames import Frame, as_arrow, columns, matrix, whole

COLUMN = "embeddings"


@dataclass(frozen=True)
class ImageVectors:
    """The image vectors of n articles.

    Attributes:
        vectors: float32 [shots, dim], article by article, in the order of each article's shots.
        counts: int64 [n]: shots of each article; they sum to ``len(vectors)``.
    """

    vectors: Float32s
    counts: Int64s

    @property
    def dimension(self) -> int:
        """Length of a vector; 0 where no article has any."""
        return int(self.vectors.shape[1])

    @property
    def starts(self) -> Int64s:
        """int64 [n]: the row of ``vectors`` where each article begins."""
        return np.cumsum(self.counts) - self.counts

    def index(self, shots: int) -> Int64s:
        """int64 [n, shots]: the rows of the first ``shots`` vectors of each article; −1 where it has fewer."""
        numbers = np.arange(shots)[None, :]
        return np.where(numbers < self.counts[:, None], self.starts[:, None] + numbers, -1)

    def mean(self) -> Float32s:
        """float32 [n, dim]: the mean over each article's shots; zero for an article without any."""
        means = np.zeros((len(self.counts), self.dimension), dtype=np.float32)
        some = self.counts > 0
        if some.any():
            sums = np.add.reduceat(self.vectors, self.starts[some], axis=0)
            means[some] = sums / self.counts[some, None].astype(np.float32)
        return means

    def of_dimension(self, dimension: int, fitted: str) -> "ImageVectors":
        """The same vectors for a reader that was fitted on vectors of a length.

        Args:
            dimension: that length; 0: it was fitted without photographs, and is given none.
            fitted: the reader and what it was fitted for, for the message: ``"the model was trained on"``.

        Raises:
            ArticlesError: there are vectors, of another length.
        """
        if not dimension or not self.dimension:
            return ImageVectors(np.zeros((0, dimension), np.float32), np.zeros_like(self.counts))
        if self.dimension != dimension:
            raise ArticlesError(
                f"Image vectors have {self.dimension} values, {fitted} {dimension}: encode the photographs with the "
                "backbone of training, or train again."
            )
        return self

    def take(self, chosen: Int64s) -> "ImageVectors":
        """The image vectors of the chosen articles, int64 [m], in that order."""
        counts = self.counts[chosen]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return ImageVectors(self.vectors[np.repeat(self.starts[chosen], counts) + offsets], counts)


def standardisation(vectors: Float32s) -> tuple[Float32s, Float32s]:
    """Mean and scale of each position of vectors [m, dim], float32 [dim] each; the scale of a constant one is 1."""
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32), np.ones(vectors.shape[1], np.float32)
    mean, scale = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
    return mean.astype(np.float32), np.where(scale > 1e-12, scale, 1.0).astype(np.float32)


def group_image_vectors(article_ids: Any, image_article_ids: Any, vectors: npt.NDArray[Any]) -> list[Float32s]:
    """Make the column ``embeddings`` from one row for each photograph.

    Args:
        article_ids: the articles, str [n].
        image_article_ids: whose photograph each vector is, str [shots]; photographs of other articles are left out.
        vectors: [shots, dim], within an article in the order of its shots.

    Returns:
        For each article a float32 matrix [its shots, dim].
    """
    owners = pd.Index(article_ids).get_indexer(pd.Index(image_article_ids))
    known = owners >= 0
    order = np.argsort(owners[known], kind="stable")
    sorted_vectors = np.asarray(vectors, dtype=np.float32)[known][order]
    counts = np.bincount(owners[known], minlength=len(article_ids))
    return np.split(sorted_vectors, np.cumsum(counts)[:-1]) if len(counts) else []


def read_image_vectors(articles: Frame, ids: Any) -> ImageVectors:
    """Read the image vectors out of a frame of articles.

    Args:
        articles: a frame whose column ``embeddings`` holds for each article a list of vectors, a matrix [shots, dim],
            an empty list or null. Without the column no article has a photograph.
        ids: the articles' identifiers, for error messages.

    Raises:
        ArticlesError: vectors of different lengths, or with values that are not finite.
    """
    if COLUMN not in columns(articles):
        return ImageVectors(np.zeros((0, 0), np.float32), np.zeros(len(articles), np.int64))
    series = articles[COLUMN]
    nested = not isinstance(series, pd.Series) or isinstance(series.dtype, pd.ArrowDtype)
    found = _from_arrow(whole(as_arrow(series))) if nested else _from_objects(series)
    if len(found.vectors) and not found.dimension:
        raise ArticlesError(f"column {COLUMN!r} holds vectors of length 0; encode the photographs again")
    bad = ~np.isfinite(found.vectors).all(axis=1)
    if bad.any():
        owners = np.unique(np.repeat(np.arange(len(found.counts)), found.counts)[bad])
        raise ArticlesError(
            f"column {COLUMN!r} holds values that are not finite in {int(bad.sum())} vectors, for example of "
            f"{ids.take(pa.array(owners[:3])).to_pylist()}; encode those photographs again"
        )
    return found


def _from_objects(series: Iterable[Any]) -> ImageVectors:
    # The lists in a column of objects have to be looked at one by one.
    lists = [() if item is None or isinstance(item, float) else item for item in series]
    counts = np.array([len(item) for item in lists], dtype=np.int64)
    try:
        matrices = [np.asarray(item, dtype=np.float32) for item in lists if len(item)]
        if any(matrix.ndim != 2 for matrix in matrices):
            raise ValueError("an article's entry is not a list of vectors")
        vectors = np.concatenate(matrices) if matrices else np.zeros((0, 0), np.float32)
    except (ValueError, TypeError) as error:
        raise ArticlesError(
            f"column {COLUMN!r} does not hold lists of vectors of one length ({error}); encode all with one backbone"
        ) from error
    return ImageVectors(vectors, counts)


def _from_arrow(lists: Any) -> ImageVectors:
    """The image vectors in an Arrow array of lists of lists of numbers, of fixed size or not."""
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return ImageVectors(matrix(pc.list_flatten(lists), COLUMN, ArticlesError), counts)
