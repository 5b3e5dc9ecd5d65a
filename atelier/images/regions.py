"""The region of a photograph that belongs to the article's type, found without a single box that people drew.

What belongs here: class activation maps, the box around what they mark, pooling within it. What does not: encoding what
a box shows (:class:`atelier.images.embedding.Encoder`), types of articles without a photograph.

A backbone's vector is the mean (or the largest value) of a feature map over positions; a linear classifier of types on
that vector therefore is one at each position as well, and says where in the photograph the evidence for a type lies
(Zhou, Khosla, Lapedriza, Oliva and Torralba, "Learning Deep Features for Discriminative Localization", CVPR 2016).
docs/visual_similarity.md says what neighbours gain by it; nothing in the daily job uses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from atelier.arrays import Float32s, Float64s, Mask, Objects
from atelier.images.activations import Viewing, compute_activations
from atelier.images.backbones import Backbone
from atelier.images.finetuning_config import Augmentation
from atelier.images.loading import DECODE_THREADS
from atelier.images.parts import feature_layers

BLOCK = 256
"""Photographs whose feature maps are in memory at once: 32 MB of MobileNetV2's."""
FINER = 4
"""Maps are enlarged by this before a box is put around what they mark."""
LEAST = 0.2
"""What counts as marked: this share of a map's highest value (Zhou et al., section 3.2)."""
SMALLEST = 0.3
"""The shortest side of a box, as a share of the view's: of what is smaller too few pixels are left to scale up."""


@dataclass(frozen=True)
class TypeEvidence:
    """A linear classifier of types on a backbone's vectors.

    Attributes:
        names: str [types], ascending.
        weights: float32 [types, dim]: what each number of a vector says for a type, against all types on average.
    """

    names: Objects
    weights: Float32s

    @classmethod
    def fit(cls, vectors: Float32s, types: Sequence[object]) -> Self:
        """Fit multinomial logistic regression on standardised vectors.

        Args:
            vectors: float32 [n, dim], by the backbone whose maps are to be read.
            types: n names; where one is missing (None, NaN) the photograph teaches nothing.

        Raises:
            ValueError: there are not two types to be told apart.
        """
        from sklearn.linear_model import LogisticRegression

        known = pd.notna(np.asarray(types, dtype=object))
        codes, names = pd.factorize(np.asarray(types, dtype=object)[known], sort=True)
        if len(names) < 2:
            raise ValueError(f"regions need photographs of at least two types, not of {len(names)}")
        scale = vectors[known].std(axis=0) + np.float32(1e-6)
        model = LogisticRegression(C=0.01, max_iter=300)
        model.fit((vectors[known] - vectors[known].mean(axis=0)) / scale, codes)
        both = model.coef_ if len(names) > 2 else np.concatenate([-model.coef_, model.coef_])
        weights = (both - both.mean(axis=0)) / scale
        return cls(np.asarray(names, dtype=object), weights.astype(np.float32))

    def of(self, types: Sequence[object]) -> Float32s:
        """The weights of some types, float32 [n, dim]; zero of a type that the classifier does not know."""
        rows = pd.Index(self.names).get_indexer(pd.Index(np.asarray(types, dtype=object)))
        found = self.weights[rows]
        found[rows < 0] = 0
        return found


@dataclass(frozen=True)
class Regions:
    """Where the article is in each of n photographs.

    Attributes:
        boxes: float64 [n, 4]: left, top, width, height, as shares of the backbone's view; squares. The whole where a
            map says nothing (an unknown type, a photograph that cannot be read).
        pooled: float32 [n, dim]: the mean of the feature map over the marked positions; zero for a photograph that
            cannot be read.
        ok: bool [n]: whether each could be read.
    """

    boxes: Float64s
    pooled: Float32s
    ok: Mask


def product_regions(
    backbone: Backbone,
    paths: Sequence[str],
    weights: Float32s,
    *,
    root: str | Path | None = None,
    least: float = LEAST,
    device: str | torch.device = "cpu",
    threads: int = DECODE_THREADS,
) -> Regions:
    """Find the region of the article's type in photographs.

    Args:
        backbone: whose vector is pooled from one feature map.
        paths: n files, relative to ``root`` where it is given.
        weights: float32 [n, dim]: what speaks for each one's type (:meth:`TypeEvidence.of`).
        root: the folder of the photographs; None: any folder.
        least: what counts as marked, from 0 (everything) to 1 (the highest value alone).
        device: where to compute.
        threads: threads that decode.

    Raises:
        WeightsError: the vector is not pooled from one feature map.
    """
    layers, n = feature_layers(backbone), len(paths)
    found = Regions(np.tile([0.0, 0, 1, 1], (n, 1)), np.zeros((n, backbone.dimension), np.float32), np.zeros(n, bool))
    frame = pd.DataFrame({"path": list(paths), "row": np.arange(n)})
    viewing = Viewing(1, Augmentation(), 0, 2**40, root=root, threads=threads)
    for start in range(0, n, BLOCK):
        block = frame[start : start + BLOCK].reset_index(drop=True)
        activations = compute_activations(layers, backbone.preprocessing, block, viewing, torch.device(device))
        rows = activations.photographs["row"].to_numpy(np.int64)
        maps = activations.take(torch.arange(len(rows)))
        said = torch.einsum("nchw,nc->nhw", maps, torch.from_numpy(weights[rows]))
        found.boxes[rows] = boxes_around(said.numpy(), least)
        found.pooled[rows] = pool_marked(maps, said, least).numpy()
        found.ok[rows] = True
    return found


def marked_by(maps: torch.Tensor, least: float) -> torch.Tensor:
    """Which positions of maps [n, h, w] reach a share of their highest value: bool; all, where nothing is above 0."""
    high = maps.amax((1, 2), keepdim=True)
    return (maps >= least * high) | (high <= 0)


def pool_marked(features: torch.Tensor, said: torch.Tensor, least: float) -> torch.Tensor:
    """The mean of feature maps [n, c, h, w] over the positions that maps [n, h, w] mark: [n, c]."""
    marked = marked_by(said, least).float()
    return torch.einsum("nchw,nhw->nc", features, marked) / marked.sum((1, 2))[:, None]


def boxes_around(maps: Float32s, least: float) -> Float64s:
    """The smallest square around the connected marked area that holds a map's highest value.

    Args:
        maps: float32 [n, h, w].
        least: what counts as marked.

    Returns:
        float64 [n, 4]: left, top, width, height as shares of the map; within it.
    """
    from scipy import ndimage

    fine = functional.interpolate(torch.from_numpy(maps)[:, None], scale_factor=FINER, mode="bilinear")[:, 0]
    neighbours = np.zeros((3, 3, 3), bool)
    neighbours[1] = True  # within a map, never from one map to the next
    areas, _ = ndimage.label(marked_by(fine, least).numpy(), structure=neighbours)
    peaks = fine.flatten(1).argmax(1).numpy()
    own = areas == areas.reshape(len(maps), -1)[np.arange(len(maps)), peaks][:, None, None]
    spans = [_span(own.any(axis=axis)) for axis in (1, 2)]  # columns, then rows
    side = np.maximum.reduce([end - start for start, end in spans])
    side = np.minimum(np.maximum(side, SMALLEST), 1)
    corners = [np.clip((start + end - side) / 2, 0, 1 - side) for start, end in spans]
    return np.stack([*corners, side, side], axis=1)


def _span(marked: Mask) -> tuple[Float64s, Float64s]:
    """Where the marks [n, length] of each row begin and end, as shares of the length."""
    length = marked.shape[1]
    return marked.argmax(axis=1) / length, 1 - marked[:, ::-1].argmax(axis=1) / length
