"""The H&M folder of photographs: one for an article, named for it.

What belongs here: which files in it are whose. What does not: their contents (:mod:`atelier.images.manifest`).
"""

from pathlib import Path

import duckdb
import pyarrow as pa

from atelier.sources.columns import LAYOUTS
from atelier.sources.landed import REJECTED_SCHEMA, Landed
from atelier.sources.paths import files_below, path_faults, readable
from atelier.sources.reading import count
from atelier.sources.validation import empty

_NOT_UTF8 = "is not UTF-8: rename the file"

# 011/0110065001.jpg: the folder is the article's first three digits.
_LISTED = r"""
    CREATE OR REPLACE TEMP TABLE listed_images AS
    SELECT path, article_id, fault.column_name AS column_name, fault.reason AS reason FROM (
        SELECT path, article_id, CASE
            WHEN fault IS NOT NULL THEN {{'column_name': 'path', 'reason': fault}}
            WHEN NOT regexp_full_match(path, '[0-9]{{3}}/[0-9]{{10}}\.jpg') OR path[:3] <> article_id[:3]
            THEN {{'column_name': 'path', 'reason': 'is not named NNN/NNNNNNNNNN.jpg for an article'}}
            WHEN NOT EXISTS (FROM {known} AS known WHERE known.article_id = named.article_id)
            THEN {{'column_name': 'article_id', 'reason': 'is unknown: there is no such row in articles'}}
        END AS fault
        FROM (SELECT path, fault, path[5:14] AS article_id FROM image_listing) AS named
    )"""


def land_photographs(connection: duckdb.DuckDBPyConnection, root: Path, known: str) -> Landed:
    """Every file in the folder: an article's photograph, or rejected (as row 0 of that file).

    Args:
        connection: holds ``known``.
        root: the folder; it may be absent.
        known: the SQL name of a table of the known article_id.
    """
    if not root.is_dir():
        return Landed(empty(LAYOUTS["images"]), notes=("there is no folder images: no article has a photograph",))
    plain, links = files_below(root)
    faults = {readable(path): fault for path, fault in path_faults(links, root).items()}
    faults |= {readable(path): _NOT_UTF8 for path in plain | links if readable(path) != path}
    paths = sorted(map(readable, plain | links))
    listing = {"path": pa.array(paths, pa.string()), "fault": pa.array(map(faults.get, paths), pa.string())}
    connection.register("image_listing", pa.table(listing))
    connection.execute(_LISTED.format(known=known))
    connection.unregister("image_listing")
    accepted = connection.sql(
        "SELECT article_id, CAST(0 AS INTEGER) AS shot, path FROM listed_images WHERE reason IS NULL ORDER BY path"
    ).to_arrow_table()
    rejected = connection.sql("""
        SELECT 'images' AS source_table, 'images/' || path AS source_file, 0 AS row, column_name, reason,
               false AS row_kept, NULL AS record
        FROM listed_images WHERE reason IS NOT NULL ORDER BY path""").to_arrow_table()
    articles = count(connection, known)
    without = articles - accepted.num_rows
    notes = (f"{without} of {articles} articles have no photograph",) if without else ()
    return Landed(accepted, rejected.cast(REJECTED_SCHEMA), len(paths), notes)
