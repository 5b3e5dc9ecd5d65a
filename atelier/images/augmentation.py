"""The same garment, photographed a little otherwise: what a backbone sees while it is fine-tuned.

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
    """One random view of each of n images; a view depends on the seed, its number and its place alone.

    Attributes:
        preprocessing: of the backbone.
        boxes: float64 [n, 4]: left, top, width, height, as shares of the plain view's.
        flips: bool [n].
        brightness: float64 [n].
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

    def pixels(self, place: int, image: Image.Image) -> npt.NDArray[np.uint8]:
        """uint8 [3, crop, crop]: the view of the image at ``place``, RGB of any size."""
        pixels = self.preprocessing.pixels(self._bright(place, image), tuple(self.boxes[place].tolist()))
        return np.ascontiguousarray(pixels[:, :, ::-1]) if self.flips[place] else pixels

    def _bright(self, place: int, image: Image.Image) -> Image.Image:
        factor = float(self.brightness[place])
        return image if factor == 1 else ImageEnhance.Brightness(image).enhance(factor)
