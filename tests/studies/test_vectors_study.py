"""The vectors of one model inside others."""

from typing import Any

import numpy as np
import pandas as pd

from atelier.interactions import Interactions
from atelier.recommenders.factorisation.als import ALS
from atelier.studies.recommender_plan import StudiedModel
from atelier.studies.recommender_study import fit_model
from atelier.studies.vectors_study import neighbours, run_vectors, solved, vectors_for, vectors_plan
from tests.recommenders.sequential.circle import circle
from tests.recommenders.sequential.test_sequential import LEARNS, SMALL
from tests.studies.tiny import ALS as TINY_ALS
from tests.studies.tiny import TRAIN as TINY

TRAIN, TRUTH = Interactions.from_frame(circle(60)).leave_last_out()
MODEL = StudiedModel(recommender="transformer", config=LEARNS | SMALL["transformer"] | {"max_epochs": 2})
UNDATED = Interactions.from_frame(TINY)


def als_of(train: Interactions) -> ALS:
    model = fit_model(train, TINY_ALS)
    assert isinstance(model, ALS)
    return model


def test_als_with_its_own_vectors_is_als() -> None:
    als = als_of(UNDATED)
    again = solved(als, vectors_for(als, als), UNDATED)
    lists = [model.recommend(k=3, exclude_seen=False) for model in (als.with_histories(UNDATED), again)]
    pd.testing.assert_frame_equal(lists[0], lists[1])


def test_customers_are_solved_for_by_the_formula() -> None:
    """X = (YᵀCY + λI)⁻¹ YᵀCp, with C of als's confidences and Y of the given vectors at als's mean squared length."""
    als = als_of(UNDATED)
    given = np.random.default_rng(0).normal(size=als.weights["articles"].shape).astype(np.float32)
    model = solved(als, given, UNDATED)
    scale = np.sqrt(np.square(als.weights["articles"]).sum(1).mean() / np.square(given).sum(1).mean())
    y = (given * scale).astype(np.float64)
    alpha, lam = als.config.alpha, als.config.regularization
    for customer in range(len(UNDATED.customer_ids)):
        mine = UNDATED.articles[UNDATED.customers == customer]
        confidence = np.ones(len(y))
        preference = np.zeros(len(y))
        confidence[mine], preference[mine] = 1 + alpha, 1
        x = np.linalg.solve(y.T @ (confidence[:, None] * y) + lam * np.eye(y.shape[1]), y.T @ (confidence * preference))
        np.testing.assert_allclose(model.customer_profiles.profiles["customers"][customer], x, rtol=1e-3, atol=1e-5)


def test_neighbours_are_scored_by_the_mean_cosine_with_the_last_five() -> None:
    rows = [("u", f"a{place}") for place in range(7)] + [("v", "a0")]
    train = Interactions.from_frame(pd.DataFrame(rows, columns=["customer_id", "article_id"]))
    als = als_of(train)
    vectors = np.eye(7, 4, dtype=np.float32) + np.arange(7, dtype=np.float32)[:, None]
    model = neighbours(als, vectors, train)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = directions @ directions.T
    lists = model.recommend(k=7, exclude_seen=False).set_index(["customer_id", "article_id"])["score"]
    for customer, history in (("u", [2, 3, 4, 5, 6]), ("v", [0])):
        for article in range(7):
            expected = cosines[article, history].mean()
            np.testing.assert_allclose(lists[customer, f"a{article}"], expected, rtol=1e-5)


def test_each_model_is_fitted_once_and_gives_every_variant(monkeypatch: Any) -> None:
    from atelier.studies import vectors_study

    fitted: list[str] = []
    real = fit_model

    def counted(train: Any, studied: StudiedModel, *rest: Any) -> Any:
        fitted.append(studied.recommender)
        return real(train, studied, *rest)

    monkeypatch.setattr(vectors_study, "fit_model", counted)
    plan = vectors_plan("transformer", MODEL, {"factors": 4, "iterations": 2, "threads": 1}, seeds=(0,), k=3)
    results = run_vectors(TRAIN, TRUTH, plan)
    assert fitted == ["als", "transformer"]
    assert [result.model for result in results] == [
        "als", "transformer", "als, vectors of transformer", "neighbours, vectors of als",
        "neighbours, vectors of transformer",
    ]  # fmt: skip
    values = [result.values("hit_rate", 3) for result in results]
    assert all(value is not None and len(value) == 60 for value in values)
    distinct = {tuple(value.tolist()) for value in values if value is not None}
    assert len(distinct) > 2
