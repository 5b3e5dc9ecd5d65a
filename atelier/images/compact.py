"""A small network to train on the retailer's own photographs where no pretrained weights can be had.

What belongs here: its layers. What does not: its training (:mod:`atelier.images.finetuning`).
"""

import torch
from torch import Tensor, nn

NAME = "compact"

_WIDTHS = (16, 32, 64, 64, 128, 128)
_STRIDES = (2, 2, 2, 1, 2, 1)


class Block(nn.Sequential):
    """A 3 × 3 convolution of stride s, batch normalisation, ReLU: [n, inputs, h, w] → [n, outputs, h / s, w / s]."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class MeanAndMax(nn.Module):
    """Mean and maximum over positions, in float32: [n, c, h, w] → [n, 2 c].

    The mean shows how much of a feature there is, a colour for example; the maximum, whether it occurs at all.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Pool."""
        features = features.float()
        return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)


class CompactBackbone(nn.Sequential):
    """Six convolutions, pooled: [n, 3, h, w], red, green, blue in [0, 1] → [n, 256] float32.

    Its random weights are of no use by themselves: all of it is fine-tuned, on some thousands of photographs.
    """

    def __init__(self) -> None:
        inputs = (3, *_WIDTHS[:-1])
        blocks = (Block(*each) for each in zip(inputs, _WIDTHS, _STRIDES, strict=True))
        super().__init__()
        self.features = nn.Sequential(*blocks)
        self.pool = MeanAndMax()
