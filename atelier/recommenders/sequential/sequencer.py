"""``sequencer``: recurrent layers over a customer's last interactions.

What belongs here: the encoder that the config describes. What does not: what sequence models share
(:mod:`atelier.recommenders.sequential.model`).
"""

from torch import nn

from atelier.nn.recurrent import Recurrent
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.sequencer_config import DECLARATION, SequencerConfig


class Sequencer(SequenceRecommender[SequencerConfig]):
    """Every interaction is predicted from the state after those before it, all of a history in one pass.

    Source: B. Hidasi and A. Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based Recommendations,
    CIKM 2018: one embedding in and out, sampled negatives by a power of popularity, dropout on the embeddings, a state
    that starts at zero with each history. PyTorch's cells are used, whose gates have two biases.
    """

    declaration = DECLARATION

    def _factors(self, articles: int) -> int:
        return self.config.factors_of(articles)

    def _layers(self, factors: int) -> nn.Module:
        config = self.config
        units = config.units or 2 * factors
        return Recurrent(config.cell, factors, units, config.layers, config.dropout, factors)
