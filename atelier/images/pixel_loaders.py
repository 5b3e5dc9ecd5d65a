"""The pixels of image files as a network takes them, loaded on the host or on the network's own device.

What belongs here: the one shape of both ways, and the overlap of reading, decoding and computing in each. What does
not: reading files in threads (:mod:`atelier.images.loading`), decoding (:mod:`atelier.images.decode`,
:mod:`atelier.images.device_decoding`), the network (:mod:`atelier.images.embedding`).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from atelier.arrays import Float64s
from atelier.images.decode import ImageRejected
from atelier.images.device_decoding import DeviceDecoder, Prepared
from atelier.images.loading import Pixels, load, load_files
from atelier.images.preprocessing import Box, Preprocessing


@dataclass(frozen=True)
class ImageFiles:
    """Image files, and what of each is to be seen.

    Attributes:
        paths: the files, relative to ``root`` where it is given.
        root: the folder that must hold them all; None: any folder.
        digests: the SHA-256 that each file is expected to have; None: it may be any.
        boxes: float64 [paths, 4]: the part of each image's view (:mod:`atelier.images.regions`); None: the whole.

    Raises:
        ValueError: there are not as many digests as paths.
    """

    paths: Sequence[str | Path]
    root: str | Path | None = None
    digests: Sequence[str] | None = None
    boxes: Float64s | None = None

    def __post_init__(self) -> None:
        if self.digests is not None and len(self.digests) != len(self.paths):
            raise ValueError(f"{len(self.digests)} digests for {len(self.paths)} paths")

    def __len__(self) -> int:
        return len(self.paths)

    def box(self, index: int) -> Box | None:
        """The part of one image that is to be seen; None: the whole."""
        return None if self.boxes is None else tuple(self.boxes[index].tolist())


class PixelLoader(Protocol):
    """A way from image files to pixels."""

    def __call__(self, files: ImageFiles, batch_size: int) -> Iterator[Tensor | ImageRejected]:
        """The pixels of each image, uint8 [3, crop, crop], or why it cannot be used, in order.

        Args:
            files: which.
            batch_size: how many the network takes at a time: so many, or twice as many, are loaded ahead of it.
        """


class HostLoader:
    """Pixels in main memory, decoded and scaled by Pillow in threads.

    Args:
        preprocessing: how images are scaled and cropped.
        threads: threads that read and decode.
    """

    def __init__(self, preprocessing: Preprocessing, threads: int) -> None:
        self._preprocessing, self._threads = preprocessing, threads

    def __call__(self, files: ImageFiles, batch_size: int) -> Iterator[Tensor | ImageRejected]:
        """See :class:`PixelLoader`."""

        def reader(index: int, image: Image.Image) -> Pixels:
            return self._preprocessing.pixels(image, files.box(index))

        decoded = load(
            files.paths,
            reader,
            needed=self._preprocessing.needed,
            ahead=2 * batch_size,
            root=files.root,
            digests=files.digests,
            threads=self._threads,
        )
        for image in decoded:
            yield image if isinstance(image, ImageRejected) else torch.from_numpy(image)


class DeviceLoader:
    """Pixels on a device, which decodes and scales a batch ahead of the network.

    Args:
        preprocessing: how images are scaled and cropped.
        threads: threads that read.
        device: where.
    """

    def __init__(self, preprocessing: Preprocessing, threads: int, device: torch.device) -> None:
        self._decoder, self._threads = DeviceDecoder(preprocessing, device), threads

    def __call__(self, files: ImageFiles, batch_size: int) -> Iterator[Tensor | ImageRejected]:
        """See :class:`PixelLoader`."""
        inspected = files.digests is not None

        def prepare(index: int, data: bytes) -> Prepared:
            return self._decoder.prepare(data, str(files.paths[index]), inspected=inspected, part=files.box(index))

        loaded = load_files(
            files.paths, prepare, ahead=batch_size, root=files.root, digests=files.digests, threads=self._threads
        )
        with closing(loaded) as read, ThreadPoolExecutor(1, thread_name_prefix="device-decode") as pool:
            following = pool.submit(self._decoded, list(islice(read, batch_size)))
            for start in range(0, len(files), batch_size):
                batch = following.result()
                if start + batch_size < len(files):
                    following = pool.submit(self._decoded, list(islice(read, batch_size)))
                yield from batch

    def _decoded(self, files: Iterable[Prepared | ImageRejected]) -> list[Tensor | ImageRejected]:
        """The pixels of each file of a batch, in order; those that were refused before stay refused."""
        batch = list(files)
        pixels = iter(self._decoder([file for file in batch if isinstance(file, Prepared)]))
        return [next(pixels) if isinstance(file, Prepared) else file for file in batch]
