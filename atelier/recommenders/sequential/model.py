"""What the sequence models share: histories as profiles, training, and customers' vectors from the encoder.

What belongs here: :class:`SequenceRecommender`. What does not: encoders, which each model names; the training loop.

The score is x_u · y_i: x_u is what the encoder makes of the customer's last interactions, y_i the article's vector,
which is also what the encoder reads of it (a tied output), unless the model has vectors of its own for that. A tied
output adds the similarity to the last interactions by default (``RecentSimilarity``). What counts of the histories add
(:mod:`atelier.recommenders.sequential.co_occurrence`) is no product of vectors: lists have it, an index has not.
"""

import math
import warnings
from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from atelier.arrays import distinct_values
from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.devices import own_random_state
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.nn.article_network import ArticleNetwork
from atelier.nn.content_features import Content
from atelier.nn.customer_network import CustomerNetwork, CustomerVectors
from atelier.nn.embeddings import RowEmbedding
from atelier.nn.layers import JoinedLayers
from atelier.nn.replicas import ALONE
from atelier.nn.training_loop import Epoch
from atelier.nn.training_state import fingerprint
from atelier.recommenders.abstract_recommender import Ranker
from atelier.recommenders.content_explanation import Recommended
from atelier.recommenders.content_model import ContentRecommender, style_weights
from atelier.recommenders.sequential.co_occurrence import (
    MOST_CHOICES,
    Choices,
    CoOccurrence,
    fitted,
    following,
    following_now,
    near,
    ranked_with,
)
from atelier.recommenders.sequential.config import SequenceConfig
from atelier.recommenders.sequential.embedding_start import first_embeddings
from atelier.recommenders.sequential.explanation import from_history
from atelier.recommenders.sequential.network import (
    HistoryEncoder,
    RecentSimilarity,
    SequenceNetwork,
    inputs_of,
    with_directions,
)
from atelier.recommenders.sequential.training import Examples, Pool, Trainer, train
from atelier.recommenders.sequential.warm_start import CONTENT_NAMES, Start, hash_order, packed_names, start_from
from atelier.recommenders.training_data.customer_features import AttributeSpace
from atelier.recommenders.training_data.sequences import Histories, Windows, batches, last_moments
from atelier.search.ragged import Indices, Pairs, Ranked, Scores

SequenceConfigT = TypeVar("SequenceConfigT", bound=SequenceConfig)

CELLS = 16_384
"""Interactions that are encoded at once."""


class SequenceRecommender(ContentRecommender[SequenceConfigT]):
    """A model that reads the order of a history.

    Customers who were not trained on are ranked for by their history alone; where the model has a vector of each
    customer, with that of a customer of whom nothing is known. An article that nobody chose has a vector from content
    alone, if the model reads content. Where no customer has two interactions, ``fit`` warns, and the model ranks
    nothing and serves nobody.

    Attributes:
        epochs: what each epoch of the last fit gave; not part of the bundle.
        warm_start: a fitted model with the same layers, from whose weights ``fit`` starts; None: from random ones. See
            :mod:`atelier.recommenders.sequential.warm_start`. It is not part of the bundle either. How much is trained
            then says the config's field of that name.
    """

    def __init__(self, config: SequenceConfigT | None = None, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.epochs: list[Epoch] = []
        self.warm_start: SequenceRecommender[SequenceConfigT] | None = None

    @abstractmethod
    def _layers(self, factors: int) -> nn.Module:
        """The layers of the encoder, yet to be trained: [b, length, factors] → states [b, length, …], causal."""

    def _head(self, factors: int) -> JoinedLayers | None:
        """What makes customers' vectors of states, yet to be trained; None: states are the vectors."""
        return None

    def _output_factors(self, factors: int) -> int | None:
        """The length of the vectors by which articles are ranked; None: they are those that are read (tied)."""
        return None

    def _customer_sizes(self) -> tuple[int, int] | None:
        """The length of a customer's own vector, and the width of the network that makes it of attributes.

        None: customers have no vectors of their own.
        """
        return None

    def training_figures(self) -> dict[str, float | None]:
        """Of the last fit: how many epochs it took, and the figures of the best one."""
        if not self.epochs:
            return {}
        judged = [epoch for epoch in self.epochs if not math.isnan(epoch.validation["ndcg"])]
        # Where nothing is held out, the weights of the last epoch are kept.
        best = max(judged, key=lambda epoch: epoch.validation["ndcg"]) if judged else self.epochs[-1]
        figures = {f"validation_{name}": value for name, value in best.validation.items()}
        return {"epochs": len(self.epochs), "loss": best.loss, **figures}

    # Learning

    @property
    def trains_on_replicas(self) -> bool:
        """Unless the loss holds all targets of a batch against each other."""
        return self.config.loss != "in_batch"

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        factors = self._factors(len(distinct_values(train.articles)))
        histories = self._histories(train)
        space = AttributeSpace.fit(customers, self.config.customer_columns, train.customer_ids)
        attributes = space.matrix(customers, train.customer_ids)
        first = self._first_embeddings(catalogue, factors)
        with own_random_state(self.torch_device, self.config.seed):
            described = self._content(catalogue), self._styles(catalogue), first
            network = self._network(factors, described, attributes).to(self.torch_device)
            if (before := self.warm_start) is not None:
                names = None if catalogue is None else catalogue.names
                start_from(network, Start(before, names), self.article_ids, self._vector_sets)
            # The same customers every day, so that no day is judged by what the model before was trained on.
            order = None if self.config.warm_start is None else hash_order(train.customer_ids)
            made = Examples.of(histories, self.config, last_moments(train), order)
            examples = self._train(network, made, first, attributes)
        self.weights = {}
        for name, part in (("articles", network.articles), ("outputs", network.outputs)):
            if part is not None:
                self.weights |= self._article_weights(name, part)
        if not self.config.counts_held_out:  # an article that was held out alone has learned nothing: it is not ranked
            self.ranked &= self.weights[self._ranking_set].any(axis=1)
        self.weights |= _state("encoder.", network.encoder)
        if network.articles.content is not None and catalogue is not None and catalogue.names is not None:
            self.weights[CONTENT_NAMES] = packed_names(catalogue.names)
        own = None if network.customers is None else network.customers.vectors()[0].cpu().numpy()
        if examples is not None and self.config.adds_co_occurrence:
            self.weights |= self._co_occurrence(histories, examples, own)
        if network.customers is None:
            return self._profile(train)
        vectors, unknown = (each.cpu().numpy() for each in network.customers.vectors())
        self.weights["unknown_customer"] = unknown
        if network.customers.network is not None:
            self.weights |= _state("customer.", network.customers.network)
            self.weights["customer_space"] = np.frombuffer(space.model_dump_json().encode(), dtype=np.uint8)
        return self._profile(train) | {"customer": vectors}

    def _co_occurrence(self, histories: Histories, examples: Examples, own: Scores | None) -> dict[str, Array]:
        """What counts add to the score: weights fitted on what was held out, and counts of everything (see config)."""
        n, neighbours = len(self.article_ids), self.config.neighbours
        before, articles, whose = examples.choices(MOST_CHOICES, self.config.history)
        if not len(articles):
            return {}
        codes = distinct_values(histories.articles)
        customers = self._encoded(before, _rows_of(own, whose))
        search = self.exact_search(self.article_vectors(codes), codes)
        counts = following(examples.histories, n)
        weights = fitted(near(counts, neighbours), Choices(before, articles, customers), search)
        if weights is None:
            return {}
        if self.config.counts_held_out:
            counts = following_now(counts, examples.histories, histories)
        return CoOccurrence(near(counts, neighbours), weights).arrays()

    def _article_weights(self, name: str, network: ArticleNetwork) -> dict[str, Array]:
        """The vectors of all articles, and the styles and the content network that they are made of."""
        prefix = self._vector_sets[name]
        vectors = network.article_vectors(len(self.article_ids)).cpu().numpy()
        vectors[~self.ranked] = 0
        content = {} if network.content is None else _state(f"{prefix}content.", network.content)
        return {name: vectors, **content, **style_weights(network, prefix)}

    @property
    def _vector_sets(self) -> dict[str, str]:
        untied = self._output_factors(1) is not None
        return super()._vector_sets | ({"outputs": "output_"} if untied else {})

    @property
    def _adds_similarity(self) -> bool:
        """Whether scores have a part for similarity to the last interactions."""
        return self.config.adds_similarity and self._output_factors(1) is None

    def _histories(self, interactions: Interactions) -> Histories:
        """What is read of interactions."""
        histories = Histories.of(interactions)
        return histories.without_repeats() if self.config.drop_consecutive_repeats else histories

    def _first_embeddings(self, catalogue: Catalogue | None, factors: int) -> Scores | None:
        block = self.config.embedding_start
        if block is None or self.config.mode == "content":
            return None
        return first_embeddings(catalogue, block, self.article_ids, factors)

    @abstractmethod
    def _factors(self, articles: int) -> int:
        """The length of vectors, where so many articles are interacted with."""

    def _network(
        self, factors: int, described: tuple[Content | None, Tensor | None, Scores | None], attributes: Array
    ) -> SequenceNetwork:
        """The network, yet to be trained.

        Args:
            factors: length of the articles' vectors.
            described: the articles' content, styles and first embeddings, each None where there are none.
            attributes: float32 [customers, positions].
        """
        config, (content, styles, first) = self.config, described
        random = torch.Generator().manual_seed(config.seed)
        rate = None if config.mode == "content" else config.embedding_learning_rate

        def articles(length: int, start: Scores | None = None) -> ArticleNetwork:
            begin = None if start is None else torch.from_numpy(start)
            shape = len(self.article_ids), length, content, config.hidden, config.content_dropout
            return ArticleNetwork(*shape, rate, random, styles, config.embedding_optimiser, begin)

        read, outputs = articles(factors, first), self._output_factors(factors)
        ranked = None if outputs is None else articles(outputs)
        return SequenceNetwork(read, self._encoder(factors), ranked, self._customer_network(attributes, random))

    def _customer_network(self, attributes: Array, random: torch.Generator) -> CustomerVectors | None:
        """The vectors of customers, yet to be trained; ``attributes`` are float32 [n, positions]."""
        config, sizes = self.config, self._customer_sizes()
        if sizes is None:
            return None
        (length, hidden), (n, positions) = sizes, attributes.shape
        if config.customer_columns:
            network = CustomerNetwork(positions, hidden, length, random)
            return CustomerVectors(None, network, torch.from_numpy(attributes))
        rate, rule = config.embedding_learning_rate, config.embedding_optimiser
        return CustomerVectors(RowEmbedding(n, length, rate, random, rule))

    def _encoder(self, factors: int) -> HistoryEncoder:
        config = self.config
        return HistoryEncoder(
            self._layers(factors),
            factors,
            config.dropout,
            reads_kinds=config.reads_kinds,
            reads_gaps=config.reads_gaps,
            head=self._head(factors),
            similarity=RecentSimilarity(config.similarity_start) if self._adds_similarity else None,
        )

    def _train(
        self, network: SequenceNetwork, examples: Examples, first: Scores | None, attributes: Array
    ) -> Examples | None:
        """Train the network; what it was trained on, None where there is nothing."""
        histories = examples.whole
        if not len(examples.windows.starts):
            warnings.warn(
                f"{self.name} has no examples: nobody has two interactions. It ranks nothing and serves nobody; train "
                "on more days",
                stacklevel=5,
            )
            self.ranked[:] = False
            return None
        counted = histories if self.config.counts_held_out else examples.histories
        pool = Pool.of(histories, counted, len(self.article_ids))
        trainer = Trainer(network, self.config, pool, len(self.article_ids), self.torch_device, self.replicas or ALONE)
        made_from = ""
        if self.training_state is not None:
            features = network.articles.features
            content = () if features is None else features.tensors()
            read = histories.starts, histories.articles, histories.kinds, histories.gaps, examples.windows.starts
            styles = () if network.articles.styles is None else (network.articles.styles,)
            start = [] if first is None else [first]
            before = [] if self.warm_start is None else list(self.warm_start.weights.values())
            made_from = fingerprint(
                self.config.model_dump_json(), *read, *content, *styles, *start, *before, attributes
            )
        kept = self.training_state, made_from, self.watch
        from_model = self.warm_start is not None
        self.epochs = train(self.name, trainer, examples, self.config, *kept, from_model=from_model)
        return examples

    # Vectors

    def _profile(self, history: Interactions) -> dict[str, Array]:
        """The last interactions of each customer."""
        last = self._histories(history).last(self.config.history)
        profile: dict[str, Array] = {
            "history.starts": last.starts,
            "history.codes": last.articles,
            "history.kinds": last.kinds,
            "history.gaps": last.gaps,
        }
        if "unknown_customer" in self.weights:
            profile["customer"] = np.tile(self.weights["unknown_customer"], (len(last.starts) - 1, 1))
        return profile

    def _attribute_profile(self, customers: Any, history: Interactions) -> dict[str, Array]:
        """The vectors that the network makes of the attributes of customers who were not trained on."""
        weights = under(self.weights, "customer.")
        if not weights:
            return {}
        space = AttributeSpace.model_validate_json(self.weights["customer_space"].tobytes())
        (hidden, positions), length = weights["hidden.weight"].shape, len(self.weights["unknown_customer"])
        network = CustomerNetwork(positions, hidden, length, torch.Generator())
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        with torch.inference_mode():
            return {"customer": network(torch.from_numpy(space.matrix(customers, history.customer_ids))).numpy()}

    def _trained_encoder(self) -> HistoryEncoder:
        """The encoder of the weights, in evaluation mode, on the device."""
        with own_random_state(self.torch_device, 0):  # of first weights, which are replaced
            encoder = self._encoder(self.weights["articles"].shape[1])
        encoder.load_state_dict({name: torch.tensor(value) for name, value in under(self.weights, "encoder.").items()})
        return encoder.eval().to(self.torch_device)

    def article_vectors(self, codes: Codes) -> Scores:
        """The vectors y_i of articles; with similarity joined with themselves at unit length, [n, 2 factors]."""
        vectors = self.compared_vectors(codes)
        return with_directions(torch.from_numpy(vectors)).numpy() if self._adds_similarity else vectors

    def compared_vectors(self, codes: Codes) -> Scores:
        """The articles' own vectors, float32 [n, factors], by whose cosine they are compared."""
        return super().article_vectors(codes)

    def content_queries(self, customers: Scores) -> Scores:
        """The part of customers' vectors that articles' own vectors are multiplied by, float32 [n, factors]."""
        return customers[:, : self.weights[self._ranking_set].shape[1]]

    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, as long as :meth:`article_vectors`; zero without history."""
        return self._encoded(histories_of(profiles).take(rows), _rows_of(profiles.get("customer"), rows))

    @torch.inference_mode()
    def _encoded(self, histories: Histories, customers: Scores | None) -> Scores:
        """The vectors of histories whose customers have these vectors of their own, float32 [n, …] or None."""
        articles = torch.from_numpy(self.weights["articles"]).to(self.torch_device)
        encoder = self._trained_encoder()
        lengths = np.diff(histories.starts)
        length = self.weights[self._ranking_set].shape[1] * (2 if self._adds_similarity else 1)
        vectors = np.zeros((len(lengths), length), dtype=np.float32)
        some = np.flatnonzero(lengths)
        windows = Windows(histories.starts[some], lengths[some])
        for places in batches(windows, CELLS, np.random.default_rng(0)):
            padded = histories.rows(windows.of(places))
            own = _rows_of(customers, padded.owners)
            there = None if own is None else torch.from_numpy(own).to(self.torch_device)
            given = inputs_of(padded, articles, padded.articles.astype(np.int64), there)
            ends = torch.from_numpy(windows.lengths[places] - 1).to(self.torch_device)
            vectors[some[places]] = encoder.at(given, ends).cpu().numpy()
        return vectors

    def _ranker(self, profiles: dict[str, Array], eligible: Codes, k: int) -> Ranker:
        part = CoOccurrence.of_arrays(self.weights, len(self.article_ids))
        if part is None:
            return super()._ranker(profiles, eligible, k)
        search, histories = self.exact_search(self.article_vectors(eligible), eligible), histories_of(profiles)

        def rank(rows: Indices, excluded: Pairs) -> Ranked:
            return ranked_with(part, histories.take(rows), search, self.customer_vectors(profiles, rows), k, excluded)

        return rank

    # Reasons

    def _history_reasons(self, profiles: dict[str, Array], recommended: Recommended, k: int) -> Ranked:
        histories = histories_of(profiles).take(recommended.customers)
        own = _rows_of(profiles.get("customer"), recommended.customers)

        def encode(some: Histories, whose: Indices) -> Scores:
            return self._encoded(some, _rows_of(own, whose))

        part = CoOccurrence.of_arrays(self.weights, len(self.article_ids))
        added = None if part is None else part.added
        return from_history(encode, histories, recommended, self.article_vectors(recommended.codes), k, added)


def histories_of(profiles: dict[str, Array]) -> Histories:
    """The histories that profiles hold."""
    return Histories(*(profiles[f"history.{name}"] for name in ("starts", "codes", "kinds", "gaps")))


def _rows_of(matrix: Array | None, rows: Indices) -> Array | None:
    return None if matrix is None else matrix[rows]


def _state(prefix: str, network: nn.Module) -> dict[str, Array]:
    return {f"{prefix}{name}": value.cpu().numpy() for name, value in network.state_dict().items()}
