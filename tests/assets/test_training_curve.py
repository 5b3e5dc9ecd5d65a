"""The stage of a recommender shows how it learned: figures and a plot in its metadata, where the model has a curve."""

import dagster as dg
import pytest

from assets.presets import PRESET_CONFIGS
from assets.recommenders import fit_model
from assets.step import Step
from tests.assets.test_failing_checks import DAY, rows, step

__all__ = ["step"]


@pytest.mark.parametrize(
    ("model", "settings"),
    [("two_tower", {"content_length": 0, "max_epochs": 2}), ("als", {"factors": 2, "iterations": 1})],
)
def test_a_model_with_a_curve_shows_it(step: Step, model: str, settings: dict[str, int]) -> None:
    step.store.write("customers", DAY, rows("customers", customer_id=["c0", "c1"]))
    fit_model(model, step, PRESET_CONFIGS[model].model_validate(settings))
    noted = step.outcome.notes[f"{model}_model"]
    assert ("training" in noted) == (model == "two_tower")
    if model == "two_tower":
        shown = noted["training"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        assert "](data:image/svg+xml;base64," in str(shown.value)
        assert 0 <= noted["training_auc"] <= 1
