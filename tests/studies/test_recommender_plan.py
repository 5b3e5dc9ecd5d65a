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
