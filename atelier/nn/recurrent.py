"""Recurrent layers over sequences: each place reads itself and what lies before it.

What belongs here: recurrent stacks, on vectors. What does not: what the vectors stand for
(:mod:`atelier.recommenders.sequential`), what is made of the states, losses.
"""

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from atelier.nn.attention import CausalSelfAttention
from atelier.nn.layers import FastDropout

RecurrentCell = Literal["rnn", "lstm", "gru"]
LAYERS: dict[RecurrentCell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Recurrent layers whose state starts at zero with each sequence: [b, length, width] → [b, length, hidden].

    One pass gives the state after every prefix, the same as a pass for each prefix alone.

    Args:
        cell: of the layers. PyTorch's, whose gates have two biases.
        width: of the vectors that come in.
        hidden: units of each layer.
        layers: how many.
        dropout: share dropped between layers, in training.
    """

    def __init__(self, cell: RecurrentCell, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.layers = LAYERS[cell](width, hidden, num_layers=layers, batch_first=True, dropout=between)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        states, _ = self.layers(x)
        return cast(Tensor, states)


class AttentiveDecoder(nn.Module):
    """An LSTM encodes, attention reads its states, an LSTM decodes: [b, length, width] → [b, length, hidden].

    At each place the encoder's state asks all states of the encoder so far, by scaled products (one head), and what it
    finds is joined with the place's own input and handed to the decoder. Neither asks for the decoder's state, and no
    place sees a later one: one pass gives the state after every prefix, the same as a pass for each prefix alone.

    Source: D. Bahdanau, K. Cho and Y. Bengio, Neural Machine Translation by Jointly Learning to Align and Translate,
    ICLR 2015, section 3, with the encoder's newest state as the query in place of the decoder's last one (which would
    need a step of its own for each place), and products in place of a small network (A. Vaswani and others, Attention
    Is All You Need, NeurIPS 2017, section 3.2.1).

    Args:
        width: of the vectors that come in.
        hidden: units of the encoder's layer and of each of the decoder's.
        layers: of the decoder.
        dropout: share of what the decoder's layers read dropped in training.
    """

    def __init__(self, width: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Recurrent("lstm", width, hidden, 1, 0.0)
        self.attention = CausalSelfAttention(hidden, 1)
        self.decoder = Recurrent("lstm", hidden + width, hidden, layers, dropout)
        self.dropout = FastDropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Encode, attend and decode."""
        found = self.attention(self.encoder(x))
        return cast(Tensor, self.decoder(torch.cat((self.dropout(found), x), dim=2)))
