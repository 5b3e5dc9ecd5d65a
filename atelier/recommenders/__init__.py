"""Recommenders behind one interface: ``build``, ``load`` and :class:`Recommender`.

What belongs here: the list of models, by name. What does not: the models, each of which has a module and is imported
when it is asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from atelier.bundles import read_config
from atelier.errors import AtelierError, BundleError
from atelier.recommenders.base import Recommender, RecommenderConfig

MODELS = {
    "popular": "atelier.recommenders.baselines.popular:Popular",
    "repeat": "atelier.recommenders.baselines.repeat:Repeat",
    "als": "atelier.recommenders.factorisation.als:ALS",
    "hybrid": "atelier.recommenders.factorisation.hybrid:Hybrid",
}
"""Where each model's class is."""

__all__ = ["MODELS", "Recommender", "RecommenderConfig", "UnknownModelError", "build", "load", "model_class"]


class UnknownModelError(AtelierError, ValueError):
    """A model is asked for by a name that none has."""


def model_class(name: str) -> type[Recommender[Any]]:
    """The class of the model of that name.

    Raises:
        UnknownModelError: there is none; the message lists those there are.
    """
    if name not in MODELS:
        raise UnknownModelError(f"no recommender {name!r}; there are {', '.join(MODELS)}")
    module, attribute = MODELS[name].split(":")
    found: type[Recommender[Any]] = getattr(import_module(module), attribute)
    return found


def build(name: str, device: str = "cpu", **config: Any) -> Recommender[Any]:
    """A model, not yet fitted.

    Args:
        name: one of ``MODELS``.
        device: where to compute, as PyTorch names it, or ``auto``.
        config: fields of the model's ``Config``; the others have their defaults.

    Raises:
        UnknownModelError: no model has that name.
        pydantic.ValidationError: a field is unknown or its value not allowed.
    """
    found = model_class(name)
    return found(found.Config(**config), device)


def load(path: str | Path, device: str = "cpu") -> Recommender[Any]:
    """The model that was saved in a folder, on a device, whichever it was trained on.

    Raises:
        BundleError: the folder is no complete bundle of a known model.
    """
    try:
        model = model_class(str(read_config(Path(path))["model"]))
    except UnknownModelError as error:
        raise BundleError(f"{path} holds a model that this version does not know: {error}") from error
    return model.load(path, device)
