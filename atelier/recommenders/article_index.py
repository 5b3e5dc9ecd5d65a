"""The index of a model's articles: approximate search for similar articles and recommendations.

What belongs here: :class:`ArticleIndex`, two forests with the identifiers around them, on disk as one folder. What does
not: the forests (:mod:`atelier.search.annoy_forest`), their recall (:mod:`atelier.recommenders.index_recall`),
lists for all customers at once (the models).
"""

import hashlib
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from atelier import bundles
from atelier.errors import AtelierError, BundleError, UnknownIdentifier
from atelier.ids import Codes, IdMap, column, preview
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.eligibility import chosen_articles, fitting_k
from atelier.recommenders.schemas import RECOMMENDED, SIMILAR, encoded, plain
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.annoy_forest import INDEX as FOREST_INDEX
from atelier.search.annoy_forest import AnnoyConfig, AnnoyIndex, Metric
from atelier.search.ragged import Mask, Pairs, Scores, check_k

METRICS: tuple[Metric, ...] = ("cosine", "inner_product")
INDEX, IN_STOCK, ARTICLES = "index.json", "offered.safetensors", "articles.parquet"
FILES = (ARTICLES, IN_STOCK, *(f"{metric}/{FOREST_INDEX}" for metric in METRICS))
"""What index.json has digests of. The description of a forest has those of the forest's own files."""
REMEDY = "run article_index again"


class OtherModelError(AtelierError, ValueError):
    """An index was queried with a model from which it was not built."""


class ArticleIndexConfig(BaseModel):
    """How both forests are grown and searched.

    Attributes:
        trees: more find more of the exact neighbours, and make the files larger.
        search: nodes inspected in a look-up; None: trees × requested neighbours. The default finds 95% and more of the
            exact neighbours among 18,000 articles in about half a millisecond.
        seed: of the random planes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trees: int = Field(default=50, ge=1)
    search: int | None = Field(default=5000, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class _Described(BaseModel):
    """index.json of a saved index; it has the digest of its model's vectors, and of the files beside it."""

    model_config = ConfigDict(extra="forbid")

    format: int = 2
    model: str
    vectors: str
    config: ArticleIndexConfig
    files: dict[str, str]


class ArticleIndex:
    """The articles that a model ranks, found by cosine (similar ones) and by inner product (recommendations).

    Every article that the model ranks is indexed, so an article out of stock can be a query; returned articles are in
    stock. A list has min(k, articles that may be returned) rows whatever the filters.

    Attributes:
        model: the model's name.
        config: how it was built.
        article_ids: the identifiers of the article codes.
        in_stock: bool [n_articles]: in the catalogue and in stock when it was built.
        forests: by metric.
        vectors: SHA-256 of the articles that the model ranks and of their vectors; it identifies the model.
    """

    def __init__(
        self,
        model: str,
        config: ArticleIndexConfig,
        article_ids: IdMap,
        in_stock: Mask,
        forests: dict[Metric, AnnoyIndex],
        vectors: str,
    ) -> None:
        self.model = model
        self.vectors = vectors
        self._answered: WeakSet[CustomerProfiles] = (
            WeakSet()
        )  # models found to be the index's own, so that each is digested only once
        self.config = config
        self.article_ids = article_ids
        self.in_stock = in_stock
        self.forests = forests

    @classmethod
    def build(cls, model: VectorRecommender[Any], config: ArticleIndexConfig | None = None) -> Self:
        """Build the two forests from the vectors of a fitted model; the same model and config give the same bytes."""
        config = config or ArticleIndexConfig()
        codes, vectors = _indexed(model)
        compared, n_articles = model.compared_vectors(codes), len(model.article_ids)
        forests = {
            metric: AnnoyIndex.build(
                compared if metric == "cosine" else vectors,
                codes,
                n_articles,
                AnnoyConfig(metric=metric, **config.model_dump()),
            )
            for metric in METRICS
        }
        in_stock = model.in_stock & model.ranked
        return cls(model.name, config, model.article_ids, in_stock, forests, _digest(codes, vectors))

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self.forests["cosine"].dimension

    def searching(self, nodes: int | None) -> Self:
        """The same index with another search effort: the number of nodes inspected in a look-up."""
        config = self.config.model_copy(update={"search": nodes})
        forests = {metric: forest.searching(nodes) for metric, forest in self.forests.items()}
        return type(self)(self.model, config, self.article_ids, self.in_stock, forests, self.vectors)

    def similar(self, articles: Any, k: int = 10, eligible: Any = None) -> pd.DataFrame:
        """The nearest articles to each article, itself left out.

        Args:
            articles: the query articles (texts, or a frame with ``article_id``), in stock or not.
            k: number of neighbours.
            eligible: the articles in stock that may be returned (likewise, or bool [n_articles]); None: all.

        Returns:
            ``article_id``, ``similar_article_id``, ``similarity`` (cosine, falling), ``rank``, as
            :meth:`Recommender.similar`.

        Raises:
            UnknownIdentifier: an article is unknown, or has no vector.
            ValueError: ``k`` is below 1.
        """
        check_k(k)
        forest = self.forests["cosine"]
        codes = pd.unique(self.article_ids.encode(column(articles, "article_id"), what="article_id"))
        position = np.searchsorted(forest.codes, codes)
        absent = codes[np.append(forest.codes, -1)[position] != codes]
        if len(absent):
            names = preview(self.article_ids.take(absent).to_pylist(), len(absent))
            raise UnknownIdentifier(f"{len(absent):,} article_id without a vector: {names}")
        themselves = Pairs(np.arange(len(codes)), codes)
        allowed = self._eligible(eligible)
        ranked = forest(forest.vectors(codes), fitting_k(k, np.flatnonzero(allowed)), themselves, allowed)
        batch = encoded(ranked, self.article_ids.take(codes), self.article_ids, SIMILAR)
        frame: pd.DataFrame = plain([batch], SIMILAR).to_pandas()
        return frame

    def recommend(
        self,
        model: VectorRecommender[Any],
        customers: Any,
        k: int = 12,
        exclude_seen: bool = True,
        candidates: Any = None,
    ) -> pd.DataFrame:
        """The best articles for a few customers; for all of them :meth:`Recommender.recommend` is faster.

        Args:
            model: the model from which the index was built; it has the customers' vectors.
            customers: the customers (texts, or a frame with ``customer_id``).
            k: length of the lists.
            exclude_seen: leave out what a customer has seen.
            candidates: the articles in stock that may be recommended (texts, a frame with ``article_id``, or bool
                [n_articles]); None: all.

        Returns:
            ``customer_id``, ``article_id``, ``score`` (falling), ``rank``, as :meth:`Recommender.recommend`.

        Raises:
            OtherModelError: the model has other articles or vectors than the one from which the index was built.
            UnknownIdentifier: a customer or candidate is unknown.
            ValueError: ``k`` is below 1.
            NotFittedError: the model was not fitted.
        """
        check_k(k)
        queries = model.queries(customers)
        self._check(model)
        excluded = queries.seen if exclude_seen else Pairs.none()
        allowed = self._eligible(candidates)
        shorter = fitting_k(k, np.flatnonzero(allowed))
        ranked = self.forests["inner_product"](queries.vectors, shorter, excluded, allowed)
        batch = encoded(ranked, queries.ids, self.article_ids, RECOMMENDED)
        frame: pd.DataFrame = plain([batch], RECOMMENDED).to_pandas()
        return frame

    def _check(self, model: VectorRecommender[Any]) -> None:
        """Reject a model from which the index was not built."""
        if model.customer_profiles in self._answered:
            return
        if model.article_ids != self.article_ids or _digest(*_indexed(model)) != self.vectors:
            raise OtherModelError(
                f"the index was built from another {self.model} than this {model.name}: load the model that its "
                "manifest names, or build an index of this one by ArticleIndex.build(model)"
            )
        self._answered.add(model.customer_profiles)

    def _eligible(self, articles: Any) -> Mask:
        if articles is None:
            return self.in_stock
        wanted = np.zeros(len(self.article_ids), dtype=bool)
        wanted[chosen_articles(self.article_ids, articles)] = True
        eligible: Mask = self.in_stock & wanted
        return eligible

    def save(self, path: str | Path) -> None:
        """Write index.json, the id map, the in-stock mask, and a folder for each forest."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        self.article_ids.save(folder / ARTICLES)
        bundles.write_arrays(folder, {"offered": self.in_stock}, IN_STOCK)
        for metric, forest in self.forests.items():
            forest.save(folder / metric)
        files = bundles.digests(folder, FILES)
        described = _Described(model=self.model, vectors=self.vectors, config=self.config, files=files)
        bundles.write_config(folder, described, INDEX)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open what :meth:`save` wrote; the forests stay on disk and are read as they are searched.

        Raises:
            BundleError: a file is missing, damaged or of another index, or the index has another format.
        """
        folder = Path(path)
        described = bundles.read_config(folder, _Described, INDEX, remedy=REMEDY)
        bundles.check_digests(folder, FILES, described.files, remedy=REMEDY)
        ids = IdMap.load(folder / ARTICLES)
        forests = {metric: AnnoyIndex.load(folder / metric) for metric in METRICS}
        if any(forest.n_articles != len(ids) for forest in forests.values()):
            raise BundleError(f"the files of {folder} do not belong together: {REMEDY}")
        in_stock = bundles.read_arrays(folder, {"offered": [len(ids)]}, IN_STOCK, remedy=REMEDY)["offered"]
        return cls(described.model, described.config, ids, in_stock, forests, described.vectors)


def _indexed(model: VectorRecommender[Any]) -> tuple[Codes, Scores]:
    """The articles that a model ranks and their vectors."""
    codes: Codes = np.flatnonzero(model.ranked).astype(np.int32)
    return codes, model.article_vectors(codes)


def _digest(codes: Codes, vectors: Scores) -> str:
    """SHA-256 of the ranked articles' codes and vectors."""
    found = hashlib.sha256(codes.tobytes())
    found.update(np.ascontiguousarray(vectors, dtype=np.float32).data)
    return found.hexdigest()
