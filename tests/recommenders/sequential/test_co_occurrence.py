"""What counts add to the scores of sequence models, against slow and obvious versions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from atelier.recommenders import build
from atelier.recommenders.sequential.co_occurrence import (
    DECAY,
    OTHERS,
    OWN,
    READ,
    WINDOW,
    Choices,
    CoOccurrence,
    _likeliest,
    evidence,
    fitted,
    following,
    following_now,
    near,
    ranked_with,
)
from atelier.recommenders.sequential.model import SequenceRecommender
from atelier.recommenders.training_data.sequences import Histories
from atelier.search.exact import ExactTopK
from atelier.search.ragged import Pairs

ARTICLES = 12
histories_strategy = st.lists(st.lists(st.integers(0, ARTICLES - 1), max_size=30), min_size=1, max_size=8)


def histories(lists: list[list[int]]) -> Histories:
    starts = np.cumsum([0, *map(len, lists)]).astype(np.int64)
    articles = np.array([article for each in lists for article in each], dtype=np.int32)
    return Histories(starts, articles, np.zeros(len(articles), np.uint8), np.zeros(len(articles), np.uint8))


def cosines_of(lists: list[list[int]], neighbours: int) -> csr_matrix:
    return near(following(histories(lists), ARTICLES), neighbours)


def slow_cosines(lists: list[list[int]]) -> np.ndarray[Any, Any]:
    counts = np.zeros((ARTICLES, ARTICLES))
    for each in lists:
        for place, article in enumerate(each):
            for other in each[max(0, place - WINDOW) : place]:
                counts[article, other] += 1
                counts[other, article] += 1
    totals = np.maximum(counts.sum(axis=1), 1)
    found: np.ndarray[Any, Any] = counts / np.sqrt(np.outer(totals, totals))
    return found


def slow_evidence(cosines: np.ndarray[Any, Any], history: list[int]) -> tuple[Any, Any, Any]:
    others, own, newest = np.zeros(ARTICLES), np.zeros(ARTICLES), np.zeros(ARTICLES)
    last = history[::-1][:READ]
    total = sum(DECAY**age for age in range(len(last)))
    for age, article in enumerate(last):
        if article == last[0]:
            newest[article] = 1
        else:
            own[article] += DECAY**age / total
        others += cosines[article] * DECAY**age / total
    return np.log1p(OTHERS * others), np.log1p(OWN * own), newest


@given(histories_strategy)
def test_cosines_are_those_of_counting_pairs_one_by_one(lists: list[list[int]]) -> None:
    found = cosines_of(lists, ARTICLES)
    np.testing.assert_allclose(found.toarray(), slow_cosines(lists), rtol=1e-6)


@given(histories_strategy, st.data())
def test_counts_of_longer_histories_are_those_of_counting_all_again(
    lists: list[list[int]], data: st.DataObject
) -> None:
    cut = [each[: data.draw(st.integers(0, len(each)))] for each in lists]
    found = following_now(following(histories(cut), ARTICLES), histories(cut), histories(lists))
    expected = following(histories(lists), ARTICLES)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert found.nnz == expected.nnz


def test_only_the_largest_cosines_are_kept_ties_go_to_the_smaller_number() -> None:
    lists = [[0, 1], [0, 2], [0, 3], [0, 3]]
    kept = cosines_of(lists, 2).toarray()
    assert np.flatnonzero(kept[0]).tolist() == [1, 3]
    assert kept[0, 1] == pytest.approx(1 / 2)  # C_01 is 1, C_0 is 4, C_1 is 1
    assert np.flatnonzero(kept[3]).tolist() == [0]


@given(histories_strategy)
def test_evidence_is_that_of_adding_up_one_by_one(lists: list[list[int]]) -> None:
    cosines = slow_cosines([[0, 1, 2, 3, 1], [4, 5, 0], [7, 7, 8]])
    found = [each.toarray() for each in evidence(csr_matrix(cosines.astype(np.float32)), histories(lists))]
    for row, history in enumerate(lists):
        for part, expected in zip(found, slow_evidence(cosines, history), strict=True):
            np.testing.assert_allclose(part[row], expected, rtol=1e-5, atol=1e-6)


@given(
    lists=histories_strategy,
    weights=st.tuples(*[st.floats(-3, 3, width=32)] * 3),
    seed=st.integers(0, 1000),
    k=st.integers(1, ARTICLES + 2),
)
def test_lists_are_those_of_sorting_all_scores(
    lists: list[list[int]], weights: tuple[float, ...], seed: int, k: int
) -> None:
    random = np.random.default_rng(seed)
    eligible = np.sort(random.permutation(ARTICLES)[:9]).astype(np.int32)
    vectors = random.integers(-2, 3, (len(eligible), 3)).astype(np.float32)
    customers = random.integers(-2, 3, (len(lists), 3)).astype(np.float32)
    barred = random.random((len(lists), ARTICLES)) < 0.2
    part = CoOccurrence(cosines_of(lists, ARTICLES), np.array(weights, dtype=np.float32))
    whole = np.full((len(lists), ARTICLES), -np.inf, dtype=np.float32)
    whole[:, eligible] = customers @ vectors.T + part.added(histories(lists)).toarray()[:, eligible]
    whole[barred] = -np.inf
    rows, codes = np.nonzero(barred)
    excluded = Pairs(rows.astype(np.int64), codes.astype(np.int32))
    found = ranked_with(part, histories(lists), ExactTopK(vectors, eligible, ARTICLES), customers, k, excluded)
    for row in range(len(lists)):
        expected = [code for code in np.argsort(-whole[row], kind="stable") if whole[row, code] > -np.inf][:k]
        assert found.codes[row].tolist() == expected + [-1] * (k - len(expected))
        np.testing.assert_array_equal(found.scores[row, : len(expected)], whole[row, expected])


def test_what_counts_add_is_a_weighted_sum() -> None:
    lists = [[0, 1, 2, 0, 1], [2, 0], []]
    part = CoOccurrence(cosines_of(lists, ARTICLES), np.array([1.5, -0.5, -2], np.float32))
    added = part.added(histories(lists)).toarray()
    for row, history in enumerate(lists):
        others, own, newest = slow_evidence(slow_cosines(lists), history)
        np.testing.assert_allclose(added[row], 1.5 * others - 0.5 * own - 2 * newest, rtol=1e-5, atol=1e-5)


def test_the_likeliest_weights_are_found() -> None:
    """Choices are drawn with known weights; the found ones are near, and no step beside them is likelier."""
    random = np.random.default_rng(0)
    features = random.normal(size=(3000, 8, 3))
    noise = random.gumbel(size=(3000, 8))  # with it the highest score is chosen as the logit model says
    chosen = (features @ [2.0, 1.0, -0.6] + noise).argmax(axis=1)
    flat = np.zeros((3000, 8), dtype=bool)
    flat[np.arange(3000), chosen] = True

    def loss(weights: np.ndarray[Any, Any]) -> float:
        scores = torch.from_numpy(features @ weights)
        return float(torch.nn.functional.cross_entropy(scores, torch.from_numpy(chosen)))

    weights = _likeliest(features.reshape(-1, 3), np.repeat(np.arange(3000), 8), flat.ravel())
    np.testing.assert_allclose(weights, [0.5, -0.3], atol=0.05)
    best = min(loss(np.array([slope, *(weights * slope)])) for slope in np.linspace(1.8, 2.2, 41))
    for step in ([0.05, 0], [-0.05, 0], [0, 0.05], [0, -0.05]):
        beside = weights + np.array(step)
        assert min(loss(np.array([slope, *(beside * slope)])) for slope in np.linspace(1.8, 2.2, 41)) > best


def test_too_few_choices_give_no_part() -> None:
    lists = [[0, 1, 2]] * 20
    vectors = np.eye(ARTICLES, dtype=np.float32)
    search = ExactTopK(vectors, np.arange(ARTICLES, dtype=np.int32), ARTICLES)
    choices = Choices(histories(lists), np.full(20, 3, np.int32), np.ones((20, ARTICLES), np.float32))
    assert fitted(cosines_of(lists, 5), choices, search) is None


#: Of articles, 2j and 2j + 1: more than a network learns in two epochs.
PAIRS = 150
CONFIG: dict[str, Any] = {"mode": "collaborative", "factors": 8, "heads": 2, "max_epochs": 2, "negatives": 50}


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    """A market in which article 2j is followed by 2j + 1."""
    random = np.random.default_rng(1)
    firsts = 2 * random.integers(0, PAIRS, (1500, 3))
    chosen = np.stack((firsts, firsts + 1), axis=2).reshape(1500, 6)
    rows = pd.DataFrame({"customer_id": np.repeat(np.arange(1500), 6), "article_id": chosen.ravel()})
    rows["occurred_at"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.tile(np.arange(6), 1500), "D")
    return rows.astype({"customer_id": "str", "article_id": "str"})


@pytest.fixture(scope="module")
def model(train: pd.DataFrame) -> SequenceRecommender[Any]:
    return build("transformer", **CONFIG).fit(train)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def asked() -> pd.DataFrame:
    """A customer for each first article of a pair."""
    firsts = np.arange(PAIRS) * 2
    asked = pd.DataFrame({"customer_id": [f"new {first}" for first in firsts], "article_id": firsts.astype("str")})
    return asked.assign(occurred_at=pd.Timestamp("2020-02-01"))


def hits(model: Any, asked: pd.DataFrame) -> float:
    lists = model.recommend(k=1, histories=asked)
    following = lists["customer_id"].str.removeprefix("new ").astype(int) + 1
    return float((lists["article_id"].astype(int) == following).mean())


def test_it_knows_pairs_that_the_network_has_not_learned(
    model: SequenceRecommender[Any], train: pd.DataFrame, asked: pd.DataFrame
) -> None:
    alone = build("transformer", **CONFIG, adds_co_occurrence=False).fit(train)
    assert hits(model, asked) > 0.95
    assert hits(alone, asked) < 0.5


def test_a_saved_model_gives_the_same_lists(model: SequenceRecommender[Any], tmp_path: Any) -> None:
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.recommend(k=5), model.recommend(k=5))


def test_the_article_that_led_there_is_the_reason(model: SequenceRecommender[Any], asked: pd.DataFrame) -> None:
    known = model.with_histories(asked.head(4).assign(customer_id="one"))
    lists = known.recommend(k=3)
    assert len(lists)
    for article, reasons in zip(lists["article_id"].astype(int), known.explain(lists).to_pylist(), strict=True):
        assert article % 2, "the second article of a pair"
        assert (reasons[0]["kind"], int(reasons[0]["value"])) == ("article", article - 1)


def test_without_held_out_interactions_nothing_is_added(train: pd.DataFrame) -> None:
    model = build("transformer", **{**CONFIG, "validation_share": 0, "max_epochs": 1}).fit(train)
    assert not any(name.startswith("near.") for name in model.weights)


def test_counts_of_the_held_out_interactions_can_be_left_out(train: pd.DataFrame) -> None:
    """Everybody's last interaction is held out; of every tenth customer its article is nobody else's."""
    last = train.groupby("customer_id").tail(1).iloc[::10]
    odd = train.assign(
        article_id=train["article_id"].where(~train.index.isin(last.index), "last " + train["article_id"])
    )
    settings = CONFIG | {"validation_share": 1.0, "held_out": "interaction", "max_epochs": 1}
    for counted in (True, False):
        model = build("transformer", **settings, counts_held_out=counted).fit(odd)
        lasts = np.array([name.startswith("last ") for name in model.article_ids.values.to_pylist()])
        part = CoOccurrence.of_arrays(model.weights, len(model.article_ids))
        assert part is not None
        assert bool(part.cosines[lasts].nnz) == counted
        assert bool(part.cosines[:, lasts].nnz) == counted


def test_counts_that_make_no_list_better_are_left_out() -> None:
    """The network knows every choice; the counts name others."""
    histories_before = histories([[row % 6] for row in range(300)])
    chosen = np.array([6 + row % 6 for row in range(300)], dtype=np.int32)
    cosines = cosines_of([[0, 1], [2, 3], [4, 5]], 5)
    search = ExactTopK(np.eye(ARTICLES, dtype=np.float32), np.arange(ARTICLES, dtype=np.int32), ARTICLES)
    knows = Choices(histories_before, chosen, 9 * np.eye(ARTICLES, dtype=np.float32)[chosen])
    assert fitted(cosines, knows, search) is None
    knows_nothing = Choices(histories_before, chosen - 6 ^ 1, np.full((300, ARTICLES), 0.1, np.float32))
    weights = fitted(cosines, knows_nothing, search)
    assert weights is not None
    assert weights[0] > 0
