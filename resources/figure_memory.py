"""What was measured of days before a home's first night, so that it is measured once and not every night.

What belongs here: the file ``figure_memory.parquet`` beside the store. What does not: measuring
(:mod:`resources.day_figures`), the figures of days whose drift was judged, which are the table ``day_figures``.

A home begins with a history: drift then holds its first night against five weeks of days that had no night.
"""

import warnings
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from atelier.errors import DamagedFile
from resources.staging import digest_of
from resources.storage import Root, Storage, open_storage

if TYPE_CHECKING:
    import pandas as pd

FILE = "figure_memory.parquet"
DAY = "ds"


class FigureMemory:
    """The figures of the days that the newest night was held against.

    It only saves work: deleting the file changes no result. What a figure was measured from stands beside it, so that
    one of other data or other code is measured again.
    """

    def __init__(self, root: Root) -> None:
        self._storage = open_storage(root)

    def read(self) -> "dict[date, pd.DataFrame]":
        """The figures by day; of a damaged file, with a warning, none."""
        if not self._storage.exists(FILE):
            return {}
        try:
            kept = read_figures(self._storage)
        except DamagedFile as error:
            warnings.warn(str(error), stacklevel=2)
            return {}
        days: list[date] = kept[DAY].drop_duplicates().tolist()
        return {day: kept[kept[DAY] == day].drop(columns=DAY).reset_index(drop=True) for day in days}

    def keep(self, figures: "Mapping[date, pd.DataFrame]") -> None:
        """Keep the figures of these days in place of what was kept; the last of two runs at the same time wins."""
        import pandas as pd

        parts = [frame.assign(**{DAY: day}) for day, frame in sorted(figures.items()) if len(frame)]
        if not parts:
            return
        with self._storage.staging() as folder:
            staged = folder / FILE
            pd.concat(parts, ignore_index=True).to_parquet(staged, index=False, write_page_checksum=True)
            self._storage.put(staged, FILE, digest_of(staged))


def read_figures(storage: Storage) -> "pd.DataFrame":
    """What is kept, with its day in the column ``ds``.

    Args:
        storage: the store's.

    Raises:
        DamagedFile: the file cannot be read.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        kept = pd.read_parquet(storage.parquet(FILE), page_checksum_verification=True)
        return kept[[DAY, *kept.columns.drop([DAY, "made_from"]), "made_from"]]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DamagedFile(f"{storage.location(FILE)} is damaged ({error}); earlier days are measured again") from error
