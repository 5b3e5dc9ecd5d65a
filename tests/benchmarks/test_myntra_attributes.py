"""The comparison on Myntra: reading its file, its figures, and that each model reads only what it should."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atelier.attributes import AttributeConfig
from benchmarks import myntra_attributes
from benchmarks.hm_attributes import Side
from benchmarks.myntra_attributes import ATTRIBUTES, main, majority, photographs

ARTICLES = 48
COLOURS = {"Red": (200, 20, 20), "Green": (20, 200, 20), "Blue": (20, 20, 200)}
TINY = AttributeConfig.small(
    image_units=8,
    filters=8,
    text_units=8,
    token_dim=4,
    joint_units=16,
    batch_size=8,
    max_epochs=40,
    patience=40,
    dropout=0.0,
    modality_dropout=0.0,
    word_dropout=0.0,
    min_samples=1,
    precision="float32",
)
HEAD = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Colour shows in the photograph alone, article type in the name alone; usage is unknown of some."""
    (tmp_path / "images").mkdir()
    lines, vectors = [], []
    for number in range(ARTICLES):
        colour, kind = list(COLOURS)[number % 3], ("Jeans", "Shirts")[number // 3 % 2]
        name = f"Brand {kind} Slim, Long" if number == 5 else f"Brand {kind}"
        usage = "NA" if number == 7 else "Casual"
        lines.append(f"{1000 + number},Men,Apparel,Wear,{kind},{colour},Summer,2012,{usage},{name}\n")
        path = tmp_path / "images" / f"{1000 + number}.jpg"
        Image.new("RGB", (12, 16), COLOURS[colour]).save(path)
        with Image.open(path) as image:
            vectors.append(np.asarray(image, np.float32).mean(axis=(0, 1)) / 255)
    lines.append("9999,Men,Apparel,Wear,Jeans,Red,Summer,2012,Casual,Without photograph\n")
    (tmp_path / "styles.csv").write_text(HEAD + "".join(lines))
    (tmp_path / "vectors").mkdir()
    names = np.array([str(1000 + number) for number in range(ARTICLES)])
    np.savez(tmp_path / "vectors" / "mobilenet.npz", vectors=np.stack(vectors), names=names)
    return tmp_path


def test_a_name_with_commas_is_read_whole_and_only_photographed_articles_remain(data: Path) -> None:
    files = photographs(data).set_index("article_id")
    assert files.index.tolist() == [str(1000 + number) for number in range(ARTICLES)]
    assert files.loc["1005", ["name", "baseColour", "usage"]].to_list() == ["Brand Shirts Slim, Long", "Blue", "Casual"]
    assert files.loc["1006", "name"] == "Brand Jeans"
    assert files.loc["1006", "path"] == "1006.jpg"
    assert files["usage"].isna().sum() == 1


def test_every_model_reads_its_own_inputs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--myntra", str(data), "--weights", "unread", "--vectors", str(data / "vectors"), "--threads", "1"]
    table = main(words, TINY)
    assert table.index.tolist() == [
        "majority",
        "text LR",
        "text net",
        "image LR",
        "image net",
        "joined LR",
        "joined net",
    ]
    for metric in ("accuracy", "weighted F1"):
        assert table[metric].columns.tolist() == [*ATTRIBUTES, "mean"]
        assert (table[metric]["season"] == 1).all()
        figures = pd.DataFrame(table[metric]).to_dict("index")
        for model in ("LR", "net"):
            assert figures[f"text {model}"]["articleType"] == 1
            assert figures[f"text {model}"]["baseColour"] < 0.7
            assert figures[f"image {model}"]["baseColour"] == 1
            assert figures[f"image {model}"]["articleType"] < 0.9
        assert figures["joined net"]["articleType"] == figures["joined net"]["baseColour"] == 1
        assert figures["majority"]["baseColour"] < 0.7
    assert "33 articles to train on, 15 to test on" in capsys.readouterr().out


def test_a_limit_draws_articles_by_the_seed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def note(train: Side, test: Side, **_: object) -> pd.DataFrame:
        assert not set(train.articles["article_id"]) & set(test.articles["article_id"])
        seen.append(sorted([*train.articles["article_id"], *test.articles["article_id"]]))
        return pd.DataFrame([[1.0, 1.0]], columns=pd.MultiIndex.from_product([["accuracy", "weighted F1"], ["mean"]]))

    monkeypatch.setattr(myntra_attributes, "compare", note)
    words = ["--myntra", str(data), "--weights", "unread", "--vectors", str(data / "vectors"), "--limit", "20"]
    for seed in ("0", "0", "1"):
        main([*words, "--seed", seed])
    assert [len(ids) for ids in seen] == [20, 20, 20]
    assert seen[0] == seen[1] != seen[2]


def test_the_majority_is_that_of_training() -> None:
    labels = pd.DataFrame({"article_id": ["1", "2", "3"], "attribute": "usage", "value": ["b", "a", "b"]})
    said = majority(labels, pd.DataFrame({"article_id": ["8", "9"]}))
    assert said.to_dict("list") == {"article_id": ["8", "9"], "attribute": ["usage"] * 2, "value": ["b", "b"]}
    assert majority(labels.iloc[:2], said[["article_id"]])["value"].tolist() == ["a", "a"]
