"""The vectors of photographs, computed by this process or by workers of a cluster.

What belongs here: sharing a list of photographs out, and putting together what comes back. What does not: what is made
of a block (:mod:`atelier.images.blocks`), the cluster (:mod:`resources.cluster`), which photographs are encoded and
where vectors are kept (:mod:`assets.images`).

Workers are sent paths, not photographs: a machine reads what it encodes from the folder that all of them see. Sent
through one process they would have to pass its disk and its network, which a few workers fill.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from resources.compute import Compute

if TYPE_CHECKING:
    from atelier.images.embedding import EncodedImages, Encoder


def encoded_chunks(
    encoder: "Encoder", root: Path, paths: Sequence[str], digests: Sequence[str], size: int, compute: Compute
) -> "Iterator[EncodedImages]":
    """Vectors of photographs, in order, for so many of them at a time as they become ready.

    Args:
        encoder: what computes them; workers get its weights from here.
        root: the folder of the photographs, under the same name on every machine.
        paths: relative to it.
        digests: of each.
        size: photographs of a chunk.
        compute: where they are computed.

    Raises:
        AtelierError: not even a single image fits into memory.
        ClusterError: they cannot be shared out on the cluster.
    """
    if compute.executor == "local":
        for start in range(0, len(paths), size):
            yield encoder.encode(paths[start : start + size], root, digests[start : start + size])
    else:
        yield from _on_cluster(encoder, root, paths, digests, size, compute)


def _on_cluster(
    encoder: "Encoder", root: Path, paths: Sequence[str], digests: Sequence[str], size: int, compute: Compute
) -> "Iterator[EncodedImages]":
    """As :func:`encoded_chunks`; a chunk is a whole number of blocks but for the last one."""
    from atelier.images import blocks
    from atelier.progress import progress
    from resources.cluster import over_blocks

    starts = range(0, len(paths), size)
    shares = [
        blocks.blocks_of(paths[start : start + size], digests[start : start + size], encoder.batch_size)
        for start in starts
    ]
    everything = [block for share in shares for block in share]
    made = over_blocks(compute, blocks.BlockEncoder, blocks.arguments(encoder, root), everything)
    shown = progress(made, "embedding images", total=len(everything), unit="block")
    for start, share in zip(starts, shares, strict=True):
        yield blocks.joined(
            paths[start : start + size], (batch for each in islice(shown, len(share)) for batch in each)
        )
    next(shown, None)  # ends the generator, so that the connection is closed and the progress bar finishes
