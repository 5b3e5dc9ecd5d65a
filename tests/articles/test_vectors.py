"""The vector that content models read."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.articles.errors import ArticlesError
from atelier.articles.vectors import ArticleVectors, ArticleVectorsConfig, vectors_table
from atelier.errors import BundleError

TODAY = date(2026, 3, 10)
LIST = pa.list_(pa.struct([("value", pa.string()), ("probability", pa.float64())]))


def _articles() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "article_id": ["a", "b", "c", "nothing"],
            "product_type": ["Dress", "Top", "Dress", None],
            "price": [Decimal("3.5"), None, Decimal("12"), None],
            "available_from": [date(2026, 3, 8), date(2026, 3, 9), None, None],
            "sales_30d": [3, 0, 1, None],
            "text": ["red silk dress", "red top red", "blue", None],
            "embeddings": [[[1.0, 0.0], [3.0, 0.0]], [[2.0, 0.0]], None, []],
        }
    )


def _attributes() -> pa.Table:
    rows = [
        {
            "article_id": "a",
            "attribute": "neck",
            "value": "v",
            "source": "annotated",
            "alternatives": [{"value": "round", "probability": 0.9}],
        },
        {
            "article_id": "b",
            "attribute": "neck",
            "value": "v",
            "source": "predicted",
            "alternatives": [{"value": "v", "probability": 0.6}, {"value": "round", "probability": 0.3}],
        },
        {"article_id": "c", "attribute": "odd", "value": "x", "source": "annotated", "alternatives": None},
        {"article_id": "stranger", "attribute": "neck", "value": "v", "source": "abstained", "alternatives": []},
    ]
    types = [("article_id", "string"), ("attribute", "string"), ("value", "string"), ("source", "string")]
    return pa.Table.from_pylist(rows, schema=pa.schema([*types, ("alternatives", LIST)]))


def _raw() -> dict[str, list[float]]:
    """The features before normalisation, by hand; each text has unit norm."""
    idf = {"red": np.log(5 / 3) + 1}
    return {
        "product_type: Dress": [1, 0, 1, 0],
        "product_type: Top": [0, 1, 0, 0],
        "price: price": [3.5, 0, 12, 0],
        "recency: recency": [2, 1, 0, 0],
        "popularity: popularity": [np.log(4), 0, np.log(2), 0],
        "text: red": [idf["red"] / idf["red"], 1, 0, 0],
        "image: 0": [2, 2, 0, 0],
        "image: 1": [0, 0, 0, 0],
        "attributes: neck=round": [0, 0.3, 0, 0],
        "attributes: neck=v": [1, 0.6, 0, 0],
        "attributes: odd=x": [0, 0, 1, 0],
    }


def _normalised(raw: np.ndarray[Any, Any], norms: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    scaled = np.divide(raw, norms, out=np.zeros_like(raw), where=norms > 0)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, lengths, out=np.zeros_like(scaled), where=lengths > 0)


def test_vectors_by_hand() -> None:
    model = ArticleVectors()
    vectors = model.fit_transform(_articles(), _attributes(), as_of=TODAY)
    expected = _raw()
    assert model.names == list(expected)
    raw = np.array(list(expected.values()), dtype=np.float64).T
    norms = np.linalg.norm(raw, axis=0)
    np.testing.assert_allclose(model.positions["norm"], norms, rtol=1e-6)
    np.testing.assert_allclose(vectors, _normalised(raw, norms), rtol=1e-5, atol=1e-7)
    assert vectors.dtype == np.float32


def test_articles_are_of_unit_length_except_one_of_which_nothing_is_known() -> None:
    vectors = ArticleVectors().fit_transform(_articles(), _attributes(), as_of=TODAY)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0], rtol=1e-6)


def test_text_is_tfidf_as_in_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{code}" for code in rng.zipf(1.5, 12) % 60) for _ in range(80)]
    frame = pd.DataFrame({"article_id": [str(place) for place in range(80)], "text": texts})
    model = ArticleVectors(ArticleVectorsConfig(words=20)).fit(frame, as_of=TODAY)
    words = model.positions.loc[model.positions["block"] == "text", "name"].tolist()
    assert len(words) == 20
    theirs = TfidfVectorizer(vocabulary=words).fit(texts)
    # scikit-learn counts documents with a fixed vocabulary as well: the weights must agree.
    np.testing.assert_allclose(model.positions.loc[model.positions["block"] == "text", "weight"], theirs.idf_)
    raw = theirs.transform(texts).toarray()
    vectors = model.transform(frame, as_of=TODAY)[:, (model.positions["block"] == "text").to_numpy()]
    np.testing.assert_allclose(vectors, _normalised(raw, np.linalg.norm(raw, axis=0)), atol=1e-6)
    counts = {word: sum(word in text.split() for text in texts) for text in texts for word in text.split()}
    assert set(words) == set(sorted(counts, key=lambda word: (-counts[word], word))[:20])


def test_later_articles_use_the_norms_that_were_fitted() -> None:
    model = ArticleVectors().fit(_articles(), _attributes(), as_of=TODAY)
    before = model.positions.copy()
    whole = model.transform(_articles(), _attributes(), as_of=TODAY)
    np.testing.assert_array_equal(whole, ArticleVectors().fit_transform(_articles(), _attributes(), as_of=TODAY))
    # One article alone gets the vector that it has among the others: nothing is fitted again.
    alone = model.transform(_articles().iloc[[1]], _attributes(), as_of=TODAY)
    np.testing.assert_array_equal(alone[0], whole[1])
    # A dearer copy differs in the price's part only, by the fitted norm.
    dear = _articles().iloc[[2]].assign(price=24.0)
    scaled = model.transform(dear, _attributes(), as_of=TODAY)[0]
    place = model.names.index("price: price")
    ratio = (scaled[place] / scaled[0]) / (whole[2][place] / whole[2][0])
    assert ratio == pytest.approx(2, rel=1e-5)
    pd.testing.assert_frame_equal(model.positions, before)


def test_what_was_not_there_at_fitting_is_zero() -> None:
    model = ArticleVectors().fit(_articles(), _attributes(), as_of=TODAY)
    strange = pd.DataFrame({"article_id": ["new"], "product_type": ["Cape"], "text": ["umbrella"]})
    labels = pd.DataFrame({"article_id": ["new"], "attribute": ["neck"], "value": ["boat"]})
    vector = model.transform(strange, labels, as_of=TODAY)
    assert vector.tolist() == [[0.0] * model.dimension]


def test_constant_and_zero_features_are_finite() -> None:
    frame = pd.DataFrame(
        {"article_id": ["a", "b"], "price": [0, 0], "sales_30d": [5, 5], "embeddings": [[[0.0, 1.0]], [[0.0, 1.0]]]}
    )
    vectors = ArticleVectors().fit_transform(frame, as_of=TODAY)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_articles_with_nothing_but_an_id(count: int) -> None:
    frame = pd.DataFrame({"article_id": [str(place) for place in range(count)]})
    vectors = ArticleVectors().fit_transform(frame, as_of=TODAY)
    assert vectors.tolist() == [[0.0, 0.0, 0.0]] * count


def test_an_article_from_the_future_is_not_older_than_today() -> None:
    frame = pd.DataFrame({"article_id": ["a", "b"], "available_from": [date(2027, 1, 1), date(2026, 3, 1)]})
    model = ArticleVectors()
    assert model.fit_transform(frame, as_of=TODAY)[0].tolist() == [0, 0, 0]
    assert model.positions["norm"].tolist() == [0, 9, 0]


def test_plain_labels_count_as_certain() -> None:
    labels = pd.DataFrame({"article_id": ["a", "b"], "attribute": ["neck", "neck"], "value": ["v", None]})
    model = ArticleVectors()
    vectors = model.fit_transform(_articles(), labels, as_of=TODAY)
    assert model.names[-1] == "attributes: neck=v"
    assert (vectors[:, -1] > 0).tolist() == [True, False, False, False]


def test_saving_and_loading(tmp_path: Path) -> None:
    model = ArticleVectors(ArticleVectorsConfig(words=3)).fit(_articles(), _attributes(), as_of=TODAY)
    model.save(tmp_path / "one")
    loaded = ArticleVectors.load(tmp_path / "one")
    pd.testing.assert_frame_equal(loaded.positions, model.positions)
    expected = model.transform(_articles(), _attributes(), as_of=TODAY)
    np.testing.assert_array_equal(loaded.transform(_articles(), _attributes(), as_of=TODAY), expected)
    loaded.save(tmp_path / "two")
    for name in ("config.json", "positions.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    (tmp_path / "one" / "positions.parquet").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        ArticleVectors.load(tmp_path / "one")


def test_the_order_of_articles_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "article_id": [f"{place:03d}" for place in range(50)],
            "product_type": [f"t{code}" for code in rng.integers(0, 4, 50)],
            "price": rng.random(50),
            "embeddings": list(rng.normal(size=(50, 1, 4))),
        }
    )
    shuffled = frame.sample(frac=1, random_state=0)
    one, other = (ArticleVectors().fit_transform(part, as_of=TODAY) for part in (frame, shuffled))
    np.testing.assert_allclose(one[shuffled.index], other, rtol=1e-6)


def test_vectors_of_another_backbone_are_refused() -> None:
    model = ArticleVectors().fit(_articles(), as_of=TODAY)
    with pytest.raises(ArticlesError, match=r"3 values.*fitted on 2"):
        model.transform(_articles().iloc[:1].assign(embeddings=[[[1.0, 2.0, 3.0]]]), as_of=TODAY)


def test_rows_of_the_table() -> None:
    frame = _articles()
    vectors = ArticleVectors().fit_transform(frame, as_of=TODAY)
    table = vectors_table(frame, vectors)
    assert table["article_id"].to_pylist() == frame["article_id"].tolist()
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), dtype=np.float32), vectors)
