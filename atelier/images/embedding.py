"""Encoding of photographs as vectors by a backbone.

What belongs here: devices, precision, batches. What does not: networks (:mod:`atelier.images.backbones`), the pixels of
files, on a processor or a device (:mod:`atelier.images.pixel_loaders`), storage of vectors.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.arrays import Float64s
from atelier.devices import Precision as ProductPrecision
from atelier.devices import autocast, choose_device, copied, has_bfloat16
from atelier.errors import AtelierError
from atelier.images import small
from atelier.images.backbones import Backbone, Pool, build_backbone
from atelier.images.decode import ImageRejected
from atelier.images.device_decoding import lacks_memory
from atelier.images.loading import DECODE_THREADS
from atelier.images.pixel_loaders import DeviceLoader, HostLoader, ImageFiles, PixelLoader
from atelier.images.preprocessing import Preprocessing
from atelier.progress import progress

Precision = Literal["auto", "float32", "bf16"]
Decoding = Literal["auto", "host", "device"]
Vectors = npt.NDArray[np.float32]

BATCH_SIZE = 32
DEVICE_BATCH_SIZE = 256
"""Images computed at a time on any other device than a processor, which has more to do at once."""
_VERSION = 1  # raised when something else changes the vectors, such as how far a JPEG is reduced


@dataclass(frozen=True)
class EncodedImages:
    """The vectors of a list of image files, and the errors of those that could not be used.

    Attributes:
        vectors: float32 [usable images, dimension], in the order of the list.
        ok: bool [images], whether each could be used.
        errors: why the others could not, in the order of the list.
    """

    vectors: Vectors
    ok: npt.NDArray[np.bool_]
    errors: list[ImageRejected]


class Normalised:
    """A network on a device that takes decoded pixels; it is deterministic and computes no gradients.

    Args:
        module: normalised pixels → anything.
        preprocessing: the preprocessing that belongs to its weights.
        device: where it computes.
        precision: of matrix products.
        compiled: whether ``torch.compile`` makes one program of normalisation and network, for batches of one size. It
            needs a C compiler, takes a minute, and changes last bits.
    """

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing,
        device: torch.device,
        precision: ProductPrecision,
        *,
        compiled: bool = False,
    ) -> None:
        self._module = module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._precision = device, precision
        statistics = torch.tensor([preprocessing.mean, preprocessing.std], device=device)
        self._mean, self._std = statistics[:, None, :, None, None]  # each [1, 3, 1, 1]
        self._output = torch.compile(self._normalised_output, dynamic=False) if compiled else self._normalised_output

    def __call__(self, pixels: Tensor) -> Tensor:
        """The network's output on pixels, uint8 [n, 3, crop, crop], in main memory or on the device."""
        with (
            torch.inference_mode(),
            autocast(self._precision, self._device),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            there = copied(pixels, self._device) if pixels.device.type == "cpu" else pixels.to(self._device)
            return self._output(there)

    def _normalised_output(self, pixels: Tensor) -> Tensor:
        images = pixels.float().div_(255).sub_(self._mean).div_(self._std)
        found: Tensor = self._module(images.contiguous(memory_format=torch.channels_last))
        return found


class Encoder:
    """A backbone on a device, which encodes any number of images.

    Every batch has the same size, filled up with black images, so that an image's vector does not depend on the other
    images of its batch. Its last bits depend on ``batch_size`` (libraries choose other algorithms) and on the device.
    The precision changes it a little more, and so does where photographs are decoded and scaled; both are therefore
    part of ``encoder_id``.

    Attributes:
        backbone: the network.
        preprocessing: how images are scaled and normalised.
        device: where it computes.
        precision: ``float32`` or ``bf16`` (bfloat16 with float32 weights and channels last).
        decoding: ``host``: by Pillow in threads; ``device``: where the network computes (see
            :mod:`atelier.images.device_decoding`).
        compiled: see :class:`Normalised`.
        threads: threads that read and decode, on which no vector depends.
        encoder_id: identifies the vectors: backbone and a digest of weights, preprocessing, pooling, precision and
            decoding.
    """

    def __init__(
        self,
        backbone: Backbone,
        device: str | torch.device = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
        threads: int = DECODE_THREADS,
        decoding: Decoding = "auto",
        *,
        compiled: bool = False,
    ) -> None:
        self.device = choose_device(device)
        size = batch_size or (BATCH_SIZE if self.device.type == "cpu" else DEVICE_BATCH_SIZE)
        if batch_size == 0 or size < 1 or threads < 1:
            raise ValueError(f"batch_size and threads must be at least 1, not {batch_size} and {threads}")
        self.backbone = backbone
        self.preprocessing = backbone.preprocessing
        self.precision = _precision(precision, self.device, backbone.name)
        self.decoding = _decoding(decoding, self.device)
        self.compiled = compiled
        self.threads = threads
        self.encoder_id = _encoder_id(backbone, self.preprocessing, self.precision, self.decoding)
        self._batch_size = size
        products: ProductPrecision = "bfloat16" if self.precision == "bf16" else "float32"
        self._module = Normalised(backbone.module, self.preprocessing, self.device, products, compiled=compiled)
        self._pixels: PixelLoader = (
            HostLoader(self.preprocessing, threads)
            if self.decoding == "host"
            else DeviceLoader(self.preprocessing, threads, self.device)
        )

    @classmethod
    def build(
        cls,
        backbone: str = "vgg16",
        weights: str | Path | None = "DEFAULT",
        preprocessing: Preprocessing | None = None,
        *,
        seed: int = 0,
        pool: Pool | None = None,
        device: str | torch.device = "auto",
        precision: Precision = "auto",
        batch_size: int | None = None,
        threads: int = DECODE_THREADS,
        decoding: Decoding = "auto",
        compiled: bool = False,
    ) -> "Encoder":
        """Build backbone and encoder.

        Args:
            backbone: any of torchvision's classifiers by name, ``small`` or ``compact``.
            weights: ``DEFAULT``, a .safetensors path, or None (see :func:`~atelier.images.backbones.build_backbone`).
            preprocessing: None: the one that belongs to the weights.
            seed: of random weights.
            pool: ``max`` or ``avg``; None: as published for the backbone.
            device: ``auto`` (CUDA where there is one), ``cpu`` or ``cuda``.
            precision: ``auto`` is bf16 where the device computes it natively, else float32.
            batch_size: images computed at a time; halved when memory runs out. None: 32 on a processor, else 256.
            threads: threads that read and decode.
            decoding: ``auto`` is ``device`` on CUDA, else ``host``.
            compiled: see :class:`Normalised`.

        Raises:
            WeightsError: unknown backbone, or weights that cannot be loaded or do not fit.
            AtelierError: ``device`` is ``cuda`` and there is none.
        """
        built = build_backbone(backbone, weights, pool, seed, preprocessing)
        return cls(built, device, precision, batch_size, threads, decoding, compiled=compiled)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.backbone.dimension

    @property
    def batch_size(self) -> int:
        """Images computed at a time; halved from the given number whenever memory has run out."""
        return self._batch_size

    def encode(
        self,
        paths: Sequence[str | Path],
        root: str | Path | None = None,
        digests: Sequence[str] | None = None,
        description: str = "embedding images",
        boxes: Float64s | None = None,
    ) -> EncodedImages:
        """Vectors of image files. Files are decoded in threads while the network computes.

        Args:
            paths: the files, relative to ``root`` where it is given.
            root: the folder that must hold them all; None: any folder.
            digests: the SHA-256 that each file is expected to have. A file that has changed since is rejected, so that
                no vector is stored under the digest of another image.
            description: the label of the progress bar.
            boxes: float64 [paths, 4]: the part of each image's view to encode: left, top, width and height as shares of
                it (:mod:`atelier.images.regions`). None: the whole.

        Returns:
            The vectors and what went wrong. An unreadable image is an entry in ``errors``, never an exception.

        Raises:
            AtelierError: not even a single image fits into memory.
        """
        files, size = ImageFiles(paths, root, digests, boxes), self._batch_size
        ok = np.zeros(len(paths), bool)
        errors: list[ImageRejected] = []
        vectors = [np.empty((0, self.dimension), np.float32)]
        images = progress(self._pixels(files, size), description, total=len(paths), unit="image")
        for start in range(0, len(paths), size):
            batch = list(islice(images, size))
            errors += [image for image in batch if isinstance(image, ImageRejected)]
            pixels = [image for image in batch if not isinstance(image, ImageRejected)]
            ok[start : start + len(batch)] = [not isinstance(image, ImageRejected) for image in batch]
            if pixels:
                vectors.append(self._vectors(torch.stack(pixels)))
        next(images, None)  # ends the generator, so that the progress bar and the threads finish
        return EncodedImages(np.concatenate(vectors), ok, errors)

    def output(self, pixels: Tensor) -> Tensor:
        """The vectors of pixels, uint8 [n, 3, crop, crop], [n, dimension] on the device, as the precision has them."""
        return self._module(pixels)

    def _vectors(self, pixels: Tensor) -> Vectors:
        """float32 [n, dimension] of uint8 [n, 3, crop, crop]; halves the batch until it fits into memory."""
        while True:
            size = self._batch_size
            try:
                chunks = [self._forward(pixels[start : start + size]) for start in range(0, len(pixels), size)]
                return np.concatenate(chunks)
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                if size == 1:
                    raise AtelierError(
                        f"memory on {self.device} does not suffice for one image of {self.preprocessing.crop} pixels "
                        f"in {self.backbone.name}; take a smaller backbone or another device"
                    ) from error
            self._batch_size = size // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _forward(self, pixels: Tensor) -> Vectors:
        """float32 [n, dimension] of n ≤ ``batch_size`` images, computed as a full batch."""
        full = pixels.new_zeros((self._batch_size, *pixels.shape[1:]))
        full[: len(pixels)] = pixels
        return self._module(full)[: len(pixels)].float().cpu().numpy()


def embed_images(
    paths: Sequence[str | Path],
    backbone: str = "vgg16",
    weights: str | Path | None = "DEFAULT",
    *,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
    pool: Pool | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    threads: int = DECODE_THREADS,
) -> Vectors:
    """Vectors of image files; the arguments are among those of :meth:`Encoder.build`.

    Returns:
        float32 [len(paths), dimension], row by row as ``paths``.

    Raises:
        ImageRejected: an image cannot be used; the message names it, its reason and how many others there are. To go
            on without such images, use :class:`Encoder`.
        WeightsError: unknown backbone, or weights that cannot be had or do not fit.
    """
    encoder = Encoder.build(
        backbone,
        weights,
        preprocessing,
        seed=seed,
        pool=pool,
        device=device,
        precision=precision,
        batch_size=batch_size,
        threads=threads,
    )
    encoded = encoder.encode(paths)
    if encoded.errors:
        first, others = encoded.errors[0], len(encoded.errors) - 1
        raise ImageRejected(first.path, f"{first.reason} (and {others} other images)" if others else first.reason)
    return encoded.vectors


def _precision(precision: Precision, device: torch.device, backbone: str) -> Literal["float32", "bf16"]:
    """Resolve ``auto``: bf16 where the device has instructions for it and the network is large enough to gain."""
    if precision not in ("auto", "float32", "bf16"):
        raise ValueError(f"precision must be auto, float32 or bf16, not {precision!r}")
    if precision != "auto":
        return precision
    if backbone == small.NAME:  # bf16 would blur its fine histograms, and it is fast enough
        return "float32"
    return "bf16" if has_bfloat16(device) else "float32"


def _decoding(decoding: Decoding, device: torch.device) -> Literal["host", "device"]:
    """Resolve ``auto``: on CUDA, where the network would wait for Pillow, on the device; else on the host."""
    if decoding not in ("auto", "host", "device"):
        raise ValueError(f"decoding must be auto, host or device, not {decoding!r}")
    if decoding != "auto":
        return decoding
    return "device" if device.type == "cuda" else "host"


def _encoder_id(backbone: Backbone, preprocessing: Preprocessing, precision: str, decoding: str) -> str:
    """The backbone's name and twelve hexadecimal digits of a digest of everything else that changes the vectors."""
    parts = [backbone.weights_digest, preprocessing.model_dump(mode="json"), backbone.pool, precision, _VERSION]
    parts += [] if decoding == "host" else [decoding]  # the ids of most homes are older than the choice
    return f"{backbone.name}-{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]}"
