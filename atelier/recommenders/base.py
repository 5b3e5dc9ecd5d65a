"""The interface of every recommender, and what all of them share.

What belongs here: :class:`Recommender`: reading arguments, filters, frames, bundles. What does not: any model, what the
class of a model adds (:mod:`atelier.recommenders.abstract_recommender`), settings
(:mod:`atelier.recommenders.config`).
"""

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel

from atelier import bundles
from atelier.catalogue import Catalogue, CatalogueError
from atelier.errors import AtelierError, BundleError
from atelier.frames import flag, warn_nothing_in_common
from atelier.ids import Codes, IdMap, column, preview, warn_of_strangers
from atelier.interactions import Interactions, InteractionsError
from atelier.progress import progress
from atelier.recommenders.abstract_recommender import AbstractRecommender, ConfigT, Ranker
from atelier.recommenders.customer_profiles import CustomerProfiles
from atelier.recommenders.eligibility import (
    article_column,
    chosen_articles,
    eligible_articles,
    fitting_k,
    in_stock_mask,
    seen_articles,
)
from atelier.recommenders.schemas import RECOMMENDED, SIMILAR, encoded, plain
from atelier.search.ragged import Indices, Mask, Pairs, RaggedLists, check_k

CUSTOMERS = "customers.parquet"
"""The file of a bundle that says which customers it keeps rows of."""
BATCH = 8192
"""Customers or articles ranked at once."""


class ArgumentError(AtelierError, ValueError):
    """An argument is of another type than it has to be."""


class NotFittedError(AtelierError, RuntimeError):
    """A model is asked before it was fitted or loaded."""


class RecommenderBundle(BaseModel):
    """config.json of a saved recommender.

    Attributes:
        model: its name.
        format: of the files; it rises with a change that old code cannot read, or new code cannot read of old.
        config: the fields of the model's own config.
        arrays: the shape of each array in weights.safetensors.
    """

    model: Any
    format: int = 3
    config: dict[str, Any]
    arrays: dict[str, list[int]]


class Recommender(AbstractRecommender[ConfigT]):
    """A model that ranks articles for customers and compares articles.

    Its arguments, its attributes and what a model adds are those of
    :class:`~atelier.recommenders.abstract_recommender.AbstractRecommender`.
    """

    # Fitting

    def fit(self, train: Any, catalogue: Catalogue | None = None, customers: Any = None) -> Self:
        """Train on interactions. No argument is changed. A model whose second fit fails is not fitted any more.

        Args:
            train: :class:`Interactions` or a frame that they can be read from.
            catalogue: what is sold. Articles that it lacks or has out of stock are trained on, but never recommended.
            customers: a frame with ``customer_id``, of customers to know beside those in ``train``.

        A purchase that was sent back (a later row of the kind ``return``) counts neither as trained on nor as seen
        (:mod:`atelier.returns`). A warning is issued where catalogue or customers have no identifier in common with
        ``train``, and where no row is of ``seen_kinds``.

        Raises:
            InteractionsError: no interaction is of ``train_kinds``, or none speaks for a preference.
            CatalogueError: ``catalogue`` is a frame that was not read as a catalogue.
        """
        train = Interactions.from_frame(train)
        if catalogue is not None and not isinstance(catalogue, Catalogue):
            raise CatalogueError(f"catalogue is a {type(catalogue).__name__}: read it by Catalogue.from_frames")
        used = train.of_kinds(self.config.train_kinds)
        used = self._preferred(used, fitting=True) if len(used) else used
        if not len(used):
            raise InteractionsError(
                f"{self.name} has nothing to learn from: none of {len(train):,} interactions is of the kinds "
                f"{self._kinds}; change train_kinds or the dates"
            )
        # A model without profiles counts as not fitted. The old ones go first: if this fit fails half-way, nobody can
        # use a mixture of the old model and the new one.
        vars(self).pop("customer_profiles", None)
        self.article_ids = train.article_ids if catalogue is None else IdMap.union(train.article_ids, catalogue.ids)
        self.in_stock = in_stock_mask(self.article_ids, catalogue, unsold=self.ranks_unsold)
        known = train.customer_ids
        self._warn_of_strangers(train, catalogue, customers)
        if customers is not None:
            known = IdMap.union(known, IdMap.from_values(column(customers, "customer_id"), "customer_id"))
        used = used.aligned(article_ids=self.article_ids)
        self.ranked = self._rankable(used, catalogue)
        used = used if self.ranked[used.articles].all() else self._with_rankable_articles(used)
        used = used.aligned(known if self.declaration.serves_anyone else None)
        profiles = self._fit_with_returns(used, train, catalogue, customers)
        chosen = train.of_kinds(self.config.seen_kinds)
        kinds = () if train.kinds is None else train.kinds.unique()
        if self.config.seen_kinds and len(kinds) and not set(self.config.seen_kinds) & set(kinds):
            warn_nothing_in_common(
                f"seen_kinds is {', '.join(self.config.seen_kinds)}, and no interaction is of these kinds, so that "
                f"nothing counts as seen; their kinds are {', '.join(kinds)}"
            )
        seen = seen_articles(chosen.aligned(known, self.article_ids))
        self.customer_profiles = CustomerProfiles(known, known.encode(used.customer_ids.values), seen, profiles)
        return self

    def _warn_of_strangers(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> None:
        """Warn where catalogue or customers have nothing in common with the interactions."""
        if catalogue is not None:
            warn_of_strangers("article_id of the catalogue", catalogue.ids, "the interactions", train.article_ids)
        if customers is not None:
            theirs = IdMap.from_values(column(customers, "customer_id"), "customer_id")
            warn_of_strangers("customer_id of the customers", theirs, "the interactions", train.customer_ids)

    def _with_rankable_articles(self, interactions: Interactions) -> Interactions:
        """The rows with articles that the model can rank, and only the customers of those rows."""
        interactions = interactions.aligned(article_ids=self.article_ids)
        return interactions.rows(self.ranked[interactions.articles]).aligned(article_ids=self.article_ids)

    # Recommending

    def can_serve(self, customers: Any) -> Mask:
        """Whether the model can rank for each customer (bool [n]); False also for unknown ones."""
        self._check_fitted()
        codes = self.customer_profiles.ids.encode(
            column(customers, "customer_id"), unknown="minus_one", what="customer_id"
        )
        return (self.customer_profiles.rows_of(codes) >= 0) & self.ranked.any()

    def can_rank(self, articles: Any) -> Mask:
        """Whether the model can rank each article, in stock or not (bool [n]); False also for unknown ones."""
        self._check_fitted()
        codes = self.article_ids.encode(column(articles, "article_id"), unknown="minus_one", what="article_id")
        return np.append(self.ranked, False)[codes]

    def recommend(
        self,
        customers: Any = None,
        k: int = 12,
        exclude_seen: bool = True,
        candidates: Any = None,
        histories: Any = None,
    ) -> pd.DataFrame:
        """The best articles for each customer, in stock only.

        A list is shorter than ``k`` only where fewer articles are eligible.

        Args:
            customers: whom to recommend to (texts, or a frame with ``customer_id``), in this order; None: all whom the
                model can serve. Known customers whom it cannot serve are left out, with a warning.
            k: length of the lists.
            exclude_seen: leave out what a customer has seen (interactions of ``seen_kinds``).
            candidates: the articles that may be recommended (texts, a frame with ``article_id``, a catalogue, or bool
                [n_articles] over ``article_ids``); None: all.
            histories: interactions (or a frame of them) of customers to rank for by what they did, instead of those
                trained on. Articles that the model has never heard of are left out of account. Where the model reads
                attributes of customers, those of the frame ``customers`` are read with them.

        Returns:
            ``customer_id``, ``article_id`` (text), ``score`` (float32, falling), ``rank`` (int32, from 1).

        Raises:
            UnknownIdentifier: a customer or candidate is unknown; the message names the first few.
            ValueError: ``k`` is below 1, or ``exclude_seen`` is neither true nor false.
            NotFittedError: the model was not fitted.
        """
        batches = list(self.recommend_batches(customers, k, exclude_seen, candidates, histories))
        lists: pd.DataFrame = plain(batches, RECOMMENDED).to_pandas()
        return lists

    def recommend_batches(
        self,
        customers: Any = None,
        k: int = 12,
        exclude_seen: bool = True,
        candidates: Any = None,
        histories: Any = None,
        batch_size: int = BATCH,
    ) -> Iterator[pa.RecordBatch]:
        """:meth:`recommend` in batches of ``batch_size`` customers, with dictionary-encoded ids.

        It is meant for lists that would not fit in memory as texts. Arguments and errors are those of
        :meth:`recommend`. The arguments are checked at once; each list is made when its batch is asked for. Batches
        have the schema ``RECOMMENDED``.
        """
        self._check_fitted()
        check_k(k)
        exclude_seen = flag(exclude_seen, "exclude_seen", ArgumentError)
        customer_profiles = self.customer_profiles if histories is None else self._new_profiles(histories, customers)
        places = self._places(customer_profiles, customers)
        asked = None if candidates is None else chosen_articles(self.article_ids, candidates)
        eligible = eligible_articles(self.in_stock, self.ranked, asked)
        ranker = self._ranker(customer_profiles.profiles, eligible, fitting_k(k, eligible))
        return self._batches(ranker, customer_profiles, places, exclude_seen, batch_size)

    def _batches(
        self, ranker: Ranker, customer_profiles: CustomerProfiles, places: Indices, exclude_seen: bool, size: int
    ) -> Iterator[pa.RecordBatch]:
        starts: Any = range(0, len(places), size)
        for start in progress(starts, f"{self.name}: recommending", unit="batch") if len(places) > size else starts:
            chunk = places[start : start + size]
            codes = customer_profiles.rankable[chunk]
            ranked = ranker(chunk, customer_profiles.seen.of(codes) if exclude_seen else Pairs.none())
            yield encoded(ranked, customer_profiles.ids.take(codes), self.article_ids, RECOMMENDED)

    def _new_profiles(self, histories: Any, customers: Any) -> CustomerProfiles:
        """Profiles of the customers of ``histories``, and of those in ``customers`` who have no history there."""
        history = Interactions.from_frame(histories)
        ids = history.customer_ids
        warn_of_strangers("article_id of the histories", history.article_ids, self.name, self.article_ids)
        if customers is not None:
            ids = IdMap.union(ids, IdMap.from_values(column(customers, "customer_id"), "customer_id"))
        history = history.aligned(article_ids=self.article_ids, unknown="drop")
        seen = seen_articles(history.of_kinds(self.config.seen_kinds).aligned(ids, self.article_ids))
        used = self._preferred(history.of_kinds(self.config.train_kinds), fitting=False)
        used = self._with_rankable_articles(used)
        used = used.aligned(ids if self.declaration.serves_anyone else None)
        profiles = self._profile(used) | self._attribute_profile(customers, used)
        return CustomerProfiles(ids, ids.encode(used.customer_ids.values), seen, profiles)

    def with_histories(self, histories: Any, customers: Any = None) -> Self:
        """The same model, which knows customers by these interactions instead of those that it was trained on.

        Args:
            histories: interactions, or a frame of them.
            customers: a frame with ``customer_id``, of customers to know beside those in ``histories``.

        Raises:
            NotFittedError: the model was not fitted.
            InteractionsError: the histories cannot be read as interactions.
        """
        self._check_fitted()
        model = copy.copy(self)
        model.customer_profiles = self._new_profiles(histories, customers)
        return model

    def _places(self, customer_profiles: CustomerProfiles, customers: Any) -> Indices:
        """The rows of the profiles of the customers asked for."""
        if customers is None:
            return np.arange(len(customer_profiles.rankable))
        codes = pd.unique(customer_profiles.ids.encode(column(customers, "customer_id"), what="customer_id"))
        places = customer_profiles.rows_of(codes)
        if (places < 0).any():
            left = codes[places < 0]
            warnings.warn(
                f"{self.name} leaves out {len(left):,} of {len(codes):,} customers, of whom it has no interactions "
                f"({self._kinds}): {preview(customer_profiles.ids.take(left).to_pylist(), len(left))}. "
                "can_serve tells who they are; popular can rank for them",
                stacklevel=4,
            )
        return places[places >= 0]

    # Comparing

    def similar(self, articles: Any = None, k: int = 10, eligible: Any = None) -> pd.DataFrame:
        """The nearest articles in stock to each article, itself left out.

        Args:
            articles: which (texts, or a frame with ``article_id``), in stock or not; None: all that the model ranks.
                Known articles that it cannot rank are left out, with a warning.
            k: number of neighbours; fewer where the model finds fewer.
            eligible: the articles in stock that may be returned (texts, a frame with ``article_id``, a catalogue, or
                bool [n_articles] over ``article_ids``); None: all.

        Returns:
            ``article_id``, ``similar_article_id`` (text), ``similarity`` (float32, falling, −1 … 1), ``rank`` (int32,
            from 1).

        Raises:
            UnknownIdentifier: an article is unknown; the message names the first few.
            ValueError: ``k`` is below 1.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        check_k(k)
        codes = self._compared(articles)
        asked = None if eligible is None else chosen_articles(self.article_ids, eligible)
        allowed = eligible_articles(self.in_stock, self.ranked, asked)
        ranker = self._neighbour_ranker(allowed, fitting_k(k, allowed))
        starts: Any = range(0, len(codes), BATCH)
        batches = []
        for start in progress(starts, f"{self.name}: comparing", unit="batch") if len(codes) > BATCH else starts:
            chunk = codes[start : start + BATCH]
            batches.append(encoded(ranker(chunk), self.article_ids.take(chunk), self.article_ids, SIMILAR))
        neighbours: pd.DataFrame = plain(batches, SIMILAR).to_pandas()
        return neighbours

    def _compared(self, articles: Any) -> Codes:
        if articles is None:
            return np.flatnonzero(self.ranked).astype(np.int32)
        codes: Codes = pd.unique(self.article_ids.encode(article_column(articles), what="article_id"))
        left = codes[~self.ranked[codes]]
        if len(left):
            warnings.warn(
                f"{self.name} leaves out {len(left):,} of {len(codes):,} articles, of which it has no interactions "
                f"({self._kinds}): {preview(self.article_ids.take(left).to_pylist(), len(left))}. "
                "can_rank tells which they are",
                stacklevel=3,
            )
        return codes[self.ranked[codes]]

    def forget(self, customers: Any) -> bool:
        """Leave customers out of what the model keeps of each: identifiers, histories, vectors, who is served.

        What it learned from them together with all others, as the vectors of articles, stays as it is: only a training
        without them can change that. Lists of all other customers stay the same.

        Args:
            customers: texts, or a frame with ``customer_id``; those that it does not know change nothing.

        Returns:
            Whether it knew any.

        Raises:
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        before = self.customer_profiles
        self.customer_profiles = before.without(IdMap.from_values(column(customers, "customer_id"), "customer_id"))
        return len(self.customer_profiles.ids) < len(before.ids)

    # Bundles

    def save(self, path: str | Path) -> None:
        """Write the model as a folder: config.json, weights.safetensors, id maps. The same model gives the same bytes.

        Raises:
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        folder, customer_profiles = Path(path), self.customer_profiles
        arrays = {
            "article.offered": self.in_stock,
            "article.ranked": self.ranked,
            "customer.served": customer_profiles.rankable,
            "customer.seen.starts": customer_profiles.seen.starts,
            "customer.seen.codes": customer_profiles.seen.codes,
            **{f"weight.{name}": array for name, array in self.weights.items()},
            **{f"profile.{name}": array for name, array in customer_profiles.profiles.items()},
        }
        config, shapes = self.config.model_dump(mode="json"), bundles.shapes_of(arrays)
        bundles.write_config(folder, RecommenderBundle(model=self.name, config=config, arrays=shapes))
        bundles.write_arrays(folder, arrays)
        self.article_ids.save(folder / "articles.parquet")
        customer_profiles.ids.save(folder / CUSTOMERS)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            BundleError: a file is missing or unreadable, the files do not belong together, or the bundle holds another
                model, format or a config that this version does not allow.
        """
        folder = Path(path)
        described = bundles.read_config(folder, RecommenderBundle)
        if described.model != cls.name:
            raise BundleError(f"{folder} holds the model {described.model}, not {cls.name}: use recommenders.load")
        with bundles.reading(folder / bundles.CONFIG):
            model = cls(cls.Config.model_validate(described.config), device)  # type: ignore[arg-type]
        arrays = bundles.read_arrays(folder, described.arrays)
        model.article_ids = IdMap.load(folder / "articles.parquet")
        model.in_stock, model.ranked = arrays["article.offered"], arrays["article.ranked"]
        model.weights = bundles.under(arrays, "weight.")
        model.customer_profiles = CustomerProfiles(
            IdMap.load(folder / CUSTOMERS),
            arrays["customer.served"],
            RaggedLists(arrays["customer.seen.starts"], arrays["customer.seen.codes"]),
            bundles.under(arrays, "profile."),
        )
        if (len(model.article_ids), len(model.customer_profiles.ids)) != (
            len(model.in_stock),
            len(model.customer_profiles.seen),
        ):
            raise BundleError(f"the id maps of {folder} are not those of its weights: train the model again")
        return model

    @property
    def _kinds(self) -> str:
        return ", ".join(self.config.train_kinds)

    def _check_fitted(self) -> None:
        if not hasattr(self, "customer_profiles"):
            raise NotFittedError(f"{self.name} was not fitted: call fit, or load a saved model")
