"""What people who know Dagster expect of every asset and check, asserted over the whole code location."""

import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from assets.on_demand import STAGES
from assets.results import table_of
from assets.stage import COMPARED, Stage
from dagster_project.build import build_defs
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import promote_encoder, write_settings
from resources.tables import REGISTRY

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
PUBLISHED = {"feature_store", "report"}


def home_of(root: Path, last: date | None = LAST) -> Home:
    home = Home(root)
    write_settings(home, Settings(source="sample", path="retailer", first_day=FIRST, last_day=last))
    return home


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    return build_defs(home_of(tmp_path_factory.mktemp("home"))).get_repository_def()


Upstream = Callable[[str, str, date], list[str]]


@pytest.fixture
def upstream(repository: dg.RepositoryDefinition) -> Upstream:
    """The days of an asset on which a day of another depends."""

    def days_of(child: str, parent: str, day: date) -> list[str]:
        return upstream_of(repository, child, parent, day)

    return days_of


def upstream_of(repository: dg.RepositoryDefinition, child: str, parent: str, day: date) -> list[str]:
    keys = (dg.AssetKey.from_user_string(name) for name in (child, parent))
    found = repository.asset_graph.get_parent_partition_keys_for_child(
        day.isoformat(), *reversed(list(keys))
    ).partitions_subset
    return sorted(found.get_partition_keys())


def test_every_asset_says_what_it_is_and_whose(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    assert graph.get_all_asset_keys()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.tags["atelier/kind"], key
        assert node.group_name, key
        assert node.group_name != "default", key
        assert node.code_version, key


def test_owners_kinds_and_tags_are_those_of_the_group_and_the_table(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node, table = graph.get(key), table_of(key.to_user_string())
        team = "data-engineering" if node.group_name == "raw" else "machine-learning"
        assert node.owners == [f"team:{team}"], key
        assert node.kinds == ({"parquet", "duckdb"} if table else {"python"}), key
        assert node.tags["atelier/kind"] == (REGISTRY[table].kind if table else "made"), key


def test_every_check_says_what_it_checks_and_has_a_result_of_every_day(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    assert graph.asset_check_keys
    for key in graph.asset_check_keys:
        node = graph.get(key)
        assert node.description, key
        assert node.partitions_def == graph.get(key.asset_key).partitions_def, key


def test_every_table_every_model_and_what_is_published_is_checked(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    present = {key.to_user_string() for key in graph.get_all_asset_keys()}
    models = {asset for asset in present if asset.endswith(("_model", "_backbone", "_index"))}
    tables = {asset for asset in present if table_of(asset)}
    assert models
    assert models | tables | PUBLISHED <= checked


def test_every_step_that_publishes_waits_in_a_pool() -> None:
    pools = {each.name: each.pool for each in STAGES}
    assert pools["feature_store"] == pools["ingested_store"] == "feature_store"
    assert pools["image_embeddings"] == pools["fine_tune_backbone"] is not None


@pytest.mark.parametrize("reader", ["als_model", "customer_features", "offline_metrics", "tuning_trials"])
def test_who_reads_events_depends_on_all_earlier_days(upstream: Upstream, reader: str) -> None:
    assert upstream(reader, "interactions", FIRST) == ["2025-01-01"]
    assert upstream(reader, "interactions", FIRST + timedelta(days=2)) == ["2025-01-01", "2025-01-02", "2025-01-03"]


def test_the_window_of_events_is_the_longest_that_dagster_compares(upstream: Upstream) -> None:
    days = upstream("als_model", "interactions", LAST)
    assert len(days) == COMPARED
    assert days[-1] == LAST.isoformat()
    assert days[0] == (LAST - timedelta(days=COMPARED - 1)).isoformat()


def test_snapshots_are_read_of_the_same_day(upstream: Upstream) -> None:
    assert upstream("als_model", "articles", LAST) == [LAST.isoformat()]


def test_photographs_depend_on_the_backbone_that_was_promoted_and_on_no_other(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    before = build_defs(home).get_repository_def()
    backbone = dg.AssetKey("image_backbone")
    assert backbone in before.asset_graph.get(dg.AssetKey("image_embeddings")).parent_keys
    assert upstream_of(before, "image_embeddings", "image_backbone", LAST) == []
    jobs = {job.name: job.asset_layer.executable_asset_keys for job in before.get_all_jobs()}
    assert backbone not in jobs["daily_retrain"], "a night does not fine-tune"
    bundle = ModelStore(home.store).publish(
        "image_backbone",
        FIRST,
        lambda folder: (folder / "config.json").write_text("{}"),  # type: ignore[arg-type, return-value]
        {},
        seed=0,
        code_version="1",
        run_id="run",
    )
    promote_encoder(home, bundle.model_id)
    after = build_defs(home).get_repository_def()
    assert upstream_of(after, "image_embeddings", "image_backbone", LAST) == [FIRST.isoformat()]


def test_what_is_made_every_night_has_a_deadline_where_the_source_goes_on(
    repository: dg.RepositoryDefinition, tmp_path: Path
) -> None:
    def deadlines(last: date | None, folder: str) -> dict[str, object]:
        graph = build_defs(home_of(tmp_path / folder, last)).get_repository_def().asset_graph
        policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
        return {name: policy for name, policy in policies.items() if policy is not None}

    assert deadlines(LAST, "ended") == {}
    live = deadlines(None, "live")
    nightly = {key.to_user_string() for key in repository.get_job("daily_retrain").asset_layer.selected_asset_keys}
    assert nightly > PUBLISHED
    assert live.keys() == nightly
    assert {getattr(policy, "deadline_cron", None) for policy in live.values()} == {"0 8 * * *"}
    assert {getattr(policy, "timezone", None) for policy in live.values()} == {"Europe/London"}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.isolated], ids=lambda stage: stage.name)
def test_the_work_of_an_isolated_stage_is_found_by_its_name(stage: Stage) -> None:
    """So it is sent to its process: a decorator must not have taken the function's name for the stage."""
    work = stage.compute.func if isinstance(stage.compute, partial) else stage.compute
    assert getattr(sys.modules[work.__module__], work.__qualname__) is work
