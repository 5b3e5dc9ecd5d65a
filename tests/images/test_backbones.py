"""Backbones: shapes as published, where weights come from, and what is said when they do not fit."""

import json
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from atelier.images import backbones
from atelier.images.backbones import WeightsError, build_backbone, save_weights
from atelier.images.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole resnet18, classifier included, with seeded weights."""
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(1)
    save_file(models.resnet18().state_dict(), path)
    return path


def vgg16_features() -> nn.Sequential:
    torch.manual_seed(2)
    with torch.device("meta"):
        features = models.vgg16().features
    features.to_empty(device="cpu")
    for parameter in features.parameters():
        nn.init.normal_(parameter, std=0.05)
    return features.eval()


# --- what is published


def test_vgg16_is_the_last_convolution_and_a_global_max(tmp_path: Path) -> None:
    features = vgg16_features()
    file = tmp_path / "vgg16.safetensors"
    save_file({f"features.{key}": value for key, value in features.state_dict().items()}, file)  # without classifier
    backbone = build_backbone("vgg16", file)
    assert (backbone.dimension, backbone.pool) == (512, "max")
    image = torch.rand(2, 3, 48, 80)
    with torch.inference_mode():
        last_convolution = features[:30](image)  # up to the ReLU after conv5_3
        assert last_convolution.shape == (2, 512, 3, 5)
        torch.testing.assert_close(backbone.module(image), last_convolution.amax((2, 3)))


@pytest.mark.parametrize("name", ["resnet50", "resnet152"])
def test_published_resnets_are_the_global_average_of_2048(name: str) -> None:
    with torch.device("meta"):
        model = getattr(models, name)()
        module = backbones._strip(name, model, "avg")
        seen = []
        module.layer4.register_forward_hook(lambda *inputs: seen.append(inputs[2].shape))
        assert module.eval()(torch.empty(2, 3, 64, 64)).shape == (2, 2048)
    assert seen == [(2, 2048, 2, 2)]


def test_resnet_is_what_torchvision_gives_its_classifier(resnet_file: Path) -> None:
    model = models.resnet18().eval()
    torch.manual_seed(1)
    model.load_state_dict(models.resnet18().state_dict())
    image = torch.rand(2, 3, 64, 64)
    seen = []
    model.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(image)
        ours = build_backbone("resnet18", resnet_file)
        torch.testing.assert_close(ours.module(image), seen[0])
        top = build_backbone("resnet18", resnet_file, pool="max").module(image)
    assert ours.dimension == 512
    assert (top >= seen[0]).all()
    assert (top > seen[0]).any()


@pytest.mark.parametrize(
    ("name", "side", "dimension"),
    [
        ("alexnet", 64, 256),
        ("convnext_tiny", 32, 768),
        ("densenet121", 32, 1024),
        ("efficientnet_b0", 32, 1280),
        ("googlenet", 32, 1024),
        ("inception_v3", 80, 2048),
        ("maxvit_t", 224, 512),
        ("mnasnet0_5", 32, 1280),
        ("mobilenet_v2", 32, 1280),
        ("mobilenet_v3_small", 32, 576),
        ("regnet_y_400mf", 32, 440),
        ("resnext50_32x4d", 32, 2048),
        ("shufflenet_v2_x0_5", 32, 1024),
        ("squeezenet1_1", 32, 512),
        ("swin_t", 32, 768),
        ("swin_v2_t", 32, 768),
        ("vgg11_bn", 32, 512),
        ("vit_b_16", 224, 768),
        ("wide_resnet50_2", 32, 2048),
    ],
)
def test_every_family_of_torchvision_loses_its_classifier(name: str, side: int, dimension: int) -> None:
    module = backbones._strip(name, backbones._skeleton(name), "avg").eval()
    device = next(module.parameters()).device  # meta, except for regnet
    assert module(torch.zeros(2, 3, side, side, device=device)).shape == (2, dimension)


def test_pool_max_is_refused_where_the_network_averages_itself() -> None:
    with pytest.raises(WeightsError, match="pool must be 'avg'"):
        build_backbone("mobilenet_v2", None, pool="max")


# --- where weights come from


def test_seeded_weights_repeat_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (build_backbone("squeezenet1_1", None, seed=seed) for seed in (0, 0, 1))
    torch.testing.assert_close(torch.rand(3), expected)
    assert first.weights_digest == again.weights_digest != other.weights_digest


def test_the_digest_is_of_the_weights_not_of_how_they_came(resnet_file: Path, tmp_path: Path) -> None:
    whole = build_backbone("resnet18", resnet_file)
    save_weights(whole, tmp_path / "stripped.safetensors")
    assert build_backbone("resnet18", tmp_path / "stripped.safetensors").weights_digest == whole.weights_digest


def test_one_changed_weight_changes_the_digest(resnet_file: Path, tmp_path: Path) -> None:
    state = backbones._read(resnet_file)
    state["layer4.1.bn2.running_var"][7] += 1e-3
    save_file(state, tmp_path / "other.safetensors")
    before, after = build_backbone("resnet18", resnet_file), build_backbone("resnet18", tmp_path / "other.safetensors")
    assert before.weights_digest != after.weights_digest


def test_preprocessing_travels_with_the_file(resnet_file: Path, tmp_path: Path) -> None:
    odd = Preprocessing(resize=70, crop=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    save_file(backbones._read(resnet_file), tmp_path / "odd.safetensors", {"preprocessing": odd.model_dump_json()})
    assert build_backbone("resnet18", tmp_path / "odd.safetensors").preprocessing == odd
    assert build_backbone("resnet18", resnet_file).preprocessing == Preprocessing()  # torchvision's usual


def test_invalid_preprocessing_in_the_file_is_refused(resnet_file: Path, tmp_path: Path) -> None:
    bad = json.dumps({"resize": 10, "crop": 20})
    save_file(backbones._read(resnet_file), tmp_path / "bad.safetensors", {"preprocessing": bad})
    with pytest.raises(WeightsError, match=r"metadata of .*bad\.safetensors"):
        build_backbone("resnet18", tmp_path / "bad.safetensors")


def test_half_precision_files_are_read(resnet_file: Path, tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in backbones._read(resnet_file).items()}
    save_file(half, tmp_path / "half.safetensors")
    module = build_backbone("resnet18", tmp_path / "half.safetensors").module
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_default_weights_offline_say_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        build_backbone("squeezenet1_1", "DEFAULT")
    message = str(caught.value)
    for part in ("squeezenet1_1", "https://", str(tmp_path), "save_weights", "weights=None", "small"):
        assert part in message


def test_default_weights_take_torchvisions_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    published = models.resnet18().state_dict()
    asked = []

    def download(url: str, **_: object) -> dict[str, torch.Tensor]:
        asked.append(url)
        return published

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    backbone = build_backbone("resnet18")
    assert asked == [models.ResNet18_Weights.DEFAULT.url]
    torch.testing.assert_close(backbone.module.state_dict()["conv1.weight"], published["conv1.weight"])


# --- weights that do not fit


def test_missing_unexpected_and_misshapen_weights_are_named(resnet_file: Path, tmp_path: Path) -> None:
    state = backbones._read(resnet_file)
    del state["layer1.0.conv1.weight"]
    state["bn1.bias"] = torch.zeros(7)
    state["surplus"] = torch.zeros(1)
    save_file(state, tmp_path / "wrong.safetensors")
    with pytest.raises(WeightsError) as caught:
        build_backbone("resnet18", tmp_path / "wrong.safetensors")
    message = str(caught.value)
    assert "wrong.safetensors do not fit backbone 'resnet18'" in message
    assert "1 missing: layer1.0.conv1.weight" in message
    assert "1 unexpected: surplus" in message
    assert "bn1.bias [7] instead of [64]" in message


def test_the_weights_of_another_network_are_refused(resnet_file: Path) -> None:
    with pytest.raises(WeightsError, match=r"26 missing.*unexpected"):
        build_backbone("vgg16", resnet_file)


def test_counters_of_batches_may_be_absent(resnet_file: Path, tmp_path: Path) -> None:
    state = {k: v for k, v in backbones._read(resnet_file).items() if not k.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "lean.safetensors")
    lean = build_backbone("resnet18", tmp_path / "lean.safetensors")
    assert lean.weights_digest == build_backbone("resnet18", resnet_file).weights_digest


def test_unreadable_files_and_unknown_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"\x80\x04junk")
    with pytest.raises(WeightsError, match=r"not a readable \.safetensors"):
        build_backbone("resnet18", tmp_path / "junk.safetensors")
    with pytest.raises(WeightsError, match="no file of weights"):
        build_backbone("resnet18", tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError, match=r"no backbone 'resnet_18'.*resnet18"):
        build_backbone("resnet_18", None)


# --- the small one


def test_small_repeats_differs_by_seed_and_takes_no_weights(tmp_path: Path) -> None:
    first, again, other = build_backbone("small", None), build_backbone("small"), build_backbone("small", None, seed=1)
    assert first.weights_digest == again.weights_digest != other.weights_digest
    assert first.dimension == 578
    with pytest.raises(WeightsError, match="must be None"):
        build_backbone("small", tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="leave pool out"):
        build_backbone("small", None, pool="max")


def garments(count: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Crude shirts, [count, 3, 128, 128], of random colour, place and ground, and what can be said of each."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 3, 1, 1, generator=generator) * 0.2 + 0.8 + torch.zeros(1, 1, 128, 128)
    truth = {name: torch.rand(count, generator=generator) < 0.5 for name in ("red", "striped", "long_sleeved")}
    for number in range(count):
        down, right = torch.randint(0, 12, (2,), generator=generator).tolist()
        shape = torch.zeros(128, 128, dtype=torch.bool)
        shape[14 + down : 104 + down, 38 + right : 78 + right] = True
        shape[18 + down : 94 if truth["long_sleeved"][number] else 45, 18 + right : 98 + right] = True
        colour = torch.rand(3, generator=generator) * 0.4
        colour[0 if truth["red"][number] else 2] += 0.4
        fill = colour[:, None, None].expand(3, 128, 128).clone()
        if truth["striped"][number]:
            fill[:, (torch.arange(128) // 4) % 2 == 0] *= 0.6
        images[number] = torch.where(shape, fill, images[number])
    return images, truth


def test_small_carries_colour_pattern_and_shape() -> None:
    """A linear model on its vectors tells them on garments that it has not seen."""
    images, truth = garments(240)
    with torch.inference_mode():
        vectors = build_backbone("small", None).module(images)
    seen = slice(0, 160)
    vectors = (vectors - vectors[seen].mean(0)) / (vectors[seen].std(0) + 1e-6)
    kernel = vectors @ vectors[seen].T
    for name, values in truth.items():
        target = values.float() * 2 - 1
        dual = torch.linalg.solve(kernel[seen] + 100 * torch.eye(160), target[seen])
        accuracy = (((kernel @ dual) > 0) == values)[160:].float().mean()
        assert accuracy > 0.9, name
