"""Articles as the network reads them.

What belongs here: the vocabulary and the categories that were fitted, and the arrays they turn a frame into. What does
not: standardising image vectors, which is part of the network's weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from atelier.arrays import Int32s, Int64s, Objects
from atelier.articles.image_vectors import ImageVectors
from atelier.articles.table import CATEGORIES, Articles
from atelier.articles.text import Vocabulary
from atelier.attributes.config import AttributeConfig
from atelier.bundles import read_table, write_table

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NO_CATEGORY = -1


@dataclass(frozen=True)
class EncodedArticles:
    """n articles as arrays.

    Attributes:
        shots: their image vectors.
        tokens: int32 [n, tokens], 0 is padding.
        types: int64 [n]: product type, −1 unknown or none.
        brands: int64 [n], likewise.
        divisions: int64 [n], likewise.
        mentions: float32 [n, classes · features]: what the texts say of each value
            (:mod:`atelier.attributes.mention_features`); None where the network is not told.
    """

    shots: ImageVectors
    tokens: Int32s
    types: Int64s
    brands: Int64s
    divisions: Int64s
    mentions: "csr_array | None" = None

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True)
class Encoding:
    """What turns articles into arrays, fitted on the articles trained on.

    Attributes:
        length: words read per text.
        vocabulary: the known words.
        categories: for product_type, brand and division the known names in alphabetical order, str [names].
        dimension: length of an image vector; 0 where training saw none.
    """

    length: int
    vocabulary: Vocabulary
    categories: dict[str, Objects]
    dimension: int

    @classmethod
    def fit(cls, articles: Articles, config: AttributeConfig) -> "Encoding":
        """Learn vocabulary, categories and the length of image vectors from the articles, labelled or not."""
        return cls(
            length=config.words_read,
            vocabulary=Vocabulary.fit(articles.words, config.vocabulary_size, config.min_word_count),
            categories={name: _names(values) for name, values in articles.categories.items()},
            dimension=articles.image_vectors.dimension,
        )

    def encode(self, articles: Articles) -> EncodedArticles:
        """Turn articles into arrays.

        Raises:
            ArticlesError: image vectors of another length than in training.
        """
        shots = articles.image_vectors.of_dimension(self.dimension, "the model was trained on")
        tokens = self.vocabulary.encode(articles.words, self.length)
        return EncodedArticles(shots, tokens, *(self._codes(articles, name) for name in CATEGORIES))

    def _codes(self, articles: Articles, name: str) -> Int64s:
        values = articles.categories[name]
        codes = pc.index_in(values, pa.array(self.categories[name], pa.string()), skip_nulls=True)
        filled: Int64s = pc.fill_null(codes, NO_CATEGORY).to_numpy(zero_copy_only=False).astype(np.int64)
        return filled

    def save(self, folder: Path) -> None:
        """Write vocabulary.parquet and categories.parquet."""
        self.vocabulary.save(folder / "vocabulary.parquet")
        columns = [(name, str(value)) for name in CATEGORIES for value in self.categories[name]]
        frame = pd.DataFrame(columns, columns=["column", "value"]).astype("str")
        write_table(folder / "categories.parquet", frame)

    @classmethod
    def load(cls, folder: Path, length: int, dimension: int) -> "Encoding":
        """Read what :meth:`save` wrote."""
        frame = read_table(folder / "categories.parquet", ("column", "value")).to_pandas()
        categories = {name: frame.loc[frame["column"] == name, "value"].to_numpy(dtype=object) for name in CATEGORIES}
        return cls(length, Vocabulary.load(folder / "vocabulary.parquet"), categories, dimension)


def _names(values: Any) -> Objects:
    return np.array(sorted(pc.unique(values).drop_null().to_pylist()), dtype=object)
