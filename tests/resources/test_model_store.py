"""Model bundles: content decides the id, a day points to it, and nothing broken or unsafe is opened."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from atelier.errors import BundleError, PartitionMissing
from resources.model_store import ModelStore
from resources.storage import Storage

pytestmark = pytest.mark.hostile

DAY = date(2020, 9, 22)
UPSTREAMS = {"interactions/ds=2020-09-22": "ab", "articles/ds=2020-09-22": "cd"}


def saving(**files: str) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        for name, content in (files or {"config.json": "{}", "sub/weights.safetensors": "w"}).items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content)

    return save


@pytest.fixture
def store(any_storage: Storage) -> ModelStore:
    return ModelStore(any_storage)


@pytest.fixture
def local(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path)


def test_a_bundle_is_found_by_its_recorded_id_and_by_its_day(store: ModelStore) -> None:
    bundle = store.publish("als", DAY, saving(), UPSTREAMS, seed=7, code_version="3", run_id="run-1")

    assert bundle.path == store.path("als", bundle.model_id)
    assert store.exists("als", bundle.model_id)
    assert (store.names(), store.ids("als"), store.days("als")) == (["als"], [bundle.model_id], [DAY])
    assert store.pointer("als", DAY) == bundle.model_id
    assert store.bundle("als", bundle.model_id) == bundle
    assert (bundle.path / "sub" / "weights.safetensors").read_text() == "w"
    manifest = bundle.manifest
    assert (manifest.training_day, manifest.seed, manifest.code_version) == ("2020-09-22", 7, "3")
    assert manifest.upstreams == UPSTREAMS
    assert set(manifest.files) == {"config.json", "sub/weights.safetensors"}
    assert "numpy" in manifest.libraries
    assert "run-1" not in (bundle.path / "manifest.json").read_text()
    (pointer,) = store.storage.read_texts(["models/als/ds=2020-09-22.json"]).values()
    assert pointer.count("\n") == 1
    assert json.loads(pointer)["run_id"] == "run-1"


def test_the_id_is_the_content(store: ModelStore, tmp_path: Path) -> None:
    bundle = store.publish("als", DAY, saving(), UPSTREAMS, run_id="1")
    stamp = (bundle.path / "manifest.json").stat().st_mtime_ns
    again = store.publish("als", DAY, saving(), dict(reversed(UPSTREAMS.items())), run_id="2")
    assert again == bundle
    assert (bundle.path / "manifest.json").stat().st_mtime_ns == stamp
    others = [
        store.publish("als", DAY, saving(**{"config.json": "{ }", "sub/weights.safetensors": "w"}), UPSTREAMS),
        store.publish("als", DAY, saving(**{"config.json": "{}", "sub/weights2.safetensors": "w"}), UPSTREAMS),
        store.publish("als", DAY, saving(), UPSTREAMS | {"articles/ds=2020-09-22": "ce"}),
    ]
    assert len({b.model_id for b in [bundle, *others]}) == 4
    assert store.pointer("als", DAY) == others[-1].model_id
    assert store.bundle("als", bundle.model_id) == bundle  # what a consumer recorded stays
    assert list((tmp_path / "_staging").iterdir()) == []


def test_concurrent_publishers_of_the_same_content_agree(store: ModelStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        bundles = list(pool.map(lambda _: store.publish("als", DAY, saving(), UPSTREAMS), range(16)))
    assert len({bundle.model_id for bundle in bundles}) == 1
    store.bundle("als", bundles[0].model_id, verify=True)


def test_a_day_whose_model_was_withdrawn_has_none_and_the_bundle_stays(store: ModelStore) -> None:
    bundle = store.publish("als", DAY, saving(), UPSTREAMS)
    other = date(2020, 9, 23)
    store.publish("als", other, saving(), UPSTREAMS)
    assert store.withdraw("als", DAY)
    assert not store.withdraw("als", DAY)
    assert not store.withdraw("never_trained", DAY)
    with pytest.raises(PartitionMissing, match="no model als of ds=2020-09-22"):
        store.pointer("als", DAY)
    assert store.days("als") == [other]
    assert store.bundle("als", bundle.model_id) == bundle


def test_what_is_missing_is_named_with_its_remedy(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(
        PartitionMissing, match=r"als of ds=2020-09-22.*dg launch --job daily_retrain --partition 2020-09-22"
    ):
        store.pointer("als", DAY)
    own = ModelStore(tmp_path, remedy=lambda name, ds: f"train {name} on {ds}")
    with pytest.raises(PartitionMissing, match="train als on 2020-09-22"):
        own.pointer("als", DAY)
    with pytest.raises(BundleError, match=f"no bundle {'0' * 32} of model als"):
        store.bundle("als", "0" * 32)
    for name, identity in (("../als", "0" * 32), ("als", "../../etc"), ("als", "latest")):
        with pytest.raises(ValueError, match=r"letters, digits|not a model id"):
            store.bundle(name, identity)


@pytest.mark.parametrize("unsafe", ["weights.pkl", "model.pt", "weights.npy", "code.py", "noext", "manifest.json"])
def test_files_that_are_unsafe_to_load_are_refused(local: ModelStore, tmp_path: Path, unsafe: str) -> None:
    with pytest.raises(BundleError, match=f"may not save {unsafe}"):
        local.publish("als", DAY, saving(**{"config.json": "{}", unsafe: "x"}), UPSTREAMS)
    assert not (tmp_path / "models").exists()


def test_links_and_empty_bundles_are_refused(local: ModelStore) -> None:
    with pytest.raises(BundleError, match="saved no file"):
        local.publish("als", DAY, lambda folder: None, UPSTREAMS)
    with pytest.raises(BundleError, match=r"may not save link\.json"):
        local.publish("als", DAY, lambda folder: (folder / "link.json").symlink_to("/etc/hostname"), UPSTREAMS)


def test_a_damaged_bundle_is_not_opened(local: ModelStore, tmp_path: Path) -> None:
    store = local
    bundle = store.publish("als", DAY, saving(), UPSTREAMS)
    weights = bundle.path / "sub" / "weights.safetensors"
    weights.write_text("v")
    with pytest.raises(BundleError, match=r"sub/weights\.safetensors is not what was published; train"):
        store.bundle("als", bundle.model_id)
    store.bundle("als", bundle.model_id, verify=False)
    weights.unlink()
    with pytest.raises(BundleError, match="lacks sub/weights"):
        store.bundle("als", bundle.model_id, verify=False)
    (bundle.path / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="is not a manifest"):
        store.bundle("als", bundle.model_id)
    (bundle.path / "manifest.json").unlink()
    (bundle.path / "manifest.json").mkdir()
    with pytest.raises(BundleError, match="is not a manifest"):
        store.bundle("als", bundle.model_id)
    (tmp_path / "models" / "als" / "ds=2020-09-22.json").write_text("")
    with pytest.raises(BundleError, match="is not a pointer"):
        store.pointer("als", DAY)


def test_a_save_that_fails_leaves_nothing(store: ModelStore, tmp_path: Path) -> None:
    first = store.publish("als", DAY, saving(), UPSTREAMS)

    def save(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        store.publish("als", DAY, save, UPSTREAMS)
    assert store.pointer("als", DAY) == first.model_id
    assert list((tmp_path / "_staging").iterdir()) == []
