"""The study's plan: the published models, and plans that make no sense."""

from typing import Any

import pytest
from pydantic import ValidationError

from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from tests.studies.tiny import POPULAR


def test_the_published_models_share_one_length() -> None:
    plan = RecommenderStudyPlan.published(
        16, hybrid={"max_epochs": 3}, als={"alpha": 2.0}, popularity={"window_days": 3}, repeat=True, seeds=(7,)
    )
    assert list(plan.models) == ["popularity", "collaborative", "content", "hybrid", "als", "repeat"]
    for name in ("collaborative", "content", "hybrid"):
        model = plan.models[name]
        assert model.config == {"max_epochs": 3, "mode": name, "factors": 16}
        assert model.build(7).config.seed == 7
    assert plan.models["als"].config == {"alpha": 2.0, "factors": 16}
    assert plan.fallback == plan.models["popularity"] == StudiedModel(recommender="popular", config={"window_days": 3})


@pytest.mark.parametrize("wrong", [{"shares": (0.0,)}, {"shares": (1.5,)}, {"seeds": (1, 1)}, {"models": {}}, {"k": 0}])
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RecommenderStudyPlan.model_validate({"models": {"p": POPULAR}} | wrong)


def test_a_model_is_told_by_its_whole_config_and_not_by_its_name() -> None:
    plan = RecommenderStudyPlan(
        models={
            "short": StudiedModel(recommender="markov"),
            "long": StudiedModel(recommender="markov", config={"history": 5}),
            "other": StudiedModel(recommender="markov", config={"history": 4}),
            "shuffled": StudiedModel(recommender="markov", order="shuffled"),
        },
        seeds=(0,),
        shares=(1.0,),
    )
    identities = {fit.model: plan.identity(fit) for fit in plan.fits()}
    assert identities["short"] == identities["long"] != identities["other"]
    different = {fit.model: plan.identity(fit)["model"] for fit in plan.fits()}
    assert different["shuffled"] != different["short"]


def test_only_vectors_can_be_searched_by_annoy() -> None:
    assert StudiedModel(recommender="als", search="annoy").search == "annoy"
    with pytest.raises(ValidationError, match="markov has no vectors that annoy could search"):
        StudiedModel(recommender="markov", search="annoy")
