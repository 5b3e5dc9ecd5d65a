"""A backbone cut in two parts: frozen layers, and the last layers, which are trained.

What belongs here: cutting a network, putting it together again, the layers up to its last feature map. What does not:
training (:mod:`atelier.images.finetuning`), what feature maps are used for (:mod:`atelier.images.regions`).
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from atelier.images.backbones import Backbone, WeightsError

_CHAINS = ("features", "layers", "trunk_output", "blocks")


@dataclass(frozen=True)
class Parts:
    """A backbone, cut.

    Attributes:
        frozen: float [n, 3, h, w], normalised, → the activations at the cut; always in evaluation mode.
        trained: activations → float32 [n, dimension]; its tensors have the backbone's own names.
        cut: the name of the first layer that is trained.
    """

    frozen: nn.Module
    trained: nn.Module
    cut: str


def cut_backbone(backbone: Backbone, share: float) -> Parts:
    """Cut off the last layers of a copy of a backbone.

    A layer is a child of ``features`` (VGG, MobileNet, EfficientNet, DenseNet…) or of the network itself (ResNet,
    ShuffleNet…). Only layers with weights count.

    Args:
        backbone: any network whose layers form a chain; it is verified that both parts together equal the whole.
        share: how many of the last layers are trained, as a share: a quarter is the last block of convolutions of
            VGG16, ``layer4`` of ResNet and the last four blocks of MobileNetV2; 1 is all.

    Raises:
        WeightsError: the network's layers form no chain.
    """
    module = copy.deepcopy(backbone.module)
    links = _links(module)
    weighted = [index for index, (_, link) in enumerate(links) if any(True for _ in link.parameters())]
    first = weighted[min(math.floor((1 - share) * len(weighted) + 0.999), len(weighted) - 1)]
    frozen = nn.Sequential(*(link for _, link in links[:first]))
    for name, _ in links[:first]:
        module.set_submodule(name, nn.Identity())
    parts = Parts(frozen.eval().requires_grad_(False), module, links[first][0])
    _verify(backbone, parts)
    parts.trained.requires_grad_(True)
    return parts


def join(backbone: Backbone, parts: Parts) -> nn.Module:
    """The whole network again, with the trained part's weights: a new module."""
    module = copy.deepcopy(backbone.module)
    module.load_state_dict(parts.trained.state_dict(), strict=False)
    return module.eval().requires_grad_(False)


def feature_layers(backbone: Backbone) -> nn.Module:
    """A copy of the layers up to the last feature map: float [n, 3, h, w], normalised, → [n, dimension, h', w'].

    Raises:
        WeightsError: the backbone's vector is not the mean, or the largest value, of such a map over its positions.
    """
    links = [link for _, link in _links(copy.deepcopy(backbone.module))]
    images = _probe(backbone)
    with torch.inference_mode():
        vectors = backbone.module(images)
        for end in range(len(links), 0, -1):
            layers = nn.Sequential(*links[:end])
            found = _quietly(layers, images)
            if found is None or found.ndim != 4 or found.shape[2:].numel() == 1:
                continue
            pooled = found.amax((2, 3)) if backbone.pool == "max" else found.mean((2, 3))
            if pooled.shape == vectors.shape and torch.allclose(pooled, vectors, rtol=1e-3, atol=1e-4):
                return layers.eval().requires_grad_(False)
            break
    raise WeightsError(
        f"the vector of backbone {backbone.name!r} is not pooled from one feature map; take another one, for example "
        "resnet50, mobilenet_v2 or vgg16"
    )


def _links(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of a network in the order in which they are applied, with their names."""
    links: list[tuple[str, nn.Module]] = []
    for name, child in module.named_children():
        if name in _CHAINS and isinstance(child, nn.Sequential):
            links += [(f"{name}.{inner}", link) for inner, link in child.named_children()]
        else:
            links.append((name, child))
    return links


def _verify(backbone: Backbone, parts: Parts) -> None:
    """Check that both parts together give the whole network's output.

    Raises:
        WeightsError: they do not.
    """
    images = _probe(backbone)
    with torch.inference_mode():
        whole = backbone.module(images)
        again = _quietly(nn.Sequential(parts.frozen, parts.trained), images)
    if again is None or again.shape != whole.shape or not torch.allclose(whole, again, rtol=1e-3, atol=1e-4):
        raise WeightsError(
            f"backbone {backbone.name!r} is no chain of layers that could be cut; fine-tune another one, for example "
            "resnet50, mobilenet_v2 or vgg16"
        )


def _probe(backbone: Backbone) -> Tensor:
    """Two images of the backbone's size, by which layers are tried out."""
    side = backbone.preprocessing.crop
    return torch.linspace(-1, 1, 2 * 3 * side * side).reshape(2, 3, side, side)


def _quietly(layers: nn.Module, images: Tensor) -> Tensor | None:
    """What layers in a row give; None where their shapes do not fit together."""
    try:
        found: Tensor = layers(images)
    except (RuntimeError, TypeError, ValueError):
        return None
    return found
