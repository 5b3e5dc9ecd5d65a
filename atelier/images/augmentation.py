"""Augmentation: randomly changed views of a photograph, on which a backbone is fine-tuned.

What belongs here: random views of an image. What does not: the plain view that vectors are made of
(:mod:`atelier.images.preprocessing`), training (:mod:`atelier.images.finetuning`).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from atelier.images.finetuning_config import Augmentation
from atelier.images.preprocessing import Preprocessing


@dataclass(frozen=True)
class Views:
    """One random view of each of n images; a view depends only on the seed, its number and the image's position.

    Attributes:
        preprocessing: of the backbone.
        boxes: float64 [n, 4]: left, top, width, height of what a view shows, as shares of the plain view.
        flips: bool [n]: whether a view is mirrored.
        brightness: float64 [n]: the factor of brightness.
    """

    preprocessing: Preprocessing
    boxes: npt.NDArray[np.float64]
    flips: npt.NDArray[np.bool_]
    brightness: npt.NDArray[np.float64]

    @classmethod
    def draw(cls, preprocessing: Preprocessing, how: Augmentation, images: int, seed: int, number: int) -> "Views":
        """Draw view ``number`` of each image; number 0 is the plain one."""
        if number == 0:
            whole = np.tile([0.0, 0.0, 1.0, 1.0], (images, 1))
            return cls(preprocessing, whole, np.zeros(images, bool), np.ones(images))
        draws = np.random.default_rng([seed, number]).random((images, 6))
        area = how.smallest + (1 - how.smallest) * draws[:, 0]
        stretch = how.aspect ** (2 * draws[:, 1] - 1)
        sides = np.minimum(np.sqrt(np.stack([area * stretch, area / stretch], axis=1)), 1)
        corners = draws[:, 2:4] * (1 - sides)
        return cls(
            preprocessing=preprocessing,
            boxes=np.concatenate([corners, sides], axis=1),
            flips=draws[:, 4] < how.flip,
            brightness=1 + how.brightness * (2 * draws[:, 5] - 1),
        )

    def pixels(self, index: int, image: Image.Image) -> npt.NDArray[np.uint8]:
        """The view of the image number ``index`` (RGB, of any size): uint8 [3, crop, crop]."""
        pixels = self.preprocessing.pixels(self._bright(index, image), tuple(self.boxes[index].tolist()))
        return np.ascontiguousarray(pixels[:, :, ::-1]) if self.flips[index] else pixels

    def _bright(self, index: int, image: Image.Image) -> Image.Image:
        factor = float(self.brightness[index])
        return image if factor == 1 else ImageEnhance.Brightness(image).enhance(factor)
