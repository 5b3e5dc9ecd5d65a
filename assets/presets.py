"""Presets: how the stage of a recommender takes the settings that the job ``tune`` found, or that were promoted.

What belongs here: the field ``preset`` of a stage's config, what follows from it, and the check for leakage. What does
not: finding settings (:mod:`assets.tune`), the file they are written into (:mod:`resources.settings_file`), promoting
them (:mod:`resources.promotions`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, ValidationError, create_model

from assets.step import Step
from atelier.recommenders import MODELS, declared
from atelier.recommenders.config import RecommenderConfig
from resources.retailer import faults

if TYPE_CHECKING:
    from resources.promotions import Promotion
    from resources.retailer import Preset

#: The check of a model's stage: whether its preset was chosen before its day.
SEEN_BY_PRESET = "preset_not_from_future"


def with_preset(config: type[RecommenderConfig]) -> type[RecommenderConfig]:
    """The config of a recommender's stage: that of the model, and the name of a preset."""
    field = Field(
        default=None,
        description="A preset of atelier.toml, as the job `tune` writes them: its settings apply in place of the "
        "defaults; a field of this config that is not at its default comes before it.",
    )
    made: type[RecommenderConfig] = create_model(
        f"{config.__name__}OfStage",
        __base__=config,
        __module__=__name__,
        __doc__=config.__doc__,
        preset=(str | None, field),
    )
    return made


PRESET_CONFIGS = {name: with_preset(model.config) for name, model in MODELS.items()}
"""The config of the stage of each model."""

# The work of a stage in a process of its own is pickled, which finds a class by its name in its module.
globals().update({each.__name__: each for each in PRESET_CONFIGS.values()})


def settled(
    name: str, config: RecommenderConfig, presets: "Mapping[str, Preset]", promoted: "Promotion | None" = None
) -> "tuple[RecommenderConfig, Preset | None]":
    """The config that a model is fitted with, and the preset that it comes from, if any.

    Args:
        name: the model's.
        config: the config of its stage, or the model's own.
        presets: those of atelier.toml.
        promoted: the promotion whose recipe holds on the day; it is used where the config names no preset.

    Raises:
        Failure: there is no preset of that name, it is another model's, or a field of it cannot be used.
    """
    own = declared(name).config
    values = {field: getattr(config, field) for field in own.model_fields}
    chosen = getattr(config, "preset", None)
    defaults = own()
    told = {field: value for field, value in values.items() if value != getattr(defaults, field)}
    if chosen is None:
        return _validated(name, promoted.config if promoted else {}, told, _promoted_fault(promoted)), None
    preset = _preset(name, chosen, presets)
    mend = f"correct [presets.{chosen}] in atelier.toml, or run the job tune again"
    return _validated(name, preset.fields, told, f"the preset {chosen} cannot be used: {{}}; {mend}"), preset


def _promoted_fault(promoted: "Promotion | None") -> str:
    number = promoted.number if promoted else 0
    return (
        f"the recipe of promotion {number} cannot be used by this version: {{}}; `atelier promote --undo` takes it back"
    )


def _validated(name: str, chosen: "Mapping[str, Any]", told: "Mapping[str, Any]", remedy: str) -> RecommenderConfig:
    """The config of ``chosen`` fields, before which come those that were told in the launchpad."""
    try:
        return declared(name).config.model_validate({**chosen, **told})
    except ValidationError as error:
        raise dg.Failure(f"{name}_model: {remedy.format(faults(error))}", allow_retries=False) from error


def _preset(name: str, chosen: str, presets: "Mapping[str, Preset]") -> "Preset":
    if chosen not in presets:
        there = f"there are {', '.join(sorted(presets))}" if presets else "it has none; the job tune writes them"
        raise dg.Failure(f"{name}_model: atelier.toml has no preset {chosen!r}: {there}", allow_retries=False)
    preset = presets[chosen]
    if preset.model != name:
        raise dg.Failure(
            f"{name}_model: the preset {chosen} is one of {preset.model}: name one of {name}", allow_retries=False
        )
    return preset


def check_preset(step: Step, preset: "Preset | None", promoted: "Promotion | None" = None) -> None:
    """Warn where the settings were chosen by purchases of this day or later, because nothing else shows that.

    Args:
        step: the step.
        preset: that the settings come from, if any.
        promoted: the promotion that they come from otherwise. It may be of the day by whose purchases it was judged.
    """
    if preset is None and promoted is not None and promoted.judged_on is not None:
        early = step.ds < promoted.judged_on
        by = f"promotion {promoted.number} was judged by purchases up to {promoted.judged_on}"
        better = f"{by}: figures of {step.ds} are better than they could have been"
        step.check(SEEN_BY_PRESET, not early, better if early else f"{by}, none of them later than this day")
        return
    leaks = preset is not None and step.ds <= preset.last_day_seen
    found: dict[str, Any] = (
        {} if preset is None else {"study": preset.study, "last_day_seen": str(preset.last_day_seen)}
    )
    if preset is None:
        said = "no preset was used"
    elif leaks:
        said = (
            f"the model of {step.ds} has settings that were chosen by purchases up to {preset.last_day_seen} (study "
            f"{preset.study}): figures of this day are better than they could have been"
        )
    else:
        said = f"the settings were chosen by purchases up to {preset.last_day_seen}, before this day"
    step.check(SEEN_BY_PRESET, not leaks, said, **found)
