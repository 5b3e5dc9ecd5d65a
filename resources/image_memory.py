"""What is already known of image files, so that a file is read and digested once and not every night.

What belongs here: the file ``image_memory.parquet`` beside the store and its use over a range of days. What does not:
looking at a file (:mod:`atelier.images.manifest`), vectors (:mod:`resources.embedding_cache`).
"""

import warnings
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from atelier.errors import DamagedFile
from resources.staging import digest_of
from resources.storage import Root, Storage, open_storage

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FILE = "image_memory.parquet"
LISTED = ["article_id", "shot", "path"]


class ImageMemory:
    """Manifests of listings, remembering every file seen before by its size and time of modification.

    Use it as a context manager: what was learned is kept when the block ends, also by an error. It only saves work:
    deleting the file changes no result.

    Attributes:
        files_read: files that were new or had changed.
    """

    def __init__(self, root: Root) -> None:
        self._storage = open_storage(root)
        self._known: pd.DataFrame | None = None
        self._last: tuple[pa.Table, tuple[pa.Table, pa.Table]] | None = None
        self.files_read = 0

    def __enter__(self) -> Self:
        """Read what earlier runs learned; from a damaged file, with a warning, nothing."""
        if self._storage.exists(FILE):
            try:
                self._known = read_memory(self._storage)
            except DamagedFile as error:
                warnings.warn(str(error), stacklevel=2)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Keep what this run learned; the last of two runs at the same time wins, which costs work but no result."""
        if self._known is None:
            return
        with self._storage.staging() as folder:
            staged = folder / FILE
            self._known.to_parquet(staged, index=False, write_page_checksum=True)
            self._storage.put(staged, FILE, digest_of(staged))

    def inspect(self, listing: "pa.Table", root: Path) -> "tuple[pa.Table, pa.Table]":
        """The manifest of ``listing``, and its rejected rows as the table ``rejected`` has them.

        A rejected row names the photograph, relative to the source's folder, and as ``row`` its number in ``listing``,
        from 1: the same file may be listed several times.

        Raises:
            SourceError: the folder of images is not there.
        """
        # Most days list what the day before listed: their files are not even looked at again.
        if self._last is None or not self._last[0].equals(listing):
            self._last = (listing, self._inspected(listing, root))
        return self._last[1]

    def _inspected(self, listing: "pa.Table", root: Path) -> "tuple[pa.Table, pa.Table]":
        import pandas as pd
        import pyarrow as pa

        from atelier.images.manifest import build_manifest

        manifest = build_manifest(listing.select(LISTED).to_pandas(), root, self._known)
        known = pd.concat([manifest.known] if self._known is None else [self._known, manifest.known])
        self._known = known.drop_duplicates("path", keep="last").sort_values("path", ignore_index=True)
        self.files_read += manifest.files_read
        accepted = pa.Table.from_pandas(manifest.accepted, preserve_index=False)
        return accepted, _as_rejected(manifest.rejected, listing, root.name)


def read_memory(storage: Storage) -> "pd.DataFrame":
    """What earlier runs learned.

    Args:
        storage: the store's.

    Raises:
        DamagedFile: the file cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    from atelier.images.manifest import KNOWN

    try:
        return pd.read_parquet(storage.parquet(FILE), page_checksum_verification=True)[KNOWN]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DamagedFile(
            f"{storage.location(FILE)} is damaged ({error}); every photograph is looked at again"
        ) from error


def _as_rejected(refused: "pd.DataFrame", listing: "pa.Table", folder: str) -> "pa.Table":
    import pyarrow as pa

    from atelier.sources.landed import REJECTED_SCHEMA

    if refused.empty:
        return REJECTED_SCHEMA.empty_table()
    files, records = folder + "/" + refused["path"], refused[LISTED].to_json(orient="records", lines=True).splitlines()
    frame = refused.assign(source_table="images", source_file=files, column_name="path", row_kept=False, record=records)
    frame["row"] = _row_numbers(refused, listing)
    return pa.Table.from_pandas(frame[REJECTED_SCHEMA.names], preserve_index=False)


def _row_numbers(refused: "pd.DataFrame", listing: "pa.Table") -> "pd.Series[int]":
    """The numbers of the rows of ``refused`` in ``listing``, from 1."""
    listed = listing.select(LISTED).to_pandas()
    # Of equal rows the manifest accepts the first or none: the refused ones are the last of them.
    from_last = [
        frame.assign(nth=frame.groupby(LISTED).cumcount(ascending=False))
        for frame in (refused[LISTED], listed.assign(row=range(1, len(listed) + 1)))
    ]
    return from_last[0].merge(from_last[1], on=[*LISTED, "nth"], how="left", validate="one_to_one")["row"]


def concatenate(rejected: "pa.Table", more: "pa.Table") -> "pa.Table":
    """Rejected rows of two origins, with the types of the first."""
    import pyarrow as pa

    if not more.num_rows:
        return rejected
    return pa.concat_tables([rejected, more.select(rejected.column_names).cast(rejected.schema)])
