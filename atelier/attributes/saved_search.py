"""The search of a day's catalogue as files, so that its indexes are made once and not by each command.

What belongs here: writing and reading what :class:`~atelier.attributes.catalogue_search.CatalogueSearch` holds. What
does not: the search itself; which files belong to which day (:mod:`resources.search_files`). Nothing is pickled.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from atelier import bundles
from atelier.attributes.catalogue_search import CatalogueSearch, Part

if TYPE_CHECKING:
    import bm25s

SEARCH, ARTICLES, PARTS = "search.json", "articles.parquet", "parts.parquet"
REMEDY = "a search makes the kept index again"
_ROWS = pa.schema(
    {"row": pa.int64(), "value": pa.string(), "source": pa.string(), "weight": pa.float32(), "confidence": pa.float32()}
)


class _Described(BaseModel):
    """search.json: the parts in their order, how many rows each has, which have an index, and every file's SHA-256."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    parts: dict[str, int]
    indexed: list[str]
    files: dict[str, str]


def save_search(search: CatalogueSearch, folder: Path) -> None:
    """Write a search with the index of each of its parts into an empty folder."""
    bundles.write_table(folder / ARTICLES, pa.table({"article_id": pa.array(search.names, pa.string())}))
    bundles.write_table(folder / PARTS, pa.concat_tables([_ROWS.empty_table(), *map(_rows, search.parts.values())]))
    indexed = []
    for number, (name, part) in enumerate(search.parts.items()):
        if part.index is not None:
            indexed.append(name)
            part.index.save(folder / str(number), show_progress=False)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    described = _Described(
        parts={name: len(part.rows) for name, part in search.parts.items()},
        indexed=indexed,
        files=bundles.digests(folder, files),
    )
    bundles.write_config(folder, described, SEARCH, sort_keys=False)


def load_search(folder: Path) -> CatalogueSearch:
    """Read what :func:`save_search` wrote; it finds the same articles, with the same scores.

    Raises:
        BundleError: a file is missing, damaged or of another format.
    """
    described = bundles.read_config(folder, _Described, SEARCH, remedy=REMEDY)
    bundles.check_digests(folder, list(described.files), described.files, remedy=REMEDY)
    names = bundles.read_table(folder / ARTICLES, ("article_id",), remedy=REMEDY)["article_id"]
    rows = bundles.read_table(folder / PARTS, _ROWS.names, remedy=REMEDY)
    parts, start = {}, 0
    for number, (name, length) in enumerate(described.parts.items()):
        index = _index(folder / str(number)) if name in described.indexed else None
        parts[name] = _part(name, rows.slice(start, length), index)
        start += length
    return CatalogueSearch(names.to_numpy(zero_copy_only=False), parts)


def _rows(part: Part) -> pa.Table:
    """A part's rows as the file holds them, one part after the other."""
    columns = (part.rows, part.values, part.sources, part.weights, part.confidences)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _ROWS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=_ROWS)


def _part(name: str, rows: pa.Table, index: "bm25s.BM25 | None") -> Part:
    def texts(column: str) -> object:
        # Equal texts are one object each: a colour is there once and not once for each article.
        encoded = pc.dictionary_encode(rows[column]).combine_chunks()
        distinct = encoded.dictionary.to_numpy(zero_copy_only=False)
        return distinct[encoded.indices.to_numpy()]

    return Part(
        name,
        rows["row"].to_numpy(),
        texts("value"),
        texts("source"),
        rows["weight"].to_numpy().astype(np.float32),
        rows["confidence"].to_numpy().astype(np.float32),
    ).with_index(index)


def _index(folder: Path) -> "bm25s.BM25":
    import bm25s

    with bundles.reading(folder, REMEDY):
        return bm25s.BM25.load(folder, mmap=True, show_progress=False)
