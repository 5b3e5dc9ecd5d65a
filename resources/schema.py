"""The vocabulary in which a table is described: Column and Table.

What belongs here: the two dataclasses and what follows from them alone (Arrow schema, SQL type list). What does not:
any table (:mod:`resources.tables`), any check of data (:mod:`resources.contracts`).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Kind = Literal["snapshot", "event", "derived"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: its name, the same wherever the same quantity stands.
        type: its DuckDB type, to which every write casts.
        description: one sentence for the data dictionary.
        unit: what a number counts or measures.
        nullable: whether null is an ordinary value.
        low: the smallest allowed value.
        high: the largest allowed value.
        values: the allowed values, where they are few.
        pattern: a regular expression that every text must match.
        lineage: what it is computed from, as ``table.column``.
    """

    name: str
    type: str
    description: str
    unit: str | None = None
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] | None = None
    pattern: str | None = None
    lineage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the feature store.

    Attributes:
        name: its name; also the name of the Dagster asset that writes it, where there is one.
        kind: ``snapshot`` (the whole state on ds), ``event`` (one day) or ``derived`` (computed).
        description: what it holds, for people.
        key: the columns that are unique together within a partition, and the order in which it is sorted.
        columns: its columns, in order. ``ds`` is not among them: it is the partition.
        upstreams: the tables it is computed from.
        part: the column whose values are written by different assets, each as a unit of its own.
        large: it can outgrow memory, so the published database shows it as a view instead of a copy.
        may_have_no_rows: a partition without rows is ordinary although its key is one column.
        job: the Dagster job that makes it: what an error names where a partition is missing.
    """

    name: str
    kind: Kind
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    upstreams: tuple[str, ...] = ()
    part: str | None = None
    large: bool = False
    may_have_no_rows: bool = False
    job: str = "daily_retrain"

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    # Pieces of SQL; they hold declared names and types only.

    @property
    def names(self) -> str:
        """The select list of all columns."""
        return ", ".join(f'"{column.name}"' for column in self.columns)

    @property
    def casts(self) -> str:
        """The select list that casts every column to its declared type."""
        return ", ".join(f'CAST("{column.name}" AS {column.type}) AS "{column.name}"' for column in self.columns)

    @property
    def nulls(self) -> str:
        """The select list of a null for every column, of its declared type."""
        return ", ".join(f'CAST(NULL AS {column.type}) AS "{column.name}"' for column in self.columns)

    @property
    def order(self) -> str:
        """The ORDER BY list of the key."""
        return ", ".join(f'"{name}"' for name in self.key)
