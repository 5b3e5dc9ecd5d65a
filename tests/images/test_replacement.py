"""What replaces an article out of stock: the order of preference, articles without a photograph, stated gaps."""

import pandas as pd
import pytest

from atelier.images.replacement import COLUMNS, REASONS, replacements
from atelier.images.similarity import ExactImages
from tests.images.test_similarity import direction

#: article, product type, price, in stock, direction of its photograph in degrees
ROWS = [
    ("gone", "dress", 100.0, False, 0),
    ("near, dear", "dress", 300.0, True, 1),
    ("far, same price", "dress", 110.0, True, 60),
    ("nearer, same price", "dress", 90.0, True, 20),
    ("no photograph, same price", "dress", 100.0, True, None),
    ("also gone", "dress", 100.0, False, 2),
    ("gone, no photograph", "dress", 95.0, False, None),
    ("gone hat", "hat", 20.0, False, 3),
    ("gone hat, no photograph", "hat", 20.0, False, None),
    ("gone, no type", None, 20.0, False, 59),
    ("gone, nothing known", None, None, False, None),
]


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["article_id", "product_type", "price", "in_stock", "angle"])
    frame["embeddings"] = [[] if pd.isna(each) else [direction(each)] for each in frame["angle"]]
    return replacements(ExactImages.build(frame, centred=False), k=4)


def of(found: pd.DataFrame, article: str, column: str) -> list[object]:
    return found[found["article_id"] == article][column].tolist()


def test_what_looks_alike_at_a_similar_price_comes_first_and_then_the_rest(found: pd.DataFrame) -> None:
    assert tuple(found.columns) == COLUMNS
    assert of(found, "gone", "replacement_article_id") == [
        "nearer, same price",
        "far, same price",
        "near, dear",
        "no photograph, same price",
    ]
    assert of(found, "gone", "basis") == ["image_type_price", "image_type_price", "image_type", "type_price"]
    assert of(found, "gone", "rank") == [1, 2, 3, 4]
    assert of(found, "gone", "price_ratio") == pytest.approx([0.9, 1.1, 3.0, 1.0])
    cosines = of(found, "gone", "similarity")
    assert cosines[:3] == pytest.approx([direction(20)[0], direction(60)[0], direction(1)[0]], abs=1e-6)
    assert pd.isna(cosines[3])


def test_every_article_without_stock_has_a_row_and_no_other(found: pd.DataFrame) -> None:
    gone = {name for name, _, _, in_stock, _ in ROWS if not in_stock}
    assert set(found["article_id"]) == gone
    assert not set(found["replacement_article_id"].dropna()) & gone
    assert (found["reason"] == found["basis"].map(REASONS)).all()


def test_without_a_photograph_the_nearest_price_of_the_type_decides(found: pd.DataFrame) -> None:
    assert of(found, "gone, no photograph", "replacement_article_id") == [
        "no photograph, same price",
        "nearer, same price",
        "far, same price",
        "near, dear",
    ]
    assert set(of(found, "gone, no photograph", "basis")) == {"type_price"}


def test_where_nothing_is_of_the_type_photographs_alone_decide(found: pd.DataFrame) -> None:
    assert of(found, "gone hat", "replacement_article_id")[0] == "near, dear"
    assert of(found, "gone, no type", "replacement_article_id")[0] == "far, same price"
    assert {*of(found, "gone hat", "basis"), *of(found, "gone, no type", "basis")} == {"image"}


@pytest.mark.parametrize("article", ["gone hat, no photograph", "gone, nothing known"])
def test_a_gap_is_stated(found: pd.DataFrame, article: str) -> None:
    assert of(found, article, "basis") == ["nothing"]
    assert of(found, article, "replacement_article_id") == [None]
    assert "There is none" in str(of(found, article, "reason")[0])


def test_unknown_prices_and_free_articles_are_the_farthest() -> None:
    frame = pd.DataFrame(
        {
            "article_id": ["gone", "priced", "free", "unknown", "gone too"],
            "product_type": "bag",
            "price": [10.0, 50.0, 0.0, None, None],
            "in_stock": [False, True, True, True, False],
        }
    )
    found = replacements(ExactImages.build(frame))
    assert of(found, "gone", "replacement_article_id") == ["priced", "free", "unknown"]
    assert of(found, "gone", "price_ratio")[:2] == [5.0, 0.0]
    assert len(of(found, "gone too", "replacement_article_id")) == 3


def test_where_all_is_in_stock_there_is_nothing_to_replace() -> None:
    frame = pd.DataFrame({"article_id": ["a"], "in_stock": [True], "embeddings": [[[1.0, 0.0]]]})
    assert replacements(ExactImages.build(frame)).empty
