"""Decodes and scales photographs on a device, many at a time, where a processor cannot keep up with the network.

What belongs here: what is done with photographs between their bytes and a network's input, on a GPU's own decoder and
by PyTorch's own scaling. What does not: the same on a processor with Pillow (:mod:`atelier.images.decode`,
:mod:`atelier.images.preprocessing`), reading files in threads (:mod:`atelier.images.loading`), the network.

Scaling is that of torchvision's ``Resize`` and ``CenterCrop`` on tensors, antialiased. Its pixels differ a little from
Pillow's, which reduces a JPEG while it is decoded: vectors made in this way have an ``encoder_id`` of their own. It
runs on a processor too, by torchvision's decoder for processors, which is how it is tested without a GPU.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from atelier.images.decode import ImageRejected, check_jpeg, decode, plain_jpeg
from atelier.images.preprocessing import Box, Preprocessing

PIXELS_AT_ONCE = 64 * 1024 * 1024
"""Pixels of photographs that are decoded or scaled together, at most: as float32 they take 768 MiB."""
LONGEST = 4
"""How many times as long as its shorter side an image's longer side may be before its ends are cut off unseen."""


class Prepared(NamedTuple):
    """A photograph that a host thread has read.

    Attributes:
        name: in errors.
        data: uint8 [bytes]: the JPEG, yet to be decoded.
        size: width and height in pixels.
        pixels: uint8 [3, height, width], where the device's decoder would not show the file rightly.
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
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

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
        if size is None:
            return self._prepared_here(data, name, part)
        if not inspected:
            check_jpeg(data, name)
        return Prepared(name, _bytes_of(data), size, None, part)

    def __call__(self, files: Sequence[Prepared]) -> list[Tensor | ImageRejected]:
        """The pixels of each photograph on the device, uint8 [3, crop, crop], or why it cannot be used.

        It may be called by another thread than the one that uses the pixels: they are complete when it returns.
        """
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            found = [each for some in _portions(files) for each in self._scaled(self._decoded(some))]
        if self._stream is not None:
            self._stream.synchronize()
        return found

    def _prepared_here(self, data: bytes, name: str, part: Box | None) -> Prepared:
        image = decode(data, name, self._preprocessing.needed)
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
        return Prepared(name, _bytes_of(b""), image.size, pixels, part)

    def _decoded(self, files: Sequence[Prepared]) -> list[tuple[Prepared, Tensor] | ImageRejected]:
        """The whole pixels of each photograph on the device."""
        encoded = [file.data for file in files if file.pixels is None]
        try:
            decoded = iter(self._decode(encoded))
        except RuntimeError as error:  # of one of them, and it does not say of which
            if isinstance(error, torch.OutOfMemoryError):
                raise
            return [self._decoded_alone(file) for file in files]
        return [(file, next(decoded) if file.pixels is None else file.pixels.to(self._device)) for file in files]

    def _decoded_alone(self, file: Prepared) -> tuple[Prepared, Tensor] | ImageRejected:
        """One photograph, on the processor where the device's decoder does not take it."""
        if file.pixels is not None:
            return file, file.pixels.to(self._device)
        try:
            return file, self._decode([file.data])[0]
        except RuntimeError:
            try:
                here = self._prepared_here(file.data.numpy().tobytes(), file.name, file.part)
            except ImageRejected as rejected:
                return rejected
        return here, cast(Tensor, here.pixels).to(self._device)

    def _decode(self, encoded: list[Tensor]) -> list[Tensor]:
        """uint8 [3, height, width] of each JPEG."""
        if not encoded:
            return []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's decoders are to move to another package one day
            found: list[Tensor] = decode_jpeg(encoded, ImageReadMode.RGB, self._device)
        return found

    def _scaled(self, decoded: Sequence[tuple[Prepared, Tensor] | ImageRejected]) -> list[Tensor | ImageRejected]:
        """Scaled and cropped, those of one size together."""
        done: dict[int, Tensor | ImageRejected] = {}
        cut: dict[int, tuple[Tensor, bool]] = {}
        for place, each in enumerate(decoded):
            if isinstance(each, ImageRejected):
                done[place] = each
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
