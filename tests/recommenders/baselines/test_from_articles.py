"""markov and item_knn, on cases small enough to count by hand, and against slow versions."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier import recommenders

NAMES = list("uvwxyz")
Rows = list[tuple[str, str]]


def frame(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "article_id"])


def test_what_followed_most_often_comes_first() -> None:
    rows = [(c, a) for c, articles in {"a": "xyz", "b": "xyx", "c": "xz", "d": "x"}.items() for a in articles]
    model = recommenders.build("markov", history=1).fit(frame(rows))
    recs = model.recommend(["d"], exclude_seen=False, k=3)
    # After x came y twice and z once, x never; x is popular: 5 of 5 + 1.
    assert recs.article_id.tolist() == ["y", "z", "x"]
    np.testing.assert_allclose(recs.score, [1 + 2 / 3, 1 + 1 / 3, 5 / 6], rtol=1e-6)
    assert model.recommend(["d"], k=3).article_id.tolist() == ["y", "z"]


def test_neighbours_are_articles_of_the_same_customers() -> None:
    rows = [(c, a) for c, articles in {"a": "xy", "b": "xy", "c": "xz", "d": "x"}.items() for a in articles]
    model = recommenders.build("item_knn").fit(frame(rows))
    recs = model.recommend(["d"], exclude_seen=False, k=4)
    assert recs.article_id.tolist() == ["x", "y", "z"]
    np.testing.assert_allclose(recs.score, [2, 1 + 2 / 8**0.5, 1 + 1 / 4**0.5], rtol=1e-6)


def leads(name: str, rows: Rows) -> dict[tuple[str, str], float]:
    """S of both models, slowly."""
    histories: dict[str, list[str]] = {}
    for customer, article in rows:
        histories.setdefault(customer, []).append(article)
    if name == "markov":
        followed = Counter(pair for history in histories.values() for pair in pairwise(history))
        totals = Counter(article for history in histories.values() for article in history[:-1])
        return {pair: count / totals[pair[0]] for pair, count in followed.items()}
    who = {a: {c for c, history in histories.items() if a in history} for a in {row[1] for row in rows}}
    return {(i, j): len(who[i] & who[j]) / (len(who[i]) * len(who[j])) ** 0.5 for i in who for j in who}


@pytest.mark.parametrize("name", ["markov", "item_knn"])
@settings(max_examples=30)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(NAMES)), min_size=1, max_size=20),
    k=st.integers(1, 8),
    history=st.integers(1, 4),
    exclude=st.booleans(),
)
def test_equals_a_slow_version(name: str, rows: Rows, k: int, history: int, exclude: bool) -> None:
    recs = recommenders.build(name, history=history).fit(frame(rows)).recommend(k=k, exclude_seen=exclude)
    scores, count = leads(name, rows), Counter(article for _, article in rows)
    for customer in {row[0] for row in rows}:
        own = [article for owner, article in rows if owner == customer]
        last = own[-history:]
        led = {j: sum(scores.get((i, j), 0) for i in last) / len(last) for j in count}
        expected = {j: 1 + led[j] if led[j] else count[j] / (max(count.values()) + 1) for j in count}
        if exclude:
            expected = {j: score for j, score in expected.items() if j not in own}
        found = recs[recs.customer_id == customer]
        np.testing.assert_allclose(found.score, sorted(expected.values(), reverse=True)[:k], rtol=1e-5)
        np.testing.assert_allclose(found.score, [expected[j] for j in found.article_id], rtol=1e-5)


def test_the_work_is_cut_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    rows = [(f"c{c:02d}", f"a{a:02d}") for c, a in random.integers(0, 30, (400, 2))]
    model = recommenders.build("item_knn").fit(frame(rows))
    whole = model.recommend(k=5)
    monkeypatch.setattr("atelier.recommenders.baselines.from_articles.CELLS", 50)
    pd.testing.assert_frame_equal(model.recommend(k=5), whole)
