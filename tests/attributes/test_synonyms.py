"""Words that labels teach: which, how strongly, and never from the article that they are read for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from atelier.articles.table import Articles
from atelier.attributes import AttributeConfig
from atelier.attributes.labels import Heads
from atelier.attributes.mention_features import FEATURES, MentionReader
from atelier.attributes.mentions import read_words
from atelier.attributes.network.architecture import MENTION_WEIGHTS
from atelier.attributes.synonyms import SMOOTHING, LearnedSynonyms, Phrases, _strongest, cross_fitted_evidence

TEXTS = ["soft merino", "merino knit", "fine merino", "soft flax", "flax weave", "cool flax", "nothing said"]
TARGETS = np.array([[1], [1], [1], [0], [0], [0], [-1]])
HEADS = Heads.fit(pd.DataFrame({"attribute": "material", "value": ["linen"] * 3 + ["wool"] * 3}), 1)


def read(texts: list[str]) -> list:
    return [read_words(pa.array(texts, pa.string()))]


def test_what_a_word_speaks_for_by_hand() -> None:
    phrases = Phrases.of(read(TEXTS))
    learned = LearnedSynonyms.fit(phrases, TARGETS, HEADS)
    assert learned.phrases.to_pylist() == ["flax", "merino"], "soft speaks for neither, the others stand once"
    share = (3 + SMOOTHING * 0.5) / (3 + SMOOTHING)
    share -= np.sqrt(share * (1 - share) / (3 + SMOOTHING))
    weight = np.log(share / (1 - share)) - np.log(0.5 / 0.5)
    assert learned.weights.toarray() == pytest.approx(np.array([[weight, 0], [0, weight]]))
    found = learned.evidence(read(["Merino, flax and merino", "Wear it with flax", "no merino", ""])).toarray()
    assert found == pytest.approx(np.array([[weight, weight], [0, 0], [0, 0], [0, 0]]))


def test_pairs_of_words_may_speak_where_single_ones_do_not() -> None:
    texts = ["polka dot"] * 3 + ["dot matrix", "polka band", "plain"]
    heads = Heads.fit(pd.DataFrame({"attribute": "pattern", "value": ["dots"] * 3 + ["none"] * 3}), 1)
    learned = LearnedSynonyms.fit(Phrases.of(read(texts)), np.array([[0]] * 3 + [[1]] * 3), heads)
    weights = dict(zip(learned.phrases.to_pylist(), learned.weights.toarray()[:, 0], strict=True))
    assert weights["polka dot"] == max(weights.values())
    assert weights["polka dot"] > weights.get("polka", 0.0)


def test_a_word_that_stands_with_a_value_a_little_more_often_than_not_says_nothing() -> None:
    texts = ["soft"] * 20 + ["hard"] * 20
    targets = np.array([[0]] * 11 + [[1]] * 9 + [[0]] * 9 + [[1]] * 11)
    learned = LearnedSynonyms.fit(Phrases.of(read(texts)), targets, HEADS)
    assert learned.weights.nnz == 0


def test_an_article_is_never_read_with_what_its_own_style_taught() -> None:
    """The word of one style gives its labels away to a reader who learned from it, and to no other."""
    texts = ["zebra"] * 4 + ["merino"] * 4
    targets = np.array([[1]] * 4 + [[0], [0], [0], [0]])
    styles = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    phrases = Phrases.of(read(texts))
    cross = cross_fitted_evidence(phrases, targets, HEADS, styles).toarray()
    assert (cross[:4] == 0).all()
    assert (cross[4:, 0] > 0).all()
    assert (LearnedSynonyms.fit(phrases, targets, HEADS).evidence(read(texts)).toarray()[:4, 1] > 0).all()


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5),
    st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=3, max_size=3), min_size=4, max_size=4),
)
def test_the_strongest_phrase_counts(texts: list[list[bool]], weights: list[list[float]]) -> None:
    has, worth = np.array(texts), np.array(weights, np.float32)
    found = _strongest(csr_array(has), csr_array(worth)).toarray()
    assert (found == (has[:, :, None] * worth[None]).max(axis=1)).all()


def articles(count: int = 60) -> tuple[Articles, np.ndarray]:
    """Wool is called merino or wool, linen flax or linen; every third article is unlabelled."""
    places = np.arange(count)
    called = np.array(["flax", "linen", "merino", "wool"])[places % 4]
    frame = pd.DataFrame({"article_id": [f"a{place:03}" for place in places], "name": called, "description": "A knit"})
    targets = np.where(places % 3 == 0, -1, (places % 4) // 2)[:, None]
    return Articles.from_frame(frame), targets.astype(np.int64)


def test_the_features_stand_beside_each_other_and_come_back_from_disk(tmp_path: Path) -> None:
    assert len(FEATURES) == len(MENTION_WEIGHTS)
    told, targets = articles()
    training = np.flatnonzero(targets[:, 0] >= 0)
    config = AttributeConfig()
    reader, features = MentionReader.fit(told, targets, training, HEADS, config)
    cells = features.toarray().reshape(len(told), 2, len(FEATURES))
    assert cells[3, 1, :3].tolist() == [1, 0, 1], "wool is named in the name, and nothing else is"
    assert cells[3, 0].tolist() == [0, 0, 0, 0]
    assert cells[2, 1, :3].tolist() == [0, 0, 0], "merino is no name of wool"
    assert cells[2, 1, 3] > 1
    reader.save(tmp_path / "words.parquet", HEADS)
    again = MentionReader.load(tmp_path / "words.parquet", HEADS, config)
    assert (again.read(told).toarray() == reader.read(told).toarray()).all()
    unlabelled = np.setdiff1d(np.arange(len(told)), training)
    assert (reader.read(told).toarray()[unlabelled] == features.toarray()[unlabelled]).all()


def test_labels_of_other_rows_are_not_looked_at() -> None:
    told, targets = articles()
    training = np.flatnonzero(targets[:, 0] >= 0)[:30]
    other = targets.copy()
    other[np.setdiff1d(np.arange(len(told)), training)] = 0
    one, another = (MentionReader.fit(told, each, training, HEADS, AttributeConfig())[1] for each in (targets, other))
    assert (one.toarray() == another.toarray()).all()


def test_articles_without_texts_or_labels_have_features_of_nothing() -> None:
    frame = Articles.from_frame(pd.DataFrame({"article_id": ["a", "b"]}))
    reader, features = MentionReader.fit(frame, np.array([[0], [1]]), np.array([0, 1]), HEADS, AttributeConfig())
    assert features.shape == (2, 2 * len(FEATURES))
    assert features.nnz == 0
    assert reader.read(frame).nnz == 0
