"""Preprocessing of a decoded image for a network; it belongs to the network's weights.

What belongs here: scaling, cropping, mean and deviation. What does not: reading files (:mod:`atelier.images.decode`).
"""

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

Triple = tuple[float, float, float]
Box = tuple[float, float, float, float]

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_REDUCING_GAP = 2  # a JPEG is decoded at no less than twice the size needed: the difference cannot be seen


class Preprocessing(BaseModel):
    """How an image becomes a network's input. It belongs to the weights: other values give other vectors.

    Attributes:
        resize: pixels of the shorter side after scaling.
        crop: side in pixels of the square cut out of the middle, which is the network's input.
        fit: ``crop`` scales and cuts, as torchvision does; ``stretch`` scales the whole image to the square, which
            loses nothing at the edges but deforms it.
        mean: subtracted from each channel (red, green, blue) of pixel / 255.
        std: what each channel is then divided by.
        interpolation: how pixels are resampled, always antialiased.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    resize: int = Field(default=256, ge=8, le=4096)
    crop: int = Field(default=224, ge=8, le=4096)
    fit: Literal["crop", "stretch"] = "crop"
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop > self.resize:
            raise ValueError(f"crop ({self.crop}) must not exceed resize ({self.resize})")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")
        return self

    @classmethod
    def of_torchvision(cls, transforms: Any) -> "Preprocessing":
        """The preprocessing of torchvision's ``weights.transforms()``."""
        return cls(
            resize=transforms.resize_size[0],
            crop=transforms.crop_size[0],
            mean=tuple(transforms.mean),
            std=tuple(transforms.std),
            interpolation=transforms.interpolation.value,
        )

    @property
    def needed(self) -> int:
        """Pixels that decoding should leave on the shorter side."""
        return _REDUCING_GAP * self.resize

    def pixels(self, image: Image.Image, part: Box | None = None) -> npt.NDArray[np.uint8]:
        """Scale and crop in one step, so that only the cropped pixels are computed, however extreme the image's shape.

        Args:
            image: RGB, of any size.
            part: the part of the crop that is to fill the square: left, top, width and height as shares; None: all.

        Returns:
            uint8 [3, crop, crop]. Mean and deviation are applied on the device.
        """
        scaled = image.resize((self.crop, self.crop), _RESAMPLING[self.interpolation], box=self.box(image.size, part))
        return np.ascontiguousarray(np.asarray(scaled).transpose(2, 0, 1))

    def box(self, size: tuple[int, int], part: Box | None = None) -> Box:
        """What of an image of a size (width, height) fills the square, in pixels: left, top, right, bottom.

        Args:
            size: width and height in pixels.
            part: see :meth:`pixels`.
        """
        whole = self._box(*size) if self.fit == "crop" else (0.0, 0.0, float(size[0]), float(size[1]))
        return whole if part is None else _within(whole, part)

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels after torchvision's Resize."""
        shorter = min(width, height)
        return self.resize * width // shorter, self.resize * height // shorter

    def _box(self, width: int, height: int) -> Box:
        """The part that torchvision's Resize and CenterCrop would show, in pixels: left, top, right, bottom."""
        scaled = self.scaled_size(width, height)
        start = [round((side - self.crop) / 2) for side in scaled]
        left, top = (s * side / size for s, side, size in zip(start, (width, height), scaled, strict=True))
        right = min(left + self.crop * width / scaled[0], width)
        bottom = min(top + self.crop * height / scaled[1], height)
        return left, top, right, bottom


def _within(box: Box, part: Box) -> Box:
    """The part (left, top, width, height as shares) of a box (left, top, right, bottom)."""
    left, top, right, bottom = box
    start = left + part[0] * (right - left), top + part[1] * (bottom - top)
    end = start[0] + part[2] * (right - left), start[1] + part[3] * (bottom - top)
    return *start, min(end[0], right), min(end[1], bottom)
