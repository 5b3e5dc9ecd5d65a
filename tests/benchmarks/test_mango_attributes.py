"""Attributes of Mango from photographs: reading its file, and that the models learn what the photographs show."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.mango_articles import ATTRIBUTES, photographed
from benchmarks.mango_attributes import main
from tests.benchmarks.test_myntra_attributes import TINY

COLOURS = {"RED": (200, 20, 20), "GREEN": (20, 200, 20), "BLUE": (20, 20, 200)}
HEAD = (
    "cod_modelo_color,des_agrup_color_eng,des_sex,des_line,des_fabric,des_product_family,des_product_type,des_filename"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty models in three colours, of which the photograph shows nothing but the colour; one has no photograph."""
    (tmp_path / "images").mkdir()
    (tmp_path / "vectors").mkdir()
    lines, names = [HEAD], []
    for model in range(20):
        kind = ("Jeans", "Shirt")[model % 2]
        for nth, (colour, rgb) in enumerate(COLOURS.items()):
            names.append(f"{1000 + model}-{nth}")
            fabric = "" if model == 3 else "P-PLANA"
            lines.append(f"{names[-1]},{colour},Female,SHE,{fabric},{kind}s,{kind},datathon/images/{names[-1]}.jpg")
            Image.new("RGB", (12, 16), rgb).save(tmp_path / "images" / f"{names[-1]}.jpg")
    lines.append("9999-0,RED,Female,SHE,P-PLANA,Shirts,Shirt,datathon/images/absent.jpg")
    (tmp_path / "product_data.csv").write_text("\n".join(lines) + "\n")
    vectors = np.tile(np.eye(3, dtype=np.float32), (20, 1))
    for encoding in ("mobilenet", "colour"):
        np.savez(tmp_path / "vectors" / f"{encoding}.npz", vectors=vectors, names=np.array(names))
    return tmp_path


def test_only_products_with_a_photograph_are_read_with_their_style(data: Path) -> None:
    files = photographed(data).set_index("article_id")
    assert len(files) == 60
    assert files.loc["1003-2", ["product_code", "path", "type", "colour"]].to_list() == [
        "1003",
        "1003-2.jpg",
        "Shirt",
        "BLUE",
    ]
    assert files["fabric"].isna().sum() == 3


def test_colours_are_learned_from_photographs_and_types_cannot_be(data: Path) -> None:
    words = ["--mango", str(data), "--weights", "unread", "--vectors", str(data / "vectors"), "--threads", "1"]
    table = main(words, TINY)
    assert table.index.tolist() == ["majority", "image LR", "image net", "image LR and colour", "image net and colour"]
    accuracies = table["accuracy"]
    assert accuracies.columns.tolist() == [*ATTRIBUTES, "mean"]
    assert (accuracies["sex"] == 1).all()
    assert (accuracies.loc["image LR":, "colour"] == 1).all()  # type: ignore[misc]
    assert (accuracies["type"] < 0.9).all()
    assert accuracies.loc["majority", "colour"] < 0.6
    linear = main([*words, "--linear"], TINY)
    assert linear.index.tolist() == ["majority", "image LR", "image LR and colour"]
    assert linear["accuracy"].equals(accuracies.loc[linear.index])
