"""What a table's declaration forbids, counted exactly in SQL over staged Parquet files.

What belongs here: the rules that follow from a :class:`~resources.schema.Table`, the profile (one row per staged
partition), examples of what breaks a rule, and the fixed sample of rows. What does not: the verdict
(:mod:`resources.contracts`), and any rule that is about one particular table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from atelier.file_pattern import file_pattern
from resources.frames import rows_of
from resources.schema import Column, Table
from resources.staging import StagedFile, open_duckdb

if TYPE_CHECKING:
    import pandas as pd

#: Types that have values which are no number or no day: NaN, infinity, the days 'infinity' of some databases.
UNBOUNDED = ("DOUBLE", "FLOAT", "DATE", "TIMESTAMP")
UNBOUNDED_LISTS = ("DOUBLE[]", "FLOAT[]")
DUPLICATES = "duplicate_keys"
#: The column of the profile that counts a partition's rows.
ROWS = "rows"
ABSENT = "absent"
EXAMPLE_LENGTH = 200


@dataclass(frozen=True)
class Rule:
    """One thing that a declaration forbids.

    Attributes:
        name: the column of the profile that counts the rows which break it.
        column: the column at fault; for duplicate keys all of the key.
        expected: what should be, for people.
        violation: an SQL condition that holds for exactly the rows which break it. Its names come from the registry,
            its values are ``parameters``; ``staged_ds`` and ``staged_part`` are what the partition is staged as.
        parameters: the values in it, by name.
    """

    name: str
    column: str
    expected: str
    violation: str
    parameters: dict[str, Any] = field(default_factory=dict)


def may_be_empty(table: Table) -> bool:
    """Whether a partition without rows is ordinary.

    It is for events (a day without sales) and for tables whose key has several columns: they hold facts about things,
    of which there may be none. A table whose key is one column lists the things themselves, every article or every
    customer, and is never empty, unless the registry says otherwise.
    """
    return table.kind == "event" or len(table.key) > 1 or table.may_have_no_rows


def rules(table: Table) -> list[Rule]:
    """Everything that ``table`` forbids, in the order of its columns; duplicate keys last."""
    found = [rule for column in table.columns for rule in _column_rules(table, column)]
    key = ", ".join(table.key)
    return [*found, Rule(DUPLICATES, key, f"unique: {key}" if len(table.key) > 1 else "unique", "false")]


def _column_rules(table: Table, column: Column) -> Iterator[Rule]:
    name, value = column.name, f'"{column.name}"'
    if not column.nullable:
        yield Rule(f"null_{name}", name, "never null", f"{value} IS NULL")
    if column.type in UNBOUNDED:
        yield Rule(f"not_finite_{name}", name, "finite", f"NOT isfinite({value})")
    if column.type in UNBOUNDED_LISTS:
        broken = f"list_count({value}) < len({value}) OR NOT isfinite(coalesce(list_sum({value}), 0))"
        yield Rule(f"not_finite_{name}", name, "every element finite", broken)
    bounds = {side: bound for side, bound in (("low", column.low), ("high", column.high)) if bound is not None}
    if bounds:
        sides = [f"{value} {'<' if side == 'low' else '>'} ${side}_{name}" for side in bounds]
        parameters = {f"{side}_{name}": bound for side, bound in bounds.items()}
        yield Rule(f"outside_{name}", name, range_text(column), " OR ".join(sides), parameters)
    if column.values is not None:
        text, broken = f"one of {', '.join(column.values)}", f"NOT list_contains($values_{name}, {value})"
        yield Rule(f"unlisted_{name}", name, text, broken, {f"values_{name}": list(column.values)})
    if column.pattern is not None:
        text, broken = f"matches {column.pattern}", f"NOT regexp_matches({value}, $pattern_{name})"
        yield Rule(f"unmatched_{name}", name, text, broken, {f"pattern_{name}": column.pattern})
    if table.kind == "event" and column.type == "TIMESTAMP":
        yield Rule(f"other_day_{name}", name, "its date is ds", f"CAST({value} AS DATE) <> staged_ds")
    if name == table.part:
        yield Rule(f"other_part_{name}", name, "the part that is written", f"{value} <> staged_part")


def range_text(column: Column) -> str:
    """The allowed range in the column's unit, for people, for example ``from 0 to 130``."""
    if column.low is None:
        return f"at most {column.high:g}"
    return f"at least {column.low:g}" if column.high is None else f"from {column.low:g} to {column.high:g}"


def allowed_text(column: Column) -> str:
    """Which values a column may hold, for people; empty where it may hold all values of its type."""
    found = []
    if column.values is not None:
        found.append(f"one of {', '.join(column.values)}")
    if column.low is not None or column.high is not None:
        found.append(range_text(column))
    if column.pattern is not None:
        found.append(f"matches `{column.pattern}`")
    return "; ".join(found)


def row_columns(table: Table) -> list[Column]:
    """The columns whose values are also evaluated one by one, on rows."""
    return [c for c in table.columns if c.values or c.pattern or c.low is not None or c.high is not None]


@cache
def declared_types(table: Table) -> dict[str, str]:
    """The declared type of each column, spelt as DuckDB spells it.

    Raises:
        duckdb.Error: a type is none that DuckDB knows.
    """
    with duckdb.connect() as connection:
        found = connection.sql(f"DESCRIBE SELECT {table.nulls}").fetchall()
    return {name: kind for name, kind, *_ in found}


class StagedTable:
    """Staged partitions of one table, open in a DuckDB of their own. A context manager.

    Args:
        table: what they should be.
        staged: one or many, at least one; no two of the same day and part.
        threads: threads of DuckDB.
        memory_limit: beyond it DuckDB spills, beside the first staged file.
    """

    def __init__(
        self, table: Table, staged: Sequence[StagedFile], *, threads: int = 2, memory_limit: str = "4GB"
    ) -> None:
        import pyarrow as pa

        self.table = table
        self.staged = staged
        self.rules = rules(table)
        spill = Path(staged[0].path).parent / "spill-audit"
        self._connection = open_duckdb(spill, threads=threads, memory_limit=memory_limit)
        frame = {
            "staged_ds": pa.array([s.ds for s in staged], pa.date32()),
            "staged_part": pa.array([s.part for s in staged], pa.string()),
            "staged_path": pa.array([str(s.path) for s in staged], pa.string()),
        }
        self._connection.register("staged", pa.table(frame))
        self._files = sorted({str(s.path) for s in staged})
        self._patterns = [file_pattern(path) for path in self._files]
        self._rows = (
            "(SELECT * FROM read_parquet($files, filename = 'staged_path', hive_partitioning = false)"
            " JOIN staged USING (staged_path))"
        )

    def __enter__(self) -> "StagedTable":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def schema(self) -> "pd.DataFrame":
        """One row per staged partition and column: ds, part, column, found and declared (types, or ``absent``)."""
        import pandas as pd

        declared = declared_types(self.table)
        by_file = {path: self._types(path) for path in self._files}
        rows = [
            (s.ds.isoformat(), s.part, name, by_file[str(s.path)].get(name, ABSENT), declared.get(name, ABSENT))
            for s in self.staged
            for name in dict.fromkeys([*declared, *by_file[str(s.path)]])
        ]
        return pd.DataFrame(rows, columns=["ds", "part", "column", "found", "declared"])

    def _types(self, path: str) -> dict[str, str]:
        sql = "DESCRIBE SELECT * FROM read_parquet($path, hive_partitioning = false)"
        return {name: kind for name, kind, *_ in self._connection.execute(sql, {"path": file_pattern(path)}).fetchall()}

    def rule(self, name: str) -> Rule:
        """The rule of that name."""
        return next(rule for rule in self.rules if rule.name == name)

    def profile(self) -> "pd.DataFrame":
        """One row per staged partition: ds, part, rows, then for each rule how many rows break it. Exact.

        Duplicate keys count the rows beyond the first of each key.
        """
        counted = [rule for rule in self.rules if rule.name != DUPLICATES]
        counts = ", ".join(f'count(*) FILTER ({rule.violation}) AS "{rule.name}"' for rule in counted)
        names = ", ".join(f'coalesce("{rule.name}", 0) AS "{rule.name}"' for rule in counted)
        # As many hashes as rows proves that no key repeats, in a fraction of the memory that the keys would take.
        sql = f"""
            WITH counts AS (
                SELECT staged_ds, staged_part, count(*) AS row_count, {counts},
                       count(*) - count(DISTINCT hash({self.table.order})) AS suspects
                FROM {self._rows} GROUP BY staged_ds, staged_part
            )
            SELECT CAST(s.staged_ds AS VARCHAR) AS ds, s.staged_part AS part, coalesce(row_count, 0) AS "rows", {names},
                   coalesce(suspects, 0) AS suspects
            FROM staged AS s LEFT JOIN counts AS c
              ON s.staged_ds = c.staged_ds AND s.staged_part IS NOT DISTINCT FROM c.staged_part
            ORDER BY s.staged_ds, s.staged_part
        """  # noqa: S608 - names of the registry; every value is bound
        parameters = {name: value for rule in counted for name, value in rule.parameters.items()}
        frame = self._connection.execute(sql, {"files": self._patterns, **parameters}).df()
        frame[DUPLICATES] = self._duplicates(frame) if int(frame["suspects"].sum()) else 0
        return frame.drop(columns="suspects")

    def broken(self, profile: "pd.DataFrame") -> "pd.DataFrame":
        """One row per staged partition and rule of a :meth:`profile`: ``broken``, how many rows break it.

        No rows where there have to be some are a broken rule too, and so is a count that the profile lacks.
        """
        counts = profile.reindex(columns=[rule.name for rule in self.rules], fill_value=1)
        if not may_be_empty(self.table):
            counts[ROWS] = (profile[ROWS] == 0).astype("int64")
        return counts.melt(value_name="broken")

    def _duplicates(self, profile: "pd.DataFrame") -> "pd.Series[int]":
        import pandas as pd

        sql = f"""
            SELECT CAST(staged_ds AS VARCHAR) AS ds, staged_part AS part, CAST(sum(times - 1) AS BIGINT) AS repeated
            FROM ({self._repeated()}) GROUP BY ALL
        """  # noqa: S608 - names of the registry
        repeated = self._connection.execute(sql, {"files": self._patterns}).fetchall()
        by_partition = {(ds, part): count for ds, part, count in repeated}
        parts = [None if pd.isna(part) else part for part in profile["part"]]
        return pd.Series([by_partition.get(partition, 0) for partition in zip(profile["ds"], parts, strict=True)])

    def _repeated(self) -> str:
        return (
            f"SELECT staged_ds, staged_part, {self.table.order}, count(*) AS times FROM {self._rows}"  # noqa: S608
            " GROUP BY ALL HAVING count(*) > 1"
        )

    def examples(self, rule: Rule, limit: int = 5) -> list[dict[str, str | None]]:
        """The first rows that break ``rule``, by day and key: ds, the key and the column at fault, all as text."""
        key = list(self.table.key)
        if rule.name == DUPLICATES:
            source, shown, where, parameters = f"({self._repeated()})", [*key, "times"], "true", {}
        else:
            shown = key if rule.column in key else [*key, rule.column]
            source, where, parameters = self._rows, rule.violation, rule.parameters
        texts = ", ".join(f'left(CAST("{name}" AS VARCHAR), {EXAMPLE_LENGTH}) AS "{name}"' for name in shown)
        sql = f"""
            SELECT CAST(staged_ds AS VARCHAR) AS ds, {texts} FROM (SELECT * FROM {source} WHERE {where})
            ORDER BY staged_ds, staged_part, {self.table.order} LIMIT $n
        """  # noqa: S608 - names of the registry; every value is bound
        return rows_of(self._connection.execute(sql, {"files": self._patterns, "n": limit, **parameters}))

    def rows(self, columns: Sequence[Column], total: int, limit: int) -> "pd.DataFrame":
        """The values of ``columns``: of all ``total`` rows, or of about ``limit`` chosen by a hash of their key."""
        names = ", ".join(f'"{column.name}"' for column in columns)
        sql, bound = f"SELECT {names} FROM {self._rows}", {"files": self._patterns}  # noqa: S608 - names of the registry
        if total <= limit:
            return self._connection.execute(sql, bound).df()
        sample = f"{sql} WHERE hash({self.table.order}) % 1000000 < $share"
        return self._connection.execute(sample, {**bound, "share": limit * 1_000_000 // total}).df()
