"""The network of a sequence model: vectors of articles, and an encoder that makes a customer's vector of their history.

What belongs here: how an interaction becomes an input, shapes. What does not: encoders (:mod:`atelier.nn.attention`,
:mod:`atelier.nn.recurrent`), training, identifiers.
"""

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.devices import copied
from atelier.kinds import KINDS
from atelier.nn.article_network import ArticleNetwork
from atelier.nn.attention import CausalTransformer
from atelier.nn.customer_network import CustomerVectors
from atelier.nn.layers import FastDropout, JoinedLayers
from atelier.recommenders.training_data.sequences import GAPS, PaddedRows

WEIGHT_STEPS = 10.0
"""How many times as fast as other weights λ moves."""
FIRST_DECAY = 0.7
"""γ of :class:`RecentSimilarity` before training."""


class Inputs(NamedTuple):
    """b sequences of interactions, filled up behind.

    Attributes:
        vectors: float32 [b, length, factors]: of the articles; anything where nothing is there.
        kinds: int64 [b, length].
        gaps: int64 [b, length].
        customers: float32 [b, customer's factors]: of the customers; None where the model has none.
    """

    vectors: Tensor
    kinds: Tensor
    gaps: Tensor
    customers: Tensor | None = None


def inputs_of(
    rows: PaddedRows, vectors: Tensor, places: npt.NDArray[np.int64], customers: Tensor | None = None
) -> Inputs:
    """The inputs of windows.

    Args:
        rows: b windows.
        vectors: float32 [n, factors].
        places: int64 [b, length]: the vector of each interaction.
        customers: float32 [b, customer's factors], or None.
    """
    device = vectors.device

    def there(array: npt.NDArray[np.integer]) -> Tensor:
        return copied(torch.from_numpy(array.astype(np.int64)), device)

    return Inputs(functional.embedding(there(places), vectors), there(rows.kinds), there(rows.gaps), customers)


class RecentSimilarity(nn.Module):
    """A part of the score: how similar an article is to those of the last interactions, λ Σ_k w_k cos(y_k, y_i).

    An encoder learns slowly that people choose again what they have, or another colour of it; cosines know it from the
    first step. w_k is γ to the power of how many interactions ago k was, divided so that all w sum to 1. λ and γ are
    learned; λ becomes negative where people avoid what they have. The score stays one inner product: a
    customer's vector is x_u joined with λ Σ_k w_k y_k / |y_k|, an article's is y_i joined with y_i / |y_i|.

    Args:
        first_weight: λ before training.

    Source: item-based models, which score by similarities to a history (Kabbur, Ning, Karypis, FISM: Factored Item
    Similarity Models, KDD 2013, equation 3), here with cosines and with weights that fall.
    """

    def __init__(self, first_weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([first_weight / WEIGHT_STEPS]))
        self.decay = nn.Parameter(torch.logit(torch.tensor([FIRST_DECAY])))

    def customers(self, states: Tensor, vectors: Tensor) -> Tensor:
        """Customers' vectors after each interaction, [b, length, 2 factors].

        Args:
            states: float [b, length, factors], x_u.
            vectors: float [b, length, factors], y_k of the interactions.
        """
        places = torch.arange(vectors.shape[1], device=vectors.device)
        recent = self._weights(places[:, None] - places[None, :]) @ functional.normalize(vectors, dim=-1)
        return torch.cat((states, WEIGHT_STEPS * self.weight * recent), dim=-1)

    def customers_at(self, states: Tensor, vectors: Tensor, places: Tensor) -> Tensor:
        """Customers' vectors after one interaction each, [b, 2 factors].

        Args:
            states: float [b, factors], x_u.
            vectors: float [b, length, factors], y_k of the interactions.
            places: int64 [b], after which.
        """
        weights = self._weights(places[:, None] - torch.arange(vectors.shape[1], device=vectors.device))
        recent = (weights[:, None] @ functional.normalize(vectors, dim=-1))[:, 0]
        return torch.cat((states, WEIGHT_STEPS * self.weight * recent), dim=-1)

    def _weights(self, ages: Tensor) -> Tensor:
        """W of interactions so many interactions ago, [n, length]; 0 for those yet to come, whose age is below 0."""
        weights = torch.where(ages >= 0, torch.sigmoid(self.decay) ** ages.clamp(min=0), 0.0)
        return weights / weights.sum(1, keepdim=True)


def with_directions(vectors: Tensor) -> Tensor:
    """Articles' vectors joined with themselves at unit length, [n, 2 factors]; zero where they are zero."""
    return torch.cat((vectors, functional.normalize(vectors, dim=-1)), dim=-1)


class HistoryEncoder(nn.Module):
    """Inputs → the customer's vector after each interaction, [b, length, outputs], from that and earlier ones.

    Args:
        layers: [b, length, factors] → states [b, length, …], no place seeing a later one.
        factors: length of the articles' vectors that come in.
        dropout: share of the inputs' units dropped in training.
        reads_kinds: whether an embedding of the interaction's kind is added.
        reads_gaps: whether an embedding of the time since the interaction before is added.
        head: makes the vectors of the states and the customer's own vector; None: the states are the vectors.
        similarity: the part of the score that the vectors are joined for; None: there is none.
    """

    def __init__(
        self,
        layers: nn.Module,
        factors: int,
        dropout: float,
        *,
        reads_kinds: bool,
        reads_gaps: bool,
        head: JoinedLayers | None = None,
        similarity: RecentSimilarity | None = None,
    ) -> None:
        super().__init__()
        self.layers, self.head = layers, head
        self.similarity = similarity
        self.kinds = _short_embedding(len(KINDS) + 1, factors) if reads_kinds else None
        self.gaps = _short_embedding(GAPS, factors) if reads_gaps else None
        self.norm, self.dropout = nn.LayerNorm(factors), FastDropout(dropout)

    def inputs(self, given: Inputs) -> Tensor:
        """What the layers read: the sum of an interaction's vectors, normalised."""
        x = self.norm(given.vectors)
        if self.kinds is not None:
            x = x + self.kinds(given.kinds)
        if self.gaps is not None:
            x = x + self.gaps(given.gaps)
        return cast(Tensor, self.dropout(x))

    def forward(self, given: Inputs) -> Tensor:
        """Encode."""
        states = cast(Tensor, self.layers(self.inputs(given)))
        states = states if self.head is None else cast(Tensor, self.head(states, given.customers))
        return states if self.similarity is None else self.similarity.customers(states, given.vectors)

    def at(self, given: Inputs, places: Tensor) -> Tensor:
        """The customer's vector after one interaction of each sequence (int64 [b]), [b, outputs].

        It is what :meth:`forward` has at that place but for the last bits, and costs less.
        """
        x = self.inputs(given)
        if isinstance(self.layers, CausalTransformer):
            states = self.layers.at(x, places)
        else:
            states = cast(Tensor, self.layers(x))[torch.arange(len(x), device=x.device), places]
        if self.head is not None:
            states = cast(Tensor, self.head(states[:, None], given.customers))[:, 0]
        return states if self.similarity is None else self.similarity.customers_at(states, given.vectors, places)

    def ranked(self, vectors: Tensor) -> Tensor:
        """The vectors whose inner products with customers' are the scores, of articles' own vectors [n, factors]."""
        return vectors if self.similarity is None else with_directions(vectors)


class SequenceNetwork(nn.Module):
    """What is trained together.

    Args:
        articles: the vectors that the encoder reads.
        encoder: of histories.
        outputs: the vectors by which articles are ranked; None: those that the encoder reads (a tied output).
        customers: their own vectors; None: there are none.
    """

    def __init__(
        self,
        articles: ArticleNetwork,
        encoder: HistoryEncoder,
        outputs: ArticleNetwork | None = None,
        customers: CustomerVectors | None = None,
    ) -> None:
        super().__init__()
        self.articles, self.encoder, self.outputs, self.customers = articles, encoder, outputs, customers

    @property
    def ranking(self) -> ArticleNetwork:
        """The vectors by which articles are ranked."""
        return self.articles if self.outputs is None else self.outputs


def _short_embedding(rows: int, factors: int) -> nn.Embedding:
    """Short vectors, so that at first only articles count."""
    embedding = nn.Embedding(rows, factors)
    nn.init.normal_(embedding.weight, std=0.02)
    return embedding
