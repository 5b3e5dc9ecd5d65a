"""The network of a sequence model: vectors of articles, and an encoder that makes a customer's vector of their history.

What belongs here: how an interaction becomes an input, shapes. What does not: encoders (:mod:`atelier.nn.attention`,
:mod:`atelier.nn.recurrent`), training, identifiers.
"""

from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.devices import copied
from atelier.kinds import KINDS
from atelier.nn.article_network import ArticleNetwork
from atelier.nn.customer_network import CustomerVectors
from atelier.nn.layers import FastDropout, JoinedLayers
from atelier.recommenders.training_data.sequences import GAPS, PaddedRows


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
    ) -> None:
        super().__init__()
        self.layers, self.head = layers, head
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
        return states if self.head is None else cast(Tensor, self.head(states, given.customers))


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
