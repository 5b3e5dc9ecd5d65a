"""Views of a photograph: the plain one first, the others within their limits, all of them repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from atelier.images.augmentation import Views
from atelier.images.finetuning_config import Augmentation
from atelier.images.preprocessing import Preprocessing

CROP = Preprocessing(resize=40, crop=32)
STRETCH = Preprocessing(resize=32, crop=32, fit="stretch")


def photograph(width: int = 60, height: int = 80) -> Image.Image:
    coarse = np.random.default_rng(3).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("preprocessing", [CROP, STRETCH])
def test_view_0_is_what_the_encoder_sees(preprocessing: Preprocessing) -> None:
    views = Views.draw(preprocessing, Augmentation(), 3, seed=0, number=0)
    image = photograph()
    assert views.pixels(2, image).tobytes() == preprocessing.pixels(image).tobytes()


def test_the_whole_as_a_part_is_the_whole() -> None:
    image = photograph()
    for preprocessing in (CROP, STRETCH):
        assert preprocessing.pixels(image, (0, 0, 1, 1)).tobytes() == preprocessing.pixels(image).tobytes()


def test_a_part_is_cut_out_of_what_would_be_seen() -> None:
    """Left half black, right half white: the right half of what is seen is white, and so is that of the middle."""
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[:, 40:] = 255
    image = Image.fromarray(pixels)
    for preprocessing in (CROP, STRETCH):
        assert preprocessing.pixels(image, (0.6, 0.0, 0.4, 1.0)).min() == 255
        assert preprocessing.pixels(image, (0.0, 0.0, 0.4, 1.0)).max() == 0


@given(st.floats(0.05, 1), st.floats(1, 3), st.integers(0, 2**31), st.integers(1, 9))
def test_views_lie_within_the_plain_one_and_show_enough(smallest: float, aspect: float, seed: int, number: int) -> None:
    views = Views.draw(CROP, Augmentation(smallest=smallest, aspect=aspect), 50, seed, number)
    left, top, width, height = views.boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 1 + 1e-9).all()
    assert (top + height <= 1 + 1e-9).all()
    # A side that would be longer than the plain view's is cut, which costs area: at most the stretch.
    assert (width * height >= smallest / aspect - 1e-9).all()


def test_a_view_depends_on_seed_and_number_alone() -> None:
    how, image = Augmentation(), photograph()

    def view(seed: int, number: int) -> bytes:
        return Views.draw(CROP, how, 4, seed, number).pixels(3, image).tobytes()

    assert view(0, 1) == view(0, 1)
    assert len({view(0, 1), view(0, 2), view(1, 1)}) == 3


def test_a_flipped_view_is_a_mirror() -> None:
    how = Augmentation(smallest=1, aspect=1, flip=1, brightness=0)
    image = photograph()
    flipped = Views.draw(STRETCH, how, 1, 0, 1).pixels(0, image)
    np.testing.assert_array_equal(flipped[:, :, ::-1], STRETCH.pixels(image))


def test_only_brightness_changes_of_colour() -> None:
    """Red stays as red as it was: the channels keep their ratios."""
    how = Augmentation(flip=0, brightness=0.3)
    image = Image.new("RGB", (50, 50), (160, 80, 40))
    for place in range(20):
        red, green, blue = Views.draw(STRETCH, how, 20, 0, 1).pixels(place, image).astype(float).mean((1, 2))
        assert red != pytest.approx(160, abs=0.4) or place
        assert red / green == pytest.approx(2, rel=0.03)
        assert green / blue == pytest.approx(2, rel=0.05)
