"""The vector that content models read: everything known of an article in one normalised row.

What belongs here: the blocks of the vector, their normalisation, the names of its positions, its bundle. What does not:
predicting attributes (:mod:`atelier.attributes`), counting sales (``sql/``).

As published, each feature is scaled to unit norm over the articles fitted on, and then each article to unit norm. The
norms of the features are fitted once and saved, so that the vectors of later articles can be compared with those of
earlier ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from atelier import bundles
from atelier.arrays import Float32s, Float64s
from atelier.articles.errors import ArticlesError
from atelier.articles.table import Articles
from atelier.articles.text import Words
from atelier.frames import Frame, column, columns, day, days, require, warn_nothing_in_common
from atelier.ids import texts as identifiers

NUMBERS = ("price", "recency", "popularity")
POSITIONS = "positions.parquet"
REMEDY = "fit again, or name another bundle"
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
        self.positions = _positions({})

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
        """Learn positions and norms as :meth:`fit_transform` does, without returning the vectors."""
        self.fit_transform(articles, attributes, as_of=as_of)
        return self

    def fit_transform(self, articles: Frame | Articles, attributes: Frame | None = None, *, as_of: date) -> Float32s:
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
        vocabulary, weights = self._vocabulary(articles.words)
        names = {
            "product_type": sorted(pc.unique(articles.categories["product_type"]).drop_null().to_pylist()),
            **{name: [name] for name in NUMBERS},
            "text": vocabulary,
            "image": [str(number) for number in range(articles.image_vectors.dimension)],
            "attributes": sorted(pc.unique(_probabilities(attributes)["name"]).to_pylist()),
        }
        self.positions = _positions(names)
        self.positions.loc[self.positions["block"] == "text", "weight"] = weights
        return self._assemble(articles, attributes, as_of, fit=True)

    def transform(self, articles: Frame | Articles, attributes: Frame | None = None, *, as_of: date) -> Float32s:
        """Vectors by the positions and norms that were fitted; arguments and result as :meth:`fit_transform`.

        Raises:
            ArticlesError: as :meth:`fit_transform`, and image vectors of another length than those fitted on.
        """
        return self._assemble(Articles.from_frame(articles), attributes, as_of, fit=False)

    def _assemble(self, articles: Articles, attributes: Frame | None, as_of: date, *, fit: bool) -> Float32s:
        """The vectors, by the norms that are known or, to ``fit``, by those of these articles."""
        vectors = np.zeros((len(articles), self.dimension), dtype=np.float32)
        norms = self.positions["norm"].to_numpy(copy=True)
        for block, cells in self._blocks(articles, attributes, as_of):
            inside = self._slice(block)
            if fit:
                norms[inside] = _norms(cells)
            scales = np.divide(1.0, norms[inside], out=np.zeros(cells.shape[1]), where=norms[inside] > 0)
            if sparse.issparse(cells):
                owners, columns = cells.coords
                vectors[owners, columns + inside.start] = cells.data * scales[columns]
            else:
                np.multiply(cells, scales.astype(np.float32), out=vectors[:, inside])
        if fit:
            self.positions = self.positions.assign(norm=norms)
        _to_unit_length(vectors)
        return vectors

    def _slice(self, block: str) -> slice:
        inside = np.flatnonzero(self.positions["block"].to_numpy() == block)
        return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)

    def _names(self, block: str) -> Any:
        return pa.array(self.positions["name"].iloc[self._slice(block)], pa.string())

    # ---- blocks

    def _blocks(self, articles: Articles, attributes: Frame | None, as_of: date) -> Iterator[tuple[str, Any]]:
        """Each block before normalisation, sparse or dense [n, width], one after the other: only one is in memory."""
        owners, types = np.arange(len(articles)), articles.categories["product_type"]
        yield "product_type", _cells(owners, types, self._names("product_type"), np.ones(len(articles)), len(articles))
        price, sales = (_finite(articles, name) for name in ("price", "sales_30d"))
        for name, values in zip(NUMBERS, (price, _recency(articles, as_of), np.log1p(sales)), strict=True):
            yield name, sparse.coo_array(values[:, None])
        yield "text", self._text(articles.words)
        if dimension := len(self._names("image")):
            yield "image", articles.image_vectors.of_dimension(dimension, "article vectors were fitted on").mean()
        yield "attributes", self._attributes(articles, attributes)

    def _vocabulary(self, words: Words) -> tuple[list[str], Any]:
        """The words of the text block in alphabetical order, and their inverse document frequencies."""
        names = pc.unique(words.values).sort()
        counts = _counts(words, names)
        articles = np.bincount(counts.indices, minlength=len(names))  # in how many each word stands
        frequent = np.argsort(-articles, kind="stable")[: self.config.words]
        chosen = np.sort(frequent[articles[frequent] >= self.config.min_articles])
        weights = TfidfTransformer().fit(counts[:, chosen]).idf_ if len(chosen) else np.zeros(0)
        return names.take(pa.array(chosen)).to_pylist(), weights

    def _text(self, words: Words) -> Any:
        """TF-IDF: count × weight, each text to unit norm; sparse [n, words]."""
        counts = _counts(words, self._names("text"))
        tfidf = TfidfTransformer()
        tfidf.idf_ = self.positions["weight"].to_numpy()[self._slice("text")]  # as fitted, perhaps on other articles
        return (tfidf.transform(counts) if counts.nnz else counts).tocoo()

    def _attributes(self, articles: Articles, attributes: Frame | None) -> Any:
        table = _probabilities(attributes)
        owners = pc.index_in(table["article_id"], articles.ids)
        if len(table) and len(articles) and owners.null_count == len(table):
            warn_nothing_in_common(
                f"no article of the attributes is among the articles (the one is for example "
                f"{table['article_id'][0].as_py()!r}, the other {articles.names[0]!r}): nothing is known of their "
                "attributes. Look at how the identifiers are written",
                depth=6,
            )
        mine, names = table.filter(pc.is_valid(owners)), self._names("attributes")
        return _cells(owners.drop_null().to_numpy(), mine["name"], names, mine["probability"].to_numpy(), len(articles))

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


def vectors_table(articles: Frame | Articles, vectors: Float32s) -> pa.Table:
    """The rows of the table ``article_vectors``: article_id, vector; the vectors are not copied.

    Args:
        articles: those that were transformed.
        vectors: float32 [n, dim].
    """
    offsets = pa.array(np.arange(len(vectors) + 1, dtype=np.int64) * vectors.shape[1])
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(vectors.reshape(-1)))
    return pa.table({"article_id": Articles.from_frame(articles).ids, "vector": lists})


def _positions(names: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """A position for each name of each block, in that order; norms and weights are not known yet."""
    pairs = [(block, name) for block, part in names.items() for name in part]
    return pd.DataFrame(pairs, columns=["block", "name"], dtype="str").assign(norm=0.0, weight=1.0)


def _cells(owners: Any, texts: Any, names: Any, values: Float64s, articles: int) -> Any:
    """A sparse block [articles, names].

    Args:
        owners: int [m]: the row of each cell.
        texts: Arrow text [m]: its column's name; a cell of another name, or of none, is left out.
        names: Arrow text: the names of the columns.
        values: float64 [m].
        articles: how many rows the block has.
    """
    columns = pc.index_in(texts, names)
    known = pc.is_valid(columns).to_numpy(zero_copy_only=False)
    inside = columns.drop_null().to_numpy(zero_copy_only=False)
    return sparse.coo_array((values[known], (owners[known], inside)), shape=(articles, len(names)))


def _counts(words: Words, names: Any) -> Any:
    """How often each of the words ``names`` stands in each text, sparse [texts, names]."""
    return _cells(words.rows, words.values, names, np.ones(len(words.rows)), words.texts).tocsr()


def _probabilities(attributes: Frame | None) -> pa.Table:
    """article_id, name (attribute=value), probability: 1 where annotated, the alternatives' where predicted."""
    attributes = pa.table({"article_id": []}) if attributes is None else attributes
    require(attributes, ["article_id"], ArticlesError, "the frame of attributes")
    ids = identifiers(attributes["article_id"], "article_id", ArticlesError, nulls=True)
    texts = ("attribute", "value", "source")
    named, values, source = (column(attributes, name, pa.string(), ArticlesError) for name in texts)
    lists = column(attributes, "alternatives", ALTERNATIVES, ArticlesError)
    certain = pc.fill_null(pc.or_kleene(pc.equal(source, "annotated"), pc.is_null(lists)), False)
    predicted = pc.indices_nonzero(pc.invert(certain))
    guesses = lists.take(predicted)
    owners, options = predicted.take(pc.list_parent_indices(guesses)), pc.list_flatten(guesses)
    rows = pa.concat_arrays([pc.indices_nonzero(certain), owners])
    names = pa.concat_arrays([values.filter(certain), options.field("value")])
    probabilities = pa.concat_arrays([pa.array(np.ones(certain.true_count)), options.field("probability")])
    columns = {
        "article_id": ids.take(rows),
        "name": pc.binary_join_element_wise(named.take(rows), names, "="),
        "probability": probabilities,
    }
    return pa.table(columns).drop_null()


def _recency(articles: Articles, as_of: date) -> Float64s:
    if "available_from" not in columns(articles.frame):
        return np.zeros(len(articles))
    first = days(articles.frame["available_from"], "available_from", ArticlesError).cast(pa.int32())
    today = day(as_of, "as_of", ArticlesError)
    passed = pc.subtract(pa.scalar((today - date(1970, 1, 1)).days, pa.int32()), first)
    ages = pc.max_element_wise(passed, 0, skip_nulls=False).cast(pa.float64())
    filled: Float64s = pc.fill_null(ages, 0.0).to_numpy(zero_copy_only=False)
    return filled


def _finite(articles: Articles, name: str) -> Float64s:
    """A column of numbers, 0 where there is none.

    Raises:
        ArticlesError: one is infinite, which would leave nothing of the others.
    """
    values: Float64s = articles.column(name, pa.float64()).to_numpy(zero_copy_only=False)
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise ArticlesError(
            f"column {name!r} is infinite for {len(endless):,} articles, for example "
            f"{articles.names[endless[:3]].tolist()}: leave it empty where it is not known"
        )
    return np.where(np.isnan(values), 0.0, values)


def _norms(block: Any) -> Float64s:
    """The Euclidean norm of each column, summed in double precision."""
    if sparse.issparse(block):
        return np.sqrt(np.bincount(block.coords[1], block.data**2, minlength=block.shape[1]))
    squares = np.zeros(block.shape[1])
    for start in range(0, len(block), CHUNK):
        squares += np.square(block[start : start + CHUNK], dtype=np.float64).sum(axis=0)
    return np.sqrt(squares)


def _to_unit_length(vectors: Float32s) -> None:
    """Divide each row by its norm, in place; a zero row stays zero."""
    for start in range(0, len(vectors), CHUNK):
        part = vectors[start : start + CHUNK]
        lengths = np.sqrt(np.square(part, dtype=np.float64).sum(axis=1, keepdims=True))
        part /= np.where(lengths > 0, lengths, 1.0)
