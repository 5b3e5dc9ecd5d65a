"""The comparison of attributes from texts: what the linear side learns, and how either is judged. No timing."""

import pandas as pd
import pytest

from benchmarks import attributes_against_linear


def values(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["article_id", "attribute", "value"])


def test_the_linear_side_reads_the_texts() -> None:
    texts = ["red cotton shirt", "blue cotton shirt", "red silk dress", "blue silk dress"] * 3
    articles = pd.DataFrame({"article_id": [f"{row:02}" for row in range(12)], "text": texts})
    labels = values(*((row.article_id, "colour", row.text.split()[0]) for row in articles.itertuples()))
    found = attributes_against_linear.linear(articles, labels.head(8), articles.tail(4))
    assert found["value"].tolist() == ["red", "blue", "red", "blue"]
    assert attributes_against_linear.weighted_f1(found, labels.tail(4)) == 1
    once = attributes_against_linear.linear(articles, values(("00", "material", "cotton")), articles.tail(1))
    assert once["value"].tolist() == ["cotton"]


def test_what_was_not_predicted_is_wrong() -> None:
    hidden = values(("a", "colour", "red"), ("b", "colour", "red"), ("a", "type", "shirt"))
    found = values(("a", "colour", "red"), ("a", "type", "shirt"), ("c", "type", "dress"))
    assert attributes_against_linear.weighted_f1(found, hidden) == pytest.approx((2 / 3 + 1) / 2)
