"""From whatever a stage produced to a finished, sorted Parquet file that nobody sees yet.

What belongs here: the cast to the registry's schema, the sort by key, the writing of identical bytes for identical
rows. What does not: where the file goes afterwards (:mod:`resources.feature_store`), what its rows must satisfy
(:mod:`resources.contracts`).

The rows stream: input batches into DuckDB's out-of-core sort, sorted batches into row groups of a fixed size, so a
partition may be larger than memory. The bytes depend neither on the order of the input nor on DuckDB's threads, as
long as the key is unique, which the contract demands.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import duckdb

from atelier.errors import ContractViolation
from atelier.file_pattern import file_pattern
from resources.schema import Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROW_GROUP = 122_880
WIDE_ROW_GROUP = 8_192  # rows that hold vectors: 8,192 of 2,500 floats are 80 MB

Data: TypeAlias = Union["pd.DataFrame", "pa.Table", "pa.RecordBatchReader", duckdb.DuckDBPyRelation]


class SchemaMismatch(ContractViolation):
    """A frame lacks a column, has one too many, or holds what cannot be cast; the message names table and column."""


@dataclass(frozen=True)
class StagedFile:
    """A finished file that is not published yet.

    Attributes:
        ds: its day.
        part: its part, for tables that have parts.
        path: the local file. It holds the registry's columns, sorted by key, and no column ds.
        rows: its rows.
        data_version: SHA-256 of its bytes.
        size: its bytes.
    """

    ds: date
    part: str | None
    path: Path
    rows: int
    data_version: str
    size: int


class Stager:
    """Stages partitions of one table into one folder; a context manager that holds one DuckDB connection.

    Args:
        table: the table.
        folder: an empty local folder; also where sorting spills.
        threads: DuckDB's threads.
        memory_limit: how much DuckDB may hold before it spills, for example ``"8GB"``.
    """

    def __init__(self, table: Table, folder: Path, *, threads: int, memory_limit: str) -> None:
        self._table = table
        self._folder = folder
        self._connection = open_duckdb(folder / "spill", threads=threads, memory_limit=memory_limit)
        # order comes from ORDER BY alone; keeping the input's would hold back the streaming scan
        self._connection.execute("SET preserve_insertion_order = false")
        self._count = 0

    def __enter__(self) -> "Stager":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def stage(self, ds: date, part: str | None, data: Data) -> StagedFile:
        """Write one partition's file.

        Raises:
            SchemaMismatch: columns are missing, superfluous or cannot be cast, or rows belong to another part.
        """
        path = self._folder / f"{self._count:06d}.parquet"
        self._count += 1
        stream = as_arrow_stream(data)
        self._check_columns(stream.schema.names, ds)
        self._connection.register("incoming", stream)
        try:
            rows = self._write(path)
        except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.BinderException) as error:
            raise SchemaMismatch(
                f"{self._where(ds)}: cannot cast to the declared types: {error}", self._table.name
            ) from error
        finally:
            self._connection.unregister("incoming")
        self._check_part(path, ds, part)
        return StagedFile(ds, part, path, rows, digest_of(path), path.stat().st_size)

    def _where(self, ds: date) -> str:
        return f"table {self._table.name}, ds={ds}"

    def _check_columns(self, names: list[str], ds: date) -> None:
        declared = list(self._table.by_name)
        missing = [name for name in declared if name not in names]
        extra = [name for name in names if name not in self._table.by_name]
        repeated = sorted({name for name in names if names.count(name) > 1})
        for problem, columns in (("lacks", missing), ("does not know", extra), ("has twice", repeated)):
            if columns:
                message = f"{self._where(ds)}: {problem} column {', '.join(columns)}; declared: {', '.join(declared)}"
                raise SchemaMismatch(message, self._table.name)

    def _write(self, path: Path) -> int:
        # declared names and types only: no value from outside is in the text
        sql = f"SELECT {self._table.casts} FROM incoming ORDER BY {self._table.order}"  # noqa: S608
        reader = self._connection.sql(sql).to_arrow_reader(ROW_GROUP)
        return write_rows(path, self._table, reader.schema, reader)

    def _check_part(self, path: Path, ds: date, part: str | None) -> None:
        if part is None:
            return
        # the column's name is declared; path and part are bound
        name = f'"{self._table.part}"'
        rows = "read_parquet(?, hive_partitioning = false)"
        sql = f"SELECT DISTINCT {name} FROM {rows} WHERE {name} IS DISTINCT FROM ?"  # noqa: S608
        strangers = self._connection.execute(sql, [file_pattern(path), part]).fetchmany(3)
        if strangers:
            named = ", ".join(repr(value) for (value,) in strangers)
            message = f"{self._where(ds)}, part {part}: column {self._table.part} also holds {named}"
            raise SchemaMismatch(message, self._table.name)


def write_rows(path: Path, table: Table, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]") -> int:
    """Write the rows of a partition, in their order, as every partition of the table is written; returns their number.

    Args:
        path: the file.
        table: whose rows they are.
        schema: of the file.
        batches: the rows, in batches of any size.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wide = any(column.type.startswith("FLOAT[") for column in table.columns)
    rows = 0
    with pq.ParquetWriter(path, _plain_maps(schema), compression="zstd", version="2.6") as writer:
        for chunk in rechunk(batches, WIDE_ROW_GROUP if wide else ROW_GROUP):
            writer.write_table(pa.Table.from_batches(chunk, schema).combine_chunks(), row_group_size=ROW_GROUP)
            rows += sum(batch.num_rows for batch in chunk)
    return rows


def _plain_maps(schema: "pa.Schema") -> "pa.Schema":
    """The schema with Arrow's own names inside of maps: DuckDB's names differ from those that a file is read with."""
    import pyarrow as pa

    fields = [
        field.with_type(pa.map_(field.type.key_type, field.type.item_type)) if pa.types.is_map(field.type) else field
        for field in schema
    ]
    return pa.schema(fields, schema.metadata)


def open_duckdb(
    spill: Path, *, threads: int, memory_limit: str, database: str | Path = ":memory:"
) -> duckdb.DuckDBPyConnection:
    """A DuckDB that spills to a folder of its own, which it creates when needed and removes on closing.

    Args:
        spill: that folder.
        threads: DuckDB's threads.
        memory_limit: how much it may hold before it spills, for example ``"8GB"``.
        database: the file; by default it lives in memory.
    """
    return duckdb.connect(
        database,
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,  # nothing is fetched from the network behind anyone's back
        },
    )


def as_arrow_stream(data: Data) -> Any:
    """Whatever a stage produced, as something with ``.schema`` that DuckDB scans without copying it whole.

    Raises:
        TypeError: it is no frame, Arrow table, Arrow stream or DuckDB relation.
    """
    import pyarrow as pa

    if isinstance(data, duckdb.DuckDBPyRelation):
        return data.to_arrow_reader(ROW_GROUP)
    if isinstance(data, pa.Table | pa.RecordBatchReader):
        return data
    if hasattr(data, "iloc"):  # a pandas frame, without importing pandas for it
        return pa.Table.from_pandas(data, preserve_index=False)
    if hasattr(data, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(data)
    raise TypeError(f"cannot store a {type(data).__name__}: give a pandas frame, Arrow table, Arrow stream or relation")


def rechunk(batches: Iterable[Any], rows: int) -> Iterator[list[Any]]:
    """Regroup Arrow batches into lists of exactly ``rows`` rows (the last may be shorter), whatever their sizes."""
    held: list[Any] = []
    count = 0
    for batch in batches:
        offset = 0
        while offset < batch.num_rows:
            taken = batch.slice(offset, rows - count)
            held.append(taken)
            offset += taken.num_rows
            count += taken.num_rows
            if count == rows:
                yield held
                held, count = [], 0
    if held:
        yield held


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
