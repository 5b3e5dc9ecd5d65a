"""Great Expectations suites, made from the registry.

What belongs here: the suites of a :class:`~resources.schema.Table` (types, counts, rows), and the faults that a
declaration itself may have. What does not: their evaluation (:mod:`resources.contracts`), and any expectation that is
not declared in the registry. Every expectation carries ``meta``: name, about (the column at fault), expected (text).
"""

import logging
import os
import re
from typing import TYPE_CHECKING, Any

import duckdb

from resources.profile import declared_types, may_be_empty, range_text, row_columns, rules
from resources.schema import Column, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import great_expectations as gx


def _expectation(kind: str, name: str, about: str | None, expected: str, **rules: Any) -> Any:
    """An expectation whose failure keeps a partition from being published.

    Importing Great Expectations takes seconds; here it calls nobody and logs warnings only.

    Args:
        kind: the class of Great Expectations, without ``ExpectColumn``.
        name: unique within the table.
        about: the column at fault; None for the table.
        expected: what should be, for people.
        rules: the arguments of that class.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations.expectations as gxe

    meta = {"name": name, "about": about, "expected": expected}
    return getattr(gxe, f"ExpectColumn{kind}")(meta=meta, severity="critical", **rules)


def ephemeral_context() -> "gx.data_context.EphemeralDataContext":
    """A context of Great Expectations in memory alone: no files, no progress bars, no analytics."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def type_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of the columns' types: evaluated on a frame with a row per partition and column."""
    columns = {"column_A": "found", "column_B": "declared"}
    equal = _expectation("PairValuesToBeEqual", "types", None, "the declared columns and types", **columns)
    return _suite(table, "types", [equal])


def count_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of the exact counts: evaluated on the profile, which has a row per partition."""
    between, empty = "ValuesToBeBetween", may_be_empty(table)
    text = "any number of rows" if empty else "at least 1 row"
    rows = _expectation(between, "rows", None, text, column="rows", min_value=0 if empty else 1)
    counts = [
        _expectation(between, rule.name, rule.column, rule.expected, column=rule.name, min_value=0, max_value=0)
        for rule in rules(table)
    ]
    return _suite(table, "counts", [rows, *counts])


def nothing_broken_suite(table: Table) -> "gx.ExpectationSuite":
    """That no rule is broken: a single expectation, on a frame with a row per partition and rule (``broken``)."""
    bounds = {"column": "broken", "min_value": 0, "max_value": 0}
    return _suite(table, "nothing_broken", [_expectation("ValuesToBeBetween", "counts", None, "none broken", **bounds)])


def row_suite(table: Table) -> "gx.ExpectationSuite":
    """What is expected of single values: evaluated on the rows themselves; nulls are left to the counts."""
    made = []
    for c in row_columns(table):
        if c.low is not None or c.high is not None:
            bounds = {"column": c.name, "min_value": c.low, "max_value": c.high}
            made.append(_expectation("ValuesToBeBetween", f"row_range_{c.name}", c.name, range_text(c), **bounds))
        if c.values is not None:
            among: dict[str, Any] = {"column": c.name, "value_set": list(c.values)}
            text = f"one of {', '.join(c.values)}"
            made.append(_expectation("ValuesToBeInSet", f"row_values_{c.name}", c.name, text, **among))
        if c.pattern is not None:
            text, like = f"matches {c.pattern}", {"column": c.name, "regex": c.pattern}
            made.append(_expectation("ValuesToMatchRegex", f"row_pattern_{c.name}", c.name, text, **like))
    return _suite(table, "rows", made)


def _suite(table: Table, what: str, expectations: list[Any]) -> "gx.ExpectationSuite":
    import great_expectations as gx

    return gx.ExpectationSuite(name=f"{table.name}.{what}", expectations=expectations, meta={"table": table.name})


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
