"""Which encoder turns photographs into vectors: the one that a home's settings name, or the one of stored vectors.

What belongs here: building an encoder from the settings and from promoted backbones. What does not: networks and
encoding (:mod:`atelier.images`), which photographs are encoded (:mod:`assets.images`).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from atelier.errors import AtelierError, BundleError

if TYPE_CHECKING:
    from atelier.images import Encoder, Preprocessing
    from atelier.images.backbones import Backbone
    from resources.model_store import ModelStore
    from resources.retailer import EncoderSettings, Home

TUNED = "image_backbone"
PRECISIONS: tuple[Literal["float32"], Literal["bf16"]] = ("float32", "bf16")


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

    Args:
        home: its settings name the encoder of today.
        models: holds the backbones that were fine-tuned, and may have been promoted then.
        encoder_id: of the vectors.
        device: where to compute.

    Raises:
        EncoderGone: neither the settings nor any stored backbone make this encoder.
        WeightsError: the weights that the settings name cannot be loaded.
    """
    from atelier.images import Encoder

    for backbone in _backbones(home, models):
        for precision in PRECISIONS:
            encoder = Encoder(backbone, device=device, precision=precision)
            if encoder.encoder_id == encoder_id:
                return encoder
    raise EncoderGone(
        f"the vectors of that day were computed by the encoder {encoder_id}, which the home can no longer build: its "
        "settings name another one, and no stored image_backbone is it; run daily_retrain with the encoder of today"
    )


def tuned_backbones(home: "Home", models: "ModelStore") -> "Iterator[Backbone]":
    """Every fine-tuned backbone that is still stored, the promoted one first."""
    from atelier.images import FineTuned

    promoted = home.settings.encoder.promoted
    made = {models.pointer(TUNED, day) for day in models.days(TUNED)}
    for model_id in ([promoted] if promoted else []) + sorted(made - {promoted}):
        try:
            backbone = FineTuned.load(models.path(TUNED, model_id)).backbone
        except BundleError:  # the bundle is gone or damaged, so it is not known which encoder it made
            continue
        yield backbone


def _backbones(home: "Home", models: "ModelStore") -> "Iterator[Backbone]":
    """The backbones that a home can have encoded with: the promoted, other fine-tuned ones, then the settings'."""
    from atelier.images.backbones import build_backbone

    yield from tuned_backbones(home, models)
    name, weights, preprocessing = chosen_backbone(home.settings.encoder)
    yield build_backbone(name, weights, preprocessing=preprocessing)
