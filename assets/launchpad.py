"""The launchpad: a model's own config as typed Dagster config.

What belongs here: turning a pydantic config into the form that the launchpad shows, and back. What does not: the
configs themselves; each is declared beside its model, with the description and the bounds of every field.
"""

from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def launch_config(config: type[BaseModel]) -> type[dg.Config]:
    """The Dagster config class of a stage, with the fields, defaults and descriptions of ``config``.

    Fields that are not saved with a config (``exclude``) are left out, because the stage sets them.
    """
    fields: dict[str, Any] = {
        name: _shown_field(field) for name, field in config.model_fields.items() if not field.exclude
    }
    shown: type[dg.Config] = create_model(config.__name__, __base__=dg.Config, __doc__=config.__doc__, **fields)
    return shown


def _shown_field(field: FieldInfo) -> tuple[Any, FieldInfo]:
    """The field's type and its description, with a default that Dagster can show."""
    shown, default = _shown_type(field.annotation), field.default
    if isinstance(default, tuple):
        default = list(default)
    elif isinstance(default, BaseModel):
        default = shown(**default.model_dump())
    return shown, FieldInfo(default=default, description=field.description)


def _shown_type(annotation: Any) -> Any:
    """The nearest type that the launchpad can show: it has lists but no tuples, and a union only with None."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        others = [argument for argument in arguments if argument is not NoneType]
        return _shown_type(others[0]) | None if len(others) == 1 and len(arguments) > 1 else Any
    if origin is tuple:
        # Dagster shows a choice among texts, but no list of such choices.
        shown = str if get_origin(arguments[0]) is Literal else _shown_type(arguments[0])
        return list[shown]  # type: ignore[valid-type]
    if origin is dict:
        return dict[str, _shown_type(arguments[1])]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return launch_config(annotation)
    if origin is Literal:
        return annotation if isinstance(arguments[0], str) else type(arguments[0])
    if annotation in (bool, int, float, str):
        return annotation
    if hasattr(annotation, "__metadata__"):  # Annotated[int, Gt(0)]: bounds are checked when the model's config is made
        return _shown_type(annotation.__origin__)
    return Any


def model_config(config: type[ConfigT], values: dict[str, Any], stage: str) -> ConfigT:
    """The model's own config, from the values given in the launchpad.

    Raises:
        dagster.Failure: a value is out of its bounds; the message names the stage, the field, the value and the bound.
    """
    from resources.retailer import faults

    try:
        return config.model_validate(values)
    except ValidationError as error:
        raise dg.Failure(f"{stage}: the config cannot be used: {faults(error)}", allow_retries=False) from error
