"""``hybrid``: asymmetric factorisation that reads content, embeddings or both.

What belongs here: the model behind the common interface: what it keeps, how it ranks and compares, and which vectors
later articles get. What does not: layers (:mod:`~atelier.recommenders.factorisation.hybrid_network`), the loop
(:mod:`~atelier.recommenders.factorisation.hybrid_training`), reasons
(:mod:`~atelier.recommenders.factorisation.hybrid_explanation`).
"""

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix

from atelier.arrays import distinct_values
from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.devices import own_random_state
from atelier.errors import UndatedWarning
from atelier.interactions import Interactions
from atelier.nn.customer_network import CustomerNetwork
from atelier.nn.replicas import ALONE
from atelier.nn.training_loop import Epoch
from atelier.nn.training_state import fingerprint
from atelier.recommenders.content_explanation import Recommended
from atelier.recommenders.content_model import ContentRecommender, style_weights
from atelier.recommenders.factorisation.hybrid_config import DECLARATION, HybridConfig
from atelier.recommenders.factorisation.hybrid_explanation import from_history
from atelier.recommenders.factorisation.hybrid_network import Factorisation
from atelier.recommenders.factorisation.hybrid_training import Examples, Trainer, train
from atelier.recommenders.training_data.customer_features import attribute_matrix
from atelier.search.ragged import Indices, Pairs, RaggedLists, Ranked, Scores

FOR_DATED = ("inputs_drawn", "history", "negative_popularity")
"""The fields whose defaults suit histories with dates only."""


class Hybrid(ContentRecommender[HybridConfig]):
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

    def training_figures(self) -> dict[str, float | None]:
        """Of the last fit: how many epochs it took, and the losses of the best one."""
        if not self.epochs:
            return {}
        best = min(self.epochs, key=lambda epoch: epoch.validation["loss"])
        return {"epochs": len(self.epochs), "loss": best.loss, "validation_loss": best.validation["loss"]}

    # Learning

    @property
    def trains_on_replicas(self) -> bool:
        """It does."""
        return True

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        self._warn_of_defaults(train)
        n_articles = len(self.article_ids)
        config = self.config.sized(len(distinct_values(train.articles)))
        content = self._content(catalogue)
        attributes = attribute_matrix(customers, config.customer_attributes, train.customer_ids)
        random = torch.Generator().manual_seed(config.seed)
        network = Factorisation(config, n_articles, content, attributes.shape[1], random, self._styles(catalogue)).to(
            self.torch_device
        )
        self._train(network, train, catalogue, attributes)
        vectors = network.article_vectors(n_articles).cpu().numpy()
        vectors[~self.ranked] = 0
        self.weights = {"articles": vectors} | style_weights(network)
        for name, part in (("content", network.content), ("customer", network.customer)):
            if part is not None:
                self.weights |= {f"{name}.{key}": value.cpu().numpy() for key, value in part.state_dict().items()}
        return self._profile(train) | {"attributes": attributes}

    def _warn_of_defaults(self, interactions: Interactions) -> None:
        """Warn where defaults that were chosen on dated purchases meet data without dates."""
        defaults = HybridConfig()
        if not interactions.dated and all(getattr(self.config, name) == getattr(defaults, name) for name in FOR_DATED):
            warnings.warn(
                f"the interactions have no dates, and hybrid's defaults of {', '.join(FOR_DATED)} were chosen on data "
                "that have: HybridConfig.undated() has what suited such data better, and atelier.studies.tuning.tune "
                "chooses settings on your own validation data (docs/tuning.md)",
                UndatedWarning,
                stacklevel=4,
            )

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
        replicas = self.replicas or ALONE
        trainer = Trainer(network, config, len(self.article_ids), attributes, self.torch_device, replicas)
        made_from = ""
        if self.training_state is not None:
            content = () if network.features is None else network.features.tensors()
            rows = examples.training, examples.held_out, examples.pool
            read = interactions.customers, interactions.articles, *rows, attributes
            styles = () if network.styles is None else (network.styles,)
            made_from = fingerprint(config.model_dump_json(), *read, *content, *styles)
        with own_random_state(self.torch_device, config.seed):  # of dropout
            self.epochs = train(
                trainer,
                examples.sampler,
                examples.training,
                examples.held_out,
                config,
                self.training_state,
                made_from,
                self.watch,
            )

    # Vectors

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

    # Reasons

    def _history_reasons(self, profiles: dict[str, Array], recommended: Recommended, k: int) -> Ranked:
        rows = recommended.customers[recommended.owners]
        return from_history(self.weights["articles"], profiles, rows, recommended.codes, k)
