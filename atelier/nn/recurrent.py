"""Recurrent layers over sequences: each place reads itself and what lies before it.

What belongs here: the recurrent stack, on vectors. What does not: what the vectors stand for
(:mod:`atelier.recommenders.sequential`), losses.
"""

from collections.abc import Callable
from typing import Literal, cast

from torch import Tensor, nn

from atelier.nn.layers import FastDropout

RecurrentCell = Literal["rnn", "lstm", "gru"]
LAYERS: dict[RecurrentCell, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """Recurrent layers whose state starts at zero with each sequence: [b, length, width] → [b, length, outputs].

    One pass gives the state after every prefix, the same as a pass for each prefix alone.

    Args:
        cell: of the layers. PyTorch's, whose gates have two biases.
        width: of the vectors that come in.
        hidden: units of each layer.
        layers: how many.
        dropout: share dropped between layers and before the last map, in training.
        outputs: width of what comes out; None: the last layer's states.
    """

    def __init__(
        self, cell: RecurrentCell, width: int, hidden: int, layers: int, dropout: float, outputs: int | None = None
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.layers = LAYERS[cell](width, hidden, num_layers=layers, batch_first=True, dropout=between)
        self.dropout = FastDropout(dropout)
        self.output = None if outputs is None else nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        states, _ = self.layers(x)
        return cast(Tensor, states if self.output is None else self.output(self.dropout(states)))
