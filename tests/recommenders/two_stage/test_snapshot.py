"""What is known of articles at a moment, counted by hand."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue import Catalogue
from atelier.ids import IdMap
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.two_stage.histories import UNKNOWN, Histories, Owned, days_between
from atelier.recommenders.two_stage.snapshot import (
    ArticleGroups,
    Snapshot,
    _edges,
    age_groups,
    follow_graph,
    moment_after,
    projected,
    repurchase_rate,
    snapshot,
)
from tests.recommenders.two_stage.worlds import AGES, CHANNELS, ROWS, groups, inputs, interactions

THIRD = 1 / 3


@pytest.fixture(scope="module")
def seen() -> Snapshot:
    return inputs().snapshot


def day(number: int) -> int:
    """Microseconds since 1970 at the first moment of a day of March 2020."""
    return int(np.datetime64(f"2020-03-{number:02d}", "us").astype(np.int64))


def test_the_moment_is_the_next_midnight(seen: Snapshot) -> None:
    assert seen.moment == day(4)
    undated = Interactions.from_frame(pd.DataFrame({"customer_id": ["u"], "article_id": ["a"]}))
    assert moment_after(undated) == UNKNOWN


def test_sales_a_day_go_by_the_days_that_there_are(seen: Snapshot) -> None:
    """Three days of data: a window of 7 days is divided by 3."""
    np.testing.assert_allclose(seen.sold[0], [1, 0, 1, 1, 0, 0])
    for window in (1, 2, 3):
        np.testing.assert_allclose(seen.sold[window], [1, 0, THIRD, THIRD, THIRD, 0], rtol=1e-6)


def test_sales_by_age_group_and_channel(seen: Snapshot) -> None:
    assert age_groups(np.array([19, 20, 25, 60, np.nan], np.float32)).tolist() == [0, 1, 1, 5, 6]
    expected = np.zeros((7, 6))
    expected[1, [0, 3]], expected[2, [0, 2]], expected[6, 4] = [2 / 3, THIRD], [THIRD, THIRD], THIRD
    np.testing.assert_allclose(seen.sold_by_age, expected, rtol=1e-6)
    shop, web = seen.sold_by_channel
    np.testing.assert_allclose(shop, [THIRD, 0, THIRD, THIRD, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(web, [2 / 3, 0, 0, 0, THIRD, 0], rtol=1e-6)


def test_first_and_last_sale_and_price(seen: Snapshot) -> None:
    assert seen.first.tolist() == [day(1), UNKNOWN, day(3), day(3), day(1), UNKNOWN]
    assert seen.last.tolist() == [day(3), UNKNOWN, day(3), day(3), day(1), UNKNOWN]
    np.testing.assert_allclose(seen.price, [11, np.nan, 30, 20, np.nan, np.nan])


def test_repurchase_is_smoothed_by_the_mean(seen: Snapshot) -> None:
    """Of five pairs of customer and article one was chosen on two days; of four of customer and type two."""
    np.testing.assert_allclose(seen.repurchase, [5 / 22, 0.2, 4 / 21, 4 / 21, 4 / 21, 0.2], rtol=1e-6)
    dress, shirt = 12 / 22, 10 / 22
    np.testing.assert_allclose(seen.type_repurchase, [dress, dress, dress, shirt, shirt, np.nan], rtol=1e-6)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=40),
    groups=st.lists(st.integers(-1, 2), min_size=3, max_size=3),
)
def test_repurchase_equals_the_slow_version(rows: list[tuple[int, int, int]], groups: list[int]) -> None:
    frame = pd.DataFrame(
        {
            "customer_id": [f"u{customer}" for customer, _, _ in rows],
            "article_id": [f"a{article}" for _, article, _ in rows],
            "occurred_at": [pd.Timestamp(2020, 3, number, article) for _, article, number in rows],
        }
    )
    known = Interactions.from_frame(frame).aligned(article_ids=IdMap.from_values(["a0", "a1", "a2"]))
    days: dict[tuple[int, int], set[int]] = {}
    for customer, article, number in rows:
        if groups[article] >= 0:
            days.setdefault((customer, groups[article]), set()).add(number)
    mean = sum(len(each) > 1 for each in days.values()) / max(len(days), 1)
    expected = []
    for group in range(3):
        mine = [each for (_, theirs), each in days.items() if theirs == group]
        expected.append((sum(len(each) > 1 for each in mine) + 20 * mean) / (len(mine) + 20))
    found = repurchase_rate(known, np.array(groups, np.int32)[known.articles], 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_graph_follows_time(seen: Snapshot) -> None:
    """U chose d at the time of the second a, so that each leads to the other; v chose c after a, which does not."""
    edges = {
        (source, int(seen.next_codes[place])): float(seen.next_confidence[place])
        for source in range(6)
        for place in range(seen.next_starts[source], seen.next_starts[source + 1])
    }
    assert edges == {(0, 2): 0.5, (0, 3): 0.5, (3, 0): 1.0}


def test_the_graph_forgets_what_is_old_and_keeps_the_strongest() -> None:
    data = interactions()
    recent = data.occurred_at >= np.datetime64("2020-03-03")
    assert follow_graph(data, recent, 5)["next_codes"].tolist() == [3, 0]
    assert follow_graph(data, np.ones(len(data), bool), 1)["next_codes"].tolist() == [2, 0]


def test_the_graph_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    many = pd.DataFrame(
        {
            "customer_id": [f"c{c}" for c in random.integers(0, 30, 300)],
            "article_id": [f"a{a}" for a in random.integers(0, 9, 300)],
            "occurred_at": pd.Timestamp("2020-03-01") + pd.to_timedelta(random.integers(0, 9, 300), unit="D"),
        }
    )
    data = Interactions.from_frame(many)
    whole = follow_graph(data, np.ones(len(data), bool), 5)
    monkeypatch.setattr("atelier.recommenders.two_stage.snapshot.PAIRS", 50)
    parts = follow_graph(data, np.ones(len(data), bool), 5)
    for name, array in whole.items():
        np.testing.assert_array_equal(array, parts[name])


def test_the_graph_of_millions_of_articles_and_customers_overflows_nowhere() -> None:
    """The last of 1.2 million customers, the only one with two articles, has 1.2 million · n² beyond int64."""
    n, m = 3_000_000, 1_200_000
    customers = np.append(np.arange(m), m - 1)
    codes = np.append(np.zeros(m), 7).astype(np.int32)
    edges = sum(_edges(customers, codes, np.arange(m + 1), undated=False, n=n)).tocoo()
    assert (edges.row.tolist(), edges.col.tolist(), edges.data.tolist()) == ([0], [7], [1.0])


def test_undated_rows_lead_forward_only() -> None:
    rows = pd.DataFrame({"customer_id": ["u", "u"], "article_id": ["b", "a"]})
    data = Interactions.from_frame(rows)
    graph = follow_graph(data, np.ones(2, bool), 5)
    assert (graph["next_starts"].tolist(), graph["next_codes"].tolist()) == ([0, 0, 1], [0])


def test_what_is_later_is_refused() -> None:
    with pytest.raises(InteractionsError, match="3 interactions are not before the moment"):
        inputs(as_of=day(3))


def test_a_snapshot_goes_through_a_bundle(seen: Snapshot) -> None:
    again = Snapshot.from_arrays(seen.arrays())
    assert all(getattr(again, name) is getattr(seen, name) for name in vars(seen))


def test_nothing_sold_is_no_error() -> None:
    empty = (
        interactions().rows(np.zeros(len(ROWS), bool)).aligned(interactions().customer_ids, interactions().article_ids)
    )
    none = snapshot(empty, groups(), day(4), ages=AGES, channels=CHANNELS, followers=5, graph_days=30, by_age=True)
    assert not none.sold.any()
    assert len(none.next_codes) == 0
    np.testing.assert_array_equal(none.repurchase, np.zeros(6))


def test_days_between_knows_the_unknown_and_the_future() -> None:
    times = np.array([UNKNOWN, day(1), day(5)])
    np.testing.assert_array_equal(days_between(times, day(3)), [np.nan, 2, 0])
    assert np.isnan(days_between(times, UNKNOWN)).all()


def test_a_projection_keeps_cosines() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 3000)).astype(np.float32)
    vectors[1] = vectors[0] + 0.1 * vectors[1]
    short = projected(vectors, 256, seed=0)
    assert short.shape == (50, 256)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1, rtol=1e-5)
    assert short[0] @ short[1] > 0.98
    assert abs(short[0] @ short[2]) < 0.3
    assert not projected(np.zeros((2, 3000), np.float32), 64, 0).any()


def test_histories_keep_the_last_rows() -> None:
    last = Histories.of_interactions(interactions(), longest=2, channels=CHANNELS, ages=AGES)
    assert last.lengths.tolist() == [2, 2, 1, 0]
    rows = last.of(np.array([3, 0]))
    assert (rows.owner.tolist(), rows.codes.tolist(), rows.prices.tolist()) == ([1, 1], [0, 3], [12.0, 20.0])
    assert rows.channels.tolist() == [1, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 3)), max_size=30))
def test_owned_pairs_are_what_a_dictionary_finds(rows: list[tuple[int, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    owner, group = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
    expected: dict[tuple[int, int], tuple[int, int]] = {}
    for place, (who, what) in enumerate(rows):
        if what >= 0:
            expected[who, what] = (expected.get((who, what), (0, 0))[0] + 1, place)
    owned = Owned.of(owner, group.astype(np.int32), 4)
    for who in range(5):
        for what in range(-1, 4):
            place, found = owned.find(np.array([who]), np.array([what], np.int32))
            assert bool(found[0]) == ((who, what) in expected)
            if found[0]:
                assert (owned.counts[place[0]], owned.last[place[0]]) == expected[who, what]


def test_content_does_not_know_what_sold_until_the_catalogues_own_day() -> None:
    names = ("text: wool", "popularity: 7 days", "recency: days", "price: price")
    vectors = np.array([[1, 5, 2, 0.5], [0.2, 9, 1, 1]], dtype=np.float32)
    ids = IdMap.from_values(["a", "b"], "article_id")

    def content(counts: float) -> npt.NDArray[np.float32]:
        changed = vectors * np.array([1, counts, counts, 1], dtype=np.float32)
        sold = Catalogue.from_frames(pd.DataFrame({"article_id": ["a", "b"]}), changed, names)
        return ArticleGroups.of_catalogue(sold, ids, 4, 0).content

    np.testing.assert_array_equal(content(1), content(7))
    assert (content(1)[:, [1, 2]] == 0).all()
    assert (content(1)[:, [0, 3]] > 0).all()
