"""The network: photographs, text and metadata in, one softmax for each attribute out.

What belongs here: layers and shapes. What does not: how it is trained, how articles become tensors.

Source: Cardoso, Daolio and Vargas, "Product Characterisation towards Personalisation: Learning Attributes from
Unstructured Data to Recommend Fashion Products" (KDD 2018), section 3 and figure 3.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from atelier.articles.text import PADDING, SPECIAL
from atelier.attributes.config import AttributeConfig
from atelier.nn.batch_norm import BatchNorm
from atelier.nn.layers import Dense

EMBEDDING_SCALE = 0.1
MENTION_WEIGHTS = (2.5, 2.5, 2.5, 1.5)
"""Of the features of :mod:`atelier.attributes.mention_features`, in their order, before training."""
PAIR_FACTORS = (1_000_003, 8_191)  # primes: pairs of frequent words, whose ids are small, spread over all slots


@dataclass(frozen=True)
class Sizes:
    """The sizes of the network that follow from the data.

    Attributes:
        image: length of an image vector; 0 without photographs.
        types: product types.
        words: words of the vocabulary.
        brands: brands.
        divisions: divisions.
        classes: classes of each attribute.
    """

    image: int
    types: int
    words: int
    brands: int
    divisions: int
    classes: tuple[int, ...]


@dataclass(frozen=True)
class ArticleBatch:
    """b articles as tensors.

    Attributes:
        images: float32 [b, shots, image]: standardised, zero where a shot is missing.
        tokens: int64 [b, length]: 0 is padding, at the end.
        types: int64 [b]: −1 is unknown or none.
        brands: int64 [b]: likewise.
        divisions: int64 [b]: likewise.
        mentions: float32 [b, classes, features]: what the text says of each value; None where the network is not told.
    """

    images: Tensor
    tokens: Tensor
    types: Tensor
    brands: Tensor
    divisions: Tensor
    mentions: Tensor | None = None


class TextBranch(nn.Module):
    """Words → embedding → convolution and batch norm → largest over positions → dense: [b, length] → [b, units].

    The largest value is taken over windows that lie inside the text, so padding does not show in the result.
    """

    def __init__(self, config: AttributeConfig, words: int) -> None:
        super().__init__()
        self.kernel = config.kernel
        self.embedding = nn.Embedding(words + SPECIAL, config.token_dim, padding_idx=PADDING)
        # Small at first, so that a word too rare to be trained has little influence; normalisation restores the scale.
        nn.init.normal_(self.embedding.weight[SPECIAL - 1 :].detach(), std=EMBEDDING_SCALE)
        # A convolution over words as one product of matrices: several times faster than Conv1d on a processor.
        self.convolution = nn.Linear(config.kernel * config.token_dim, config.filters, bias=False)
        self.norm = BatchNorm(config.filters)
        self.dense = Dense(config.filters, config.text_units, config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the branch to token ids, int64 [b, length], length ≥ kernel."""
        lengths = (tokens != PADDING).sum(1)  # [b]
        positions = tokens.shape[1] - self.kernel + 1
        windows = self.embedding(tokens.unfold(1, self.kernel, 1)).flatten(2)  # [b, positions, kernel · token_dim]
        last = (lengths - self.kernel).clamp(min=0)  # [b]: the last window inside the text
        outside = torch.arange(positions, device=tokens.device) > last[:, None]  # [b, positions]
        found = self.norm.largest(self.convolution(windows), outside)  # [b, filters]
        return cast(Tensor, self.dense(functional.relu(found)))


class PairBranch(nn.Module):
    """The bag of words and of pairs of neighbouring words → embedding → sum over √count → batch norm: [b, units].

    A word keeps its row of the embedding; pairs share rows by a hash, so that no list of pairs is kept. An unknown word
    has a row, a pair with one has none.

    Source: Joulin, Grave, Bojanowski and Mikolov, "Bag of Tricks for Efficient Text Classification" (EACL 2017),
    sections 2 and 2.2.
    """

    def __init__(self, config: AttributeConfig, words: int) -> None:
        super().__init__()
        self.words, self.slots = words + SPECIAL, config.pair_slots
        self.bag = nn.EmbeddingBag(self.words + self.slots, config.pair_units, mode="sum", padding_idx=PADDING)
        nn.init.normal_(self.bag.weight[SPECIAL - 1 :].detach(), std=EMBEDDING_SCALE)
        self.norm = BatchNorm(config.pair_units)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Apply the branch to token ids, int64 [b, length]."""
        left, right = tokens[:, :-1], tokens[:, 1:]
        known = (left >= SPECIAL) & (right >= SPECIAL)
        pairs = self.words + (left * PAIR_FACTORS[0] + right * PAIR_FACTORS[1]) % self.slots
        read = torch.cat([tokens, pairs.where(known, torch.full_like(pairs, PADDING))], dim=1)  # [b, 2 length − 1]
        count = (read != PADDING).sum(1, keepdim=True).clamp(min=1)
        return cast(Tensor, self.dropout(functional.relu(self.norm(self.bag(read) / count.sqrt()))))


class MentionWeights(nn.Module):
    """What it is worth that a text names a value: [b, classes, features] → what is added to the logits, [b, classes].

    The weights of the features are shared by all values of all attributes, so that every label teaches them, and a
    value with few labels gains as much as one with many. An attribute may deviate from them by weights of its own,
    which decay to zero (:mod:`atelier.attributes.network.joint_training`). They begin at :data:`MENTION_WEIGHTS`, at
    which a text is believed, so that no label is needed for that.

    An attribute whose ``trust`` is 0, and not 1, is not told anything (:mod:`atelier.attributes.mention_trust`).
    """

    def __init__(self, classes: tuple[int, ...]) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.tensor(MENTION_WEIGHTS))
        self.own = nn.Parameter(torch.zeros(len(classes), len(MENTION_WEIGHTS)))
        self.attributes: Tensor
        self.trust: Tensor
        owners = [torch.full((count,), place, dtype=torch.int64) for place, count in enumerate(classes)]
        self.register_buffer("attributes", torch.cat(owners) if owners else torch.zeros(0, dtype=torch.int64))
        self.register_buffer("trust", torch.ones(len(classes)))

    def forward(self, mentions: Tensor) -> Tensor:
        """Apply the weights."""
        return (mentions * ((self.shared + self.own) * self.trust[:, None])[self.attributes]).sum(2)


class Layers(nn.Module):
    """All layers once: an :class:`ArticleBatch` → logits [b, classes of all attributes, one after the other]."""

    def __init__(self, config: AttributeConfig, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.pooling = config.image_pooling
        self.shots = config.shots if config.image_pooling == "concatenate" else 1
        self.types = max(sizes.types, 1)  # without types there is one slot, always zero: a layer must not be empty
        image_inputs = self.shots * sizes.image + self.types
        self.image = Dense(image_inputs, config.image_units, config.dropout)
        self.text = TextBranch(config, sizes.words)
        self.pairs = PairBranch(config, sizes.words) if config.pair_units else None
        self.brand = nn.Embedding(sizes.brands + 1, config.brand_dim)  # 0 is unknown or none
        self.division = nn.Embedding(sizes.divisions + 1, config.division_dim)
        texts = config.text_units + config.pair_units
        joint_inputs = config.image_units + texts + config.brand_dim + config.division_dim + self.types
        self.joint = Dense(joint_inputs, config.joint_units, config.dropout)
        self.heads = nn.Linear(config.joint_units, sum(sizes.classes))
        self.mentions = MentionWeights(sizes.classes) if config.reads_mentions else None

    def forward(self, batch: ArticleBatch) -> Tensor:
        """Logits, float32 [b, classes]."""
        one_hot = functional.one_hot(batch.types + 1, self.types + 1)[:, 1:].to(batch.images.dtype)  # [b, types]
        image = self.image(torch.cat([batch.images.flatten(1), one_hot], dim=1))
        texts = [self.text(batch.tokens), *([self.pairs(batch.tokens)] if self.pairs is not None else [])]
        parts = [image, *texts, self.brand(batch.brands + 1), self.division(batch.divisions + 1)]
        joint = self.joint(torch.cat([*parts, one_hot], dim=1))
        logits = cast(Tensor, self.heads(joint).float())
        if self.mentions is None or batch.mentions is None:
            return logits
        return logits + cast(Tensor, self.mentions(batch.mentions))


class AttributeNetwork(Layers):
    """The whole network: an :class:`ArticleBatch` → logits [b, classes of all attributes, one after the other].

    With the published sizes and 318 product types the image branch reads 2,366 numbers, the convolution has 48
    positions and the joint layer reads 2,400.

    With ``members`` above 1 it is an ensemble (Lakshminarayanan, Pritzel and Blundell, "Simple and Scalable Predictive
    Uncertainty Estimation using Deep Ensembles", NIPS 2017): the same layers several times, from different random
    weights, none of which sees another. In training the members' logits stand one after the other, [members · b,
    classes], and the loss is the mean of theirs; in evaluation mode the logits are the members' mean.
    """

    def __init__(self, config: AttributeConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.others = nn.ModuleList(Layers(config, sizes) for _ in range(config.members - 1))
        self.image_mean: Tensor
        self.image_scale: Tensor
        self.temperatures: Tensor
        self.register_buffer("image_mean", torch.zeros(sizes.image))
        self.register_buffer("image_scale", torch.ones(sizes.image))
        self.register_buffer("temperatures", torch.ones(len(sizes.classes)))

    def forward(self, batch: ArticleBatch) -> Tensor:
        """Logits, float32 [b, classes], before temperatures; in training [members · b, classes]."""
        mine = super().forward(batch)
        if not self.others:
            return mine
        logits = torch.stack([mine, *(member(batch) for member in self.others)])  # [members, b, classes]
        return logits.flatten(0, 1) if self.training else logits.mean(0)

    def set_trust(self, trust: Tensor) -> None:
        """Set which attributes heed what texts name, float32 [attributes]: 1, or 0 for those that do not."""
        for layers in (self, *self.others):
            mentions = cast(Layers, layers).mentions
            if mentions is not None:
                mentions.trust.copy_(trust)

    def split(self, logits: Tensor) -> tuple[Tensor, ...]:
        """The logits of each attribute, [b, classes] each."""
        return torch.split(logits, list(self.sizes.classes), dim=1)

    def probabilities(self, logits: Tensor) -> tuple[Tensor, ...]:
        """Calibrated probabilities of each attribute: softmax of the logits over the attribute's temperature."""
        return tuple(
            torch.softmax(part / self.temperatures[place], dim=1) for place, part in enumerate(self.split(logits))
        )
