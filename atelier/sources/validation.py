"""Which rows are valid, and what is wrong with the others.

What belongs here: the rules of a :class:`~atelier.sources.columns.Layout` as SQL, applied to a file's rows. What does
not: reading files (:mod:`atelier.sources.reading`), rules of one format only.

A row is rejected for one fault, the first that is found: by the order of the columns a required value that is missing,
of the wrong type or out of range; then an unknown reference; then the wrong day; then, among rows without a fault,
another row that is wrong, where rows count together; then a key that stood before. An optional value at fault becomes
null and the row is kept; each such fault is noted.
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
_DECIMALS = "is a number with decimals: write identifiers as text, or as whole numbers"
_ZONE = "has a time zone: give the retailer's own time"
_WHOLE_COLUMN = ("is null", "is blank", _DECIMALS, _ZONE, *(f"is not {noun}" for noun in _NOUN.values()))
# Whatever follows a date and a time says how to read it: Z, +02, UTC, Europe/Paris. DuckDB would leave it out silently.
# The T before a time of day is no zone: RE2 goes back over what it matched and would otherwise find one in T12:00.
_DAY = r"\s*\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_CLOCK = r"[T ]\s*\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?"
_DATE_AND_TIME = f"{_DAY}({_CLOCK})?"
_WITH_ZONE = rf"{_DAY}({_CLOCK}\s*([+-]\d|[A-Za-z])|\s*([+-]\d|[A-SU-Za-su-z]|[Tt][A-Za-z])).*"
_HALF_DAY = r"(?i).*\d\s*[ap]\.?m\.?\s*"
_WITH_DECIMALS = r"\s*[+-]?\d+\.(0*|\d*[eE][+-]?\d+)\s*"
_FAULT = "STRUCT(column_name VARCHAR, reason VARCHAR)"
CHECK_COLUMNS = f"{ROW}, column_name, reason, value_faults"
"""The columns of checked rows that are not the table's."""


@dataclass(frozen=True)
class Checked:
    """The outcome in DuckDB.

    Attributes:
        relation: a table with :data:`~atelier.sources.reading.ROW`, the layout's columns, ``column_name`` and
            ``reason`` (both null where the row is valid), and ``value_faults``: the faults of optional values, each
            with ``column_name`` and ``reason``; null where there are none.
        raw: the rows it was made from.
        table: what the rows are meant for.
        notes: what a person should know: the columns that the file lacks.
    """

    relation: str
    raw: Raw
    table: str
    notes: tuple[str, ...] = ()


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
        column = raw.column(field.column)
        if column is None:
            if field.may_lack:
                continue
            there = ", ".join(raw.types) or "none"
            raise source_error(
                root / raw.file, f"the column is missing; there are {there}", "Add it.", column=field.column
            )
        family, wanted = _family(raw.types[column]), _family(field.type)
        if family not in _ACCEPTED[wanted] | {"NULL"}:
            zone = " in the retailer's own time, without a time zone" if "ZONE" in family else ""
            problem = f"its type is {raw.types[column]}, which is not {_NOUN.get(wanted, 'text')}"
            raise source_error(root / raw.file, problem, f"Write it as {field.type}{zone}.", column=column)


def _given(field: Field, raw: Raw) -> str:
    """SQL for the field's value as the file has it; empty text is null, as in CSV, and so are spaces but for texts."""
    column = raw.column(field.column)
    assert column is not None  # noqa: S101 — the callers have looked; for the type checker
    given = sql_identifier(column)
    if not _is_text(raw.types[column]):
        return given
    text = f"CAST({given} AS VARCHAR)"
    return f"nullif({f'trim({text})' if _family(field.type) != 'VARCHAR' else text}, '')"


def _is_text(kind: str) -> bool:
    return _family(kind) in _TEXTS


def _parsed(field: Field, raw: Raw) -> str:
    """SQL for the field's value before its transform; null where it does not parse."""
    if field.expression:
        return field.expression
    if raw.column(field.column) is None:
        return f"CAST(NULL AS {field.type})"
    given, wanted = _given(field, raw), _family(field.type)
    if wanted == "VARCHAR":
        return f"nullif(CAST({given} AS VARCHAR), '')"
    if wanted in ("INTEGER", "SMALLINT"):
        return f"TRY_CAST(TRY_CAST({given} AS DOUBLE) AS {field.type})"
    parsed = f"TRY_CAST({given} AS {field.type})"
    return f"CASE WHEN {parsed} <= DATE '{LATEST}' THEN {parsed} END" if field.open_ended else parsed


def _faults(field: Field, raw: Raw) -> list[tuple[str, str]]:
    """Pairs of a SQL condition and the reason it stands for, the first that holds counting."""
    column = raw.column(field.column)
    if field.expression or column is None:
        return []
    given, value, wanted = _given(field, raw), _parsed(field, raw), _family(field.type)
    text = _is_text(raw.types[column])
    faults = [(f"{sql_identifier(column)} IS NULL", "is null")] if field.required else []
    if field.required and text:
        faults.append((rf"regexp_full_match(CAST({sql_identifier(column)} AS VARCHAR), '\s*')", "is blank"))
    if field.identifier and text:
        faults.append((f"regexp_full_match({given}, '{_WITH_DECIMALS}')", _DECIMALS))
    if wanted in _NUMERIC:
        faults += _number_faults(field, given, value)
    elif wanted in ("DATE", "TIMESTAMP"):
        faults += _time_faults(field, given, text)
    elif wanted == "BOOLEAN" and not text and _family(raw.types[column]) != "BOOLEAN":
        faults.append((f"{given} NOT IN (0, 1)", f"is not {_NOUN[wanted]}"))
    elif wanted != "VARCHAR":
        faults.append((f"{given} IS NOT NULL AND {value} IS NULL", f"is not {_NOUN[wanted]}"))
    if field.values:
        allowed = ", ".join(map(literal, field.values))
        faults.append((f"{value} NOT IN ({allowed})", f"is none of {', '.join(field.values)}"))
    return faults


def _time_faults(field: Field, given: str, text: bool) -> list[tuple[str, str]]:
    noun, parsed = f"is not {_NOUN[_family(field.type)]}", f"TRY_CAST({given} AS {field.type})"
    faults = []
    if text:
        zone = f"regexp_full_match({given}, '{_WITH_ZONE}') AND NOT regexp_full_match({given}, '{_HALF_DAY}')"
        faults = [(zone, _ZONE), (rf"NOT regexp_full_match({given}, '{_DATE_AND_TIME}\s*')", noun)]
    faults.append((f"{given} IS NOT NULL AND {parsed} IS NULL", noun))
    plausible = f"CAST({parsed} AS DATE) >= DATE '{EARLIEST}'"
    if not field.open_ended:
        plausible += f" AND CAST({parsed} AS DATE) <= DATE '{LATEST}'"
    return [*faults, (f"NOT ({plausible})", f"is not between {EARLIEST.year} and {LATEST.year}")]


def _number_faults(field: Field, given: str, value: str) -> list[tuple[str, str]]:
    number = f"TRY_CAST({given} AS DOUBLE)"
    faults = [
        (f"{given} IS NOT NULL AND {number} IS NULL", "is not a number"),
        (f"NOT isfinite({number})", "is not finite"),
    ]
    if field.type in ("INTEGER", "SMALLINT"):
        faults.append((f"{number} <> trunc({number})", "is not a whole number"))
    if field.low is not None:
        faults.append((f"{number} < {field.low}", "is negative" if field.low == 0 else f"is below {field.low:g}"))
    if field.high is not None:
        faults.append((f"{number} > {field.high}", f"is above {field.high:g}"))
    return [*faults, (f"{given} IS NOT NULL AND {value} IS NULL", f"does not fit {field.type}")]


def rows_query(raw: Raw, layout: Layout, known: Mapping[str, str]) -> str:
    """A SELECT of ROW, the layout's columns, ``fault`` and ``value_faults``; streams.

    ``fault`` (column_name, reason; null where the row is valid) is why the row is rejected, ``value_faults`` a list of
    the same for optional values, which are null then; null where there are none. Duplicates are not looked for. It
    binds ``$day`` where the layout has a day.

    Args:
        raw: the rows.
        layout: their rules.
        known: for tables that references name, the SQL name of a table with the column of known values; a reference
            to a table not named here is not checked.
    """
    values = ", ".join(f"{_parsed(field, raw)} AS {sql_identifier(field.name)}" for field in layout.fields)
    cases = {field: [_case(field.column, *fault) for fault in _faults(field, raw)] for field in layout.fields}
    required = [case for field in layout.fields if field.required for case in cases[field]]
    optional = {field: f"fault_{i}" for i, field in enumerate(layout.fields) if cases[field] and not field.required}
    found = "".join(f", {_cases(cases[field])} AS {name}" for field, name in optional.items())
    final = ", ".join(_final(field, optional.get(field)) for field in layout.fields)
    listed = f"nullif(list_filter([{', '.join(optional.values())}], lambda fault: fault IS NOT NULL), [])"
    value_faults = listed if optional else f"CAST(NULL AS {_FAULT}[])"
    return f"""
        SELECT * EXCLUDE (fault), coalesce(fault, {_cases(_late_faults(layout, known))}) AS fault FROM (
            SELECT {ROW}, {final}, {value_faults} AS value_faults, fault FROM (
                SELECT {ROW}, {values}, {_cases(required)} AS fault{found} FROM {raw.relation})
        ) AS parsed"""  # noqa: S608 — declared columns, and the file's own, quoted


def _final(field: Field, fault: str | None) -> str:
    """The table's value of a field; null where ``fault``, a column of faults, has one."""
    name = sql_identifier(field.name)
    value = (field.transform or "{0}").format(name)
    return f"CASE WHEN {fault} IS NULL THEN {value} END AS {name}" if fault else f"{value} AS {name}"


def _case(column: str, condition: str, reason: str) -> str:
    return f"WHEN {condition} THEN {{'column_name': {literal(column)}, 'reason': {literal(reason)}}}"


def _cases(cases: list[str]) -> str:
    nothing = f"CAST(NULL AS {_FAULT})"
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
    query = rows_query(raw, layout, _named(connection, raw, layout, known or {}))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {relation}_rows AS {query}", parameters)
    if image_root is not None:
        _mark_paths(connection, f"{relation}_rows", image_root)
    if layout.whole:
        _mark_companions(connection, f"{relation}_rows", layout.whole, raw)
    if layout.key:
        _mark_duplicates(connection, f"{relation}_rows", layout)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE {relation} AS
        SELECT * EXCLUDE (fault), fault.column_name AS column_name, fault.reason AS reason
        FROM {relation}_rows""")  # noqa: S608 — our own names only
    connection.execute(f"DROP TABLE {relation}_rows")
    checked = Checked(relation, raw, layout.table, _notes(raw, layout))
    _refuse_wrong_columns(connection, checked, root)
    return checked


def _named(connection: duckdb.DuckDBPyConnection, raw: Raw, layout: Layout, known: Mapping[str, str]) -> dict[str, str]:
    """Tables of those known values that the rows name; arguments as of :func:`check`.

    One day names few of a retailer's customers, and DuckDB would hash all of them for each day.
    """
    fields, named = {field.name: field for field in layout.fields}, {}
    for name, table in layout.references:
        if table in known:
            named[table] = f"{layout.table}_{table}_named"
            final, parsed = _final(fields[name], None), _parsed(fields[name], raw)
            connection.execute(f"""
                CREATE OR REPLACE TEMP TABLE {named[table]} AS
                SELECT {name} FROM {known[table]} WHERE {name} IN (
                    SELECT {final} FROM (SELECT {parsed} AS {name} FROM {raw.relation}))""")  # noqa: S608 — as above
    return named


def _notes(raw: Raw, layout: Layout) -> tuple[str, ...]:
    """A note that names the columns that the table has and the file lacks."""
    absent = [f.column for f in layout.fields if f.may_lack and not f.expression and raw.column(f.column) is None]
    return (f"{layout.table}: the files have no column {', '.join(absent)}: null in every row",) if absent else ()


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


def _mark_companions(connection: duckdb.DuckDBPyConnection, rows: str, name: str, raw: Raw) -> None:
    """Give a fault to every valid row that counts together with a wrong one; the fault names the first such row.

    A broken line of a CSV counts by what stands in the place of the column ``name``.
    """
    column = raw.column(name)
    assert column is not None  # noqa: S101 — a required column, which check_columns has looked for; for the type checker
    place = list(raw.types).index(column) + 1
    connection.execute(
        f"""
        UPDATE {rows} SET fault = {{
            'column_name': {literal(column)}, 'reason': 'counts together with row ' || first.row || ', which is wrong'
        }}
        FROM (SELECT value, min(row) AS row FROM (
                SELECT trim({name}) AS value, {ROW} AS row FROM {rows} WHERE fault IS NOT NULL
                UNION ALL SELECT trim(string_split(record ->> '$.line', ',')[$place], $around), row FROM {raw.malformed}
            ) GROUP BY value) AS first
        WHERE {rows}.fault IS NULL AND trim({rows}.{name}) = first.value""",  # noqa: S608 — declared names
        {"place": place, "around": ' "\r\t'},
    )


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
    found = connection.execute(
        f"""
        SELECT column_name, reason, count(*) AS rows FROM (
            SELECT column_name, reason FROM {checked.relation} WHERE reason IS NOT NULL
            UNION ALL SELECT unnest(value_faults, max_depth := 2) FROM {checked.relation}
        ) GROUP BY ALL
        HAVING rows > 1 AND rows = (SELECT count(*) FROM {checked.relation}) AND reason IN (SELECT unnest($whole))
        ORDER BY ALL""",  # noqa: S608 — our own names only
        {"whole": list(_WHOLE_COLUMN)},
    ).fetchall()
    if found:
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
    listed = f"* EXCLUDE ({CHECK_COLUMNS})" if columns == "*" else columns
    accepted = connection.sql(
        f"SELECT {listed} FROM {checked.relation} WHERE reason IS NULL ORDER BY {ROW}",  # noqa: S608 — declared names
        params=parameters or {},
    ).to_arrow_table()
    rejected = rejected_rows(connection, checked)
    rows = count(connection, checked.raw.relation) + count(connection, checked.raw.malformed)
    return Landed(accepted, rejected, rows, checked.notes)


def rejected_rows(connection: duckdb.DuckDBPyConnection, checked: Checked) -> pa.Table:
    """The rows and values with a fault, and the malformed rows, each row as it came, as JSON of texts."""
    raw = checked.raw
    texts = ", ".join(f"{sql_identifier(name)} := CAST(raw.{sql_identifier(name)} AS VARCHAR)" for name in raw.types)
    return (
        connection.sql(
            f"""SELECT $table AS source_table, $file AS source_file, * FROM (
                SELECT {ROW} AS row, column_name, reason, row_kept, to_json(struct_pack({texts}))::VARCHAR AS record
                FROM (
                    SELECT {ROW}, column_name, reason, false AS row_kept
                    FROM {checked.relation} WHERE reason IS NOT NULL
                    UNION ALL SELECT {ROW}, unnest(value_faults, max_depth := 2), true FROM {checked.relation}
                    WHERE reason IS NULL
                ) JOIN {raw.relation} AS raw USING ({ROW})
                UNION ALL SELECT row, '' AS column_name, reason, false AS row_kept, record FROM {raw.malformed}
            ) ORDER BY row, column_name""",  # noqa: S608 — the file's own columns, quoted
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
