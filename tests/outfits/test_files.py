"""Outfit files: mango's layout and Polyvore's, on tiny files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import SourceError
from atelier.outfits.files import (
    BlankQuestion,
    LabelledOutfit,
    read_mango,
    read_polyvore_compatibility,
    read_polyvore_outfits,
    read_polyvore_questions,
)

pytestmark = pytest.mark.hostile

PRODUCTS = """cod_modelo_color,cod_color_code,des_product_family,des_filename
2-01,01,Shoes,some/folder/2019_2_01.jpg
1-99,99,"Belts, ties",1_99.jpg
"""
OUTFITS = "cod_outfit,cod_modelo_color\n10,2-01\n10,1-99\n"


def mango(folder: Path, products: str = PRODUCTS, outfits: str = OUTFITS) -> Path:
    (folder / "product_data.csv").write_text(products, encoding="utf-8")
    (folder / "outfit_data.csv").write_text(outfits, encoding="utf-8")
    return folder


def test_mango_gives_articles_with_attributes_and_file_names(tmp_path: Path) -> None:
    products, outfits = read_mango(mango(tmp_path))
    assert products.to_dict("list") == {
        "article_id": ["1-99", "2-01"],
        "path": ["1_99.jpg", "2019_2_01.jpg"],
        "product_family": ["Belts, ties", "Shoes"],
    }
    assert outfits.to_numpy().tolist() == [["10", "2-01"], ["10", "1-99"]]


def test_products_need_no_photographs(tmp_path: Path) -> None:
    products, _ = read_mango(mango(tmp_path, "cod_modelo_color,des_sex,des_filename\n1-99,,\n2-01,NA,\n"))
    assert products["path"].isna().tolist() == [True, True]
    assert products["sex"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("products", "outfits", "message"),
    [
        (PRODUCTS + "1-99,99,Shoes,x.jpg\n", OUTFITS, r"holds 1 products more than once, first '1-99'"),
        (PRODUCTS, "outfit,cod_modelo_color\n1,2\n", "has no column 'cod_outfit'; it has outfit, cod_modelo_color"),
        (PRODUCTS, OUTFITS + "11,\n", "cod_modelo_color is empty in 1 rows, first in line 4"),
        (PRODUCTS, "cod_outfit,cod_modelo_color\n\n10,2-01\n11,\n", "empty in 1 rows, first in line 4"),
        ('a,b\n"1', OUTFITS, "cannot be read as CSV"),
        (
            "des_product_family,cod_modelo_color,des_filename\nBelts, ties,1-99,1_99.jpg\n",
            OUTFITS,
            "line 2: the row has 4 fields and the header 3",
        ),
        (PRODUCTS.replace(".jpg\n", ".jpg,\n"), OUTFITS, "line 2: the row has 5 fields and the header 4"),
    ],
)
def test_what_is_wrong_with_mangos_files_is_named(tmp_path: Path, products: str, outfits: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_mango(mango(tmp_path, products, outfits))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"product_data\.csv does not exist"):
        read_mango(tmp_path)
    with pytest.raises(SourceError, match=r"no\.json does not exist"):
        read_polyvore_outfits(tmp_path / "no.json")


def written(folder: Path, content: Any) -> Path:
    path = folder / "file"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_polyvore_items_are_named_by_outfit_and_index(tmp_path: Path) -> None:
    items = [{"index": 1, "name": "a coat", "categoryid": 25, "likes": 3}, {"index": 3}]
    frame = read_polyvore_outfits(written(tmp_path, [{"set_id": "77", "items": items, "likes": 1}]))
    assert frame["article_id"].tolist() == ["77_1", "77_3"]
    assert frame["outfit_id"].tolist() == ["77", "77"]
    assert frame["position"].tolist() == [1, 3]
    assert frame["name"].fillna("none").tolist() == ["a coat", "none"]
    assert frame["category"].fillna("none").tolist() == ["25", "none"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is no JSON"),
        ({"set_id": "1"}, "holds a dict, not a list"),
        ([{"items": []}], "outfit 0 has no 'set_id'"),
        ([{"set_id": "1", "items": {}}], "the items of outfit 1 are no list"),
        ([{"set_id": "1", "items": [{}]}], "an item of outfit 1 has no 'index'"),
        ([{"set_id": "1", "items": [{"index": "x"}]}], "is 'x', not a whole number"),
        ([{"set_id": "1", "items": [{"index": 1}, {"index": 1}]}], "holds the item 1_1 twice"),
    ],
)
def test_what_is_wrong_with_polyvores_outfits_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_polyvore_outfits(written(tmp_path, content))


def test_the_right_answer_is_of_the_questions_outfit(tmp_path: Path) -> None:
    question = {"question": ["7_1", "7_2"], "answers": ["9_3", "7_3", "5_1", "8_3"], "blank_position": 3}
    assert read_polyvore_questions(written(tmp_path, [question])) == [
        BlankQuestion(("7_1", "7_2"), ("9_3", "7_3", "5_1", "8_3"), truth=1, blank_position=3)
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"answers": ["9_3", "8_3"]}, "is of 1 outfits and has 0 answers of them"),
        ({"answers": ["7_3", "7_4"]}, "has 2 answers of them"),
        ({"question": ["7_1", "6_1"]}, "is of 2 outfits"),
        ({"question": "7_1"}, "wants a list of names of articles and has '7_1'"),
        ({"blank_position": True}, "blank_position of question 0 is 'True'"),
        ({"answers": None}, "question 0 has no 'answers'"),
    ],
)
def test_what_is_wrong_with_polyvores_questions_is_named(tmp_path: Path, changed: Any, message: str) -> None:
    question = {"question": ["7_1"], "answers": ["9_3", "7_3"], "blank_position": 3} | changed
    with pytest.raises(SourceError, match=message):
        read_polyvore_questions(written(tmp_path, [question]))


names = st.lists(st.from_regex(r"[0-9]{1,6}_[0-9]{1,2}", fullmatch=True), min_size=1, max_size=8)


@given(lines=st.lists(st.tuples(st.booleans(), names)))
def test_compatibility_lines_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[bool, list[str]]]
) -> None:
    text = "\n\n".join(" ".join([str(int(label)), *articles]) for label, articles in lines)
    found = read_polyvore_compatibility(written(tmp_path_factory.mktemp("lines"), text))
    assert found == [LabelledOutfit(label, tuple(articles)) for label, articles in lines]


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused_with_its_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    readable = all(line.split()[:1] in ([], ["0"], ["1"]) and len(line.split()) != 1 for line in text.splitlines())
    if readable and not any("\ud800" <= letter <= "\udfff" for letter in text):
        assert all(each.articles for each in read_polyvore_compatibility(path))
    else:
        with pytest.raises(SourceError, match=re.escape(str(path))):
            read_polyvore_compatibility(path)
