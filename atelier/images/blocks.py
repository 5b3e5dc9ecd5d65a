"""Encoding of a list of photographs in blocks, which may be encoded one after another or on many machines.

What belongs here: what is handed to whoever encodes a block, and what comes back. What does not: encoding
(:mod:`atelier.images.embedding`), who encodes which block.

A block is a whole number of the encoder's batches, and every batch is filled up to the same size, so that a vector
depends neither on the block nor on the machine, where the machines are of one kind.
"""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from atelier.errors import AtelierError
from atelier.images.decode import ImageRejected
from atelier.images.embedding import EncodedImages, Encoder

#: Batches of a block: enough that handing it out costs nothing beside the network, few enough to lose without regret.
BATCHES = 8
PHOTOGRAPHS = pa.schema({"path": pa.string(), "digest": pa.string()})


class BlockEncoder:
    """Encodes blocks of photographs as the encoder does from which its arguments are.

    Args:
        backbone: with its weights: the machine that encodes needs no file of them.
        device: where it computes.
        precision: the encoder's, resolved.
        batch_size: the encoder's.
        decoding: the encoder's, resolved.
        compiled: the encoder's.
        threads: the encoder's: threads that read and decode.
        root: the folder that holds the photographs, under the same name on every machine.
        encoder_id: the encoder's.

    Raises:
        AtelierError: what is made of these arguments here is another encoder.
    """

    def __init__(
        self,
        backbone: Any,
        device: str,
        precision: Any,
        batch_size: int,
        decoding: Any,
        compiled: bool,
        threads: int,
        root: str | Path,
        encoder_id: str,
    ) -> None:
        self._encoder = Encoder(backbone, device, precision, batch_size, threads, decoding, compiled=compiled)
        self._root = root
        if self._encoder.encoder_id != encoder_id:
            raise AtelierError(
                f"this machine makes the encoder {self._encoder.encoder_id} of the weights of {encoder_id}: install "
                "the same version of Atelier on all machines"
            )

    def __call__(self, block: pa.RecordBatch) -> list[pa.RecordBatch]:
        """One batch: of each photograph ``reason`` (null where it could be used) and ``embedding`` (0 where not)."""
        paths, digests = block["path"].to_pylist(), block["digest"].to_pylist()
        encoded = self._encoder.encode(paths, self._root, digests)
        vectors = np.zeros((len(paths), self._encoder.dimension), np.float32)
        vectors[encoded.ok] = encoded.vectors
        reasons = iter(error.reason for error in encoded.errors)
        told = [None if ok else next(reasons) for ok in encoded.ok]
        embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        return [pa.record_batch({"reason": pa.array(told, pa.string()), "embedding": embedding})]


def arguments(encoder: Encoder, root: str | Path) -> dict[str, Any]:
    """The arguments of a :class:`BlockEncoder` that encodes as ``encoder`` does, on any machine."""
    backbone = encoder.backbone
    if encoder.device.type != "cpu":  # weights on a card cannot be sent
        backbone = copy.deepcopy(backbone)
        backbone.module.cpu()
    return {
        "backbone": backbone,
        "device": encoder.device.type,
        "precision": encoder.precision,
        "batch_size": encoder.batch_size,
        "decoding": encoder.decoding,
        "compiled": encoder.compiled,
        "threads": encoder.threads,
        "root": str(root),
        "encoder_id": encoder.encoder_id,
    }


def blocks_of(paths: Sequence[str], digests: Sequence[str], batch_size: int) -> list[pa.RecordBatch]:
    """A list of photographs as blocks, in order.

    Args:
        paths: relative to the root.
        digests: of each.
        batch_size: the encoder's.
    """
    whole = pa.record_batch([pa.array(paths, pa.string()), pa.array(digests, pa.string())], schema=PHOTOGRAPHS)
    return [whole.slice(start, BATCHES * batch_size) for start in range(0, len(paths), BATCHES * batch_size)]


def joined(paths: Sequence[str], made: Iterable[pa.RecordBatch]) -> EncodedImages:
    """What :meth:`Encoder.encode` gives of ``paths``, from what was made of their blocks, in order."""
    table = pa.Table.from_batches(made)
    reasons = table["reason"].to_pylist()
    ok = np.array([reason is None for reason in reasons], bool)
    embedding = table["embedding"].combine_chunks()
    vectors = embedding.flatten().to_numpy().reshape(len(table), -1)
    errors = [ImageRejected(path, reason) for path, reason in zip(paths, reasons, strict=True) if reason is not None]
    return EncodedImages(vectors[ok], ok, errors)
