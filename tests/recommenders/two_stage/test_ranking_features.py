"""Features of candidates against values computed by hand, and against a future that must not matter."""

from typing import Any

import numpy as np
import pytest

from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.ranking_features import COUNTS, feature_names, features, tells
from atelier.recommenders.two_stage.two_stage_config import GROUPS
from atelier.search.ragged import Ranked
from tests.recommenders.two_stage.worlds import ROWS, inputs, interactions

A, B, C, D, E, F = range(6)
LISTS = {
    "own": Ranked(np.array([[D, A, -1], [-1, -1, -1]], np.int32), np.array([[1, 0.5, 0], [0, 0, 0]], np.float32)),
    "popular_1": Ranked(np.array([[A, C, F], [A, B, E]], np.int32), np.ones((2, 3), np.float32)),
}
CUSTOMERS = np.array([0, 3])  # u, and x, who has no history


@pytest.fixture(scope="module")
def table() -> dict[tuple[int, int], dict[str, float]]:
    """The features of each (place of the customer, article), by name."""
    candidates = Candidates.merged(LISTS, 6, 10)
    matrix = features(inputs(), CUSTOMERS, candidates, GROUPS)
    names = feature_names(candidates.names, GROUPS)
    assert matrix.shape == (len(candidates), len(names))
    return {
        (int(row), int(code)): dict(zip(names, map(float, values), strict=True))
        for row, code, values in zip(candidates.rows, candidates.codes, matrix, strict=True)
    }


@pytest.mark.parametrize(
    ("article", "expected"),
    [
        (
            A,
            {
                "rank_own": 2,
                "score_own": 0.5,
                "rank_popular_1": 1,
                "sources": 2,
                "own_days": 1,
                "own_times": 2,
                "own_distinct_days": 2,
                "own_not_bought": 0,
                "own_share": 2 / 3,
                "own_last_day": 1,
                "style_days": 1,
                "style_times": 2,
                "type_days": 1,
                "type_times": 2,
                "type_share": 2 / 3,
                "customer_times": 3,
                "customer_articles": 2,
                "customer_days": 1,
                "customer_since": 3,
                "customer_active_days": 2,
                "sold_1": np.log(2),
                "sold_7": np.log(2),
                "trend": 0,
                "type_sold": np.log(1 + 4 / 3),
                "share_of_type": 0.75,
                "sold_in_age_group": np.log(1 + 2 / 3),
                "sold_in_channels": np.log(1 + 2 / 3 * 2 / 3 + 1 / 3 * 1 / 3),
                "first_sold_days": 3,
                "last_sold_days": 1,
                "price": 11,
                "price_against_own": np.log(11 / 14),
                "repurchase": 5 / 22,
                "type_repurchase": 12 / 22,
                "content_mean": 0.5,
                "content_nearest": 0,
            },
        ),
        (
            C,
            {
                "rank_own": np.nan,
                "sources": 1,
                "own_days": np.nan,
                "own_times": 0,
                "own_distinct_days": 0,
                "style_days": np.nan,
                "style_times": 0,
                "type_times": 2,
                "trend": np.log(1.5 / (1 / 3 + 0.5)),
                "price_against_own": np.log(30 / 14),
                "content_mean": 0.7,
                "content_nearest": 0.8,
            },
        ),
        (F, {"style_times": 1, "style_days": 1, "type_times": 0, "type_days": np.nan, "type_repurchase": np.nan}),
        (F, {"price": np.nan, "price_against_own": np.nan, "first_sold_days": np.nan, "share_of_type": np.nan}),
    ],
)
def test_features_by_hand(
    table: dict[tuple[int, int], dict[str, float]], article: int, expected: dict[str, float]
) -> None:
    found = table[0, article]
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-6, nan_ok=True), name


def test_a_customer_without_history_has_only_what_articles_tell(table: dict[tuple[int, int], dict[str, float]]) -> None:
    found = table[1, A]
    assert (found["own_times"], found["customer_times"], found["type_share"]) == (0, 0, 0)
    assert all(np.isnan(found[name]) for name in ("own_days", "customer_days", "content_mean", "price_against_own"))
    assert found["sold_1"] == pytest.approx(np.log(2))


def test_groups_are_left_out_one_by_one(table: dict[tuple[int, int], dict[str, float]]) -> None:
    candidates = Candidates.merged(LISTS, 6, 10)
    for group in GROUPS:
        names = feature_names(candidates.names, (group,))
        matrix = features(inputs(), CUSTOMERS, candidates, (group,))
        expected = [
            [table[int(r), int(c)][name] for name in names]
            for r, c in zip(candidates.rows, candidates.codes, strict=True)
        ]
        np.testing.assert_allclose(matrix, np.array(expected), rtol=1e-6)


@pytest.mark.parametrize(
    "later", [[], [("u", "f", 4, 1.0, "web"), ("x", "a", 5, 900.0, "shop"), ("v", "a", 9, 2.0, "web")]]
)
def test_the_future_changes_no_feature(later: list[Any]) -> None:
    """Whatever follows the moment: the features of the moment are made without it."""
    candidates = Candidates.merged(LISTS, 6, 10)
    data = interactions([*ROWS, *later])
    before = data.occurred_at < np.datetime64("2020-03-04")
    known = data.rows(before).aligned(data.customer_ids, data.article_ids)
    found = features(inputs(known), CUSTOMERS, candidates, GROUPS)
    np.testing.assert_array_equal(found, features(inputs(), CUSTOMERS, candidates, GROUPS))


def test_what_is_unknown_or_never_happened_says_nothing() -> None:
    assert set(feature_names(("own",), GROUPS)) >= COUNTS
    matrix = np.array([[0, 0, 0], [np.nan, np.nan, np.nan], [2, 3, 4]], np.float32)
    said = tells(("own_days", "own_times", "trend"), matrix)
    assert said.tolist() == [[True, False, True], [False] * 3, [True] * 3]
