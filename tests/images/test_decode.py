"""Hostile, broken and odd image files."""

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from atelier.images import decode
from atelier.images.decode import ImageRejected

pytestmark = pytest.mark.hostile


def picture(width: int = 40, height: int = 24) -> Image.Image:
    """Left half red, right half blue, so that every turn can be told from every other; top row green."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (255, 0, 0)
    pixels[:, width // 2 :] = (0, 0, 255)
    pixels[: height // 4] = (0, 255, 0)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def png_header_claiming(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


# --- where a file may lie


def test_a_file_within_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"bytes")
    assert decode.read("a/b.png", tmp_path) == b"bytes"
    assert decode.read("a/../a/b.png", tmp_path) == b"bytes"


@pytest.mark.parametrize("make", ["dots", "absolute", "link", "linked folder", "prefix"])
def test_paths_that_lead_outside_are_rejected(tmp_path: Path, make: str) -> None:
    root, outside = tmp_path / "images", tmp_path / "images_secret"
    root.mkdir()
    outside.mkdir()
    (outside / "x.png").write_bytes(encoded(picture()))
    (root / "link.png").symlink_to(outside / "x.png")
    (root / "folder").symlink_to(outside)
    path = {
        "dots": "../images_secret/x.png",
        "absolute": str(outside / "x.png"),
        "link": "link.png",
        "linked folder": "folder/x.png",
        "prefix": str(root) + "_secret/x.png",
    }[make]
    with pytest.raises(ImageRejected, match="outside") as caught:
        decode.read(path, root)
    assert path in str(caught.value)


def test_a_link_that_stays_inside_and_a_linked_root_are_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.png").write_bytes(b"1")
    (tmp_path / "real" / "y.png").symlink_to("x.png")
    (tmp_path / "root").symlink_to("real")
    assert decode.read("y.png", tmp_path / "root") == b"1"


def test_missing_folder_pipe_loop_nul_and_empty_are_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "empty.jpg").touch()
    reasons = {
        "gone.jpg": "no such file",
        "pipe.jpg": "not a regular file",
        "folder.jpg": "not a regular file",
        "loop.jpg": "cannot be opened|no such file",
        "nul\0.jpg": "cannot be opened",
        "empty.jpg": "empty",
    }
    for path, reason in reasons.items():
        with pytest.raises(ImageRejected, match=reason):
            decode.read(path, tmp_path)


def test_huge_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(decode.MAX_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(ImageRejected, match="more than the"):
        decode.read("sparse.jpg", tmp_path)


# --- what a file may hold


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8_000, 7_000), (12_000, 8_000), (60_000, 60_000)])
def test_bombs_are_rejected_before_decoding(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("a pixel was decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("a pixel was decoded"))
    with pytest.raises(ImageRejected, match=r"bomb\.png: .*50,000,000 (pixels )?allowed"):
        decode.inspect(png_header_claiming(*size), "bomb.png")


@pytest.mark.parametrize(
    "data", [b"", b"not an image", b"%PDF-1.7", b"GIF89a" + bytes(100), b"\xff\xd8\xff", bytes(999)]
)
def test_what_is_no_image_is_rejected(data: bytes) -> None:
    with pytest.raises(ImageRejected, match=r"JPEG, PNG, WEBP|damaged"):
        decode.decode(data, "x.jpg")


def test_other_formats_that_pillow_knows_are_not_even_tried() -> None:
    for form in ("GIF", "BMP", "TIFF", "PPM"):
        with pytest.raises(ImageRejected, match="not an image in one of the formats"):
            decode.decode(encoded(noise(), form), "x.png")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_truncated_files_are_rejected(form: str, share: float) -> None:
    data = encoded(noise(), form)
    cut = data[: int(len(data) * share)]
    with pytest.raises(ImageRejected, match=r"x\.img: .*(truncated|damaged)"):
        decode.inspect(cut, "x.img")
    with pytest.raises(ImageRejected):
        decode.decode(cut, "x.img", at_least=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), form=st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_damage_gives_an_image_or_a_rejection_and_nothing_else(data: st.DataObject, form: str) -> None:
    whole = bytearray(encoded(picture(), form))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageRejected):  # and no other
        assert decode.decode(bytes(whole), "x", at_least=8).mode == "RGB"


# --- what becomes of it


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, form: str) -> None:
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # the inverse Transpose of each orientation
    stored = picture() if back is None else picture().transpose(Image.Transpose(back))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {"lossless": True} if form == "WEBP" else {}
    data = encoded(stored, form, exif=exif, **options)
    upright = decode.decode(data, "x")
    assert decode.inspect(data, "x") == upright.size == (40, 24)
    difference = np.asarray(upright).astype(int) - np.asarray(picture())
    assert np.abs(difference).mean() < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_is_ignored() -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode.decode(data, "x").size == (40, 24)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert decode.decode(encoded(clear), "x").getpixel((1, 1)) == (255, 255, 255)
    assert decode.decode(encoded(half), "x").getpixel((1, 1)) == (127, 127, 127)
    assert decode.decode(encoded(clear.convert("LA")), "x").getpixel((1, 1)) == (255, 255, 255)


def test_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 0)
    decoded = decode.decode(encoded(image, transparency=0), "x")
    assert decoded.getpixel((0, 0)) == (255, 255, 255)
    assert decoded.getpixel((1, 1)) == (40, 50, 60)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    form = "JPEG" if mode == "CMYK" else "PNG"
    white = Image.new("RGB", (16, 16), "white").convert(mode)
    decoded = decode.decode(encoded(white, form), "x")
    assert decoded.mode == "RGB"
    assert decoded.getpixel((8, 8)) == (255, 255, 255)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((4, 4), 0x8000, np.uint16))
    assert decode.decode(encoded(grey), "x").getpixel((0, 0)) == (128, 128, 128)


def test_a_large_jpeg_is_decoded_at_a_fraction_but_never_too_small() -> None:
    data = encoded(picture(1600, 1200), "JPEG")
    assert decode.decode(data, "x").size == (1600, 1200)
    assert decode.decode(data, "x", at_least=300).size == (400, 300)
    assert decode.decode(data, "x", at_least=301).size == (800, 600)
    assert decode.inspect(data, "x") == (1600, 1200)


# --- damage that Pillow does not see


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_with_zeros_in_the_middle_is_rejected(mode: str, progressive: bool) -> None:
    sound = encoded(noise(400).convert(mode), "JPEG", quality=90, progressive=progressive)
    assert decode.inspect(sound, "sound") == (400, 400)
    middle = len(sound) // 2
    broken = sound[: middle - 2048] + bytes(4096) + sound[middle + 2048 :]
    Image.open(io.BytesIO(broken)).load()  # Pillow alone accepts it
    for use in (decode.inspect, decode.decode):
        with pytest.raises(ImageRejected, match="truncated or damaged: Corrupt JPEG data"):
            use(broken, "x")


@pytest.mark.parametrize("extra", [1, 2])
def test_a_byte_or_two_too_many_at_the_end_are_harmless(extra: int) -> None:
    sound = encoded(noise(), "JPEG")
    assert decode.inspect(sound[:-2] + b"\x00" * extra + sound[-2:], "x") == (64, 64)


def png_with(chunk: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """A PNG with one more chunk after its header."""
    sound = encoded(picture())
    ends = 8 + 25  # signature and IHDR
    crc = zlib.crc32(chunk + data) if checksum is None else checksum
    return sound[:ends] + struct.pack(">I", len(data)) + chunk + data + struct.pack(">I", crc) + sound[ends:]


def test_a_png_is_rejected_with_the_reason() -> None:
    with pytest.raises(ImageRejected, match="the checksum of its chunk tEXt is wrong"):
        decode.inspect(png_with(b"tEXt", b"Comment\0x", checksum=1), "x")
    large = zlib.compress(bytes(PngImagePlugin.MAX_TEXT_CHUNK + 1))
    for chunk in (png_with(b"iCCP", b"icc\0\0" + large), png_with(b"zTXt", b"XML:com.adobe.xmp\0\0" + large)):
        with pytest.raises(ImageRejected, match="unpacks to more than a megabyte"):
            decode.inspect(chunk, "x")


# --- colour profiles

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""X, Y, Z of Adobe RGB's red, green and blue, adapted to D50, as in its profile."""


def profile(primaries: tuple[tuple[float, ...], ...], description: bytes = b"test space") -> bytes:
    """An ICC profile (version 2) of an RGB space with gamma 2.2."""

    def fixed(number: float) -> bytes:
        return struct.pack(">i", round(number * 65536))

    white = b"XYZ " + bytes(4) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    named = b"desc" + bytes(4) + struct.pack(">I", len(description) + 1) + description + bytes(79)
    tags = [(b"wtpt", white), (b"desc", named + bytes(-len(named) % 4))]
    tags += [
        (name, b"XYZ " + bytes(4) + b"".join(map(fixed, xyz)))
        for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    ]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    at, table, body = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\0") + table + body


def slowly_in_srgb(colour: tuple[int, int, int]) -> list[float]:
    """Adobe RGB to sRGB by the definitions: linear, to XYZ (D50), to linear sRGB, to sRGB."""
    linear = (np.array(colour) / 255) ** 2.2
    to_xyz = np.array(ADOBE).T
    srgb = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
    light = np.clip(np.linalg.solve(srgb, to_xyz @ linear), 0, 1)
    return list(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("colour", [(200, 60, 60), (90, 160, 90), (128, 128, 128), (20, 40, 220)])
def test_colours_of_another_space_become_srgb(colour: tuple[int, int, int], form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "JPEG" else {}
    data = encoded(Image.new("RGB", (16, 16), colour), form, icc_profile=profile(ADOBE), **options)
    found = decode.decode(data, "x").getpixel((8, 8))
    assert np.abs(np.array(found) - slowly_in_srgb(colour)).max() <= 2.5


def test_transparency_and_palettes_keep_working_with_a_profile() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 60, 60, 0))
    assert decode.decode(encoded(clear, icc_profile=profile(ADOBE)), "x").getpixel((1, 1)) == (255, 255, 255)
    palette = Image.new("RGB", (4, 4), (200, 60, 60)).quantize(4)
    found = decode.decode(encoded(palette, icc_profile=profile(ADOBE)), "x").getpixel((1, 1))
    assert np.abs(np.array(found) - slowly_in_srgb((200, 60, 60))).max() <= 2.5


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("icc", [b"no profile", profile(ADOBE)[:200], bytes(decode.MAX_PROFILE_BYTES + 1)])
def test_a_profile_that_is_of_no_use_changes_nothing(mode: str, icc: bytes) -> None:
    plain = noise(16).convert(mode)
    assert list(decode.decode(encoded(plain, "JPEG", icc_profile=icc), "x").tobytes()) == list(
        decode.decode(encoded(plain, "JPEG"), "x").tobytes()
    )


def test_srgb_s_own_profile_changes_nothing() -> None:
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decode.decode(encoded(noise(16), icc_profile=own), "x").tobytes() == noise(16).tobytes()
