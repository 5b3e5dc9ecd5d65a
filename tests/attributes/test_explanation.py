"""Why a model says what it says: against the obvious version, and on articles that lack something."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.articles.errors import ArticlesError
from atelier.articles.table import CATEGORIES
from atelier.attributes import AttributeConfig, AttributeModel
from atelier.attributes.explanation import REMOVALS, WHOLE_MODALITIES, ExplanationError, explain, words_read
from atelier.attributes.lineage import DECIDERS

TOKENS = 8


@pytest.fixture(scope="module")
def model(planted) -> AttributeModel:
    config = AttributeConfig(
        image_units=16,
        filters=16,
        text_units=16,
        token_dim=8,
        brand_dim=2,
        joint_units=32,
        tokens=TOKENS,
        batch_size=16,
        max_epochs=12,
        learning_rate=0.01,
        precision="float32",
        mentions=False,
    )
    return AttributeModel(config).fit(planted.articles, planted.labels)


@pytest.fixture(scope="module")
def told(planted, model) -> AttributeModel:
    """A model that is told which values the text names."""
    config = model.config.model_copy(update={"mentions": True})
    return AttributeModel(config).fit(planted.articles, planted.labels)


def probability(model: AttributeModel, article: pd.DataFrame, attribute: str) -> dict[str, float]:
    """The probabilities of an attribute's values for the one article."""
    found = model.predict_proba(article)
    place = found.attributes.index(attribute)
    return dict(zip(found.values[place], found.matrices[place][0].astype(float), strict=True))


def without(article: pd.DataFrame, removed: str) -> pd.DataFrame:
    changed = article.copy()
    if removed == "photographs":
        changed["embeddings"] = [[]]
    elif removed == "text":
        changed["text"] = ""
    else:
        changed[list(CATEGORIES) if removed == "metadata" else [removed]] = None
    return changed


@pytest.mark.parametrize("attribute", ["colour", "neckline", "sleeve"])
def test_it_equals_the_obvious_version(planted, model, attribute: str) -> None:
    for row in (0, 17, 101):
        article = planted.articles.iloc[[row]]
        found = explain(model, article, attribute)
        own = probability(model, article, attribute)
        assert own[found.value] == max(own.values()) == pytest.approx(found.probability, abs=1e-6)
        assert (found.best, found.best_probability) == (found.value, found.probability)
        assert [removal.removed for removal in found.removals] == list(REMOVALS)
        for removal in found.removals:
            then = probability(model, without(article, removal.removed), attribute)
            assert removal.probability == pytest.approx(then[found.value], abs=1e-6)
            assert removal.confidence == pytest.approx(max(then.values()), abs=1e-6)
            assert removal.value == max(then, key=lambda value: then[value])
            assert removal.weight == pytest.approx(own[found.value] - then[found.value], abs=1e-6)
        words = article["text"].iloc[0].split()[:TOKENS]
        assert list(found.words) == words
        assert sorted(each.word for each in found.weights) == sorted(set(words))
        for each in found.weights:
            kept = " ".join(word for word in words if word != each.word)
            then = probability(model, article.assign(text=kept), attribute)
            assert each.probability == pytest.approx(then[found.value], abs=1e-6)
            assert each.weight == pytest.approx(own[found.value] - then[found.value], abs=1e-6)
        assert [each.weight for each in found.weights] == sorted((e.weight for e in found.weights), reverse=True)


@pytest.mark.parametrize(
    ("attribute", "decides"), [("colour", "photographs"), ("neckline", "text"), ("sleeve", "metadata")]
)
def test_what_holds_the_information_decides(planted, model, attribute: str, decides: str) -> None:
    found = [explain(model, planted.articles.iloc[[row]], attribute) for row in range(0, 60, 3)]
    decided = [each.decided for each in found]
    assert decided.count(decides) > 2 / 3 * len(decided), decided


def test_the_words_that_say_it_weigh_most(planted, model) -> None:
    found = [explain(model, planted.articles.iloc[[row]], "neckline") for row in range(0, 60, 3)]
    telling = [each.weights[0].word in {"round", "deep", "v", "turtle"} for each in found]
    assert sum(telling) >= 0.9 * len(telling)


def test_any_value_can_be_explained(planted, model) -> None:
    article = planted.articles.iloc[[3]]
    own = probability(model, article, "colour")
    least = min(own, key=lambda value: own[value])
    found = explain(model, article, "colour", least)
    assert found.value == least
    assert found.probability == pytest.approx(own[least], abs=1e-6)
    assert found.best != least
    assert found.best_probability == pytest.approx(max(own.values()), abs=1e-6)


def test_words_beyond_those_read_weigh_nothing_and_do_not_move_up(planted, model) -> None:
    article = planted.articles.iloc[[5]]
    ordinary = explain(model, article, "neckline")
    text = article["text"].iloc[0]
    assert len(text.split()) == TOKENS
    longer = explain(model, article.assign(text=f"{text} with turtle neck turtle"), "neckline")
    assert longer.unread == 4
    assert longer.words == ordinary.words
    assert longer.probability == pytest.approx(ordinary.probability, abs=1e-6)
    assert [w.word for w in longer.weights] == [w.word for w in ordinary.weights]
    assert [w.weight for w in longer.weights] == pytest.approx([w.weight for w in ordinary.weights], abs=1e-6)


def test_a_word_is_dropped_with_all_its_occurrences(planted, model) -> None:
    article = planted.articles.iloc[[5]].assign(text="Turtle, round neck; TURTLE.")
    found = explain(model, article, "neckline")
    assert found.words == ("turtle", "round", "neck", "turtle")
    (turtle,) = [each for each in found.weights if each.word == "turtle"]
    then = probability(model, article.assign(text="round neck"), "neckline")
    assert turtle.occurrences == 2
    assert turtle.probability == pytest.approx(then[found.value], abs=1e-6)


def test_an_article_with_nothing_but_an_id(model) -> None:
    found = explain(model, pd.DataFrame({"article_id": ["new"]}), "colour")
    assert not any(removal.present for removal in found.removals)
    assert [removal.weight for removal in found.removals] == pytest.approx([0.0] * len(REMOVALS), abs=1e-6)
    assert (found.words, found.weights, found.unread) == ((), (), 0)


def test_what_an_article_lacks_is_said(planted, model) -> None:
    article = planted.articles.iloc[[0]].assign(brand=None, embeddings=[[]])
    found = {each.removed: each for each in explain(model, article, "sleeve").removals}
    assert {name: each.present for name, each in found.items()} == {
        "photographs": False,
        "text": True,
        "metadata": True,
        "product_type": True,
        "brand": False,
        "division": False,
    }
    assert found["brand"].weight == pytest.approx(0.0, abs=1e-6)


def test_name_and_description_are_the_text_where_there_is_no_other(planted, model) -> None:
    article = planted.articles.iloc[[0]]
    text = article["text"].iloc[0]
    named = article.drop(columns="text").assign(name=text[:9], description=text[9:])
    assert explain(model, named, "neckline").words == explain(model, article, "neckline").words


def test_an_arrow_table_gives_the_same(planted, model) -> None:
    article = planted.articles.iloc[[2]]
    vectors = pa.array([article["embeddings"].iloc[0].tolist()], pa.list_(pa.list_(pa.float32())))
    table = pa.Table.from_pandas(article.drop(columns="embeddings")).append_column("embeddings", vectors)
    assert explain(model, table, "colour") == explain(model, article, "colour")


def test_what_the_model_does_not_know_is_named(planted, model) -> None:
    article = planted.articles.iloc[[0]]
    with pytest.raises(ExplanationError, match="no head for 'hem'; it predicts: colour, neckline, sleeve"):
        explain(model, article, "hem")
    with pytest.raises(ExplanationError, match="no value 'puce' of 'colour'; it knows: colour 0"):
        explain(model, article, "colour", "puce")
    with pytest.raises(ArticlesError, match="2 articles"):
        explain(model, planted.articles.iloc[:2], "colour")
    unlabelled = AttributeModel(AttributeConfig(min_samples=10_000)).fit(planted.articles, planted.labels)
    with pytest.raises(ExplanationError, match="it predicts: none"):
        explain(unlabelled, article, "colour")


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_the_words_read_once_more_are_the_same(model: Any, text: str) -> None:
    """Of the words that are read a text is made again, which is the reference for each that is dropped."""
    read, unread = words_read(model, text)
    assert len(read) <= TOKENS
    assert unread == 0 or len(read) == TOKENS
    assert words_read(model, " ".join(read)) == (read, 0)


def test_every_modality_has_a_name_in_sentences() -> None:
    assert set(DECIDERS) == set(WHOLE_MODALITIES)


def test_a_named_value_is_decided_by_its_words_wherever_they_stand(told) -> None:
    """The words stand behind the eight that the convolution reads, and in another sentence than the pairing."""
    name = "Number one with nothing in its name to tell it"
    text = "Wear it with a deep v neck. It has a turtle neck."
    article = pd.DataFrame({"article_id": ["x"], "name": [name], "description": [text]})
    found = explain(told, article, "neckline")
    assert (found.value, found.decided, found.unread) == ("turtle neck", "text", 0)
    assert "turtle" in {weight.word for weight in found.weights[:2]}, "the other is the word that begins the pairing"
    assert found.probability == pytest.approx(probability(told, article, "neckline")["turtle neck"], abs=1e-6)
    only = explain(told, article.assign(name=None, description="A turtle-neck"), "neckline")
    assert only.words == ("a", "turtle", "neck")
