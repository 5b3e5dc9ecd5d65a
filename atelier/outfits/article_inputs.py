"""Articles as an outfit network reads them: reduced image and text vectors, values of attributes as numbers.

What belongs here: what is fitted on the training articles, and reading other articles by it. What does not: the network
(:mod:`atelier.outfits.network`), computing image vectors (:mod:`atelier.images`).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Float32s, Int64s, Mask
from atelier.articles.image_vectors import CHUNK, moments
from atelier.articles.table import Articles
from atelier.frames import columns
from atelier.ids import preview
from atelier.outfits.config import OutfitConfig
from atelier.outfits.outfits import OutfitsError

NOT_ATTRIBUTES = ("article_id", "path", "text", "name", "description", "product_code")
UNKNOWN = 0
"""The number of a value that training did not have, and of none."""
ROOM = 1e-6
"""Added to deviations, so that a number that never varies divides nothing by zero."""
WORD = r"[^\W_]+"
"""A run of letters and digits of any script."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """n articles as a network reads them.

    Attributes:
        images: float32 [n, components]; zeros for an article without a photograph.
        words: float32 [n, components]; zeros for an article without a text.
        codes: int64 [n, attributes]; 0 is a value that training did not have.
        families: int64 [n]; 0 is a family that training did not have.
    """

    images: Float32s
    words: Float32s
    codes: Int64s
    families: Int64s


@dataclass(frozen=True, eq=False)
class Projection:
    """Vectors standardised and turned onto their first principal components, the first of which has deviation 1.

    Attributes:
        mean: float32 [dim].
        axes: float32 [dim, components].
    """

    mean: Float32s
    axes: Float32s

    @classmethod
    def fit(cls, vectors: Float32s, components: int) -> Self:
        """Principal components of standardised vectors [n, dim], at most n − 1 and dim of them."""
        mean, deviations = moments(vectors)
        scale, products = 1 / (deviations + ROOM), np.zeros((vectors.shape[1],) * 2)
        for start in range(0, len(vectors), CHUNK):
            standard = (vectors[start : start + CHUNK] - mean) * scale
            products += standard.T @ standard
        values, axes = np.linalg.eigh(products / len(vectors))
        count = max(1, min(components, len(vectors) - 1, len(values)))
        best = axes[:, ::-1][:, :count]
        best = best * np.sign(best[np.abs(best).argmax(axis=0), np.arange(count)])  # the sign of an axis is free
        first = np.sqrt(max(values[-1], ROOM))
        return cls(mean.astype(np.float32), (scale[:, None] * best / first).astype(np.float32))

    def __call__(self, vectors: Float32s, known: Mask) -> Float32s:
        """Components of vectors [n, dim]; zeros where ``known`` [n] is False."""
        return np.asarray(((vectors - self.mean) @ self.axes) * known[:, None], np.float32)


@dataclass(frozen=True, eq=False)
class ArticleEncoder:
    """What was learned of the training articles without any outfit.

    Attributes:
        names: the attributes.
        values: the values of each attribute, in the order of their numbers, from 1.
        families: the families, likewise.
        image: None: no training article has a photograph, or images are not read.
        text: the words' encoder; None: likewise.
    """

    config: OutfitConfig
    names: tuple[str, ...]
    values: tuple[pa.StringArray, ...]
    families: pa.StringArray
    image: Projection | None
    text: "TextVectors | None"

    @classmethod
    def fit(cls, articles: Articles, config: OutfitConfig, trained: Mask) -> Self:
        """Learn values and components.

        Args:
            articles: n articles.
            config: which columns and how many components.
            trained: bool [n], the articles that may be learned from.

        Raises:
            OutfitsError: the column of families or an attribute is missing.
            ArticlesError: a column cannot be read.
        """
        known = articles.rows(trained)
        names = attribute_names(articles, config)
        image = text = None
        if "image" in config.modalities and known.image_vectors.dimension:
            some = known.image_vectors.counts > 0
            image = Projection.fit(known.image_vectors.mean()[some], config.image_components)
        if "text" in config.modalities and len(known.words.values):
            text = TextVectors.fit(known, config.text_components)
        values = tuple(_distinct(_texts(known, name)) for name in names)
        return cls(config, names, values, _distinct(_texts(known, config.family)), image, text)

    def __call__(self, articles: Articles) -> Inputs:
        """Read articles, those of training or others.

        Raises:
            OutfitsError: the column of families or an attribute is missing.
            ArticlesError: image vectors of another length than in training.
        """
        codes = [_numbers(_texts(articles, name), values) for name, values in zip(self.names, self.values, strict=True)]
        none = np.zeros((len(articles), 0), np.float32)
        return Inputs(
            none if self.image is None else self._images(articles, self.image),
            none if self.text is None else self.text(articles),
            np.stack(codes, axis=1) if codes else np.zeros((len(articles), 0), np.int64),
            _numbers(_texts(articles, self.config.family), self.families),
        )

    @staticmethod
    def _images(articles: Articles, projection: Projection) -> Float32s:
        vectors = articles.image_vectors.of_dimension(len(projection.mean), "the outfit model was trained on")
        return projection(vectors.mean(), vectors.counts > 0)


def attribute_names(articles: Articles, config: OutfitConfig) -> tuple[str, ...]:
    """The columns that are read as attributes."""
    if config.attributes is not None:
        return config.attributes
    frame = articles.frame
    texts = [name for name in columns(frame) if name not in NOT_ATTRIBUTES and _is_text(frame[name])]
    return tuple(sorted(texts))


def _is_text(column: Any) -> bool:
    """Whether the first value that a column has is a text."""
    some = column.drop_null()[:1].to_pylist() if isinstance(column, pa.ChunkedArray) else column.dropna()[:1].tolist()
    return bool(some) and isinstance(some[0], str)


def _texts(articles: Articles, name: str) -> Any:
    there = columns(articles.frame)
    if name not in there:
        raise OutfitsError(
            f"the frame of articles has no column {name!r}; it has {preview(there, len(there))}: add it, or name "
            "another in the outfit model's config (family, attributes)"
        )
    return articles.column(name, pa.string())


def _distinct(values: Any) -> pa.StringArray:
    return pa.array(sorted(value for value in values.unique().to_pylist() if value is not None), pa.string())


def _numbers(values: Any, known: pa.StringArray) -> Int64s:
    found = pc.fill_null(pc.index_in(values, known), UNKNOWN - 1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64) + 1


@dataclass(frozen=True, eq=False)
class TextVectors:
    """Texts as the first singular vectors of their words' weights (TF-IDF; latent semantic analysis).

    Attributes:
        weigh: counts words and weighs them.
        turn: turns weights onto the singular vectors.
        scale: makes the largest deviation of a component 1. Of the first it may be next to nothing, because weights are
            not centred: texts of one length have the same part of what all texts share.
    """

    weigh: Any
    turn: Any
    scale: float

    @classmethod
    def fit(cls, articles: Articles, components: int) -> "TextVectors | None":
        """Learn words that stand in at least two texts; None where there are fewer than two such words.

        Source: S. Deerwester and others, Indexing by Latent Semantic Analysis, 1990.
        """
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        weigh = TfidfVectorizer(token_pattern=WORD, min_df=2, sublinear_tf=True, dtype=np.float64)
        texts = articles.texts.to_pylist()
        common = {word for word, count in _texts_with(weigh, texts).items() if count >= weigh.min_df}
        if len(common) < 2:
            return None
        weights = weigh.fit_transform(texts)
        turn = TruncatedSVD(min(components, weights.shape[1] - 1), random_state=0)
        largest = turn.fit_transform(weights).std(axis=0).max()
        return cls(weigh, turn, float(1 / max(largest, ROOM)))

    def __call__(self, articles: Articles) -> Float32s:
        """Components of the articles' texts, float32 [n, components]."""
        weights = self.weigh.transform(articles.texts.to_pylist())
        return np.asarray(self.turn.transform(weights) * self.scale, np.float32)


def _texts_with(weigh: Any, texts: list[str]) -> Counter[str]:
    """In how many texts each word stands."""
    split = weigh.build_analyzer()
    return Counter(word for text in texts for word in set(split(text)))
