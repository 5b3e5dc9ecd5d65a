"""The study's judgement: exact figures of tiny cases, and who is judged by what."""

import pandas as pd
import pytest

from atelier.interactions import Interactions
from atelier.studies import recommender_study
from atelier.studies.recommender_plan import RecommenderStudyPlan
from atelier.studies.recommender_scores import EvaluationTask, StudyError, evaluated_customers
from atelier.studies.recommender_study import run_study
from atelier.studies.recommender_tables import paired_tests_of, scores_of
from tests.studies.tiny import POPULAR, REPEAT, TRAIN, TRUTH, frame


def test_a_tiny_case_has_exact_figures() -> None:
    plan = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=2)
    (result,) = run_study(TRAIN, TRUTH, plan)
    # Popularity: a 3, b 2, c 1, d 1, e 1. Without what was seen u1 gets d, e; u2 c, d; u3 b, c.
    # Right are u1: d (a was seen), u2: c, e; u3's only article was seen: nobody asks.
    assert result.values().tolist() == [0.5, 0.5]  # type: ignore[union-attr]
    assert result.values("recall").tolist() == [1.0, 0.5]  # type: ignore[union-attr]
    assert (result.judged, result.served, result.interactions, result.seed) == (3, 3, 8, None)
    table = scores_of([result]).set_index(["segment", "metric"])
    assert table.loc[("all", "precision"), "value"] == 0.5
    assert table.loc[("all", "precision"), "standard_error"] == 0
    assert table.loc[("all", "precision"), "customers"] == 2
    assert table.loc[("all", "recall"), ["value", "standard_error"]].tolist() == [0.75, 0.25]
    assert table.loc[("all", "coverage"), "value"] == 4 / 5
    assert pd.isna(table.loc[("all", "coverage"), "standard_error"])
    assert pd.isna(table.loc[("all", "precision"), "deviation"])
    assert table.loc[("article:cold", "hit_rate"), "customers"] == 2
    assert table.loc[("article:warm", "precision"), "customers"] == 0
    assert pd.isna(table.loc[("article:warm", "precision"), "value"])


def test_where_articles_may_be_repeated_what_was_seen_is_right() -> None:
    models = {"popularity": POPULAR, "repeat": REPEAT}
    plan = RecommenderStudyPlan(models=models, seeds=(0,), shares=(1.0,), k=2, exclude_seen=False)
    popularity, repeat = run_study(TRAIN, TRUTH, plan)
    # Everyone's popular list is a, b. Own last articles: u1 c, b; u2 b, a; u3 d, a.
    assert popularity.values().tolist() == [0.5, 0, 0.5]  # type: ignore[union-attr]
    assert repeat.values().tolist() == [0, 0, 0.5]  # type: ignore[union-attr]


def test_who_is_judged() -> None:
    assert evaluated_customers(TRAIN, TRUTH).tolist() == ["u1", "u2", "u3"]
    assert evaluated_customers(TRAIN, TRUTH, ["u5", "u2"]).tolist() == ["u2"]
    with pytest.raises(StudyError, match="no customer can be evaluated"):
        run_study(TRAIN, TRUTH, RecommenderStudyPlan(models={"p": POPULAR}), customers=["u4"])
    views = TRAIN.assign(kind="view")
    with pytest.raises(StudyError, match="no customer can be evaluated"):
        evaluated_customers(views, TRUTH)


def test_a_share_below_one_does_not_move_customers_between_segments() -> None:
    task = EvaluationTask.of(Interactions.from_frame(TRAIN), Interactions.from_frame(TRUTH), (2,), exclude_seen=True)
    assert task.activity.tolist() == [0, 0, 0]
    many = pd.concat([TRAIN, *[frame([("u1", "a")])] * 5])
    task = EvaluationTask.of(Interactions.from_frame(many), Interactions.from_frame(TRUTH), (2,), exclude_seen=True)
    assert task.activity.tolist() == [1, 0, 0]
    assert {name: len(rows) for name, rows in task.truths.items()} == {
        "all": 6,
        "article:new": 0,
        "article:cold": 3,
        "article:warm": 3,
    }


def test_lists_from_elsewhere_are_judged_alike() -> None:
    plan = RecommenderStudyPlan(models={"popularity": POPULAR}, seeds=(0,), shares=(1.0,), k=2)
    lists = pd.DataFrame({"customer_id": ["u1", "u2", "u2"], "article_id": ["d", "c", "e"], "rank": [1, 1, 2]})
    ceiling = recommender_study.evaluate_lists("ceiling", lists, TRAIN, TRUTH, plan)
    assert ceiling.values().tolist() == [0.5, 1.0]  # type: ignore[union-attr]
    results = [*run_study(TRAIN, TRUTH, plan), ceiling]
    assert list(dict.fromkeys(scores_of(results)["model"])) == ["popularity", "ceiling"]
    assert paired_tests_of(results).empty
