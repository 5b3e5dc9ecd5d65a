"""The vectors of articles, learned: embeddings of each and of its style, a network over content, or the sum of both.

What belongs here: article numbers in, article vectors out. What does not: what customers are made of, losses, sampling
(the models), keeping features in memory (:mod:`atelier.nn.content_features`).

Source of the sum: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation: Learning Attributes
from Unstructured Data to Recommend Fashion Products" (KDD 2018), the section on the hybrid recommender.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.devices import copied
from atelier.nn.content_features import CHUNK, Content, SparseRows
from atelier.nn.embeddings import EMBEDDING_LENGTH, RowEmbedding, Rule
from atelier.nn.layers import unset_linear


class ContentNetwork(nn.Module):
    """Features → hidden layers with ReLU → vectors: [n, dim] → [n, factors]."""

    def __init__(
        self, dim: int, hidden: tuple[int, ...], factors: int, dropout: float, random: torch.Generator
    ) -> None:
        super().__init__()
        widths = [dim, *hidden, factors]
        self.dropout = dropout
        self.first = nn.Parameter(torch.empty(dim, widths[1]))  # transposed, as embedding_bag reads it
        self.first_bias = nn.Parameter(torch.zeros(widths[1]))
        self.layers = nn.ModuleList(unset_linear(inputs, outputs) for inputs, outputs in pairwise(widths[1:]))
        # Features have unit length, so that unit weights keep it; the last layer starts as short as embeddings are.
        nn.init.normal_(self.first, std=1.0 if hidden else EMBEDDING_LENGTH / factors**0.5, generator=random)
        for place, layer in enumerate(self.layers):
            last = place == len(self.layers) - 1
            scale = EMBEDDING_LENGTH * (2 / factors) ** 0.5 if last else 2**0.5
            nn.init.normal_(cast(nn.Linear, layer).weight, std=scale / widths[place + 1] ** 0.5, generator=random)
            nn.init.zeros_(cast(nn.Linear, layer).bias)

    def forward(self, features: SparseRows | Tensor) -> Tensor:
        """Apply the network to rows of features."""
        if isinstance(features, Tensor):
            x = features @ self.first + self.first_bias
        else:
            summed = functional.embedding_bag(
                features.columns,
                self.first,
                features.starts.to(features.columns.dtype),
                mode="sum",
                per_sample_weights=features.values,
                include_last_offset=True,
            )
            x = summed + self.first_bias
        for layer in self.layers:
            x = layer(functional.dropout(functional.relu(x), self.dropout, self.training))
        return x


@dataclass(frozen=True)
class EmbeddedArticles:
    """The embeddings of some distinct articles, read for one step.

    Attributes:
        vectors: float32 [n, factors].
        leaves: the embeddings that they are sums of: each with its rows and the leaf that gathers their gradient.
    """

    vectors: Tensor
    leaves: tuple[tuple[RowEmbedding, Tensor, Tensor], ...]

    def step(self) -> None:
        """Move the rows by the gradient that their leaves gathered."""
        for embedding, rows, leaf in self.leaves:
            embedding.step(rows, leaf)


class ArticleNetwork(nn.Module):
    """Vectors of articles.

    Args:
        n_articles: how many articles numbers run over.
        factors: length of a vector.
        content: the articles' features; None: embeddings only.
        hidden: widths of the content network's hidden layers.
        dropout: share of its hidden units dropped in training.
        embedding_rate: the rule's step for the embeddings; None: there are none.
        random: for the first weights.
        styles: int64 [n_articles], in main memory: the style of each article, numbered from 0. Articles of one style
            share a second embedding, so that an article learns from its other colours. None: there is none.
        rule: by which embeddings are moved.
        first: float32 [n_articles, factors], what embeddings start from; a row of zeros, and None, start at random.

    Attributes:
        features: the articles' features, or None.
        embedding: the embeddings, or None.
        styles: the style of each article, or None.
        style_embedding: the embeddings of styles, or None.
        content: the content network, or None.
    """

    def __init__(
        self,
        n_articles: int,
        factors: int,
        content: Content | None,
        hidden: tuple[int, ...],
        dropout: float,
        embedding_rate: float | None,
        random: torch.Generator,
        styles: Tensor | None = None,
        rule: Rule = "adagrad",
        first: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.features, self.styles = content, None if embedding_rate is None else styles
        self.embedding = None
        if embedding_rate is not None:
            self.embedding = RowEmbedding(n_articles, factors, embedding_rate, random, rule, first)
        self.content = None if content is None else ContentNetwork(content.dim, hidden, factors, dropout, random)
        self.style_embedding = None
        if embedding_rate is not None and styles is not None:
            self.style_embedding = RowEmbedding(int(styles.max()) + 1, factors, embedding_rate, random, rule)

    def embedded(self, articles: Tensor) -> EmbeddedArticles | None:
        """The embeddings of articles, with those of their styles; None without embeddings.

        Args:
            articles: int64 [n], distinct, in main memory.
        """
        if self.embedding is None:
            return None
        device = self.embedding.weight.device
        rows = copied(articles, device)
        leaf = self.embedding.leaf(rows)
        own = (self.embedding, rows, leaf)
        if self.style_embedding is None or self.styles is None:
            return EmbeddedArticles(leaf, (own,))
        styles, places = torch.unique(self.styles[articles], return_inverse=True)
        style_rows = copied(styles, device)
        style_leaf = self.style_embedding.leaf(style_rows)
        vectors = leaf + functional.embedding(copied(places, device), style_leaf)
        return EmbeddedArticles(vectors, (own, (self.style_embedding, style_rows, style_leaf)))

    def learned_styles(self) -> Tensor | None:
        """The embeddings of styles, float32 [styles, factors], zero for one that was never trained; None without."""
        return None if self.style_embedding is None else self.style_embedding.learned()

    def content_part(self, articles: Tensor) -> Tensor | None:
        """The content network's vectors, [n, factors]: zero for articles without content; None without a network.

        Args:
            articles: int64 [n], in main memory.
        """
        if self.content is None or self.features is None:
            return None
        present = self.features.present[articles]
        if present.all():
            return cast(Tensor, self.content(self.features.of(articles)))
        found = cast(Tensor, self.content(self.features.of(articles[present])))
        places = copied(present.nonzero()[:, 0], found.device)
        return found.new_zeros(len(articles), found.shape[1]).index_put((places,), found)

    @torch.no_grad()
    def article_vectors(self, n_articles: int) -> Tensor:
        """The vectors of all articles, float32 [n_articles, factors]."""
        self.eval()
        parts = [self.content_part(articles) for articles in torch.split(torch.arange(n_articles), CHUNK)]
        content = torch.cat([part for part in parts if part is not None]) if self.content is not None else None
        if self.embedding is None:
            return cast(Tensor, content)
        embedding, styles = self.embedding.learned(), self.learned_styles()
        if styles is not None and self.styles is not None:
            embedding += styles[copied(self.styles, styles.device)]
        return embedding if content is None else embedding.add_(content)
