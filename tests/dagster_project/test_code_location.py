"""The code location as a whole: it loads as the server loads it, quickly, and holds what it should, by name."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import assets.daily
from assets.on_demand import STAGES as ALL_STAGES
from assets.recommenders import fitted_daily
from assets.results import table_of
from assets.stage import Stage, stage, without_other_recommenders
from assets.step import Step
from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from resources.feature_store import FeatureStore
from resources.retailer import Home, Settings, SettingsError
from resources.settings_file import write_settings
from resources.storage import LOCKS
from resources.tables import REGISTRY

REPOSITORY = Path(assets.daily.__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

#: Every model, and those that can compare articles.
MODELS = ("popular", "repeat", "als", "hybrid", "transformer", "two_tower", "two_stage")
COMPARING = ("als", "hybrid", "transformer", "two_tower")
#: The stages of a home whose atelier.toml does not say which recommenders are fitted.
STAGES = without_other_recommenders(ALL_STAGES, MODELS)
GROUPS = {
    "raw": {"articles", "customers", "interactions", "annotated_attributes", "outfits", "outfit_feedback", "images"},
    "images": {"image_embeddings", "image_backbone", "catalogue_map"},
    "attributes": {
        "attribute_model",
        "attribute_metrics",
        "predicted_attributes",
        "catalogue_errors",
        "catalogue_error_shares",
    },
    "features": {"article_features", "customer_features", "article_vectors", "vector_space"},
    "recommenders": {
        *(f"{name}_model" for name in MODELS),
        *(f"recommendations/{name}" for name in MODELS),
        "article_index",
        *(f"similar_articles/{name}" for name in (*COMPARING, "image")),
        "image_index",
        "out_of_stock_replacement",
        "outfit_model",
        "complementary_articles",
    },
    "studies": {
        "attribute_study",
        "attribute_confusions",
        "recommender_study",
        "recommender_study_tests",
        "recommender_neighbours",
        "tuning_trials",
        "tuning_parameters",
        "sequence_study",
    },
    "gates": {"gates", "champions", "recipe_gates", "recipe_verdict"},
    "business": {"business_figures", "attribute_sales"},
    "evaluation": {"offline_metrics", "customer_metrics", "model_comparisons"},
    "monitoring": {"day_figures", "drift"},
    "published": {"feature_store", "ingested_store", "report", "completeness"},
}
ASSETS = set().union(*GROUPS.values())
JUDGED = GROUPS["evaluation"]
#: What a job of its own makes, when somebody starts it.
ON_DEMAND = {
    "attribute_study": {"attribute_study", "attribute_confusions"},
    "recommender_study": {"recommender_study", "recommender_study_tests", "recommender_neighbours"},
    "sequence_study": {"sequence_study"},
    "tune": {"tuning_trials", "tuning_parameters"},
    "recipe_gate": {"recipe_gates", "recipe_verdict"},
    "image_backbone": {"image_backbone"},
}
#: Not tables: models, and what is made for people.
NO_CONTRACT = {
    "attribute_model",
    "image_backbone",
    "vector_space",
    *(f"{name}_model" for name in MODELS),
    "article_index",
    "image_index",
    "outfit_model",
    "feature_store",
    "ingested_store",
    "report",
    "completeness",
    "recipe_verdict",
}
#: Their work is done in a process of its own, whose failure is recorded and stops no other step.
ISOLATED = GROUPS["recommenders"] | {"catalogue_map", "gates", "champions", "day_figures", "drift"}
INGESTED = {"contract", "rows_add_up", "few_rows_rejected"}
EARLIER = "rows_against_earlier_days"
CHECKS = {
    **{table: {"contract"} for table in ASSETS - NO_CONTRACT},
    "articles": {*INGESTED, EARLIER},
    "customers": {*INGESTED, EARLIER},
    "interactions": {*INGESTED, EARLIER, "days_have_rows", "days_are_complete"},
    "annotated_attributes": {*INGESTED, EARLIER, "label_distribution", "label_values"},
    "outfits": INGESTED,
    "outfit_feedback": INGESTED,
    "images": {*INGESTED, EARLIER, "images_decoded"},
    "image_embeddings": {"contract", "images_encoded", "vectors_have_length", "encoder_not_from_future"},
    "image_backbone": {"better_than_before"},
    "catalogue_map": {"contract", "variance_explained", "made"},
    "gates": {"contract", "tonights_models_pass", "made"},
    "champions": {"contract", "made"},
    "recipe_gates": {"contract", "candidate_passes"},
    "attribute_model": {"above_majority", "coverage"},
    "predicted_attributes": {"contract", "every_article_has_attributes"},
    **{f"{name}_model": {"made", "preset_not_from_future", "serves_customers"} for name in MODELS},
    **{f"recommendations/{name}": {"contract", "every_customer_is_served", "made"} for name in MODELS},
    **{f"similar_articles/{name}": {"contract", "made"} for name in COMPARING},
    "similar_articles/image": {"contract", "made"},
    "out_of_stock_replacement": {"contract", "made"},
    "article_index": {"index_recall", "made"},
    "image_index": {"image_index_recall", "made"},
    "outfit_model": {"outfits_to_learn_from", "answers_agree", "more_than_counting", "made"},
    "complementary_articles": {"contract", "articles_have_complements", "complements_can_be_offered", "made"},
    "offline_metrics": {"contract", "judged", "enough_customers"},
    "article_vectors": {"contract", "vectors_have_length"},
    "day_figures": {"contract", "nothing_drifted", "made"},
    "drift": {"contract", "made"},
    "feature_store": {"shows_the_day"},
    "ingested_store": {"shows_the_day"},
    "report": {"stands_alone"},
}

#: Each takes from a third of a second to several; a step is a process and would pay for all of them.
HEAVY = [
    "torch",
    "torchvision",
    "pandas",
    "pyarrow",
    "numpy",
    "great_expectations",
    "implicit",
    "sklearn",
    "scipy",
    "matplotlib",
    "PIL",
    "annoy",
    "optuna",
]

#: Loads what workspace.yaml names, as the code server does, and says what that brought with it.
PROBE = f"""
import importlib, json, os, sys, yaml
(target,) = yaml.safe_load(open("workspace.yaml"))["load_from"]
module = importlib.import_module(target["python_module"]["module_name"])
heavy = [name for name in {HEAVY!r} if name in sys.modules]
graph = module.defs.get_repository_def().asset_graph
print(json.dumps({{
    "location": target["python_module"]["location_name"],
    "heavy": heavy,
    "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
    "assets": [key.to_user_string() for key in graph.get_all_asset_keys()],
    "first_day": module.defs.get_repository_def().get_job("ingest").partitions_def.get_first_partition_key(),
}}))
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that nobody has initialised."""
    return Home(tmp_path / "home")


@pytest.fixture
def environment(home: Home, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just cloned the repository, with their own home folder."""
    unset = ("OPENBLAS_NUM_THREADS", "DAGSTER_DISABLE_TELEMETRY", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    homes = {"ATELIER_HOME": str(home.root), "DAGSTER_HOME": str(home.dagster)}
    return kept | homes | {"HOME": str(tmp_path / "me")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    """The definitions of a home that nobody has initialised."""
    return build_defs(Home(tmp_path_factory.mktemp("home") / "none")).get_repository_def()


def write_settings_of(home: Home, **changes: Any) -> Settings:
    settings = Settings(
        source="sample", path="retailer", first_day=date(2024, 12, 30), last_day=date(2025, 1, 2), horizon=2, **changes
    )
    write_settings(home, settings)
    return settings


def test_a_fresh_clone_loads_without_a_heavy_library_and_writes_nothing(
    environment: dict[str, str], home: Home
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True
    )
    loaded = json.loads(done.stdout)
    assert loaded["location"] == "atelier"
    assert loaded["heavy"] == []
    assert loaded["blas_threads"] == "1", "ALS gives other numbers with more, whoever starts the code server"
    assert set(loaded["assets"]) == ASSETS
    assert loaded["first_day"] == "2025-03-03", "the demo's retailer, until another one is chosen"
    assert not home.root.exists()


def test_dg_checks_the_definitions_and_phones_nobody(environment: dict[str, str], home: Home, tmp_path: Path) -> None:
    write_dagster_yaml(home)
    environment["VIRTUAL_ENV"] = str(BIN.parent)
    done = subprocess.run(
        [BIN / "dg", "check", "defs"], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All definitions loaded successfully" in done.stdout
    written = [path for folder in (home.root, tmp_path / "me") for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in written if "telemetry" in path.as_posix()]
    assert "telemetry" not in (done.stdout + done.stderr).lower()


def test_dg_launch_without_dagster_s_home_writes_nothing_and_says_what_to_set(
    environment: dict[str, str], home: Home
) -> None:
    settings = write_settings_of(home)
    del environment["DAGSTER_HOME"]
    command = [BIN / "dg", "launch", "--job", "ingest", "--partition", str(settings.first_day)]
    environment["VIRTUAL_ENV"] = str(BIN.parent)
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"set ATELIER_HOME={home.root} and DAGSTER_HOME={home.dagster}" in done.stdout + done.stderr
    assert not home.store.exists()


@pytest.mark.parametrize(
    ("given", "atelier", "dagster"),
    [
        ({}, "{repository}/var", "{repository}/var/dagster"),
        ({"ATELIER_HOME": "{home}"}, "{home}", "{home}/dagster"),
        ({"ATELIER_HOME": "{home}", "DAGSTER_HOME": "/elsewhere"}, "{home}", "{home}/dagster"),
        ({"DAGSTER_HOME": "{home}/dagster"}, "{home}", "{home}/dagster"),
        ({"DAGSTER_HOME": "{home}"}, "{repository}/var", "{repository}/var/dagster"),
        ({"ATELIER_HOME": ""}, "{repository}/var", "{repository}/var/dagster"),
    ],
)
def test_make_serves_one_home(home: Home, given: dict[str, str], atelier: str, dagster: str) -> None:
    write_settings_of(home)
    write_dagster_yaml(home)
    places = {"home": str(home.root), "repository": str(REPOSITORY)}
    kept = {name: value for name, value in os.environ.items() if name not in ("ATELIER_HOME", "DAGSTER_HOME")}
    shown = subprocess.run(
        ["make", "--no-print-directory", "--eval", "homes: ; @echo $$ATELIER_HOME $$DAGSTER_HOME", "homes"],
        cwd=REPOSITORY,
        env=kept | {name: value.format(**places) for name, value in given.items()},
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == [atelier.format(**places), dagster.format(**places)]


def test_assets_stand_in_their_groups(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    found: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        found.setdefault(graph.get(key).group_name or "", set()).add(key.to_user_string())
    assert found == GROUPS


def test_every_asset_has_its_checks(repository: dg.RepositoryDefinition) -> None:
    found: dict[str, set[str]] = {}
    for key in repository.asset_graph.asset_check_keys:
        found.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    assert found == CHECKS


def test_every_table_of_the_registry_that_a_stage_writes_has_a_blocking_contract() -> None:
    produced = {asset for each in STAGES for asset in each.produces}
    assert {asset for asset in produced if table_of(asset)} == ASSETS - NO_CONTRACT
    # `rejected` is written beside the raw tables; the other tables belong to stages that are not here yet.
    assert {"articles", "interactions", "recommendations/als", "offline_metrics"} <= produced


def test_a_home_says_which_recommenders_its_daily_job_fits(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_settings(home, Settings(source="sample", path="retailer", first_day=date(2025, 3, 3), serving_model="repeat"))
    home.toml.write_text('recommenders = ["sequencer", "popular", "repeat"]\n' + home.toml.read_text())
    assert fitted_daily(home.settings) == ("popular", "repeat", "sequencer"), "in the order of the leaderboard"
    graph = build_defs(home).get_repository_def().asset_graph
    made = {key.to_user_string() for key in graph.executable_asset_keys}
    named = {asset for asset in made if "recommendations/" in asset or asset.startswith(("article_index", "similar_"))}
    assert named == {"recommendations/popular", "recommendations/repeat", "recommendations/sequencer"} | {
        "similar_articles/sequencer",
        "similar_articles/image",
    }
    assert {asset for asset in made if asset.endswith("_model")} == {
        "attribute_model",
        "outfit_model",
        *(f"{name}_model" for name in ("popular", "repeat", "sequencer")),
    }
    assert graph.get(dg.AssetKey("offline_metrics")).parent_keys.isdisjoint({dg.AssetKey("als_model")})
    assert graph.external_asset_keys == set(), "no stage depends on what is not made"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ('["popular"]', r"serving_model: 'als' is not fitted daily; take one of popular, or add it to recommenders"),
        ('["als"]', "recommenders: popular serves whom the others cannot serve; add it"),
        ('["popular", "als", "als2"]', "recommenders: there is no 'als2'; there are popular, repeat, "),
    ],
)
def test_recommenders_that_cannot_be_the_daily_ones(tmp_path: Path, names: str, message: str) -> None:
    home = Home(tmp_path)
    write_settings(home, Settings(source="sample", path="retailer", first_day=date(2025, 3, 3)))
    home.toml.write_text(f"recommenders = {names}\n" + home.toml.read_text())
    with pytest.raises(SettingsError, match=rf"atelier\.toml: {message}"):
        build_defs(home)


def test_only_contracts_block(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    blocking = {key.asset_key.to_user_string() for key in graph.asset_check_keys if graph.get(key).blocking}
    assert {key.name for key in graph.asset_check_keys if graph.get(key).blocking} == {"contract"}
    assert blocking == ASSETS - NO_CONTRACT - ISOLATED, "a recommender that breaks its contract stops nobody else"


def test_what_may_fail_alone_is_isolated() -> None:
    assert {asset for each in STAGES if each.isolated for asset in each.produces} == ISOLATED


def test_what_is_published_waits_for_all_that_may_fail_alone(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    upstream = {key for asset in ("feature_store", "report") for key in graph.get(dg.AssetKey(asset)).parent_keys}
    names = {key.to_user_string() for key in upstream}
    assert names >= {asset for asset in ISOLATED if not asset.endswith("_model")}


def test_no_asset_may_be_left_out_by_a_run_that_succeeds(repository: dg.RepositoryDefinition) -> None:
    """Dagster would skip what comes after it, and call a backfill of it failed although its runs succeeded."""
    outputs = [output for each in repository.assets_defs_by_key.values() for output in each.node_def.output_defs]
    assert outputs
    assert all(output.is_required for output in outputs)


def test_every_asset_has_a_description_a_code_version_and_tables_their_columns(
    repository: dg.RepositoryDefinition,
) -> None:
    graph = repository.asset_graph
    for each in STAGES:
        for asset in each.produces:
            node = graph.get(dg.AssetKey.from_user_string(asset))
            assert node.description, asset
            assert node.code_version == each.code_version, asset
            if table := table_of(asset):
                schema = node.metadata["dagster/column_schema"]
                assert [column.name for column in schema.columns] == [c.name for c in REGISTRY[table].columns], asset


def test_jobs_hold_what_their_names_say(repository: dg.RepositoryDefinition) -> None:
    jobs = {
        job.name: {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        for job in repository.get_all_jobs()
        if job.name != "__ASSET_JOB"
    }
    assert jobs == {
        "ingest": GROUPS["raw"] | {"ingested_store"},
        "daily_retrain": ASSETS - JUDGED - {"ingested_store"} - set().union(*ON_DEMAND.values()),
        "judge": JUDGED | {"feature_store", "report"},
        **ON_DEMAND,
    }


def test_the_longest_trainings_begin_before_others_that_are_ready(repository: dg.RepositoryDefinition) -> None:
    nodes = repository.get_job("daily_retrain").nodes
    first = {node.name for node in nodes if int(node.definition.tags.get("dagster/priority", 0)) > 0}
    assert first == {"attribute_model", "transformer_model"}


def test_schedules_are_there_and_stopped(repository: dg.RepositoryDefinition) -> None:
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {name: each.job_name for name, each in schedules.items()} == {
        "daily_retrain_nightly": "daily_retrain",
        "judge_nightly": "judge",
    }
    assert {each.default_status for each in schedules.values()} == {dg.DefaultScheduleStatus.STOPPED}


def test_history_is_one_run_and_a_model_is_trained_for_one_day(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    ranged = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).backfill_policy == dg.BackfillPolicy.single_run()
    }
    assert ranged == GROUPS["raw"] | {"ingested_store"}


def test_the_days_are_those_of_the_settings(home: Home) -> None:
    settings = write_settings_of(home, time_zone="Asia/Tokyo")
    repository = build_defs(home).get_repository_def()
    for key in repository.asset_graph.get_all_asset_keys():
        days = repository.asset_graph.get(key).partitions_def
        assert isinstance(days, dg.DailyPartitionsDefinition)
        assert days.get_partition_keys() == ["2024-12-30", "2024-12-31", "2025-01-01", "2025-01-02"]
        assert days.timezone == settings.time_zone


def test_a_live_source_has_no_last_day(home: Home) -> None:
    write_settings(home, Settings(source="parquet", path="landing", first_day=date(2024, 12, 30)))
    days = build_defs(home).get_repository_def().get_job("ingest").partitions_def
    assert isinstance(days, dg.DailyPartitionsDefinition)
    assert days.end is None
    assert days.get_first_partition_key() == "2024-12-30"


def test_the_day_that_is_judged_is_a_horizon_earlier(home: Home) -> None:
    write_settings_of(home)
    repository = build_defs(home).get_repository_def()
    judged = dg.AssetKey("offline_metrics")
    days = repository.get_job("judge").partitions_def
    assert days is not None
    mapping = repository.assets_defs_by_key[judged].get_partition_mapping(dg.AssetKey(["recommendations", "als"]))
    assert mapping is not None

    def upstream(day: str) -> list[str]:
        subset = days.empty_subset().with_partition_keys([day])
        mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, days, days)
        return list(mapped.partitions_subset.get_partition_keys())

    assert upstream("2025-01-02") == ["2024-12-31"]
    assert upstream("2024-12-31") == []


def test_broken_settings_stop_the_code_location_with_the_remedy(home: Home) -> None:
    home.root.mkdir(parents=True)
    home.toml.write_text('source = "sample"\npath = "retailer"\nfirst_day = "some day"\n')
    with pytest.raises(SettingsError, match=r"first_day.*atelier init"):
        build_defs(home)


def test_a_test_may_swap_a_stage_and_the_store(home: Home, tmp_path: Path) -> None:
    @stage(produces=["annotated_attributes"], group="raw", ranged=True)
    def annotated_attributes(step: Step) -> None:
        """Two labels."""
        import pandas as pd

        labels = pd.DataFrame({"article_id": ["b", "a"], "attribute": ["colour"] * 2, "value": ["red", "blue"]})
        step.write("annotated_attributes", labels)

    write_settings_of(home)
    store = FeatureStore(tmp_path / "elsewhere")
    stages: list[Stage] = [annotated_attributes if each.name == "annotated_attributes" else each for each in STAGES]
    job = build_defs(home, stages=stages, store=store).get_repository_def().get_job("ingest")
    labels = dg.AssetKey("annotated_attributes")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, partition_key="2025-01-01", asset_selection=[labels])
    assert result.success
    assert store.read("annotated_attributes", date(2025, 1, 1)).column("article_id").to_pylist() == ["a", "b"]
    assert [each.name for each in home.store.iterdir()] == [LOCKS]
    (materialised,) = result.asset_materializations_for_node("annotated_attributes")
    assert materialised.metadata["dagster/row_count"].value == 2


@pytest.mark.parametrize("table", sorted(GROUPS["raw"]))
def test_one_table_of_ingest_can_be_selected_alone(repository: dg.RepositoryDefinition, table: str) -> None:
    """What the UI does when somebody materialises one table: the checks of the others are not asked for."""
    job = repository.get_job("ingest").get_subset(asset_selection={dg.AssetKey(table)})
    assert {key.to_user_string() for key in job.asset_layer.selected_asset_keys} == {table}
