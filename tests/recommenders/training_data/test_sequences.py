"""Histories as arrays, windows and batches."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from atelier.interactions import Interactions
from atelier.recommenders.training_data.sequences import GAPS, UNKNOWN, VISIT, Histories, Windows, batches, sampled

FRAME = pd.DataFrame(
    {
        "customer_id": ["a", "a", "a", "b", "c", "c"],
        "article_id": ["x", "y", "x", "z", "y", "y"],
        "occurred_at": pd.to_datetime(
            [
                "2020-01-01 10:00",
                "2020-01-01 10:30",
                "2020-01-03 10:30",
                "2020-01-02 00:00",
                "2020-01-01 00:00",
                "2024-01-01 00:00",
            ]
        ),
        "kind": ["view", "purchase", "wish", "bag", "save", "purchase"],
    }
)


def of_lengths(lengths: list[int]) -> Histories:
    """Histories of these lengths; each interaction is an article of its own, numbered from 0."""
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    n = int(starts[-1])
    return Histories(starts, np.arange(n, dtype=np.int32), np.ones(n, np.uint8), np.full(n, 2, np.uint8))


def test_what_is_kept_of_a_history() -> None:
    histories = Histories.of(Interactions.from_frame(FRAME))
    assert histories.starts.tolist() == [0, 3, 4, 6]
    assert histories.articles.tolist() == [0, 1, 0, 2, 1, 1]  # x, y, z in order of their names
    assert histories.kinds.tolist() == [1, 4, UNKNOWN, 3, 2, 4]  # a kind that has no name of its own is unknown
    # nothing before; half an hour; 48 hours, 2^5 ≤ 1 + 48; nothing; nothing; four years
    assert histories.gaps.tolist() == [UNKNOWN, 1, 6, UNKNOWN, UNKNOWN, GAPS - 1]


def test_without_dates_and_kinds_both_are_unknown() -> None:
    histories = Histories.of(Interactions.from_frame(FRAME[["customer_id", "article_id"]]))
    assert not histories.kinds.any()
    assert not histories.gaps.any()


def test_a_visit_begins_after_seven_hours_and_without_dates_there_is_one() -> None:
    dated = Histories.of(Interactions.from_frame(FRAME))
    assert dated.last_visits().tolist() == [2, 3, 5]  # two days later; a single interaction; four years later
    within = Histories.of(Interactions.from_frame(FRAME[FRAME.customer_id != "c"].head(2)))
    assert within.last_visits().tolist() == [0]
    undated = Histories.of(Interactions.from_frame(FRAME[["customer_id", "article_id"]]))
    assert undated.last_visits().tolist() == [0, 3, 4]


@given(st.lists(st.lists(st.integers(1, GAPS - 1), max_size=4), max_size=6))
def test_last_visits_are_those_of_a_slow_search(gaps: list[list[int]]) -> None:
    starts = np.concatenate([[0], np.cumsum([len(each) for each in gaps])]).astype(np.int64)
    n, known = int(starts[-1]), [gap for each in gaps for gap in each]
    histories = Histories(starts, np.zeros(n, np.int32), np.ones(n, np.uint8), np.array(known, np.uint8))
    slow = [
        first + max((place for place, gap in enumerate(each) if gap >= VISIT), default=0)
        for first, each in zip(starts.tolist(), gaps, strict=False)
    ]
    assert histories.last_visits().tolist() == slow


def test_last_take_and_keep() -> None:
    histories = of_lengths([3, 0, 1, 4])
    last = histories.last(2)
    assert last.starts.tolist() == [0, 2, 2, 3, 5]
    assert last.articles.tolist() == [1, 2, 3, 6, 7]
    taken = histories.take(np.array([3, 1, 0, 3]))
    assert taken.starts.tolist() == [0, 4, 4, 7, 11]
    assert taken.articles.tolist() == [4, 5, 6, 7, 0, 1, 2, 4, 5, 6, 7]
    kept = histories.keep(np.arange(8) % 2 == 0)
    assert kept.starts.tolist() == [0, 2, 2, 2, 4]
    assert kept.articles.tolist() == [0, 2, 4, 6]


def test_of_a_run_of_one_article_the_first_is_kept() -> None:
    histories = of_lengths([5, 0, 2, 1, 3])
    articles = np.array([4, 4, 5, 4, 4, 4, 4, 4, 4, 6, 6], dtype=np.int32)
    kept = Histories(histories.starts, articles, np.arange(11, dtype=np.uint8), histories.gaps).without_repeats()
    assert kept.starts.tolist() == [0, 3, 3, 4, 5, 7]  # a run ends with its customer
    assert kept.articles.tolist() == [4, 5, 4, 4, 4, 4, 6]
    assert kept.kinds.tolist() == [0, 2, 3, 5, 7, 8, 9]


@given(st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, GAPS - 1)), max_size=8), max_size=5))
def test_a_visit_that_begins_with_a_repeat_still_begins(drawn: list[list[tuple[int, int]]]) -> None:
    starts = np.cumsum([0, *map(len, drawn)]).astype(np.int64)
    articles = np.array([article for each in drawn for article, _ in each], dtype=np.int32)
    gaps = [[UNKNOWN, *(gap for _, gap in each[1:])] if each else [] for each in drawn]
    whole = Histories(
        starts, articles, np.zeros(len(articles), np.uint8), np.array([gap for own in gaps for gap in own], np.uint8)
    )
    expected = []
    for each, own in zip(drawn, gaps, strict=True):
        since = 0
        for place, (article, gap) in enumerate(zip((article for article, _ in each), own, strict=True)):
            since = max(since, gap)
            if not place or article != each[place - 1][0]:
                expected.append(since)
                since = 0
    assert whole.without_repeats().gaps.tolist() == expected


def test_rows_say_whose_they_are() -> None:
    histories = of_lengths([0, 4, 0, 0, 2, 3, 0])
    windows = histories.windows(3)
    rows = histories.rows(windows)
    assert sorted(rows.owners.tolist()) == [1, 1, 4, 5]
    for owner, articles, there in zip(rows.owners, rows.articles, rows.there, strict=True):
        own = set(range(histories.starts[owner], histories.starts[owner + 1]))
        assert set(articles[there].tolist()) <= own
    assert rows.before().owners.tolist() == rows.owners.tolist()


def test_windows_share_one_interaction() -> None:
    windows = of_lengths([7, 1, 0, 2]).windows(3)
    found = sorted(zip(windows.starts.tolist(), windows.lengths.tolist(), strict=True))
    assert found == [(0, 3), (2, 3), (4, 3), (8, 2)]


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(2, 6))
def test_every_interaction_but_the_first_is_a_target_once(lengths: list[int], length: int) -> None:
    histories = of_lengths(lengths)
    windows = histories.windows(length)
    rows = histories.rows(windows)
    assert rows.articles.shape[1] <= length
    assert (windows.lengths >= 2).all()
    targets = rows.articles[:, 1:][rows.there[:, 1:]]
    first = set(histories.starts[:-1].tolist())
    assert sorted(targets.tolist()) == [a for a in range(sum(lengths)) if a not in first]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    for row, there in zip(rows.articles, rows.there, strict=True):  # of one customer, without a hole
        assert len(set(owner[row[there]])) == 1
        assert (np.diff(row[there]) == 1).all()


def test_rows_are_filled_up_behind() -> None:
    histories = of_lengths([3, 1])
    rows = histories.rows(Windows(np.array([0, 3]), np.array([3, 1])))
    assert rows.articles.tolist() == [[0, 1, 2], [3, 0, 0]]
    assert rows.kinds.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert rows.there.tolist() == [[True] * 3, [True, False, False]]
    assert rows.before().articles.tolist() == [[0, 1], [3, 0]]
    assert histories.rows(Windows(np.zeros(0, np.int64), np.zeros(0, np.int64))).articles.shape == (0, 0)


@given(st.lists(st.integers(1, 20), max_size=40), st.integers(1, 60), st.integers(0, 3))
def test_batches_hold_each_window_once_and_little_padding(lengths: list[int], tokens: int, seed: int) -> None:
    windows = Windows(np.zeros(len(lengths), np.int64), np.array(lengths, dtype=np.int64))
    found = batches(windows, tokens, np.random.default_rng(seed))
    assert sorted(np.concatenate([*found, np.zeros(0, np.int64)]).tolist()) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or len(batch) * windows.lengths[batch].max() <= tokens
    assert len(found) == len(batches(windows, tokens, np.random.default_rng(seed + 1)))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.integers(1, 100), st.integers(0, 3))
def test_a_sample_of_windows_keeps_to_its_size(lengths: list[int], most: int, seed: int) -> None:
    windows = Windows(np.zeros(len(lengths), np.int64), np.array(lengths, dtype=np.int64))
    chosen = sampled(windows, most, np.random.default_rng(seed))
    assert (np.diff(chosen) > 0).all()
    total = int(windows.lengths[chosen].sum())
    assert total <= most or len(chosen) == 1
    if sum(lengths) <= most:
        assert total == sum(lengths)
    else:
        assert total > most - max(lengths) or len(chosen) == 1, "nothing that fits is left out"


def test_batches_differ_from_pass_to_pass() -> None:
    windows = Windows(np.zeros(30, np.int64), np.full(30, 4))
    one, two = (batches(windows, 20, np.random.default_rng(seed)) for seed in (0, 1))
    assert [set(batch) for batch in one] != [set(batch) for batch in two]
