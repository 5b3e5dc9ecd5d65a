"""Scaling and cropping, against torchvision's own."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from atelier.images.preprocessing import Preprocessing


def waves(width: int, height: int) -> Image.Image:
    """A smooth picture in which a shift of half a pixel shows."""
    y, x = np.mgrid[:height, :width].astype(float)
    channels = [np.sin(x / 7) * np.cos(y / 11), np.sin((x + y) / 9), np.cos(x / 5)]
    return Image.fromarray((np.stack(channels, 2) * 120 + 127).astype(np.uint8))


@pytest.mark.parametrize("size", [(192, 288), (300, 200), (256, 256), (1000, 333), (57, 91), (224, 500)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_same_pixels_as_torchvision(size: tuple[int, int], interpolation: str) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as reference

    ours = Preprocessing(resize=64, crop=56, interpolation=interpolation).pixels(waves(*size))
    scaled = reference.resize(waves(*size), [64], InterpolationMode(interpolation), antialias=True)
    theirs = np.asarray(reference.center_crop(scaled, [56])).transpose(2, 0, 1)
    assert ours.shape == (3, 56, 56)
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 2  # two resamplings of one picture round differently
    assert difference.mean() < 0.1


def test_extreme_shapes_cost_no_more_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, *a, **k: sizes.append(size) or resize(self, size, *a, **k)
    )
    for size in [(1, 40_000), (40_000, 1), (1, 1)]:
        assert Preprocessing().pixels(Image.new("RGB", size, "red")).shape == (3, 224, 224)
    assert set(sizes) == {(224, 224)}


def test_stretch_keeps_the_whole_image() -> None:
    image = Image.new("RGB", (100, 400), "white")
    image.paste((255, 0, 0), (0, 0, 100, 40))
    stretched = Preprocessing(resize=40, crop=40, fit="stretch").pixels(image)
    cropped = Preprocessing(resize=40, crop=40).pixels(image)
    assert (stretched[1, :3] == 0).all()  # the red band is there, a tenth of the height
    assert (stretched[1, 5:] == 255).all()
    assert (cropped[1] == 255).all()  # and here it is cut off


def test_the_torchvision_presets_are_taken_over() -> None:
    from torchvision.models import get_model_weights

    inception = Preprocessing.of_torchvision(get_model_weights("inception_v3").DEFAULT.transforms())
    assert (inception.resize, inception.crop, inception.interpolation) == (342, 299, "bilinear")
    swin = Preprocessing.of_torchvision(get_model_weights("swin_t").DEFAULT.transforms())
    assert (swin.crop, swin.interpolation, swin.mean) == (224, "bicubic", (0.485, 0.456, 0.406))


@pytest.mark.parametrize("wrong", [{"crop": 300}, {"std": (0, 1, 1)}, {"resize": 0}, {"colour": 1}, {"fit": "pad"}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing(**wrong)
