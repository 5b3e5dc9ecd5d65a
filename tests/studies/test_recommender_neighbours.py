"""The study's nearest neighbours: which articles are asked about, and that each model is fitted once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.catalogue import Catalogue
from atelier.interactions import Interactions
from atelier.studies import recommender_neighbours
from atelier.studies.recommender_neighbours import COLUMNS, has_vectors, neighbours_of, query_articles
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.results_cache import ResultsCache

ALS = StudiedModel(recommender="als", config={"factors": 4, "iterations": 2})
PLAN = RecommenderStudyPlan(models={"popularity": StudiedModel(recommender="popular"), "als": ALS}, seeds=(3, 4))


def interactions(*articles: str, kind: str = "purchase") -> Interactions:
    frame = pd.DataFrame({"customer_id": [f"u{n % 7}" for n in range(len(articles))], "article_id": articles})
    return Interactions.from_frame(frame.assign(kind=kind, occurred_at=pd.Timestamp("2025-01-01")))


def catalogue(*articles: str, vectors: "np.ndarray[tuple[int, int], np.dtype[np.float32]] | None" = None) -> Catalogue:
    return Catalogue.from_frames(pd.DataFrame({"article_id": articles}), vectors)


@settings(max_examples=50)
@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.sets(st.sampled_from("abcdefg"), min_size=1))
def test_the_articles_are_the_ends_and_the_middle_of_a_ranking(chosen: list[str], sold: set[str]) -> None:
    counts = {article: chosen.count(article) for article in sold if article in chosen}
    falling = sorted(counts, key=lambda article: (-counts[article], article))
    rising = sorted(counts, key=lambda article: (counts[article], article))
    expected = {"most": falling[0], "median": falling[(len(falling) - 1) // 2], "least": rising[0]} if counts else {}
    assert query_articles(interactions(*chosen), catalogue(*sorted(sold))) == expected


def test_views_are_no_popularity_and_articles_without_content_are_not_asked_about() -> None:
    assert query_articles(interactions("a", kind="view"), catalogue("a")) == {}
    vectors = np.array([[0, 0], [1, 0], [0, 1]], dtype=np.float32)
    found = query_articles(interactions("a", "a", "a", "b", "c", "c"), catalogue("a", "b", "c", vectors=vectors))
    assert found == {"most": "c", "median": "c", "least": "b"}


def test_neighbours_are_those_of_the_model_with_the_first_seed() -> None:
    train, sold = interactions(*"aaabbbccde" * 3), catalogue(*"abcde")
    found = neighbours_of(train, PLAN, sold, k=2)
    assert found.columns.tolist() == COLUMNS
    assert set(found["model"]) == {"als"}, "popularity has no vectors"
    model = ALS.build(3).fit(train, catalogue=sold)
    for popularity, article in query_articles(train, sold).items():
        expected = model.similar([article], k=2)
        mine = found[found["popularity"] == popularity].reset_index(drop=True)
        for name in ("article_id", "rank", "similar_article_id"):
            assert mine[name].tolist() == expected[name].tolist()
        assert mine["similarity"].to_numpy() == pytest.approx(expected["similarity"].to_numpy())


def test_what_was_kept_is_not_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, sold, kept = interactions(*"aaabbbccde"), catalogue(*"abcde"), ResultsCache(tmp_path)
    first = neighbours_of(train, PLAN, sold, cache=kept, data={"train": "1"})

    def fitted(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(recommender_neighbours, "fit_model", fitted)
    again = neighbours_of(train, PLAN, sold, cache=kept, data={"train": "1"})
    pd.testing.assert_frame_equal(first, again)
    for changed in ({"data": {"train": "2"}}, {"data": {"train": "1"}, "k": 1}):
        with pytest.raises(AssertionError, match="fitted again"):
            neighbours_of(train, PLAN, sold, cache=kept, **changed)  # type: ignore[arg-type]
    other = PLAN.model_copy(update={"seeds": (5,)})
    with pytest.raises(AssertionError, match="fitted again"):
        neighbours_of(train, other, sold, cache=kept, data={"train": "1"})
    with pytest.raises(ValueError, match="identifies"):
        neighbours_of(train, PLAN, sold, cache=kept)


def test_nothing_to_ask_about_is_an_empty_table() -> None:
    train = interactions("a", "b")
    assert neighbours_of(train, PLAN, catalogue("z")).columns.tolist() == COLUMNS
    popular = PLAN.model_copy(update={"models": {"popularity": PLAN.models["popularity"]}})
    assert neighbours_of(train, popular, catalogue("a", "b")).empty


def test_every_model_of_the_published_comparison_but_popularity_has_vectors() -> None:
    plan = RecommenderStudyPlan.published(8)
    assert [name for name, each in plan.models.items() if has_vectors(each)] == [
        "collaborative",
        "content",
        "hybrid",
        "als",
    ]
