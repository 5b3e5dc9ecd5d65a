"""The gates in the daily DAG: what they store of ordinary days, and what a spoiled model does to a run."""

import shutil
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from assets.gates import CHECK
from atelier.recommenders import DAILY
from dagster_project.build import build_defs
from resources.champions import champions_before, champions_of, served_bundles
from resources.model_store import ModelStore
from resources.retailer import Home
from tests.end_to_end.house import House

pytestmark = pytest.mark.end_to_end


def test_on_ordinary_days_every_model_is_measured_and_passes(house: House) -> None:
    gates = house.store.read("gates", house.ds).to_pandas()
    assert gates["passed"].all(), gates.loc[~gates["passed"], "said"].tolist()
    assert set(gates["model"]) == {"attribute_model", "outfit_model", *DAILY}
    assert gates.loc[gates["gate"] == "index_recall", "model"].tolist() == ["als"]
    champions = champions_of(house.store, house.ds)
    assert champions["als", True].made_on == house.ds
    models = house.models(house.ds)
    assert champions["als", True].model_id == models["als_model"]
    assert champions["attribute_model", False].model_id == models["attribute_model"]


def spoil(house: House) -> None:
    """Put a model of which one weight is not a number in the place of tonight's."""
    models = ModelStore(house.home.store)
    bundle = models.bundle("als_model", models.pointer("als_model", house.ds))

    def save(folder: Path) -> None:
        shutil.copytree(bundle.path, folder, dirs_exist_ok=True)
        (folder / "manifest.json").unlink()
        arrays = load_file(folder / "weights.safetensors")
        name = next(each for each in sorted(arrays) if each.startswith("weight.") and arrays[each].dtype == np.float32)
        arrays[name].flat[0] = np.nan
        save_file(arrays, folder / "weights.safetensors")

    models.publish("als_model", house.ds, save, {}, seed=0)


def test_a_spoiled_model_keeps_the_champion_and_fails_the_run_after_publishing(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("spoiled") / "home"
    shutil.copytree(house.home.root, root)
    home = House(Home(root), house.instance, house.ds)
    before = champions_before(home.store, home.ds)["als", True]
    spoil(home)
    names = ["gates", "champions", "feature_store", "report", "completeness"]
    result = (
        build_defs(home.home)
        .get_implicit_global_asset_job_def()
        .execute_in_process(
            instance=home.instance,
            partition_key=home.ds.isoformat(),
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in names],
        )
    )
    assert not result.success
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert not checks[CHECK].passed
    assert checks[CHECK].severity.value == "ERROR"
    assert "als (kept, of " in str(checks[CHECK].description)
    done = {event.step_key for event in result.all_events if event.is_step_success}
    assert {"gates", "feature_store", "report"} <= done
    assert "completeness" not in done
    assert served_bundles(home.home, home.ds, "popular")[0].model_id == before.model_id
    with duckdb.connect(str(home.home.database), read_only=True) as con:
        shown = con.execute("SELECT DISTINCT made_on FROM served_recommendations WHERE ds = $1", [home.ds]).fetchall()
    assert shown == [(before.made_on,)]
