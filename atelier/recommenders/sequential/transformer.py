"""``transformer``: causal self-attention over a customer's last interactions.

What belongs here: the encoder that the config describes. What does not: what sequence models share
(:mod:`atelier.recommenders.sequential.model`).
"""

from torch import nn

from atelier.nn.attention import CausalTransformer
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.transformer_config import DECLARATION, TransformerConfig


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
