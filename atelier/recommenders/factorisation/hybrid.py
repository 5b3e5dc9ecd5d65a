"""``hybrid``: asymmetric factorisation that reads content, embeddings or both.

What belongs here: the model behind the common interface: what it keeps, how it ranks and compares, and which vectors
later articles get. What does not: layers (:mod:`~atelier.recommenders.factorisation.hybrid_network`), the loop
(:mod:`~atelier.recommenders.factorisation.hybrid_training`), reasons
(:mod:`~atelier.recommenders.factorisation.hybrid_explanation`).
"""

import copy
import warnings
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from scipy.sparse import csr_matrix

from atelier.bundles import Array, under
from atelier.catalogue import Catalogue, CatalogueError
from atelier.devices import own_random_state
from atelier.ids import Codes, IdMap
from atelier.interactions import Interactions
from atelier.nn.content_features import CHUNK, Content
from atelier.nn.training_loop import Epoch
from atelier.nn.training_state import fingerprint
from atelier.recommenders.eligibility import in_stock_mask
from atelier.recommenders.factorisation import hybrid_explanation
from atelier.recommenders.factorisation.hybrid_config import DECLARATION, HybridConfig
from atelier.recommenders.factorisation.hybrid_network import ContentNetwork, CustomerNetwork, Factorisation
from atelier.recommenders.factorisation.hybrid_training import Examples, Trainer, train
from atelier.recommenders.training_data.customer_features import attribute_matrix
from atelier.recommenders.vector_model import VectorRecommender
from atelier.search.ragged import Indices, Mask, Pairs, RaggedLists, Scores


class Hybrid(VectorRecommender[HybridConfig]):
    """The score is x_u · y_i, where y_i = embedding + content network of i's features, and x_u = mean y of u's history.

    As published by Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation" (KDD 2018). The mean
    runs over interactions: an article chosen twice counts twice. A small network over customer attributes may be added
    to x_u. Articles are compared by the cosine of their vectors. An article that nobody chose has a vector from content
    alone; a customer who was not trained on has one from their history alone.

    Without vectors in the catalogue, mode ``hybrid`` trains embeddings only and warns; mode ``content`` raises
    :class:`CatalogueError`. In mode ``content`` interactions with articles without content are ignored. Where no
    customer has enough interactions for an example, as on a retailer's first day, ``fit`` warns, and the model ranks
    nothing and serves nobody.

    Attributes:
        epochs: what each epoch of the last fit gave; not part of the bundle.
    """

    declaration = DECLARATION

    def __init__(self, config: HybridConfig | None = None, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.epochs: list[Epoch] = []

    @property
    def ranks_unsold(self) -> bool:
        """Whether it can rank an article that nobody has interacted with: where it reads content."""
        return self.config.reads_content

    def training_figures(self) -> dict[str, float | None]:
        """Of the last fit: how many epochs it took, and the losses of the best one."""
        if not self.epochs:
            return {}
        best = min(self.epochs, key=lambda epoch: epoch.validation["loss"])
        return {"epochs": len(self.epochs), "loss": best.loss, "validation_loss": best.validation["loss"]}

    # Learning

    def _rankable(self, train: Interactions, catalogue: Catalogue | None) -> Mask:
        content = self._described(catalogue)
        return content if self.config.mode == "content" else content | super()._rankable(train, catalogue)

    def _described(self, catalogue: Catalogue | None) -> Mask:
        """Which articles have content that is read."""
        described = np.zeros(len(self.article_ids), dtype=bool)
        if self.config.reads_content and catalogue is not None and catalogue.vectors is not None:
            described[self.article_ids.encode(catalogue.ids.values)] = catalogue.vectors.any(axis=1)
        return described

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        n_articles = len(self.article_ids)
        config = self.config.sized(len(np.unique(train.articles)))
        content = self._content(catalogue)
        attributes = attribute_matrix(customers, config.customer_attributes, train.customer_ids)
        random = torch.Generator().manual_seed(config.seed)
        network = Factorisation(config, n_articles, content, attributes.shape[1], random).to(self.torch_device)
        self._train(network, train, catalogue, attributes)
        vectors = network.article_vectors(n_articles).cpu().numpy()
        vectors[~self.ranked] = 0
        self.weights = {"articles": vectors}
        for name, part in (("content", network.content), ("customer", network.customer)):
            if part is not None:
                self.weights |= {f"{name}.{key}": value.cpu().numpy() for key, value in part.state_dict().items()}
        return self._profile(train) | {"attributes": attributes}

    def _content(self, catalogue: Catalogue | None) -> Content | None:
        if self.config.mode == "collaborative":
            return None
        if catalogue is None or catalogue.vectors is None or not catalogue.vectors.any():
            if self.config.mode == "content":
                raise CatalogueError("hybrid in mode 'content' reads vectors: pass a catalogue that has them to fit")
            warnings.warn("hybrid was given no article vectors: it learns embeddings only", stacklevel=4)
            return None
        codes = self.article_ids.encode(catalogue.ids.values)
        return Content(catalogue.vectors, codes, len(self.article_ids), self.torch_device)

    def _train(
        self, network: Factorisation, interactions: Interactions, catalogue: Catalogue | None, attributes: Array
    ) -> None:
        config = self.config
        examples = Examples.of(interactions, catalogue, self.ranked, config)
        if examples is None:
            warnings.warn(
                f"hybrid has no examples: nobody has {config.min_interactions} interactions with {config.min_inputs} "
                "before a positive. It ranks nothing and serves nobody; lower min_interactions and min_inputs, raise "
                "positives_share, or train on more days",
                stacklevel=4,
            )
            self.ranked[:] = False
            return
        trainer = Trainer(network, config, len(self.article_ids), attributes, self.torch_device)
        made_from = ""
        if self.training_state is not None:
            content = () if network.features is None else network.features.tensors()
            rows = examples.training, examples.held_out, examples.pool
            read = interactions.customers, interactions.articles, *rows, attributes
            made_from = fingerprint(config.model_dump_json(), *read, *content)
        with own_random_state(self.torch_device, config.seed):  # of dropout
            self.epochs = train(
                trainer, examples.sampler, examples.training, examples.held_out, config, self.training_state, made_from
            )

    # Vectors

    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of articles, float32 [n, factors]; zero for those that the model does not rank."""
        vectors: Scores = self.weights["articles"][codes]
        return vectors

    def _profile(self, history: Interactions) -> dict[str, Array]:
        """The articles of each customer's history and their shares of it."""
        n, articles = len(history.customer_ids), len(self.article_ids)
        customers, codes = history.customers.astype(np.int64), history.articles
        if self.config.history is not None:
            ends = np.cumsum(np.bincount(customers, minlength=n))
            recent = np.arange(len(customers)) >= ends[customers] - self.config.history
            customers, codes = customers[recent], codes[recent]
        keys, counts = np.unique(customers * articles + codes, return_counts=True)
        own = RaggedLists.from_pairs(Pairs(keys // articles, (keys % articles).astype(np.int32)), n)
        totals = np.bincount(customers, minlength=n)
        shares = (counts / totals[keys // articles]).astype(np.float32)
        attributes = self.weights["customer.hidden.weight"].shape[1] if "customer.hidden.weight" in self.weights else 0
        return {
            "history.starts": own.starts,
            "history.codes": own.codes,
            "history.shares": shares,
            "attributes": np.zeros((n, attributes), dtype=np.float32),
        }

    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, float32 [n, factors].

        They are computed on the processor whatever the device, so that lists are the same.
        """
        starts = profiles["history.starts"]
        shape = (len(starts) - 1, len(self.article_ids))
        history = csr_matrix((profiles["history.shares"], profiles["history.codes"], starts), shape=shape)
        vectors: Scores = np.asarray(history[rows] @ self.weights["articles"])
        weights = under(self.weights, "customer.")
        if weights:
            hidden, attributes = weights["hidden.weight"].shape
            network = CustomerNetwork(attributes, hidden, vectors.shape[1], torch.Generator())
            network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
            with torch.inference_mode():
                vectors += network(torch.tensor(profiles["attributes"][rows])).numpy()
        return vectors

    # Articles that come later

    def content_network(self, catalogue: Catalogue | None = None) -> ContentNetwork | None:
        """The trained content network in evaluation mode, on the device; None where the model reads no content.

        Raises:
            CatalogueError: the vectors of the ``catalogue`` to be read have another length than those trained on.
        """
        weights = under(self.weights, "content.")
        if not weights:
            return None
        dim, factors = weights["first"].shape[0], self.weights["articles"].shape[1]
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
        vectors = np.zeros((len(model.article_ids), self.weights["articles"].shape[1]), dtype=np.float32)
        model.ranked = np.zeros(len(model.article_ids), dtype=bool)
        vectors[place], model.ranked[place] = self.weights["articles"], self.ranked
        codes, theirs = self._new_vectors(catalogue, model.article_ids, model.ranked)
        vectors[codes], model.ranked[codes] = theirs, True
        model.in_stock = in_stock_mask(model.article_ids, catalogue, unsold=self.ranks_unsold)
        model.weights = self.weights | {"articles": vectors}
        profiles, seen = self.customer_profiles.profiles, self.customer_profiles.seen
        profiles = profiles | {"history.codes": place[profiles["history.codes"]]}
        model.customer_profiles = type(self.customer_profiles)(
            self.customer_profiles.ids,
            self.customer_profiles.rankable,
            RaggedLists(seen.starts, place[seen.codes]),
            profiles,
        )
        return model

    def _new_vectors(self, catalogue: Catalogue, ids: IdMap, ranked: Mask) -> tuple[Codes, Scores]:
        """The articles of a catalogue that have content and are not ranked yet, and their vectors."""
        network = self.content_network(catalogue)
        if network is None or catalogue.vectors is None:
            return np.zeros(0, np.int32), np.zeros((0, self.weights["articles"].shape[1]), np.float32)
        codes = ids.encode(catalogue.ids.values)
        new = ~ranked[codes] & catalogue.vectors.any(axis=1)
        content = Content(catalogue.vectors[new], codes[new], len(ids), self.torch_device)
        with torch.inference_mode():
            parts = [
                network(content.of(part)) for part in torch.split(torch.from_numpy(codes[new].astype(np.int64)), CHUNK)
            ]
        return codes[new], torch.cat(parts).cpu().numpy()

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
        """Why each article was recommended: see :func:`atelier.recommenders.factorisation.hybrid_explanation.explain`.

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
        network, vectors = self.content_network(catalogue), self.weights["articles"]
        parts = hybrid_explanation.ScoreParts(self.article_ids, vectors, self.customer_vectors, network)
        return hybrid_explanation.explain(parts, customer_profiles, recs, catalogue, articles, attributes)
