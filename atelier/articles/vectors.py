"""The vector that content models read: everything known of an article in one normalised row.

What belongs here: the blocks of the vector, their normalisation, the names of its positions, its bundle. What does not:
predicting attributes (:mod:`atelier.attributes`), counting sales (``sql/``).

Normalised as published: each feature has unit norm over the articles fitted on, then each article unit norm. The norms
are fitted once and kept, so that articles that come later get vectors that compare.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from atelier import bundles
from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.articles.text import Words
from atelier.frames import Frame, column, columns

Floats = npt.NDArray[np.float32]

NUMBERS = ("price", "recency", "popularity")
POSITIONS = "positions.parquet"
REMEDY = "fit again, or name another bundle"
BLOCKS = ("product_type", *NUMBERS, "text", "image", "attributes")
ALTERNATIVES = pa.list_(pa.struct([("value", "string"), ("probability", "float64")]))
CHUNK = 8192  # rows at a time where a whole block in double precision would be large


class ArticleVectorsConfig(BaseModel):
    """What can be chosen about article vectors.

    Attributes:
        words: words of the TF-IDF block, those in most articles first.
        min_articles: articles in which a word must occur.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: int = Field(default=1000, ge=0)
    min_articles: int = Field(default=2, ge=1)


class _BundleConfig(BaseModel):
    """config.json of a bundle."""

    model_config = ConfigDict(extra="forbid")

    model: Literal["article_vectors"] = "article_vectors"
    format: Literal[1] = 1
    config: ArticleVectorsConfig


@dataclass(frozen=True)
class Cells:
    """The cells of one block that are not zero.

    Attributes:
        rows: int64 [m]: the article.
        columns: int64 [m]: the position within the block.
        values: float64 [m].
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


class ArticleVectors:
    """Turns articles into vectors of unit length.

    Blocks, in this order: product type (one-hot), price, recency (days since available_from), popularity
    (log(1 + sales_30d)), text (TF-IDF), image (mean over shots), attributes (probabilities; one-hot where annotated).
    What is unknown is zero: a type, word or value that was not there when the vectors were fitted, a missing price or
    photograph, the age of an article never on sale. An article of which nothing is known has the zero vector, the only
    one that is not of unit length.

    Args:
        config: None takes the defaults.

    Attributes:
        config: the config.
        positions: one row for each position of the vector: block, name, norm (of the feature over the articles fitted
            on; 0 for a feature that was zero throughout, which stays zero) and weight (a word's inverse document
            frequency, 1 otherwise).
    """

    def __init__(self, config: ArticleVectorsConfig | None = None) -> None:
        self.config = config or ArticleVectorsConfig()
        self.positions = pd.DataFrame(
            {
                "block": pd.Series(dtype="str"),
                "name": pd.Series(dtype="str"),
                "norm": np.zeros(0),
                "weight": np.zeros(0),
            }
        )

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return len(self.positions)

    @property
    def names(self) -> list[str]:
        """``block: name`` of each position."""
        return (self.positions["block"] + ": " + self.positions["name"]).tolist()

    # ---- fitting and transforming

    def fit(self, articles: Frame | Articles, attributes: Frame | None = None, *, as_of: date) -> "ArticleVectors":
        """Learn positions and norms: see :meth:`fit_transform`, whose vectors this forgets."""
        self.fit_transform(articles, attributes, as_of=as_of)
        return self

    def fit_transform(self, articles: Frame | Articles, attributes: Frame | None = None, *, as_of: date) -> Floats:
        """Learn positions and norms, and give the vectors of the articles learned from.

        Args:
            articles: article_id; optional, and each may be null throughout: product_type, price, available_from
                (date), sales_30d, text (or name and description), embeddings (0…n vectors per article).
            attributes: rows of ``predicted_attributes``: article_id, attribute, value, and, unless every value counts
                as certain, source and alternatives. Rows of other articles are left out.
            as_of: the day from which recency counts.

        Returns:
            float32 [n, dim], in the order of the articles. Memory: this matrix, and one block beside it.

        Raises:
            ArticlesError: missing or repeated ids, unusable vectors or columns.
        """
        articles = Articles.from_frame(articles)
        types = sorted(pc.unique(articles.categories["product_type"]).drop_null().to_pylist())
        vocabulary, weights = self._vocabulary(articles.words)
        dimensions = [str(k) for k in range(articles.image_vectors.dimension)]
        pairs = sorted(pc.unique(_probabilities(attributes)["name"]).to_pylist())
        names = [types, *([name] for name in NUMBERS), vocabulary, dimensions, pairs]
        self.positions = pd.DataFrame(
            {
                "block": pd.Series(
                    np.repeat(np.array(BLOCKS, dtype=object), [len(part) for part in names]), dtype="str"
                ),
                "name": pd.Series([name for part in names for name in part], dtype="str"),
                "norm": 0.0,
                "weight": 1.0,
            }
        )
        self.positions.loc[self.positions["block"] == "text", "weight"] = weights
        vectors, norms = self._assemble(articles, attributes, as_of, None)
        self.positions["norm"] = norms
        return vectors

    def transform(self, articles: Frame | Articles, attributes: Frame | None = None, *, as_of: date) -> Floats:
        """Vectors by the positions and norms that were fitted; arguments and result as :meth:`fit_transform`.

        Raises:
            ArticlesError: as :meth:`fit_transform`, and image vectors of another length than those fitted on.
        """
        norms = self.positions["norm"].to_numpy()
        return self._assemble(Articles.from_frame(articles), attributes, as_of, norms)[0]

    def _assemble(
        self, articles: Articles, attributes: Frame | None, as_of: date, norms: npt.NDArray[np.float64] | None
    ) -> tuple[Floats, npt.NDArray[np.float64]]:
        """The vectors, and the norms that were given or, without any, found."""
        vectors = np.zeros((len(articles), self.dimension), dtype=np.float32)
        found = np.zeros(self.dimension) if norms is None else norms
        for block, cells in self._blocks(articles, attributes, as_of):
            place = self._slice(block)
            width = place.stop - place.start
            if norms is None:
                found[place] = _norms(cells, width)
            scales = np.divide(1.0, found[place], out=np.zeros(width), where=found[place] > 0)
            if isinstance(cells, Cells):
                vectors[cells.rows, cells.columns + place.start] = cells.values * scales[cells.columns]
            else:
                np.multiply(cells, scales.astype(np.float32), out=vectors[:, place])
        _to_unit_length(vectors)
        return vectors, found

    def _slice(self, block: str) -> slice:
        inside = np.flatnonzero(self.positions["block"].to_numpy() == block)
        return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)

    def _names(self, block: str) -> Any:
        return pa.array(self.positions["name"].iloc[self._slice(block)], pa.string())

    # ---- blocks

    def _blocks(
        self, articles: Articles, attributes: Frame | None, as_of: date
    ) -> Iterator[tuple[str, Cells | Floats]]:
        """Each block before normalisation, one after the other, so that only one is in memory."""
        types = pc.index_in(articles.categories["product_type"], self._names("product_type"), skip_nulls=True)
        yield "product_type", _cells(np.arange(len(articles)), types, np.ones(len(articles)))
        price, sales = (_filled(articles.column(name, pa.float64())) for name in ("price", "sales_30d"))
        for name, values in zip(NUMBERS, (price, _recency(articles, as_of), np.log1p(sales)), strict=True):
            yield name, _cells(np.arange(len(values)), pa.array(np.zeros(len(values), dtype=np.int64)), values)
        yield "text", self._text(articles.words)
        if self._slice("image").stop:
            yield "image", self._images(articles)
        yield "attributes", self._attributes(articles, attributes)

    def _vocabulary(self, words: Words) -> tuple[list[str], npt.NDArray[np.float64]]:
        """The words of the text block and their weights ln((1 + n) / (1 + articles with the word)) + 1."""
        pairs = pa.table({"row": words.rows, "word": words.values})
        counts = pairs.group_by(["row", "word"]).aggregate([]).group_by("word").aggregate([([], "count_all")])
        counts = counts.filter(pc.greater_equal(counts["count_all"], self.config.min_articles))
        counts = counts.sort_by([("count_all", "descending"), ("word", "ascending")]).slice(0, self.config.words)
        counts = counts.sort_by("word")
        weights = np.log((1 + words.texts) / (1 + counts["count_all"].to_numpy())) + 1
        return counts["word"].to_pylist(), weights

    def _text(self, words: Words) -> Cells:
        """TF-IDF: count × weight, each text to unit norm (as scikit-learn's TfidfVectorizer by default)."""
        columns = pc.index_in(words.values, self._names("text"))
        known = pc.is_valid(columns).to_numpy(zero_copy_only=False)
        places = columns.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
        width = max(len(self._names("text")), 1)
        cells, counts = np.unique(words.rows[known] * width + places, return_counts=True)
        owners, places = cells // width, cells % width
        values = counts * self.positions["weight"].to_numpy()[self._slice("text")][places]
        lengths = np.sqrt(np.bincount(owners, values**2, minlength=words.texts))
        return Cells(owners, places, values / lengths[owners])

    def _images(self, articles: Articles) -> Floats:
        """The mean over shots, float32 [n, dimension]."""
        shots, place = articles.image_vectors, self._slice("image")
        fitted = place.stop - place.start
        if shots.dimension == 0:
            return np.zeros((len(articles), fitted), dtype=np.float32)
        if shots.dimension != fitted:
            raise ArticlesError(
                f"Image vectors have {shots.dimension} values, article vectors were fitted on {fitted}: encode the "
                "photographs with the same backbone, or fit again."
            )
        return shots.mean()

    def _attributes(self, articles: Articles, attributes: Frame | None) -> Cells:
        table = _probabilities(attributes)
        owners = pc.index_in(table["article_id"].combine_chunks(), articles.ids)
        columns = pc.index_in(table["name"].combine_chunks(), self._names("attributes"))
        mine = pc.is_valid(owners)
        values = table["probability"].filter(mine).to_numpy()
        return _cells(owners.filter(mine).to_numpy(zero_copy_only=False), columns.filter(mine), values)

    # ---- on disk

    def save(self, path: str | Path) -> None:
        """Write the bundle: config.json and positions.parquet. The same vectors give the same bytes."""
        bundles.write_config(Path(path), _BundleConfig(config=self.config), sort_keys=False)
        bundles.write_table(Path(path) / POSITIONS, self.positions)

    @classmethod
    def load(cls, path: str | Path) -> "ArticleVectors":
        """Read what :meth:`save` wrote.

        Raises:
            BundleError: a file is missing, or made by an incompatible version.
        """
        vectors = cls(bundles.read_config(Path(path), _BundleConfig, remedy=REMEDY).config)
        positions = bundles.read_table(Path(path) / POSITIONS, ("block", "name", "norm", "weight"), remedy=REMEDY)
        vectors.positions = positions.to_pandas().astype({"block": "str", "name": "str"})
        return vectors


def vectors_table(articles: Frame | Articles, vectors: Floats) -> pa.Table:
    """The rows of the table ``article_vectors``: article_id, vector; the vectors are not copied.

    Args:
        articles: those that were transformed.
        vectors: float32 [n, dim].
    """
    offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int64) * vectors.shape[1])
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
    return pa.table({"article_id": Articles.from_frame(articles).ids, "vector": lists})


def _cells(owners: npt.NDArray[Any], columns: Any, values: npt.NDArray[Any]) -> Cells:
    """Cells whose column is not null."""
    known = pc.is_valid(columns).to_numpy(zero_copy_only=False)
    places = columns.drop_null().to_numpy(zero_copy_only=False).astype(np.int64)
    return Cells(owners[known].astype(np.int64), places, values[known].astype(np.float64))


def _probabilities(attributes: Frame | None) -> pa.Table:
    """article_id, name (attribute=value), probability: 1 where annotated, the alternatives' where predicted."""
    if attributes is None:
        return pa.table({"article_id": pa.array([], pa.string()), "name": pa.array([], pa.string()), "probability": []})
    texts = ("article_id", "attribute", "value", "source")
    ids, names, values, source = (column(attributes, name, pa.string(), ArticlesError) for name in texts)
    if "alternatives" not in columns(attributes):
        return _named(ids, names, values, pa.array(np.ones(len(ids))))
    lists = column(attributes, "alternatives", ALTERNATIVES, ArticlesError)
    certain = pc.or_(pc.equal(source, "annotated"), pc.is_null(lists))
    certain = pc.fill_null(certain, False)
    sure = _named(
        ids.filter(certain), names.filter(certain), values.filter(certain), pa.array(np.ones(certain.true_count))
    )
    guessed = pc.invert(certain)
    open_lists = lists.filter(guessed)
    parents, flat = pc.list_parent_indices(open_lists), pc.list_flatten(open_lists)
    owners, their_names = ids.filter(guessed).take(parents), names.filter(guessed).take(parents)
    return pa.concat_tables([sure, _named(owners, their_names, flat.field("value"), flat.field("probability"))])


def _named(ids: Any, names: Any, values: Any, probabilities: Any) -> pa.Table:
    joined = pc.binary_join_element_wise(names, values, "=")
    return pa.table({"article_id": ids, "name": joined, "probability": probabilities}).drop_null()


def _recency(articles: Articles, as_of: date) -> npt.NDArray[np.float64]:
    first = articles.column("available_from", pa.date32()).cast(pa.int32())
    days = pc.subtract(pa.scalar((as_of - date(1970, 1, 1)).days, pa.int32()), first)
    return _filled(pc.max_element_wise(days, 0, skip_nulls=False).cast(pa.float64()))


def _filled(values: Any) -> npt.NDArray[np.float64]:
    filled: npt.NDArray[np.float64] = pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False)
    return filled


def _norms(block: Cells | Floats, width: int) -> npt.NDArray[np.float64]:
    """The Euclidean norm of each column, summed in double precision."""
    if isinstance(block, Cells):
        return np.sqrt(np.bincount(block.columns, block.values**2, minlength=width))
    squares = np.zeros(width)
    for start in range(0, len(block), CHUNK):
        squares += np.square(block[start : start + CHUNK], dtype=np.float64).sum(axis=0)
    return np.sqrt(squares)


def _to_unit_length(vectors: Floats) -> None:
    """Divide each row by its norm, in place; a zero row stays zero."""
    for start in range(0, len(vectors), CHUNK):
        part = vectors[start : start + CHUNK]
        lengths = np.sqrt(np.square(part, dtype=np.float64).sum(axis=1, keepdims=True))
        part /= np.where(lengths > 0, lengths, 1.0)
