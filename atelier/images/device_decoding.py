"""Decodes and scales photographs on a device, many at a time, where a processor cannot keep up with the network.

What belongs here: what is done with photographs between their bytes and a network's input, by a GPU's own decoder and
PyTorch's own scaling. What does not: the same on a processor with Pillow (:mod:`atelier.images.decode`,
:mod:`atelier.images.preprocessing`), reading files in threads (:mod:`atelier.images.loading`), the network.

Plain JPEGs, which most photographs are, go this way. All others are decoded and scaled by Pillow in the threads that
read them. Scaling is that of torchvision's ``Resize`` and ``CenterCrop`` on tensors, antialiased. Its pixels differ a
little from Pillow's, which reduces a JPEG while it is decoded: vectors made in this way have an ``encoder_id`` of their
own. It runs on a processor too, by torchvision's decoder for processors, which is how it is tested without a GPU.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from atelier.errors import AtelierError
from atelier.images.decode import ImageRejected, check_jpeg, decode, plain_jpeg
from atelier.images.preprocessing import Box, Preprocessing

# torchvision's decoders are to move to another package one day.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torchvision\.io")
warnings.filterwarnings("ignore", message=r"(?s).*image decoding and encoding capabilities of TorchVision.*")
log = logging.getLogger(__name__)

PIXELS_AT_ONCE = 64 * 1024 * 1024
"""Pixels of photographs that are decoded or scaled together, at most: as float32 they take 768 MiB."""
LONGEST = 4
"""Of an image that is longer than so many times its shorter side the ends, which no crop shows, are cut off first."""
STEEPEST = 64
"""How many pixels in a row one pixel may be made of here: CUDA's kernels have no room for many more."""
OUT_OF_MEMORY = ("out of memory", "ALLOCATOR_FAILURE", "nvjpeg error: 5", "can't allocate memory")
"""How torch, torchvision and nvJPEG say that memory does not suffice; most of them have no exception class for it."""
NO_DECODER = ("not compiled with nvJPEG", "image extension")
"""How torchvision says that it cannot decode at all."""


class Prepared(NamedTuple):
    """A photograph that a host thread has read.

    Attributes:
        name: in errors.
        data: uint8 [bytes]: the JPEG, yet to be decoded.
        size: width and height in pixels, of what is to be decoded or copied.
        pixels: uint8 [3, crop, crop], where the host has decoded and scaled the file.
        part: the part to encode, as :meth:`Preprocessing.pixels` has it; None: the whole.
    """

    name: str
    data: Tensor
    size: tuple[int, int]
    pixels: Tensor | None
    part: Box | None


class DeviceDecoder:
    """Decodes and scales photographs on a device.

    Args:
        preprocessing: how they are scaled and cropped.
        device: where.
    """

    def __init__(self, preprocessing: Preprocessing, device: torch.device) -> None:
        self._preprocessing, self._device = preprocessing, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def prepare(self, data: bytes, name: str, *, inspected: bool, part: Box | None = None) -> Prepared:
        """What a host thread does with a file: its header is read, and what is no plain JPEG is decoded.

        Args:
            data: the bytes of the file.
            name: of the photograph, in errors.
            inspected: whether these very bytes have passed :func:`~atelier.images.decode.inspect` before; if not, the
                JPEG is decoded here once, at an eighth of its size, since the device's decoder fills what is missing.
            part: see :class:`Prepared`.

        Raises:
            ImageRejected: as :func:`~atelier.images.decode.decode`.
        """
        size = plain_jpeg(data, name)
        if size is None or self._is_too_steep(size, part):
            return self._prepared_here(data, name, part)
        if not inspected:
            check_jpeg(data, name)
        return Prepared(name, _bytes_of(data), size, None, part)

    def __call__(self, files: Sequence[Prepared]) -> list[Tensor | ImageRejected]:
        """The pixels of each photograph on the device, uint8 [3, crop, crop], or why it cannot be used.

        It may be called by another thread than the one that uses the pixels: they are complete when it returns. Where
        memory runs out, photographs are taken one by one.

        Raises:
            AtelierError: memory does not suffice for a single photograph, or torchvision has no decoder for the device.
        """
        found: list[Tensor | ImageRejected] = []
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for some in _portions(files):
                made = self._made(some)
                found += [each for file in some for each in self._made_alone(file)] if made is None else made
        if self._stream is not None:
            self._stream.synchronize()
        return found

    def _is_too_steep(self, size: tuple[int, int], part: Box | None) -> bool:
        """Whether more pixels of an image of this size would make one than the device has room for."""
        left, top, right, bottom = self._preprocessing.box(size, part)
        scale = max(right - left, bottom - top) / self._preprocessing.crop
        return scale * (2 if self._preprocessing.interpolation == "bicubic" else 1) > STEEPEST

    def _prepared_here(self, data: bytes, name: str, part: Box | None) -> Prepared:
        image = decode(data, name, self._preprocessing.needed)
        pixels = torch.from_numpy(self._preprocessing.pixels(image, part))
        return Prepared(name, _bytes_of(b""), (self._preprocessing.crop,) * 2, pixels, part)

    def _made(self, files: Sequence[Prepared]) -> list[Tensor | ImageRejected] | None:
        """The pixels of some photographs; None: memory does not suffice for all of them at once."""
        try:
            return self._scaled(self._decoded(files))
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
        if self._stream is not None:  # not within except, whose traceback holds the tensors
            torch.cuda.empty_cache()
        return None

    def _made_alone(self, file: Prepared) -> list[Tensor | ImageRejected]:
        made = self._made([file])
        if made is None:
            width, height = file.size
            raise AtelierError(
                f"{file.name}: memory on {self._device} does not suffice to decode its {width:,} × {height:,} pixels; "
                'set decoding to "host", or take another device'
            )
        return made

    def _decoded(self, files: Sequence[Prepared]) -> list[tuple[Prepared, Tensor] | ImageRejected]:
        """The pixels of each photograph on the device, whole where the device has decoded it."""
        encoded = [file.data for file in files if file.pixels is None]
        try:
            decoded = iter(self._decode(encoded))
        except RuntimeError as error:  # of one of them, and it does not say of which
            self._give_up(error)
            return [self._decoded_alone(file) for file in files]
        return [(file, next(decoded) if file.pixels is None else file.pixels.to(self._device)) for file in files]

    def _decoded_alone(self, file: Prepared) -> tuple[Prepared, Tensor] | ImageRejected:
        """One photograph, by the host where the device's decoder does not take it."""
        here = file
        if file.pixels is None:
            try:
                return file, self._decode([file.data])[0]
            except RuntimeError as error:
                self._give_up(error)
                log.warning("%s: the decoder of %s refused it (%s): Pillow decodes it", file.name, self._device, error)
            try:
                here = self._prepared_here(file.data.numpy().tobytes(), file.name, file.part)
            except ImageRejected as rejected:
                return rejected
        return here, cast(Tensor, here.pixels).to(self._device)

    def _give_up(self, error: RuntimeError) -> None:
        """Raise what no other decoder mends: memory that does not suffice, a torchvision without decoder."""
        if lacks_memory(error):
            raise error
        if any(said in str(error) for said in NO_DECODER):
            raise AtelierError(
                f'torchvision cannot decode JPEGs on {self._device} ({error}); set decoding to "host", or install its '
                "CUDA build"
            ) from error

    def _decode(self, encoded: list[Tensor]) -> list[Tensor]:
        """uint8 [3, height, width] of each JPEG."""
        if not encoded:
            return []
        if self._stream is not None:
            # The decoder writes on a stream of its own, into memory that kernels of this stream may still read.
            self._stream.synchronize()
        return decode_jpeg(encoded, self._device)

    def _scaled(self, decoded: Sequence[tuple[Prepared, Tensor] | ImageRejected]) -> list[Tensor | ImageRejected]:
        """Scaled and cropped, those of one size together."""
        done: dict[int, Tensor | ImageRejected] = {}
        cut: dict[int, tuple[Tensor, bool]] = {}
        for place, each in enumerate(decoded):
            if isinstance(each, ImageRejected):
                done[place] = each
            elif each[0].pixels is not None:
                done[place] = each[1]
            else:
                cut[place] = self._cut(*each)

        def alike(place: int) -> tuple[bool, tuple[int, ...]]:
            pixels, whole = cut[place]
            return whole, tuple(pixels.shape)

        for (whole, _), group in groupby(sorted(cut, key=alike), key=alike):
            some = list(group)
            scaled = self._resized(torch.stack([cut[place][0] for place in some]), whole=whole)
            done |= dict(zip(some, scaled, strict=True))
        return [done[place] for place in range(len(decoded))]

    def _cut(self, file: Prepared, pixels: Tensor) -> tuple[Tensor, bool]:
        """The pixels that are to be seen, and whether they are a whole image, which is still to be cropped.

        Of a part the sides are rounded outwards to whole pixels.
        """
        height, width = pixels.shape[1:]
        if file.part is not None:
            left, top, right, bottom = self._preprocessing.box((width, height), file.part)
            rows, columns = _outwards(top, bottom), _outwards(left, right)
            return pixels[:, rows, columns].contiguous(), False
        if self._preprocessing.fit == "stretch":
            return pixels, False
        most = LONGEST * min(height, width)
        (top, bottom), (left, right) = (_middle(side, most) for side in (height, width))
        return pixels[:, top:bottom, left:right].contiguous(), True

    def _resized(self, images: Tensor, *, whole: bool) -> Tensor:
        """uint8 [n, 3, crop, crop] of uint8 [n, 3, height, width]."""
        crop = self._preprocessing.crop
        size = self._preprocessing.scaled_size(images.shape[3], images.shape[2]) if whole else (crop, crop)
        scaled = functional.interpolate(
            images.float(), size[::-1], mode=self._preprocessing.interpolation, align_corners=False, antialias=True
        )
        top, left = (round((side - crop) / 2) for side in scaled.shape[2:])
        return scaled[:, :, top : top + crop, left : left + crop].round_().clamp_(0, 255).to(torch.uint8)


def decode_jpeg(encoded: list[Tensor], device: torch.device) -> list[Tensor]:
    """Decode JPEGs (each uint8 [bytes] in main memory) by torchvision: uint8 [3, height, width] each, on the device.

    Raises:
        RuntimeError: one of them cannot be decoded, memory does not suffice, or there is no decoder for the device.
    """
    from torchvision.io import ImageReadMode
    from torchvision.io import decode_jpeg as decode_jpegs

    found: list[Tensor] = decode_jpegs(encoded, ImageReadMode.RGB, device)
    return found


def lacks_memory(error: RuntimeError) -> bool:
    """Whether the memory of the device, or main memory, did not suffice."""
    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in OUT_OF_MEMORY)


def _bytes_of(data: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, np.uint8).copy())


def _outwards(first: float, last: float) -> slice:
    """The whole pixels that a stretch touches, one at least."""
    return slice(math.floor(first), max(math.ceil(last), math.floor(first) + 1))


def _middle(side: int, most: int) -> tuple[int, int]:
    """Where the middle of a side begins and ends that is no longer than ``most``, as far from either end."""
    cut = max(side - most, 0) // 2
    return cut, side - cut


def _portions(files: Sequence[Prepared]) -> Iterator[list[Prepared]]:
    """The files, so many at a time as :data:`PIXELS_AT_ONCE` allows."""
    portion: list[Prepared] = []
    pixels = 0
    for file in files:
        size = file.size[0] * file.size[1]
        if portion and pixels + size > PIXELS_AT_ONCE:
            yield portion
            portion, pixels = [], 0
        portion.append(file)
        pixels += size
    if portion:
        yield portion
