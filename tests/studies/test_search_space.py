"""What is searched follows from the configs of the models, and never leaves what they allow."""

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field

from atelier.recommenders import MODELS
from atelier.recommenders.config import RecommenderConfig, Search
from atelier.studies.search_space import DECIDED, Parameter, SearchSpaceError, search_space


class Example(RecommenderConfig):
    """A config with a field of every shape."""

    share: Annotated[float, Search()] = Field(default=0.5, ge=0, le=1)
    rate: Annotated[float, Search(0.001, 0.1, log=True)] = Field(default=0.01, gt=0)
    width: Annotated[int | None, Search(16, 64, step=16)] = Field(default=None, ge=1)
    cell: Annotated[Literal["rnn", "gru"], Search()] = "gru"
    gated: Annotated[bool, Search()] = False
    fades: Annotated[float | None, Search(choices=(None, 7.0), dated=True)] = 7.0
    hidden: Annotated[float, Search(0, 0.6, content=True)] = Field(default=0.3, ge=0, lt=1)
    depth: int = Field(default=2, gt=0, lt=5)
    size: int = Field(default=2, ge=1)
    names: tuple[str, ...] = ()


def test_bounds_choices_and_marks() -> None:
    space = {each.name: each.distribution for each in search_space(Example)}
    assert space == {
        "share": FloatDistribution(0, 1),
        "rate": FloatDistribution(0.001, 0.1, log=True),
        "width": IntDistribution(16, 64, step=16),
        "cell": CategoricalDistribution(("rnn", "gru")),
        "gated": CategoricalDistribution((False, True)),
        "fades": CategoricalDistribution((None, 7.0)),
        "hidden": FloatDistribution(0, 0.6),
    }


def test_what_makes_no_difference_is_left_out() -> None:
    assert "fades" not in {each.name for each in search_space(Example, dated=False)}
    assert "hidden" not in {each.name for each in search_space(Example, content=False)}
    assert [each.name for each in search_space(Example, ["hidden"], content=False)] == ["hidden"], "asked for by name"


def test_fields_can_be_named_listed_and_fixed() -> None:
    assert search_space(Example, ["depth"]) == (Parameter("depth", 1, 4, step=1),), "open bounds of whole numbers"
    assert search_space(Example, ["depth"], choices={"size": [1, 3, 1]}) == (
        Parameter("depth", 1, 4, step=1),
        Parameter("size", choices=(1, 3)),
    )
    names = [each.name for each in search_space(Example, fixed=["share", "cell"])]
    assert names == ["rate", "width", "gated", "fades", "hidden"], "in the order of the config"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fields": ["nothing"]}, "nothing is no field of Example"),
        ({"fields": ["seed"]}, "seed is not searched"),
        ({"fixed": ["train_kinds"]}, "train_kinds is not searched and not fixed"),
        ({"fields": ["size"]}, "size has no bounds on both sides"),
        ({"fields": ["names"]}, "names is neither a number nor a choice"),
        ({"fields": ["depth"], "fixed": ["depth"]}, "depth is fixed and searched at once"),
        ({"choices": {"size": [[1]]}}, "cannot be a choice"),
        ({"fields": (), "fixed": [n for n in Example.model_fields if n not in DECIDED]}, "nothing of Example is left"),
    ],
)
def test_what_cannot_be_searched_is_said(given: dict[str, object], message: str) -> None:
    with pytest.raises(SearchSpaceError, match=message):
        search_space(Example, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(MODELS))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_drawn_is_a_config_of_the_model(name: str, data: st.DataObject) -> None:
    config = MODELS[name].config
    drawn = {each.name: data.draw(values(each), label=each.name) for each in search_space(config)}
    made = config.model_validate(drawn)
    assert {field: getattr(made, field) for field in drawn} == drawn
    assert all(each.holds(drawn[each.name]) for each in search_space(config))


def values(parameter: Parameter) -> st.SearchStrategy[object]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    assert parameter.low is not None
    assert parameter.high is not None
    if parameter.step is None:
        return st.floats(parameter.low, parameter.high)
    steps = (int(parameter.high) - int(parameter.low)) // parameter.step
    return st.integers(0, steps).map(lambda n: int(parameter.low or 0) + n * (parameter.step or 1))


def test_holding_a_value() -> None:
    number = Parameter("x", 16, 64, step=16)
    assert [number.holds(value) for value in (16, 64, 17, 80, None, True, 32.0)] == [True, True] + [False] * 5
    choice = Parameter("x", choices=(None, False, 1))
    assert [choice.holds(value) for value in (None, False, 1, 0, True)] == [True, True, True, False, False]


def test_in_words() -> None:
    assert Parameter("x", 0.001, 0.1, log=True).text() == "0.001 … 0.1, logarithmic"
    assert Parameter("x", 16, 64, step=16).text() == "16 … 64 in steps of 16"
    assert Parameter("x", choices=(None, 7.0)).text() == "empty, 7.0"
