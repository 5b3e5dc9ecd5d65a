"""From encoded articles to batches of tensors.

What belongs here: pooling and standardising image vectors, cutting batches, leaving modalities out. What does not:
frames (:mod:`atelier.attributes.encoding`), layers (:mod:`atelier.attributes.network.architecture`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from atelier.articles.image_vectors import ImageVectors, standardisation
from atelier.articles.text import PADDING, UNKNOWN
from atelier.attributes.encoding import EncodedArticles
from atelier.attributes.network.architecture import MENTION_WEIGHTS, ArticleBatch, AttributeNetwork
from atelier.devices import copied

Floats = npt.NDArray[np.float32]
MENTION_FEATURES = len(MENTION_WEIGHTS)


def fit_standardisation(network: AttributeNetwork, shots: ImageVectors) -> None:
    """Set the network's image mean and scale from the photographs of the articles trained on."""
    mean, scale = standardisation(_pool(network, shots)[0])
    network.image_mean.copy_(torch.from_numpy(mean))
    network.image_scale.copy_(torch.from_numpy(scale))


def _pool(network: AttributeNetwork, shots: ImageVectors) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The vectors that are read, [m, dim], and which of them each article reads, [n, shots], −1 for none."""
    if network.pooling == "concatenate":
        return shots.vectors, shots.index(network.shots)
    some = np.flatnonzero(shots.counts > 0)
    index = np.full((len(shots.counts), 1), -1, dtype=np.int64)
    index[some, 0] = np.arange(len(some))
    return shots.mean()[some], index


class ArticleBatches:
    """Encoded articles on a device, ready to be cut into batches.

    Args:
        encoded: n articles.
        network: whose pooling and standardisation apply.
        device: where the tensors lie.
    """

    def __init__(self, encoded: EncodedArticles, network: AttributeNetwork, device: torch.device) -> None:
        vectors, index = _pool(network, encoded.shots)
        mean, scale = network.image_mean.cpu().numpy(), network.image_scale.cpu().numpy()
        standard = np.zeros((len(vectors) + 1, network.sizes.image), dtype=np.float32)
        np.subtract(vectors, mean, out=standard[:-1])
        standard[:-1] /= scale
        self.vectors = torch.from_numpy(standard).to(device)  # [m + 1, dim]: the last row is a missing shot
        self.index = torch.from_numpy(np.where(index < 0, len(vectors), index)).to(device)  # [n, shots]
        self.tokens = torch.from_numpy(encoded.tokens).to(device)  # [n, length]
        self.device = device
        self.lengths = torch.from_numpy((encoded.tokens != PADDING).sum(1))  # [n], in main memory
        self.types, self.brands, self.divisions = (
            torch.from_numpy(codes).to(device) for codes in (encoded.types, encoded.brands, encoded.divisions)
        )
        self.kernel = network.text.kernel
        told = encoded.mentions if network.mentions is not None else None
        # Sparse, as tensors: of hundreds of values a text names a few.
        self.mention_starts = self.mention_cells = torch.zeros(0, dtype=torch.int64)
        self.mention_values = torch.zeros(0)
        if told is not None:
            starts, cells = (torch.from_numpy(part.astype(np.int64)) for part in (told.indptr, told.indices))
            self.mention_starts, self.mention_cells = starts.to(device), cells.to(device)
            self.mention_values = torch.from_numpy(told.data).to(device)
        self.mention_shape = None if told is None else (sum(network.sizes.classes), MENTION_FEATURES)

    def __len__(self) -> int:
        return len(self.types)

    def batch(self, rows: Tensor) -> ArticleBatch:
        """The articles of these rows, int64 [b] in main memory; texts are cut to the longest among them."""
        longest, rows = max(int(self.lengths[rows].max()), self.kernel), copied(rows, self.device)
        return ArticleBatch(
            images=self.vectors[self.index[rows]],
            tokens=self.tokens[rows, :longest].long(),
            types=self.types[rows],
            brands=self.brands[rows],
            divisions=self.divisions[rows],
            mentions=self._mentions(rows),
        )

    def _mentions(self, rows: Tensor) -> Tensor | None:
        """What the texts of these rows, int64 [b] on the device, say of each class: float32 [b, classes, features]."""
        if self.mention_shape is None:
            return None
        starts = self.mention_starts[rows]
        counts = self.mention_starts[rows + 1] - starts
        owners = torch.repeat_interleave(torch.arange(len(rows), device=self.device), counts)
        within = torch.arange(len(owners), device=self.device) - (torch.cumsum(counts, 0) - counts)[owners]
        places = starts[owners] + within
        classes, features = self.mention_shape
        dense = torch.zeros(len(rows), classes * features, device=self.device)
        dense[owners, self.mention_cells[places]] = self.mention_values[places]
        return dense.view(len(rows), classes, features)

    def batches(self, size: int, rows: Tensor | None = None) -> Iterator[ArticleBatch]:
        """All articles, or those of ``rows``, in order, at most ``size`` at a time."""
        chosen = torch.arange(len(self)) if rows is None else rows
        for part in torch.split(chosen, size):
            if len(part):
                yield self.batch(part)


def share_of(batch: ArticleBatch, rows: slice) -> ArticleBatch:
    """Some of the articles, whose texts stay as wide as the batch's longest: normalisation sees its padding too."""
    return ArticleBatch(
        images=batch.images[rows],
        tokens=batch.tokens[rows],
        types=batch.types[rows],
        brands=batch.brands[rows],
        divisions=batch.divisions[rows],
        mentions=None if batch.mentions is None else batch.mentions[rows],
    )


def word_dropout(batch: ArticleBatch, share: float, generator: torch.Generator) -> ArticleBatch:
    """Replace a share of the words, each drawn independently, by the unknown word."""
    if share == 0:
        return batch
    drawn = copied(torch.rand(batch.tokens.shape, generator=generator) < share, batch.tokens.device)
    return replace(batch, tokens=batch.tokens.masked_fill(drawn & (batch.tokens != PADDING), UNKNOWN))


def mention_dropout(batch: ArticleBatch, share: float, generator: torch.Generator) -> ArticleBatch:
    """Leave out of a share of the articles what their texts say of values."""
    if share == 0 or batch.mentions is None:
        return batch
    drawn = copied(torch.rand(len(batch.types), generator=generator) < share, batch.types.device)
    return replace(batch, mentions=batch.mentions.masked_fill(drawn[:, None, None], 0.0))


def modality_dropout(batch: ArticleBatch, share: float, generator: torch.Generator) -> ArticleBatch:
    """Leave photographs, text, product type, brand and division out of a share of the articles, each drawn apart."""
    if share == 0:
        return batch
    drawn = copied(torch.rand((5, len(batch.types)), generator=generator) < share, batch.types.device)  # [modality, b]
    return replace(
        batch,
        images=batch.images.masked_fill(drawn[0, :, None, None], 0.0),
        tokens=batch.tokens.masked_fill(drawn[1, :, None], PADDING),
        types=batch.types.masked_fill(drawn[2], -1),
        brands=batch.brands.masked_fill(drawn[3], -1),
        divisions=batch.divisions.masked_fill(drawn[4], -1),
        mentions=None if batch.mentions is None else batch.mentions.masked_fill(drawn[1, :, None, None], 0.0),
    )
