"""Recipes: the config and the code of a model, under one digest.

What belongs here: the recipe of a stored bundle, and of a config with the code of today. What does not: which recipe is
the champion (:mod:`resources.promotions`), judging one (:mod:`assets.recipe_gate`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from atelier.errors import BundleError
from atelier.recommenders import MODELS, declared
from resources.model_store import Bundle
from resources.retailer import faults

#: Fields of a config that say how a machine is used, and not what is made.
OF_THE_MACHINE = frozenset({"threads"})


@dataclass(frozen=True)
class Recipe:
    """What a model is made by, whatever the data.

    Attributes:
        model: its name, without ``_model``.
        config: the fields of a recommender's config that are not its defaults; of another model its whole config.
        code_version: of the code that trains it.
    """

    model: str
    config: Mapping[str, Any]
    code_version: str

    @property
    def digest(self) -> str:
        """12 hexadecimal digits: equal for equal model, config and code."""
        content = json.dumps([self.model, dict(self.config), self.code_version], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def config_json(self) -> str:
        """The config as one line of JSON."""
        return json.dumps(dict(self.config), sort_keys=True)


def recipe_of(model: str, config: Mapping[str, Any], code_version: str) -> Recipe:
    """The recipe of a recommender.

    Args:
        model: its name.
        config: fields of its config; those at their defaults need not be there.
        code_version: of the code that trains it.

    Raises:
        UnknownModelError: there is no such recommender.
        pydantic.ValidationError: a field is unknown, or its value not allowed.
    """
    own = declared(model).config
    chosen = own.model_validate(config).model_dump(mode="json")
    defaults = own().model_dump(mode="json")
    told = {name: value for name, value in chosen.items() if name not in OF_THE_MACHINE and value != defaults[name]}
    return Recipe(model, told, code_version)


def recipe_of_bundle(bundle: Bundle) -> Recipe:
    """The recipe by which a stored bundle was made.

    Raises:
        BundleError: its config cannot be read, or is none that this version of the model has.
    """
    path, model = bundle.path / "config.json", bundle.manifest.name.removesuffix("_model")
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        config = described.get("config", {})
        if model in MODELS:
            return recipe_of(model, config, bundle.manifest.code_version)
    except (OSError, ValueError, AttributeError) as error:  # pydantic's errors are ValueErrors
        said = faults(error) if isinstance(error, ValidationError) else error
        raise BundleError(
            f"{path} holds no config of {model} that this version knows ({said}); train it again with: dg launch "
            f"--job daily_retrain --partition {bundle.manifest.training_day}"
        ) from error
    return Recipe(model, config, bundle.manifest.code_version)
