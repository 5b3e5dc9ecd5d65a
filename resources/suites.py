"""Great Expectations suites, made from the registry.

What belongs here: the three suites of a :class:`~resources.schema.Table` (types, counts, rows), and the faults that a
declaration itself may have. What does not: their evaluation (:mod:`resources.contracts`), and any expectation that is
not declared in the registry. Every expectation carries ``meta``: name, about (the column at fault), expected (text).
"""

import os
import re
from typing import TYPE_CHECKING, Any

import duckdb

from resources.profile import declared_types, may_be_empty, range_text, row_columns, rules
from resources.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import great_expectations as gx


def type_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of the columns' types: judged on a frame with a row per partition and ``type_<column>``."""
    import_great_expectations()
    import great_expectations.expectations as gxe

    types = [
        gxe.ExpectColumnValuesToBeInSet(
            column=f"type_{name}", value_set=[kind], severity="critical",
            meta=_meta(f"type_{name}", name, kind),
        )
        for name, kind in declared_types(table).items()
    ]  # fmt: skip
    nothing = gxe.ExpectColumnValuesToBeInSet(
        column="undeclared", value_set=[""], severity="critical",
        meta=_meta("undeclared", None, "no undeclared columns"),
    )  # fmt: skip
    return _suite(table, "types", [*types, nothing])


def count_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of the exact counts: judged on the profile, which has a row per partition."""
    import_great_expectations()
    import great_expectations.expectations as gxe

    least = 0 if may_be_empty(table) else 1
    text = "any number of rows" if least == 0 else "at least 1 row"
    rows = gxe.ExpectColumnValuesToBeBetween(
        column="rows", min_value=least, severity="critical", meta=_meta("rows", None, text)
    )
    counts = [
        gxe.ExpectColumnValuesToBeBetween(
            column=rule.name, min_value=0, max_value=0, severity="critical",
            meta=_meta(rule.name, rule.column, rule.expected),
        )
        for rule in rules(table)
    ]  # fmt: skip
    return _suite(table, "counts", [rows, *counts])


def row_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of single values: judged on the rows themselves; nulls are left to the counts."""
    import_great_expectations()
    import great_expectations.expectations as gxe

    expectations = []
    for c in row_columns(table):
        common: dict[str, Any] = {"column": c.name, "severity": "critical"}
        if c.low is not None or c.high is not None:
            meta = _meta(f"row_range_{c.name}", c.name, range_text(c))
            expectations.append(
                gxe.ExpectColumnValuesToBeBetween(min_value=c.low, max_value=c.high, meta=meta, **common)
            )
        if c.values is not None:
            meta = _meta(f"row_values_{c.name}", c.name, f"one of {', '.join(c.values)}")
            expectations.append(gxe.ExpectColumnValuesToBeInSet(value_set=list(c.values), meta=meta, **common))
        if c.pattern is not None:
            meta = _meta(f"row_pattern_{c.name}", c.name, f"matches {c.pattern}")
            expectations.append(gxe.ExpectColumnValuesToMatchRegex(regex=c.pattern, meta=meta, **common))
    return _suite(table, "rows", expectations)


def suites(table: Table) -> list["gx.ExpectationSuite"]:
    """The Great Expectations suites of a table, to look at or to use elsewhere: types, counts, rows."""
    return [type_suite(table), count_suite(table), row_suite(table)]


def _meta(name: str, column: str | None, expected: str) -> dict[str, Any]:
    return {"name": name, "about": column, "expected": expected}


def _suite(table: Table, what: str, expectations: list[Any]) -> "gx.ExpectationSuite":
    import great_expectations as gx

    return gx.ExpectationSuite(name=f"{table.name}.{what}", expectations=expectations, meta={"table": table.name})


def import_great_expectations() -> None:
    """Import Great Expectations (seconds) so that it calls nobody and draws no bars."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401


def declaration_faults(table: Table, registry: "Mapping[str, Table]") -> list[str]:
    """What is wrong with a declaration, so that no partition, or the wrong ones, would satisfy it; empty where sound.

    Args:
        table: the declaration.
        registry: all tables by name, among which upstreams and lineage must be found.
    """
    names = [column.name for column in table.columns]
    faults = [f"column {name} is declared twice" for name in sorted({n for n in names if names.count(n) > 1})]
    faults += [f"key column {name} is not declared" for name in table.key if name not in names]
    faults += [f"key column {c.name} is nullable" for c in table.columns if c.name in table.key and c.nullable]
    faults += [f"upstream {name} is no table" for name in table.upstreams if name not in registry]
    if "ds" in names:
        faults.append("ds is the partition and may not be a column")
    if table.part is not None and table.part not in table.key:
        faults.append(f"part {table.part} is not in the key")
    faults += [fault for column in table.columns for fault in _column_faults(table, column, registry)]
    try:
        declared_types(table)
    except duckdb.Error as error:
        faults.append(f"a type is unknown: {error}")
    return [f"{table.name}: {fault}" for fault in faults]


def _column_faults(table: Table, column: Column, registry: "Mapping[str, Table]") -> list[str]:
    faults = []
    if column.low is not None and column.high is not None and column.low > column.high:
        faults.append(f"{column.name} is declared from {column.low:g} to {column.high:g}")
    if column.values is not None and (not column.values or len(set(column.values)) < len(column.values)):
        faults.append(f"the values of {column.name} are none, or repeat")
    if column.pattern is not None:
        try:
            re.compile(column.pattern)
        except re.error as error:
            faults.append(f"the pattern of {column.name} is none: {error}")
    for source in column.lineage:
        origin, _, name = source.partition(".")
        if origin not in table.upstreams:
            faults.append(f"{column.name} comes from {source}, but {origin} is no upstream")
        elif origin in registry and name not in registry[origin].by_name:
            faults.append(f"{column.name} comes from {source}, which is not declared")
    return faults
