"""The embedding cache: a vector per image and encoder, computed once, shared by all days.

What belongs here: appending vectors, finding which are missing, reading those asked for. What does not: computing
them (:mod:`atelier.images`), which of them a day needs (the table ``image_embeddings``).

Vectors lie in ``<root>/embedding_cache/<encoder_id>/<sha256>.parquet`` (digest, embedding), sorted by digest. Files
are only ever added, so readers need no lock. A digest that is there keeps its vector for ever.

A file whose bytes are no longer those that its name says counts as absent: its photographs have no vector, and are
encoded again by the next run that needs them. :meth:`EmbeddingCache.mend` removes it.

On object storage a file is copied to this machine when it is first read.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from atelier.errors import AtelierError
from resources.integrity import Recorded
from resources.staging import digest_of
from resources.storage import Root, open_storage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from resources.storage import Storage

    Vectors: TypeAlias = NDArray[np.float32]

FOLDER = "embedding_cache"
ENCODER_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
ROW_GROUP = 1_024  # of 2,048 floats are 8 MB: what a reader holds beside its result
NAMED = 3
ENCODE = "dg launch --job daily_retrain --partition DAY"


class MissingEmbeddingError(AtelierError):
    """Vectors are asked for that were never computed; the message names the first few."""


class EmbeddingCache:
    """The vectors of every encoder under one root.

    Args:
        root: the feature store's.
    """

    def __init__(self, root: Root) -> None:
        self._storage = open_storage(root)

    def missing(self, digests: Sequence[str], encoder_id: str) -> list[str]:
        """The digests that have no vector yet, each once, in the order given."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pc.unique(pa.array(digests, pa.string()))
        for file in self._files(encoder_id):
            known = file.read(columns=["digest"])["digest"]
            wanted = wanted.filter(pc.invert(pc.is_in(wanted, value_set=known)))
        found: list[str] = wanted.to_pylist()
        return found

    def digests(self, encoder_id: str) -> "pa.Array":
        """The digests that have a vector; some may come twice."""
        import pyarrow as pa

        found = [file.read(columns=["digest"])["digest"].combine_chunks() for file in self._files(encoder_id)]
        return pa.concat_arrays(found) if found else pa.array([], pa.string())

    def dimension(self, encoder_id: str) -> int | None:
        """The length of the encoder's vectors; None while there is none."""
        for file in self._files(encoder_id):
            return int(file.schema_arrow.field("embedding").type.list_size)
        return None

    def append(self, encoder_id: str, digests: Sequence[str], vectors: "Vectors") -> int:
        """Add vectors; digests that have one already keep it.

        Append in blocks of some thousands while computing: what was appended survives a killed run.

        Args:
            encoder_id: what computed them.
            digests: SHA-256 of the image files; the same digest twice must come with the same vector.
            vectors: float32 ``[len(digests), dimension]``, finite.

        Returns:
            How many were new.

        Raises:
            ValueError: shapes, types or dimension do not fit, a value is not finite, or a digest has two vectors.
        """
        return self.writer(encoder_id, digests).append(digests, vectors)

    def writer(self, encoder_id: str, digests: Iterable[str]) -> "Writer":
        """Appends vectors of ``digests``, block after block, and reads each file's digests once for all of them."""
        return Writer(self, self._storage, encoder_id, digests)

    def read(self, digests: Sequence[str], encoder_id: str) -> "Vectors":
        """The vectors of ``digests``: float32 ``[len(digests), dimension]``, aligned with them; repeats are allowed.

        Beside the result only one row group and the digests are in memory.

        Raises:
            MissingEmbeddingError: some were never computed.
        """
        import numpy as np
        import pyarrow as pa

        if not len(digests):
            return np.zeros((0, self.dimension(encoder_id) or 0), np.float32)
        encoded = pa.array(digests, pa.string()).dictionary_encode()
        codes = encoded.indices.to_numpy()
        # the position where each distinct digest first stands: filled from the files; repeats are copied afterwards
        first = np.unique(codes, return_index=True)[1]
        out = np.empty((len(digests), self.dimension(encoder_id) or 0), np.float32)
        for places, vectors in self.parts(encoded.dictionary.to_pylist(), encoder_id):
            out[first[places]] = vectors
        repeats = np.flatnonzero(first[codes] != np.arange(len(codes)))
        out[repeats] = out[first[codes[repeats]]]
        return out

    def parts(self, digests: Sequence[str], encoder_id: str) -> "Iterator[tuple[NDArray[np.intp], Vectors]]":
        """The vectors of ``digests`` as the files have them, at most a row group at a time, each file read once.

        Args:
            digests: distinct.
            encoder_id: the encoder.

        Yields:
            Positions in ``digests``, each of which comes once, and their vectors, float32 ``[positions, dimension]``.

        Raises:
            MissingEmbeddingError: some were never computed; raised after the others were yielded.
        """
        left = {digest: place for place, digest in enumerate(digests)}
        for file in self._files(encoder_id) if left else ():
            yield from _found(left, file)
        if left:
            absent = list(left)
            raise MissingEmbeddingError(
                f"{len(absent)} images have no vector of encoder {encoder_id}, the first: {', '.join(absent[:NAMED])}"
                f"{self._told(encoder_id)}; encode them for the day whose images they are with: {ENCODE}"
            )

    def encoders(self) -> list[str]:
        """The encoders that have vectors."""
        return self._storage.folders(FOLDER)

    def files(self, encoder_id: str) -> list[str]:
        """The encoder's files, sound or not, relative to the root."""
        return self._storage.glob(f"{self.folder(encoder_id)}/*.parquet")

    def damaged(self, encoder_id: str) -> list[str]:
        """The encoder's files whose bytes are not those that were written, relative to the root."""
        return [name for name in self.files(encoder_id) if self._storage.fetch(name, _recorded(name))]

    def mend(self, encoder_id: str) -> list[str]:
        """Remove the files whose bytes are not those that were written, so that their vectors are computed anew.

        Returns:
            What was removed, relative to the root.
        """
        with self._storage.lock(f"embedding_cache-{encoder_id}"):
            return self.remove_damaged(encoder_id)

    def remove_damaged(self, encoder_id: str) -> list[str]:
        """As :meth:`mend`, for whoever holds the lock."""
        damaged = self.damaged(encoder_id)
        for name in damaged:
            where = self._storage.location(name)
            warnings.warn(f"{where} is damaged and was removed; its vectors are computed anew", stacklevel=3)
            self._storage.remove(name)
        return damaged

    def _told(self, encoder_id: str) -> str:
        """A clause that names the encoder's damaged files; empty where there is none."""
        damaged = [self._storage.location(name) for name in self.damaged(encoder_id)]
        return f" (damaged: {', '.join(damaged[:NAMED])})" if damaged else ""

    def check(self, encoder_id: str, digests: Sequence[str], vectors: "Vectors") -> None:
        """Raise ``ValueError`` for vectors that :meth:`append` does not take."""
        import numpy as np

        if vectors.ndim != 2 or len(vectors) != len(digests) or vectors.dtype != np.float32 or not vectors.shape[1]:
            shape = f"{vectors.dtype} {list(vectors.shape)}"
            raise ValueError(f"encoder {encoder_id}: vectors are {shape}, not float32 [{len(digests)}, dimension]")
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            named = ", ".join(digests[i] for i in bad[:NAMED])
            raise ValueError(f"encoder {encoder_id}: {len(bad)} vectors are not finite, the first of {named}")
        known = self.dimension(encoder_id)
        if known not in (None, vectors.shape[1]):
            raise ValueError(f"encoder {encoder_id} has vectors of {known} numbers, not {vectors.shape[1]}")

    def folder(self, encoder_id: str) -> str:
        """Where the encoder's files lie, relative to the root."""
        if not ENCODER_ID.fullmatch(encoder_id):
            raise ValueError(f"encoder id {encoder_id!r} may hold only letters, digits, '-', '_' and '.'")
        return f"{FOLDER}/{encoder_id}"

    def _files(self, encoder_id: str) -> Iterator[Any]:
        """The encoder's files that are sound, opened."""
        return (file for _, file in self.opened(self.files(encoder_id)))

    def opened(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Those of the named files that are sound, opened, each with its name."""
        import pyarrow.parquet as pq

        for name in names:
            if self._storage.fetch(name, _recorded(name)) is None:
                with pq.ParquetFile(self._storage.local_path(name)) as file:
                    yield name, file


class Writer:
    """Appends blocks of one encoder's vectors, as :meth:`EmbeddingCache.append` does each.

    What it has read of a file it does not read again: a file never changes, and to read all files for each of thousands
    of blocks would take longer than the vectors. Files that others add meanwhile are read when they appear.

    Args:
        cache: where they go.
        storage: the cache's.
        encoder_id: what computed the vectors.
        digests: those that may be appended; of the others that the files have none is kept in memory.
    """

    def __init__(self, cache: EmbeddingCache, storage: "Storage", encoder_id: str, digests: Iterable[str]) -> None:
        self._cache, self._storage, self._encoder_id = cache, storage, encoder_id
        self._wanted = frozenset(digests)
        self._seen: set[str] = set()
        self._present: set[str] = set()

    def append(self, digests: Sequence[str], vectors: "Vectors") -> int:
        """As :meth:`EmbeddingCache.append`.

        Raises:
            ValueError: as there, or a digest is none of those that the writer is for.
        """
        import numpy as np

        if strange := set(digests) - self._wanted:
            raise ValueError(f"encoder {self._encoder_id}: the writer is not for {', '.join(sorted(strange)[:NAMED])}")
        self._cache.check(self._encoder_id, digests, vectors)
        names, first, inverse = np.unique(np.asarray(digests, dtype=str), return_index=True, return_inverse=True)
        repeated = first[inverse] != np.arange(len(digests))
        if not np.array_equal(vectors[repeated], vectors[first[inverse][repeated]]):
            raise ValueError(f"encoder {self._encoder_id}: a digest comes twice with different vectors")
        with self._storage.lock(f"embedding_cache-{self._encoder_id}"), self._storage.staging() as folder:
            self._cache.remove_damaged(self._encoder_id)
            self._look()
            new = np.array([name not in self._present for name in names.tolist()], bool)
            if new.any():
                path = folder / "vectors.parquet"
                _write(path, names[new], vectors[first[new]])
                version = digest_of(path)
                target = f"{self._cache.folder(self._encoder_id)}/{version}.parquet"
                self._storage.put(path, target, version)
                self._note(target, names[new].tolist())
        return int(new.sum())

    def _look(self) -> None:
        """Read the digests of files that have appeared; of all again where one is gone, which had been damaged."""
        files = self._cache.files(self._encoder_id)
        if not self._seen.issubset(files):
            self._seen, self._present = set(), set()
        for name, file in self._cache.opened(name for name in files if name not in self._seen):
            self._note(name, file.read(columns=["digest"])["digest"].to_pylist())

    def _note(self, name: str, digests: Iterable[str]) -> None:
        self._seen.add(name)
        self._present |= self._wanted.intersection(digests)


def _recorded(name: str) -> Recorded:
    """What a file's own name records of it."""
    return Recorded(name.rpartition("/")[2].removesuffix(".parquet"))


def _write(path: "Path", digests: "NDArray[np.str_]", vectors: "Vectors") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
    table = pa.table({"digest": pa.array(digests.tolist(), pa.string()), "embedding": embedding})
    # floats do not repeat: a dictionary of them would only cost time
    pq.write_table(table, path, row_group_size=ROW_GROUP, compression="zstd", use_dictionary=False)


def _found(left: dict[str, int], file: Any) -> "Iterator[tuple[NDArray[np.intp], Vectors]]":
    """What ``file`` has of the digests in ``left``, by their positions; takes them out of it, reads few row groups."""
    import numpy as np

    for group in range(file.num_row_groups):
        if not left:
            return
        digests = file.read_row_group(group, columns=["digest"], use_threads=False)["digest"].to_pylist()
        rows = {left.pop(digest): row for row, digest in enumerate(digests) if digest in left}
        if not rows:
            continue
        column = file.read_row_group(group, columns=["embedding"], use_threads=False)["embedding"].combine_chunks()
        vectors = column.flatten().to_numpy().reshape(len(column), -1)
        yield np.array(list(rows), np.intp), vectors[list(rows.values())]
