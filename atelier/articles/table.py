"""Articles: what a caller's frame says of them, read and checked once.

What belongs here: the columns that more than one reader of articles wants, their checks, choosing rows and hiding
modalities. What does not: what a model makes of them (:mod:`atelier.attributes.encoding`,
:mod:`atelier.articles.vectors`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Int64s, Mask, Objects
from atelier.articles.errors import ArticlesError
from atelier.articles.image_vectors import ImageVectors, read_image_vectors
from atelier.articles.text import Words, article_text, split_words
from atelier.frames import Frame, column, columns, require, select, where
from atelier.ids import texts

CATEGORIES = ("product_type", "brand", "division")
Modality = Literal["text", "images", "metadata"]
MODALITIES: Mapping[Modality, tuple[str, ...]] = {
    "text": ("text", "name", "description"),
    "images": ("embeddings",),
    "metadata": CATEGORIES,
}
"""The columns of each modality."""


@dataclass(frozen=True, eq=False)
class Articles:
    """n articles. A column is read when it is first asked for, and kept.

    Attributes:
        frame: the frame that was given: ``article_id``, and any of the columns that the properties below name.
        ids: the column ``article_id``, ``pa.StringArray [n]``: no null, none twice.
    """

    frame: Frame
    ids: Any
    _words: Callable[[], Words] | None = field(default=None, repr=False)
    _images: Callable[[], ImageVectors] | None = field(default=None, repr=False)

    @classmethod
    def from_frame(cls, articles: "Frame | Articles") -> "Articles":
        """Read a frame of articles, one row each; articles that were read before are returned as they are.

        Raises:
            ArticlesError: ``article_id`` is missing, is not text, or holds nulls or duplicates.
        """
        if isinstance(articles, Articles):
            return articles
        require(articles, ["article_id"], ArticlesError, "the frame of articles")
        ids = texts(articles["article_id"], "article_id", ArticlesError, nulls=True)
        if ids.null_count:
            raise ArticlesError(
                f"column 'article_id' is null in {ids.null_count} of {len(ids)} rows; drop or name them"
            )
        if pc.count_distinct(ids).as_py() != len(ids):
            names = ids.to_pandas()
            examples = names[names.duplicated()].unique()[:3].tolist()
            raise ArticlesError(
                f"column 'article_id' holds articles more than once, for example {examples}; keep one row each"
            )
        return cls(articles, ids)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def names(self) -> Objects:
        """The identifiers in NumPy, str [n]."""
        found: Objects = self.ids.to_numpy(zero_copy_only=False)
        return found

    @cached_property
    def texts(self) -> Any:
        """The text of each article (:func:`~atelier.articles.text.article_text`), ``pa.StringArray [n]``."""
        return article_text(self.frame)

    @cached_property
    def words(self) -> Words:
        """The words of the texts."""
        return self._words() if self._words else split_words(self.texts)

    @cached_property
    def image_vectors(self) -> ImageVectors:
        """The column ``embeddings``.

        Raises:
            ArticlesError: vectors of different lengths, or with values that are not finite.
        """
        return self._images() if self._images else read_image_vectors(self.frame, self.ids)

    @cached_property
    def categories(self) -> Mapping[str, Any]:
        """Each column of :data:`CATEGORIES`, ``pa.StringArray [n]``; null where an article has none."""
        return {name: self.column(name, pa.string()) for name in CATEGORIES}

    @cached_property
    def styles(self) -> Objects:
        """The style of each article, str [n]: its ``product_code``, or the article itself where that is null."""
        codes = self.column("product_code", pa.string()).to_numpy(zero_copy_only=False)
        none = pd.isna(codes)
        found: Objects = np.where(none, "article " + self.names, "style " + np.where(none, "", codes).astype(object))
        return found

    def column(self, name: str, kind: Any) -> Any:
        """Any column as one Arrow array of the type ``kind``; all null where the frame has none of that name.

        Raises:
            ArticlesError: its values cannot be cast to ``kind``.
        """
        return column(self.frame, name, kind, ArticlesError)

    def find(self, article_ids: Any) -> Int64s:
        """The row of each of m articles, int64 [m]; −1 for those that are not among these."""
        return pd.Index(self.names).get_indexer(pd.Index(article_ids)).astype(np.int64)

    def rows(self, chosen: Mask) -> "Articles":
        """The chosen articles, bool [n]. Their texts are not split into words again, nor their vectors read again."""
        frame = select(self.frame, [name for name in columns(self.frame) if name not in MODALITIES["images"]])
        return Articles(
            where(frame, chosen),
            self.ids.filter(pa.array(chosen)),
            lambda: self.words.where(chosen),
            lambda: self.image_vectors.take(np.flatnonzero(chosen)),
        )

    def without(self, *hidden: Modality) -> "Articles":
        """The same articles as if nothing were known of the hidden modalities."""
        gone = {name for modality in hidden for name in MODALITIES[modality]}
        frame = select(self.frame, [name for name in columns(self.frame) if name not in gone])
        return Articles(
            frame,
            self.ids,
            None if "text" in hidden else lambda: self.words,
            None if "images" in hidden else lambda: self.image_vectors,
        )
