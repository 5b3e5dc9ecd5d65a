"""Product attributes: read text and photographs, predict what people have not labelled.

What belongs here: the encoding of articles, the multi-modal multi-task network, its training, its evaluation and the
completed catalogue. What does not: computing image vectors (:mod:`atelier.images`), reading or writing the store.

PyTorch is imported when :class:`AttributeModel` is first used, not when this package is.
"""

from typing import TYPE_CHECKING, Any

from atelier.articles.image_vectors import group_image_vectors
from atelier.attributes.config import AttributeConfig

if TYPE_CHECKING:
    from atelier.attributes.completion import complete
    from atelier.attributes.evaluation import evaluate, fit_and_evaluate, holdout
    from atelier.attributes.model import AttributeModel

_HOMES = {
    "AttributeModel": "atelier.attributes.model",
    "complete": "atelier.attributes.completion",
    "evaluate": "atelier.attributes.evaluation",
    "fit_and_evaluate": "atelier.attributes.evaluation",
    "holdout": "atelier.attributes.evaluation",
}

__all__ = [
    "AttributeConfig",
    "AttributeModel",
    "complete",
    "evaluate",
    "fit_and_evaluate",
    "group_image_vectors",
    "holdout",
]


def __getattr__(name: str) -> Any:
    """Import the module that defines ``name`` on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
