"""Regions by class activation maps: boxes around marks, pooling, and a network that finds a coloured patch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from atelier.images import Encoder, Preprocessing, WeightsError
from atelier.images.backbones import Backbone, build_backbone, finish
from atelier.images.parts import feature_layers
from atelier.images.regions import TypeEvidence, boxes_around, marked_by, pool_marked, product_regions

TINY = Preprocessing(resize=64, crop=64, mean=(0, 0, 0), std=(1, 1, 1))
RED, BLUE, GREY = (220, 20, 20), (20, 20, 220), (128, 128, 128)


class Colours(nn.Module):
    """The mean of each colour over 8 × 8 positions, and over all of these: its feature map is the image made small."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(8))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.pool(self.features(images))
        return found


@pytest.fixture
def colours() -> Backbone:
    return finish("colours", Colours(), "avg", TINY, seeded=False)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "vgg11", "squeezenet1_1"])
def test_the_vector_is_pooled_from_the_last_map(name: str) -> None:
    backbone = build_backbone(name, None, preprocessing=TINY)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        maps, vectors = feature_layers(backbone)(images), backbone.module(images)
    assert maps.ndim == 4
    assert maps.shape[2] > 1
    pooled = maps.amax((2, 3)) if backbone.pool == "max" else maps.mean((2, 3))
    torch.testing.assert_close(pooled, vectors)


def test_a_vector_of_two_pools_has_no_map() -> None:
    with pytest.raises(WeightsError, match="'compact' is not pooled from one feature map; take another one"):
        feature_layers(build_backbone("compact", None))


def test_a_box_is_a_square_around_the_area_of_the_highest_value() -> None:
    maps = np.zeros((3, 8, 8), np.float32)
    maps[0, 2:4, 1:5] = 1
    maps[0, 7, 7] = 0.9  # marked, but apart from the highest value
    maps[1] = 0.5
    maps[2, 0, 0] = 1
    boxes = boxes_around(maps, 0.6)
    assert boxes[0] == pytest.approx([1 / 8, 1 / 8, 4 / 8, 4 / 8], abs=1 / 16)
    assert boxes[1].tolist() == [0, 0, 1, 1], "a map that says nothing"
    assert boxes[2].tolist() == [0, 0, 0.3, 0.3], "the smallest box"


def test_boxes_do_not_depend_on_the_other_maps() -> None:
    maps = np.random.default_rng(0).normal(size=(6, 7, 7)).astype(np.float32)
    together = boxes_around(maps, 0.5)
    assert np.array_equal(together, np.concatenate([boxes_around(each[None], 0.5) for each in maps]))
    assert (together[:, :2] >= 0).all()
    assert (together[:, :2] + together[:, 2:] <= 1 + 1e-9).all()


def test_pooling_leaves_out_what_is_not_marked() -> None:
    features = torch.tensor([[[[1.0, 3.0], [5.0, 100.0]]]])
    said = torch.tensor([[[1.0, 1.0], [0.9, 0.0]]])
    assert pool_marked(features, said, 0.5).tolist() == [[3.0]]
    assert marked_by(torch.tensor([[[-1.0, -3.0]], [[0.0, 0.0]]]), 0.5).all(), "nothing speaks for the type"


def test_evidence_tells_types_apart_and_knows_what_it_does_not_know() -> None:
    vectors = np.array([[1, 0, 5], [0.9, 0, 5], [0, 1, 5], [0, 0.8, 5], [0, 0, 5]], np.float32)
    evidence = TypeEvidence.fit(vectors, ["a", "a", "b", "b", None])
    assert evidence.names.tolist() == ["a", "b"]
    assert (vectors[:4] @ evidence.weights.T).argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert evidence.weights.sum(axis=0) == pytest.approx(0, abs=1e-5)
    assert evidence.of(["b", "unheard of", None])[1:].tolist() == [[0, 0, 0]] * 2
    with pytest.raises(ValueError, match="at least two types, not of 1"):
        TypeEvidence.fit(vectors, ["a"] * 5)


def test_the_region_of_a_type_is_where_it_is_shown(colours: Backbone, tmp_path: Path) -> None:
    both = Image.new("RGB", (64, 64), GREY)
    both.paste(RED, (0, 8, 24, 32))
    both.paste(BLUE, (40, 32, 64, 56))
    both.save(tmp_path / "both.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    plain = {"red.png": RED, "blue.png": BLUE}
    for name, colour in plain.items():
        Image.new("RGB", (64, 64), colour).save(tmp_path / name)
    encoder = Encoder(colours, device="cpu", precision="float32")
    taught = encoder.encode(list(plain) * 3, tmp_path).vectors
    evidence = TypeEvidence.fit(taught, ["red", "blue"] * 3)

    paths = ["both.png", "both.png", "both.png", "broken.png"]
    found = product_regions(colours, paths, evidence.of(["red", "blue", "green", "red"]), root=tmp_path)
    assert found.ok.tolist() == [True, True, True, False]
    left, top, width, height = found.boxes[0]
    assert (left, top) == pytest.approx((0, 1 / 8), abs=1 / 16)
    assert width == height <= 1 / 2
    assert found.boxes[1][:2].min() >= 3 / 8
    assert found.boxes[2].tolist() == [0, 0, 1, 1], "nothing speaks for a type that was not taught"
    assert found.pooled[0].argmax() == 0
    assert found.pooled[1].argmax() == 2

    parts = encoder.encode(["both.png"] * 3, tmp_path, boxes=found.boxes[:3]).vectors
    assert parts[0].argmax() == 0
    assert parts[1].argmax() == 2
    assert np.array_equal(parts[2], encoder.encode(["both.png"], tmp_path).vectors[0])
