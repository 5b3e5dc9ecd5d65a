"""What the sequence models share: histories as profiles, training, and customers' vectors from the encoder.

What belongs here: :class:`SequenceRecommender`. What does not: encoders, which each model names; the training loop.

The score is x_u · y_i: x_u is what the encoder makes of the customer's last interactions, y_i the article's vector,
which is also what the encoder reads of it (the embedding is tied).
"""

import math
import warnings
from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from atelier.bundles import Array, under
from atelier.catalogue import Catalogue
from atelier.devices import own_random_state
from atelier.ids import Codes
from atelier.interactions import Interactions
from atelier.nn.article_network import ArticleNetwork
from atelier.nn.content_features import Content
from atelier.nn.training_loop import Epoch
from atelier.nn.training_state import fingerprint
from atelier.recommenders.content_model import ContentRecommender, style_weights
from atelier.recommenders.sequential.config import SequenceConfig
from atelier.recommenders.sequential.explanation import from_history
from atelier.recommenders.sequential.network import HistoryEncoder, inputs_of
from atelier.recommenders.sequential.training import Examples, Pool, SequenceNetwork, Trainer, train
from atelier.recommenders.training_data.sequences import Histories, Windows, batches
from atelier.search.ragged import Indices, Ranked, Scores

SequenceConfigT = TypeVar("SequenceConfigT", bound=SequenceConfig)

CELLS = 16_384
"""Interactions that are encoded at once."""


class SequenceRecommender(ContentRecommender[SequenceConfigT]):
    """A model that reads the order of a history.

    Customers who were not trained on are ranked for by their history alone. An article that nobody chose has a vector
    from content alone, if the model reads content. Where no customer has two interactions, ``fit`` warns, and the model
    ranks nothing and serves nobody.

    Attributes:
        epochs: what each epoch of the last fit gave; not part of the bundle.
    """

    def __init__(self, config: SequenceConfigT | None = None, device: str = "cpu") -> None:
        super().__init__(config, device)
        self.epochs: list[Epoch] = []

    @abstractmethod
    def _layers(self, factors: int) -> nn.Module:
        """The layers of the encoder, yet to be trained: [b, length, factors] → the same, causal."""

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

    def _fit(self, train: Interactions, catalogue: Catalogue | None, customers: Any) -> dict[str, Array]:
        factors = self._factors(len(np.unique(train.articles)))
        histories = Histories.of(train)
        with own_random_state(self.torch_device, self.config.seed):
            network = self._network(factors, self._content(catalogue), self._styles(catalogue)).to(self.torch_device)
            self._train(network, histories)
        vectors = network.articles.article_vectors(len(self.article_ids)).cpu().numpy()
        vectors[~self.ranked] = 0
        content = network.articles.content
        parts = {"encoder": network.encoder} | ({} if content is None else {"content": content})
        self.weights = {"articles": vectors} | style_weights(network.articles)
        self.weights |= {
            f"{name}.{key}": value.cpu().numpy()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        return self._profile(train)

    @abstractmethod
    def _factors(self, articles: int) -> int:
        """The length of vectors, where so many articles are interacted with."""

    def _network(self, factors: int, content: Content | None, styles: Tensor | None) -> SequenceNetwork:
        config = self.config
        random = torch.Generator().manual_seed(config.seed)
        rate = None if config.mode == "content" else config.embedding_learning_rate
        articles = ArticleNetwork(
            len(self.article_ids), factors, content, config.hidden, config.content_dropout, rate, random, styles
        )
        return SequenceNetwork(articles, self._encoder(factors))

    def _encoder(self, factors: int) -> HistoryEncoder:
        config = self.config
        return HistoryEncoder(
            self._layers(factors), factors, config.dropout, reads_kinds=config.reads_kinds, reads_gaps=config.reads_gaps
        )

    def _train(self, network: SequenceNetwork, histories: Histories) -> None:
        examples = Examples.of(histories, self.config)
        if not len(examples.windows.starts):
            warnings.warn(
                f"{self.name} has no examples: nobody has two interactions. It ranks nothing and serves nobody; train "
                "on more days",
                stacklevel=5,
            )
            self.ranked[:] = False
            return
        pool = Pool.of(histories, len(self.article_ids))
        trainer = Trainer(network, self.config, pool, len(self.article_ids), self.torch_device)
        made_from = ""
        if self.training_state is not None:
            features = network.articles.features
            content = () if features is None else features.tensors()
            read = histories.starts, histories.articles, histories.kinds, histories.gaps
            styles = () if network.articles.styles is None else (network.articles.styles,)
            made_from = fingerprint(self.config.model_dump_json(), *read, *content, *styles)
        self.epochs = train(self.name, trainer, examples, self.config, self.training_state, made_from, self.watch)

    # Vectors

    def _profile(self, history: Interactions) -> dict[str, Array]:
        """The last interactions of each customer."""
        last = Histories.of(history).last(self.config.history)
        return {
            "history.starts": last.starts,
            "history.codes": last.articles,
            "history.kinds": last.kinds,
            "history.gaps": last.gaps,
        }

    def _trained_encoder(self) -> HistoryEncoder:
        """The encoder of the weights, in evaluation mode, on the device."""
        with own_random_state(self.torch_device, 0):  # of first weights, which are replaced
            encoder = self._encoder(self.weights["articles"].shape[1])
        encoder.load_state_dict({name: torch.tensor(value) for name, value in under(self.weights, "encoder.").items()})
        return encoder.eval().to(self.torch_device)

    def customer_vectors(self, profiles: dict[str, Array], rows: Indices) -> Scores:
        """The vectors x_u of rows of the profiles, float32 [n, factors]; zero for a customer without history."""
        return self._encoded(histories_of(profiles).take(rows))

    @torch.inference_mode()
    def _encoded(self, histories: Histories) -> Scores:
        articles = torch.from_numpy(self.weights["articles"]).to(self.torch_device)
        encoder = self._trained_encoder()
        lengths = np.diff(histories.starts)
        vectors = np.zeros((len(lengths), articles.shape[1]), dtype=np.float32)
        some = np.flatnonzero(lengths)
        windows = Windows(histories.starts[some], lengths[some])
        for places in batches(windows, CELLS, np.random.default_rng(0)):
            padded = histories.rows(windows.of(places))
            states = encoder(inputs_of(padded, articles, padded.articles.astype(np.int64)))
            ends = torch.from_numpy(windows.lengths[places] - 1).to(self.torch_device)
            last = states[torch.arange(len(places), device=self.torch_device), ends]
            vectors[some[places]] = last.cpu().numpy()
        return vectors

    # Reasons

    def _history_reasons(self, profiles: dict[str, Array], rows: Indices, codes: Codes, k: int) -> Ranked:
        customers, owners = np.unique(rows, return_inverse=True)
        histories = histories_of(profiles).take(customers)
        return from_history(self._encoded, histories, owners, self.weights["articles"][codes], k)


def histories_of(profiles: dict[str, Array]) -> Histories:
    """The histories that profiles hold."""
    return Histories(*(profiles[f"history.{name}"] for name in ("starts", "codes", "kinds", "gaps")))
