"""als: the confidences by hand, new customers by the closed form, neighbours by the plain cosine."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from atelier import recommenders
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.base import Recommender
from atelier.recommenders.config import factors_for
from atelier.recommenders.factorisation.als_config import ALSConfig


def build(**config: Any) -> Recommender[Any]:
    return recommenders.build("als", **{"factors": 4, "threads": 1, **config})


def two_tastes(seed: int = 0) -> pd.DataFrame:
    """Customers of even and odd numbers buy articles of even and odd numbers only, half of them each."""
    random = np.random.default_rng(seed)
    rows = [(c, a) for c in range(30) for a in range(20) if c % 2 == a % 2 and random.random() < 0.5]
    return pd.DataFrame({"customer_id": [f"c{c:02d}" for c, _ in rows], "article_id": [f"a{a:02d}" for _, a in rows]})


def test_confidence_by_kind_and_age() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["u", "u", "u", "v", "v"],
            "article_id": ["x", "x", "y", "x", "z"],
            "kind": ["bag", "purchase", "save", "purchase", "view"],
            "occurred_at": pd.to_datetime(["2020-01-21", "2020-01-11", "2020-01-01", "2020-01-21", "2020-01-30"]),
        }
    )
    model = build(factors=2, alpha=3.0, half_life_days=10.0, kind_weights={"bag": 0.5, "save": 0.25}).fit(frame)
    confidence = model._confidence(Interactions.from_frame(frame.iloc[:4]).aligned(article_ids=model.article_ids))
    # z is only viewed: the last interaction trained on is of 21 January, and z has no vector.
    expected = 1 + 3 * np.array([[0.5 + 1 * 0.5, 0.25 * 0.25], [1, 0]])
    np.testing.assert_allclose(confidence.toarray(), expected * [[1, 1], [1, 0]], rtol=1e-6)
    assert model.weights["articles"].shape == (2, 2)


def test_dates_do_not_count_where_the_model_has_none() -> None:
    frame = two_tastes()
    model = build().fit(frame)
    dated = frame.assign(occurred_at=pd.Timestamp("2020-01-01") + pd.to_timedelta(range(len(frame)), "D"))
    recs = model.recommend(histories=dated, exclude_seen=False)
    pd.testing.assert_frame_equal(recs, model.recommend(histories=frame, exclude_seen=False))
    assert recs.score.max() > 0.5


def test_new_customers_by_the_closed_form() -> None:
    model = build(regularization=0.3, alpha=2.0).fit(two_tastes())
    history = pd.DataFrame({"customer_id": "new", "article_id": ["a02", "a04", "a04"]})
    recs = model.recommend(histories=history, exclude_seen=False, k=20)
    Y = model.weights["articles"].astype(np.float64)
    confidence = np.ones(len(Y))
    confidence[[2, 4]] = [1 + 2 * 1, 1 + 2 * 2]
    chosen = np.isin(np.arange(len(Y)), [2, 4])
    x = np.linalg.solve(Y.T @ (confidence[:, None] * Y) + 0.3 * np.eye(4), Y.T @ (confidence * chosen))  # eq. 4
    order = np.argsort(-(Y @ x))
    assert recs.article_id.tolist() == [f"a{code:02d}" for code in order]
    np.testing.assert_allclose(recs.score, (Y @ x)[order], rtol=1e-3, atol=1e-4)


def test_customers_get_articles_of_their_taste() -> None:
    model = build(factors=2).fit(two_tastes())
    recs = model.recommend(k=1)
    assert (recs.customer_id.str[-1].astype(int) % 2 == recs.article_id.str[-1].astype(int) % 2).all()
    near = model.similar(k=3)
    assert (near.article_id.str[-1].astype(int) % 2 == near.similar_article_id.str[-1].astype(int) % 2).all()


def test_neighbours_by_the_plain_cosine() -> None:
    model = build().fit(two_tastes())
    Y = model.weights["articles"].astype(np.float64)
    unit = Y / np.linalg.norm(Y, axis=1, keepdims=True)
    near = model.similar(["a07"], k=19)
    cosine = unit @ unit[7]
    expected = [code for code in np.argsort(-cosine) if code != 7]
    assert near.similar_article_id.tolist() == [f"a{code:02d}" for code in expected]
    np.testing.assert_allclose(near.similarity, cosine[expected], atol=1e-6)


def test_threads_do_not_change_what_is_saved(tmp_path: Path) -> None:
    for threads in (1, 2):
        build(factors=8, threads=threads).fit(two_tastes()).save(tmp_path / str(threads))
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in "12")
    assert one == two
    assert len(one) == 4
    assert recommenders.load(tmp_path / "2").config == build(factors=8, threads=0).config


def test_the_length_of_vectors_suits_the_catalogue() -> None:
    assert [factors_for(articles) for articles in (1, 945, 17_161, 46_167, 105_542)] == [16, 32, 128, 216, 256]
    assert build(factors=None).fit(two_tastes()).weights["articles"].shape == (20, 16)


def test_the_seed_matters() -> None:
    one, two = (build(factors=8, seed=seed).fit(two_tastes()) for seed in (0, 1))
    assert not np.array_equal(one.weights["articles"], two.weights["articles"])


def with_views(*pairs: tuple[str, str]) -> pd.DataFrame:
    views = pd.DataFrame(pairs, columns=["customer_id", "article_id"]).assign(kind="view")
    return pd.concat([two_tastes().assign(kind="purchase"), views], ignore_index=True)


@pytest.mark.parametrize("weight", [0.0, -0.02, -1000.0])
def test_a_row_that_weighs_nothing_or_less_does_not_attract(weight: float) -> None:
    """An even customer's view of an odd article: it is as if it had not been, in training and in histories."""
    config = {"train_kinds": ("purchase", "view"), "kind_weights": {"view": weight}}
    seen_it, never = (
        build(**config).fit(frame) for frame in (with_views(("c00", "a01"), ("new", "a01")), with_views())
    )
    np.testing.assert_array_equal(seen_it.weights["articles"], never.weights["articles"])
    lists = [model.recommend(["c00"], k=20, exclude_seen=False) for model in (seen_it, never)]
    pd.testing.assert_frame_equal(*lists)
    attracted = build(**config | {"kind_weights": {"view": 0.1}}).fit(with_views(("c00", "a01")))
    theirs = attracted.recommend(["c00"], k=20, exclude_seen=False).set_index("article_id").score["a01"]
    assert theirs > lists[0].set_index("article_id").score["a01"] + 0.1
    assert seen_it.can_serve(["new", "c00"]).tolist() == [False, True], "nothing is known of who has no preference"
    histories = pd.DataFrame({"customer_id": "z", "article_id": ["a00", "a01"], "kind": ["purchase", "view"]})
    with_view, without = (seen_it.recommend(histories=part, k=20) for part in (histories, histories.head(1)))
    pd.testing.assert_frame_equal(with_view, without)
    with pytest.warns(UserWarning, match="leaves out 1 of 1 customers"):
        assert seen_it.recommend(["z"], histories=histories.tail(1)).empty


def test_what_sums_to_nothing_is_no_preference_and_what_is_left_is() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["u"] * 7 + ["v", "v"],
            "article_id": ["x", "x", "y", "y", "z", "z", "z", "x", "y"],
            "kind": ["purchase", "return"] * 2 + ["save", "bag", "return", "purchase", "purchase"],
        }
    )
    weights = {"purchase": 1.0, "return": -1.0, "save": 0.3, "bag": 0.7}  # 0.3 + 0.7 − 1 is 0 but for rounding
    kinds = ("purchase", "return", "save", "bag")
    model = build(factors=2, train_kinds=kinds, kind_weights=weights).fit(frame)
    assert model.can_serve(["u", "v"]).tolist() == [False, True]
    assert model.can_rank(["x", "y", "z"]).tolist() == [True, True, False]
    half = build(factors=2, alpha=3.0, train_kinds=kinds, kind_weights={**weights, "return": -0.5}).fit(frame)
    confidence = half._confidence(Interactions.from_frame(frame).aligned(article_ids=half.article_ids)).toarray()
    np.testing.assert_allclose(confidence, [[2.5, 2.5, 2.5], [4, 4, 0]], rtol=1e-6)


def test_nothing_but_weightless_rows_is_nothing_to_learn_from() -> None:
    with pytest.raises(InteractionsError, match="nothing to learn from"):
        build(kind_weights={"purchase": 0.0}).fit(two_tastes().assign(kind="purchase"))


def test_a_purchase_of_long_ago_is_a_preference_still() -> None:
    """½ to the power of two thousand is no number above 0 any more."""
    frame = two_tastes().assign(occurred_at=pd.Timestamp("2020-01-01"))
    old = pd.DataFrame({"customer_id": ["old"], "article_id": ["a00"], "occurred_at": [pd.Timestamp("2000-01-01")]})
    model = build(half_life_days=1.0).fit(pd.concat([frame, old]))
    assert model.can_serve(["old"]).tolist() == [True]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 1001.0, -1001.0])
def test_weights_are_bounded(number: float) -> None:
    with pytest.raises(ValidationError, match=r"kind_weights.view"):
        ALSConfig(kind_weights={"view": number})
    for name in ("alpha", "regularization", "half_life_days"):
        if not np.isfinite(number) or number < 0:
            with pytest.raises(ValidationError, match=name):
                ALSConfig(**{name: number})


@pytest.mark.real_data
def test_a_week_of_real_purchases(real_data: Path) -> None:
    """Known figures: popular .04, own articles first .32, a plain ALS .119 and .302 (here with half the factors)."""
    path = real_data / "hm_week" / "transactions_train.parquet"
    table = pq.read_table(path).rename_columns(["occurred_at", "customer_id", "article_id", "price", "channel"])
    train, truth = Interactions.from_frame(table).split_at("2020-09-22")
    bought = truth.to_frame()[["customer_id", "article_id"]].drop_duplicates()
    bought = bought[bought.customer_id.isin(train.customer_ids.values.to_pandas())]
    judged = bought.customer_id.unique()

    def hit_rate(model: Recommender, exclude_seen: bool) -> float:
        recs = model.recommend(judged, exclude_seen=exclude_seen)
        return float(recs.merge(bought).customer_id.nunique() / len(judged))

    als = build(factors=64, iterations=5, threads=0).fit(train)
    repeat = recommenders.build("repeat").fit(train)
    assert hit_rate(als, exclude_seen=True) > 0.09
    assert hit_rate(als, exclude_seen=False) > 0.25
    assert hit_rate(repeat, exclude_seen=False) > 0.31
    assert 0.03 < hit_rate(recommenders.build("popular").fit(train), exclude_seen=True) < 0.06
