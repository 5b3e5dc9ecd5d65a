"""What the reader of the sample retailer says, by hand; and that no two drawings coincide."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from atelier.sources.sample import shapes, taxonomy
from benchmarks.sample_ceiling import DRAWN, mentioned, read, shares

ARTICLES = pd.DataFrame(
    [
        ("a", "Dress", "Womenswear", "Cassia", "Dress", None, True),
        ("b", "Dress", "Womenswear", "Cassia", "Merino dress", "Made from Flax Weave.", True),
        ("c", "Dress", "Womenswear", "Cassia", "Suede dress", "Inspired by vintage finds.", False),
        ("d", "Dress", "Sportswear", "Pacer", None, None, False),
        ("e", "T-shirt", "Menswear", "Dunmore", "Suede tee", "A tee made for the gym.", False),
        ("f", "Bag", "Womenswear", "Cassia", "Bag", None, False),
    ],
    columns=["article_id", "product_type", "division", "brand", "name", "description", "photographed"],
)
SAID = {
    "colour": {"a": "red", "b": "navy", "c": "black"},  # two are seen; "Inspired" says no colour
    "fit": {"a": "slim", "c": "regular"},  # seen as a width; the most probable
    "material": {
        "a": "cotton",  # 26 of 100, against wool 14; not drawn
        "b": "wool",  # both are said: 14 against linen's 12
        "c": "suede",  # 0.7 · 458 against 26
        "d": "polyester",  # of a division that has four times as much
        "e": "cotton",  # no T-shirt is of suede: a slip
        "f": "leather",  # 8 · 5 against 26
    },
    "occasion": {"a": "party", "d": "sport", "e": "sport"},  # brand and type; division and brand; read
}


def test_what_the_reader_says() -> None:
    asked = [(article, attribute) for attribute, rows in SAID.items() for article in rows]
    truth = pd.DataFrame(asked, columns=["article_id", "attribute"]).assign(value="work")
    seen = {("a", "colour"): "red", ("b", "colour"): "navy", ("a", "fit"): "slim"}
    truth["value"] = [seen.get(key, "work") for key in asked]  # what does not show does not matter
    said = read(truth, ARTICLES)
    assert {
        name: dict(zip(rows["article_id"], rows["read"], strict=True)) for name, rows in said.groupby("attribute")
    } == SAID


def test_before_the_taxonomy_changed_the_reader_says_old_names() -> None:
    truth = pd.DataFrame({"article_id": ["c", "e"], "attribute": "colour", "value": ["blue", "beige"]})
    jeans = ARTICLES.assign(product_type="Jeans", name=["", "", "Jeans", "", "Oatmeal jeans", ""], description="")
    assert read(truth, jeans)["read"].tolist() == ["blue", "beige"]  # blue: 4 · (6 + 7), against black 1.5 · 18


def test_shares_are_the_generators() -> None:
    table = shares(old=False)
    assert table.groupby(["product_type", "division", "brand", "attribute"])["share"].sum().to_numpy() == pytest.approx(
        1
    )
    heels = table[(table["attribute"] == "heel") & (table["division"] == "Menswear") & (table["brand"] == "Dunmore")]
    shoes = heels[heels["product_type"] == "Shoes"].set_index("value")["share"]
    assert shoes.to_dict() == pytest.approx({"flat": 138 / 168, "block": 30 / 168, "stiletto": 0})


def test_words_are_whole_and_old_values_have_those_of_the_new() -> None:
    rows = [("red", "Inspired"), ("red", "In Red."), ("blue", "Midnight blue"), ("navy", "sky blue"), ("beige", "Sand")]
    labels = pd.DataFrame(rows, columns=["value", "name"]).assign(attribute="colour", description=None)
    assert mentioned(labels).tolist() == [False, True, True, False, True]


@pytest.mark.parametrize("kind", taxonomy.TYPES, ids=lambda kind: kind.name)
def test_no_two_outlines_coincide_at_any_scale(kind: taxonomy.ProductType) -> None:
    drawn = [a for a in taxonomy.ATTRIBUTES if a.name in DRAWN - {"colour", "pattern"} and kind.name in a.types]
    outlines = []
    for values in product(*(attribute.names for attribute in drawn)):
        shape = shapes.outline(kind.name, dict(zip((a.name for a in drawn), values, strict=True)))
        points = np.concatenate([*shape.body, *shape.cut]) - 0.5
        outlines.append(points / np.sqrt((points**2).mean()))
    for one, other in combinations(outlines, 2):
        assert one.shape != other.shape or np.abs(one - other).max() > 0.02
