"""What every recommender must do, whatever it is: its bundles and configs, and forgetting customers.

One suite, run for each registered model (:mod:`tests.recommenders.contract_world`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file

from atelier import recommenders
from atelier.errors import BundleError, UnknownIdentifier
from atelier.ids import IdMap
from atelier.recommenders.base import Recommender
from tests.recommenders.contract_world import FRAME, NOBODY, VARIANTS, bundle, catalogue, fitted, history, like


@pytest.fixture(params=VARIANTS)
def model(request: pytest.FixtureRequest) -> Recommender[Any]:
    return fitted(request.param)


# Bundles and configs


def test_load_equals_save(model: Recommender[Any], tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = recommenders.load(tmp_path / "model")
    assert type(loaded) is type(model)
    assert loaded.config.model_dump() == model.config.model_dump()
    for exclude_seen in (True, False):
        pd.testing.assert_frame_equal(
            loaded.recommend(k=9, exclude_seen=exclude_seen), model.recommend(k=9, exclude_seen=exclude_seen)
        )
    new = history("z", ["a00", "a02"])
    pd.testing.assert_frame_equal(loaded.recommend(histories=new), model.recommend(histories=new))
    pd.testing.assert_frame_equal(loaded.similar(), model.similar())
    loaded.save(tmp_path / "again")
    assert bundle(tmp_path / "model") == bundle(tmp_path / "again")
    assert all(Path(name).suffix in {".json", ".parquet", ".safetensors"} for name in bundle(tmp_path / "model"))


def test_config_round_trip(model: Recommender[Any]) -> None:
    raw = json.loads(json.dumps(model.config.model_dump(mode="json")))
    assert recommenders.build(model.name, **raw).config.model_dump(mode="json") == raw
    assert model.Config.model_validate_json(model.config.model_dump_json()).model_dump(mode="json") == raw
    like(model, seed=2**31 - 1).fit(FRAME, catalogue())
    with pytest.raises(ValidationError, match="seed"):
        like(model, seed=2**31)
    with pytest.raises(ValidationError, match="no_such_field"):
        recommenders.build(model.name, no_such_field=1)


def test_broken_bundles_are_refused(model: Recommender[Any], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle"):
        recommenders.load(tmp_path)
    for name in ("config.json", "weights.safetensors", "articles.parquet", "customers.parquet"):
        for content in (None, b"", b"{}"):
            model.save(tmp_path)
            (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
            with pytest.raises(BundleError, match=str(tmp_path)):
                recommenders.load(tmp_path)
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(BundleError, match="format 99"):
        recommenders.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"no_such_field": 1}}, "no_such_field"),
        ({"config": {"seed": -1}}, "seed"),
        ({"model": "best"}, "no recommender 'best'"),
        ({"model": ["als"]}, "no recommender"),
        ({"config": None}, "lacks config"),
        ({"arrays": 3, "config": []}, "lacks config and arrays"),
        ({"format": 1}, "has format 1, this version reads 3: train the model again"),
    ],
)
def test_what_config_json_must_not_say(
    model: Recommender[Any], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    model.save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(BundleError, match=message):
        recommenders.load(tmp_path)


def test_arrays_and_maps_that_do_not_belong_to_a_bundle_are_refused(model: Recommender[Any], tmp_path: Path) -> None:
    model.save(tmp_path)
    weights = tmp_path / "weights.safetensors"
    arrays = load_file(weights)
    for name, array in arrays.items():
        for other in ({name: np.resize(array, (len(array) + 1, *array.shape[1:]))}, {"another": array}, {name: None}):
            kept = {key: value for key, value in (arrays | other).items() if value is not None}
            save_file(kept, weights)
            with pytest.raises(BundleError, match=r"does not belong to its config\.json.*train the model again"):
                recommenders.load(tmp_path)
    for name, ids in (("articles", model.article_ids), ("customers", model.customer_profiles.ids)):
        model.save(tmp_path)
        IdMap(ids.values[:-1]).save(tmp_path / f"{name}.parquet")
        with pytest.raises(BundleError, match=r"id maps of .* are not those of its weights"):
            recommenders.load(tmp_path)


# Forgetting


def test_forgotten_customers_leave_no_row_and_change_nobody_elses_list(model: Recommender[Any], tmp_path: Path) -> None:
    gone = ["c00", "c17", "c39", NOBODY, "never heard of"]
    model.save(tmp_path / "before")
    left = recommenders.load(tmp_path / "before")
    assert left.forget(gone)
    assert not left.forget(gone)
    left.save(tmp_path / "after")
    again = recommenders.load(tmp_path / "after")
    others = [each for each in model.customer_profiles.ids.values.to_pylist() if each not in gone]
    assert again.customer_profiles.ids.values.to_pylist() == others
    served = np.asarray(others)[model.can_serve(others)].tolist()
    assert np.asarray(others)[again.can_serve(others)].tolist() == served
    expected = model.recommend(served, k=5, exclude_seen=True)
    pd.testing.assert_frame_equal(again.recommend(served, k=5, exclude_seen=True), expected)
    for name, array in again.customer_profiles.profiles.items():
        assert array.dtype == model.customer_profiles.profiles[name].dtype, name
    with pytest.raises(UnknownIdentifier):
        again.recommend(["c17"])
    assert {name: array.tobytes() for name, array in again.weights.items()} == {
        name: array.tobytes() for name, array in model.weights.items()
    }
