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
from atelier.nn.customer_network import CustomerVectors
from atelier.nn.layers import FastDropout, JoinedLayers
from atelier.recommenders.training_data.sequences import GAPS, PaddedRows


FIRST_WEIGHT = 5.0
"""What λ starts from."""
FIRST_DECAY = 0.7
"""What w falls by at first."""


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

    return Inputs(vectors[there(places)], there(rows.kinds), there(rows.gaps), customers)


class Resemblance(nn.Module):
    """How much an article resembles the last interactions, as a part of the score: λ Σ_k w_k cos(y_{u,k}, y_i).

    An encoder says badly that people choose again what they have, and other colours of it, which every article's own
    direction says. w falls by a learned factor from one interaction to the one before, and sums to 1; λ is learned. As
    both sides are vectors, the score stays a product of two vectors: customers' are joined with λ Σ_k w_k y_{u,k} /
    |y_{u,k}|, articles' with y_i / |y_i|.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.tensor(FIRST_WEIGHT).log())
        self.decay = nn.Parameter(torch.logit(torch.tensor(FIRST_DECAY)))

    def customers(self, states: Tensor, vectors: Tensor) -> Tensor:
        """Customers' vectors, [b, length, 2 factors], of states and of the articles of their interactions.

        Args:
            states: [b, length, factors].
            vectors: [b, length, factors].
        """
        places = torch.arange(vectors.shape[1], device=vectors.device)
        ages = places[:, None] - places[None, :]  # how many interactions ago, below 0: yet to come
        shares = torch.where(ages >= 0, torch.sigmoid(self.decay) ** ages.clamp(min=0), 0.0)
        shares = shares / shares.sum(1, keepdim=True)
        recent = shares @ functional.normalize(vectors, dim=-1)
        return torch.cat((states, self.log_weight.exp() * recent), dim=-1)

    @staticmethod
    def articles(vectors: Tensor) -> Tensor:
        """Articles' vectors by which they are ranked, [n, 2 factors], of those that are read, [n, factors]."""
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
        resemblance: bool = False,
    ) -> None:
        super().__init__()
        self.layers, self.head = layers, head
        self.resemblance = Resemblance() if resemblance else None
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
        return states if self.resemblance is None else self.resemblance.customers(states, given.vectors)

    def ranked(self, vectors: Tensor) -> Tensor:
        """The vectors by which articles are ranked, of those that the network has of them."""
        return vectors if self.resemblance is None else self.resemblance.articles(vectors)


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
