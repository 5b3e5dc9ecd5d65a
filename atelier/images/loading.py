"""Loads image files as pixels, in threads, while a network computes.

What belongs here: reading, checking and decoding image files in advance. What does not: how an image becomes a
network's input (:mod:`atelier.images.preprocessing`, :mod:`atelier.images.augmentation`), decoding on a device
(:mod:`atelier.images.device_decoding`).
"""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from atelier.images.decode import ImageRejected, decode, read

Pixels = npt.NDArray[np.uint8]
Reader = Callable[[int, Image.Image], Pixels]
Loaded = TypeVar("Loaded")

DECODE_THREADS = 2


def load(
    paths: Sequence[str | Path],
    reader: Reader,
    *,
    needed: int,
    ahead: int,
    root: str | Path | None = None,
    digests: Sequence[str] | None = None,
    threads: int = DECODE_THREADS,
) -> Iterator[Pixels | ImageRejected]:
    """The pixels of each image, or the reason why it cannot be used, in order.

    Args:
        paths: the files, relative to ``root`` where it is given.
        reader: makes pixels of an image, given its index in ``paths``.
        needed: pixels that decoding should leave on the shorter side.
        ahead: how many files are decoded in advance.
        root: the folder that must hold them all; None: any folder.
        digests: the SHA-256 that each file is expected to have; one that has changed since is rejected.
        threads: threads that read and decode.
    """

    def pixels(index: int, data: bytes) -> Pixels:
        return reader(index, decode(data, str(paths[index]), needed))

    return load_files(paths, pixels, ahead=ahead, root=root, digests=digests, threads=threads)


def load_files(
    paths: Sequence[str | Path],
    prepare: Callable[[int, bytes], Loaded],
    *,
    ahead: int,
    root: str | Path | None = None,
    digests: Sequence[str] | None = None,
    threads: int = DECODE_THREADS,
) -> Generator[Loaded | ImageRejected, None, None]:
    """What is made of the bytes of each file, or the reason why it cannot be used, in order.

    Args:
        paths: the files, relative to ``root`` where it is given.
        prepare: is given a file's index in ``paths`` and its bytes, in one of the threads; may raise ``ImageRejected``.
        ahead: how many files are prepared in advance.
        root: the folder that must hold them all; None: any folder.
        digests: the SHA-256 that each file is expected to have; one that has changed since is rejected.
        threads: threads that read and prepare.
    """
    folder = None if root is None else Path(root).resolve()

    def loaded(index: int) -> Loaded | ImageRejected:
        path = paths[index]
        try:
            data = read(path, folder)
            if digests is not None and hashlib.sha256(data).hexdigest() != digests[index]:
                return ImageRejected(str(path), "the file has changed since it was listed; ingest that day again")
            return prepare(index, data)
        except ImageRejected as rejected:
            return rejected

    waiting: deque[Future[Loaded | ImageRejected]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for index in range(len(paths)):
                waiting.append(pool.submit(loaded, index))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
