"""The SQL of a view over explicit files, for one table as of one day, and of reading explicit files at all.

What belongs here: the text of CREATE VIEW. DuckDB takes no bound parameters there, so this is the one place where
file names and a day are written into SQL; both come from the store's own pointers and a ``date``, never from outside.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from atelier.file_pattern import file_pattern
from resources.schema import Table


def view_sql(table: Table, files: Sequence[str], as_of: date) -> str:
    """CREATE VIEW for a table: the registered columns and ds. Without files it is empty but typed.

    Args:
        table: the table.
        files: where its Parquet files lie, for DuckDB.
        as_of: the day; for a snapshot or derived table also the value of ds.
    """
    create, day = f'CREATE VIEW "{table.name}" AS', f"DATE '{as_of.isoformat()}'"
    if not files:
        return f"{create} {empty_sql(table)}"
    if table.kind == "event":
        return f"{create} SELECT {table.names}, {DAY_OF_FILE} AS ds FROM {scan_sql(files)}"  # noqa: S608 - our own names
    # a snapshot's article may already be known before it goes on sale
    hidden = f" WHERE available_from IS NULL OR available_from <= {day}" if table.name == "articles" else ""
    return f"{create} SELECT {table.names}, {day} AS ds FROM {scan_sql(files)}{hidden}"  # noqa: S608 - as above


def empty_sql(table: Table) -> str:
    """A SELECT without rows that has the table's columns, types and ds."""
    return f"SELECT {table.nulls}, CAST(NULL AS DATE) AS ds WHERE false"


DAY_OF_FILE = r"CAST(regexp_extract(filename, '^.*/ds=([0-9-]{10})/', 1) AS DATE)"
"""SQL for the day in the path of a file of :func:`scan_sql`; DuckDB skips the files of days that a query leaves out."""


def scan_sql(files: Iterable[str]) -> str:
    """The rows of explicit Parquet files, with the column ``filename``.

    A path names its own file and no other, whatever characters it holds. Without the options DuckDB would read
    every ``key=value`` folder in a path, also of those above the store, as a column that replaces the file's own.
    """
    return f"read_parquet({sql_list(map(file_pattern, files))}, hive_partitioning = false, filename = true)"


def sql_list(texts: Iterable[str]) -> str:
    """An SQL list of string literals."""
    return f"[{', '.join(map(sql_literal, texts))}]"


def sql_identifier(name: str) -> str:
    """A SQL identifier, which may hold any characters."""
    return '"' + name.replace('"', '""') + '"'


def sql_literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
