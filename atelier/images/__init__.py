"""Photographs: decode them safely, list them, turn them into vectors.

What belongs here: everything that reads pixels, and the networks that do. What does not: the storage of vectors, and
models trained on them (:mod:`atelier.attributes`). Importing the package does not import torch: the names below are
loaded on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atelier.images.backbones import WeightsError, save_weights
    from atelier.images.decode import ImageRejected
    from atelier.images.embedding import EncodedImages, Encoder, embed_images
    from atelier.images.finetuning import FineTuned, FineTuningError, finetune
    from atelier.images.finetuning_config import FineTuningConfig
    from atelier.images.manifest import ImageManifest, build_manifest
    from atelier.images.preprocessing import Preprocessing

_HOMES = {
    "EncodedImages": "embedding",
    "Encoder": "embedding",
    "FineTuned": "finetuning",
    "FineTuningConfig": "finetuning_config",
    "FineTuningError": "finetuning",
    "ImageRejected": "decode",
    "ImageManifest": "manifest",
    "Preprocessing": "preprocessing",
    "WeightsError": "backbones",
    "build_manifest": "manifest",
    "embed_images": "embedding",
    "finetune": "finetuning",
    "save_weights": "backbones",
}

__all__ = [
    "EncodedImages",
    "Encoder",
    "FineTuned",
    "FineTuningConfig",
    "FineTuningError",
    "ImageManifest",
    "ImageRejected",
    "Preprocessing",
    "WeightsError",
    "build_manifest",
    "embed_images",
    "finetune",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
