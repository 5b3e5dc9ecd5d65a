"""The comparison of neighbours by photographs: shares, chance, duplicates, on a handful of tiny files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atelier.images import Preprocessing, save_weights
from atelier.images.backbones import build_backbone
from benchmarks.photographs import Photographs, drawn
from benchmarks.visual_similarity import (
    by_chance,
    compare,
    components,
    grey_differences,
    main,
    nearest,
    nearly_same,
    one_hot,
    same_files,
    shares,
)


@pytest.fixture
def photos(tmp_path: Path) -> Photographs:
    """Two types of three articles, each type in a direction of its own; a and b have the same file."""
    for name, colour in zip("abcdef", ["red", "red", "#fe0000", "blue", "#0000f0", "navy"], strict=True):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    files = pd.DataFrame({"article_id": list("abcdef"), "path": [f"{name}.png" for name in "abcdef"]})
    return Photographs(
        "tiny", tmp_path, files.assign(type=["x"] * 3 + ["y"] * 3, colour=["r", "r", None, "b", "b", "b"])
    )


VECTORS = np.array([[1, 0], [1, 0], [1, 0.2], [0, 1], [0.1, 1], [0.3, 1]], np.float32)


def test_shares_leave_out_what_is_not_known(photos: Photographs) -> None:
    near = pd.DataFrame({"article_id": ["a", "a", "d"], "similar_article_id": ["b", "c", "a"]})
    assert shares(photos, near) == {"type": pytest.approx(2 / 3), "colour": 0.5}


def test_chance_is_that_of_two_different_articles(photos: Photographs) -> None:
    assert by_chance(photos) == {"type": pytest.approx(2 * 3 / 15), "colour": pytest.approx((1 + 3) / 10)}


def test_the_table_has_a_row_for_each_way(photos: Photographs) -> None:
    table = compare(photos, {"MobileNetV2": VECTORS, "random network": VECTORS[::-1]})
    assert list(table.index) == [
        "MobileNetV2",
        "MobileNetV2, not centred",
        "MobileNetV2, 128 components",
        "random network",
        "attributes",
        "any article",
    ]


def test_photographs_of_an_article_are_combined_and_the_first_is_a_row_of_its_own(tmp_path: Path) -> None:
    """The second photograph of a and b is what makes them alike."""
    files = pd.DataFrame({"article_id": list("aabbccd"), "type": list("xxxxyyy"), "path": list("1234567")})
    photos = Photographs("tiny", tmp_path, files)
    vectors = np.array([[1, 0], [1, 9], [0, 1], [1, 9], [1, -9], [1, -9], [1, -8]], np.float32)
    assert nearest(photos, vectors, centred=False).query("rank == 1")["similar_article_id"].tolist() == list("badc")
    table = compare(photos, {"MobileNetV2": vectors})
    assert "MobileNetV2, first photograph alone" in table.index
    assert photos.of(np.array([False, True, False, True])).files["path"].tolist() == ["3", "4", "7"]


def test_components_keep_the_directions(photos: Photographs) -> None:
    whole = nearest(photos, VECTORS)
    assert (
        nearest(photos, components(VECTORS, 2), centred=False)["similar_article_id"].tolist()
        == whole["similar_article_id"].tolist()
    )
    assert one_hot(photos).sum(axis=1).tolist() == [2, 2, 1, 2, 2, 2], "c has no colour"


def test_duplicates_are_found_exactly_and_nearly(photos: Photographs) -> None:
    assert same_files(photos) == [["a", "b"]]
    pairs = nearly_same(photos, VECTORS, 0.99)
    assert pairs[["article_id", "similar_article_id"]].to_numpy().tolist() == [["a", "b"], ["d", "e"]]
    assert grey_differences(photos, pairs) == pytest.approx([0, 2], abs=1)
    assert len(drawn(photos, 4, seed=0).files) == 4


@pytest.mark.parametrize("data", ["sample"])
def test_the_sample_retailer_is_drawn_encoded_and_compared(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "mobilenet_v2.safetensors"
    save_weights(build_backbone("mobilenet_v2", None, preprocessing=Preprocessing(resize=32, crop=32)), weights)
    words = ["--weights", str(weights), "--datasets", data, "--articles", "20", "--untrained", "--threads", "1"]
    words += ["--vectors", str(tmp_path / "vectors")]
    first = main(words)
    again = main(words)
    pd.testing.assert_frame_equal(first["sample"], again["sample"])
    assert first["sample"].columns.tolist() == ["type", "colour", "pattern"]
    assert "MobileNetV2, first photograph alone" in first["sample"].index
    assert first["sample"].loc["attributes", "colour"] > first["sample"].loc["any article", "colour"]
    assert "20 of 20 articles" in capsys.readouterr().out


def test_real_data_need_their_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--weights", "unread", "--datasets", "mango"])
    assert "name the folder of the data sets by --data" in capsys.readouterr().err
