"""Networks that turn an image into a vector: torchvision's without their classifiers, and their weights.

What belongs here: building, stripping, loading and saving of backbones. What does not: reading images, batches and
devices (:mod:`atelier.images.embedding`).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from atelier.devices import own_random_state
from atelier.errors import AtelierError
from atelier.images import compact, small
from atelier.images.preprocessing import Preprocessing

Pool = Literal["avg", "max"]
State = dict[str, Tensor]

PREPROCESSING_KEY = "preprocessing"
"""The entry of a .safetensors file's metadata that holds its :class:`Preprocessing` as JSON."""

_HEADS = ("classifier", "fc", "head", "heads")
_AUXILIARY = ("aux1", "aux2", "AuxLogits")  # of googlenet and inception_v3: used in training only
_SMALL_PREPROCESSING = Preprocessing(resize=128, crop=128, fit="stretch", mean=(0, 0, 0), std=(1, 1, 1))
_COMPACT_PREPROCESSING = Preprocessing(resize=96, crop=96, fit="stretch", mean=(0, 0, 0), std=(1, 1, 1))


class WeightsError(AtelierError):
    """A backbone's weights cannot be loaded or do not fit it."""


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier.

    Attributes:
        name: torchvision's name, ``small``, or ``compact``.
        module: float [n, 3, h, w], normalised, → [n, dimension].
        dimension: length of a vector.
        pool: how the last feature map becomes a vector.
        preprocessing: what belongs to the weights.
        weights_digest: SHA-256 over names, shapes and values of the weights, whatever file they were read from.
        seeded: whether the weights are random, so that all of them have yet to be learned.
    """

    name: str
    module: nn.Module
    dimension: int
    pool: Pool
    preprocessing: Preprocessing
    weights_digest: str
    seeded: bool = False


def build_backbone(
    name: str,
    weights: str | Path | None = "DEFAULT",
    pool: Pool | None = None,
    seed: int = 0,
    preprocessing: Preprocessing | None = None,
) -> Backbone:
    """Build a backbone with its weights.

    As published: ``vgg16`` gives the last convolution's output, global max pool, 512 numbers (Cardoso, Daolio, Vargas,
    "Product Characterisation towards Personalisation", KDD 2018, section 4.1); ``resnet50`` and ``resnet152`` the
    global average pool, 2048 numbers (He et al., CVPR 2016). Any other classifier of torchvision gives what its
    classifier sees, averaged over positions.

    Args:
        name: any of ``torchvision.models.list_models(module=torchvision.models)``, ``small`` or
            ``compact``.
        weights: ``DEFAULT``, torchvision's best, downloaded once into torch's cache; the path of a .safetensors file
            in torchvision's layout, with or without the classifier; None: random, from ``seed``.
        pool: ``max`` or ``avg``; None: ``max`` for VGG, ``avg`` for the others.
        seed: of random weights.
        preprocessing: what the weights expect; None: as their file or torchvision says.

    Raises:
        WeightsError: an unknown name; weights that cannot be downloaded, do not exist or do not fit.
    """
    if name == small.NAME:
        return _small(weights, pool, seed, preprocessing)
    if name == compact.NAME:
        return _compact(weights, pool, seed, preprocessing)
    pool = pool or ("max" if name.startswith("vgg") else "avg")
    usual = _torchvision_preprocessing(name)
    if weights is None:
        with own_random_state(torch.device("cpu"), seed):
            module = _strip(name, _model(name), pool)
    elif str(weights) == "DEFAULT":
        module = _strip(name, _pretrained(name), pool)
    else:
        module = _strip(name, _skeleton(name), pool)
        _load(name, module, Path(weights))
        usual = _preprocessing_in(Path(weights)) or usual
        if hasattr(module, "transform_input"):  # torchvision sets it for its own weights of these architectures
            module.transform_input = True  # type: ignore[assignment]  # any attribute counts as a tensor
    return finish(name, module, pool, preprocessing or usual, seeded=weights is None)


def save_weights(backbone: Backbone, path: str | Path) -> None:
    """Write a backbone's weights with their preprocessing to a .safetensors file that ``build_backbone`` reads.

    This carries weights to machines without a network: ``save_weights(build_backbone("vgg16"), "vgg16.safetensors")``.
    """
    from safetensors.torch import save_file

    # Only one entry: safetensors writes several in random order, and the same weights must give the same bytes.
    metadata = {PREPROCESSING_KEY: backbone.preprocessing.model_dump_json()}
    save_file({k: v.contiguous() for k, v in backbone.module.state_dict().items()}, path, metadata)


class GlobalPool(nn.Module):
    """Replaces the classifier: a feature map [n, c, h, w] becomes [n, c]; a vector [n, c] is returned as it is."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        """Pool in float32, because a sum over up to 200 positions is inexact in lower precision."""
        features = features.float()
        if features.ndim < 4:
            return features
        return features.amax((2, 3)) if self.pool == "max" else features.mean((2, 3))


class _Positions(GlobalPool):
    """Replaces the network's own average pool; keeps two axes of length one for the layers that follow."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features)[:, :, None, None]


def _strip(name: str, model: nn.Module, pool: Pool) -> nn.Module:
    """Replace the pooling by ours and remove the classifier, in place."""
    heads = [head for head in _HEADS if isinstance(getattr(model, head, None), nn.Module)]
    if not heads:
        raise WeightsError(f"backbone {name!r} has no classifier that Atelier knows how to take off")
    setattr(model, heads[-1], GlobalPool(pool))
    for auxiliary in _AUXILIARY:
        if hasattr(model, auxiliary):
            setattr(model, auxiliary, None)
    if name.startswith("vgg") and isinstance(model.features, nn.Sequential):
        model.features[-1] = nn.Identity()  # the max-pool after the last convolution would drop an odd last row
    if isinstance(getattr(model, "avgpool", None), nn.Module):
        model.avgpool = _Positions(pool)
    elif pool == "max" and _averages_itself(model):
        raise WeightsError(f"backbone {name!r} averages over positions within itself, so pool must be 'avg'")
    return model


def _averages_itself(model: nn.Module) -> bool:
    """Whether the network averages over positions before its classifier, so that no pool layer can be replaced."""
    return not any(hasattr(model, own) for own in ("stem", "avgpool")) and type(model).__name__ != "SqueezeNet"


def _model(name: str) -> nn.Module:
    """The architecture with random weights."""
    import warnings

    from torchvision import models

    with warnings.catch_warnings():  # googlenet and inception_v3 announce a change of their random weights
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = models.get_model(name, weights=None)
    return model


def _skeleton(name: str) -> nn.Module:
    """The architecture without memory for weights, which are loaded later: VGG16's classifier alone takes 480 MB."""
    try:
        with torch.device("meta"):
            return _model(name)
    except NotImplementedError:  # regnet computes its widths with tensors, which need values
        return _model(name)


def _pretrained(name: str) -> nn.Module:
    """The architecture with torchvision's weights, from torch's cache or the network."""
    from torchvision import models

    try:
        model: nn.Module = models.get_model(name, weights="DEFAULT")
    except (OSError, RuntimeError) as error:  # no network (URLError is an OSError), or a damaged download
        url = models.get_model_weights(name).DEFAULT.url
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise WeightsError(
            f"torchvision's weights of {name!r} cannot be loaded: {error}. Without a network, either put {url} into "
            f"{folder}, or make a file where there is a network with atelier.images.save_weights and pass its path as "
            f"weights; weights=None gives random ones, backbone='{small.NAME}' needs none"
        ) from error
    return model


def _torchvision_preprocessing(name: str) -> Preprocessing:
    """Torchvision's preprocessing for its own weights of this network; the weights are not loaded for it."""
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        raise WeightsError(
            f"no backbone {name!r}; there are {small.NAME}, {compact.NAME} and torchvision's {', '.join(names)}"
        )
    return Preprocessing.of_torchvision(models.get_model_weights(name).DEFAULT.transforms())


def _load(name: str, module: nn.Module, path: Path) -> None:
    """Fill ``module``, which may be on the meta device, from a .safetensors file, strictly."""
    found = _read(path)
    ours = module.state_dict()
    counters = {key for key in ours if key.endswith("num_batches_tracked")}  # only training reads them
    skipped = tuple(f"{part}." for part in (*_HEADS, *_AUXILIARY))
    missing = sorted(ours.keys() - found.keys() - counters)
    unexpected = sorted(key for key in found.keys() - ours.keys() if not key.startswith(skipped))
    shapes = sorted(
        f"{key} {list(found[key].shape)} instead of {list(ours[key].shape)}"
        for key in found.keys() & ours.keys()
        if found[key].shape != ours[key].shape
    )
    problems = [
        f"{len(keys)} {what}: {_few(keys)}"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if keys
    ]
    if problems:
        raise WeightsError(
            f"the weights in {path} do not fit backbone {name!r}: {'; '.join(problems)}. Give the backbone that the "
            "file was made for; names must be those of torchvision's state dict"
        )
    values = {key: found[key].float() for key in ours.keys() & found.keys() - counters}
    values |= {key: torch.zeros((), dtype=torch.int64) for key in counters}
    module.load_state_dict(values, strict=True, assign=True)


def _read(path: Path) -> State:
    """The tensors of a .safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: State = load_file(path)
    except FileNotFoundError:
        raise WeightsError(
            f"there is no file of weights {path}; weights is DEFAULT, a .safetensors path, or None"
        ) from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable .safetensors file: {error}") from error
    return state


def _preprocessing_in(path: Path) -> Preprocessing | None:
    """The preprocessing in the metadata of a file of weights; None where there is none."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata: dict[str, Any] = file.metadata() or {}
    if PREPROCESSING_KEY not in metadata:
        return None
    try:
        return Preprocessing.model_validate_json(metadata[PREPROCESSING_KEY])
    except ValidationError as error:
        raise WeightsError(f"the preprocessing in the metadata of {path} is not valid: {error}") from error


def _small(weights: str | Path | None, pool: Pool | None, seed: int, preprocessing: Preprocessing | None) -> Backbone:
    """The backbone ``small``, which has only seeded weights."""
    if weights is not None and str(weights) != "DEFAULT":
        raise WeightsError(f"backbone {small.NAME!r} is made from a seed; weights must be None, not {weights}")
    if pool == "max":
        raise WeightsError(f"backbone {small.NAME!r} pools in its own ways; leave pool out")
    return finish(small.NAME, small.SmallBackbone(seed), "avg", preprocessing or _SMALL_PREPROCESSING, seeded=True)


def _compact(weights: str | Path | None, pool: Pool | None, seed: int, preprocessing: Preprocessing | None) -> Backbone:
    """The backbone ``compact``, made to be fine-tuned; its weights come from a file of fine-tuning, or from a seed."""
    if pool == "max":
        raise WeightsError(f"backbone {compact.NAME!r} pools in its own ways; leave pool out")
    if str(weights) == "DEFAULT":
        raise WeightsError(f"backbone {compact.NAME!r} has no published weights; say none, or name a file of weights")
    with own_random_state(torch.device("cpu"), seed):
        module = compact.CompactBackbone()
    usual = _COMPACT_PREPROCESSING
    if weights is not None:
        _load(compact.NAME, module, Path(weights))
        usual = _preprocessing_in(Path(weights)) or usual
    return finish(compact.NAME, module, "avg", preprocessing or usual, seeded=weights is None)


def finish(name: str, module: nn.Module, pool: Pool, preprocessing: Preprocessing, *, seeded: bool) -> Backbone:
    """Freeze a network without its classifier, and determine its dimension and the digest of its weights."""
    module.eval().requires_grad_(False)
    side = preprocessing.crop
    with torch.inference_mode():
        dimension = module(torch.zeros(1, 3, side, side)).shape[1]
    return Backbone(name, module, dimension, pool, preprocessing, _digest(module.state_dict().items()), seeded)


def _digest(state: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over name, shape and float32 bytes of every tensor that inference reads, in the order of names."""
    digest = hashlib.sha256()
    for key, tensor in sorted(state):
        if not key.endswith("num_batches_tracked"):
            digest.update(json.dumps([key, list(tensor.shape)]).encode())
            digest.update(tensor.detach().float().contiguous().numpy().data)
    return digest.hexdigest()


def _few(keys: list[str], limit: int = 3) -> str:
    """The first few keys, separated by commas."""
    return ", ".join(keys[:limit]) + (", …" if len(keys) > limit else "")
