"""Which rows are valid, and what is wrong with the others.

What belongs here: the rules of a :class:`~atelier.sources.columns.Layout` as SQL, applied to a file's rows. What does
not: reading files (:mod:`atelier.sources.reading`), rules of one format only.

A row has one fault, the first that is found: by the order of the columns a value that is missing, of the wrong type or
out of range; then an unknown reference; then the wrong day; then, among rows without a fault, a key that stood before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from atelier.sources.base import source_error
from atelier.sources.columns import Field, Layout
from atelier.sources.landed import REJECTED_SCHEMA, Landed
from atelier.sources.paths import path_faults
from atelier.sources.reading import ROW, Raw, count, literal, sql_identifier

EARLIEST, LATEST = date(1900, 1, 1), date(2199, 12, 31)
"""Dates beyond are typing errors or placeholders such as 9999-12-31."""
BOUNDS: dict[str, object] = {"earliest": EARLIEST, "latest": LATEST}
"""The same as parameters of SQL."""

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
_NUMBERS = _INTEGERS | {"FLOAT", "DOUBLE", "DECIMAL"}
_TIMES = {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_TEXTS = {"VARCHAR", "ENUM"}
_NUMERIC = ("DECIMAL", "INTEGER", "SMALLINT")
_ACCEPTED = {
    "VARCHAR": _TEXTS | _INTEGERS | {"UUID"},
    **dict.fromkeys(_NUMERIC, _TEXTS | _NUMBERS),
    **dict.fromkeys(("DATE", "TIMESTAMP"), _TEXTS | _TIMES),
    "BOOLEAN": _TEXTS | _INTEGERS | {"BOOLEAN"},
    "MAP": {"MAP"},
}
_NOUN = dict.fromkeys(_NUMERIC, "a number") | {
    "DATE": "a date",
    "TIMESTAMP": "a time",
    "BOOLEAN": "true or false",
    "MAP": "a map of text to text",
}
_WHOLE_COLUMN = ("is null", "is blank", *(f"is not {noun}" for noun in _NOUN.values()))
_OFFSET = r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)\s*$"


@dataclass(frozen=True)
class Checked:
    """The outcome in DuckDB.

    Attributes:
        relation: a table with :data:`~atelier.sources.reading.ROW`, the layout's columns, ``column_name`` and
            ``reason`` (both null where the row is valid).
        raw: the rows it was made from.
        table: what the rows are meant for.
    """

    relation: str
    raw: Raw
    table: str


def _family(kind: str) -> str:
    """DECIMAL for DECIMAL(18,9), MAP for MAP(VARCHAR, VARCHAR), LIST for VARCHAR[]."""
    if kind.endswith("]"):
        return "LIST"
    found = re.match(r'"?[A-Z_]+( WITH TIME ZONE)?', kind)
    return found.group(0).strip('"') if found else kind


def check_columns(raw: Raw, fields: tuple[Field, ...], root: Path) -> None:
    """Refuse a file that lacks a column, or holds one of a type that cannot be right.

    Raises:
        SourceError: naming file, column and remedy.
    """
    for field in fields:
        if field.expression:
            continue
        if field.column not in raw.types:
            if field.may_lack:
                continue
            there = ", ".join(raw.types) or "none"
            raise source_error(
                root / raw.file, f"the column is missing; there are {there}", "Add it.", column=field.column
            )
        family, wanted = _family(raw.types[field.column]), _family(field.type)
        if family not in _ACCEPTED[wanted] | {"NULL"}:
            zone = " in the retailer's own time, without a time zone" if "ZONE" in family else ""
            problem = f"its type is {raw.types[field.column]}, which is not {_NOUN.get(wanted, 'text')}"
            raise source_error(root / raw.file, problem, f"Write it as {field.type}{zone}.", column=field.column)


def _parsed(field: Field, types: Mapping[str, str]) -> str:
    """SQL for the field's value before its transform; null where it does not parse."""
    if field.expression:
        return field.expression
    if field.column not in types:
        return f"CAST(NULL AS {field.type})"
    raw, wanted = sql_identifier(field.column), _family(field.type)
    if wanted == "VARCHAR":
        return f"nullif(CAST({raw} AS VARCHAR), '')"
    if wanted in ("INTEGER", "SMALLINT"):
        return f"TRY_CAST(TRY_CAST({raw} AS DOUBLE) AS {field.type})"
    return f"TRY_CAST({raw} AS {field.type})"


def _faults(field: Field, types: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of a SQL condition and the reason it stands for, the first that holds counting."""
    if field.expression or field.column not in types:
        return []
    raw, value, wanted = sql_identifier(field.column), _parsed(field, types), _family(field.type)
    text = _family(types[field.column]) in _TEXTS
    faults = [(f"{raw} IS NULL", "is null")] if field.required else []
    if field.required and text:
        faults.append((rf"regexp_full_match(CAST({raw} AS VARCHAR), '\s*')", "is blank"))
    if wanted in _NUMERIC:
        faults += _number_faults(field, raw, value)
    elif wanted != "VARCHAR":
        if wanted == "TIMESTAMP" and text:
            faults.append((f"regexp_matches({raw}, '{_OFFSET}')", "has a time zone: give the retailer's own time"))
        faults.append((f"{raw} IS NOT NULL AND {value} IS NULL", f"is not {_NOUN[wanted]}"))
    if wanted in ("DATE", "TIMESTAMP"):
        plausible = f"CAST({value} AS DATE) BETWEEN DATE '{EARLIEST}' AND DATE '{LATEST}'"
        faults.append((f"NOT ({plausible})", f"is not between {EARLIEST.year} and {LATEST.year}"))
    if field.values:
        allowed = ", ".join(map(literal, field.values))
        faults.append((f"{value} NOT IN ({allowed})", f"is none of {', '.join(field.values)}"))
    return faults


def _number_faults(field: Field, raw: str, value: str) -> list[tuple[str, str]]:
    number = f"TRY_CAST({raw} AS DOUBLE)"
    faults = [
        (f"{raw} IS NOT NULL AND {number} IS NULL", "is not a number"),
        (f"NOT isfinite({number})", "is not finite"),
    ]
    if field.type in ("INTEGER", "SMALLINT"):
        faults.append((f"{number} <> trunc({number})", "is not a whole number"))
    if field.low is not None:
        faults.append((f"{number} < {field.low}", "is negative" if field.low == 0 else f"is below {field.low:g}"))
    if field.high is not None:
        faults.append((f"{number} > {field.high}", f"is above {field.high:g}"))
    return [*faults, (f"{raw} IS NOT NULL AND {value} IS NULL", f"does not fit {field.type}")]


def rows_query(raw: Raw, layout: Layout, known: Mapping[str, str]) -> str:
    """A SELECT of ROW, the layout's columns and ``fault`` (column_name, reason; null where valid); streams.

    Duplicates are not looked for. It binds ``$day`` where the layout has a day.

    Args:
        raw: the rows.
        layout: their rules.
        known: for tables that references name, the SQL name of a table with the column of known values; a reference
            to a table not named here is not checked.
    """
    values = ", ".join(f"{_parsed(field, raw.types)} AS {sql_identifier(field.name)}" for field in layout.fields)
    own = [_case(field.column, *fault) for field in layout.fields for fault in _faults(field, raw.types)]
    names = {field: sql_identifier(field.name) for field in layout.fields}
    final = ", ".join(f"{(f.transform or '{0}').format(name)} AS {name}" for f, name in names.items())
    late = _late_faults(layout, known)
    return f"""
        SELECT * EXCLUDE (fault), coalesce(fault, {_cases(late)}) AS fault FROM (
            SELECT {ROW}, {final}, fault FROM (SELECT {ROW}, {values}, {_cases(own)} AS fault FROM {raw.relation})
        ) AS parsed"""  # noqa: S608 — declared columns, and the file's own, quoted


def _case(column: str, condition: str, reason: str) -> str:
    return f"WHEN {condition} THEN {{'column_name': {literal(column)}, 'reason': {literal(reason)}}}"


def _cases(cases: list[str]) -> str:
    nothing = "CAST(NULL AS STRUCT(column_name VARCHAR, reason VARCHAR))"
    return f"CASE {' '.join(cases)} ELSE {nothing} END" if cases else nothing


def _late_faults(layout: Layout, known: Mapping[str, str]) -> list[str]:
    """The cases that need a row's final values: references and the day."""
    source = {field.name: field.column for field in layout.fields}
    cases = [
        _case(
            source[name],
            f"NOT EXISTS (FROM {known[table]} AS known WHERE known.{name} = parsed.{name})",
            f"is unknown: there is no such row in {table}",
        )
        for name, table in layout.references
        if table in known
    ]
    if layout.day:
        on = f"CAST({sql_identifier(layout.day)} AS DATE)"
        cases.append(_case(source[layout.day], f"{on} > $day", "is after the day on which it came"))
        cases.append(_case(source[layout.day], f"{on} < $day", "is before the day on which it came"))
    return cases


def check(
    connection: duckdb.DuckDBPyConnection,
    raw: Raw,
    layout: Layout,
    root: Path,
    known: Mapping[str, str] | None = None,
    day: date | None = None,
    image_root: Path | None = None,
) -> Checked:
    """Apply the rules to every row.

    Args:
        connection: holds ``raw`` and the tables of ``known``.
        raw: the rows.
        layout: the rules.
        root: the source's folder, for messages.
        known: see :func:`rows_query`.
        day: the day on which the rows came, where the layout has one.
        image_root: where the files named by the column ``path`` have to lie; None where there is no such column.

    Raises:
        SourceError: a column is missing or wrong throughout.
    """
    check_columns(raw, layout.fields, root)
    relation = f"{layout.table}_checked"
    parameters = {"day": day} if layout.day else {}
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {relation}_rows AS {rows_query(raw, layout, known or {})}", parameters
    )
    if image_root is not None:
        _mark_paths(connection, f"{relation}_rows", image_root)
    if layout.key:
        _mark_duplicates(connection, f"{relation}_rows", layout)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {relation} AS
        SELECT * EXCLUDE (fault), fault.column_name AS column_name, fault.reason AS reason
        FROM {relation}_rows""")  # noqa: S608 — our own names only
    connection.execute(f"DROP TABLE {relation}_rows")
    checked = Checked(relation, raw, layout.table)
    _refuse_wrong_columns(connection, checked, root)
    return checked


def _mark_paths(connection: duckdb.DuckDBPyConnection, rows: str, image_root: Path) -> None:
    """Give a fault to every valid row whose path must not be opened."""
    listed = connection.sql(f"SELECT DISTINCT path FROM {rows} WHERE fault IS NULL").to_arrow_table()  # noqa: S608
    faults = path_faults(listed.column("path").to_pylist(), image_root)
    frame = pa.table(
        {"path": pa.array(faults.keys(), type=pa.string()), "reason": pa.array(faults.values(), type=pa.string())}
    )
    connection.register("path_faults", frame)
    connection.execute(f"""
        UPDATE {rows} SET fault = {{'column_name': 'path', 'reason': bad.reason}}
        FROM path_faults AS bad WHERE {rows}.fault IS NULL AND {rows}.path = bad.path""")  # noqa: S608 — our names
    connection.unregister("path_faults")


def _mark_duplicates(connection: duckdb.DuckDBPyConnection, rows: str, layout: Layout) -> None:
    """Give a fault to every valid row whose key stood in an earlier valid row; the fault names that row."""
    keys = ", ".join(layout.key)
    source = {field.name: field.column for field in layout.fields}
    column = literal(", ".join(source[name] for name in layout.key))
    connection.execute(f"""
        UPDATE {rows} SET fault = {{'column_name': {column}, 'reason': 'is a duplicate: row ' || kept || ' is kept'}}
        FROM (SELECT {keys}, min({ROW}) AS kept FROM {rows} WHERE fault IS NULL GROUP BY {keys}) AS first
        WHERE {rows}.fault IS NULL AND {rows}.{ROW} > first.kept
          AND {" AND ".join(f"{rows}.{key} = first.{key}" for key in layout.key)}""")  # noqa: S608 — declared names


def _refuse_wrong_columns(connection: duckdb.DuckDBPyConnection, checked: Checked, root: Path) -> None:
    """Refuse a file with a column that is missing or of the wrong type in every row (two or more).

    Raises:
        SourceError: naming the column and how many rows.
    """
    found = connection.execute(f"""
        SELECT column_name, reason, count(*) AS rows FROM {checked.relation} GROUP BY ALL
        HAVING rows > 1 AND rows = (SELECT count(*) FROM {checked.relation})""").fetchall()  # noqa: S608 — our names
    if found and found[0][1] in _WHOLE_COLUMN:
        column, reason, rows = found[0]
        remedy = "Correct the column, or the file that was taken for this one."
        raise source_error(root / checked.raw.file, f"it {reason} in all of {rows} rows", remedy, column=column)


def land(
    connection: duckdb.DuckDBPyConnection,
    checked: Checked,
    columns: str = "*",
    parameters: dict[str, object] | None = None,
) -> Landed:
    """The checked rows as Arrow tables, in the order of the file.

    Args:
        connection: holds the checked rows.
        checked: the rows.
        columns: the SELECT list of the accepted rows, over the layout's columns and ROW.
        parameters: what ``columns`` binds.
    """
    listed = f"* EXCLUDE ({ROW}, column_name, reason)" if columns == "*" else columns
    accepted = connection.sql(
        f"SELECT {listed} FROM {checked.relation} WHERE reason IS NULL ORDER BY {ROW}",  # noqa: S608 — declared names
        params=parameters or {},
    ).to_arrow_table()
    rejected = rejected_rows(connection, checked)
    return Landed(
        accepted, rejected, count(connection, checked.raw.relation) + count(connection, checked.raw.malformed)
    )


def rejected_rows(connection: duckdb.DuckDBPyConnection, checked: Checked) -> pa.Table:
    """The rows with a fault and those that are malformed, each as it came, as JSON of texts."""
    raw = checked.raw
    texts = ", ".join(f"{sql_identifier(name)} := CAST(raw.{sql_identifier(name)} AS VARCHAR)" for name in raw.types)
    return (
        connection.sql(
            f"""SELECT $table AS source_table, $file AS source_file, * FROM (
                SELECT {ROW} AS row, column_name, reason, to_json(struct_pack({texts}))::VARCHAR AS record
                FROM {checked.relation} JOIN {raw.relation} AS raw USING ({ROW}) WHERE reason IS NOT NULL
                UNION ALL SELECT row, '' AS column_name, reason, record FROM {raw.malformed}
            ) ORDER BY row""",  # noqa: S608 — the file's own columns, quoted
            params={"table": checked.table, "file": raw.file},
        )
        .to_arrow_table()
        .cast(REJECTED_SCHEMA)
    )


def remember(connection: duckdb.DuckDBPyConnection, checked: Checked, column: str) -> str:
    """Make a table of a column's values in the valid rows, which references are checked against.

    Returns:
        Its SQL name, ``<table>_<column>``.
    """
    name = f"{checked.table}_{column}"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT DISTINCT {column} FROM {checked.relation} WHERE reason IS NULL"  # noqa: S608
    )
    return name


@cache
def empty(layout: Layout, ordinal: bool = False) -> pa.Table:
    """No rows, with the layout's columns and types."""
    names = (["CAST(NULL AS BIGINT) AS ordinal"] if ordinal else []) + [
        f"CAST(NULL AS {field.type}) AS {sql_identifier(field.name)}" for field in layout.fields
    ]
    with duckdb.connect(":memory:") as connection:
        return connection.sql(f"SELECT {', '.join(names)} WHERE false").to_arrow_table()
