"""The data dictionary is complete and current; Dagster gets the same facts."""

from pathlib import Path

import dagster
import pytest

from resources import data_dictionary
from resources.data_dictionary import PAGE, main, markdown
from resources.lineage_metadata import column_lineage, table_metadata, table_schema
from resources.publishing import VIEWS
from resources.schema import Column, Table
from resources.tables import REGISTRY

EXAMPLE = Table(
    "sales",
    "event",
    "What was sold | returned.",
    ("id", "size"),
    (
        Column("id", "VARCHAR", "The unit."),
        Column("size", "VARCHAR", "The size.", values=("S", "M")),
        Column("price", "DOUBLE", "The price.", unit="euro", nullable=True, low=0, high=9, lineage=("articles.price",)),
    ),
    upstreams=("articles",),
    part="size",
)


def test_the_page_in_the_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), "run python -m resources.data_dictionary"


@pytest.mark.parametrize("table", REGISTRY.values(), ids=REGISTRY)
def test_every_table_and_column_is_described(table: Table) -> None:
    section = markdown().split(f"\n### {table.name}\n")[1].split("\n### ")[0]
    assert table.description in section
    for column in table.columns:
        (row,) = [
            line for line in section.splitlines() if line.strip("| *").split("**")[0].split(" |")[0] == column.name
        ]
        assert column.description in row
        assert f"`{column.type}`" in row
        assert (" yes " in row) is not column.nullable


def test_every_view_is_described() -> None:
    views = markdown().split("\n## Views\n")[1]
    for file in VIEWS.glob("*.sql"):
        assert f"\n### {file.stem}\n\n" in views
    assert "how do floral dresses sell? Purchases only." in views
    assert "--" not in views


def test_a_table_reads_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "sales", EXAMPLE)
    page = markdown({"What sold": [EXAMPLE]})
    assert page.index("| **What sold** | | | |") < page.index("\n## What sold\n") < page.index("\n### sales\n")
    assert "| [sales](#sales) | event | id, size | What was sold \\| returned. |" in page
    facts = (
        "*event*: what happened on ds · key: `id, size` · may be empty · written by part, `size`"
        " · from [articles](#articles)"
    )
    assert facts in page
    assert "| **size** | `VARCHAR` | yes | one of S, M |  | The size. |  |" in page
    assert "| price | `DOUBLE` |  | from 0 to 9 | euro | The price. | `articles.price` |" in page


def test_the_command_writes_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "data_dictionary.md"
    monkeypatch.setattr(data_dictionary, "PAGE", page)
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8") + "by hand", encoding="utf-8")
    assert main(["--check"]) == 1
    assert "not current: run python -m resources.data_dictionary" in capsys.readouterr().out


def test_dagster_gets_types_and_constraints() -> None:
    schema = table_schema(EXAMPLE)
    assert [(column.name, column.type) for column in schema.columns] == [
        ("id", "VARCHAR"),
        ("size", "VARCHAR"),
        ("price", "DOUBLE"),
    ]
    assert schema.constraints == dagster.TableConstraints(other=["unique together: id, size"])
    assert schema.columns[1].constraints == dagster.TableColumnConstraints(nullable=False, other=["one of S, M"])
    price = dagster.TableColumnConstraints(nullable=True, other=["from 0 to 9", "unit: euro"])
    assert schema.columns[2].constraints == price
    assert table_schema(REGISTRY["articles"]).columns[0].constraints.unique


def test_dagster_gets_column_lineage() -> None:
    lineage = column_lineage(EXAMPLE).deps_by_column
    dependency = dagster.TableColumnDep(asset_key=dagster.AssetKey(["articles"]), column_name="price")
    assert lineage == {"price": [dependency]}


@pytest.mark.parametrize("table", REGISTRY.values(), ids=REGISTRY)
def test_every_table_makes_valid_asset_metadata(table: Table) -> None:
    @dagster.asset(name=table.name, metadata=table_metadata(table))
    def made() -> None: ...

    metadata = made.metadata_by_key[dagster.AssetKey([table.name])]
    assert set(metadata) == {"dagster/column_schema", "dagster/column_lineage"}
