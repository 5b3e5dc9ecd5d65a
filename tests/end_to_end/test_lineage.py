"""Lineage after the DAG has run: every predicted value has it, it reproduces, and Dagster knows its part."""

from typing import Any

import dagster as dg
import duckdb
import pytest
from click.testing import CliRunner

from assets.attributes import predicted_attributes
from assets.report import report_path
from dagster_project.cli import cli
from resources.attribute_lineage import Tracer
from resources.lineage_metadata import column_lineage
from resources.model_store import ModelStore
from resources.tables import REGISTRY
from tests.end_to_end.house import House

pytestmark = pytest.mark.end_to_end

TABLE = "predicted_attributes"


def ask(house: House, sql: str) -> list[Any]:
    with duckdb.connect(str(house.home.database), read_only=True) as con:
        return con.sql(sql).fetchall()


def test_the_view_answers_for_every_row_of_every_day(house: House) -> None:
    counted = ask(house, "SELECT ds, count(*) FROM attribute_lineage GROUP BY ds ORDER BY ds")
    pointers = house.store.pointers(TABLE)
    assert counted == [(pointer.ds, pointer.rows) for pointer in pointers]
    assert len(counted) == 2
    assert ask(house, "SELECT count(*) FROM (SELECT DISTINCT ds, article_id, attribute FROM attribute_lineage)") == [
        (sum(pointer.rows for pointer in pointers),)
    ]
    assert ask(
        house,
        "SELECT count(*) FROM attribute_lineage WHERE run_id IS NULL OR run_id = '' OR written_at IS NULL"
        " OR data_version IS NULL OR (prediction IS NOT NULL AND (model_id IS NULL OR model_training_day <> ds"
        " OR model_code_version IS NULL OR model_seed IS NULL OR cardinality(model_upstreams) <> 4))",
    ) == [(0,)]


def test_the_runs_of_the_view_are_runs_of_dagster(house: House) -> None:
    for ds, run_id in ask(house, "SELECT DISTINCT ds, run_id FROM attribute_lineage"):
        run = house.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.tags["dagster/partition"] == str(ds)


def test_a_spread_of_values_reproduces(house: House) -> None:
    tracer = Tracer.of_home(house.home)
    rows = ask(
        house,
        "SELECT article_id, attribute, ds, confidence FROM attribute_lineage WHERE prediction IS NOT NULL"
        " ORDER BY hash(article_id, attribute, ds) LIMIT 12",
    )
    for article, attribute, ds, confidence in rows:
        found = tracer.trace(article, attribute, ds)
        assert found.reproduced, (article, attribute, found.unexplained, found.differences)
        assert found.explanation is not None
        assert found.explanation.probability == pytest.approx(confidence, abs=1e-5)
        assert all(photograph.problem is None for photograph in found.photographs)
        assert found.model is not None
        assert all(upstream.current for upstream in found.model.upstreams)


def test_a_data_version_is_the_one_that_the_step_recorded(house: House) -> None:
    models = ModelStore(house.home.store)
    manifest = models.bundle("als_model", models.pointer("als_model", house.ds)).manifest
    assert "interactions" in manifest.upstreams, "an event table, of all days up to this one"
    for table, version in manifest.upstreams.items():
        assert house.store.data_version(table, house.ds) == version, table


def test_the_command_and_the_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(house.home.root))
    ((article, attribute),) = ask(
        house,
        "SELECT article_id, attribute FROM latest_predicted_attributes WHERE source <> 'annotated'"
        " AND len(image_digests) > 0 ORDER BY ALL LIMIT 1",
    )
    page = house.home.root / "lineage.html"
    done = CliRunner().invoke(cli, ["lineage", article, attribute, "--page", str(page)])
    assert done.exit_code == 0, done.output
    assert f"{attribute} of {article}" in done.output
    assert "gave the stored value" in done.output
    assert "data:image/jpeg" in page.read_text()
    page.unlink()


def test_the_daily_page_leads_to_examples(house: House) -> None:
    daily = report_path(house.home.reports, house.ds)
    folder = daily.parent / f"ds={house.ds}-lineage"
    pages = list(folder.glob("*.html"))
    assert 2 <= len(pages) <= 4
    for page in pages:
        assert f'href="{folder.name}/{page.name}"' in daily.read_text()
        assert "does not reproduce" not in page.read_text()


def test_dagster_keeps_column_lineage_code_version_and_data_version(house: House) -> None:
    key = dg.AssetKey(TABLE)
    for pointer in house.store.pointers(TABLE):
        records = house.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[str(pointer.ds)]), limit=100
        ).records
        (record,) = [each for each in records if each.run_id == pointer.run_id]
        event = record.asset_materialization
        assert event is not None
        assert event.metadata["dagster/column_lineage"].value == column_lineage(REGISTRY[TABLE])
        sources = event.metadata["dagster/column_lineage"].value.deps_by_column["value"]
        assert dg.TableColumnDep(dg.AssetKey("articles"), "description") in sources
        assert dg.TableColumnDep(dg.AssetKey("images"), "digest") in sources
        tags = event.tags or {}
        assert tags["dagster/code_version"] == predicted_attributes.code_version
        assert len(tags["dagster/data_version"]) == 64
    upstream = {name for name in tags if name.startswith("dagster/input_data_version/")}
    assert {f"dagster/input_data_version/{name}" for name in ("attribute_model", "articles", "images")} <= upstream
