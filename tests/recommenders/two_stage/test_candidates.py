"""The table of candidates, the sources, recall and the oracle, counted by hand."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.interactions import Interactions
from atelier.recommenders.two_stage.candidate_recall import candidate_recall
from atelier.recommenders.two_stage.candidates import Candidates
from atelier.recommenders.two_stage.moment import Moment, source_names
from atelier.recommenders.two_stage.sources import (
    OwnArticles,
    bought_together,
    content_neighbours,
    popular,
    popular_by_age,
    same_style,
)
from atelier.recommenders.two_stage.two_stage_config import TwoStageConfig
from atelier.search.ragged import Ranked
from tests.recommenders.two_stage.worlds import ARTICLE_IDS, CUSTOMERS, inputs

A, B, C, D, E, F = range(6)
ALL = np.ones(6, dtype=bool)
EVERYBODY = np.arange(4)


def ranked(*lists: list[int]) -> Ranked:
    """Lists of articles, scored 1, 1/2, 1/3 and so on."""
    k = max(map(len, lists))
    codes = np.array([each + [-1] * (k - len(each)) for each in lists], dtype=np.int32)
    return Ranked(codes, np.broadcast_to((1 / np.arange(1, k + 1)).astype(np.float32), codes.shape))


def lists_of(found: Ranked) -> list[list[int]]:
    return [[int(code) for code in row if code >= 0] for row in found.codes]


def test_lists_are_merged_and_each_article_stands_once() -> None:
    merged = Candidates.merged({"one": ranked([A, B], [C]), "two": ranked([B], [])}, 6, 10)
    assert list(zip(merged.rows.tolist(), merged.codes.tolist(), strict=True)) == [(0, A), (0, B), (1, C)]
    np.testing.assert_array_equal(merged.ranks, np.array([[1, np.nan], [2, 1], [1, np.nan]], np.float32))
    np.testing.assert_array_equal(merged.scores, np.array([[1, np.nan], [0.5, 1], [1, np.nan]], np.float32))
    np.testing.assert_allclose(merged.fused(), [1 / 61, 1 / 62 + 1 / 61, 1 / 61])
    assert merged.of_source("two").tolist() == [False, True, False]


def test_every_source_gives_its_first_articles_to_a_short_table() -> None:
    """Two sources agree on a, b, c; the third alone has e: of two candidates it gives one."""
    lists = {"one": ranked([A, B, C]), "two": ranked([A, B, C]), "three": ranked([E, D])}
    assert Candidates.merged(lists, 6, 2).codes.tolist() == [A, E]
    assert Candidates.merged(lists, 6, 3).codes.tolist() == [A, B, E]


@given(
    st.lists(
        st.lists(st.lists(st.integers(0, 5), unique=True, max_size=5), min_size=3, max_size=3), min_size=1, max_size=4
    ),
    st.integers(1, 6),
)
def test_merging_loses_nothing_and_repeats_nothing(lists: list[list[list[int]]], limit: int) -> None:
    sources = {f"s{place}": ranked(*each) for place, each in enumerate(lists)}
    merged = Candidates.merged(sources, 6, limit)
    for customer in range(3):
        mine = merged.codes[merged.rows == customer].tolist()
        everything = {code for each in lists for code in each[customer]}
        assert len(set(mine)) == len(mine) == min(limit, len(everything))
        assert set(mine) <= everything
    assert merged.rows.tolist() == sorted(merged.rows.tolist())


def test_the_table_has_null_where_a_source_does_not_list() -> None:
    merged = Candidates.merged({"one": ranked([A, B]), "two": ranked([B])}, 6, 10)
    batch = merged.batch(pa.array(["u"], pa.large_string()), ARTICLE_IDS)
    assert batch.to_pydict() == {
        "customer_id": ["u", "u"],
        "article_id": ["a", "b"],
        "rank_one": [1, 2],
        "score_one": [1.0, 0.5],
        "rank_two": [None, 1],
        "score_two": [None, 1.0],
    }


def test_own_articles_come_the_last_first() -> None:
    found = OwnArticles(inputs().histories, ALL).lists(EVERYBODY, 3)
    assert lists_of(found) == [[D, A], [C, A], [E], []]
    assert found.scores[0].tolist() == [1, 0.5, 0]
    no_d = OwnArticles(inputs().histories, np.arange(6) != D).lists(EVERYBODY, 3)
    assert lists_of(no_d)[0] == [A]


def test_the_same_style_is_another_article_that_sells() -> None:
    """B is of the style of a, f of that of d, but neither sells; so does a for a customer of b."""
    made = inputs()
    assert (
        lists_of(same_style(made.histories, made.groups.style, made.snapshot, ALL, 5).lists(EVERYBODY, 3)) == [[]] * 4
    )
    made.snapshot.sold[2][[B, F]] = [0.5, 0.25]
    found = same_style(made.histories, made.groups.style, made.snapshot, ALL, 5).lists(EVERYBODY, 3)
    assert lists_of(found) == [[B, F], [B], [], []]
    # b: weight .5 / 2 at place 1 of u's articles, f: .25 / 2 at place 0
    np.testing.assert_allclose(found.scores[0, :2], [0.125, 0.125])


def test_what_was_bought_together_follows_the_graph() -> None:
    made = inputs()
    found = bought_together(made.histories, made.snapshot, ALL).lists(EVERYBODY, 3)
    # u: d leads to a (1); a, in second place, to c and d (1/2 each, halved)
    assert lists_of(found) == [[A, C, D], [C, D], [], []]
    np.testing.assert_allclose(found.scores[0], [1, 0.25, 0.25])


def test_near_by_content_is_only_what_nobody_chose_yet() -> None:
    """Nobody chose b and f; b points the way of a, six tenths of the way of c, and across d and e; f has no content."""
    made = inputs()
    groups = made.groups.with_nearest(np.array([A, C, D, E], dtype=np.int32), ALL, 6)
    found = content_neighbours(made.histories, groups, made.snapshot, ALL).lists(EVERYBODY, 3)
    assert lists_of(found) == [[B], [B], [], []]
    # u: a in second place, 1 / 2; v: c in first place, .6, and a in second place
    np.testing.assert_allclose(found.scores[:2, 0], [0.5, 1.1], rtol=1e-6)
    not_allowed = content_neighbours(made.histories, groups, made.snapshot, np.arange(6) != B)
    assert lists_of(not_allowed.lists(EVERYBODY, 3)) == [[]] * 4


def test_the_nearest_are_the_first_of_those_that_are_listed() -> None:
    groups = inputs().groups.with_nearest(np.array([A, D, F], dtype=np.int32), np.isin(np.arange(6), [B, C, E]), 1)
    assert groups.near_starts.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert groups.near_codes.tolist() == [B, E]
    np.testing.assert_allclose(groups.near_cosines, [1, 1], rtol=1e-6)


def test_popular_in_a_window_and_in_an_age_group() -> None:
    made = inputs()
    assert lists_of(popular(0, made.snapshot, ALL, 5).lists(EVERYBODY, 2)) == [[A, C]] * 4
    assert lists_of(popular(1, made.snapshot, ALL, 5).lists(np.array([0]), 5)) == [[A, C, D, E]]
    by_age = popular_by_age(made.histories, made.snapshot, ALL, 5).lists(EVERYBODY, 5)
    assert lists_of(by_age) == [[A, D], [A, C], [E], [A, D]]


def test_recall_by_source_and_the_oracle() -> None:
    made = inputs()
    config = TwoStageConfig(recommenders=(), candidates=3, age="age")
    moment = Moment.of(made, {}, ALL, config)
    assert tuple(source.name for source in moment.sources) == source_names(config)
    truth = pd.DataFrame(
        {
            "customer_id": ["u", "u", "u", "x", "new"],
            "article_id": ["a", "a", "f", "e", "a"],
            "occurred_at": "2020-03-05",
        }
    )
    table = candidate_recall(moment, Interactions.from_frame(truth), CUSTOMERS, ARTICLE_IDS)
    cells = table.set_index(["customer_id", "source"])
    assert cells.loc[("u", "own"), ["recall", "oracle"]].tolist() == [0.5, 0.5]
    assert cells.loc[("u", "merged"), "recall"] == 0.5
    assert cells.loc[("x", "merged"), ["recall", "candidates"]].tolist() == [0, 3]
    assert cells.loc[("new", "merged"), ["recall", "candidates"]].tolist() == [0, 0]
    assert (table["recall"].between(0, 1)).all()


def test_the_oracle_divides_by_what_twelve_places_can_hold() -> None:
    made = inputs()
    moment = Moment.of(made, {}, ALL, TwoStageConfig(recommenders=(), candidates=6))
    truth = pd.DataFrame({"customer_id": ["u"] * 5, "article_id": list("abcde"), "occurred_at": "2020-03-05"})
    table = candidate_recall(moment, Interactions.from_frame(truth), CUSTOMERS, ARTICLE_IDS)
    merged = table[table["source"] == "merged"].iloc[0]
    assert merged["recall"] == pytest.approx(4 / 5)
    assert merged["oracle"] == pytest.approx(4 / 5)
