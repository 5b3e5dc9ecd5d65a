"""The launchpad shows every field of a model's config, and what it is told becomes that config again."""

from typing import Annotated, Literal

import dagster as dg
import pytest
from annotated_types import Gt
from pydantic import BaseModel, Field

from assets.image_backbone import BackboneTraining
from assets.launchpad import launch_config, model_config
from atelier.recommenders import MODELS


class Inner(BaseModel):
    """A config within a config."""

    size: int = 2


class Example(BaseModel):
    """A config with a field of every shape."""

    number: int = Field(default=3, ge=1, description="A whole number.")
    share: float = Field(default=0.5, lt=1)
    name: str = "a"
    wanted: bool = False
    choice: Literal["one", "two"] = "one"
    perhaps: int | None = None
    bounded: Annotated[int, Gt(0)] | None = 7
    widths: tuple[Annotated[int, Gt(0)], ...] = (1, 2)
    weights: dict[str, float] = Field(default={"a": 0.5})
    either: float | Literal["auto"] = "auto"
    inner: Inner = Inner(size=4)
    ours: int = Field(default=0, exclude=True)


@pytest.mark.parametrize(
    "config", [Example, BackboneTraining, *(model.config for model in MODELS.values())], ids=lambda c: c.__name__
)
def test_what_is_left_alone_is_the_default(config: type[BaseModel]) -> None:
    shown = launch_config(config)
    assert model_config(config, shown().model_dump(), "stage") == config()
    fields = shown.to_config_schema().as_field().config_type.fields  # type: ignore[attr-defined]
    assert set(fields) == {name for name, field in config.model_fields.items() if not field.exclude}


def test_values_come_through_a_run() -> None:
    told: list[Example] = []

    @dg.op
    def stage(config: launch_config(Example)) -> None:  # type: ignore[valid-type]
        told.append(model_config(Example, config.model_dump(), "stage"))  # type: ignore[attr-defined]

    @dg.job
    def job() -> None:
        stage()

    asked = {
        "number": 5,
        "choice": "two",
        "perhaps": 4,
        "bounded": None,
        "widths": [3],
        "either": 0.25,
        "inner": {"size": 9},
    }
    job.execute_in_process(run_config={"ops": {"stage": {"config": asked}}})
    job.execute_in_process()
    assert told == [Example.model_validate(asked), Example()]


def test_a_value_out_of_bounds_is_named() -> None:
    with pytest.raises(dg.Failure, match=r"hybrid_model: .*number: .*greater than or equal to 1"):
        model_config(Example, {"number": 0}, "hybrid_model")


def test_every_field_of_a_model_is_described() -> None:
    for model in MODELS.values():
        undescribed = [name for name, field in model.config.model_fields.items() if not field.description]
        assert not undescribed, model.name
