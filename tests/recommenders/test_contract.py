"""What every recommender must do, whatever it is: how it learns, its lists and its neighbours.

One suite, run for each registered model (:mod:`tests.recommenders.contract_world`).
"""

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from atelier.catalogue import Catalogue, CatalogueError
from atelier.errors import UnknownIdentifier
from atelier.ids import IdentifierError
from atelier.interactions import Interactions, InteractionsError
from atelier.recommenders.base import NotFittedError, Recommender
from atelier.recommenders.vector_model import VectorRecommender
from tests.recommenders.contract_world import (
    ARTICLES,
    CUSTOMERS,
    FRAME,
    NOBODY,
    OUT_OF_STOCK,
    PURCHASED,
    UNSOLD,
    VARIANTS,
    VECTORS,
    bundle,
    catalogue,
    check_frame,
    eligible,
    fitted,
    history,
    like,
    lists,
    repeats,
)


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> Recommender[Any]:
    return fitted(request.param)


# Learning


def test_refit_equals_fit(model: Recommender[Any], tmp_path: Path) -> None:
    repeats(model)
    model.save(tmp_path / "first")
    again = like(model).fit(FRAME, catalogue=catalogue(), customers=CUSTOMERS)
    again.save(tmp_path / "again")
    again.fit(FRAME, catalogue=catalogue(), customers=CUSTOMERS).save(tmp_path / "refitted")
    assert bundle(tmp_path / "first") == bundle(tmp_path / "again") == bundle(tmp_path / "refitted")


def test_the_order_of_input_rows_does_not_matter(model: Recommender[Any], tmp_path: Path) -> None:
    repeats(model)
    shuffled = FRAME.sample(frac=1, random_state=3)
    other = Catalogue.from_frames(ARTICLES.iloc[::-1], VECTORS[::-1])
    like(model).fit(shuffled, catalogue=other, customers=CUSTOMERS[::-1]).save(tmp_path / "shuffled")
    model.save(tmp_path / "model")
    assert bundle(tmp_path / "shuffled") == bundle(tmp_path / "model")


def test_frames_and_interactions_are_the_same(model: Recommender[Any]) -> None:
    repeats(model)
    other = like(model).fit(Interactions.from_frame(pa.Table.from_pandas(FRAME)), catalogue(), CUSTOMERS)
    pd.testing.assert_frame_equal(other.recommend(), model.recommend())


def test_no_input_is_changed(model: Recommender[Any]) -> None:
    frame, articles, vectors, customers = FRAME.copy(), ARTICLES.copy(), VECTORS.copy(), CUSTOMERS.copy()
    asked, histories, candidates = ["c03", "c01"], FRAME.iloc[:9].copy(), np.array(["a02", "a01"], dtype=object)
    fitted = like(model).fit(frame, Catalogue.from_frames(articles, vectors), customers)
    fitted.recommend(asked, candidates=candidates)
    fitted.recommend(histories=histories)
    fitted.similar(candidates)
    pd.testing.assert_frame_equal(frame, FRAME)
    pd.testing.assert_frame_equal(articles, ARTICLES)
    pd.testing.assert_frame_equal(customers, CUSTOMERS)
    pd.testing.assert_frame_equal(histories, FRAME.iloc[:9])
    np.testing.assert_array_equal(vectors, VECTORS)
    assert (asked, candidates.tolist()) == (["c03", "c01"], ["a02", "a01"])


def test_only_train_kinds_teach(model: Recommender[Any], tmp_path: Path) -> None:
    """Views, which no default learns from, change nothing about articles and customers that others mention too."""
    repeats(model)
    views = FRAME[FRAME.kind == "purchase"].assign(kind="view")
    like(model).fit(pd.concat([FRAME, views]), catalogue(), CUSTOMERS).save(tmp_path / "more")
    model.save(tmp_path / "model")
    assert bundle(tmp_path / "more") == bundle(tmp_path / "model")


def test_nothing_to_learn_from_is_an_error(model: Recommender[Any]) -> None:
    for frame in (FRAME.iloc[:0], FRAME[FRAME.kind == "view"]):
        with pytest.raises(InteractionsError, match=r"nothing to learn from.* save, bag, purchase"):
            like(model).fit(frame)


def test_without_catalogue_customers_kinds_and_dates(model: Recommender[Any]) -> None:
    if model.config.model_dump().get("mode") == "content":
        with pytest.raises(CatalogueError, match="reads vectors: pass a catalogue"):
            like(model).fit(FRAME[["customer_id", "article_id"]])
        return
    bare = like(model).fit(FRAME[["customer_id", "article_id"]])
    recs = bare.recommend(k=5)
    check_frame(recs, "score", "customer_id", "article_id")
    assert set(recs.customer_id) == set(FRAME.customer_id)
    bought = FRAME.groupby("customer_id").article_id.agg(set)
    assert not any(set(articles) & bought[customer] for customer, articles in lists(recs).items())


def test_a_failed_refit_leaves_no_half_changed_model(model: Recommender[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    again = like(model).fit(FRAME, catalogue(), CUSTOMERS)
    before = again.recommend(k=5)
    with pytest.raises(InteractionsError):  # refused before anything changed
        again.fit(FRAME[FRAME.kind == "view"])
    pd.testing.assert_frame_equal(again.recommend(k=5), before)

    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(type(again), "_fit_with_returns", fail)
    with pytest.raises(MemoryError):
        again.fit(FRAME.iloc[:200], catalogue())
    with pytest.raises(NotFittedError):
        again.recommend(k=5)


def test_asked_before_fitting(model: Recommender[Any], tmp_path: Path) -> None:
    new = like(model)
    others = (lambda: new.save(tmp_path), lambda: new.can_serve([]), lambda: new.can_rank([]))
    for ask in (new.recommend, new.recommend_batches, new.similar, *others):
        with pytest.raises(NotFittedError, match="was not fitted"):
            ask()


# Lists


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("k", [1, 5, 1000])
def test_lists_are_as_long_as_can_be_and_hold_only_what_may_be(
    model: Recommender[Any], k: int, exclude_seen: bool
) -> None:
    recs = model.recommend(k=k, exclude_seen=exclude_seen)
    check_frame(recs, "score", "customer_id", "article_id")
    asked = CUSTOMERS[model.can_serve(CUSTOMERS)].customer_id.tolist()
    assert len(asked) >= 40
    assert list(lists(recs)) == asked
    for customer, articles in lists(recs).items():
        allowed = eligible(model) - (PURCHASED.get(customer, set()) if exclude_seen else set())
        assert set(articles) <= allowed
        assert len(articles) == min(k, len(allowed))


def test_seen_kinds_can_be_chosen(model: Recommender[Any]) -> None:
    wide = like(model, seen_kinds=("view", "bag", "purchase")).fit(FRAME, catalogue(), CUSTOMERS)
    seen = FRAME.groupby("customer_id").article_id.agg(set)
    recs = lists(wide.recommend(seen.index, k=1000))
    assert all(set(recs[customer]) == eligible(wide) - seen[customer] for customer in seen.index)


def test_unsold_articles_are_for_models_that_can_rank_them(model: Recommender[Any]) -> None:
    found = set(model.recommend(k=1000, exclude_seen=False).article_id)
    assert (UNSOLD in found) == model.ranks_unsold
    assert model.can_rank([UNSOLD, "a00", "?"]).tolist() == [model.ranks_unsold, True, False]


def test_the_order_asked_is_kept_and_each_is_served_once(model: Recommender[Any]) -> None:
    asked = ["c07", "c01", "c07", "c30"]
    for form in (asked, pd.Series(asked), pa.array(asked), pd.DataFrame({"customer_id": asked})):
        recs = model.recommend(form, k=3)
        assert list(lists(recs)) == ["c07", "c01", "c30"]
        everyone = lists(model.recommend(k=3))
        assert all(everyone[customer] == articles for customer, articles in lists(recs).items())


def test_candidates_are_an_allow_list(model: Recommender[Any]) -> None:
    few = ["a08", "a02", "a05", OUT_OF_STOCK[0], UNSOLD]
    for form in (few, pd.DataFrame({"article_id": few}), Catalogue.from_frames(pd.DataFrame({"article_id": few}))):
        for customer, articles in lists(model.recommend(k=4, candidates=form)).items():
            assert set(articles) == (set(few) & eligible(model)) - PURCHASED.get(customer, set())
    whole = lists(model.recommend(k=1000))
    for customer, articles in lists(model.recommend(k=1000, candidates=few)).items():
        assert articles == [article for article in whole[customer] if article in few]
    empty = model.recommend(candidates=[])
    assert len(empty) == 0
    check_frame(empty, "score", "customer_id", "article_id")


def test_lists_need_no_memory_beyond_what_is_eligible(model: Recommender[Any]) -> None:
    """K = 20 million of a few articles: the same lists as with k = 21, and as little memory."""
    few = ["a08", "a02", "a05"]
    for ask in (
        lambda k: model.recommend(k=k, candidates=few),
        lambda k: model.recommend(k=k),
        lambda k: model.similar(k=k),
        lambda k: model.similar(k=k, eligible=few),
        lambda k: model.recommend(k=k, candidates=[]),
    ):
        tracemalloc.start()
        endless = ask(20_000_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50_000_000
        pd.testing.assert_frame_equal(endless, ask(30))


def test_eligible_neighbours_are_an_allow_list(model: Recommender[Any]) -> None:
    few = ["a08", "a02", "a05", OUT_OF_STOCK[0], UNSOLD]
    known = model.article_ids.values.to_pylist()
    mask = np.isin(known, few)
    whole = model.similar(k=1000)
    expected = whole[whole.similar_article_id.isin(few)]
    forms = (few, pd.DataFrame({"article_id": few}), Catalogue.from_frames(pd.DataFrame({"article_id": few})))
    for form in (*forms, mask, mask.tolist(), pd.Series(mask), pd.array(mask), pa.array(mask)):
        found = model.similar(k=1000, eligible=form)
        check_frame(found, "similarity", "article_id", "similar_article_id")
        assert found[["article_id", "similar_article_id"]].to_numpy().tolist() == (
            expected[["article_id", "similar_article_id"]].to_numpy().tolist()
        )
        pd.testing.assert_frame_equal(model.recommend(k=1000, candidates=form), model.recommend(k=1000, candidates=few))
    assert model.similar(eligible=[]).empty
    with pytest.raises(UnknownIdentifier, match="1 unknown article_id: 'nothing'"):
        model.similar(eligible=["a01", "nothing"])
    with pytest.raises(IdentifierError, match="mask of articles has 2 places"):
        model.similar(eligible=[True, False])
    with pytest.raises(IdentifierError, match="mask of articles is null for 1"):
        model.similar(eligible=pd.array([True, *[None] * 1, *[False] * (len(known) - 2)], dtype="boolean"))


def test_similar_customers(model: Recommender[Any]) -> None:
    if not isinstance(model, VectorRecommender):
        return
    near = model.similar_customers(k=5)
    check_frame(near, "similarity", "customer_id", "similar_customer_id")
    served = CUSTOMERS.customer_id[model.can_serve(CUSTOMERS)].tolist()
    assert list(near.customer_id.unique()) == served
    assert (near.customer_id != near.similar_customer_id).all()
    profiles = model.customer_profiles
    vectors = model.customer_vectors(profiles.profiles, np.arange(len(profiles.rankable))).astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    best = np.sort(cosine, axis=1)[:, ::-1][:, :5]
    np.testing.assert_allclose(near.similarity.to_numpy().reshape(-1, 5), best, atol=1e-5)
    asked = model.similar_customers(["c07", "c01"], k=1000, eligible=pd.DataFrame({"customer_id": ["c03", "c07"]}))
    assert asked.groupby("customer_id", sort=False).similar_customer_id.agg(list).to_dict()["c07"] == ["c03"]
    assert set(asked[asked.customer_id == "c01"].similar_customer_id) == {"c03", "c07"}
    assert model.similar_customers([]).empty
    with pytest.raises(UnknownIdentifier, match="'nobody'"):
        model.similar_customers(["nobody"])
    with pytest.raises(ValueError, match="at least 1, not 0"):
        model.similar_customers(k=0)
    with pytest.raises(NotFittedError):
        like(model).similar_customers()


def test_unknown_identifiers_are_named(model: Recommender[Any]) -> None:
    with pytest.raises(UnknownIdentifier, match="2 unknown customer_ids: 'nobody', 'somebody'"):
        model.recommend(["c01", "somebody", "nobody"])
    with pytest.raises(UnknownIdentifier, match="1 unknown article_id: 'nothing'"):
        model.recommend(["c01"], candidates=["a01", "nothing"])
    with pytest.raises(UnknownIdentifier, match="1 unknown article_id: 'nothing'"):
        model.similar(["nothing"])
    with pytest.raises(UnknownIdentifier):  # at once, not with the first batch
        model.recommend_batches(["nobody"])
    assert model.can_serve(["c01", "nobody"]).tolist() == [True, False]


def test_known_customers_without_history_are_served_or_left_out_aloud(model: Recommender[Any]) -> None:
    assert model.can_serve([NOBODY]).tolist() == [model.declaration.serves_anyone]
    if model.declaration.serves_anyone:
        assert len(model.recommend([NOBODY], k=4)) == 4
    else:
        with pytest.warns(UserWarning, match=r"leaves out 1 of 2 customers.*'c99'.*popular"):
            recs = model.recommend([NOBODY, "c01"], k=4)
        assert list(lists(recs)) == ["c01"]


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_an_error(model: Recommender[Any], k: int) -> None:
    for ask in (model.recommend, model.similar):
        with pytest.raises(ValueError, match=f"at least 1, not {k}"):
            ask(k=k)


def test_asking_for_nobody_gives_an_empty_frame(model: Recommender[Any]) -> None:
    check_frame(model.recommend([]), "score", "customer_id", "article_id")
    check_frame(model.similar([]), "similarity", "article_id", "similar_article_id")


def test_batches_make_up_the_frame(model: Recommender[Any]) -> None:
    batches = list(model.recommend_batches(k=4, batch_size=7))
    assert len(batches) == -(-int(model.can_serve(CUSTOMERS).sum()) // 7)
    assert all(pa.types.is_dictionary(batch.schema.field(place).type) for batch in batches for place in (0, 1))
    frame = pa.Table.from_batches(batches).to_pandas()
    whole = model.recommend(k=4)
    for name in ("customer_id", "article_id", "rank"):
        assert frame[name].tolist() == whole[name].tolist()
    np.testing.assert_allclose(frame["score"], whole["score"], rtol=1e-5, atol=1e-6)  # a score may be nearly zero


# New customers


def test_new_customers_are_served_from_their_histories(model: Recommender[Any]) -> None:
    new = pd.concat([history("z", ["a00", "a02"]), history("y", ["a01"], "bag")])
    recs = model.recommend(histories=new, k=1000)
    check_frame(recs, "score", "customer_id", "article_id")
    assert list(lists(recs)) == ["y", "z"]
    assert set(lists(recs)["z"]) == eligible(model) - {"a00", "a02"}
    assert set(lists(recs)["y"]) == eligible(model)
    assert set(lists(model.recommend(histories=new, k=1000, exclude_seen=False))["z"]) == eligible(model)
    assert list(lists(model.recommend(["z"], histories=Interactions.from_frame(new)))) == ["z"]
    assert set(model.recommend(histories=new, candidates=["a05"]).article_id) == {"a05"}


def test_a_history_takes_the_place_of_what_was_trained_on(model: Recommender[Any]) -> None:
    fresh = lists(model.recommend(histories=history("c01", ["a00"]), k=1000))
    assert set(fresh["c01"]) == eligible(model) - {"a00"}


def test_unknown_articles_in_histories_do_not_count(model: Recommender[Any]) -> None:
    known = model.recommend(histories=history("z", ["a00"]), k=5)
    mixed = history("z", ["a00", "newer than the model"])
    pd.testing.assert_frame_equal(model.recommend(histories=mixed, k=5), known)


def test_known_articles_that_cannot_be_ranked_do_not_count_in_histories(model: Recommender[Any]) -> None:
    """UNSOLD is in the catalogue: a model that cannot rank it must not take it for another article."""
    if not model.ranks_unsold:
        known = model.recommend(histories=history("z", ["a00"]), k=5)
        pd.testing.assert_frame_equal(model.recommend(histories=history("z", ["a00", UNSOLD]), k=5), known)
        bare = history("z", [UNSOLD])[["customer_id", "article_id"]]
        if model.declaration.serves_anyone:
            assert list(lists(model.recommend(["z"], histories=bare))) == ["z"]
        else:
            with pytest.warns(UserWarning, match="leaves out 1 of 1 customers"):
                assert model.recommend(["z"], histories=bare).empty


def test_empty_histories_are_served_or_left_out_aloud(model: Recommender[Any]) -> None:
    nothing = FRAME.iloc[:0]
    assert len(model.recommend(histories=nothing)) == 0
    for empty in (nothing, history("z", ["newer than the model"])):
        if model.declaration.serves_anyone:
            assert len(lists(model.recommend(["z"], histories=empty, k=4))["z"]) == 4
        else:
            with pytest.warns(UserWarning, match="leaves out 1 of 1 customers"):
                assert len(model.recommend(["z"], histories=empty, k=4)) == 0


# Neighbours


def test_neighbours(model: Recommender[Any]) -> None:
    near = model.similar(k=5)
    check_frame(near, "similarity", "article_id", "similar_article_id")
    assert set(near.article_id) <= set(model.article_ids.values.to_pylist())
    assert set(near.similar_article_id) <= eligible(model)
    assert (near.article_id != near.similar_article_id).all()
    assert near.similarity.abs().max() <= 1 + 1e-6
    assert near.groupby("article_id").size().max() == 5
    few = model.similar(["a08", OUT_OF_STOCK[0]], k=5)
    assert list(few.article_id.unique()) == ["a08", OUT_OF_STOCK[0]]
    for article, rows in few.groupby("article_id"):
        assert rows.similar_article_id.tolist() == near[near.article_id == article].similar_article_id.tolist()
    assert model.similar(["a08"], k=1000).similar_article_id.is_unique


def test_articles_that_cannot_be_compared_are_left_out_aloud(model: Recommender[Any]) -> None:
    if model.ranks_unsold:
        assert len(model.similar([UNSOLD])) > 0
    else:
        with pytest.warns(UserWarning, match=r"leaves out 1 of 2 articles.*'a90'"):
            near = model.similar([UNSOLD, "a00"])
        assert set(near.article_id) == {"a00"}


def test_serving_all_is_quiet(model: Recommender[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.recommend(k=2)
