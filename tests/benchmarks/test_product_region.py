"""The comparison of regions with whole photographs, on a tiny sample retailer and by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from atelier.images import Preprocessing
from benchmarks import product_region
from benchmarks.photographs import Photographs, draw_sample
from benchmarks.product_region import agreement, one_by_one, table

WAYS = ["whole", "region, pooled", "region, cropped", "middle, cropped", "whole and region"]


def test_a_photograph_without_a_second_garment_has_none_to_share(tmp_path: Path) -> None:
    files = pd.DataFrame({"article_id": list("abc"), "type": list("xxy"), "second_type": [None, "y", None]})
    photos = Photographs("tiny", tmp_path, files)
    near = pd.DataFrame({"article_id": ["a", "b", "b"], "similar_article_id": ["b", "a", "c"]})
    assert agreement(photos, near, "type", "type").tolist() == pytest.approx([1, 0.5, np.nan], nan_ok=True)
    assert agreement(photos, near, "second_type", "type").tolist() == pytest.approx([np.nan, 0.5, np.nan], nan_ok=True)


def test_the_table_has_differences_to_the_whole(tmp_path: Path) -> None:
    files = pd.DataFrame({"article_id": [str(n) for n in range(24)], "type": list("xy") * 12})
    photos = Photographs("tiny", tmp_path, files)
    types = np.array([[1, 0], [0, 1]] * 12, np.float32)
    noise = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    shown = table(photos, {"whole": noise, "region, cropped": types})["all", "type"]
    assert "(" not in shown["whole"]
    assert shown["region, cropped"].startswith("1.000 (+")


def test_the_second_garment_is_that_of_the_drawing(tmp_path: Path) -> None:
    photos = draw_sample(tmp_path, 40, seed=0)
    first = ~photos.files.duplicated("article_id")
    assert photos.files.loc[first, "second_type"].isna().all(), "an article's first photograph shows it alone"
    beside = photos.files["second_type"].notna()
    assert 0.1 < beside[~first].mean() < 0.4
    assert photos.files.loc[beside, "second_colour"].notna().all()
    assert photos.files["second_colour"].notna().equals(beside)
    assert one_by_one(photos).files["article_id"].is_unique


def test_the_command_compares_all_ways(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(product_region, "PLAIN", Preprocessing(resize=64, crop=64))
    words = ["--weights", "none", "--articles", "40", "--limit", "40", "--threads", "1"]
    found = product_region.main(words)["sample"]
    assert found.index.tolist() == WAYS
    assert {"alone", "with a second garment"} == set(found.columns.get_level_values(0))
    assert "second's type" in found["with a second garment"]
    assert "second's type" not in found["alone"]
    assert "boxes hold" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        product_region.main(["--weights", "none", "--datasets", "mango"])
    assert "name the folder of the data sets by --data" in capsys.readouterr().err
