"""A small backbone that needs no weights from anywhere, for the demo and for tests.

What belongs here: fixed features of colour, layout and pattern. What does not: anything trained. Its filters are drawn
from a seed and its colour statistics are computed, not learned: it distinguishes a red striped dress from a black
shirt, but not kinds of garments. A fine-tuned backbone replaces it.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "small"

_COLOURS_A_SIDE = 4  # a lattice of 4³ colours in the RGB cube
_LAYOUT = 10  # cells a side of the silhouette
_COARSE = 3  # cells a side for mean colour
_FIRST, _SECOND = 32, 48  # random filters of the two convolutions

# Rows: luminance, red − green, yellow − blue; orthonormal.
_OPPONENT = ((3**-0.5,) * 3, (2**-0.5, -(2**-0.5), 0.0), (6**-0.5, 6**-0.5, -2 * 6**-0.5))


class SmallBackbone(nn.Module):
    """Colour histograms, silhouette, and two layers of random convolutions, pooled at several scales.

    Random filters with rectification and pooling keep much of what a trained first layer keeps (Jarrett et al.,
    "What is the best multi-stage architecture for object recognition?", ICCV 2009; Saxe et al., "On random weights and
    unsupervised feature learning", ICML 2011).

    Input [n, 3, h, w]: red, green, blue in [0, 1], so mean 0 and deviation 1 as preprocessing. Output [n, 578] float32.
    """

    colours: Tensor
    opponent: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        steps = (torch.arange(_COLOURS_A_SIDE) + 0.5) / _COLOURS_A_SIDE
        self.register_buffer("colours", torch.cartesian_prod(steps, steps, steps))
        self.register_buffer("opponent", torch.tensor(_OPPONENT)[:, :, None, None])
        self.first = nn.Conv2d(3, _FIRST, 7, stride=2, padding=3, bias=False)
        self.second = nn.Conv2d(2 * _FIRST, _SECOND, 3, padding=1, bias=False)
        with torch.no_grad():
            self.first.weight.copy_(_smooth_filters(_FIRST, 3, 7, generator))
            self.second.weight.copy_(_smooth_filters(_SECOND, 2 * _FIRST, 3, generator))

    def forward(self, images: Tensor) -> Tensor:
        """Features [n, 578] of images [n, 3, h, w]."""
        half = functional.avg_pool2d(images, 2)  # [n, 3, h/2, w/2]: noise is averaged out, hue is not
        opponent = functional.conv2d(images, self.opponent)
        colours = self._histograms(functional.avg_pool2d(half, 2))
        blocks = (colours, self._silhouette(half), _layout(half), *self._patterns(opponent))
        return torch.cat([block.flatten(1).float() for block in blocks], dim=1)

    def _histograms(self, images: Tensor) -> Tensor:
        """Soft histogram over the lattice of colours, of the whole image and of its middle: [n, 2, 64]."""
        distance = torch.cdist(images.float().flatten(2).mT, self.colours)
        near = torch.softmax(-((distance * 2 * _COLOURS_A_SIDE) ** 2) / 2, dim=2)  # [n, pixels, 64]
        near = near.mT.reshape(len(images), -1, *images.shape[2:])  # [n, 64, h, w]
        top, left = images.shape[2] // 4, images.shape[3] // 4
        middle = near[:, :, top : images.shape[2] - top, left : images.shape[3] - left]
        shares = torch.stack([near.mean((2, 3)), middle.mean((2, 3))], dim=1)
        return shares.sqrt()  # the square root (Hellinger) raises the weight of colours with a small share

    def _silhouette(self, images: Tensor) -> Tensor:
        """How far each cell of a grid is from the colour of the upper corners, the background: [n, 1, 10, 10]."""
        edge = max(images.shape[2] // 16, 1)
        corners = torch.cat([images[:, :, :edge, :edge], images[:, :, :edge, -edge:]], dim=3)
        background = corners.mean((2, 3), keepdim=True)
        distance = (images - background).abs().amax(1, keepdim=True)
        return functional.adaptive_avg_pool2d(distance, _LAYOUT)

    def _patterns(self, opponent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Random convolutions: mean and energy of the first layer, the second on a grid of 2 × 2."""
        edges = self.first(opponent)
        first = torch.cat([edges.relu(), (-edges).relu()], dim=1)  # [n, 64, h/2, w/2]; both signs are information
        pooled = functional.avg_pool2d(first, 4)
        second = self.second(pooled).relu()  # [n, 48, h/8, w/8]
        energy = first.float().square().mean((2, 3)).sqrt()
        return first.mean((2, 3)), energy, functional.adaptive_avg_pool2d(second, 2)


def _layout(images: Tensor) -> Tensor:
    """Mean colour of each cell of a coarse grid, and its deviation over the whole image: [n, 3, 9] and [n, 3]."""
    cells = functional.adaptive_avg_pool2d(images, _COARSE).flatten(2)
    return torch.cat([cells, images.float().std((2, 3))[:, :, None]], dim=2)


def _smooth_filters(filters: int, channels: int, side: int, generator: torch.Generator) -> Tensor:
    """Random filters [filters, channels, side, side] of zero mean and unit norm, faded out towards their edges."""
    # Drawn as integers and computed in double precision, so that the float32 bytes are the same on every processor.
    ramp = torch.linspace(-1, 1, side, dtype=torch.float64)
    window = torch.exp(-2 * (ramp[:, None] ** 2 + ramp[None, :] ** 2))
    weights = torch.randint(-1000, 1001, (filters, channels, side, side), generator=generator).double()
    weights = (weights - weights.mean((2, 3), keepdim=True)) * window
    weights -= weights.mean((1, 2, 3), keepdim=True)
    return cast(Tensor, weights / torch.linalg.vector_norm(weights, dim=(1, 2, 3), keepdim=True))
