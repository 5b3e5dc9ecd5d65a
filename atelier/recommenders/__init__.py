"""Recommenders behind one interface: ``build`` and ``load``.

What belongs here: the list of models, by name, and how one is made. What does not: the models, each of which is
declared beside its config and imported when it is first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atelier.errors import AtelierError, BundleError
from atelier.recommenders.baselines import item_knn_config, markov_config, popular_config, repeat_config
from atelier.recommenders.declaration import Declaration
from atelier.recommenders.factorisation import als_config, hybrid_config
from atelier.recommenders.sequential import sequencer_config, transformer_config

if TYPE_CHECKING:
    from atelier.recommenders.base import Recommender

MODELS: dict[str, Declaration] = {
    each.DECLARATION.name: each.DECLARATION
    for each in (
        popular_config,
        repeat_config,
        markov_config,
        item_knn_config,
        als_config,
        hybrid_config,
        sequencer_config,
        transformer_config,
    )
}
"""Every model, in the order of the leaderboard."""

DAILY = {name: declaration for name, declaration in MODELS.items() if declaration.daily}
"""The models that the daily job fits."""

FALLBACK = popular_config.DECLARATION.name
"""The model that serves whom another cannot."""


class UnknownModelError(AtelierError, ValueError):
    """A model is asked for by a name that none has."""


def declared(name: str) -> Declaration:
    """The declaration of the model of that name.

    Raises:
        UnknownModelError: there is none; the message lists those there are.
    """
    if name not in MODELS:
        raise UnknownModelError(f"no recommender {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]


def model_class(name: str) -> "type[Recommender[Any]]":
    """The class of the model of that name.

    Raises:
        UnknownModelError: there is none; the message lists those there are.
    """
    module, _, class_name = declared(name).implementation.partition(":")
    found: type[Recommender[Any]] = getattr(import_module(module), class_name)
    return found


def build(name: str, device: str = "cpu", **config: Any) -> "Recommender[Any]":
    """A model, not yet fitted.

    Args:
        name: one of ``MODELS``.
        device: where to compute, as PyTorch names it, or ``auto``.
        config: fields of the model's config; the others have their defaults.

    Raises:
        UnknownModelError: no model has that name.
        pydantic.ValidationError: a field is unknown or its value not allowed.
    """
    found = model_class(name)
    return found(found.Config(**config), device)


def load(path: str | Path, device: str = "cpu") -> "Recommender[Any]":
    """The model that was saved in a folder, on a device, whichever it was trained on.

    Raises:
        BundleError: the folder is no complete bundle of a known model.
    """
    from atelier.bundles import read_config
    from atelier.recommenders.base import RecommenderBundle

    try:
        model = model_class(str(read_config(Path(path), RecommenderBundle).model))
    except UnknownModelError as error:
        raise BundleError(f"{path} holds a model that this version does not know: {error}") from error
    return model.load(path, device)
