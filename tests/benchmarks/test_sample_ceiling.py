"""What the reader of the sample retailer says, by hand; and that no two drawings coincide."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from atelier.sources.sample import shapes, taxonomy
from benchmarks.sample_ceiling import DRAWN, mentioned, read

ARTICLES = pd.DataFrame(
    [
        ("a", "Dress", "Dress", None, True),
        ("b", "Dress", "Merino dress", "Made from Flax Weave.", True),  # two values: the more frequent one
        ("c", "Dress", "Linen dress", "Inspired by vintage finds.", False),
        ("d", "Dress", None, None, False),
        ("e", "Dress", "Suede dress", None, False),  # no dress is of suede: a slip
        ("f", "Bag", "Nappa bag", None, False),
        ("g", "Bag", "Bag", None, False),
    ],
    columns=["article_id", "product_type", "name", "description", "photographed"],
)
TRUTH = pd.DataFrame(
    [
        ("a", "colour", "red"),  # seen
        ("b", "colour", "blue"),  # seen
        ("c", "colour", "blue"),  # hidden: "Inspired" says no colour; blue is the more frequent
        ("a", "material", "wool"),
        ("b", "material", "linen"),
        ("c", "material", "linen"),
        ("d", "material", "wool"),
        ("e", "material", "wool"),
        ("f", "material", "leather"),
        ("g", "material", "suede"),  # leather and suede once each: the first in the alphabet
    ],
    columns=["article_id", "attribute", "value"],
)


def test_what_the_reader_says() -> None:
    said = read(TRUTH, ARTICLES).set_index(["attribute", "article_id"])["read"].sort_index()
    assert said["colour"].to_dict() == {"a": "red", "b": "blue", "c": "blue"}
    assert said["material"].to_dict() == {
        "a": "wool", "b": "wool", "c": "linen", "d": "wool", "e": "wool", "f": "leather", "g": "leather",
    }  # fmt: skip


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
