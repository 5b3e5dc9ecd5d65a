"""hybrid: planted tastes, what it needs, new customers and new articles."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from atelier import recommenders
from atelier.catalogue import Catalogue, CatalogueError
from atelier.errors import AtelierError, UndatedWarning
from atelier.interactions import Interactions
from atelier.recommenders.factorisation.hybrid import Hybrid
from atelier.recommenders.factorisation.hybrid_config import HybridConfig
from atelier.recommenders.fallback import serve
from tests.devices import DEVICES
from tests.recommenders.factorisation.planted import (
    CATALOGUE,
    CUSTOMERS,
    FRAME,
    LEARNS,
    NAMES,
    NEW,
    PER_TASTE,
    TASTES,
    TRAIN,
    fitted,
    learned,
    taste_share,
)


@pytest.fixture(scope="module", params=["content", "collaborative", "hybrid"])
def model(request: pytest.FixtureRequest) -> Hybrid:
    return learned(mode=request.param)


# What it learns


def test_planted_tastes_are_found(model: Hybrid) -> None:
    popular = recommenders.build("popular").fit(TRAIN, CATALOGUE)
    assert taste_share(popular.recommend(k=5)) < 0.3
    assert taste_share(model.recommend(k=5)) > 0.9
    near = model.similar([f"a{a:03d}" for a in range(0, 120, 7)], k=5)
    assert (
        taste_share(
            near.rename(columns={"similar_article_id": "article_id"})
            .assign(customer_id="c" + (near.article_id.str[1:].astype(int) // PER_TASTE).astype(str))
            .pipe(lambda f: f.loc[:, ~f.columns.duplicated()])
        )
        > 0.8
    )


def test_new_articles_of_the_right_kind_from_content_alone(model: Hybrid) -> None:
    assert model.can_rank(NEW).all() == (model.config.mode != "collaborative")
    if model.config.mode != "collaborative":
        # With embeddings beside it, which learn the same, content alone says a little less.
        assert taste_share(model.recommend(k=1, candidates=NEW)) > (0.95 if model.config.mode == "content" else 0.75)
        content = model.content_network()(torch.tensor(CATALOGUE.vectors[-TASTES:])).detach().numpy()
        np.testing.assert_allclose(model.weights["articles"][-TASTES:], content, rtol=0.02, atol=0.02)  # bfloat16


# What it needs


def test_without_examples_it_serves_nobody_and_the_fallback_everybody(tmp_path: Path) -> None:
    once = FRAME.drop_duplicates("customer_id")
    with pytest.warns(UserWarning, match=r"no examples: nobody has 2 interactions with 1 before.*lower"):
        model = recommenders.build("hybrid").fit(once, CATALOGUE)
    model.save(tmp_path / "hybrid")
    model = recommenders.load(tmp_path / "hybrid")
    customers = once["customer_id"]
    assert not model.can_serve(customers).any()
    assert not model.can_rank(CATALOGUE.ids.values).any()
    assert model.similar().empty
    assert model.recommend(k=3).empty
    popular = recommenders.build("popular").fit(once, CATALOGUE)
    lists = pa.Table.from_batches(list(serve(model, popular, customers, k=3)))
    assert len(lists) == 3 * len(customers)
    assert all(lists["fallback"].to_pylist())


def test_the_published_preset_needs_longer_histories() -> None:
    few = FRAME.groupby("customer_id").head(5)
    with pytest.warns(UserWarning, match="6 interactions with 5 before"):
        Hybrid(HybridConfig.published()).fit(few, CATALOGUE)


def test_without_vectors() -> None:
    bare = Catalogue.from_frames(CATALOGUE.frame)
    with pytest.warns(UserWarning, match="no article vectors: it learns embeddings only"):
        hybrid = recommenders.build("hybrid", **LEARNS).fit(TRAIN, bare)
    assert not hybrid.can_rank(NEW).any()
    collaborative = recommenders.build("hybrid", **LEARNS, mode="collaborative").fit(TRAIN, CATALOGUE)
    np.testing.assert_array_equal(hybrid.weights["articles"], collaborative.weights["articles"])
    with pytest.raises(CatalogueError, match="mode 'content' reads vectors"):
        recommenders.build("hybrid", mode="content").fit(TRAIN, bare)


def test_content_mode_knows_only_articles_with_content() -> None:
    vectors = CATALOGUE.vectors.copy()
    vectors[:PER_TASTE] = 0
    blind = Catalogue.from_frames(CATALOGUE.frame, vectors, NAMES)
    only = pd.DataFrame({"customer_id": "blind", "article_id": ["a000", "a001"]})
    train_on = pd.concat([TRAIN.to_frame()[["customer_id", "article_id"]], only])
    content, hybrid = (
        recommenders.build("hybrid", **LEARNS, mode=m).fit(train_on, blind) for m in ("content", "hybrid")
    )
    assert content.can_serve(["blind", "c000"]).tolist() == [False, True]
    assert hybrid.can_serve(["blind", "c000"]).tolist() == [True, True]
    assert content.can_rank(["a000", "a020", "n0"]).tolist() == [False, True, True]
    assert hybrid.can_rank(["a000", "a020", "n0"]).tolist() == [True, True, True]


# Customers


def test_the_customer_is_the_mean_of_the_history(model: Hybrid) -> None:
    history = pd.DataFrame({"customer_id": "z", "article_id": ["a001", "a001", "a050", "a033"]})
    recs = model.recommend(histories=history, exclude_seen=False, k=7)
    vectors = model.weights["articles"].astype(np.float64)
    scores = vectors @ vectors[[1, 1, 50, 33]].mean(axis=0)
    order = np.argsort(-np.where(model.ranked, scores, -np.inf))[:7]
    assert recs.article_id.tolist() == model.article_ids.take(order).to_pylist()
    np.testing.assert_allclose(recs.score, scores[order], rtol=1e-4)


def test_only_the_last_interactions_may_count() -> None:
    model = fitted(history=2, mode="collaborative", max_epochs=1)
    new = pd.DataFrame({"customer_id": ["y"] * 4 + ["z"], "article_id": ["a001", "a002", "a003", "a003", "a004"]})
    profiles = model._new_profiles(new, None).profiles
    assert profiles["history.codes"].tolist() == [3, 4]
    assert profiles["history.shares"].tolist() == [1, 1]
    assert profiles["history.starts"].tolist() == [0, 1, 2]


# Articles that come later


def test_a_later_catalogue_brings_new_articles(model: Hybrid, tmp_path: Path) -> None:
    articles = pd.DataFrame(
        {"article_id": ["a000", "a021", "0 first", "zz last"], "in_stock": [True, False, True, True]}
    )
    vectors = np.zeros((4, len(NAMES)), dtype=np.float32)
    vectors[[2, 3], [0, 3]] = 1
    later = model.with_catalogue(Catalogue.from_frames(articles, vectors, NAMES))
    reads = model.config.mode != "collaborative"
    assert later.can_rank(["0 first", "zz last", "a021"]).tolist() == [reads, reads, True]
    recs = later.recommend(k=5)
    assert set(recs.article_id) <= ({"a000", "0 first", "zz last"} if reads else {"a000"})
    if reads:
        first = recs[(recs["rank"] == 1) & (recs.customer_id.str[1:].astype(int) % TASTES == 3)]
        assert (first.article_id == "zz last").mean() > 0.8
    kept = [f"a{a:03d}" for a in range(TASTES * PER_TASTE)]
    place = later.article_ids.encode(kept)
    np.testing.assert_array_equal(
        later.weights["articles"][place], model.weights["articles"][model.article_ids.encode(kept)]
    )
    before, after = (m.customer_profiles.seen.of(np.arange(9)).codes for m in (model, later))
    assert model.article_ids.take(before).equals(later.article_ids.take(after))
    rows = np.arange(CUSTOMERS)
    np.testing.assert_allclose(
        *(m.customer_vectors(m.customer_profiles.profiles, rows) for m in (model, later)), rtol=1e-5
    )
    later.save(tmp_path)
    pd.testing.assert_frame_equal(recommenders.load(tmp_path).recommend(k=5), recs)
    if reads:
        narrow = Catalogue.from_frames(articles, vectors[:, :2])
        for read in (model.with_catalogue, lambda catalogue: model.explain(model.recommend(k=1), catalogue)):
            with pytest.raises(CatalogueError, match="have 2 positions, the model was trained on 9"):
                read(narrow)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["content", "collaborative", "hybrid"])
def test_what_a_device_learned_ranks_the_same_on_the_processor(device: str, mode: str, tmp_path: Path) -> None:
    built = recommenders.build("hybrid", device, **(LEARNS | {"mode": mode}))
    assert isinstance(built, Hybrid)
    there = built.fit(TRAIN, CATALOGUE)
    recs, near = there.recommend(k=5), there.similar(k=5)
    assert taste_share(recs) > 0.85
    there.save(tmp_path)
    assert "device" not in (tmp_path / "config.json").read_text()
    here = recommenders.load(tmp_path)
    pd.testing.assert_frame_equal(here.recommend(k=5), recs)
    pd.testing.assert_frame_equal(here.similar(k=5), near)
    again = recommenders.load(tmp_path, device)
    pd.testing.assert_frame_equal(again.recommend(k=5), recs)
    reasons = [model.explain(recs, CATALOGUE).to_pylist() for model in (there, here)]  # type: ignore[attr-defined]
    own = [[[each for each in row if each["kind"] == "article"] for row in rows] for rows in reasons]
    assert own[0] == own[1]
    for rows in reasons:  # of content the last bits may differ
        assert any(each["kind"] == "attribute" for row in rows for each in row) == (mode != "collaborative")


def test_a_device_that_is_missing_is_named_before_anything_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AtelierError, match="no CUDA device"):
        recommenders.build("hybrid", "cuda")
    assert recommenders.build("popular", "cuda").device == "cuda"  # it computes nothing there


def test_defaults_for_dated_data_meet_data_without_dates() -> None:
    """The warning names `tune` and settings that suit such data; neither dates nor a choice of settings get it."""
    rows = [(f"u{u}", f"a{(u + step) % 5}") for u in range(6) for step in range(4)]
    frame = pd.DataFrame(rows, columns=["customer_id", "article_id"], dtype="str")
    small = {"mode": "collaborative", "factors": 4, "max_epochs": 1, "negatives": 3}
    with pytest.warns(UndatedWarning, match=r"HybridConfig\.undated\(\).*atelier\.studies\.tuning\.tune") as caught:
        recommenders.build("hybrid", **small).fit(Interactions.from_frame(frame))
    assert len(caught) == 1
    dated = frame.assign(occurred_at=pd.Timestamp("2025-01-01"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UndatedWarning)
        recommenders.build("hybrid", **small).fit(Interactions.from_frame(dated))
        recommenders.build("hybrid", **small, negative_popularity=1.0).fit(Interactions.from_frame(frame))
        chosen = HybridConfig.undated(**small)
        model = Hybrid(chosen).fit(Interactions.from_frame(frame))
    assert (model.config.inputs_drawn, model.config.history, model.config.negative_popularity) == ("last", 5, 1.0)


# Styles


def styled(codes: list[str | None], extra: list[str]) -> Catalogue:
    """The planted catalogue with further articles, whose content says nothing of tastes, and everybody's style."""
    articles = pd.DataFrame({"article_id": [*CATALOGUE.ids.values.to_pylist(), *extra], "product_code": codes})
    assert CATALOGUE.vectors is not None
    flat = np.full((len(extra), len(NAMES)), 0.1, dtype=np.float32)
    return Catalogue.from_frames(articles, np.concatenate([CATALOGUE.vectors, flat]), NAMES)


def test_an_article_is_known_by_its_other_colours(tmp_path: Path) -> None:
    # Two neighbours, of one taste, are a style; a new article is another colour of the first style, or of none.
    codes = [f"p{place // 2}" for place in range(len(CATALOGUE.ids))]
    built = recommenders.build("hybrid", **LEARNS)
    assert isinstance(built, Hybrid)
    model = built.fit(TRAIN, styled([*codes, "p0"], ["x0"]))
    place = model.article_ids.encode(["x0", "a000", "a001"])
    content = model.content_network()
    assert content is not None
    alone = content(torch.full((1, len(NAMES)), 0.1)).detach().numpy()[0]
    style = model.weights["styles.vectors"][model.weights["styles.of"][place]]
    np.testing.assert_array_equal(style[0], style[1])
    np.testing.assert_array_equal(style[0], style[2])
    assert np.abs(style[0]).max() > 0.05
    np.testing.assert_allclose(model.weights["articles"][place[0]], alone + style[0], rtol=0, atol=1e-3)
    # The same holds of articles that come after training, and of those that come after these.
    later = model.with_catalogue(styled([*codes, "p0", "p0", None, "new", "new"], ["x0", "x1", "y", "z0", "z1"]))
    for read in (later, recommenders.load(later.save(tmp_path) or tmp_path)):
        vectors = read.weights["articles"][read.article_ids.encode(["x0", "x1", "y", "z0", "z1"])]
        np.testing.assert_allclose(vectors, alone + np.outer([1, 1, 0, 0, 0], style[0]), rtol=0, atol=1e-3)
    again = later.with_catalogue(styled([*codes, "p0"], ["x2"]))
    vector = again.weights["articles"][again.article_ids.encode(["x2"])][0]
    np.testing.assert_allclose(vector, alone + style[0], rtol=0, atol=1e-3)


def test_styles_are_left_alone_where_the_config_or_the_mode_says_so() -> None:
    catalogue = styled(["p"] * len(CATALOGUE.ids), [])
    for config in ({"reads_styles": False}, {"mode": "collaborative"}, {"mode": "content"}):
        built = recommenders.build("hybrid", **(LEARNS | {"max_epochs": 1} | config))
        assert not any(name.startswith("styles.") for name in built.fit(TRAIN, catalogue).weights)
