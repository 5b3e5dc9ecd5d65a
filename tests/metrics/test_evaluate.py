"""The table of everything: segments, catalogue means, standard errors, nulls, and agreement with per_customer."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.metrics import ACCURACY, MetricsError, article_segments, customers_with_history, evaluate, per_customer

CATALOGUE = pd.DataFrame(
    {
        "article_id": list("abcdef"),
        "product_type": ["Dress", "Dress", "Socks", "Socks", None, "Hat"],
        "price": [10.0, 20.0, 1.0, 3.0, None, 8.0],
        "available_from": pd.to_datetime(["2024-01-01", "2024-01-11", None, "2024-01-21", "2024-01-31", "2024-01-31"]),
    }
)


def frame(pairs: list[tuple[str, str]], **more: Any) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["customer_id", "article_id"]).assign(**more)


def recs_frame(lists: dict[str, str]) -> pd.DataFrame:
    rows = [
        (customer, article, rank) for customer, items in lists.items() for rank, article in enumerate(items, start=1)
    ]
    return pd.DataFrame(rows, columns=["customer_id", "article_id", "rank"])


def at(table: pd.DataFrame, metric: str, k: int, segment: str = "all") -> Any:
    rows = table[(table["metric"] == metric) & (table["k"] == k) & (table["segment"] == segment)]
    assert len(rows) == 1, f"{metric}@{k} of {segment}: {len(rows)} rows"
    return rows.iloc[0]


# a: 6 training interactions (warm), b: 4 (cold), the others none; u1 has 6, u2 3, u3 1, u4 none.
TRAIN = frame(
    [("u1", "a")] * 4 + [("u1", "b")] * 2 + [("u2", "a"), ("u2", "b"), ("u2", "a")] + [("u3", "b")],
    occurred_at=pd.Timestamp("2024-01-31 23:00"),
)
TRUTH = frame([("u1", "a"), ("u1", "b"), ("u1", "c"), ("u2", "b"), ("u4", "f"), ("u4", "f")])
RECS = recs_frame({"u1": "ab", "u2": "ac", "u4": "fa", "u9": "cd"})


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return evaluate(RECS, TRUTH, (1, 2), train=TRAIN, catalogue=CATALOGUE)


def test_columns_order_and_uniqueness(table: pd.DataFrame) -> None:
    assert table.columns.tolist() == ["metric", "k", "segment", "value", "standard_error", "customers"]
    keys = table[["metric", "k", "segment"]]
    assert not keys.duplicated().any()
    pd.testing.assert_frame_equal(keys, keys.sort_values(["metric", "k", "segment"], ignore_index=True))
    assert str(table["value"].dtype) == str(table["standard_error"].dtype) == "Float64"


def test_all(table: pd.DataFrame) -> None:
    recall = at(table, "recall", 2)  # u1 2/3, u2 0, u4 1
    values = np.array([2 / 3, 0, 1])
    assert recall["value"] == pytest.approx(values.mean())
    assert recall["standard_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(3))
    assert recall["customers"] == 3


def test_customers_by_history_and_activity(table: pd.DataFrame) -> None:
    assert at(table, "recall", 2, "customer:with_history")["value"] == pytest.approx(1 / 3)
    without = at(table, "recall", 2, "customer:without_history")
    assert (without["value"], without["customers"]) == (1, 1)
    assert without["standard_error"] is pd.NA
    assert at(table, "recall", 2, "customer:activity_6-20")["value"] == pytest.approx(2 / 3)
    assert at(table, "recall", 2, "customer:activity_1-5")["value"] == 0
    nobody = at(table, "recall", 2, "customer:activity_21+")
    assert nobody["value"] is pd.NA
    assert nobody["customers"] == 0


def test_articles_by_training_interactions(table: pd.DataFrame) -> None:
    assert at(table, "recall", 2, "article:warm")["customers"] == 1  # only u1 wanted a
    assert at(table, "recall", 2, "article:warm")["value"] == 1
    cold = at(table, "recall", 2, "article:cold")  # b: u1 found it, u2 did not
    assert (cold["value"], cold["customers"]) == (0.5, 2)
    new = at(table, "precision", 2, "article:new")  # c of u1 (missed), f of u4 (hit): k stays the divisor
    assert (new["value"], new["customers"]) == (0.25, 2)


def test_values_of_the_attribute(table: pd.DataFrame) -> None:
    dress = at(table, "recall", 2, "product_type=Dress")  # u1 a and b: both; u2 b: missed
    assert (dress["value"], dress["customers"]) == (0.5, 2)
    assert at(table, "recall", 2, "product_type=Socks")["value"] == 0
    assert at(table, "recommended_share", 2, "product_type=Socks")["value"] == pytest.approx(3 / 8)
    assert at(table, "relevant_share", 1, "product_type=Dress")["value"] == pytest.approx(3 / 5)


def test_restricted_candidates() -> None:
    cold = recs_frame({"u1": "b", "u2": "b"})
    table = evaluate(RECS, TRUTH, 2, train=TRAIN, catalogue=CATALOGUE, restricted_recs={"article:cold": cold})
    assert at(table, "recall", 2, "article:cold")["value"] == 0.5
    assert at(table, "recall", 2, "article:cold:candidates")["value"] == 1
    assert at(table, "precision", 2, "article:cold:candidates")["value"] == 0.5
    with pytest.raises(MetricsError, match="article:lukewarm"):
        evaluate(RECS, TRUTH, 2, train=TRAIN, restricted_recs={"article:lukewarm": cold})


def test_diversity(table: pd.DataFrame) -> None:
    assert at(table, "coverage", 2)["value"] == pytest.approx(5 / 6)  # a b c d f
    assert at(table, "overlap", 1)["value"] == pytest.approx(1 - 3 / 4)
    assert at(table, "personalization", 1)["value"] == pytest.approx(1 - 1 / 6)
    for metric in ("coverage", "overlap", "personalization"):
        assert at(table, metric, 2)["standard_error"] is pd.NA
    counts = np.array([6, 4, 0, 0, 0, 0]) + 1
    bits = -np.log2(counts / counts.sum())
    first = bits[[0, 0, 5, 2]]  # u1 a, u2 a, u4 f, u9 c
    novelty = at(table, "novelty", 1)
    assert novelty["value"] == pytest.approx(first.mean())
    assert novelty["standard_error"] == pytest.approx(first.std(ddof=1) / 2)
    assert novelty["customers"] == 4


def test_by_rank(table: pd.DataFrame) -> None:
    assert at(table, "mean_popularity_at_rank", 1)["value"] == pytest.approx((6 + 6 + 0 + 0) / 4)
    assert at(table, "mean_popularity_at_rank", 1, "catalogue")["value"] == pytest.approx(10 / 6)
    assert at(table, "mean_price_at_rank", 1)["value"] == pytest.approx((10 + 10 + 8 + 1) / 4)
    assert at(table, "mean_price_at_rank", 1, "catalogue")["value"] == pytest.approx(42 / 5)
    age = at(table, "mean_age_days_at_rank", 1)  # as of 2024-01-31; c has no date
    assert (age["value"], age["customers"]) == (pytest.approx((30 + 30 + 0) / 3), 3)
    later = evaluate(RECS, TRUTH, 1, catalogue=CATALOGUE, as_of=date(2024, 2, 1))
    assert at(later, "mean_age_days_at_rank", 1, "catalogue")["value"] == pytest.approx((31 + 21 + 11 + 1 + 1) / 5)


def test_money_as_decimals_and_dates_as_arrow() -> None:
    catalogue = pa.table(
        {
            "article_id": CATALOGUE["article_id"].tolist(),
            "price": pa.array(["10", "20", "1", "3", None, "8"]).cast(pa.decimal128(18, 9)),
            "available_from": pa.array(CATALOGUE["available_from"].dt.date.tolist(), pa.date32(), from_pandas=True),
        }
    )
    for form in (catalogue, catalogue.to_pandas()):
        table = evaluate(RECS, TRUTH, 1, train=TRAIN, catalogue=form)
        assert at(table, "mean_price_at_rank", 1, "catalogue")["value"] == pytest.approx(42 / 5)
        assert at(table, "mean_age_days_at_rank", 1)["value"] == pytest.approx(20)


def test_what_is_not_given_is_left_out() -> None:
    table = evaluate(RECS, TRUTH, (1, 2))
    assert set(table["metric"]) == {*ACCURACY, "overlap", "personalization"}
    assert set(table["segment"]) == {"all"}


def test_train_kinds_decide_history_and_purchases_popularity() -> None:
    train = TRAIN.assign(kind=["view"] * 6 + ["save"] * 3 + ["purchase"])
    table = evaluate(RECS, TRUTH, 2, train=train, catalogue=CATALOGUE)
    assert at(table, "recall", 2, "customer:with_history")["customers"] == 1  # u2; u1 only looked
    assert at(table, "mean_popularity_at_rank", 1, "catalogue")["value"] == pytest.approx(1 / 6)
    every = evaluate(RECS, TRUTH, 2, train=train, catalogue=CATALOGUE, train_kinds=None)
    assert at(every, "recall", 2, "customer:with_history")["customers"] == 2
    assert customers_with_history(train) == ["u2", "u3"]


def test_interactions_and_catalogue_objects_give_the_same() -> None:
    train = TRAIN.assign(kind=["view", "purchase"] * 5)
    truth = TRUTH.assign(kind="purchase", occurred_at=pd.Timestamp("2024-02-02"))
    expected = evaluate(RECS, truth, (1, 2), train=train, catalogue=CATALOGUE, exclude_seen=True)
    found = evaluate(
        RECS,
        Interactions.from_frame(truth),
        (1, 2),
        train=Interactions.from_frame(train),
        catalogue=Catalogue.from_frames(CATALOGUE),
        exclude_seen=True,
    )
    pd.testing.assert_frame_equal(found, expected)
    assert customers_with_history(Interactions.from_frame(train)) == customers_with_history(train)
    segments = article_segments(Catalogue.from_frames(CATALOGUE), Interactions.from_frame(train))
    pd.testing.assert_frame_equal(segments, article_segments(CATALOGUE, train))


def test_article_segments() -> None:
    segments = article_segments(CATALOGUE, TRAIN).set_index("article_id")["segment"]
    assert segments.to_dict() == {
        "a": "article:warm",
        "b": "article:cold",
        "c": "article:new",
        "d": "article:new",
        "e": "article:new",
        "f": "article:new",
    }


def test_customers_restricts_judgement_and_description() -> None:
    table = evaluate(RECS, TRUTH, 2, train=TRAIN, catalogue=CATALOGUE, customers=["u4", "u9"])
    assert at(table, "recall", 2)["customers"] == 1
    assert at(table, "coverage", 2)["value"] == pytest.approx(4 / 6)  # f a c d


def test_nobody_judged_is_null_not_a_number() -> None:
    table = evaluate(RECS.iloc[:0], TRUTH.iloc[:0], 2, train=TRAIN, catalogue=CATALOGUE)
    assert at(table, "precision", 2)["value"] is pd.NA
    assert at(table, "personalization", 2)["value"] is pd.NA
    assert at(table, "coverage", 2)["value"] == 0
    arrow = pa.Table.from_pandas(table)
    for name in ("value", "standard_error"):
        assert not any(value is not None and np.isnan(value) for value in arrow[name].to_pylist())


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = [part.sample(frac=1, random_state=1) for part in (RECS, TRUTH, TRAIN, CATALOGUE)]
    found = evaluate(shuffled[0], shuffled[1], (1, 2), train=shuffled[2], catalogue=shuffled[3])
    expected = evaluate(RECS, TRUTH, (1, 2), train=TRAIN, catalogue=CATALOGUE)
    pd.testing.assert_frame_equal(found, expected)


CUSTOMER = st.sampled_from(["u1", "u2", "u3", "u4", "u5"])
PAIRS = st.lists(st.tuples(CUSTOMER, st.sampled_from(list("abcdefz"))), max_size=30)
LISTS = st.dictionaries(CUSTOMER, st.permutations("abcdefy").map(lambda p: "".join(p[:4])), max_size=5)


@settings(max_examples=25)
@given(lists=LISTS, pairs=PAIRS, seen=PAIRS, exclude=st.booleans())
def test_every_segment_is_per_customer_on_a_smaller_truth(
    lists: dict[str, str], pairs: list[tuple[str, str]], seen: list[tuple[str, str]], exclude: bool
) -> None:
    recs, truth, train = recs_frame(lists), frame(pairs), frame(seen)
    table = evaluate(recs, truth, (1, 3), train=train, catalogue=CATALOGUE, exclude_seen=exclude)
    bounded = table[~table["metric"].str.contains("_at_rank|novelty")]["value"].dropna()
    assert bounded.between(0, 1).all()
    counts = train["article_id"].value_counts()
    activity = train["customer_id"].value_counts()
    types = CATALOGUE.set_index("article_id")["product_type"]
    held = truth["article_id"].map(lambda a: int(counts.get(a, 0)))
    known = truth["customer_id"].map(lambda c: int(activity.get(c, 0)))
    masks = {
        "all": held >= 0,
        "article:warm": held >= 5,
        "article:cold": held.between(1, 4),
        "article:new": held == 0,
        "product_type=Dress": truth["article_id"].map(lambda a: types.get(a) == "Dress"),
        "customer:with_history": known > 0,
        "customer:without_history": known == 0,
        "customer:activity_1-5": known.between(1, 5),
        "customer:activity_6-20": known.between(6, 20),
    }
    for segment, mask in masks.items():
        smaller = per_customer(recs, truth[mask.astype(bool)], (1, 3), train=train, exclude_seen=exclude)
        for (metric, k), values in smaller.groupby(["metric", "k"], observed=True)["value"]:
            row = at(table, str(metric), int(k), segment)
            assert row["value"] == pytest.approx(values.mean(), abs=1e-12)
            assert row["customers"] == len(values)
            assert (row["standard_error"] is pd.NA) == (len(values) < 2)
            if len(values) > 1:
                assert row["standard_error"] == pytest.approx(values.std() / np.sqrt(len(values)), abs=1e-12)
        if smaller.empty:
            assert at(table, "precision", 1, segment)["customers"] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
@pytest.mark.parametrize("numbers", [(0, 1, 2), (-100, 0, 100), (5, 5, 120), (3, 2**40, 2**62)])
def test_whole_numbers_are_coded_as_their_texts_are(dtype: str, numbers: tuple[int, ...]) -> None:
    from atelier.metrics.encoding import coded

    values = np.array([n for n in numbers if np.iinfo(dtype).min <= n <= np.iinfo(dtype).max] * 3, dtype=dtype)
    for column in (values, pd.Series(values), pa.chunked_array([values[:2], values[2:]])):
        found = coded(column, "ids")
        assert found.values.take(pa.array(found.codes)).to_pylist() == [str(value) for value in values.tolist()]
        assert len(set(found.values.to_pylist())) == len(found.values)


def test_sets_are_told_apart_whatever_their_order() -> None:
    from atelier.metrics.diversity import overlap

    random = np.random.default_rng(0)
    articles = np.array([random.permutation(6)[:4] for _ in range(300)], dtype=np.int32)
    articles[random.random(articles.shape) < 0.2] = -1
    sets = [tuple(sorted(row)) for row in articles[(articles >= 0).any(axis=1)].tolist()]
    assert overlap(articles) == pytest.approx(1 - len(set(sets)) / len(sets))


def test_figures_do_not_depend_on_the_order_of_rows_nor_on_how_many_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame
) -> None:
    monkeypatch.setattr("atelier.metrics.lists.ROWS", 3)
    again = evaluate(RECS[::-1], TRUTH[::-1], (1, 2), train=TRAIN[::-1], catalogue=CATALOGUE[::-1])
    pd.testing.assert_frame_equal(again, table, rtol=1e-12)
    twice = pd.concat([RECS, RECS[:1]])  # the second one in another block than the first
    with pytest.raises(MetricsError, match="same rank twice"):
        evaluate(twice, TRUTH, 2)


def test_identifiers_that_only_a_dictionary_holds_have_no_list() -> None:
    names = ["customer_id", "article_id"]
    table = evaluate(RECS.astype(dict.fromkeys(names, "category")).query("customer_id == 'u2'"), TRUTH, (1, 2))
    assert at(table, "overlap", 2)["customers"] == 1
    pd.testing.assert_frame_equal(table, evaluate(RECS[RECS["customer_id"] == "u2"], TRUTH, (1, 2)))


def test_what_is_left_out_of_a_list_never_lands_in_another() -> None:
    ranks = RECS["rank"].replace({2: 1_000})  # far beyond the longest k
    table = evaluate(RECS.assign(rank=ranks), TRUTH, (1, 2), customers=["u1", "u2"], catalogue=CATALOGUE)
    assert at(table, "coverage", 2)["value"] == pytest.approx(1 / 6)  # "a" of both; nothing of u4 and u9
    assert at(table, "coverage", 2)["customers"] == 2
    assert at(table, "precision", 2)["value"] == pytest.approx(1 / 4)


@given(st.lists(st.lists(st.text("ab0", max_size=3), max_size=6), max_size=4))
def test_united_columns_agree_with_places_looked_up_one_by_one(columns: list[list[str]]) -> None:
    from atelier.metrics.encoding import coded, united

    given = [coded(pa.array(column, pa.string()), "ids") for column in columns]
    ids, places = united(*given)
    assert ids.to_pylist() == sorted({text for column in columns for text in column})
    assert [found.tolist() for found in places[: len(given)]] == [column.positions(ids).tolist() for column in given]
