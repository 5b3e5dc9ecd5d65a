"""The comparison on mango's layout, on a handful of drawn articles: photographs are trimmed, tables are complete."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atelier.images import backbones
from benchmarks import mango_outfits
from benchmarks.mango_outfits import main, trimmed

FAMILIES, EACH, RARE = ("Bags", "Shoes", "Tops"), 20, 60


def photograph(width: int, height: int, box: tuple[int, int, int, int] | None) -> Image.Image:
    """A grey background that darkens from top to bottom, with a red article in ``box`` (left, top, right, bottom)."""
    rows = np.linspace(240, 200, height).astype(np.uint8)
    image = Image.fromarray(np.repeat(np.repeat(rows[:, None, None], width, 1), 3, 2))
    if box:
        image.paste((200, 10, 10), box)
    return image


def test_a_photograph_is_trimmed_to_its_article() -> None:
    found = np.asarray(trimmed(photograph(160, 224, (60, 180, 100, 200)))).astype(int)
    assert found.shape[0] == found.shape[1] == int(40 * mango_outfits.MARGIN) + 2
    red = (found[:, :, 0] - found[:, :, 1]) > 100
    assert red.sum() == 40 * 20
    rows, columns = np.nonzero(red)
    assert abs(rows.mean() - found.shape[0] / 2) <= 1
    assert abs(columns.mean() - found.shape[1] / 2) <= 1


def test_a_photograph_of_nothing_stays() -> None:
    empty = photograph(30, 40, None)
    assert trimmed(empty) is empty


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Outfits of one article of each family, of one shade; rare articles are in one outfit each."""
    random = np.random.default_rng(0)
    codes = [f"{family}-{number:02}" for family in FAMILIES for number in range(EACH + RARE)]
    products = pd.DataFrame({"cod_modelo_color": codes})
    products["des_product_family"] = products["des_product_type"] = products["cod_modelo_color"].str.split("-").str[0]
    products["des_shade"] = [f"s{number % 2}" for _ in FAMILIES for number in range(EACH + RARE)]
    products["des_filename"] = "folder/" + products["cod_modelo_color"] + ".jpg"
    products.to_csv(tmp_path / "product_data.csv", index=False)
    drawn = 2 * random.integers(EACH // 2, size=(200, len(FAMILIES))) + np.arange(200)[:, None] % 2
    rare = np.repeat(np.arange(EACH, EACH + RARE)[:, None], len(FAMILIES), axis=1)
    numbers = np.concatenate([drawn, rare])
    rows = [
        (outfit, f"{family}-{number:02}")
        for outfit, members in enumerate(numbers)
        for family, number in zip(FAMILIES, members, strict=True)
    ]
    pd.DataFrame(rows, columns=["cod_outfit", "cod_modelo_color"]).to_csv(tmp_path / "outfit_data.csv", index=False)
    return tmp_path


def test_tables_have_a_row_for_each_sort_of_question(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = (0.4, 0.3, 0.3)  # enough articles of each family in each part of so few
    real = mango_outfits.split_by_product
    monkeypatch.setattr(mango_outfits, "split_by_product", lambda outfits, seed: real(outfits, seed, shares))
    monkeypatch.setattr(mango_outfits, "vectors_of", lambda _r, files, *_: np.eye(len(files), 8, dtype=np.float32))
    given = ["--mango", str(folder), "--weights", "none", "--seeds", "3", "--epochs", "1"]
    main(given)
    printed = capsys.readouterr().out
    assert "0 of 240 products have no photograph" in printed
    for name in (
        "uniform",
        "popularity-matched",
        "popularity-matched, trained on",
        "new article",
        "AUC",
        "new products",
    ):
        assert f"| {name} " in printed
    assert "best control" in printed
    main([*given, "--ablations", "image alone"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| model ", "| image alone "))]
    figures = r"0\.\d{3} \[0\.\d{3}, [01]\.\d{3}\]"
    assert re.fullmatch(rf"\| model +(\| {figures} +)+\|", rows[0])
    assert re.fullmatch(r"\| image alone +(\| [01]\.\d{3} \([+−][^)]+\]\) +)+\|", rows[1])


def test_products_without_a_photograph_that_can_be_read_have_no_vector(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    products = pd.read_csv(folder / "product_data.csv").head(5)
    products["des_filename"] = ["a/good.jpg", "", "a/absent.jpg", "a/broken.jpg", "a/good.png"]
    products.to_csv(folder / "product_data.csv", index=False)
    rows = pd.DataFrame({"cod_outfit": 1, "cod_modelo_color": products["cod_modelo_color"]})
    rows.to_csv(folder / "outfit_data.csv", index=False)
    images = folder / "images"
    images.mkdir()
    (images / "broken.jpg").write_bytes(b"no image")
    photograph(60, 60, (20, 20, 40, 40)).save(images / "good.jpg")
    photograph(60, 60, None).save(images / "good.png")
    build = backbones.build_backbone  # in place of MobileNetV2, whose weights are not there
    monkeypatch.setattr(backbones, "build_backbone", lambda *_, **__: build("small", None))
    given = ["--mango", str(folder), "--weights", "none", "--vectors", str(folder / "vectors"), "--threads", "1"]
    for _ in range(2):  # the second time the vectors are read from their files
        data = mango_outfits.read_data(mango_outfits.arguments(given))
        assert data.articles.image_vectors.counts.tolist() == [1, 0, 0, 0, 1]
        assert "3 of 5 products have no photograph that can be read" in capsys.readouterr().out
    for file in images.iterdir():
        file.unlink()
    with pytest.raises(SystemExit, match="not one photograph can be read below"):
        mango_outfits.read_data(mango_outfits.arguments(given[:4]))
