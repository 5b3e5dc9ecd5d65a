"""Models whose article vectors may read content: hybrid, transformer, sequencer.

What belongs here: which articles can be ranked by content, the content network of a trained model, and the vectors of
articles that come after training. What does not: networks (:mod:`atelier.nn.article_network`), training (the models).
"""

import copy
import warnings
from abc import abstractmethod
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from atelier.bundles import Array, under
from atelier.catalogue import Catalogue, CatalogueError
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.nn.article_network import ArticleNetwork, ContentNetwork
from atelier.nn.content_features import CHUNK, Content
from atelier.recommenders import content_explanation
from atelier.recommenders.content_config import ContentConfig
from atelier.recommenders.content_explanation import Recommended, ScoreParts
from atelier.recommenders.eligibility import in_stock_mask
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import Mask, RaggedLists, Ranked, Scores

ContentConfigT = TypeVar("ContentConfigT", bound=ContentConfig)


class ContentRecommender(VectorRecommender[ContentConfigT]):
    """A model whose article vectors are an embedding, a network over content, or the sum of both.

    Its weights have ``articles`` (float32 [n_articles, factors]: their vectors, zero where it ranks none) and, where it
    reads content, those of the content network under ``content.``; its profiles have ``history.codes``, articles. A
    model that ranks articles by other vectors than it reads of them has those as well, see ``_vector_sets``.
    """

    @property
    def _vector_sets(self) -> dict[str, str]:
        """The weights that hold vectors of all articles, the one that ranks last.

        With each is said how the names of what belongs to it begin: ``content.`` and ``styles.`` come after it.
        """
        return {"articles": ""}

    @property
    def _ranking_set(self) -> str:
        """The weights that hold the vectors by which articles are ranked."""
        return list(self._vector_sets)[-1]

    @property
    def ranks_unsold(self) -> bool:
        """Whether it can rank an article that nobody has interacted with: where it reads content."""
        return self.config.mode != "collaborative"

    def _rankable(self, train: Interactions, catalogue: Catalogue | None) -> Mask:
        return self._described(catalogue) if self.config.mode == "content" else super()._rankable(train, catalogue)

    def _content(self, catalogue: Catalogue | None) -> Content | None:
        if self.config.mode == "collaborative":
            return None
        if catalogue is None or catalogue.vectors is None or not catalogue.vectors.any():
            if self.config.mode == "content":
                raise CatalogueError(
                    f"{self.name} in mode 'content' reads vectors: pass a catalogue that has them to fit"
                )
            warnings.warn(f"{self.name} was given no article vectors: it learns embeddings only", stacklevel=4)
            return None
        codes = self.article_ids.encode(catalogue.ids.values)
        return Content(catalogue.vectors, codes, len(self.article_ids), self.torch_device)

    def _styles(self, catalogue: Catalogue | None) -> Tensor | None:
        """The style of each article, int64 [n_articles], numbered from 0; None where styles are not read.

        An article without style, or that the catalogue lacks, is a style of its own.
        """
        if not self.config.reads_styles or self.config.mode != "hybrid" or catalogue is None:
            return None
        siblings = catalogue.siblings()
        if siblings is None:
            return None
        first = np.arange(len(self.article_ids))
        codes = self.article_ids.encode(catalogue.ids.values)
        first[codes] = codes[siblings]
        return torch.from_numpy(np.unique(first, return_inverse=True)[1])

    # Vectors

    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of articles, float32 [n, factors]; zero for those that the model does not rank."""
        vectors: Scores = self.weights[self._ranking_set][codes]
        return vectors

    def content_queries(self, customers: Scores) -> Scores:
        """What of customers' vectors the content's part of an article's vector is multiplied by: all of x_u."""
        return customers

    # Articles that come later

    def content_network(self, catalogue: Catalogue | None = None, of: str | None = None) -> ContentNetwork | None:
        """The trained content network in evaluation mode, on the device; None where the model reads no content.

        Args:
            catalogue: whose vectors are to be read.
            of: the weights whose vectors it makes; None: those by which articles are ranked.

        Raises:
            CatalogueError: the vectors of the ``catalogue`` to be read have another length than those trained on.
        """
        of = of or self._ranking_set
        weights = under(self.weights, f"{self._vector_sets[of]}content.")
        if not weights:
            return None
        dim, factors = weights["first"].shape[0], self.weights[of].shape[1]
        network = ContentNetwork(dim, self.config.hidden, factors, 0.0, torch.Generator())
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        if catalogue is not None and catalogue.vectors is not None and catalogue.vectors.shape[1] != dim:
            raise CatalogueError(
                f"the catalogue's vectors have {catalogue.vectors.shape[1]} positions, the model was trained on "
                f"{dim}: make them by the same vector space, or train the model again"
            )
        return network.eval().to(self.torch_device)

    def with_catalogue(self, catalogue: Catalogue) -> Self:
        """The same model with another catalogue: new articles get vectors from content alone, stock is the catalogue's.

        Nothing is trained: vectors of articles that the model ranks already stay what they are.

        Raises:
            NotFittedError: the model was not fitted.
            CatalogueError: the catalogue's vectors have another length than those trained on.
        """
        self._check_fitted()
        model = copy.copy(self)
        model.article_ids = IdMap.union(self.article_ids, catalogue.ids)
        place = model.article_ids.encode(self.article_ids.values)  # ascending, so that lists keep their order
        ranked = np.zeros(len(model.article_ids), dtype=bool)
        ranked[place] = self.ranked
        model.ranked, model.weights = ranked.copy(), dict(self.weights)
        for name, prefix in self._vector_sets.items():
            vectors = np.zeros((len(ranked), self.weights[name].shape[1]), dtype=np.float32)
            vectors[place] = self.weights[name]
            codes, theirs = self._new_vectors(name, catalogue, model.article_ids, ranked)
            styles = self._new_styles(prefix, catalogue, model.article_ids, place)
            model.weights |= {name: vectors, **styles}
            if styles:
                theirs = theirs + styles[f"{prefix}styles.vectors"][styles[f"{prefix}styles.of"][codes]]
            vectors[codes], model.ranked[codes] = theirs, True
        model.in_stock = in_stock_mask(model.article_ids, catalogue, unsold=self.ranks_unsold)
        profiles, seen = self.customer_profiles.profiles, self.customer_profiles.seen
        profiles = profiles | {"history.codes": place[profiles["history.codes"]]}
        model.customer_profiles = type(self.customer_profiles)(
            self.customer_profiles.ids,
            self.customer_profiles.rankable,
            RaggedLists(seen.starts, place[seen.codes]),
            profiles,
        )
        return model

    def _new_vectors(self, of: str, catalogue: Catalogue, ids: IdMap, ranked: Mask) -> tuple[Codes, Scores]:
        """The articles of a catalogue that have content and are not ranked yet, and their vectors for some weights."""
        network = self.content_network(catalogue, of)
        if network is None or catalogue.vectors is None:
            return np.zeros(0, np.int32), np.zeros((0, self.weights[of].shape[1]), np.float32)
        codes = ids.encode(catalogue.ids.values)
        new = ~ranked[codes] & catalogue.vectors.any(axis=1)
        content = Content(catalogue.vectors[new], codes[new], len(ids), self.torch_device)
        with torch.inference_mode():
            parts = [
                network(content.of(part)) for part in torch.split(torch.from_numpy(codes[new].astype(np.int64)), CHUNK)
            ]
        return codes[new], torch.cat(parts).cpu().numpy()

    def _new_styles(self, prefix: str, catalogue: Catalogue, ids: IdMap, place: Codes) -> dict[str, Array]:
        """The styles of a model with the articles ``ids``, of which ``place`` are this model's; empty without styles.

        A new article has the style of an article that it shares ``product_code`` with; without such a one its style
        is the last row, which is zero.
        """
        name, of = f"{prefix}styles.vectors", f"{prefix}styles.of"
        if name not in self.weights:
            return {}
        vectors = self.weights[name]
        if vectors[-1].any():
            vectors = np.concatenate([vectors, np.zeros((1, vectors.shape[1]), vectors.dtype)])
        style = np.full(len(ids), -1, dtype=np.int64)
        style[place] = self.weights[of]
        siblings, codes = catalogue.siblings(), ids.encode(catalogue.ids.values)
        if siblings is not None:
            known = np.full(len(codes), -1, dtype=np.int64)
            np.maximum.at(known, siblings, style[codes])
            style[codes] = np.where(style[codes] < 0, known[siblings], style[codes])
        return {name: vectors, of: np.where(style < 0, len(vectors) - 1, style)}

    # Reasons

    def explain(
        self,
        recs: Any,
        catalogue: Catalogue | None = None,
        histories: Any = None,
        *,
        articles: int = 2,
        attributes: int = 2,
    ) -> pa.ListArray:
        """Why each article was recommended: see :mod:`atelier.recommenders.content_explanation`.

        Args:
            recs: a frame with ``customer_id`` and ``article_id``, n rows in any order.
            catalogue: with the vectors and names that the model reads; None: reasons from the history only.
            histories: what the customers were ranked by, where it is not what was trained on.
            articles: reasons from the history, at most.
            attributes: reasons from the article's content, at most.

        Returns:
            n lists of kind, value and weight; null for customers whom the model cannot rank for.

        Raises:
            UnknownIdentifier: an article is unknown.
            CatalogueError: the catalogue's vectors have another length than those trained on.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        customer_profiles = self.customer_profiles if histories is None else self._new_profiles(histories, None)
        network = self.content_network(catalogue)
        parts = ScoreParts(
            self.article_ids, self._history_reasons, self.customer_vectors, self.content_queries, network
        )
        return content_explanation.explain(parts, customer_profiles, recs, catalogue, articles, attributes)

    @abstractmethod
    def _history_reasons(self, profiles: dict[str, Array], recommended: Recommended, k: int) -> Ranked:
        """The ``k`` articles of each history that raised the score of a recommendation most."""


def style_weights(network: ArticleNetwork, prefix: str = "") -> dict[str, Array]:
    """What a bundle keeps of styles: their embeddings and the style of each article; empty without styles."""
    vectors = network.learned_styles()
    if vectors is None or network.styles is None:
        return {}
    return {f"{prefix}styles.vectors": vectors.cpu().numpy(), f"{prefix}styles.of": network.styles.numpy()}
