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

from atelier.arrays import Float32s, Float64s, Int64s
from atelier.articles.errors import ArticlesError
from atelier.frames import Frame, columns, is_list, matrix, read, warn_nothing_in_common, whole
from atelier.ids import texts

COLUMN = "embeddings"
CHUNK = 8192
"""Vectors of which copies in double precision lie in memory at once."""


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
        """float32 [n, dim]: the mean over each article's shots; zero for an article without any. Not to be changed."""
        if (self.counts == 1).all():
            return self.vectors
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


def moments(vectors: Float32s) -> tuple[Float64s, Float64s]:
    """Mean and standard deviation of each position of vectors [m, dim], m > 0, float64 [dim] each."""
    parts = range(0, len(vectors), CHUNK)
    mean = vectors.mean(axis=0, dtype=np.float64)
    squares = sum(np.square(vectors[start : start + CHUNK] - mean).sum(axis=0) for start in parts)
    return mean, np.sqrt(squares / len(vectors))


def standardisation(vectors: Float32s) -> tuple[Float32s, Float32s]:
    """Mean and scale of each position of vectors [m, dim], float32 [dim] each; the scale of a constant one is 1."""
    if not len(vectors):
        return np.zeros(vectors.shape[1], np.float32), np.ones(vectors.shape[1], np.float32)
    mean, scale = moments(vectors)
    return mean.astype(np.float32), np.where(scale > 1e-12, scale, 1.0).astype(np.float32)


def group_image_vectors(article_ids: Any, image_article_ids: Any, vectors: npt.NDArray[Any]) -> Any:
    """Make the column ``embeddings`` from one row for each photograph.

    Args:
        article_ids: the articles, str [n].
        image_article_ids: whose photograph each vector is, str [shots]; photographs of other articles are left out.
        vectors: [shots, dim], within an article in the order of its shots.

    Returns:
        An Arrow array [n] of lists of vectors. Float32 vectors that are sorted by article already are not copied.

    Raises:
        ArticlesError: an identifier is not text.
    """
    names = [texts(ids, "article_id", ArticlesError, nulls=True) for ids in (article_ids, image_article_ids)]
    owners = pd.Index(names[0].to_pandas()).get_indexer(pd.Index(names[1].to_pandas()))
    known = np.flatnonzero(owners >= 0)
    if len(owners) and len(names[0]) and not len(known):
        warn_nothing_in_common(
            f"no photograph is of any of the articles (the one is for example of {names[1][0].as_py()!r}, an article "
            f"{names[0][0].as_py()!r}): look at how the identifiers are written"
        )
    order = known[np.argsort(owners[known], kind="stable")]
    kept = np.asarray(vectors, dtype=np.float32)
    if not np.array_equal(order, np.arange(len(kept))):
        kept = kept[order]
    ends = np.concatenate([[0], np.cumsum(np.bincount(owners[known], minlength=len(names[0])))])
    each = pa.FixedSizeListArray.from_arrays(pa.array(kept.reshape(-1)), kept.shape[1])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), each)


def read_image_vectors(articles: Frame, ids: Any) -> ImageVectors:
    """Read the image vectors out of a frame of articles.

    Args:
        articles: a frame whose column ``embeddings`` holds for each article a list of vectors, a matrix [shots, dim],
            an empty list or null. Without the column no article has a photograph.
        ids: the articles' identifiers, for error messages.

    Raises:
        ArticlesError: entries that are no lists of vectors, vectors of different lengths, or with values that are not
            finite.
    """
    if COLUMN not in columns(articles):
        return ImageVectors(np.zeros((0, 0), np.float32), np.zeros(len(articles), np.int64))
    series = articles[COLUMN]
    nested = not isinstance(series, pd.Series) or isinstance(series.dtype, pd.ArrowDtype)
    found = _from_arrow(whole(read(series, COLUMN, ArticlesError))) if nested else _from_objects(series, ids)
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


def _from_objects(series: Iterable[Any], ids: Any) -> ImageVectors:
    # The lists in a column of objects have to be looked at one by one.
    matrices = [_matrix(item, ids, row) for row, item in enumerate(series)]
    counts = np.array([len(each) for each in matrices], dtype=np.int64)
    some = [each for each in matrices if len(each)]
    lengths = sorted({each.shape[1] for each in some})
    if len(lengths) > 1:
        raise ArticlesError(
            f"column {COLUMN!r} mixes vectors of the lengths {lengths}; encode all photographs with one backbone"
        )
    return ImageVectors(np.concatenate(some) if some else np.zeros((0, 0), np.float32), counts)


def _matrix(item: Any, ids: Any, row: int) -> Float32s:
    """The entry of one article as a matrix [its shots, dim]; None, NaN and NA are no shots.

    Lists may be lists, tuples or arrays, also arrays of arrays, as Parquet gives them back.
    """
    if item is None or item is pd.NA or isinstance(item, float):
        return np.zeros((0, 0), np.float32)
    try:
        if isinstance(item, str | bytes):
            raise TypeError("it is text")
        vectors = [item] if isinstance(item, np.ndarray) and item.dtype != object and item.ndim == 2 else list(item)
        if not len(vectors):
            return np.zeros((0, 0), np.float32)
        if isinstance(vectors[0], int | float | np.number):
            raise TypeError("it is one flat list where a list of vectors is wanted: put the vector into a list")
        found = np.asarray(vectors[0] if vectors[0] is item else np.stack([np.asarray(v, np.float32) for v in vectors]))
        if found.ndim != 2:
            raise TypeError(f"it has {found.ndim} dimensions, not those of shots and of numbers")
        return found.astype(np.float32, copy=False)
    except (ValueError, TypeError) as error:
        raise ArticlesError(
            f"column {COLUMN!r} does not hold a list of vectors of one length for {ids[row].as_py()!r}: {error}"
        ) from error


def _from_arrow(lists: Any) -> ImageVectors:
    """The image vectors in an Arrow array of lists of lists of numbers, of fixed size or not."""
    kind = lists.type
    if pa.types.is_null(kind):
        return ImageVectors(np.zeros((0, 0), np.float32), np.zeros(len(lists), np.int64))
    if not is_list(kind) or not (is_list(kind.value_type) or pa.types.is_null(kind.value_type)):
        flat = is_list(kind)
        raise ArticlesError(
            f"column {COLUMN!r} holds {kind}, "
            + (
                "flat lists where lists of vectors are wanted: put each vector into a list"
                if flat
                else "no lists of vectors"
            )
        )
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    if not counts.any():
        return ImageVectors(np.zeros((0, 0), np.float32), counts)
    return ImageVectors(matrix(pc.list_flatten(lists), COLUMN, ArticlesError), counts)
