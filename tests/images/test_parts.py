"""Backbones in two parts: where they are cut, that both parts are the whole, and which cannot be cut."""

import pytest
import torch

from atelier.images.backbones import Backbone, WeightsError, build_backbone
from atelier.images.parts import cut_backbone, join
from atelier.images.preprocessing import Preprocessing

TINY = Preprocessing(resize=64, crop=64)


def backbone(name: str) -> Backbone:
    return build_backbone(name, None, preprocessing=TINY)


@pytest.mark.parametrize(
    ("name", "share", "cut"),
    [
        ("resnet18", 0.25, "layer4"),
        ("mobilenet_v2", 0.25, "features.15"),
        ("mobilenet_v2", 0.01, "features.18"),
        ("squeezenet1_1", 0.25, "features.11"),
        ("compact", 0.5, "features.3"),
        ("compact", 1.0, "features.0"),
    ],
)
def test_both_parts_in_a_row_are_the_whole(name: str, share: float, cut: str) -> None:
    whole = backbone(name)
    parts = cut_backbone(whole, share)
    assert parts.cut == cut
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(parts.trained(parts.frozen(images)), whole.module(images))
    assert all(parameter.requires_grad for parameter in parts.trained.parameters())
    assert not any(parameter.requires_grad for parameter in parts.frozen.parameters())
    assert not any(parameter.requires_grad for parameter in whole.module.parameters())


def test_joined_again_the_trained_layers_are_new_and_the_others_old() -> None:
    whole = backbone("resnet18")
    before = {name: value.clone() for name, value in whole.module.state_dict().items()}
    parts = cut_backbone(whole, 0.25)
    with torch.no_grad():
        for parameter in parts.trained.parameters():
            parameter.add_(1)
    after = join(whole, parts).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name, _ in whole.module.named_parameters() if name.startswith("layer4.")}
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_is_no_chain_is_refused_with_a_way_out() -> None:
    with pytest.raises(WeightsError, match=r"'small' is no chain.*mobilenet_v2"):
        cut_backbone(build_backbone("small", None), 0.25)
