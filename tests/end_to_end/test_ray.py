"""A home whose steps share their work out on a Ray cluster: the same days, vectors and lists, byte for byte."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.loopback_cluster import loopback_cluster
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.compute import Compute
from resources.embedding_cache import EmbeddingCache
from resources.retailer import Home
from tests.end_to_end.house import House

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]

LISTED = ("als", "hybrid", "transformer", "two_stage")
MADE = ["image_embeddings", *(f"recommendations/{name}" for name in LISTED)]


def test_what_the_cluster_makes_is_what_one_machine_makes(house: House, tmp_path: Path) -> None:
    shutil.copytree(house.home.root, tmp_path / "home")
    home = Home(tmp_path / "home")
    shutil.rmtree(home.store / "embedding_cache")
    with loopback_cluster(nodes=2, processors=2) as cluster:
        text = home.toml.read_text()
        home.toml.write_text(text.replace('executor = "local"', f'executor = "ray"\naddress = "{cluster.address}"'))
        result = (
            build_defs(home)
            .get_repository_def()
            .get_job("daily_retrain")
            .execute_in_process(
                instance=house.instance,
                partition_key=house.ds.isoformat(),
                asset_selection=[dg.AssetKey.from_user_string(asset) for asset in MADE],
            )
        )
    assert result.success
    events = result.get_asset_materialization_events()
    executors = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata.get("executor")
        for event in events
    }
    assert set(executors) == set(MADE)
    assert {found.value for found in executors.values() if found is not None} == {"ray"}
    now = House(home, house.instance, house.ds)
    for table in ("image_embeddings", "recommendations"):
        assert now.files(house.ds, table) == house.files(house.ds, table)
    used = house.store.read("image_embeddings", house.ds).to_pandas()
    [encoder_id], digests = used["encoder_id"].unique(), used["digest"].tolist()
    here, there = (EmbeddingCache(each.store).read(digests, encoder_id) for each in (house.home, home))
    assert len(there) > 100
    assert here.tobytes() == there.tobytes()


def test_networks_are_trained_on_the_cluster(house: House, tmp_path: Path) -> None:
    """Others than those of one process: the step of a recommender is a process of its own, which asks the cluster."""
    shutil.copytree(house.home.root, tmp_path / "home")
    home, names = Home(tmp_path / "home"), ["hybrid_model", "attribute_model"]
    with loopback_cluster(nodes=2, processors=1) as cluster:
        compute = Compute("cpu", 1, "ray", cluster.address, training_workers=2)
        result = (
            build_defs(home, compute=compute)
            .get_repository_def()
            .get_job("daily_retrain")
            .execute_in_process(
                instance=house.instance,
                partition_key=house.ds.isoformat(),
                asset_selection=[dg.AssetKey.from_user_string(name) for name in [*names, "attribute_metrics"]],
            )
        )
    assert result.success
    found = {
        event.materialization.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert {name: found[name]["replicas"].value for name in names} == dict.fromkeys(names, 2)
    now = House(home, house.instance, house.ds)
    for name in names:
        assert now.models(house.ds)[name] != house.models(house.ds)[name]
    assert not list((home.store / "_staging").glob("training-*"))
    # How good networks of one and of several processes are is compared in tests/nn and tests/resources: of this
    # catalogue a dozen articles are held out, and one seed differs from another by .3 of their F1.
    metrics = now.store.read("attribute_metrics", house.ds).to_pandas()
    assert set(metrics["model_id"]) == {now.models(house.ds)["attribute_model"]}


def test_a_search_on_the_cluster_leaves_what_one_machine_leaves(house: House, tmp_path: Path) -> None:
    config = {"model": "als", "trials": 5, "fixed": {"iterations": 2}, "parameters": ["regularization"], "k": 5}
    tables = ("tuning_trials", "tuning_parameters")

    def tuned(name: str, compute: Compute, at_once: int | None) -> dict[str, str]:
        home = Home(shutil.copytree(house.home.root, tmp_path / name))
        run_config = {"tune_recommender": config | {"at_once": at_once}}
        run_job(build_defs(home, compute=compute), house.instance, "tune", house.ds, config=run_config)
        return House(home, house.instance, house.ds).files(house.ds, *tables)

    with loopback_cluster(nodes=2, processors=1) as cluster:
        there = tuned("there", Compute("cpu", 1, "ray", cluster.address), None)
    assert there == tuned("here", Compute("cpu", 1), 2), "the room of the cluster, at once"
