"""Sessions, the funnel and what customers remember."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.sources.sample import SampleConfig, behaviour, catalogue, population
from atelier.sources.sample.choice import Choice
from atelier.sources.sample.generate import stream

CONFIG = SampleConfig(articles=120, customers=300, days=21, seed=5, photographs=False, sessions_per_customer=0.5)


def _retailer(config: SampleConfig) -> tuple[Choice, catalogue.Articles]:
    articles = catalogue.draw_articles(config, stream(config, "catalogue"))
    divisions = population.style_divisions(config, stream(config, "styles"))
    customers = population.draw_customers(config, divisions, stream(config, "customers"))
    likings = population.draw_affinities(config, articles, divisions, stream(config, "likings"))
    popularity = stream(config, "popularity").normal(0.0, config.popularity_sigma, size=len(articles))
    return Choice.of(config, articles, customers, likings, popularity), articles


@pytest.fixture(scope="module")
def day() -> tuple[pd.DataFrame, Choice, catalogue.Articles]:
    choice, articles = _retailer(CONFIG)
    memory = behaviour.Memory.empty(CONFIG.customers)
    return behaviour.draw_day(choice, articles, memory, 10, np.random.default_rng(0)).to_pandas(), choice, articles


Day = tuple[pd.DataFrame, Choice, catalogue.Articles]


def test_events_are_in_order_and_on_their_day(day: Day) -> None:
    events, choice, _ = day
    assert len(events) > 300
    assert events["occurred_at"].is_monotonic_increasing
    assert set(events["occurred_at"].dt.date) == {choice.config.first_day + pd.Timedelta(days=10)}


def test_only_what_is_on_sale_is_touched_and_at_its_price(day: Day) -> None:
    events, choice, articles = day
    row = np.searchsorted(choice.articles, events["article_id"])
    assert choice.available(10)[row].all()
    np.testing.assert_allclose(events["price"].astype(float), articles.price_on(10)[row])


def test_the_funnel_narrows_and_a_purchase_online_was_viewed(day: Day) -> None:
    events, _, _ = day
    count = events["kind"].value_counts()
    assert count["view"] > count["bag"] > count["save"] > 0
    online = events[events["channel"] != "shop"]
    keys = {
        kind: set(zip(rows["session_id"], rows["article_id"], strict=True)) for kind, rows in online.groupby("kind")
    }
    assert keys["purchase"] <= keys["bag"] <= keys["view"]
    assert keys["save"] <= keys["view"]
    last_look = online[online["kind"] != "purchase"].groupby("session_id")["occurred_at"].max()
    paid = online[online["kind"] == "purchase"].groupby("session_id")["occurred_at"].min()
    assert (paid > last_look.loc[paid.index]).all()


def test_in_a_shop_only_purchases_are_seen(day: Day) -> None:
    events, _, _ = day
    assert set(events.loc[events["channel"] == "shop", "kind"]) == {"purchase"}


def test_a_session_has_one_customer_one_channel_and_mostly_one_group(day: Day) -> None:
    events, choice, _ = day
    groups = events.assign(group=choice.groups[np.searchsorted(choice.articles, events["article_id"])])
    sessions = groups.groupby("session_id")
    assert (sessions["customer_id"].nunique() == 1).all()
    assert (sessions["channel"].nunique() == 1).all()
    large = sessions.size() >= 6
    focused = (sessions["group"].nunique()[large] == 1).mean()
    assert 0.5 < focused < 0.9  # 1 − ANYTHING = 0.7


def test_nobody_acts_before_they_register() -> None:
    choice, articles = _retailer(CONFIG)
    late = choice.joined > 0
    assert late.any()
    events = behaviour.draw_day(choice, articles, behaviour.Memory.empty(300), 0, np.random.default_rng(1)).to_pandas()
    assert not set(events["customer_id"]) & set(choice.customers[late])


def test_a_day_without_stock_is_an_empty_table() -> None:
    choice, articles = _retailer(CONFIG)
    gone = Choice(**{**choice.__dict__, "leaves": np.full(len(articles), -5)})
    events = behaviour.draw_day(gone, articles, behaviour.Memory.empty(300), 3, np.random.default_rng(1))
    assert events.num_rows == 0
    full = behaviour.draw_day(choice, articles, behaviour.Memory.empty(300), 3, np.random.default_rng(1))
    assert events.schema == full.schema


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50)), max_size=25), min_size=1, max_size=5))
def test_memory_holds_the_last_purchases(days: list[list[tuple[int, int]]]) -> None:
    """Against a list for each customer: recall gives exactly the last REMEMBERED, newest first."""
    memory = behaviour.Memory.empty(5)
    slow: dict[int, list[int]] = {customer: [] for customer in range(5)}
    for day, purchases in enumerate(days):
        customers = np.array([customer for customer, _ in purchases], dtype=np.int64)
        articles = np.array([article for _, article in purchases], dtype=np.int64)
        memory.remember(customers, articles, day)
        for customer, article in purchases:
            slow[customer].append(article)
    for customer, bought in slow.items():
        last = bought[::-1][: behaviour.REMEMBERED]
        if not last:
            assert memory.recall(np.array([customer]), np.array([0.5])).tolist() == [-1]
            continue
        positions = (np.arange(len(last)) + 0.5) / len(last)
        assert memory.recall(np.full(len(last), customer), positions).tolist() == last


def test_repeats_come_from_memory_and_fade() -> None:
    config = CONFIG.model_copy(update={"repeat": 0.9, "repeat_half_life": 2.0})
    choice, _ = _retailer(config)
    held = int(np.flatnonzero(choice.available(10))[0])
    memory = behaviour.Memory.empty(300)
    memory.remember(np.arange(300), np.full(300, held), 9)
    customers, other = np.repeat(np.arange(300), 50), np.full(15_000, -7)
    after = {
        day: (behaviour._repeated(choice, memory, day, np.random.default_rng(day), customers, other) == held).mean()
        for day in (10, 12)
    }
    assert after[10] == pytest.approx(0.9 * 0.5**0.5, abs=0.02)
    if choice.available(12)[held]:
        assert after[12] == pytest.approx(0.9 * 0.5**1.5, abs=0.02)


def test_what_left_stock_is_not_bought_again() -> None:
    choice, _ = _retailer(CONFIG.model_copy(update={"repeat": 0.99}))
    gone = int(np.flatnonzero(~choice.available(10))[0])
    memory = behaviour.Memory.empty(300)
    memory.remember(np.arange(300), np.full(300, gone), 10)
    chosen = np.full(300, 1)
    assert (behaviour._repeated(choice, memory, 10, np.random.default_rng(0), np.arange(300), chosen) == 1).all()
