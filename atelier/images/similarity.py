"""Articles that look alike: cosines of image vectors, the photographs of an article combined, with a shop's filters.

What belongs here: combining vectors, the filters, exact search and the saved index of Annoy's. What does not: computing
vectors (:mod:`atelier.images.embedding`), what replaces an article out of stock (:mod:`atelier.images.replacement`).

As in the published system of Farfetch, two articles are as similar as the cosine of their image vectors says. Here the
mean of all photographs is first subtracted from each photograph's vector of unit length: features of a network with
ReLU are never negative, so that without it all cosines are high, and what every photograph shows weighs most.
docs/visual_similarity.md has the figures of both.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from atelier import bundles
from atelier.arrays import Float32s, Float64s, Int64s, Mask
from atelier.articles.errors import ArticlesError
from atelier.articles.image_vectors import ImageVectors
from atelier.articles.table import Articles
from atelier.errors import AtelierError, BundleError, UnknownIdentifier
from atelier.frames import Frame, columns, flags, numbers
from atelier.ids import Codes, IdMap, column, preview
from atelier.recommenders.schemas import SIMILAR, encoded, plain
from atelier.recommenders.vector_model import unit
from atelier.search.annoy_forest import INDEX as FOREST_INDEX
from atelier.search.annoy_forest import AnnoyConfig, AnnoyIndex
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs, Ranked, check_k

INDEX, ARTICLES, ARRAYS, FOREST = "index.json", "articles.parquet", "arrays.safetensors", "forest"
FILES = (ARTICLES, ARRAYS, f"{FOREST}/{FOREST_INDEX}")
REMEDY = "run image_similarity again"
QUERIES = 256
"""Articles asked for at once: the filters of each are a row of marks over all candidates."""
UNKNOWN = -1
"""The number of a product type that is not known."""
Search = Callable[[Float32s, int, Pairs], Ranked]


class OtherEncoderError(AtelierError, ValueError):
    """A vector has another length than those of the articles, because another encoder computed it."""


class Filters(BaseModel):
    """Which articles may be named as similar to another one, which itself never is.

    Attributes:
        in_stock: only articles in stock.
        same_type: only articles of the same product type; there are none where the article's own type is not known.
        other_style: no articles of the same style (``product_code``), its other colours for example.
        price_range: the lowest and highest price, as multiples of the article's own; of an article without a price,
            none. None: any price.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_stock: bool = True
    same_type: bool = False
    other_style: bool = False
    price_range: tuple[float, float] | None = None

    @field_validator("price_range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 <= value[0] <= value[1]:
            raise ValueError(f"the price range {value} has to be two multiples, from 0, the lower one first")
        return value


@dataclass(frozen=True, eq=False)
class Pictured:
    """What the filters read of n articles, and which of them have a photograph.

    Attributes:
        ids: the articles.
        codes: int32 [m], ascending: those with a photograph.
        types: int64 [n]: the number of each one's product type, ``UNKNOWN`` where it has none.
        type_names: the names of these numbers, in alphabetical order.
        styles: int64 [n]: the number of each one's style; an article without one is a style of its own.
        prices: float64 [n], NaN where there is none.
        in_stock: bool [n].
    """

    ids: IdMap
    codes: Codes
    types: Int64s
    type_names: tuple[str, ...]
    styles: Int64s
    prices: Float64s
    in_stock: Mask

    @classmethod
    def from_articles(cls, articles: Articles) -> Self:
        """Read them; the columns product_type, product_code, price and in_stock (all, where it is absent) may lack."""
        ids, codes = IdMap.factorise(articles.ids, "article_id")
        row_of = np.argsort(codes)
        types = articles.categories["product_type"].to_pandas()
        numbered, names = pd.factorize(types, sort=True)
        styles, _ = pd.factorize(articles.styles)
        has = {name: name in columns(articles.frame) for name in ("price", "in_stock")}
        n = len(ids)
        price = numbers(articles.frame["price"], "price", ArticlesError) if has["price"] else np.full(n, np.nan)
        stock = flags(articles.frame["in_stock"], "in_stock", ArticlesError) if has["in_stock"] else np.ones(n, bool)
        return cls(
            ids,
            np.flatnonzero(articles.image_vectors.counts[row_of]).astype(np.int32),
            numbered[row_of].astype(np.int64),
            tuple(map(str, names)),
            styles[row_of].astype(np.int64),
            price[row_of],
            stock[row_of],
        )

    def type_number(self, product_type: str) -> int:
        """The number of a product type.

        Raises:
            UnknownIdentifier: no article has it; the message names those there are.
        """
        if product_type not in self.type_names:
            known = preview(self.type_names, len(self.type_names))
            raise UnknownIdentifier(f"no article has the product type {product_type!r}; there are {known}")
        return self.type_names.index(product_type)

    def frame(self) -> pd.DataFrame:
        """One row for each article, in their order, as :meth:`from_frame` reads it."""
        return pd.DataFrame(
            {
                "article_id": self.ids.values.to_pandas(),
                "pictured": np.isin(np.arange(len(self.ids)), self.codes),
                "type": self.types,
                "style": self.styles,
                "price": self.prices,
                "in_stock": self.in_stock,
            }
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, type_names: tuple[str, ...]) -> Self:
        """Read what :meth:`frame` gave."""
        return cls(
            IdMap.from_values(frame["article_id"], "article_id"),
            np.flatnonzero(frame["pictured"]).astype(np.int32),
            frame["type"].to_numpy(np.int64),
            type_names,
            frame["style"].to_numpy(np.int64),
            frame["price"].to_numpy(np.float64),
            frame["in_stock"].to_numpy(bool),
        )

    def forbidden(self, queries: Codes, candidates: Codes, filters: Filters) -> Pairs:
        """The pairs of (place among the queries, candidate) that the filters do not allow, beside stock and type."""
        wrong = queries[:, None] == candidates[None, :]
        if filters.other_style:
            wrong |= self.styles[queries][:, None] == self.styles[candidates][None, :]
        if filters.price_range is not None:
            low, high = (bound * self.prices[queries][:, None] for bound in filters.price_range)
            price = self.prices[candidates][None, :]
            wrong |= ~((price >= low) & (price <= high))  # also where a price is not known
        rows, places = np.nonzero(wrong)
        return Pairs(rows.astype(np.int64), candidates[places])


class ImageNeighbours(ABC):
    """Articles compared by their photographs; how they are searched is up to the subclass.

    Attributes:
        pictured: the articles.
        centre: float32 [dim]: what is subtracted from the vector of unit length of each photograph.
    """

    def __init__(self, pictured: Pictured, centre: Float32s) -> None:
        self.pictured = pictured
        self.centre = centre

    @abstractmethod
    def _vectors(self, codes: Codes) -> Float32s:
        """The vectors of articles with a photograph, float32 [m, dim]."""

    @abstractmethod
    def _search(self, candidates: Codes) -> Search:
        """Prepare to search among some articles with a photograph, int32, ascending."""

    def similar(self, articles: Any = None, k: int = 10, filters: Filters | None = None) -> pd.DataFrame:
        """The articles that look most like each article.

        Args:
            articles: which (texts, or a frame with ``article_id``), in stock or not; None: all with a photograph.
                Those without a photograph get no rows.
            k: number of neighbours; fewer where the filters leave fewer.
            filters: None: in stock, and nothing else.

        Returns:
            ``article_id``, ``similar_article_id``, ``similarity`` (cosine, falling), ``rank`` (from 1).

        Raises:
            UnknownIdentifier: an article is unknown.
            ValueError: ``k`` is below 1.
        """
        check_k(k)
        filters = filters or Filters()
        pictured, asked = self.pictured, self.pictured.codes
        if articles is not None:
            chosen = pd.unique(pictured.ids.encode(column(articles, "article_id"), what="article_id"))
            asked = chosen[np.isin(chosen, pictured.codes)]
        batches = []
        for queries, candidates in self._groups(asked, filters):
            search = self._search(candidates)
            for start in range(0, len(queries), QUERIES):
                block = queries[start : start + QUERIES]
                forbidden = pictured.forbidden(block, candidates, filters)
                ranked = search(self._vectors(block), min(k, len(candidates)), forbidden)
                batches.append(encoded(ranked, pictured.ids.take(block), pictured.ids, SIMILAR))
        near: pd.DataFrame = plain(batches, SIMILAR).to_pandas()
        return near

    def _groups(self, asked: Codes, filters: Filters) -> list[tuple[Codes, Codes]]:
        """The queries with the candidates among which each is searched: all together, or type by type."""
        pictured = self.pictured
        candidates = pictured.codes[pictured.in_stock[pictured.codes]] if filters.in_stock else pictured.codes
        if not filters.same_type:
            return [(asked, candidates)] if len(candidates) else []
        own, theirs = pictured.types[asked], pictured.types[candidates]
        found = np.intersect1d(own[own != UNKNOWN], theirs)
        return [(asked[own == each], candidates[theirs == each]) for each in found]

    def like(
        self, shots: Float32s, k: int = 10, *, product_type: str | None = None, price: tuple[float, float] | None = None
    ) -> pd.DataFrame:
        """The articles in stock that look most like what some photographs show, which is no article.

        Args:
            shots: float32 [photographs, dim]: vectors by the encoder of the articles' photographs.
            k: number of articles.
            product_type: only articles of this type; None: of any.
            price: the lowest and the highest price of an article; None: any price, or none.

        Returns:
            ``article_id``, ``similarity`` (cosine, falling), ``rank`` (from 1).

        Raises:
            OtherEncoderError: the vectors have another length than those of the articles.
            UnknownIdentifier: no article has the product type.
            ValueError: ``k`` is below 1, or the lowest price is above the highest, or no number.
        """
        check_k(k)
        if price is not None and not price[0] <= price[1]:
            raise ValueError(f"the price {price} has to be two numbers, the lower one first")
        if shots.shape[1] != len(self.centre):
            raise OtherEncoderError(
                f"the photograph's vector has {shots.shape[1]} values, those of the articles {len(self.centre)}: "
                "encode it with the encoder of the articles"
            )
        pictured, keep = self.pictured, self.pictured.in_stock[self.pictured.codes]
        if product_type is not None:
            keep &= pictured.types[pictured.codes] == pictured.type_number(product_type)
        if price is not None:
            theirs = pictured.prices[pictured.codes]
            keep &= (theirs >= price[0]) & (theirs <= price[1])
        candidates = pictured.codes[keep]
        if not len(candidates):
            return pd.DataFrame({"article_id": [], "similarity": [], "rank": []})
        one = combined(ImageVectors(shots, np.array([len(shots)])), self.centre)
        ranked = self._search(candidates)(one, min(k, len(candidates)), Pairs.none())
        batch = encoded(ranked, pa.array(["photograph"], pa.large_string()), pictured.ids, SIMILAR)
        near: pd.DataFrame = plain([batch], SIMILAR).to_pandas().drop(columns="article_id")
        return near.rename(columns={"similar_article_id": "article_id"})


def combined(vectors: ImageVectors, centre: Float32s) -> Float32s:
    """One vector of unit length for each article with a photograph: float32 [articles with one, dim].

    Each photograph's vector is scaled to unit length, so that a bright one does not outweigh the others; the centre is
    subtracted; the mean over the article's photographs is scaled to unit length.
    """
    shots = ImageVectors(unit(vectors.vectors) - centre, vectors.counts)
    return unit(shots.mean()[vectors.counts > 0])


class ExactImages(ImageNeighbours):
    """Exact search among the articles of a day.

    Attributes:
        vectors: float32 [m, dim], of unit length, aligned with ``pictured.codes``.
    """

    def __init__(self, pictured: Pictured, centre: Float32s, vectors: Float32s) -> None:
        super().__init__(pictured, centre)
        self.vectors = vectors

    @classmethod
    def build(cls, articles: Frame | Articles, *, centred: bool = True) -> Self:
        """Read articles and combine their photographs.

        Args:
            articles: ``article_id`` and ``embeddings`` (0…n vectors of each article); for the filters ``product_type``,
                ``product_code``, ``price``, ``in_stock``, each of which may be absent.
            centred: whether the mean of all photographs is subtracted.

        Raises:
            ArticlesError: missing or repeated ids, unusable vectors or columns.
        """
        articles = Articles.from_frame(articles)
        pictured = Pictured.from_articles(articles)
        vectors = articles.image_vectors
        centre = np.zeros(vectors.dimension, np.float32)
        if centred and len(vectors.vectors):
            centre = unit(vectors.vectors).mean(axis=0, dtype=np.float64).astype(np.float32)
        own = pictured.ids.encode(articles.ids)
        order = np.argsort(own[vectors.counts > 0])
        return cls(pictured, centre, combined(vectors, centre)[order])

    def _vectors(self, codes: Codes) -> Float32s:
        found: Float32s = self.vectors[np.searchsorted(self.pictured.codes, codes)]
        return found

    def _search(self, candidates: Codes) -> Search:
        return ExactTopK(self._vectors(candidates), candidates, len(self.pictured.ids))


class ImageIndexConfig(BaseModel):
    """How the forest is grown and searched.

    Attributes:
        trees: more find more of the exact neighbours, and make the file larger.
        search: nodes inspected in a look-up.
        seed: of the random planes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trees: int = Field(default=50, ge=1)
    search: int = Field(default=5000, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class _Described(BaseModel):
    """index.json of a saved index."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    encoder_id: str
    filters: Filters
    type_names: tuple[str, ...]
    files: dict[str, str]


class ImageIndex(ImageNeighbours):
    """The same articles in Annoy's forest, which is a file and answers a look-up without reading all vectors.

    Attributes:
        encoder_id: the encoder of the photographs: a further photograph has to be encoded by the same one.
        filters: those by which the neighbours of the day were listed, for whoever wants longer lists.
        forest: over the articles with a photograph.
    """

    def __init__(
        self, pictured: Pictured, centre: Float32s, encoder_id: str, filters: Filters, forest: AnnoyIndex
    ) -> None:
        super().__init__(pictured, centre)
        self.encoder_id = encoder_id
        self.filters = filters
        self.forest = forest

    @classmethod
    def build(
        cls, exact: ExactImages, encoder_id: str, config: ImageIndexConfig | None = None, filters: Filters | None = None
    ) -> Self:
        """Grow the forest; the same vectors and config give the same bytes."""
        config = config or ImageIndexConfig()
        pictured = exact.pictured
        vectors = exact.vectors if len(exact.vectors) else np.zeros((0, max(1, len(exact.centre))), np.float32)
        grown = AnnoyConfig(metric="cosine", **config.model_dump())
        forest = AnnoyIndex.build(vectors, pictured.codes, len(pictured.ids), grown)
        return cls(pictured, exact.centre, encoder_id, filters or Filters(), forest)

    def _vectors(self, codes: Codes) -> Float32s:
        return self.forest.vectors(codes)

    def _search(self, candidates: Codes) -> Search:
        eligible = np.zeros(len(self.pictured.ids), bool)
        eligible[candidates] = True
        return lambda queries, k, excluded: self.forest(queries, k, excluded, eligible)

    def save(self, path: str | Path) -> None:
        """Write index.json, the articles with what filters read of them, the centre, and the forest."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        bundles.write_table(folder / ARTICLES, self.pictured.frame())
        bundles.write_arrays(folder, {"centre": self.centre}, ARRAYS)
        self.forest.save(folder / FOREST)
        files = bundles.digests(folder, FILES)
        described = _Described(
            encoder_id=self.encoder_id, filters=self.filters, type_names=self.pictured.type_names, files=files
        )
        bundles.write_config(folder, described, INDEX)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open what :meth:`save` wrote; the forest stays on disk and is read as it is searched.

        Raises:
            BundleError: a file is missing, damaged or of another index, or the index has another format.
        """
        folder = Path(path)
        described = bundles.read_config(folder, _Described, INDEX, remedy=REMEDY)
        bundles.check_digests(folder, FILES, described.files, remedy=REMEDY)
        names = ("article_id", "pictured", "type", "style", "price", "in_stock")
        frame = bundles.read_table(folder / ARTICLES, names, remedy=REMEDY).to_pandas()
        pictured = Pictured.from_frame(frame, described.type_names)
        forest = AnnoyIndex.load(folder / FOREST)
        if not np.array_equal(forest.codes, pictured.codes):
            raise BundleError(f"the files of {folder} do not belong together: {REMEDY}")
        centre = bundles.read_arrays(folder, name=ARRAYS, remedy=REMEDY)["centre"]
        return cls(pictured, centre, described.encoder_id, described.filters, forest)
