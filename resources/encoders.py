"""Which fine-tuned backbone an encoder was made from.

What belongs here: the record of it, one small file for each encoder, beside the bundles of the backbone. What does not:
the vectors (:mod:`resources.embedding_cache`), the bundles (:mod:`resources.model_store`), which one is promoted
(:mod:`resources.retailer`).

Vectors are known by their encoder alone. An encoder whose weights were fine-tuned here comes from a bundle, and whoever
asks where a predicted value comes from wants to see it, whatever is promoted by then.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from atelier.errors import BundleError
from resources.storage import replace_text

BACKBONE = "image_backbone"


def record_backbone(root: Path, encoder_id: str, model_id: str) -> None:
    """Record that the encoder has the weights of a bundle; where that is known already, nothing is written.

    Args:
        root: the store's folder.
        encoder_id: the encoder.
        model_id: the id of the bundle of ``image_backbone``.
    """
    if _read(root, encoder_id) != model_id:
        replace_text(root, json.dumps({"model_id": model_id}) + "\n", _file(root, encoder_id))


def backbone_of(root: Path, encoder_ids: Iterable[str]) -> str | None:
    """The id of the bundle that the only one of ``encoder_ids`` was made from.

    Returns:
        None where there is no encoder or several, and where it was not fine-tuned here.

    Raises:
        BundleError: the record is damaged; the message names the file and the remedy.
    """
    found = list(encoder_ids)
    return _read(root, found[0]) if len(found) == 1 else None


def _file(root: Path, encoder_id: str) -> Path:
    return root / "models" / BACKBONE / "encoders" / f"{encoder_id}.json"


def _read(root: Path, encoder_id: str) -> str | None:
    path = _file(root, encoder_id)
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["model_id"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path} does not name a backbone ({error}); delete it, and run image_embeddings again"
        ) from error
