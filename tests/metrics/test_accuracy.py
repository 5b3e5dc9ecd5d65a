"""The formulas of accuracy: tiny exact cases, a slow obvious version, invariants."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.metrics import ACCURACY, MetricsError, per_customer

KS = (1, 3, 5)


def recs_frame(lists: dict[str, list[str]]) -> pd.DataFrame:
    rows = [
        (customer, article, rank) for customer, items in lists.items() for rank, article in enumerate(items, start=1)
    ]
    return pd.DataFrame(rows, columns=["customer_id", "article_id", "rank"])


def truth_frame(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["customer_id", "article_id"])


def value(table: pd.DataFrame, customer: str, metric: str, k: int) -> float:
    mask = (table["customer_id"] == customer) & (table["metric"] == metric) & (table["k"] == k)
    assert mask.sum() == 1
    return float(table.loc[mask, "value"].iloc[0])


def slow(items: list[str], relevant: set[str], k: int) -> dict[str, float]:
    """The definitions, word for word, for one customer."""
    hits, gain, average, first, seen = 0, 0.0, 0.0, 0.0, set()
    for rank, article in enumerate(items[:k], start=1):
        if article in relevant and article not in seen:
            hits += 1
            gain += 1 / math.log2(rank + 1)
            average += hits / rank
            first = first or 1 / rank
        seen.add(article)
    best = min(k, len(relevant))
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, best + 1))
    return {
        "precision": hits / k,
        "recall": hits / len(relevant),
        "hit_rate": float(hits > 0),
        "ndcg": gain / ideal,
        "map": average / best,
        "mrr": first,
    }


def test_exact_case() -> None:
    # Hits at ranks 1 and 3 of 5, three relevant articles.
    table = per_customer(recs_frame({"c": list("axbyz")}), truth_frame([("c", "a"), ("c", "b"), ("c", "q")]), KS)
    assert value(table, "c", "precision", 1) == 1
    assert value(table, "c", "precision", 5) == pytest.approx(2 / 5)
    assert value(table, "c", "recall", 3) == pytest.approx(2 / 3)
    assert value(table, "c", "hit_rate", 3) == 1
    assert value(table, "c", "ndcg", 3) == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2))
    assert value(table, "c", "map", 3) == pytest.approx((1 + 2 / 3) / 3)
    assert value(table, "c", "map", 1) == 1
    assert value(table, "c", "mrr", 5) == 1


def test_first_hit_beyond_k_counts_nothing() -> None:
    table = per_customer(recs_frame({"c": list("xya")}), truth_frame([("c", "a")]), (2, 3))
    assert value(table, "c", "mrr", 2) == 0
    assert value(table, "c", "mrr", 3) == pytest.approx(1 / 3)
    assert value(table, "c", "map", 3) == pytest.approx(1 / 3)


def test_short_and_missing_lists_are_misses_and_k_stays_the_divisor() -> None:
    table = per_customer(recs_frame({"c": ["a"]}), truth_frame([("c", "a"), ("nobody", "a")]), 4)
    assert value(table, "c", "precision", 4) == pytest.approx(1 / 4)
    assert (table.loc[table["customer_id"] == "nobody", "value"] == 0).all()
    assert (table["customer_id"] == "nobody").sum() == len(ACCURACY)


def test_absent_ranks_are_misses_where_they_stand() -> None:
    recs = pd.DataFrame({"customer_id": ["c", "c"], "article_id": ["x", "a"], "rank": [1, 4]})
    table = per_customer(recs, truth_frame([("c", "a")]), (3, 4))
    assert value(table, "c", "hit_rate", 3) == 0
    assert value(table, "c", "mrr", 4) == pytest.approx(1 / 4)


def test_customers_without_relevant_articles_are_left_out() -> None:
    table = per_customer(recs_frame({"c": ["a"], "d": ["a"]}), truth_frame([("c", "a")]), 1)
    assert set(table["customer_id"]) == {"c"}


def test_an_article_listed_twice_counts_once_at_its_first_rank() -> None:
    table = per_customer(recs_frame({"c": ["a", "a", "b"]}), truth_frame([("c", "a"), ("c", "b")]), 3)
    assert value(table, "c", "precision", 3) == pytest.approx(2 / 3)
    assert value(table, "c", "map", 3) == pytest.approx((1 + 2 / 3) / 2)


def test_kinds_that_do_not_count_are_left_out() -> None:
    truth = truth_frame([("c", "a"), ("c", "b")]).assign(kind=["view", "purchase"])
    recs = recs_frame({"c": ["a", "b"]})
    assert value(per_customer(recs, truth, 2), "c", "recall", 2) == 1
    assert value(per_customer(recs, truth, 1), "c", "recall", 1) == 0
    assert value(per_customer(recs, truth, 1, truth_kinds=("view", "purchase")), "c", "recall", 1) == pytest.approx(
        1 / 2
    )


def test_exclude_seen_takes_purchases_out_of_the_relevant_set() -> None:
    recs, truth = recs_frame({"c": ["b"], "d": ["a"]}), truth_frame([("c", "a"), ("c", "b"), ("d", "a")])
    train = truth_frame([("c", "a"), ("d", "a"), ("c", "b")]).assign(kind=["purchase", "purchase", "view"])
    table = per_customer(recs, truth, 1, train=train, exclude_seen=True)
    assert set(table["customer_id"]) == {"c"}  # d bought only what was seen: nothing left to find
    assert value(table, "c", "recall", 1) == 1  # a view of b does not make it seen
    every = per_customer(recs, truth, 1, train=train, exclude_seen=True, seen_kinds=("purchase", "view"))
    assert every.empty
    with pytest.raises(MetricsError, match="needs train"):
        per_customer(recs, truth, 1, exclude_seen=True)


def test_customers_restricts() -> None:
    table = per_customer(
        recs_frame({"c": ["a"]}), truth_frame([("c", "a"), ("d", "a")]), 1, customers=["d", "unheard of"]
    )
    assert set(table["customer_id"]) == {"d"}


def test_order_and_types() -> None:
    table = per_customer(recs_frame({"b": ["a"]}), truth_frame([("b", "a"), ("a", "z")]), (2, 1))
    assert table["customer_id"].tolist() == ["a"] * 12 + ["b"] * 12
    assert table["metric"].tolist()[:4] == ["precision", "precision", "recall", "recall"]
    assert table["k"].tolist()[:4] == [1, 2, 1, 2]
    assert table["value"].dtype == np.float64


@pytest.mark.parametrize("form", ["arrow", "dictionary", "categorical", "object", "numbers"])
def test_any_form_of_frame_gives_the_same(form: str) -> None:
    recs = recs_frame({"1": ["10", "11", "12"], "2": ["12", "10"]})
    truth = truth_frame([("1", "11"), ("2", "13"), ("2", "10")])
    expected = per_customer(recs, truth, (1, 3))
    ids = ["customer_id", "article_id"]
    if form == "numbers":
        recs, truth = recs.astype(dict.fromkeys(ids, int)), truth.astype(dict.fromkeys(ids, int))
    elif form == "arrow":
        recs, truth = pa.Table.from_pandas(recs), pa.Table.from_pandas(truth)
    elif form == "dictionary":
        recs, truth = (pa.Table.from_pandas(frame.astype(dict.fromkeys(ids, "category"))) for frame in (recs, truth))
    else:
        recs, truth = (f.astype(dict.fromkeys(ids, form.replace("categorical", "category"))) for f in (recs, truth))
    pd.testing.assert_frame_equal(per_customer(recs, truth, (1, 3)), expected)


def test_chunked_dictionaries_with_different_values() -> None:
    chunks = [pa.array(["c", "c"]).dictionary_encode(), pa.array(["d"]).dictionary_encode()]
    recs = pa.table({"customer_id": pa.chunked_array(chunks), "article_id": ["x", "a", "a"], "rank": [1, 2, 1]})
    table = per_customer(recs, truth_frame([("c", "a"), ("d", "a")]), 2)
    assert value(table, "c", "mrr", 2) == pytest.approx(1 / 2)
    assert value(table, "d", "mrr", 2) == 1


@pytest.mark.parametrize(
    ("recs", "message"),
    [
        (pd.DataFrame({"customer_id": ["c"], "article_id": ["a"]}), "no column 'rank'"),
        (pd.DataFrame({"customer_id": ["c"], "article_id": ["a"], "rank": [0]}), "ranks count from 1"),
        (pd.DataFrame({"customer_id": ["c"], "article_id": ["a"], "rank": [1.5]}), "not a whole number"),
        (pd.DataFrame({"customer_id": ["c"], "article_id": ["a"], "rank": [None]}), "null ranks"),
        (pd.DataFrame({"customer_id": ["c", "c"], "article_id": ["a", "b"], "rank": [1, 1]}), "same rank twice"),
        (
            pd.DataFrame({"customer_id": ["c", None], "article_id": ["a", "b"], "rank": [1, 2]}),
            "'customer_id' holds 1 null",
        ),
    ],
)
def test_faults_are_named(recs: pd.DataFrame, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        per_customer(recs, truth_frame([("c", "a")]), 2)


@pytest.mark.parametrize("k", [0, (), (5, -1)])
def test_k_must_be_a_length(k: object) -> None:
    with pytest.raises(MetricsError, match="k must be"):
        per_customer(recs_frame({"c": ["a"]}), truth_frame([("c", "a")]), k)  # type: ignore[arg-type]


def test_nothing_to_judge() -> None:
    assert per_customer(recs_frame({"c": ["a"]}), truth_frame([]), 3).empty
    table = per_customer(recs_frame({}), truth_frame([("c", "a")]), 3)
    assert (table["value"] == 0).all()
    assert len(table) == len(ACCURACY)


def test_inputs_are_not_changed() -> None:
    recs, truth = recs_frame({"c": ["a", "a"]}), truth_frame([("c", "a")])
    before = recs.copy(deep=True), truth.copy(deep=True)
    per_customer(recs, truth, 2, train=truth, exclude_seen=True)
    pd.testing.assert_frame_equal(recs, before[0])
    pd.testing.assert_frame_equal(truth, before[1])


ARTICLE = st.sampled_from(list("abcdefgh"))
CUSTOMER = st.sampled_from(["u1", "u2", "u3", "u4"])
LISTS = st.dictionaries(CUSTOMER, st.lists(ARTICLE, max_size=7), max_size=4)
PAIRS = st.lists(st.tuples(CUSTOMER, ARTICLE), max_size=20)


@settings(max_examples=150, deadline=None)
@given(lists=LISTS, pairs=PAIRS, seen=PAIRS, exclude=st.booleans(), shuffle=st.randoms(use_true_random=False))
def test_agrees_with_the_slow_version(
    lists: dict[str, list[str]],
    pairs: list[tuple[str, str]],
    seen: list[tuple[str, str]],
    exclude: bool,
    shuffle: object,
) -> None:
    recs = recs_frame(lists)
    recs = recs.sample(frac=1, random_state=len(pairs)) if len(recs) else recs
    table = per_customer(recs, truth_frame(pairs), KS, train=truth_frame(seen), exclude_seen=exclude)
    relevant: dict[str, set[str]] = {}
    for customer, article in pairs:
        if not (exclude and (customer, article) in seen):
            relevant.setdefault(customer, set()).add(article)
    expected = {
        (customer, metric, k): figure
        for customer, wanted in relevant.items()
        for k in KS
        for metric, figure in slow(lists.get(customer, []), wanted, k).items()
    }
    found = {(r.customer_id, r.metric, r.k): r.value for r in table.itertuples()}
    assert found.keys() == expected.keys()
    assert all(found[key] == pytest.approx(expected[key], abs=1e-12) for key in expected)


@settings(max_examples=60, deadline=None)
@given(lists=LISTS, pairs=PAIRS)
def test_invariants(lists: dict[str, list[str]], pairs: list[tuple[str, str]]) -> None:
    table = per_customer(recs_frame(lists), truth_frame(pairs), KS)
    assert table["value"].between(0, 1).all()
    wide = table.pivot_table(index=["customer_id", "k"], columns="metric", values="value", observed=True)
    if wide.empty:
        return
    assert (wide["precision"] <= wide["hit_rate"] + 1e-12).all()
    assert (wide["map"] <= wide["hit_rate"] + 1e-12).all()
    assert (wide["mrr"] <= wide["hit_rate"]).all()
    assert ((wide["hit_rate"] > 0) == (wide["ndcg"] > 0)).all()
    for metric in ("recall", "hit_rate", "mrr"):  # never lower with a longer list
        by_k = wide[metric].unstack("k")
        assert (by_k.diff(axis=1).iloc[:, 1:] >= -1e-12).all().all()


def test_moving_a_hit_up_never_lowers_what_looks_at_ranks() -> None:
    truth = truth_frame([("c", "a"), ("c", "b")])
    values = []
    for place in range(5):
        items = list("vwxyz")
        items[place] = "a"
        values.append(
            [value(per_customer(recs_frame({"c": items}), truth, 5), "c", m, 5) for m in ("ndcg", "map", "mrr")]
        )
    assert (np.diff(np.array(values), axis=0) < 0).all()
