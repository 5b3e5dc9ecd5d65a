"""The boosted ranker: it learns an order, and its text is its bundle."""

from hashlib import sha256

import numpy as np
import pytest

from atelier.bundles import Array
from atelier.errors import BundleError
from atelier.recommenders.two_stage.examples import Examples
from atelier.recommenders.two_stage.ranker import BoostedRanker
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig

CONFIG = TwoStageConfig(trees=20, min_examples_in_leaf=5, threads=1, feature_fraction=1.0)
NAMES = ("useful", "noise")


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Lists of eight, in each of which the row with the greatest first feature is the positive."""
    features = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    labels = np.zeros((50, 8), np.int8)
    labels[np.arange(50), features[:, 0].reshape(50, 8).argmax(axis=1)] = 1
    return Examples(features, labels.ravel(), np.full(50, 8), np.arange(50))


def test_the_positive_comes_first(examples: Examples) -> None:
    ranker = BoostedRanker.trained(examples, NAMES, CONFIG)
    scores = ranker.scores(examples.features).reshape(50, 8)
    assert (scores.argmax(axis=1) == examples.labels.reshape(50, 8).argmax(axis=1)).mean() > 0.9
    gains = ranker.gains()
    assert gains["useful"] > 3 * gains["noise"]


def test_equal_examples_give_equal_text_and_equal_scores(examples: Examples) -> None:
    one, two = (BoostedRanker.trained(examples, NAMES, CONFIG) for _ in range(2))
    np.testing.assert_array_equal(one.arrays()["trees"], two.arrays()["trees"])
    again = BoostedRanker.from_arrays(one.arrays(), NAMES, threads=2)
    np.testing.assert_array_equal(again.scores(examples.features), one.scores(examples.features))
    np.testing.assert_array_equal(again.arrays()["trees"], one.arrays()["trees"])
    assert b"num_threads" not in one.arrays()["trees"].tobytes()


def test_no_rows_have_no_scores(examples: Examples) -> None:
    ranker = BoostedRanker.trained(examples, NAMES, CONFIG)
    assert ranker.scores(examples.features[:0]).shape == (0,)
    assert ranker.contributions(examples.features[:0]).shape == (0, 2)


def held(text: bytes, digest_of: bytes | None = None) -> dict[str, Array]:
    """The arrays of a bundle with this text and the digest of it, or of another."""
    digest = sha256(text if digest_of is None else digest_of).digest()
    return {"trees": np.frombuffer(text, np.uint8), "trees_sha256": np.frombuffer(digest, np.uint8)}


@pytest.mark.parametrize("text", [b"no trees", b"\xff\xfe", b"tree\nversion=v4"])
def test_what_is_no_model_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError, match=r"cannot be read.*train the model again"):
        BoostedRanker.from_arrays(held(text), NAMES, 1)


@pytest.fixture(scope="module")
def saved(examples: Examples) -> bytes:
    return BoostedRanker.trained(examples, NAMES, CONFIG).arrays()["trees"].tobytes()


@pytest.mark.parametrize("percent", [0, 20, 50, 70, 90, 99])
def test_trees_that_were_cut_off_are_refused_before_lightgbm_reads_them(saved: bytes, percent: int) -> None:
    """LightGBM itself ends the process on some of them."""
    with pytest.raises(BundleError, match=r"not those that were saved: train the model again"):
        BoostedRanker.from_arrays(held(saved[: len(saved) * percent // 100], saved), NAMES, 1)


@pytest.mark.parametrize("field", [b"num_leaves=", b"left_child=", b"split_feature="])
def test_trees_that_were_changed_are_refused_before_lightgbm_reads_them(saved: bytes, field: bytes) -> None:
    changed = saved.replace(field, field + b"9", 1)
    assert changed != saved
    with pytest.raises(BundleError, match=r"not those that were saved: train the model again"):
        BoostedRanker.from_arrays(held(changed, saved), NAMES, 1)


def test_trees_without_their_digest_are_refused(saved: bytes) -> None:
    with pytest.raises(BundleError, match=r"without their digest: train the model again"):
        BoostedRanker.from_arrays({"trees": np.frombuffer(saved, np.uint8)}, NAMES, 1)


def test_another_number_of_features_is_refused(examples: Examples) -> None:
    text = BoostedRanker.trained(examples, NAMES, CONFIG).arrays()
    with pytest.raises(BundleError, match="read 2 features, this version makes 3"):
        BoostedRanker.from_arrays(text, (*NAMES, "third"), 1)
