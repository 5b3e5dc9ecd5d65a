"""The complete catalogue."""

import hashlib
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.attributes import AttributeConfig, AttributeModel, complete
from atelier.attributes.completion import SCHEMA, alternatives
from resources.tables.attributes import PREDICTED_ATTRIBUTES


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
    possible: dict[tuple[str, str], set[str]] = {}
    applicable = set()
    for row, article in enumerate(found.article_ids):
        for place, attribute in enumerate(found.attributes):
            best = int(found.matrices[place][row].argmax())
            own[article, attribute] = (found.values[place][best], float(found.matrices[place][row, best]))
            possible[article, attribute] = set(found.values[place][found.sets[place][row]])
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
        single = "predicted" if len(possible.get(key, ())) == 1 else "abstained"
        assert row["source"] == ("annotated" if key in annotated else single)
        assert row["model_id"] == (None if prediction is None else "bundle")
        assert row["text_digest"] == hashlib.sha256(texts[key[0]].encode()).hexdigest()
        assert row["image_digests"] == []
        assert (row["alternatives"] is None) == (prediction is None)
        if prediction is not None:
            assert row["alternatives"][0] == {"value": prediction, "probability": row["confidence"]}
            assert {each["value"] for each in row["alternatives"]} == possible[key]
            probabilities = [each["probability"] for each in row["alternatives"]]
            assert probabilities == sorted(probabilities, reverse=True)
    assert {"annotated", "predicted", "abstained"} == {row["source"] for row in rows}


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
    sets = np.array([[True, False, True], [True, False, False], [True, True, True]])
    lists: list[Any] = alternatives(matrix, np.array(["x", "y", "z"], dtype=object), sets).to_pylist()
    # Equal probabilities stand in alphabetical order.
    assert [[item["value"] for item in items] for items in lists] == [["x", "z"], ["x"], ["z", "x", "y"]]
    assert [item["probability"] for item in lists[0]] == pytest.approx([0.5, 0.4])


def test_whole_distributions_leave_out_only_what_is_negligible(planted, model) -> None:
    found = model.predict_proba(planted.articles)
    lists = complete(model, planted.articles, planted.labels, whole=True).to_pandas().set_index("attribute")
    for place, attribute in enumerate(found.attributes):
        rows = lists.loc[attribute]
        for article, items in zip(rows["article_id"], rows["alternatives"], strict=True):
            row = found.matrices[place][int(article[1:])]
            told = {item["value"]: item["probability"] for item in items}
            assert set(told) == set(found.values[place][row >= 0.001])
            assert sum(told.values()) == pytest.approx(1, abs=0.003)


def test_articles_keep_their_key_order_whatever_order_they_come_in(planted, model) -> None:
    shuffled = planted.articles.sample(frac=1, random_state=0)
    one, other = (complete(model, frame, planted.labels) for frame in (planted.articles, shuffled))
    assert one.select(["article_id", "attribute", "value"]).equals(other.select(["article_id", "attribute", "value"]))
    assert isinstance(one, pa.Table)
