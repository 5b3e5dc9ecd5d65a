"""The complete catalogue."""

import hashlib
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.attributes import AttributeConfig, AttributeModel, complete
from atelier.attributes.errors import ArticlesError
from atelier.attributes.prediction import SCHEMA, alternatives
from resources.tables import PREDICTED_ATTRIBUTES


@pytest.fixture(scope="module")
def model(planted) -> AttributeModel:
    config = AttributeConfig(
        image_units=8, filters=8, text_units=8, token_dim=8, joint_units=16, tokens=12, max_epochs=3, learning_rate=0.01
    )
    return AttributeModel(config).fit(planted.articles, planted.labels)


def test_rows_equal_the_obvious_version(planted, model) -> None:
    extra = [("a00001", "odd", "x"), ("a00002", "colour", "a new colour"), ("stranger", "colour", "colour 1")]
    labels = planted.labels[~planted.labels.article_id.isin(["a00001", "a00002"])]
    # A neckline on a type without necklines: annotated, so it has a row, with the model's own opinion beside it.
    without = planted.articles.loc[planted.articles["product_type"] == "type 4", "article_id"].iloc[0]
    extra.append((without, "neckline", "round neck"))
    labels = pd.concat([labels, pd.DataFrame(extra, columns=labels.columns)], ignore_index=True)
    rows = complete(model, planted.articles, labels, model_id="bundle").to_pylist()

    annotated = {(a, b): c for a, b, c in labels.itertuples(index=False) if a != "stranger"}
    found = model.predict_proba(planted.articles)
    own: dict[tuple[str, str], tuple[str, float]] = {}
    applicable = set()
    for row, article in enumerate(found.article_ids):
        for place, attribute in enumerate(found.attributes):
            best = int(found.matrices[place][row].argmax())
            own[article, attribute] = (found.values[place][best], float(found.matrices[place][row, best]))
            if found.applies[row, place]:
                applicable.add((article, attribute))
    assert [(row["article_id"], row["attribute"]) for row in rows] == sorted(applicable | set(annotated))
    texts = dict(zip(planted.articles["article_id"], planted.articles["text"], strict=True))
    for row in rows:
        key = row["article_id"], row["attribute"]
        prediction, confidence = own.get(key, (None, None))
        assert row["prediction"] == prediction
        assert row["confidence"] == (None if confidence is None else pytest.approx(confidence, rel=1e-6))
        assert row["value"] == annotated.get(key, prediction)
        assert row["source"] == ("annotated" if key in annotated else "predicted")
        assert row["model_id"] == (None if prediction is None else "bundle")
        assert row["text_digest"] == hashlib.sha256(texts[key[0]].encode()).hexdigest()
        assert row["image_digests"] == []
        assert (row["alternatives"] is None) == (prediction is None)
        if prediction is not None:
            assert row["alternatives"][0] == {"value": prediction, "probability": row["confidence"]}


def test_digests_of_photographs_are_recorded(planted, model) -> None:
    articles = planted.articles.iloc[:3].assign(image_digests=[["x", "y"], None, []])
    rows = complete(model, articles, planted.labels).to_pandas().groupby("article_id")["image_digests"].first()
    assert [list(digests) for digests in rows] == [["x", "y"], [], []]


def test_the_registry_accepts_the_rows(planted, model) -> None:
    table = complete(model, planted.articles, planted.labels, model_id="bundle")
    assert table.schema == SCHEMA
    with duckdb.connect() as connection:
        connection.register("staged", table)
        cast = connection.sql(f"SELECT {PREDICTED_ATTRIBUTES.casts} FROM staged")  # noqa: S608 (names of the registry)
        assert cast.columns == [column.name for column in PREDICTED_ATTRIBUTES.columns]
        assert len(cast.fetchall()) == table.num_rows


def test_a_model_without_heads_leaves_the_annotations(planted) -> None:
    model = AttributeModel(AttributeConfig(min_samples=10_000)).fit(planted.articles, planted.labels)
    table = complete(model, planted.articles, planted.labels, model_id="bundle")
    assert table.num_rows == len(planted.labels)
    assert set(table["source"].to_pylist()) == {"annotated"}
    assert table["model_id"].null_count == table.num_rows
    assert complete(model, planted.articles, planted.labels.iloc[:0]).num_rows == 0


def test_alternatives_by_hand() -> None:
    matrix = np.array([[0.5, 0.1, 0.4], [0.95, 0.03, 0.02], [0.3, 0.3, 0.4]], dtype=np.float32)
    names = np.array(["x", "y", "z"], dtype=object)
    lists = alternatives(matrix, names, 0.9).to_pylist()
    assert [[item["value"] for item in items] for items in lists] == [["x", "z"], ["x"], ["z", "x", "y"]]
    assert [item["probability"] for item in lists[0]] == pytest.approx([0.5, 0.4])


@given(st.lists(st.lists(st.integers(1, 50), min_size=4, max_size=4), max_size=6), st.floats(0.01, 1.0))
def test_alternatives_are_the_fewest_that_suffice(weights: list[list[int]], mass: float) -> None:
    matrix = np.array(weights, dtype=np.float32).reshape(-1, 4)
    matrix /= matrix.sum(axis=1, keepdims=True)
    names = np.array(list("abcd"), dtype=object)
    lists: list[Any] = alternatives(matrix, names, mass).to_pylist()
    assert len(lists) == len(matrix)
    for items, row in zip(lists, matrix, strict=True):
        probabilities = [item["probability"] for item in items]
        assert probabilities == sorted(probabilities, reverse=True)
        assert probabilities[0] == pytest.approx(float(row.max()))
        assert sum(probabilities) >= mass - 1e-5
        assert sum(probabilities[:-1]) < mass


def test_mass_is_a_probability(planted, model) -> None:
    with pytest.raises(ArticlesError, match="mass"):
        complete(model, planted.articles, planted.labels, mass=0.0)


def test_articles_keep_their_key_order_whatever_order_they_come_in(planted, model) -> None:
    shuffled = planted.articles.sample(frac=1, random_state=0)
    one, other = (complete(model, frame, planted.labels) for frame in (planted.articles, shuffled))
    assert one.select(["article_id", "attribute", "value"]).equals(other.select(["article_id", "attribute", "value"]))
    assert isinstance(one, pa.Table)
