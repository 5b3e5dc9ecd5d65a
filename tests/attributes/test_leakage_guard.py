"""What judges the attribute model is reserved: today's styles all, tomorrow's nearly all, and not much more."""

import numpy as np
import pandas as pd
import pytest

from atelier.articles.table import Articles
from atelier.attributes import AttributeConfig, AttributeModel, fit_and_evaluate, holdout
from atelier.attributes import evaluation as evaluation_module
from atelier.attributes.leakage_guard import held_out_articles


def catalogue(styles: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Styles of one to three articles, two in three of them labelled."""
    draws = np.random.default_rng(seed)
    sizes = draws.integers(1, 4, styles)
    codes = np.repeat([f"s{number}" for number in range(styles)], sizes)
    articles = pd.DataFrame({"article_id": [f"a{n}" for n in range(len(codes))], "product_code": codes}).astype("str")
    labelled = articles[draws.random(len(articles)) < 2 / 3]
    values = draws.choice(["red", "blue"], len(labelled))
    labels = labelled[["article_id"]].assign(attribute="colour", value=values).astype("str")
    return articles, labels


def judges(
    articles: pd.DataFrame, labels: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, seed: int
) -> tuple[set[str], set[str]]:
    """The articles by which the daily model is really judged, and those by which it really stops and calibrates."""
    seen: dict[str, set[str]] = {}
    validation = AttributeModel._validation

    def spy(given: Articles, labelled: np.ndarray, config: AttributeConfig) -> np.ndarray:
        rows = validation(given, labelled, config)
        seen["validated"] = set(given.names[rows])
        return rows

    def judge(_model: AttributeModel, unseen: Articles, _labels: pd.DataFrame) -> pd.DataFrame:
        seen["tested"] = set(unseen.names)
        return pd.DataFrame()

    monkeypatch.setattr(AttributeModel, "_validation", staticmethod(spy))
    monkeypatch.setattr(AttributeModel, "_train", lambda *_: None)
    monkeypatch.setattr(evaluation_module, "evaluate", judge)
    fit_and_evaluate(articles, labels, AttributeConfig(seed=seed), seed=seed)
    return seen["tested"], seen["validated"]


@pytest.mark.parametrize("seed", [0, 3])
def test_every_article_that_judges_is_reserved(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    articles, labels = catalogue(200)
    tested, validated = judges(articles, labels, monkeypatch, seed)
    assert tested
    assert validated
    kept_back = held_out_articles(articles, labels, AttributeConfig(seed=seed), seed=seed)
    assert tested | validated <= set(articles.loc[kept_back, "article_id"])
    assert kept_back.mean() < 0.3


def test_whole_styles_are_reserved_where_all_is_labelled() -> None:
    articles, _ = catalogue(200)
    labels = articles[["article_id"]].assign(attribute="colour", value="red")
    kept_back = held_out_articles(articles, labels)
    styles = articles["product_code"]
    assert not set(styles[kept_back]) & set(styles[~kept_back])


def test_articles_that_come_later_hardly_move_the_limits() -> None:
    """What was free to be learned from at first does not judge a tenth more articles and labels later."""
    articles, labels = catalogue(1_000)
    first = articles[articles["product_code"].str[1:].astype(int) < 900]
    free = set(
        first.loc[~held_out_articles(first, labels[labels["article_id"].isin(first["article_id"])]), "article_id"]
    )
    tested = holdout(articles, 0.1)
    labelled = articles[~tested & articles["article_id"].isin(labels["article_id"])]
    validated = labelled[holdout(labelled, 0.1, purpose="validation")]
    judging = {*articles.loc[tested, "article_id"], *validated["article_id"]}
    assert len(judging & free) <= 0.01 * len(judging)


def test_a_share_of_nothing_reserves_nothing() -> None:
    articles, labels = catalogue(50)
    none = AttributeConfig(validation_share=0)
    assert not held_out_articles(articles, labels, none, test_share=0).any()
    assert not held_out_articles(articles, labels.head(0), none, test_share=0).any()
