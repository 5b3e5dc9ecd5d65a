"""``sequencer``: recurrent layers, or attention, over a customer's last interactions.

What belongs here: the encoder that the config describes. What does not: what sequence models share
(:mod:`atelier.recommenders.sequential.model`), the layers (:mod:`atelier.nn.recurrent`, :mod:`atelier.nn.attention`).
"""

from torch import nn

from atelier.nn.attention import BehaviourEncoder
from atelier.nn.layers import JoinedLayers
from atelier.nn.recurrent import AttentiveDecoder, Recurrent
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.sequencer_config import DECLARATION, SequencerConfig


class Sequencer(SequenceRecommender[SequencerConfig]):
    """Every interaction is predicted from the state after those before it, all of a history in one pass.

    The state is joined with the customer's own vector, where there is one. With a tied output what comes of it has the
    length of an article's vector, with an untied one twice that (the cell ``transformer``: that).

    Source: B. Hidasi and A. Karatzoglou, Recurrent Neural Networks with Top-k Gains for Session-based Recommendations,
    CIKM 2018: one embedding in and out, sampled negatives by a power of popularity, dropout on the embeddings, a state
    that starts at zero with each history. PyTorch's cells are used, whose gates have two biases.
    """

    declaration = DECLARATION

    def _factors(self, articles: int) -> int:
        return self.config.factors_of(articles)

    def _units(self, factors: int) -> int:
        """The length of a state."""
        return factors if self.config.cell == "transformer" else self.config.units or 2 * factors

    def _output_factors(self, factors: int) -> int | None:
        if self.config.output == "tied":
            return None
        return factors if self.config.cell == "transformer" else 2 * factors

    def _layers(self, factors: int) -> nn.Module:
        config, units = self.config, self._units(factors)
        if config.cell == "transformer":
            hidden = config.feed_forward or 8 * factors
            return BehaviourEncoder(factors, config.history, config.layers, config.heads, hidden, config.dropout)
        if config.cell == "attention":
            return AttentiveDecoder(factors, units, config.layers, config.dropout)
        return Recurrent(config.cell, factors, units, config.layers, config.dropout)

    def _head(self, factors: int) -> JoinedLayers:
        config = self.config
        rectified = config.cell == "transformer"
        widths = [4 * factors, 2 * factors, factors] if rectified else [self._output_factors(factors) or factors]
        extra = config.customer_factors or 0
        return JoinedLayers(self._units(factors), extra, widths, config.dropout, rectified=rectified)

    def _customer_sizes(self) -> tuple[int, int] | None:
        length = self.config.customer_factors
        return None if length is None else (length, self.config.customer_hidden)
