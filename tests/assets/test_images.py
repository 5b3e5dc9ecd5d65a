"""Which backbone encodes photographs: what the launchpad asks for, beside what the settings name."""

import pytest

from atelier.images import Preprocessing
from resources.encoders import chosen_backbone
from resources.retailer import EncoderSettings

OURS = EncoderSettings(backbone="mobilenet_v2", weights="/ours.safetensors", preprocessing={"mean": [0.5, 0.5, 0.5]})


@pytest.mark.parametrize(
    ("backbone", "weights", "expected"),
    [
        (None, None, ("mobilenet_v2", "/ours.safetensors", Preprocessing(mean=(0.5, 0.5, 0.5)))),
        (None, "none", ("mobilenet_v2", None, Preprocessing(mean=(0.5, 0.5, 0.5)))),
        ("vgg16", None, ("vgg16", "DEFAULT", None)),
        ("vgg16", "none", ("vgg16", None, None)),
        ("vgg16", "/other.safetensors", ("vgg16", "/other.safetensors", None)),
    ],
)
def test_what_the_settings_say_of_their_own_backbone_is_not_said_of_another(
    backbone: str | None, weights: str | None, expected: tuple[str, str | None, Preprocessing | None]
) -> None:
    assert chosen_backbone(OURS, backbone, weights) == expected


def test_what_the_settings_leave_open_belongs_to_the_weights() -> None:
    assert chosen_backbone(EncoderSettings(), None, None) == ("small", None, None)
