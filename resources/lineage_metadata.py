"""The registry in Dagster's words: table schemas and column lineage.

What belongs here: the translation of a :class:`~resources.schema.Table`. What does not: assets, and any fact about a
table. Attach both to an asset's metadata as ``dagster/column_schema`` and ``dagster/column_lineage``.
"""

from typing import TYPE_CHECKING, Any

from resources.profile import allowed_text
from resources.schema import Column, Table

if TYPE_CHECKING:
    import dagster


def table_schema(table: Table) -> "dagster.TableSchema":
    """The columns with types, descriptions and constraints, as Dagster shows them."""
    import dagster

    key = f"unique together: {', '.join(table.key)}"
    return dagster.TableSchema(
        columns=[_column(table, column) for column in table.columns],
        constraints=dagster.TableConstraints(other=[key] if len(table.key) > 1 else []),
    )


def _column(table: Table, column: Column) -> "dagster.TableColumn":
    import dagster

    other = [text for text in (allowed_text(column), f"unit: {column.unit}" if column.unit else "") if text]
    constraints = dagster.TableColumnConstraints(
        nullable=column.nullable, unique=table.key == (column.name,), other=other
    )
    return dagster.TableColumn(column.name, column.type, description=column.description, constraints=constraints)


def column_lineage(table: Table) -> "dagster.TableColumnLineage":
    """What each column is computed from; columns without declared lineage are left out."""
    import dagster

    return dagster.TableColumnLineage(
        {
            column.name: [
                dagster.TableColumnDep(asset_key=dagster.AssetKey([source]), column_name=name)
                for source, _, name in (origin.partition(".") for origin in column.lineage)
            ]
            for column in table.columns
            if column.lineage
        }
    )


def table_metadata(table: Table) -> dict[str, Any]:
    """The schema and the column lineage, by the names under which Dagster looks for them."""
    return {"dagster/column_schema": table_schema(table), "dagster/column_lineage": column_lineage(table)}
