"""The catalogue: what is sold, with the vectors that content models read.

What belongs here: :class:`Catalogue` and how it is read from frames. What does not: how vectors are computed
(:mod:`atelier.articles.vectors`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from atelier.arrays import Float32s, Mask
from atelier.errors import AtelierError
from atelier.frames import chosen_texts, columns, flags, is_frame, matrix, read, require, times, whole
from atelier.ids import IdMap, preview

DATES = ("available_from", "available_until")
"""Columns of times, where a frame of articles has them."""


class CatalogueError(AtelierError, ValueError):
    """Frames cannot be read as a catalogue."""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """What is sold; n articles.

    Attributes:
        ids: the articles.
        frame: their columns, sorted by ``article_id``; row i is article i of ``ids``. Not to be changed.
        vectors: float32 [n, dim], row i is article i; None where there are none. Cannot be written to.
        names: the names of the ``dim`` positions, or None.
        in_stock: bool [n]; all True where the frame has no such column. Cannot be written to.
    """

    ids: IdMap
    frame: pd.DataFrame
    vectors: Float32s | None
    names: tuple[str, ...] | None
    in_stock: Mask

    @classmethod
    def from_frames(cls, articles: Any, vectors: Any = None, names: Sequence[str] | None = None) -> Self:
        """Read a catalogue; nothing that is passed is changed.

        Args:
            articles: a frame (pandas or Arrow) with ``article_id`` (text, unique) and any columns of the table
                ``articles``.
            vectors: float32 [n, dim] aligned with the rows of ``articles``, or a frame of ``article_id, vector`` that
                covers them all (further articles in it are ignored).
            names: what each position of a vector is.

        Raises:
            CatalogueError: a column is absent, an article occurs twice, has no vector or one that is not finite, its
                stock is neither true nor false, a date of sale is no time, or the sizes do not agree.
            IdentifierError: an ``article_id`` is null or not text.
        """
        require(articles, ["article_id"], CatalogueError, "a catalogue's frame of articles")
        frame = articles if isinstance(articles, pd.DataFrame) else articles.to_pandas()
        ids, codes = IdMap.factorise(frame["article_id"], "article_id")
        for name in DATES:
            if name in columns(frame):
                times(frame[name], name, CatalogueError)  # who counts days reads them again; they are refused here
        if len(ids) < len(codes):
            twice = np.flatnonzero(np.bincount(codes, minlength=len(ids)) > 1)
            raise CatalogueError(
                f"{len(twice):,} articles occur more than once: {preview(ids.take(twice).to_pylist(), len(twice))}"
            )
        order = np.argsort(codes)
        matrix = _matrix(vectors, ids, order)
        if matrix is not None:
            _check_finite(matrix, ids)
        names = None if names is None else chosen_texts(names, "names", CatalogueError)
        if names is not None and (matrix is None or len(names) != matrix.shape[1]):
            raise CatalogueError(
                f"{len(names)} names for vectors of {0 if matrix is None else matrix.shape[1]} positions"
            )
        sorted_frame = frame.iloc[order].reset_index(drop=True)
        stock = _in_stock(sorted_frame)
        for array in (matrix, stock):
            if array is not None:
                array.setflags(write=False)
        return cls(ids, sorted_frame, matrix, names, stock)

    def siblings(self) -> npt.NDArray[np.int64] | None:
        """The first article of each article's style (``product_code``), int64 [n]; the article itself without one.

        None where the frame does not tell styles.
        """
        if "product_code" not in columns(self.frame):
            return None
        styles, _ = pd.factorize(self.frame["product_code"])
        first = np.arange(len(self))
        known = np.flatnonzero(styles >= 0)
        _, lowest, style = np.unique(styles[known], return_index=True, return_inverse=True)
        first[known] = known[lowest][style]
        return first

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        size = "no vectors" if self.vectors is None else f"vectors of {self.vectors.shape[1]:,}"
        return f"Catalogue({len(self):,} articles, {int(self.in_stock.sum()):,} in stock, {size})"


def _in_stock(frame: pd.DataFrame) -> Mask:
    if "in_stock" not in columns(frame):
        return np.ones(len(frame), dtype=bool)
    return flags(frame["in_stock"], "in_stock", CatalogueError)


def _matrix(vectors: Any, ids: IdMap, order: npt.NDArray[np.intp]) -> Float32s | None:
    """The vectors in the order of ``ids``."""
    if vectors is None:
        return None
    if is_frame(vectors):
        return _matrix_of_frame(vectors, ids)
    try:
        matrix = np.asarray(vectors, dtype=np.float32)
    except (ValueError, TypeError) as fault:
        raise CatalogueError(f"vectors are no matrix of numbers ({fault}): make them of one length") from fault
    if matrix.ndim != 2 or len(matrix) != len(ids):
        raise CatalogueError(f"vectors have the shape {matrix.shape}, for {len(ids)} articles")
    return matrix[order]


def _check_finite(matrix: Float32s, ids: IdMap) -> None:
    broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(broken):
        raise CatalogueError(
            f"the vectors of {len(broken):,} articles hold numbers that are not finite (NaN or infinite): "
            f"{preview(ids.take(broken).to_pylist(), len(broken))}: make them again, or pass zeros where nothing is "
            "known"
        )


def _matrix_of_frame(vectors: Any, ids: IdMap) -> Float32s:
    require(vectors, ["article_id", "vector"], CatalogueError, "the frame of vectors")
    their_ids, codes = IdMap.factorise(vectors["article_id"], "article_id")
    place = their_ids.encode(ids.values, unknown="minus_one")
    if (place < 0).any():
        missing = ids.take(np.flatnonzero(place < 0)).to_pylist()
        raise CatalogueError(f"{len(missing):,} articles have no vector: {preview(missing, len(missing))}")
    if len(their_ids) < len(codes):
        raise CatalogueError("the frame of vectors has to have one row for each article")
    row_of = np.empty(len(codes), dtype=np.int64)
    row_of[codes] = np.arange(len(codes))
    found: Float32s = matrix(whole(read(vectors["vector"], "vector", CatalogueError)), "vector", CatalogueError)[
        row_of[place]
    ]
    return found
