"""Small conversions between the registry, Arrow and DuckDB.

What belongs here: what more than one asset needs to turn query results into what :mod:`atelier` takes. What does not:
reading or writing partitions (:mod:`resources.feature_store`).
"""

from typing import TYPE_CHECKING, Any

import duckdb

from resources.schema import Table

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 20


def rows_of(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The rows of an executed query, each by column."""
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def empty_table(table: Table) -> "pa.Table":
    """No rows, with the columns and types of ``table``."""
    with duckdb.connect() as con:
        return con.sql(f"SELECT {table.nulls} WHERE false").to_arrow_table()


def dictionary_table(relation: duckdb.DuckDBPyRelation) -> "pa.Table":
    """The rows of ``relation`` with every text column dictionary-encoded, batch by batch.

    Tens of millions of rows name the same customers and articles again and again: encoded they take an eighth of the
    memory.
    """
    import pyarrow as pa

    encoded = [_encode(pa.Table.from_batches([batch])) for batch in relation.to_arrow_reader(BATCH_ROWS)]
    return pa.concat_tables(encoded).unify_dictionaries() if encoded else relation.to_arrow_table()


def _encode(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    columns = []
    for values in table.columns:
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            columns.append(values.dictionary_encode())
        else:  # a copy: the column of a batch that DuckDB made keeps all others of that batch in memory, texts too
            columns.append(pa.chunked_array([pa.concat_arrays(values.chunks)], values.type))
    return pa.table(columns, table.schema.names)
