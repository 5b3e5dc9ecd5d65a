"""Causal self-attention over sequences: each place reads itself and what lies before it.

What belongs here: blocks and their stack, on vectors. What does not: what the vectors stand for, positions of customers
in histories (:mod:`atelier.recommenders.sequential`), losses.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.nn.layers import FastDropout

SHORT = 64
"""Sequences up to this length are attended to by plain products on a processor: PyTorch's blocked kernel, made for long
ones, took about twice as long for sequences of ten."""


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention in which no place sees a later one: [b, length, width] → the same.

    Source: A. Vaswani and others, Attention Is All You Need, NeurIPS 2017, section 3.2.

    Args:
        width: of the vectors.
        heads: into which it is divided; ``width`` is a multiple of it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each [b, heads, length, width / heads]."""
        b, length, width = x.shape
        parts = self.inputs(x).view(b, length, 3, self.heads, width // self.heads)
        return cast("tuple[Tensor, ...]", parts.permute(2, 0, 3, 1, 4).unbind())

    def forward(self, x: Tensor) -> Tensor:
        """Attend."""
        queries, keys, values = self._parts(x)
        if x.device.type != "cpu" or x.shape[1] > SHORT:
            attended = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        else:
            attended = _weights(queries, keys) @ values
        return cast(Tensor, self.output(attended.transpose(1, 2).reshape(x.shape)))

    def at(self, x: Tensor, places: Tensor) -> Tensor:
        """What :meth:`forward` gives at one place of each sequence, from its query alone: [b, width].

        Args:
            x: [b, length, width].
            places: int64 [b].
        """
        b, length, width = x.shape
        rows = torch.arange(b, device=x.device)
        weight, bias = self.inputs.weight, self.inputs.bias
        queries = functional.linear(x[rows, places], weight[:width], bias[:width]).view(b, self.heads, 1, -1)
        parts = functional.linear(x, weight[width:], bias[width:]).view(b, length, 2, self.heads, width // self.heads)
        keys, values = parts.permute(2, 0, 3, 1, 4).unbind()
        later = torch.arange(length, device=x.device) > places[:, None]
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5  # [b, heads, 1, length]
        attended = scores.masked_fill(later[:, None, None], float("-inf")).softmax(3) @ values
        return cast(Tensor, self.output(attended.reshape(b, width)))

    def weights(self, x: Tensor) -> Tensor:
        """How much each place attends to each other: [b, heads, length, length], rows sum to 1."""
        queries, keys, _ = self._parts(x)
        return _weights(queries, keys)


def _weights(queries: Tensor, keys: Tensor) -> Tensor:
    """Softmax of scaled products over places that are not later: [b, heads, length, length]."""
    length = queries.shape[2]
    later = torch.ones(length, length, dtype=torch.bool, device=queries.device).triu(1)
    scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
    return cast(Tensor, scores.masked_fill(later, float("-inf")).softmax(3))


class CausalBlock(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added to its input ("pre-norm").

    Args:
        width: of the vectors.
        heads: of the attention.
        hidden: units of the feed-forward layer.
        dropout: share of what is added dropped in training. Attention weights are not: PyTorch's fast
            kernels for processors cannot.
        gated: whether a learned gate σ(W x) weighs what is added, as in LiGR layers (F. Borisyuk and others, From
            Features to Transformers: Redefining Ranking for Scalable Impact, 2025).
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, *, gated: bool = False) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), CausalSelfAttention(width, heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.dropout = FastDropout(dropout)
        self.gates = nn.ModuleList(nn.Linear(width, width) for _ in range(2)) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to [b, length, width]."""
        x = self._added(x, self.attention(self.attention_norm(x)), 0)
        return self._added(x, self.feed(self.feed_norm(x)), 1)

    def at(self, x: Tensor, places: Tensor) -> Tensor:
        """The block's output at one place of each sequence (int64 [b]): [b, width]."""
        y = x[torch.arange(len(x), device=x.device), places]
        y = self._added(y, self.attention.at(self.attention_norm(x), places), 0)
        return self._added(y, self.feed(self.feed_norm(y)), 1)

    def _added(self, x: Tensor, more: Tensor, place: int) -> Tensor:
        if self.gates is not None:
            more = more * self.gates[place](x).sigmoid()
        return x + cast(Tensor, self.dropout(more))


class BehaviourEncoder(nn.Module):
    """Blocks of a behaviour sequence transformer with learned positions: [b, length, width] → the same.

    A block is self-attention, then a feed-forward layer with leaky ReLU; each is added to its input and normalised
    afterwards ("post-norm"). A mask keeps every place from later ones. With a single block, as published, that costs
    the last place nothing: what it reads of the others are their inputs, which nobody has mixed before, so that it is
    what a pass over the prefix without a mask gives. With more blocks the mask is part of the model.

    Places are counted from the beginning of each sequence, so that what fills up a short one comes last.

    Source: Q. Chen and others, Behavior Sequence Transformer for E-commerce Recommendation in Alibaba, DLP-KDD 2019,
    section 2.2; positions are learned ones in place of times, and the article to be judged is no part of the sequence.

    Args:
        width: of the vectors, a multiple of ``heads``.
        positions: the longest sequence.
        blocks: one on the other.
        heads: of the attention.
        hidden: units of the feed-forward layer.
        dropout: share of attention weights and of what is added dropped in training.
    """

    def __init__(self, width: int, positions: int, blocks: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.positions = nn.Embedding(positions, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, hidden, dropout, activation=functional.leaky_relu, batch_first=True, norm_first=False
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the blocks."""
        length = x.shape[1]
        x = x + self.positions.weight[:length]
        later = nn.Transformer.generate_square_subsequent_mask(length, device=x.device, dtype=x.dtype)
        for block in self.blocks:
            x = block(x, src_mask=later, is_causal=True)
        return x


class CausalTransformer(nn.Module):
    """A stack of causal blocks with learned positions: [b, length, width] → the same, length at most ``positions``.

    Places are counted from the beginning of each sequence, so that what fills up a short one comes last, where no other
    place sees it.
    """

    def __init__(
        self, width: int, positions: int, blocks: int, heads: int, hidden: int, dropout: float, *, gated: bool
    ) -> None:
        super().__init__()
        self.positions = nn.Embedding(positions, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.blocks = nn.ModuleList(CausalBlock(width, heads, hidden, dropout, gated=gated) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the stack."""
        x = x + self.positions.weight[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.norm(x))

    def at(self, x: Tensor, places: Tensor) -> Tensor:
        """The output at one place of each sequence (int64 [b]): [b, width]. The last block computes no other place."""
        x = x + self.positions.weight[: x.shape[1]]
        *others, last = self.blocks
        for block in others:
            x = block(x)
        return cast(Tensor, self.norm(cast(CausalBlock, last).at(x, places)))

    def weights(self, x: Tensor, places: Tensor) -> Tensor:
        """What one place of each sequence attends to, mean over blocks and heads: [b, length], 0 for later places.

        Args:
            x: [b, length, width].
            places: int64 [b].
        """
        rows = torch.arange(len(x), device=x.device)
        x, found = x + self.positions.weight[: x.shape[1]], []
        for block in self.blocks:
            each = cast(CausalBlock, block)
            found.append(each.attention.weights(each.attention_norm(x)).mean(1)[rows, places])
            x = each(x)
        return torch.stack(found).mean(0)
