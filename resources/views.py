"""The SQL of a view over explicit files, for one table as of one day.

What belongs here: the text of CREATE VIEW. DuckDB takes no bound parameters there, so this is the one place where
file names and a day are written into SQL; both come from the store's own pointers and a ``date``, never from outside.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from resources.schema import Table


def view_sql(table: Table, files: Sequence[str], as_of: date) -> str:
    """CREATE VIEW for a table: the registered columns and ds. Without files it is empty but typed.

    Args:
        table: the table.
        files: where its Parquet files lie, for DuckDB.
        as_of: the day; for a snapshot or derived table also the value of ds.
    """
    create, listed, day = f'CREATE VIEW "{table.name}" AS', sql_list(files), f"DATE '{as_of.isoformat()}'"
    if not files:
        return f"{create} {empty_sql(table)}"
    if table.kind == "event":  # the day stands in the path; DuckDB skips the files of days that a query leaves out
        source = f"read_parquet({listed}, hive_partitioning = true, hive_types = {{'ds': DATE}})"
        return f"{create} SELECT {table.names}, ds FROM {source}"  # noqa: S608 - our own names and files
    # a snapshot's article may already be known before it goes on sale
    hidden = f" WHERE available_from IS NULL OR available_from <= {day}" if table.name == "articles" else ""
    source = f"read_parquet({listed}, hive_partitioning = false){hidden}"
    return f"{create} SELECT {table.names}, {day} AS ds FROM {source}"  # noqa: S608 - as above


def empty_sql(table: Table) -> str:
    """A SELECT without rows that has the table's columns, types and ds."""
    return f"SELECT {table.nulls}, CAST(NULL AS DATE) AS ds WHERE false"


def sql_list(texts: Iterable[str]) -> str:
    """An SQL list of string literals."""
    return f"[{', '.join(map(sql_literal, texts))}]"


def sql_literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
