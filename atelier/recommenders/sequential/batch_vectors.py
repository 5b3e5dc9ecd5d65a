"""The vectors that a training batch needs, read from embeddings and content once for each article and customer.

What belongs here: which rows of embeddings a batch reads, and moving them. What does not: losses, steps
(:mod:`~atelier.recommenders.sequential.training`), networks (:mod:`~atelier.recommenders.sequential.network`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from atelier.arrays import distinct_values
from atelier.devices import copied
from atelier.ids import Codes
from atelier.nn.article_network import ArticleNetwork
from atelier.nn.embeddings import RowEmbedding
from atelier.recommenders.sequential.network import SequenceNetwork
from atelier.recommenders.training_data.sequences import PaddedRows
from atelier.search.ragged import Indices


class ArticlesInUse:
    """The distinct articles that a batch reads, and their embeddings.

    Args:
        network: whose vectors they have.
        read: numbers of articles, in any order.
        own: those of them whose vectors this replica needs, where it computes a share of the batch only; None: all.

    Attributes:
        distinct: int64 [n], ascending: those whose vectors are needed.
        embedded: the embeddings of all that are read; None where there are none.
    """

    def __init__(
        self, network: ArticleNetwork, read: Sequence[npt.NDArray[Any]], own: Sequence[npt.NDArray[Any]] | None = None
    ) -> None:
        every = _distinct(read)
        self.distinct = every if own is None else _distinct(own)
        self._network, self.embedded = network, network.embedded(torch.from_numpy(every))
        self._rows = None if own is None else torch.from_numpy(np.searchsorted(every, self.distinct))

    def places(self, articles: npt.NDArray[Any]) -> Indices:
        """The place of each article among the distinct ones."""
        return np.searchsorted(self.distinct, articles)

    def vectors(self) -> Tensor:
        """The sum of embeddings and content, [n, factors]."""
        content = self._network.content_part(torch.from_numpy(self.distinct))
        embeddings = None if self.embedded is None else self.embedded.vectors
        if embeddings is not None and self._rows is not None:
            embeddings = embeddings[copied(self._rows, embeddings.device)]
        parts = [part for part in (embeddings, content) if part is not None]
        return sum(parts[1:], parts[0])


class BatchVectors:
    """The vectors that a batch needs of articles and customers.

    Args:
        network: whose vectors they are.
        rows: the windows of the batch.
        others: int32 [n], the articles that are held against the targets.
        device: where the network lies.
        share: the windows that this replica computes; None: all.

    Attributes:
        inputs: the articles that the encoder reads.
        outputs: the articles that are ranked; with a tied output the same.
        leaves: all embeddings that they and the customers have, each with its rows, those of the whole batch, and the
            leaf that gathers their gradient.
    """

    def __init__(
        self,
        network: SequenceNetwork,
        rows: PaddedRows,
        others: Codes,
        device: torch.device,
        share: PaddedRows | None = None,
    ) -> None:
        def in_use(articles: ArticleNetwork, *beside: Codes) -> ArticlesInUse:
            own = None if share is None else [share.articles, *beside]
            return ArticlesInUse(articles, [rows.articles, *beside], own)

        self.inputs = in_use(network.articles, *([others] if network.outputs is None else []))
        self.outputs = self.inputs if network.outputs is None else in_use(network.outputs, others)
        self.leaves: list[tuple[RowEmbedding, Tensor, Tensor]] = []
        for part in {id(each): each for each in (self.inputs, self.outputs)}.values():
            self.leaves += () if part.embedded is None else part.embedded.leaves
        self._owners = torch.from_numpy((rows if share is None else share).owners)
        self._customers, self._device = network.customers, device
        self._known = self._leaf = None
        if network.customers is not None and network.customers.embedding is not None:
            self._known = torch.unique(torch.from_numpy(rows.owners))
            embedded = copied(self._known, device)
            self._leaf = network.customers.embedding.leaf(embedded)
            self.leaves.append((network.customers.embedding, embedded, self._leaf))

    def customers(self) -> Tensor | None:
        """Of the customer of each window that is computed, [b, customer's factors]; None where they have no vectors."""
        if self._customers is None:
            return None
        if self._leaf is None or self._known is None:
            return self._customers.of_attributes(copied(self._owners, self._device))
        return functional.embedding(copied(torch.searchsorted(self._known, self._owners), self._device), self._leaf)

    def step(self, scale: float) -> None:
        """Move all embeddings by the gradients that their leaves gathered, in steps of this scale."""
        for embedding, rows, leaf in self.leaves:
            embedding.step(rows, leaf, scale)


def _distinct(read: Sequence[npt.NDArray[Any]]) -> Indices:
    return distinct_values(np.concatenate([np.ravel(each) for each in read])).astype(np.int64)
