"""The benchmark of fine-tuning learns from the training articles alone, and judges on the others."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks import hm_backbone
from benchmarks.hm_articles import ATTRIBUTES, photographed

ARTICLES = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Articles in the H&M layout, two of a style, light or dark."""
    ids = [f"01{number:08d}" for number in range(ARTICLES)]
    dark = np.arange(ARTICLES) // 2 % 2
    frame = pd.DataFrame({"article_id": ids, "product_code": [name[:9] for name in ids]})
    frame = frame.assign(**{name: np.where(dark, "dark", "light") for name in ATTRIBUTES}, prod_name="", detail_desc="")
    frame.to_csv(tmp_path / "articles.csv", index=False)
    for name, is_dark in zip(ids, dark, strict=True):
        folder = tmp_path / "images" / name[:3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (30, 30, 30) if is_dark else (220, 220, 220)).save(folder / f"{name}.jpg")
    return tmp_path


def test_it_learns_from_the_named_articles_and_writes_the_vectors_of_all(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = [f"01{number:08d}" for number in range(0, ARTICLES, 4)] + [f"01{n:08d}" for n in range(2, ARTICLES, 4)]
    (tmp_path / "split.json").write_text(json.dumps({"train": train}))
    options = {
        "data": data,
        "backbone": "compact",
        "weights": "none",
        "device": "cpu",
        "threads": 1,
        "preprocessing": '{"resize": 16, "crop": 16, "fit": "stretch"}',
        "config": '{"epochs": 2, "views": 1}',
        "split": tmp_path / "split.json",
        "out": tmp_path / "out.npz",
        "bundle": tmp_path / "b",
    }
    hm_backbone.main([word for name, value in options.items() for word in (f"--{name}", str(value))])
    learned = pd.read_parquet(tmp_path / "b" / "articles.parquet")["article_id"].tolist()
    assert learned == sorted(train)
    written = np.load(tmp_path / "out.npz")
    assert written["vectors"].shape == (ARTICLES, 256)
    assert sorted(written["names"]) == [f"01{number:08d}" for number in range(ARTICLES)]
    printed = capsys.readouterr().out
    assert (
        f"logistic regression on {len(train)} articles, weighted F1 on {ARTICLES - len(train)} further ones" in printed
    )


def test_by_default_a_third_of_the_styles_is_held_out(data: Path) -> None:
    frame = photographed(data)
    train = hm_backbone.training_rows(frame, None)
    held = frame.loc[~train, "product_code"].nunique()
    assert held == int(0.32 * frame["product_code"].nunique())
    assert not set(frame.loc[train, "product_code"]) & set(frame.loc[~train, "product_code"])
