"""The networks of ``hybrid``: vectors of articles, and what is known of customers beside their history.

What belongs here: layers and shapes. What does not: vectors of articles (:mod:`atelier.nn.article_network`), sampling,
the training loop, identifiers.

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation: Learning Attributes from
Unstructured Data to Recommend Fashion Products" (KDD 2018), the section on the hybrid recommender.
"""

import torch
from torch import Tensor

from atelier.nn.article_network import ArticleNetwork
from atelier.nn.content_features import Content
from atelier.nn.customer_network import CustomerNetwork
from atelier.recommenders.factorisation.hybrid_config import HybridConfig


class Factorisation(ArticleNetwork):
    """Vectors of articles, and what is known of customers beside their history.

    Args:
        config: sizes, ``factors`` too, and mode.
        n_articles: how many articles numbers run over.
        content: their features; None: embeddings only.
        attributes: how many positions the attributes of customers have; 0: none.
        random: for the first weights.
        styles: int64 [n_articles], in main memory: the style of each article; None: styles are not read.

    Attributes:
        customer: the customer network, or None.
    """

    def __init__(
        self,
        config: HybridConfig,
        n_articles: int,
        content: Content | None,
        attributes: int,
        random: torch.Generator,
        styles: Tensor | None = None,
    ) -> None:
        if config.factors is None:
            raise ValueError("the config leaves the length of vectors open: HybridConfig.sized chooses it")
        rate = None if config.mode == "content" else config.embedding_learning_rate
        super().__init__(n_articles, config.factors, content, config.hidden, config.dropout, rate, random, styles)
        self.customer = (
            CustomerNetwork(attributes, config.customer_hidden, config.factors, random) if attributes else None
        )
