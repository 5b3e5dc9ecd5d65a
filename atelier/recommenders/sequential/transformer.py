"""``transformer``: causal self-attention over a customer's last interactions.

What belongs here: the encoder that the config describes, and what it attends to. What does not: what sequence models
share (:mod:`atelier.recommenders.sequential.model`).
"""

from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import nn

from atelier.nn.attention import CausalTransformer
from atelier.recommenders.sequential.model import CELLS, SequenceRecommender, histories_of
from atelier.recommenders.sequential.network import inputs_of
from atelier.recommenders.sequential.transformer_config import DECLARATION, TransformerConfig
from atelier.recommenders.training_data.sequences import Histories, Windows, batches
from atelier.search.ragged import Scores


class Transformer(SequenceRecommender[TransformerConfig]):
    """Every interaction is predicted from those before it, all of a history in one pass.

    Source: W.-C. Kang and J. McAuley, Self-Attentive Sequential Recommendation, ICDM 2018, with a softmax over sampled
    negatives in place of binary cross entropy and blocks normalised before they compute, as D. Tikhonovich and others
    found best (eSASRec, RecSys 2025).
    """

    declaration = DECLARATION

    def _factors(self, articles: int) -> int:
        return self.config.factors_of(articles)

    def _layers(self, factors: int) -> nn.Module:
        config = self.config
        return CausalTransformer(
            factors,
            config.history,
            config.blocks,
            config.heads,
            config.feed_forward * factors,
            config.dropout,
            gated=config.gated,
        )

    @torch.inference_mode()
    def attention(self, customers: Any = None, histories: Any = None) -> pd.DataFrame:
        """What of each history the model looks at when it ranks for the customer.

        A share is the attention of the last interaction, to itself and those before it, mean over blocks and heads. It
        says where the encoder reads, not how much an article raised a score, which :meth:`explain` does.

        Args:
            customers: whom (texts, or a frame with ``customer_id``), in this order; None: all whom it can serve.
            histories: what they are ranked by, where it is not what was trained on.

        Returns:
            ``customer_id``, ``article_id`` (text), ``position`` (int32, from the last interaction, which is 1),
            ``share`` (float32, the sum over a customer is 1); of each customer the oldest first.

        Raises:
            UnknownIdentifier: a customer is unknown.
            NotFittedError: the model was not fitted.
        """
        self._check_fitted()
        known = self.customer_profiles if histories is None else self._new_profiles(histories, None)
        rows = self._places(known, customers)
        read = histories_of(known.profiles).take(rows)
        lengths = np.diff(read.starts)
        owners = np.repeat(np.arange(len(rows)), lengths)
        return pd.DataFrame(
            {
                "customer_id": known.ids.decode(known.rankable[rows][owners]),
                "article_id": self.article_ids.decode(read.articles),
                "position": (read.starts[1:][owners] - np.arange(len(owners))).astype(np.int32),
                "share": self._shares(read),
            }
        )

    def _shares(self, read: Histories) -> Scores:
        """The attention of the last interaction of each history to every one of it, float32 [interactions]."""
        articles = torch.from_numpy(self.weights["articles"]).to(self.torch_device)
        encoder = self._trained_encoder()
        stack, lengths = cast(CausalTransformer, encoder.layers), np.diff(read.starts)
        some = np.flatnonzero(lengths)
        windows, shares = Windows(read.starts[some], lengths[some]), np.zeros(len(read.articles), dtype=np.float32)
        for places in batches(windows, CELLS, np.random.default_rng(0)):
            chosen = windows.of(places)
            padded = read.rows(chosen)
            ends = torch.from_numpy(chosen.lengths - 1).to(self.torch_device)
            x = encoder.inputs(inputs_of(padded, articles, padded.articles.astype(np.int64)))
            cells = chosen.starts[:, None] + np.arange(padded.there.shape[1])
            shares[cells[padded.there]] = stack.weights(x, ends).cpu().numpy()[padded.there]
        return shares
