"""Outfits of a file as a table of a landing zone.

What belongs here: writing the table ``outfits``. What does not: reading layouts (:mod:`atelier.outfits.files`), the
other tables of a landing zone, and what is right in a row (:mod:`atelier.sources`).
"""

from datetime import date
from pathlib import Path

import pandas as pd

from atelier.frames import require
from atelier.outfits.outfits import OutfitsError

TABLE = "outfits"


def to_landing_zone(outfits: pd.DataFrame, root: Path, day: date) -> Path:
    """Write outfits as ``outfits/ds=<day>.parquet`` of a landing zone; every ingest from that day on reads it.

    The articles must be those of the landing zone's own table; the ingest rejects rows of others.

    Args:
        outfits: ``outfit_id``, ``article_id``, as :func:`~atelier.outfits.files.read_mango` and
            :func:`~atelier.outfits.files.read_polyvore_outfits` give them; other columns are left out, and a repeated
            row counts once.
        root: the landing zone's folder, which exists.
        day: from which day on they hold; a file of that day is replaced.

    Returns:
        The file. The same outfits give the same bytes, in whatever order.

    Raises:
        OutfitsError: a column is missing, there is no outfit, or the folder does not exist.
    """
    columns = ["outfit_id", "article_id"]
    require(outfits, columns, OutfitsError, "the frame of outfits")
    if outfits.empty:
        raise OutfitsError("there is no outfit to write; name the file that holds some")
    if not root.is_dir():
        raise OutfitsError(f"{root} is no folder: name that of the landing zone")
    folder = root / TABLE
    folder.mkdir(exist_ok=True)
    file = folder / f"ds={day.isoformat()}.parquet"
    beside = file.with_name(f".{file.name}")
    rows = outfits[columns].astype("str").drop_duplicates().sort_values(columns, ignore_index=True)
    rows.to_parquet(beside, index=False)
    beside.replace(file)
    return file
