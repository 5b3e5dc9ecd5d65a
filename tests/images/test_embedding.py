"""The encoder: batches, precision, memory, unreadable images, identities."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from atelier.errors import AtelierError
from atelier.images import embedding
from atelier.images.backbones import build_backbone
from atelier.images.decode import ImageRejected, decode
from atelier.images.embedding import Encoder, embed_images
from atelier.images.preprocessing import Preprocessing

TINY = Preprocessing(resize=40, crop=32)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(7)]
    for path in paths:
        coarse = generator.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((50, 60), Image.Resampling.BICUBIC).save(path)
    return paths


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.build("resnet18", None, TINY, device="cpu", precision="float32", batch_size=4)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("backbone", ["resnet18", "small"])
def test_a_vector_does_not_depend_on_its_company(photographs: list[Path], backbone: str, precision: str) -> None:
    encoder = Encoder.build(backbone, None, TINY, device="cpu", precision=precision, batch_size=4)
    a, b = photographs[:2]
    alone = encoder.encode([a]).vectors[0].tobytes()
    assert encoder.encode([a, b]).vectors[0].tobytes() == alone
    assert encoder.encode([b, a]).vectors[1].tobytes() == alone
    assert encoder.encode([*photographs[1:], a]).vectors[6].tobytes() == alone


def test_vectors_are_the_networks_of_the_preprocessed_pixels(photographs: list[Path], encoder: Encoder) -> None:
    pixels = np.stack([TINY.pixels(decode(path.read_bytes(), path.name)) for path in photographs]).astype(np.float32)
    normalised = (pixels / 255 - np.array(TINY.mean)[:, None, None]) / np.array(TINY.std)[:, None, None]
    with torch.inference_mode():
        expected = encoder.backbone.module(torch.from_numpy(normalised).float()).numpy()
    vectors = encoder.encode(photographs).vectors
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-4)


def test_unreadable_images_are_errors_not_crashes(photographs: list[Path], encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes(photographs[0].read_bytes()[:200])
    listing = [tmp_path / "text.png", photographs[0], tmp_path / "gone.png", *photographs[1:], tmp_path / "cut.png"]
    encoded = encoder.encode(listing)
    assert encoded.ok.tolist() == [False, True, False, *[True] * 6, False]
    assert [Path(error.path).name for error in encoded.errors] == ["text.png", "gone.png", "cut.png"]
    np.testing.assert_array_equal(encoded.vectors, encoder.encode(photographs).vectors)


def test_nothing_usable_gives_an_empty_matrix(encoder: Encoder, tmp_path: Path) -> None:
    assert encoder.encode([]).vectors.shape == (0, 512)
    nothing = encoder.encode([tmp_path / "gone.png"])
    assert nothing.vectors.shape == (0, 512)
    assert not nothing.ok.any()


def test_root_confines_the_paths(photographs: list[Path], encoder: Encoder) -> None:
    root = photographs[0].parent
    inside = encoder.encode(["0.png"], root=root)
    np.testing.assert_array_equal(inside.vectors, encoder.encode(photographs[:1]).vectors)
    outside = encoder.encode([Path("..") / root.name / ".." / "x.png", "/etc/hostname"], root=root)
    assert not outside.ok.any()


def test_a_file_that_changed_since_it_was_listed_is_refused(photographs: list[Path], encoder: Encoder) -> None:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in photographs[:2]]
    assert encoder.encode(photographs[:2], digests=digests).ok.all()
    swapped = encoder.encode(photographs[:2], digests=[digests[0], "0" * 64])
    assert swapped.ok.tolist() == [True, False]
    assert "changed" in swapped.errors[0].reason
    with pytest.raises(ValueError, match="1 digests for 2 paths"):
        encoder.encode(photographs[:2], digests=digests[:1])


@pytest.mark.parametrize("backbone", ["resnet18", "squeezenet1_1", "small"])
def test_bf16_agrees_with_float32(photographs: list[Path], backbone: str) -> None:
    exact, fast = (
        Encoder.build(backbone, None, TINY, device="cpu", precision=precision, batch_size=4)
        for precision in ("float32", "bf16")
    )
    a, b = exact.encode(photographs).vectors, fast.encode(photographs).vectors
    assert cosine(a, b).min() > 0.999
    assert cosine(a, np.roll(a, 1, axis=0)).max() < 0.999  # different images are further apart than that
    assert not np.array_equal(a, b)
    assert exact.encoder_id != fast.encoder_id


# --- memory


class Scarce(torch.nn.Module):
    """Runs out of memory above a number of images."""

    def __init__(self, module: torch.nn.Module, limit: int, error: RuntimeError) -> None:
        super().__init__()
        self.module, self.limit, self.error, self.seen = module, limit, error, list[int]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        if len(images) > self.limit:
            raise self.error
        return self.module(images)


OUT = [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory: ...")]


@pytest.mark.parametrize("error", OUT, ids=["device", "machine"])
def test_out_of_memory_halves_the_batch_and_keeps_it(photographs: list[Path], error: RuntimeError) -> None:
    encoder = Encoder.build("resnet18", None, TINY, device="cpu", precision="float32", batch_size=5)
    expected = encoder.encode(photographs).vectors
    scarce = Scarce(encoder._module, 2, error)
    encoder._module = scarce
    vectors = encoder.encode(photographs).vectors
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)
    assert scarce.seen == [5, 2, 2, 2, 2]  # five fail, then 2 + 2 + 1 filled up, then 2
    assert encoder.batch_size == 2


def test_not_even_one_image_fits(photographs: list[Path]) -> None:
    encoder = Encoder.build("resnet18", None, TINY, device="cpu", precision="float32", batch_size=4)
    encoder._module = Scarce(encoder._module, 0, OUT[0])
    with pytest.raises(AtelierError, match="does not suffice for one image"):
        encoder.encode(photographs)
    assert encoder._module.seen == [4, 2, 1]


def test_other_errors_are_not_taken_for_lack_of_memory(photographs: list[Path]) -> None:
    encoder = Encoder.build("resnet18", None, TINY, device="cpu", precision="float32", batch_size=4)
    encoder._module = Scarce(encoder._module, 0, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        encoder.encode(photographs)
    assert encoder.batch_size == 4


# --- identity and choices


def test_the_encoder_id_changes_with_everything_that_changes_vectors() -> None:
    network, other = (build_backbone("resnet18", None, seed=seed, preprocessing=TINY) for seed in (0, 1))
    top = build_backbone("resnet18", None, "max", preprocessing=TINY)
    wider = build_backbone("resnet18", None, preprocessing=Preprocessing(resize=41, crop=32))
    base = {"device": "cpu", "precision": "float32"}
    ids = [
        Encoder(network, **base).encoder_id,
        Encoder(other, **base).encoder_id,
        Encoder(top, **base).encoder_id,
        Encoder(wider, **base).encoder_id,
        Encoder(network, **base | {"precision": "bf16"}).encoder_id,
    ]
    assert len(set(ids)) == 5
    assert all(name.startswith("resnet18-") for name in ids)
    assert Encoder(network, **base, batch_size=2, threads=1).encoder_id == ids[0]


def test_the_encoder_id_is_the_same_everywhere() -> None:
    """A cache is found again by every machine and version, until the vectors are meant to change: then change this."""
    assert Encoder.build("small", None, device="cpu").encoder_id == "small-eb8186f983bd"


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "float32")])
def test_auto_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch, native: bool, expected: str) -> None:
    monkeypatch.setattr(embedding, "has_bfloat16", lambda device: native)
    assert Encoder.build("squeezenet1_1", None, device="cpu").precision == expected
    assert Encoder.build("small", None, device="cpu").precision == "float32"


def test_wrong_choices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="precision"):
        Encoder.build("small", None, precision="int8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size"):
        Encoder.build("small", None, batch_size=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AtelierError, match="no CUDA device"):
        Encoder.build("small", None, device="cuda")


# --- the plain function


def test_embed_images(photographs: list[Path]) -> None:
    vectors = embed_images(photographs[:3], "resnet18", None, preprocessing=TINY, device="cpu", batch_size=4)
    assert vectors.shape == (3, 512)
    assert vectors.dtype == np.float32


def test_embed_images_names_what_it_cannot_use(photographs: list[Path], tmp_path: Path) -> None:
    listing = [photographs[0], tmp_path / "gone.png", tmp_path / "gone_too.png"]
    with pytest.raises(ImageRejected, match=r"gone\.png: no such file \(and 1 other"):
        embed_images(listing, "small", None)


# --- real weights


@pytest.mark.real_data
def test_a_parrot_is_recognised(real_data: Path) -> None:
    """Decoding, preprocessing and the stripped backbone, then the file's own classifier: class 88 is a macaw."""
    weights = real_data / "weights" / "mobilenet_v2-imagenet1k.safetensors"
    if not weights.exists():
        pytest.skip(f"{weights} is absent")
    from safetensors.torch import load_file

    plain = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)  # pixel / 127.5 − 1
    state = load_file(weights)
    for precision in ("float32", "bf16"):
        encoder = Encoder.build("mobilenet_v2", weights, plain, device="cpu", precision=precision, batch_size=2)
        vector = torch.from_numpy(encoder.encode(["parrot.jpg"], root=weights.parent).vectors[0])
        logits = state["classifier.1.weight"] @ vector + state["classifier.1.bias"]
        probabilities = logits.softmax(0)
        assert int(probabilities.argmax()) == 88
        assert float(probabilities[88]) > 0.99


@pytest.mark.real_data
def test_a_jpeg_that_is_decoded_at_a_fraction_of_its_size_has_the_same_vector(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Photographs of 1,200 × 1,600 pixels, decoded at half of that, by real weights; neighbours are the same too."""
    weights = real_data / "weights" / "mobilenet_v2-imagenet1k.safetensors"
    photographs = sorted((real_data / "mango" / "images").glob("*.jpg"))[:60]
    if not weights.exists() or not photographs:
        pytest.skip(f"{weights} or the photographs are absent")
    for number, file in enumerate(photographs):
        with Image.open(file) as image:
            large = image.convert("RGB").resize((1200, 1600), Image.Resampling.LANCZOS)
        large.save(tmp_path / f"{number:02d}.jpg", quality=92)
    files = sorted(tmp_path.glob("*.jpg"))
    plain = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    encoder = Encoder.build("mobilenet_v2", weights, plain, device="cpu", precision="float32")
    sizes = []
    pixels = Preprocessing.pixels

    def watched(self: Preprocessing, image: Image.Image, part: Any = None) -> Any:
        sizes.append(image.size)
        return pixels(self, image, part)

    monkeypatch.setattr(Preprocessing, "pixels", watched)
    scaled = encoder.encode(files).vectors
    monkeypatch.setattr(Preprocessing, "needed", 10_000)
    whole = encoder.encode(files).vectors
    assert set(sizes) == {(600, 800), (1200, 1600)}
    assert cosine(scaled, whole).min() > 0.999
    nearest = [np.argsort(-each @ each.T, axis=1)[:, 1:6] for each in map(unit, (scaled, whole))]
    same = [len(set(a) & set(b)) / 5 for a, b in zip(*nearest, strict=True)]
    assert np.mean(same) > 0.95


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors at unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(photographs: list[Path], encoder: Encoder) -> None:
    there = Encoder.build("resnet18", None, TINY, device="cuda", precision="float32", batch_size=4)
    assert cosine(there.encode(photographs).vectors, encoder.encode(photographs).vectors).min() > 0.9999


def test_the_package_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, atelier.images, atelier.images.manifest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(embedding.__file__).parents[2]).returncode == 0
