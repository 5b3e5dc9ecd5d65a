"""Examples: what precedes, what was never touched, what was on sale; against loops and as properties of any data."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.recommenders.training_data.negatives import Sampler, _inclusion, _subsets, negative_pool
from atelier.recommenders.training_data.positives import last_part, positive_rows, window_of

FIRST = pd.Timestamp("2020-01-01")


@st.composite
def histories(draw: st.DrawFn) -> Interactions:
    """Up to 60 interactions of 6 customers with 12 articles over up to 80 days, many on the same day."""
    rows = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11), st.integers(0, 79)), min_size=1, max_size=60))
    return Interactions.from_frame(
        pd.DataFrame(
            {
                "customer_id": [f"c{c}" for c, _, _ in rows],
                "article_id": [f"a{a:02d}" for _, a, _ in rows],
                "occurred_at": [FIRST + pd.Timedelta(days=d) for _, _, d in rows],
            }
        )
    )


def undated(counts: list[int]) -> Interactions:
    """Customers with so many interactions, each with another article."""
    customers = np.repeat(np.arange(len(counts)), counts)
    frame = pd.DataFrame({"customer_id": [f"c{c:02d}" for c in customers]})
    return Interactions.from_frame(frame.assign(article_id=[f"a{row:03d}" for row in range(len(frame))]))


def choose(data: Interactions, **changed: Any) -> np.ndarray:
    options: dict[str, Any] = {"share": 1 / 12, "min_inputs": 1, "min_interactions": 2, "repeats": True}
    recent = changed.pop("recent", None)
    return positive_rows(data, recent, **(options | changed))


# Positives


def test_the_last_part_of_a_window_is_in_whole_days() -> None:
    def part(days: int, share: float = 1 / 12, min_days: int = 30) -> Any:
        frame = pd.DataFrame({"customer_id": "c", "article_id": "a", "occurred_at": [FIRST, FIRST]})
        frame.loc[1, "occurred_at"] += pd.Timedelta(days=days - 1, hours=23)
        found = last_part(window_of(Interactions.from_frame(frame)), share, min_days)
        return found and (found.days, (found.last - FIRST.to_datetime64().astype("datetime64[D]")).astype(int))

    assert part(365) == (30, 364)  # a month of a year
    assert part(30) == (2, 29)
    assert part(29) is None
    assert part(7, min_days=0) == (1, 6)
    assert part(60, share=1.0) == (60, 59)
    assert window_of(undated([3])) is None
    assert last_part(None, 1 / 12, 0) is None


def test_without_a_window_each_customers_last_twelfth() -> None:
    rows = choose(undated([1, 2, 11, 12, 23, 24, 36]))
    # One in twelve, at least one; the first customer has nothing before it.
    starts = np.cumsum([0, 1, 2, 11, 12, 23, 24, 36])
    expected = [starts[2] - 1, starts[3] - 1, starts[4] - 1, starts[5] - 1]
    expected += [*range(starts[6] - 2, starts[6]), *range(starts[7] - 3, starts[7])]
    assert rows.tolist() == expected


def test_few_inputs_and_few_interactions_are_discarded() -> None:
    data = undated([5, 6, 7])
    assert choose(data, share=1.0, min_inputs=5, min_interactions=6).tolist() == [5 + 5, 11 + 5, 11 + 6]
    assert choose(data, share=1.0, min_inputs=1, min_interactions=7).tolist() == list(range(11 + 1, 11 + 7))


@given(histories(), st.integers(1, 6), st.integers(2, 7), st.booleans(), st.booleans())
def test_positives_equal_slow_ones(
    data: Interactions, min_inputs: int, min_interactions: int, repeats: bool, dated: bool
) -> None:
    recent = last_part(window_of(data), 1 / 12, 0) if dated else None
    expected = []
    for row, (customer, article) in enumerate(zip(data.customers, data.articles, strict=True)):
        mine = np.flatnonzero(data.customers == customer)
        before = mine[mine < row]
        is_last = row in mine[-max(1, len(mine) // 12) :]
        wanted = data.occurred_at[row].astype("datetime64[D]") >= recent.first if recent else is_last
        fresh = article not in data.articles[before]
        if wanted and len(before) >= min_inputs and len(mine) >= min_interactions and (repeats or fresh):
            expected.append(row)
    found = choose(data, recent=recent, min_inputs=min_inputs, min_interactions=min_interactions, repeats=repeats)
    assert found.tolist() == expected


# Inputs and negatives


@given(histories(), st.integers(1, 6), st.integers(1, 20), st.booleans(), st.integers(0, 99))
def test_examples_of_any_data(data: Interactions, inputs: int, negatives: int, shared: bool, seed: int) -> None:
    rows = choose(data, share=1.0)
    pool = np.unique(data.articles)[::2].astype(np.int32)
    sampler = Sampler(data, pool, inputs=inputs, negatives=negatives, shared=shared)
    batch = sampler.batch(rows, np.random.default_rng(seed))
    assert batch.positives.tolist() == data.articles[rows].tolist()
    assert batch.customers.tolist() == data.customers[rows].tolist()
    assert batch.inputs.shape == (len(rows), inputs)
    every = np.broadcast_to(batch.negatives, batch.valid.shape)
    assert np.isin(every, pool).all()
    for b, row in enumerate(rows):
        before = data.articles[:row][data.customers[:row] == data.customers[row]]
        mine = batch.inputs[b][batch.inputs[b] >= 0]
        assert len(mine) == min(inputs, len(before))
        left = list(before)
        for article in mine:  # distinct interactions before the positive, so never more of an article than there are
            left.remove(article)
        touched = data.articles[data.customers == data.customers[row]]
        assert not np.isin(every[b][batch.valid[b]], touched).any()
        if shared:
            assert batch.valid[b].tolist() == (~np.isin(every[b], touched)).tolist()
    if shared:
        assert len(np.unique(batch.negatives)) == min(negatives, len(pool))


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    data = undated([30, 30])
    for shared in (True, False):
        sampler = Sampler(data, np.arange(60, dtype=np.int32), inputs=5, negatives=10, shared=shared)
        one, again, other = (sampler.batch(np.array([29, 59]), np.random.default_rng(seed)) for seed in (0, 0, 1))
        for name in one._fields:
            np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(one.inputs, other.inputs)
        assert not np.array_equal(one.negatives, other.negatives)


def test_subsets_are_uniform() -> None:
    drawn = _subsets(np.full(60_000, 5), 3, np.random.default_rng(0))
    assert ((drawn >= 0) & (drawn < 5)).all()
    keys, counts = np.unique(np.sort(drawn, axis=1) @ [25, 5, 1], return_counts=True)
    assert len(keys) == 10  # every subset, each of three distinct numbers
    assert np.abs(counts - 6000).max() < 5 * (6000 * 0.9) ** 0.5


def test_negatives_are_uniform_over_what_was_not_touched() -> None:
    data = undated([4, 16])
    for shared in (True, False):
        sampler = Sampler(data, np.arange(20, dtype=np.int32), inputs=1, negatives=10, shared=shared)
        random, counts = np.random.default_rng(0), np.zeros(20)
        for _ in range(600):
            batch = sampler.batch(np.array([3]), random)
            every = np.broadcast_to(batch.negatives, batch.valid.shape)
            counts += np.bincount(every[batch.valid], minlength=20)
        assert counts[:4].sum() == 0
        assert counts[4:].min() > 0.85 * counts[4:].mean()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("popularity", [0.0, 0.5, 1.0])
def test_what_negatives_stand_for_estimates_the_sum_over_all(shared: bool, popularity: float) -> None:
    """One over how often each is drawn: the mean of weighted sums is the sum over the pool (Horvitz and Thompson)."""
    random = np.random.default_rng(4)
    articles = np.append(0, 1 + (29 * random.random(600) ** 2).astype(int))  # the customer's own, then skewed ones
    data = Interactions.from_frame(
        pd.DataFrame(
            {"customer_id": ["a"] * 4 + ["b"] * 597, "article_id": [f"a{article:02d}" for article in articles]}
        )
    )
    pool = np.arange(1, 30, dtype=np.int32)
    sampler = Sampler(data, pool, inputs=1, negatives=8, shared=shared, popularity=popularity)
    value = random.random(len(data.article_ids)) + 0.5
    sums, drawn = [], np.zeros(len(data.article_ids))
    for _ in range(3000):
        batch = sampler.batch(np.array([0]), random)
        mine = np.ravel(batch.valid)
        negatives, importance = np.ravel(batch.negatives)[mine], np.ravel(batch.importance)[mine]
        sums.append((value[negatives] * importance).sum())
        drawn += np.bincount(np.ravel(batch.negatives), minlength=len(drawn))
    open_ = np.setdiff1d(pool, data.articles[data.customers == 0])
    assert len(open_) < len(pool)
    assert np.mean(sums) == pytest.approx(value[open_].sum(), abs=5 * np.std(sums) / len(sums) ** 0.5)
    assert drawn.sum() / 3000 == pytest.approx(8, abs=0.3)
    times = np.bincount(data.articles, minlength=len(drawn))
    often, seldom = open_[np.argmax(times[open_])], open_[np.argmin(times[open_])]
    ratio = (times[often] / times[seldom]) ** popularity
    assert drawn[often] / drawn[seldom] == pytest.approx(ratio, rel=0.3)


def test_so_many_are_drawn_on_average_even_where_some_are_certain() -> None:
    weights = np.array([100.0, 50.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(_inclusion(weights, 3), [1, 1, 0.25, 0.25, 0.25, 0.25])
    np.testing.assert_allclose(_inclusion(weights, 1), weights / weights.sum())
    np.testing.assert_array_equal(_inclusion(weights, 6), 1.0)
    np.testing.assert_array_equal(_inclusion(weights, 99), 1.0)
    assert _inclusion(np.zeros(0), 5).shape == (0,)


def test_the_last_inputs_are_those_before_the_positive() -> None:
    data = undated([6, 2])
    sampler = Sampler(data, np.arange(6, dtype=np.int32), inputs=3, negatives=2, shared=True, last=True)
    batch = sampler.batch(np.array([5, 1, 7]), np.random.default_rng(0))
    articles = data.articles
    assert batch.inputs[0].tolist() == [articles[4], articles[3], articles[2]]
    assert batch.inputs[1].tolist() == [articles[0], -1, -1]
    assert batch.inputs[2].tolist() == [articles[6], -1, -1]


def test_a_customer_who_touched_everything_has_no_negatives() -> None:
    for shared in (True, False):
        sampler = Sampler(undated([6]), np.arange(6, dtype=np.int32), inputs=2, negatives=4, shared=shared)
        assert not sampler.batch(np.array([5]), np.random.default_rng(0)).valid.any()


# On sale


def test_negatives_were_on_sale_in_the_whole_window() -> None:
    data = Interactions.from_frame(
        pd.DataFrame(
            {
                "customer_id": "c",
                "article_id": ["a", "b", "gone", "late", "not sold"],
                "occurred_at": pd.date_range("2020-02-01", periods=5, freq="10D"),
            }
        )
    )
    articles = pd.DataFrame(
        {
            "article_id": ["a", "b", "unsold", "late", "gone", "never", "not sold"],
            "available_from": pd.to_datetime(
                ["2019-01-01", "2020-02-01", "2020-01-31", "2020-02-02", "2019-01-01", None, None]
            ),
            "available_until": pd.to_datetime([None, "2020-03-12", "2021-01-01", None, "2020-03-11", None, None]),
        }
    )
    catalogue = Catalogue.from_frames(articles)
    data = data.aligned(article_ids=catalogue.ids)
    rankable = np.ones(len(catalogue), dtype=bool)
    window = window_of(data)

    def pool(needed: int = 3, **changed: Any) -> set[str]:
        given = {"catalogue": catalogue, "window": window, "rankable": rankable} | changed
        return set(catalogue.ids.take(negative_pool(data, needed=needed, **given)).to_pylist())

    assert pool() == {"a", "b", "unsold"}
    assert pool(needed=4) == {"a", "b", "gone", "late", "not sold"}  # too few: what was interacted with
    assert pool(window=None) == pool(catalogue=None) == {"a", "b", "gone", "late", "not sold"}
    known = np.isin(catalogue.ids.values.to_pylist(), ["a", "unsold", "gone"])
    assert pool(needed=1, rankable=known) == {"a", "unsold"}


def test_the_future_changes_no_example() -> None:
    """What follows a positive is no input, and which inputs are drawn does not depend on it."""
    rows = np.arange(1, 12)
    whole, part = (
        Sampler(undated([n]), np.zeros(1, np.int32), inputs=4, negatives=1, shared=True).batch(
            rows, np.random.default_rng(5)
        )
        for n in (20, 12)
    )
    np.testing.assert_array_equal(whole.inputs, part.inputs)
    assert (whole.inputs < rows[:, None]).all()


@pytest.mark.parametrize("shared", [True, False])
def test_nothing_is_drawn_for_no_rows(shared: bool) -> None:
    sampler = Sampler(undated([4]), np.arange(4, dtype=np.int32), inputs=2, negatives=3, shared=shared)
    batch = sampler.batch(np.zeros(0, np.int64), np.random.default_rng(0))
    assert batch.inputs.shape == (0, 2)
    assert batch.valid.shape == (0, 3)
