"""repeat, on cases small enough to order by hand, and against a slow version."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier import recommenders

NAMES = list("uvwxyz")


def frame(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [row[0] for row in rows],
            "article_id": [row[1] for row in rows],
            "occurred_at": [pd.Timestamp(2020, 1, 1 + row[2]) for row in rows],
            "kind": "purchase",
        }
    )


def test_own_articles_come_first_the_last_one_first() -> None:
    rows = [("a", "z", 0), ("a", "y", 0), ("a", "x", 1), ("a", "z", 2), ("b", "u", 3), ("b", "u", 3), ("b", "v", 3)]
    model = recommenders.build("repeat").fit(frame(rows))
    recs = model.recommend(["a", "b"], exclude_seen=False, k=5)
    assert recs[recs.customer_id == "a"].article_id.tolist() == ["z", "x", "y", "u", "v"]
    assert recs[recs.customer_id == "b"].article_id.tolist() == ["v", "u", "z", "x", "y"]
    np.testing.assert_allclose(recs[recs.customer_id == "a"].score, [2, 1.5, 4 / 3, 2 / 3, 1 / 3], rtol=1e-6)
    assert model.recommend(["a"], k=5).article_id.tolist() == ["u", "v"]


def test_how_many_own_articles_are_kept_is_a_parameter() -> None:
    rows = [("a", "z", 0), ("a", "y", 1), ("b", "u", 2), ("c", "u", 2)]
    model = recommenders.build("repeat", own_articles=1).fit(frame(rows))
    assert model.recommend(["a"], exclude_seen=False).article_id.tolist() == ["y", "u", "z"]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(NAMES), st.integers(0, 5)), min_size=1, max_size=20),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_equals_a_slow_version(rows: list[tuple[str, str, int]], k: int, own_articles: int) -> None:
    model = recommenders.build("repeat", window_days=3, own_articles=own_articles).fit(frame(rows))
    last = max(row[2] for row in rows)
    count = {name: sum(row[1] == name and row[2] > last - 3 for row in rows) for name in {row[1] for row in rows}}
    popular = sorted(count, key=lambda name: (-count[name], name))
    recs = model.recommend(exclude_seen=False, k=k).groupby("customer_id").article_id.agg(list)
    for customer in {row[0] for row in rows}:
        mine = [row[1] for row in sorted((row for row in rows if row[0] == customer), key=lambda row: row[2])][::-1]
        own = list(dict.fromkeys(mine))[:own_articles]
        assert recs[customer] == (own + [name for name in popular if name not in own])[:k]
