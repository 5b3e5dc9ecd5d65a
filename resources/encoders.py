"""Which encoder turns photographs into vectors: the one that a home's settings name, or the one of stored vectors.

What belongs here: building an encoder, and the record of which fine-tuned backbone an encoder was made from, one small
file for each encoder beside the bundles of the backbone. What does not: networks and encoding (:mod:`atelier.images`),
which photographs are encoded (:mod:`assets.images`), the vectors (:mod:`resources.embedding_cache`), which backbone is
promoted (:mod:`resources.retailer`).

Vectors are known by their encoder alone. An encoder whose weights were fine-tuned here comes from a bundle, and whoever
asks where a predicted value comes from wants to see it, whatever is promoted by then.
"""

import json
from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING, Literal

from atelier.errors import AtelierError, BundleError
from resources.storage import Root, Storage, open_storage

if TYPE_CHECKING:
    from atelier.images import Encoder, Preprocessing
    from atelier.images.backbones import Backbone
    from resources.model_store import ModelStore
    from resources.retailer import EncoderSettings, Home

BACKBONE = "image_backbone"
PRECISIONS: tuple[Literal["float32", "bf16"], ...] = ("float32", "bf16")
DECODINGS: tuple[Literal["host", "device"], ...] = ("host", "device")


class EncoderGone(AtelierError):
    """Vectors were computed by an encoder that the home has no longer."""


def chosen_backbone(
    named: "EncoderSettings", backbone: str | None = None, weights: str | None = None
) -> "tuple[str, str | None, Preprocessing | None]":
    """Backbone, weights (None: seeded) and preprocessing (None: the one that belongs to the weights).

    Args:
        named: what ``atelier init`` wrote. Its weights and preprocessing fit its own backbone only.
        backbone: chosen in the launchpad; None: the settings'.
        weights: chosen in the launchpad; None: the settings', or ``DEFAULT`` for another backbone.
    """
    from atelier.images import Preprocessing

    weights = weights or ("DEFAULT" if backbone else named.weights)
    own = None if backbone else named.preprocessing
    return (
        backbone or named.backbone,
        None if weights == "none" else weights,
        None if own is None else Preprocessing(**own),
    )


def encoder_of(home: "Home", models: "ModelStore", encoder_id: str, device: str = "cpu") -> "Encoder":
    """The encoder by which stored vectors were computed, so that a further photograph can be compared with them.

    What a card decoded is decoded as there on a processor too, by torchvision; its decoder for cards and that for
    processors may round differently.

    Args:
        home: its settings name the encoder of today.
        models: holds the backbones that were fine-tuned, and may have been promoted then.
        encoder_id: of the vectors.
        device: where to compute.

    Raises:
        EncoderGone: it was not fine-tuned here, and the settings name another one; or its bundle makes another one now.
        BundleError: it was fine-tuned here, and its bundle or the record of it is gone or damaged.
        WeightsError: the weights that the settings name cannot be loaded.
    """
    from atelier.images import Encoder

    model_id = backbone_of(home.storage, [encoder_id])
    backbone = _backbone(home, models, model_id)
    for precision, decoding in product(PRECISIONS, DECODINGS):
        encoder = Encoder(backbone, device=device, precision=precision, decoding=decoding)
        if encoder.encoder_id == encoder_id:
            return encoder
    why = (
        "no image_backbone is recorded for it, and the backbone, weights and preprocessing of [encoder] in "
        "atelier.toml make another one"
        if model_id is None
        else f"the image_backbone {model_id} that it was made from makes another one with this version of Atelier"
    )
    raise EncoderGone(
        f"the vectors of that day were computed by the encoder {encoder_id}, which cannot be built from the home: "
        f"{why}; run daily_retrain with the encoder of today"
    )


def _backbone(home: "Home", models: "ModelStore", model_id: str | None) -> "Backbone":
    """The backbone of a bundle; None: the settings'."""
    from atelier.images import FineTuned
    from atelier.images.backbones import build_backbone

    if model_id is not None:
        return FineTuned.load(models.bundle(BACKBONE, model_id).path).backbone
    name, weights, preprocessing = chosen_backbone(home.settings.encoder)
    return build_backbone(name, weights, preprocessing=preprocessing)


def record_backbone(root: Root, encoder_id: str, model_id: str) -> None:
    """Record that the encoder has the weights of a bundle; where that is known already, nothing is written.

    A damaged record is written again: it must not stop the photographs of every night.

    Args:
        root: the store's.
        encoder_id: the encoder.
        model_id: the id of the bundle of ``image_backbone``.
    """
    storage = open_storage(root)
    try:
        known = _read(storage, encoder_id)
    except BundleError:
        known = None
    if known != model_id:
        storage.put_text(json.dumps({"model_id": model_id}) + "\n", _file(encoder_id))


def backbone_of(root: Root, encoder_ids: Iterable[str]) -> str | None:
    """The id of the bundle that the only one of ``encoder_ids`` was made from.

    Returns:
        None where there is no encoder or several, and where it was not fine-tuned here.

    Raises:
        BundleError: the record is damaged; the message names the file and the remedy.
    """
    found = list(encoder_ids)
    return _read(open_storage(root), found[0]) if len(found) == 1 else None


def records(root: Root) -> dict[str, str]:
    """The files that say from which backbone an encoder was made, readable or not: by encoder, relative to the root."""
    names = open_storage(root).glob(_file("*"))
    return {name.rpartition("/")[2].removesuffix(".json"): name for name in names}


def _file(encoder_id: str) -> str:
    return f"models/{BACKBONE}/encoders/{encoder_id}.json"


def _read(storage: Storage, encoder_id: str) -> str | None:
    name = _file(encoder_id)
    text = storage.read_texts([name]).get(name)
    if text is None:
        return None
    try:
        model_id = json.loads(text)["model_id"]
        if not isinstance(model_id, str):
            raise TypeError(f"model_id is {model_id!r}")
        return model_id
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{storage.location(name)} does not name a backbone ({error}); delete it, and run image_embeddings again"
        ) from error
