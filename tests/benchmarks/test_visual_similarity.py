"""The comparison of neighbours by photographs: shares, chance, duplicates, on a handful of tiny files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.visual_similarity import (
    Photographs,
    by_chance,
    compare,
    components,
    drawn,
    grey_differences,
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
    table = compare(photos, VECTORS, VECTORS[::-1])
    assert list(table.index) == [
        "MobileNetV2",
        "MobileNetV2, not centred",
        "MobileNetV2, 128 components",
        "random network",
        "attributes",
        "any article",
    ]
    assert "random network" not in compare(photos, VECTORS, None).index


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
