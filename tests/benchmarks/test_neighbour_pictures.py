"""Pictures of neighbours: what is drawn around a neighbour, and that the command writes one for each network."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from atelier.images import Preprocessing, save_weights
from atelier.images.backbones import build_backbone
from benchmarks.neighbour_pictures import GAP, GREEN, GREY, INK, SIDE, main, picture
from benchmarks.photographs import Photographs


def test_frames_tell_the_type_and_bars_the_colour(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (80, 80), "white").save(tmp_path / f"{name}.png")
    files = pd.DataFrame({"article_id": list("abc"), "path": [f"{each}.png" for each in "abc"]})
    photos = Photographs("tiny", tmp_path, files.assign(type=["x", "x", "y"], colour=["r", "b", "r"]))
    near = pd.DataFrame({"article_id": ["a", "a"], "similar_article_id": ["b", "c"], "rank": [1, 2]})
    drawn = picture(photos, near, ["a"]).convert("RGB")
    second, third = 3 * GAP + SIDE, 4 * GAP + 2 * SIDE  # left edges of the neighbours
    assert drawn.getpixel((GAP + 10, GAP - 2)) == INK
    assert drawn.getpixel((second + 10, GAP - 2)) == GREEN
    assert drawn.getpixel((third + 10, GAP - 2)) == GREY
    below = GAP + SIDE + 3
    assert [drawn.getpixel((x + 10, below)) for x in (second, third)] == [(255, 255, 255), INK]


def test_a_picture_for_each_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Preprocessing(resize=32, crop=32)
    monkeypatch.setattr("benchmarks.neighbour_pictures.PLAIN", plain)
    weights = tmp_path / "mobilenet_v2.safetensors"
    save_weights(build_backbone("mobilenet_v2", None, seed=1, preprocessing=plain), weights)
    words = ["--weights", str(weights), "--articles", "40", "--limit", "20", "--rows", "3", "--threads", "1"]
    files = main([*words, "--out", str(tmp_path)])
    assert list(files) == ["mobilenet_v2", "random", "small"]
    again = main([*words, "--out", str(tmp_path / "again")])
    for name, file in files.items():
        with Image.open(file) as image:
            assert image.size[1] > 3 * SIDE
        assert file.read_bytes() == again[name].read_bytes()
    assert len({file.read_bytes() for file in files.values()}) == 3
