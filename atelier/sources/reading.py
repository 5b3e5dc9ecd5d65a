"""CSV and Parquet files into DuckDB, one row for each row of the file, nothing interpreted yet.

What belongs here: opening DuckDB, reading files as they are, numbering their rows, and turning what cannot be read
into :class:`~atelier.errors.SourceError`. What does not: which format a file has
(:mod:`atelier.sources.file_format`), whether a value is right (:mod:`atelier.sources.validation`).

A path says nothing about the rows: DuckDB would take it for a pattern of file names and read ``key=value`` folders as
columns, and is told not to.
"""

import csv
import errno
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from atelier.errors import SourceError
from atelier.file_pattern import file_pattern
from atelier.sources.base import source_error
from atelier.sources.file_format import check_format
from atelier.sources.line_ends import first_bytes, text_from, unclosed_record, unify_line_ends

ROW = "__row"
"""The column that numbers a file's rows, from 1 after any header."""

_NO_ROW = "is not a row of CSV: "

_CSV_ROWS = f"""SELECT *, row_number() OVER () AS {ROW} FROM read_csv($path, columns = $columns, all_varchar = true,
    auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', strict_mode = true,
    null_padding = false, store_rejects = true, rejects_limit = 0, hive_partitioning = false,
    parallel = $parallel)"""  # noqa: S608 — a constant
_PARQUET_ROWS = f"SELECT *, file_row_number + 1 AS {ROW} FROM read_parquet($path, hive_partitioning = false)"  # noqa: S608


class EngineOptions(BaseModel):
    """How much of the machine reading may use.

    Attributes:
        threads: DuckDB's threads.
        memory_limit: DuckDB's memory; what is larger goes to ``temp_dir``.
        temp_dir: where temporary files go; None is the system's folder for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(default=2, ge=1)
    memory_limit: str = "4GB"
    temp_dir: Path | None = None


@dataclass(frozen=True)
class Raw:
    """A file's rows in DuckDB.

    Attributes:
        relation: the SQL name of a table with the file's columns and :data:`ROW`.
        types: the file's columns and their DuckDB types.
        file: the file's name, relative to the source's folder.
        malformed: the SQL name of a table (``row``, ``record``, ``reason``) of lines of a CSV that are no rows.
    """

    relation: str
    types: dict[str, str]
    file: str
    malformed: str

    def column(self, name: str) -> str | None:
        """The file's column of that name, in whatever case it is written; None where there is none."""
        return next((own for own in self.types if own.casefold() == name.casefold()), None)


def sql_identifier(identifier: str) -> str:
    """The SQL identifier of a name, which may hold any characters."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The SQL literal of a text, which may hold any characters."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def engine(options: EngineOptions) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """An in-memory DuckDB and a folder for temporary files, both gone at the end.

    Yields:
        The connection and the folder.

    Raises:
        SourceError: an option is of no use, or what runs inside the block needs more memory or more temporary space
            than there is.
    """
    with _temporary(options) as folder:
        connection = _connect(options, folder)
        try:
            yield connection, folder
        except (duckdb.Error, OSError) as error:
            if not _lacks_room(error):
                raise
            problem = f"there is no room for temporary files, or not enough memory ({_first_sentence(error)})"
            remedy = (
                "Free space there, or set temp_dir to a folder with more, or memory_limit "
                f"(now {options.memory_limit}) to more: options of the source, see docs/sources.md."
            )
            raise source_error(folder.parent, problem, remedy) from error
        finally:
            connection.close()


def _temporary(options: EngineOptions) -> AbstractContextManager[Path]:
    """A folder for temporary files, removed on leaving.

    Raises:
        SourceError: it cannot be made where the options say.
    """
    where = options.temp_dir or Path(tempfile.gettempdir())
    try:
        where.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="atelier-source-", dir=where)
    except OSError as error:
        remedy = "Set temp_dir, an option of the source, to a folder that can be written to."
        raise source_error(where, f"temp_dir cannot be used ({error.strerror})", remedy) from error
    return _as_path(folder)


@contextmanager
def _as_path(folder: tempfile.TemporaryDirectory[str]) -> Iterator[Path]:
    with folder as name:
        yield Path(name)


def _connect(options: EngineOptions, folder: Path) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that spills into a folder.

    Raises:
        SourceError: DuckDB understands an option otherwise.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": options.threads,
        "memory_limit": options.memory_limit,
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": False,
    }
    try:
        return duckdb.connect(":memory:", config=config)
    except duckdb.Error as error:
        remedy = f'memory_limit is {options.memory_limit!r}: write a number and its unit, such as "4GB".'
        problem = f"DuckDB refuses an option of the source ({_first_sentence(error)})"
        raise SourceError(f"{problem}. {remedy}") from error


def _lacks_room(error: Exception) -> bool:
    """Whether a query failed for want of memory or of space on disk, and not because of the file that it reads."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    text = str(error).casefold()
    full = ("no space left", "could not write", "quota exceeded", "max_temp_directory_size")
    return isinstance(error, duckdb.OutOfMemoryException) or any(said in text for said in full)


def _first_sentence(error: Exception) -> str:
    """The first line of an error's text, without the name of DuckDB's class."""
    return str(error).strip().splitlines()[0].removeprefix("Invalid Input Error: ")


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn whatever DuckDB cannot read inside this block into an error that names the file.

    Raises:
        SourceError: naming the file and the first sentence of what was raised, or the format that the file really has.
    """
    check_format(file)
    try:
        yield
    except (duckdb.Error, pa.ArrowException, UnicodeDecodeError) as error:
        if _lacks_room(error):  # engine() says what to do
            raise
        remedy = "Write the file again: it is damaged, cut short, or not in the format that its name says."
        raise source_error(file, f"it cannot be read ({_first_sentence(error)})", remedy) from error


def csv_header(file: Path) -> list[str]:
    """The column names of a CSV file; a column without a name is called ``column<n>``.

    Raises:
        SourceError: the file is absent or empty, its columns are not separated by commas, or two columns have the same
            name.
    """
    with reading(file), file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        try:
            names = next(csv.reader(lines), [])
        except csv.Error as error:
            raise source_error(file, f"its header cannot be read ({error})", "Write the file again as CSV.") from error
    if not names:
        raise source_error(file, "it is empty: not even a header", "Write the file again, with its header.")
    between = next((sign for sign in ";\t|" if len(names) == 1 and sign in names[0]), None)
    if between:
        problem = f"its columns are separated by {between!r} and not by commas"
        raise source_error(file, problem, "Write the file again with commas, or as Parquet.")
    names = [name.strip() or f"column{number}" for number, name in enumerate(names)]
    _refuse_repeated(file, names)
    return names


def _refuse_repeated(file: Path, names: list[str]) -> None:
    """Refuse two columns of one name; upper and lower case are the same.

    Raises:
        SourceError: naming the column.
    """
    folded = [name.casefold() for name in names]
    twice = sorted({name for name, fold in zip(names, folded, strict=True) if folded.count(fold) > 1})
    if twice:
        raise source_error(file, "two columns have this name", "Rename or remove one.", column=twice[0])


def load(connection: duckdb.DuckDBPyConnection, file: Path, root: Path, relation: str) -> Raw:
    """Read a whole file into a temporary table, every column as it comes (CSV: all text).

    Raises:
        SourceError: the file cannot be read.
    """
    malformed = f"{relation}_malformed"
    scan(connection, file, f"CREATE OR REPLACE TEMP TABLE {relation} AS FROM {{rows}}", malformed)
    renumber(connection, relation, malformed)
    return Raw(relation, column_types(connection, relation), str(file.relative_to(root)), malformed)


def file_types(connection: duckdb.DuckDBPyConnection, file: Path) -> dict[str, str]:
    """The columns of a file and their DuckDB types, without reading its rows.

    Raises:
        SourceError: the file cannot be read.
    """
    if file.suffix == ".csv":
        return dict.fromkeys(csv_header(file), "VARCHAR")
    _check_parquet_header(file)
    with reading(file):
        described = connection.execute(
            "DESCRIBE SELECT * FROM read_parquet($path, hive_partitioning = false)", {"path": file_pattern(file)}
        ).fetchall()
    return {name: str(kind) for name, kind, *_ in described}


def _check_parquet_header(file: Path) -> None:
    """Refuse a Parquet file in which two columns have one name: DuckDB would rename the second in silence.

    Raises:
        SourceError: naming the column, or what cannot be read.
    """
    with reading(file):
        names = pq.read_schema(file).names
    _refuse_repeated(file, names)


def scan(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    statement: str,
    malformed: str,
    parameters: dict[str, object] | None = None,
) -> None:
    """Run a statement over a file's rows without keeping them, and put the malformed rows into a table.

    Rows are numbered without the malformed ones: see :func:`renumber`. How several threads cut a CSV with an
    unclosed quote depends on where their pieces meet, so a CSV with malformed rows is read again by one thread: the
    same file always gives the same rows.

    Args:
        connection: where to.
        file: the CSV or Parquet file.
        statement: SQL in which ``{rows}`` stands for the file's rows: its columns and :data:`ROW`.
        malformed: the table to create, with row, record and reason.
        parameters: what the statement binds besides.

    Raises:
        SourceError: the file cannot be read.
    """
    bound: dict[str, object] = dict(parameters or {})
    if file.suffix != ".csv":
        _check_parquet_header(file)
        with reading(file):
            connection.execute(statement.replace("{rows}", f"({_PARQUET_ROWS})"), bound | {"path": file_pattern(file)})
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {malformed} (row BIGINT, record VARCHAR, reason VARCHAR)")
        return
    bound["columns"] = dict.fromkeys(csv_header(file), "VARCHAR")
    with reading(file):
        unclosed = unclosed_record(file)
        if unclosed is None:
            _scan_lines(connection, file, statement, bound, malformed)
            return
        closed = first_bytes(file, unclosed, _temporary_folder(connection))
        try:
            _scan_lines(connection, closed, statement, bound, malformed)
            _add_unclosed(connection, closed, bound, malformed, text_from(file, unclosed))
        finally:
            closed.unlink()


def _scan_lines(
    connection: duckdb.DuckDBPyConnection, file: Path, statement: str, bound: dict[str, object], malformed: str
) -> None:
    """Run a statement over a CSV's rows, whatever its lines end in, and put the malformed ones into a table."""
    bound = bound | {"path": file_pattern(file)}
    try:
        _scan_csv(connection, statement.replace("{rows}", f"({_CSV_ROWS})"), bound)
    except duckdb.InvalidInputException:
        if not _scan_unified(connection, file, statement, bound):  # the line ends did not stop DuckDB
            raise
    else:
        if count(connection, "reject_errors"):
            # where lines end in LF, DuckDB finds no end of a quoted value before CRLF
            _scan_unified(connection, file, statement, bound, mixed=True)
    # A malformed row may have several errors; the first is its reason. `line` counts rows, the header included.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {malformed} AS
        SELECT line - 1 AS row, to_json({{'line': first.csv_line}})::VARCHAR AS record,
               '{_NO_ROW}' || first.error_message AS reason
        FROM (SELECT line, min({{'at': byte_position, 'error_message': error_message, 'csv_line': csv_line}}) AS first
              FROM reject_errors GROUP BY line)""")  # noqa: S608 — our own names only


def _add_unclosed(
    connection: duckdb.DuckDBPyConnection, closed: Path, bound: dict[str, object], malformed: str, record: str
) -> None:
    """Add a last row, whose quote is not closed, to the malformed ones of the rows before it."""
    statement = "CREATE OR REPLACE TEMP TABLE rows_before AS SELECT count(*) AS n FROM {rows}"
    _scan_lines(connection, closed, statement, bound, "malformed_before")
    connection.execute(
        f"""INSERT INTO {malformed}
        SELECT n + (SELECT count(*) FROM malformed_before) + 1, to_json({{'line': $record}})::VARCHAR,
               '{_NO_ROW}Value with unterminated quote found.'
        FROM rows_before""",  # noqa: S608 — our own names only
        {"record": record},
    )


def _scan_csv(connection: duckdb.DuckDBPyConnection, statement: str, bound: dict[str, object]) -> None:
    """Run a statement over a CSV's rows; malformed ones are left in DuckDB's table ``reject_errors``."""
    for parallel in (True, False):
        connection.execute("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
        connection.execute(statement, bound | {"parallel": parallel})
        if count(connection, "reject_errors") == 0:
            return


def _scan_unified(
    connection: duckdb.DuckDBPyConnection, file: Path, statement: str, bound: dict[str, object], *, mixed: bool = False
) -> bool:
    """Run a statement over a CSV's rows with line ends of one kind; whether it was run.

    It is not where one kind of line end would be no help, nor, if ``mixed``, where all lines end alike as they are.
    """
    unified = unify_line_ends(file, _temporary_folder(connection))
    if unified is None:
        return False
    try:
        if mixed and not unified.mixed:
            return False
        columns = (
            "*"
            if unified.stand_in is None
            else f"{ROW}, {_restored(list(cast('dict[str, str]', bound['columns'])), unified.stand_in)}"
        )
        rows = f"(SELECT {columns} FROM ({_CSV_ROWS}))"  # noqa: S608 — quoted names
        _scan_csv(connection, statement.replace("{rows}", rows), bound | {"path": file_pattern(unified.file)})
    finally:
        unified.file.unlink()
    return True


def _restored(names: list[str], stand_in: str) -> str:
    """A SELECT list in which the character that stood in for a carriage return is one again."""
    back = f"chr({ord(stand_in)}), chr(13)"
    return ", ".join(f"replace({sql_identifier(name)}, {back}) AS {sql_identifier(name)}" for name in names)


def _temporary_folder(connection: duckdb.DuckDBPyConnection) -> Path:
    """The folder for temporary files of a connection that :func:`engine` opened."""
    [(spill,)] = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    return Path(spill).parent


def renumber(connection: duckdb.DuckDBPyConnection, relation: str, malformed: str) -> None:
    """Make :data:`ROW` count the malformed rows too, so that it is the row's position in the file.

    The j-th malformed row, at position r, has r − j well-formed ones before it (j from 1): the n-th well-formed row
    therefore stands at n plus the number of malformed rows with r − j < n.
    """
    if count(connection, malformed) == 0:
        return
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {relation} AS
        SELECT rows.* REPLACE ({ROW} + coalesce(shift.j, 0) AS {ROW})
        FROM {relation} AS rows ASOF LEFT JOIN (
            SELECT max(j) AS j, before
            FROM (SELECT row_number() OVER (ORDER BY row) AS j, row - j AS before FROM {malformed}) GROUP BY before
        ) AS shift ON rows.{ROW} > shift.before""")  # noqa: S608 — our own names only


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """How many rows a relation has."""
    [(rows,)] = connection.execute(f"SELECT count(*) FROM {relation}").fetchall()  # noqa: S608 — our own names only
    return int(rows)


def column_types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """The columns of a relation and their DuckDB types, without :data:`ROW`."""
    described = connection.execute(f"DESCRIBE {relation}").fetchall()
    return {name: str(kind) for name, kind, *_ in described if name != ROW}
