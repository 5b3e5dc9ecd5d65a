"""Linear classifiers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from atelier.articles.errors import ArticlesError
from atelier.studies.linear_baselines import STRENGTHS, fit_linear_baseline


def _accuracy(predicted: pd.DataFrame, truth: pd.DataFrame) -> "pd.Series[float]":
    both = truth.merge(predicted, on=["article_id", "attribute"], suffixes=("", "_said"))
    return (both["value"] == both["value_said"]).groupby(both["attribute"]).mean()


@pytest.mark.parametrize(
    ("kind", "known", "unknown"),
    [("text", ["neckline"], ["colour"]), ("image", ["colour"], ["neckline"]), ("joined", ["colour", "neckline"], [])],
)
def test_each_kind_reads_what_it_says(planted, kind, known, unknown) -> None:
    scores = _accuracy(
        fit_linear_baseline(kind, planted.articles, planted.labels).predict(planted.articles), planted.truth
    )
    assert (scores[known] > 0.9).all(), scores
    assert (scores[unknown] < 0.8).all(), scores
    assert scores["sleeve"] < 0.9  # shows in the product type alone, which no classifier reads


def test_text_is_logistic_regression_on_tfidf_of_the_articles_given(planted) -> None:
    known, asked = planted.articles.iloc[:180], planted.articles.iloc[180:]
    mine = planted.labels[planted.labels["attribute"] == "neckline"]
    mine = mine[mine["article_id"].isin(known["article_id"])].sort_values("article_id")
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit(known["text"])
    texts = planted.articles.set_index("article_id")["text"]
    model = LogisticRegression(C=STRENGTHS["text"]).fit(words.transform(texts[mine["article_id"]]), mine["value"])
    found = fit_linear_baseline("text", known, planted.labels).predict(asked).query("attribute == 'neckline'")
    assert (found["value"].to_numpy() == model.predict(words.transform(asked["text"]))).all()


@pytest.mark.parametrize("kind", ["text", "image", "joined"])
def test_an_article_without_anything_is_predicted(planted, kind) -> None:
    found = fit_linear_baseline(kind, planted.articles, planted.labels).predict(
        pd.DataFrame({"article_id": ["nothing"]})
    )
    assert found["attribute"].tolist() == ["colour", "neckline", "sleeve"]
    assert found["value"].notna().all()
    assert list(found.columns) == ["article_id", "attribute", "value"]


@pytest.mark.parametrize("kind", ["text", "image", "joined"])
def test_training_without_text_or_photographs(planted, kind) -> None:
    bare = planted.articles[["article_id"]]
    found = fit_linear_baseline(kind, bare, planted.labels).predict(planted.articles)
    assert (found.groupby("attribute")["value"].nunique() == 1).all()


def test_a_single_class_and_no_class(planted) -> None:
    one = planted.labels.assign(value="the same")
    assert set(fit_linear_baseline("image", planted.articles, one).predict(planted.articles)["value"]) == {"the same"}
    assert fit_linear_baseline("joined", planted.articles, one.iloc[:0]).predict(planted.articles).empty
    assert fit_linear_baseline("joined", planted.articles, one).predict(planted.articles.iloc[:0]).empty


def test_the_order_of_labels_does_not_matter(planted) -> None:
    shuffled = planted.labels.sample(frac=1, random_state=0)
    first, second = (
        fit_linear_baseline("joined", planted.articles, labels).predict(planted.articles)
        for labels in (planted.labels, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)


def test_refusals(planted) -> None:
    with pytest.raises(ArticlesError, match="'sound'"):
        fit_linear_baseline("sound", planted.articles, planted.labels)
    peer = fit_linear_baseline("image", planted.articles, planted.labels)
    with pytest.raises(ArticlesError, match=r"5 values.*trained on 8"):
        peer.predict(planted.articles.assign(embeddings=[np.zeros((1, 5))] * len(planted.articles)))
