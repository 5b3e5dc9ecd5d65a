"""Decode an untrusted file to an upright RGB image, or give the reason why it cannot be used.

What belongs here: the guards against hostile or broken image files: paths that lead out of the source's folder,
decompression bombs, truncated and damaged files, files that are no images, odd colour modes and colour spaces. What
does not: scaling for a model
(:mod:`atelier.images.preprocessing`), lists of images (:mod:`atelier.images.manifest`), decoders of a device
(:mod:`atelier.images.device_decoding`).
"""

import io
import re
import stat
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageCms, UnidentifiedImageError

from atelier.errors import AtelierError

FORMATS = ("JPEG", "PNG", "WEBP")
"""The only formats that are decoded: those that shops publish. Each further decoder could have security holes."""

MAX_PIXELS = 50_000_000
"""Images with more pixels are rejected by their header. A 50-megapixel camera's fit; they take 150 MB in memory."""

MAX_BYTES = 128 * 2**20
"""Larger files are rejected without being read."""

MAX_PROFILE_BYTES = 4 * 2**20
"""Larger colour profiles are left out: those of printers take 3 MB at most."""

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)


class ImageRejected(AtelierError):
    """An image file that cannot be used.

    Attributes:
        path: the file, as it was named in the listing.
        reason: what is wrong with it, as a readable text.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def locate(path: str | Path, root: Path | None = None) -> Path:
    """The real file behind ``path``, which must be a regular file within ``root``.

    Links and ``..`` are resolved before the check, so neither leads out of ``root``.

    Args:
        path: relative to ``root`` where there is one.
        root: the folder that must hold the file; None: any folder.

    Raises:
        ImageRejected: there is no such file, it is outside ``root``, or it is a folder, pipe or device.
    """
    name = str(path)
    try:
        real = (Path(path) if root is None else root / path).resolve(strict=True)
        if root is not None and not real.is_relative_to(root.resolve()):
            raise ImageRejected(name, "the path leads outside the source's folder of images")
        if not stat.S_ISREG(real.stat().st_mode):  # reading a pipe would wait for ever
            raise ImageRejected(name, "not a regular file")
    except FileNotFoundError:
        raise ImageRejected(name, "no such file") from None
    except (OSError, ValueError, RuntimeError) as error:  # no permission, a NUL in the name, a loop of links
        raise ImageRejected(name, f"cannot be opened: {error}") from error
    return real


def read(path: str | Path, root: Path | None = None) -> bytes:
    """The bytes of an image file, which must be a regular file within ``root`` (see :func:`locate`).

    Raises:
        ImageRejected: it cannot be located or read, is empty, or exceeds ``MAX_BYTES``.
    """
    real = locate(path, root)
    try:
        size = real.stat().st_size
        if size == 0:
            raise ImageRejected(str(path), "the file is empty")
        if size > MAX_BYTES:
            raise ImageRejected(str(path), f"{size:,} bytes, more than the {MAX_BYTES:,} allowed")
        return real.read_bytes()
    except OSError as error:
        raise ImageRejected(str(path), f"cannot be read: {error}") from error


def decode(data: bytes, name: str, at_least: int | None = None) -> Image.Image:
    """Decode an image file to upright RGB.

    The header is read first; an image with too many pixels is rejected before a pixel is decoded. EXIF orientation is
    applied. Grey, palette and CMYK become RGB, and colours of another space (Adobe RGB, Display P3, CMYK with a
    profile) sRGB; transparency is laid on white. A JPEG is decoded at the fraction (1/2,
    1/4, 1/8) of its size that still leaves ``at_least`` pixels on its shorter side, which saves most of the work.

    Args:
        data: the bytes of the file.
        name: the image's name in errors.
        at_least: pixels needed on the shorter side; None: full size.

    Returns:
        An image of mode RGB.

    Raises:
        ImageRejected: not one of ``FORMATS``, too many pixels, truncated or damaged.
    """
    image = _load(data, name, at_least)
    try:
        turn = _UPRIGHT.get(_orientation(image))
        upright = _rgb(image)
        return upright if turn is None else upright.transpose(turn)
    except Exception as error:  # the errors that decoders raise on damaged files have no common class
        raise ImageRejected(name, f"damaged: {error}") from error


def inspect(data: bytes, name: str) -> tuple[int, int]:
    """Width and height in pixels, upright, of an image that can be decoded to its end.

    The whole image is decoded once, JPEG at an eighth of its size: that reads all of its data at a fraction of the
    cost.

    Raises:
        ImageRejected: as :func:`decode`.
    """
    width, height = _open(data, name).size
    image = _load(data, name, at_least=1)
    return (height, width) if _orientation(image) in _ON_ITS_SIDE else (width, height)


def plain_jpeg(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height of a JPEG that every decoder shows alike; None: only :func:`decode` shows the file rightly.

    A plain one is colour (stored as luminance and chrominance) or grey, upright, and without a usable colour profile of
    another space than sRGB. Only its header is read here.

    Raises:
        ImageRejected: not one of ``FORMATS``, or too many pixels.
    """
    image = _open(data, name)
    plain = image.format == "JPEG" and image.mode in ("RGB", "L") and _orientation(image) == 1
    return image.size if plain and not _stores_rgb(image) and _foreign_profile(image) is None else None


def _stores_rgb(image: Image.Image) -> bool:
    """Whether a JPEG has red, green and blue as they are, as some programs write it; not all decoders know that."""
    names = [layer[0] for layer in getattr(image, "layer", [])]
    return image.mode == "RGB" and (image.info.get("adobe_transform") == 0 or names == [ord(name) for name in "RGB"])


def _open(data: bytes, name: str) -> Image.Image:
    """The image with its header read and its size accepted, no pixel decoded."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
    except UnidentifiedImageError:
        raise ImageRejected(name, _why_unidentified(data)) from None
    except Image.DecompressionBombError:
        raise ImageRejected(name, f"more than the {MAX_PIXELS:,} pixels allowed") from None
    except Exception as error:  # the errors that decoders raise on damaged files have no common class
        raise ImageRejected(name, _readable(error)) from error
    if width * height > MAX_PIXELS:
        raise ImageRejected(name, f"{width:,} × {height:,} pixels, more than the {MAX_PIXELS:,} allowed")
    return image


def _why_unidentified(data: bytes) -> str:
    """Why no decoder takes a file: Pillow tells it only where the decoder of the file's signature is asked alone."""
    Image.preinit()
    for format_name in FORMATS:
        factory, accepts = Image.OPEN[format_name]
        if accepts is not None and accepts(data[:16]) is True:
            try:
                factory(io.BytesIO(data), "")
            except Exception as error:  # the errors that decoders raise on damaged files have no common class
                return f"a damaged {format_name} file: {_readable(error)}"
    return f"not an image in one of the formats {', '.join(FORMATS)}"


def _readable(error: Exception) -> str:
    """What a decoder found wrong, without the names of its own constants."""
    text = str(error)
    if "MAX_TEXT" in text:
        return (
            "a colour profile or text in it unpacks to more than a megabyte: remove it, no picture needs one so large"
        )
    if broken := re.fullmatch(r"broken PNG file \((?:bad header checksum in|chunk) b'(.*)'\)", text):
        return f"the checksum of its chunk {broken[1]} is wrong: the file changed after it was written"
    return f"truncated or damaged: {text}"


def _load(data: bytes, name: str, at_least: int | None) -> Image.Image:
    """The image with its pixels decoded, as its file has them."""
    image = _open(data, name)
    if image.format == "JPEG":
        check_jpeg(data, name)
    try:
        if at_least is not None:
            image.draft(None, (at_least, at_least))  # None keeps the colour mode
        image.load()
    except Exception as error:  # the errors that decoders raise on damaged files have no common class
        raise ImageRejected(name, _readable(error)) from error
    return image


def check_jpeg(data: bytes, name: str) -> None:
    """Refuse a JPEG whose data do not decode as they were encoded: Pillow fills what is wrong and says nothing.

    Decoded at an eighth of its size, which reads all of its data. What libjpeg finds harmless passes, and so do one or
    two bytes too many at the end, which some cameras write.

    Raises:
        ImageRejected: with what libjpeg says.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        text = str(error)
        damaged = text.startswith(("Corrupt JPEG data", "Premature end"))
        if damaged and not re.search(r": [12] extraneous bytes before marker 0xd9", text):
            raise ImageRejected(name, f"truncated or damaged: {text}") from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) where there is none or the EXIF block itself is broken."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block is common and says nothing about the pixels
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """The same picture in sRGB, on white."""
    if image.mode.startswith("I"):  # 16-bit grey: convert() would clip instead of scale
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    image = _in_srgb(image)
    if image.has_transparency_data:
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
        return page.convert("RGB")
    return image.convert("RGB")


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture with its colours in sRGB, if it has a usable colour profile of another space; else as it is.

    A profile that is damaged or for another mode than the image's is left out, as browsers do.
    """
    source = _foreign_profile(image)
    if source is None:
        return image
    if image.mode in ("P", "PA") or (image.has_transparency_data and image.mode != "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def _foreign_profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The colour profile of another space than sRGB; None where there is none, or none that can be used."""
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return None if "srgb" in ImageCms.getProfileDescription(source).casefold() else source
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
