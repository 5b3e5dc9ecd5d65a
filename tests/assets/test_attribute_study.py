"""The study as a job: its tables, pictures and kept results, point in time, and what it says where data are missing."""

import shutil
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.attribute_study import NAME, _code
from assets.pictures import pictures_folder, results_folder
from atelier.report.page import render_page
from atelier.studies import attribute_study as study_module
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.compute import Compute
from resources.model_store import ModelStore
from tests.end_to_end.house import House

#: Small and quick: what is tested here is the plumbing.
CONFIG: dict[str, Any] = {
    "max_epochs": 2,
    "preset": "small",
    "splits": ["style"],
    "variants": ["all", "text_only", "linear_text"],
}
ENCODED = dg.AssetKey("image_embeddings")


def study(house: House, ds: date, **changes: Any) -> dg.ExecuteInProcessResult:
    definitions = build_defs(house.home, compute=Compute("cpu", 1))
    config = {"study_attributes": CONFIG | changes}
    return run_job(definitions, house.instance, "attribute_study", ds, config=config, log_level="CRITICAL")


def encode(house: House, ds: date) -> None:
    job = build_defs(house.home).get_repository_def().get_job("daily_retrain")
    job.execute_in_process(instance=house.instance, partition_key=ds.isoformat(), asset_selection=[ENCODED])


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    (found,) = [m for m in result.asset_materializations_for_node("study_attributes") if m.asset_key.path == [asset]]
    return found.metadata


@pytest.fixture(scope="module")
def encoded(make_house: Callable[..., House]) -> House:
    """A home of which the first day is ingested and encoded."""
    house = make_house()
    house.run("ingest", house.home.settings.first_day)
    encode(house, house.home.settings.first_day)
    return house


@pytest.fixture(scope="module")
def studied(encoded: House) -> tuple[House, date, dg.ExecuteInProcessResult]:
    """The first day, studied."""
    day = encoded.home.settings.first_day
    return encoded, day, study(encoded, day)


def test_the_tables_hold_every_variant(studied: tuple[House, date, dg.ExecuteInProcessResult]) -> None:
    house, day, _ = studied
    table = house.store.read("attribute_study", day).to_pandas()
    assert set(table["variant"]) == {"all", "text_only", "linear_text"}
    assert set(table["split"]) == {"style"}
    assert set(table.loc[table["metric"] == "weighted_f1_by_step", "variant"]) == {"all"}
    labelled = house.store.read("annotated_attributes", day).to_pandas()
    mean = table[(table["attribute"] == "mean") & (table["metric"] == "samples") & (table["variant"] == "all")]
    assert mean["value"].sum() == len(labelled), "every label is on one side"
    pairs = house.store.read("attribute_confusions", day).to_pandas()
    assert pairs["articles"].sum() <= mean.loc[mean["side"] == "test", "value"].sum()


def test_pictures_are_metadata_and_files(studied: tuple[House, date, dg.ExecuteInProcessResult]) -> None:
    house, day, result = studied
    files = {path.stem: path for path in pictures_folder(house.home.reports, NAME, day).iterdir()}
    assert {"ablation", "f1_by_step_all", "against_linear_text", "confusion_01"} <= set(files)
    assert all(path.read_text().startswith("<svg") for path in files.values())
    for asset, name in (("attribute_study", "ablation"), ("attribute_confusions", "confusion_01")):
        shown = metadata(result, asset)[f"picture_{name}"]
        assert isinstance(shown, dg.MarkdownMetadataValue)
        assert "](data:image/svg+xml;base64," in shown.md_str
    figures = metadata(result, "attribute_study")
    assert figures["fits"].value == 3
    assert 0 <= figures["style_all"].value <= 1
    assert figures["seconds_style_all"].value >= 0


def test_a_second_run_trains_nothing_and_gives_the_same_bytes(
    studied: tuple[House, date, dg.ExecuteInProcessResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, day, _ = studied
    before = house.files(day, "attribute_study", "attribute_confusions")
    assert len(list(results_folder(house.home.root, NAME, day).iterdir())) == 3

    def trained(*_: object, **__: object) -> None:
        raise AssertionError("it was kept")

    monkeypatch.setattr(study_module, "run_fit", trained)
    study(house, day)
    assert house.files(day, "attribute_study", "attribute_confusions") == before
    monkeypatch.setattr("assets.attribute_study._code", lambda: "other code")
    with pytest.raises(Exception, match="it was kept"):
        study(house, day)


@pytest.mark.parametrize(
    "file", ["assets/attribute_study.py", "resources/article_inputs.py", "sql/attribute_inputs.sql"]
)
def test_what_makes_the_data_is_part_of_the_code(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read, before = Path.read_bytes, _code()
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"#" * path.as_posix().endswith(file))
    assert _code() != before


def test_later_days_change_nothing(studied: tuple[House, date, dg.ExecuteInProcessResult]) -> None:
    house, day, _ = studied
    before = house.files(day, "attribute_study", "attribute_confusions")
    shutil.rmtree(results_folder(house.home.root, NAME, day))
    house.run("ingest", day + timedelta(days=1))
    encode(house, day + timedelta(days=1))
    study(house, day)
    assert house.files(day, "attribute_study", "attribute_confusions") == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"splits": ["brand"]}, "splits.*random.*style"),
        ({"trainings": ["both"]}, "both.*joint, published"),
        ({"variants": ["without_brand"]}, "without_brand.*without_text"),
        ({"test_share": 1.5}, "test_share"),
        ({"preset": "huge"}, "huge.*small"),
    ],
)
def test_an_impossible_config_is_named(encoded: House, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Exception, match=words):
        study(encoded, encoded.home.settings.first_day, **changes)


def test_a_day_that_was_not_made_names_the_job_that_makes_it(make_house: Callable[..., House]) -> None:
    house = make_house()
    day = house.home.settings.first_day
    with pytest.raises(Exception, match=rf"articles.*dg launch --job ingest --partition {day}"):
        study(house, day)
    house.run("ingest", day)
    with pytest.raises(Exception, match=rf"image_embeddings.*dg launch --job daily_retrain --partition {day}"):
        study(house, day)
    assert not (house.home.root / "studies").exists()


def test_the_report_shows_the_newest_study_not_later_than_its_day(
    studied: tuple[House, date, dg.ExecuteInProcessResult], tmp_path: Path
) -> None:
    from types import SimpleNamespace
    from typing import cast

    from assets.report import _attribute_study
    from assets.step import Step

    house, day, _ = studied

    def shown(ds: date) -> str:
        step = SimpleNamespace(store=house.store, models=ModelStore(house.home.store), home=house.home, ds=ds)
        return render_page("x", ds, [_attribute_study(cast("Step", step))])

    assert f"Study of {day}" in shown(day)
    assert f"Study of {day}" in shown(day + timedelta(days=9))
    earlier = day - timedelta(days=1)
    assert f"dg launch --job attribute_study --partition {earlier}" in shown(earlier)
