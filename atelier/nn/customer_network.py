"""The vectors of customers, learned: an embedding of each, or a network over what is known of them.

What belongs here: customer numbers or attributes in, vectors out. What does not: histories, which every model reads its
own way; which attributes there are (:mod:`atelier.recommenders.training_data.customer_features`).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.nn.embeddings import RowEmbedding
from atelier.nn.layers import unset_linear


class CustomerNetwork(nn.Module):
    """Attributes of customers → one hidden layer → what is added to the mean of their history: [n, c] → [n, factors].

    The last layer starts at zero: at first only the history counts.
    """

    def __init__(self, attributes: int, hidden: int, factors: int, random: torch.Generator) -> None:
        super().__init__()
        self.hidden, self.last = unset_linear(attributes, hidden), unset_linear(hidden, factors)
        nn.init.normal_(self.hidden.weight, std=(2 / max(attributes, 1)) ** 0.5, generator=random)
        for zero in (self.hidden.bias, self.last.weight, self.last.bias):
            nn.init.zeros_(zero)

    def forward(self, attributes: Tensor) -> Tensor:
        """Apply the network to float32 [n, attributes]."""
        return cast(Tensor, self.last(functional.relu(self.hidden(attributes))))


class CustomerVectors(nn.Module):
    """A vector of each customer who is trained on, and one for everybody else.

    Args:
        embedding: a row for each customer; None: the vector comes from attributes.
        network: makes the vector of attributes; None: there is an embedding.
        attributes: float32 [customers, positions], what the network reads.
    """

    def __init__(
        self, embedding: RowEmbedding | None, network: CustomerNetwork | None = None, attributes: Tensor | None = None
    ) -> None:
        super().__init__()
        if (embedding is None) == (network is None or attributes is None):
            raise ValueError("customers have vectors either by an embedding or by a network that reads attributes")
        self.attributes: Tensor | None
        self.embedding, self.network = embedding, network
        self.register_buffer("attributes", attributes, persistent=False)

    def of_attributes(self, customers: Tensor) -> Tensor:
        """The vectors that the network makes of customers' attributes: int64 [n] → [n, factors].

        Raises:
            ValueError: there is an embedding instead.
        """
        if self.network is None or self.attributes is None:
            raise ValueError("the vectors of these customers are an embedding's: nothing is made of attributes")
        return cast(Tensor, self.network(self.attributes[customers]))

    @torch.no_grad()
    def vectors(self) -> tuple[Tensor, Tensor]:
        """The vectors of all customers, float32 [customers, factors], and of one of whom nothing is known, [factors].

        With an embedding the latter is the mean of the customers whom training has moved, and those whom it never saw
        have it too. With attributes it is what the network makes of attributes that are all unknown.
        """
        if self.embedding is None:
            network, attributes = cast(CustomerNetwork, self.network), cast(Tensor, self.attributes)
            return network(attributes), network(attributes.new_zeros(attributes.shape[1]))
        moved, weight = self.embedding.moved(), self.embedding.weight
        unknown = weight[moved].mean(0) if moved.any() else torch.zeros_like(weight[:1].sum(0))
        return torch.where(moved[:, None], weight, unknown), unknown
