"""Training that starts from another model: what is taken over, what is not, and what it is good for."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from atelier import recommenders
from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.sequential.warm_start import WarmStartError
from tests.recommenders.sequential.circle import ARTICLES, circle
from tests.recommenders.sequential.test_sequential import LEARNS, SMALL, hits

#: Training that moves nothing that can be seen: what is left is what it started from.
STANDS: dict[str, Any] = {"max_epochs": 1, "learning_rate": 1e-9, "embedding_learning_rate": 1e-9, "weight_decay": 0.0}
IDS = [f"a{place:02d}" for place in range(ARTICLES)]
RANDOM = np.random.default_rng(3)
#: Articles of two colours a style; their content says nothing of what comes next.
SOLD = Catalogue.from_frames(
    pd.DataFrame({"article_id": IDS, "product_code": [f"s{place // 2}" for place in range(ARTICLES)]}),
    RANDOM.normal(size=(ARTICLES, 6)).astype(np.float32),
    [f"text: {place}" for place in range(6)],
)


def built(name: str, **config: Any) -> SequenceRecommender[Any]:
    fields: dict[str, Any] = LEARNS | SMALL[name] | config
    model = recommenders.build(name.split()[0], **fields)
    assert isinstance(model, SequenceRecommender)
    return model


@pytest.mark.parametrize("name", ["transformer", "sequencer", "sequencer attention"])
def test_what_was_learned_is_the_start(name: str) -> None:
    """Few customers teach nothing in an epoch that moves nothing; the model that they start from knows the way."""
    before = built(name).fit(circle(300))
    few, truth = Interactions.from_frame(circle(60, seed=7)).leave_last_out()
    alone = built(name, **STANDS).fit(few)
    model = built(name, **STANDS)
    model.warm_start = before
    model.fit(few)
    assert hits(model, few, truth) > 0.8
    assert hits(alone, few, truth) < 0.3


def test_articles_are_matched_by_their_names_and_vectors_are_the_same() -> None:
    before = built("transformer").fit(circle(300))
    half = circle(60, seed=7, articles=ARTICLES // 2)
    half["article_id"] = "a" + (half["article_id"].str[1:].astype(int) + ARTICLES // 2).map("{:02d}".format)
    model = built("transformer", **STANDS)
    model.warm_start = before
    model.fit(Interactions.from_frame(half))
    codes = before.article_ids.encode(model.article_ids.values)
    assert (codes >= ARTICLES // 2).all()
    np.testing.assert_allclose(model.weights["articles"], before.weights["articles"][codes], atol=1e-5)


def test_content_and_styles_are_taken_over_and_add_up() -> None:
    config = {"mode": "hybrid", "hidden": (8,), "content_dropout": 0.0}
    before = built("transformer", **config).fit(circle(300), SOLD)
    model = built("transformer", **config, **STANDS)
    model.warm_start = before
    model.fit(circle(60, seed=7), SOLD)
    for name in ("content.first", "styles.vectors", "articles"):
        np.testing.assert_allclose(model.weights[name], before.weights[name], atol=1e-5, err_msg=name)


def test_an_article_that_was_never_trained_begins_as_in_any_training() -> None:
    train = circle(60, seed=7)
    new = pd.DataFrame({"customer_id": ["n", "n", "n"], "article_id": ["z1", "z2", "z1"]})
    both = Interactions.from_frame(pd.concat([train, new]))
    before = built("transformer").fit(train)
    model, plain = built("transformer", **STANDS), built("transformer", **STANDS)
    model.warm_start = before
    model.fit(both)
    plain.fit(both)
    place = model.article_ids.encode(["z1"])[0]
    np.testing.assert_allclose(model.weights["articles"][place], plain.weights["articles"][place], atol=1e-5)


def test_other_layers_are_named() -> None:
    before = built("transformer").fit(circle(30))
    model = built("transformer", blocks=2)
    model.warm_start = before
    with pytest.raises(WarmStartError, match="layers differ: fit both with the same config"):
        model.fit(circle(30))
    model = built("sequencer")
    model.warm_start = before
    with pytest.raises(WarmStartError, match="layers differ"):
        model.fit(circle(30))


def test_the_same_start_gives_the_same_model_and_leaves_the_first_alone() -> None:
    before = built("transformer").fit(circle(100))
    kept = {name: value.copy() for name, value in before.weights.items()}
    models = []
    for _ in range(2):
        model = built("transformer", max_epochs=2)
        model.warm_start = before
        models.append(model.fit(circle(60, seed=7)))
    for name, value in models[0].weights.items():
        np.testing.assert_array_equal(value, models[1].weights[name])
    for name, value in kept.items():
        np.testing.assert_array_equal(value, before.weights[name])


def test_features_are_matched_by_their_names() -> None:
    """The day after, one word is gone, another is new, and the others stand at other places."""
    config = {"mode": "content", "hidden": (8,), "content_dropout": 0.0}
    before = built("transformer", **config).fit(circle(300), SOLD)
    order = [4, 2, 0, 3, 1]
    assert SOLD.vectors is not None
    vectors = np.concatenate([SOLD.vectors[:, order], RANDOM.normal(size=(ARTICLES, 1)).astype(np.float32)], axis=1)
    later = Catalogue.from_frames(SOLD.frame, vectors, [*(f"text: {place}" for place in order), "text: new"])
    models = []
    for start in (before, None):
        model = built("transformer", **config, **STANDS)
        model.warm_start = start
        models.append(model.fit(circle(60, seed=7), later))
    first = models[0].weights["content.first"]
    np.testing.assert_allclose(first[:5], before.weights["content.first"][order], atol=1e-5)
    np.testing.assert_allclose(first[5], models[1].weights["content.first"][5], atol=1e-5)


def test_content_of_another_length_without_names_is_refused() -> None:
    config = {"mode": "content", "hidden": (8,)}
    before = built("transformer", **config).fit(circle(30), SOLD)
    model = built("transformer", **config)
    model.warm_start = before
    assert SOLD.vectors is not None
    with pytest.raises(WarmStartError, match="content of the same length or with names"):
        model.fit(circle(30), Catalogue.from_frames(SOLD.frame, SOLD.vectors[:, :5]))


def test_a_share_of_the_epochs_is_enough_from_a_model_alone() -> None:
    before = built("transformer", max_epochs=1).fit(circle(60))
    for start, share, epochs in ((None, 0.3, 10), (before, 0.3, 3), (before, 0.01, 1), (before, None, 10)):
        model = built("transformer", max_epochs=10, warm_start=share)
        model.warm_start = start
        assert len(model.fit(circle(60)).epochs) == epochs
