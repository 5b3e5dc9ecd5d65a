"""Decoding and scaling on a device: the pixels, what its decoder does not take, the encoder's vectors by it.

All of it runs on a processor and, where there is one, on a GPU.
"""

import gc
import hashlib
import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torchvision.transforms import InterpolationMode, v2

from atelier.errors import AtelierError
from atelier.images import device_decoding
from atelier.images.decode import ImageRejected, decode, plain_jpeg
from atelier.images.device_decoding import DeviceDecoder
from atelier.images.embedding import Encoder
from atelier.images.preprocessing import Box, Preprocessing

TINY = Preprocessing(resize=40, crop=32)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def photograph(seed: int, size: tuple[int, int] = (150, 200)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def turned(seed: int) -> bytes:
    """A photograph whose EXIF block says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(photograph(seed), exif=exif)


def wide_gamut(seed: int) -> bytes:
    """A photograph in another colour space than sRGB."""
    return jpeg(photograph(seed), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


def pixels_of(
    decoder: DeviceDecoder, files: list[bytes], part: Box | None = None, *, inspected: bool = True
) -> list[np.ndarray]:
    prepared = [decoder.prepare(data, f"{place}", inspected=inspected, part=part) for place, data in enumerate(files)]
    found = decoder(prepared)
    assert all(isinstance(each, torch.Tensor) for each in found)
    return [each.cpu().numpy() for each in found if isinstance(each, torch.Tensor)]


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """The mean difference of two images, of 255."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(150, 200), (200, 150), (41, 40), (20, 30), (160, 41)])
def test_pixels_are_those_of_torchvisions_transforms(device: str, interpolation: str, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(resize=40, crop=32, interpolation=interpolation)
    data = jpeg(photograph(0, size))
    (found,) = pixels_of(DeviceDecoder(preprocessing, torch.device(device)), [data])
    whole = torch.from_numpy(np.asarray(decode(data, "whole")).transpose(2, 0, 1).copy())
    mode = InterpolationMode(interpolation)
    expected = v2.CenterCrop(32)(v2.Resize(40, interpolation=mode, antialias=True)(whole)).numpy()
    assert found.shape == (3, 32, 32)
    assert apart(found, expected) < (0.6 if device == "cpu" else 2)  # another decoder rounds otherwise


@pytest.mark.parametrize("device", DEVICES)
def test_every_image_is_where_it_was_in_the_list(device: str) -> None:
    images = [photograph(seed, size) for seed, size in enumerate([(90, 80), (60, 70), (90, 80), (64, 64), (60, 70)])]
    files = [jpeg(image) for image in images]
    decoder = DeviceDecoder(TINY, torch.device(device))
    together = pixels_of(decoder, files)
    for found, data in zip(together, files, strict=True):
        np.testing.assert_array_equal(found, pixels_of(decoder, [data])[0])
        assert apart(found, TINY.pixels(decode(data, "host"))) < 4


def stored_as_rgb(seed: int) -> bytes:
    """A photograph whose JPEG has red, green and blue as they are."""
    return jpeg(photograph(seed), keep_rgb=True)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [turned, wide_gamut, stored_as_rgb], ids=["turned", "another colour space", "RGB"])
def test_what_its_decoder_would_show_wrongly_is_decoded_by_the_host(device: str, make: object) -> None:
    assert callable(make)
    data = make(3)
    assert plain_jpeg(data, "odd") is None
    (found,) = pixels_of(DeviceDecoder(TINY, torch.device(device)), [data])
    assert apart(found, TINY.pixels(decode(data, "host"))) < 4


@pytest.mark.parametrize("device", DEVICES)
def test_other_formats_and_modes_are_taken_too(device: str) -> None:
    image, png = photograph(4), io.BytesIO()
    image.save(png, "PNG")
    files = [png.getvalue(), jpeg(image), jpeg(image.convert("CMYK")), jpeg(image.convert("L"))]
    assert [plain_jpeg(data, "each") is not None for data in files] == [False, True, False, True]
    for found, data in zip(pixels_of(DeviceDecoder(TINY, torch.device(device)), files), files, strict=True):
        assert apart(found, TINY.pixels(decode(data, "host"))) < 4


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_a_part_is_that_of_the_host(device: str, fit: str) -> None:
    preprocessing = Preprocessing(resize=40, crop=32, fit=fit)
    data, decoder = jpeg(photograph(5, (600, 800))), DeviceDecoder(preprocessing, torch.device(device))
    for part in ((0.0, 0.0, 1.0, 1.0), (0.25, 0.1, 0.5, 0.6), (0.9, 0.9, 0.1, 0.1)):
        (found,) = pixels_of(decoder, [data], part)
        assert apart(found, preprocessing.pixels(decode(data, "host"), part)) < 4
    (stretched,) = pixels_of(decoder, [data])
    assert apart(stretched, preprocessing.pixels(decode(data, "host"))) < 4


@pytest.mark.parametrize("device", DEVICES)
def test_a_very_long_image_costs_no_more_than_its_middle(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled: list[int] = []
    whole = device_decoding.functional.interpolate

    def counted(images: torch.Tensor, *given: object, **named: object) -> torch.Tensor:
        found: torch.Tensor = whole(images, *given, **named)
        scaled.append(found.numel())
        return found

    monkeypatch.setattr(device_decoding.functional, "interpolate", counted)
    data = jpeg(photograph(6, (3000, 10)))
    (found,) = pixels_of(DeviceDecoder(TINY, torch.device(device)), [data])
    assert apart(found, TINY.pixels(decode(data, "host"))) < 4
    assert max(scaled) <= 3 * 40 * 40 * device_decoding.LONGEST


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_what_a_kernel_has_no_room_for_is_scaled_by_the_host(device: str, interpolation: str) -> None:
    preprocessing = Preprocessing(resize=32, crop=32, fit="stretch", interpolation=interpolation)
    wide = jpeg(photograph(6, (32 * device_decoding.STEEPEST + 32, 40)))
    decoder = DeviceDecoder(preprocessing, torch.device(device))
    prepared = decoder.prepare(wide, "wide", inspected=True)
    assert prepared.pixels is not None
    (found,) = pixels_of(decoder, [wide])
    np.testing.assert_array_equal(found, preprocessing.pixels(decode(wide, "host", preprocessing.needed)))


def test_a_damaged_file_is_refused_where_nobody_inspected_it() -> None:
    data, decoder = jpeg(photograph(7)), DeviceDecoder(TINY, torch.device("cpu"))
    with pytest.raises(ImageRejected, match="truncated or damaged"):
        decoder.prepare(data[: len(data) // 2], "cut.jpg", inspected=False)
    with pytest.raises(ImageRejected, match="not an image"):
        decoder.prepare(b"nothing", "text.jpg", inspected=True)


@pytest.mark.parametrize("device", DEVICES)
def test_one_that_the_decoder_refuses_takes_no_other_with_it(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder tells only that one of a batch failed; what the host cannot decode either is an error of its own."""
    files = [jpeg(photograph(seed)) for seed in range(4)]
    refused, real = {len(files[1])}, device_decoding.decode_jpeg

    def choosy(encoded: list[torch.Tensor], *given: object) -> object:
        if any(len(each) in refused for each in encoded):
            raise RuntimeError("nvjpeg error 2")
        return real(encoded, *given)

    decoder = DeviceDecoder(TINY, torch.device(device))
    expected = pixels_of(decoder, files)
    monkeypatch.setattr(device_decoding, "decode_jpeg", choosy)
    found = pixels_of(decoder, files)
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert apart(one, other) < (4 if place == 1 else 1e-9)
    cut = files[2][: len(files[2]) // 2]
    refused.add(len(cut))
    prepared = [decoder.prepare(data, name, inspected=True) for data, name in ((files[0], "a"), (cut, "cut"))]
    good, bad = decoder(prepared)
    assert isinstance(good, torch.Tensor)
    assert isinstance(bad, ImageRejected)
    assert bad.path == "cut"


@pytest.mark.parametrize("device", DEVICES)
def test_memory_holds_a_bounded_number_of_pixels(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, decoder = [jpeg(photograph(seed)) for seed in range(5)], DeviceDecoder(TINY, torch.device(device))
    expected, sizes, real = pixels_of(decoder, files), list[int](), device_decoding.decode_jpeg

    def counted(encoded: list[torch.Tensor], *given: object) -> object:
        sizes.append(len(encoded))
        return real(encoded, *given)

    monkeypatch.setattr(device_decoding, "PIXELS_AT_ONCE", 2 * 150 * 200)
    monkeypatch.setattr(device_decoding, "decode_jpeg", counted)
    np.testing.assert_array_equal(np.stack(pixels_of(decoder, files)), np.stack(expected))
    assert sizes == [2, 2, 1]


def test_memory_that_runs_out_is_shared_by_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs are then taken one by one; a good one is never decoded in another way for lack of memory."""
    files, decoder = [jpeg(photograph(seed)) for seed in range(3)], DeviceDecoder(TINY, torch.device("cpu"))
    expected, real = pixels_of(decoder, files), device_decoding.decode_jpeg
    room = [2]

    def scarce(encoded: list[torch.Tensor], *given: object) -> object:
        if len(encoded) > room[0]:
            raise RuntimeError("nvjpegDecode failed: NVJPEG_STATUS_ALLOCATOR_FAILURE")
        return real(encoded, *given)

    monkeypatch.setattr(device_decoding, "decode_jpeg", scarce)
    np.testing.assert_array_equal(np.stack(pixels_of(decoder, files)), np.stack(expected))
    room[0] = 0
    with pytest.raises(AtelierError, match="memory on cpu does not suffice to decode its 150 × 200 pixels"):
        pixels_of(decoder, files)


def test_a_torchvision_without_decoder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*given: object) -> object:
        raise RuntimeError("decode_jpegs_cuda: torchvision not compiled with nvJPEG support")

    monkeypatch.setattr(device_decoding, "decode_jpeg", absent)
    with pytest.raises(AtelierError, match=r'cannot decode JPEGs on cpu.*set decoding to "host"'):
        pixels_of(DeviceDecoder(TINY, torch.device("cpu")), [jpeg(photograph(0))])


# --- the encoder


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    paths = [folder / f"{number}.jpg" for number in range(7)]
    for number, path in enumerate(paths):
        path.write_bytes(turned(number) if number == 4 else jpeg(photograph(number)))
    return paths


def encoder(device: str, decoding: str, **given: object) -> Encoder:
    built = {"device": device, "precision": "float32", "batch_size": 3, "decoding": decoding} | given
    return Encoder.build("resnet18", None, TINY, **built)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
def test_vectors_are_near_those_of_the_host_and_another_encoders(device: str, photographs: list[Path]) -> None:
    host, there = encoder(device, "host"), encoder(device, "device")
    a, b = host.encode(photographs).vectors, there.encode(photographs).vectors
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.999
    assert host.encoder_id != there.encoder_id
    assert encoder(device, "auto").decoding == ("host" if device == "cpu" else "device")


@pytest.mark.parametrize("device", DEVICES)
def test_a_vector_does_not_depend_on_its_company(device: str, photographs: list[Path]) -> None:
    there = encoder(device, "device")
    together = there.encode(photographs).vectors
    for place in (0, 4, 6):
        np.testing.assert_array_equal(there.encode(photographs[place : place + 1]).vectors[0], together[place])


@pytest.mark.parametrize("device", DEVICES)
def test_what_cannot_be_used_is_an_error_in_its_place(device: str, photographs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "cut.jpg").write_bytes(photographs[0].read_bytes()[:1000])
    listing = [tmp_path / "text.jpg", *photographs[:3], tmp_path / "gone.jpg", *photographs[3:], tmp_path / "cut.jpg"]
    there = encoder(device, "device")
    encoded = there.encode(listing)
    assert encoded.ok.tolist() == [False, True, True, True, False, True, True, True, True, False]
    assert [Path(error.path).name for error in encoded.errors] == ["text.jpg", "gone.jpg", "cut.jpg"]
    np.testing.assert_array_equal(encoded.vectors, there.encode(photographs).vectors)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in photographs]
    changed = there.encode(photographs, digests=[*digests[:-1], "0" * 64])
    assert changed.ok.tolist() == [*[True] * 6, False]
    assert there.encode([]).vectors.shape == (0, 512)


def test_who_stops_early_leaves_no_thread_behind(photographs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    there = encoder("cpu", "device")

    def broken(pixels: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(there, "_module", broken)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        there.encode(photographs)
    gc.collect()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert set(threading.enumerate()) <= before


def test_other_words_are_refused() -> None:
    with pytest.raises(ValueError, match="auto, host or device"):
        encoder("cpu", "card")
