"""Which job makes what: the registry tells people in an error, the jobs do it."""

from pathlib import Path

import pytest

from assets.daily import STAGES
from assets.results import table_of
from assets.stage import without_other_recommenders
from atelier.recommenders import DAILY
from dagster_project.build import build_defs
from resources.retailer import Home
from resources.tables import REGISTRY


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    home = Home(Path(tmp_path_factory.mktemp("home")))
    repository = build_defs(home).get_repository_def()
    names = ("ingest", "daily_retrain", "judge")
    return {
        name: {key.to_user_string() for key in repository.get_job(name).asset_layer.executable_asset_keys}
        for name in names
    }


def test_the_job_that_a_missing_partition_names_makes_it(jobs: dict[str, set[str]]) -> None:
    daily = without_other_recommenders(STAGES, DAILY)
    made = {asset: table for stage in daily for asset in stage.produces if (table := table_of(asset))}
    assert made
    for asset, table in made.items():
        assert asset in jobs[REGISTRY[table].job], asset


def test_no_model_is_trained_to_judge_and_nothing_is_judged_when_training(jobs: dict[str, set[str]]) -> None:
    assert not {"als_model", "recommendations/als", "attribute_model"} & jobs["judge"]
    assert not {"offline_metrics", "customer_metrics", "model_comparisons"} & jobs["daily_retrain"]
    assert jobs["ingest"] == {
        "articles",
        "customers",
        "interactions",
        "annotated_attributes",
        "images",
        "outfits",
        "outfit_feedback",
        "ingested_store",
    }
