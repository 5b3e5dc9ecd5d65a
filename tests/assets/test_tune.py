"""The job ``tune``: its tables, its preset, point in time, and what a model's step makes of the preset."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from assets.pictures import pictures_folder, results_folder
from assets.presets import PRESET_CONFIGS, settled
from assets.report import _tuning
from assets.tune import FILE, NAME, TuneConfig, read, tuning_plan
from atelier.recommenders import DAILY, load
from atelier.recommenders.factorisation.als_config import ALSConfig
from atelier.report.page import render_page
from dagster_project.build import build_defs
from dagster_project.run import run_job
from resources.compute import Compute
from resources.model_store import ModelStore
from resources.retailer import Preset, Settings
from tests.end_to_end.house import HORIZON, House

#: Small and quick: what is tested here is the plumbing.
CONFIG: dict[str, Any] = {
    "model": "als",
    "trials": 4,
    "fixed": {"iterations": 2},
    "choices": {"factors": [4, 8], "half_life_days": ["empty", 7.0]},
    "parameters": ["regularization"],
    "tried_first": [{"factors": 8, "half_life_days": "empty"}],
    "k": 5,
}


def tune(house: House, **changes: Any) -> dg.ExecuteInProcessResult:
    definitions = build_defs(house.home, compute=Compute("cpu", 1))
    config = {"tune_recommender": CONFIG | changes}
    return run_job(definitions, house.instance, "tune", house.ds, config=config, log_level="CRITICAL")


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    found = result.asset_materializations_for_node("tune_recommender")
    (event,) = [each for each in found if each.asset_key.path == [asset]]
    return event.metadata


@pytest.fixture(scope="module")
def tuned(make_house: Callable[..., House], ingested: House) -> tuple[House, dg.ExecuteInProcessResult]:
    """A home whose last day was tuned; models that read no content need the raw tables alone."""
    house = make_house(like=ingested)
    return house, tune(house)


def test_the_tables_hold_every_trial_and_what_was_searched(tuned: tuple[House, dg.ExecuteInProcessResult]) -> None:
    house, result = tuned
    trials = house.store.read("tuning_trials", house.ds).to_pandas()
    assert trials["trial"].tolist() == [0, 1, 2, 3]
    assert trials["origin"].tolist() == ["default", "given", "drawn", "drawn"]
    assert set(trials["state"]) == {"complete"}
    assert json.loads(trials["settings"][0]) == {"iterations": 2}
    assert json.loads(trials["settings"][1]) == {"iterations": 2, "factors": 8, "half_life_days": None}
    assert set(json.loads(trials["settings"][2])) == {"iterations", "factors", "half_life_days", "regularization"}
    best = trials[trials["best"]]
    assert len(best) == 1
    assert best["value"].item() == trials["value"].max() >= trials["value"][0], "never worse than the defaults"
    parameters = house.store.read("tuning_parameters", house.ds).to_pandas().set_index("parameter")
    assert parameters["searched"].to_dict() == {
        "factors": "4, 8",
        "half_life_days": "empty, 7.0",
        "regularization": "0.01 … 100, logarithmic",
    }
    assert parameters.loc["half_life_days", "default_value"] == "30.0"
    figures = metadata(result, "tuning_trials")
    assert figures["trials"].value == 4
    assert figures["best"].value == trials["value"].max()
    assert figures["study"].value == trials["study"][0]


def test_the_best_settings_become_a_preset_and_the_rest_of_the_file_stays(
    tuned: tuple[House, dg.ExecuteInProcessResult],
) -> None:
    house, _ = tuned
    trials = house.store.read("tuning_trials", house.ds).to_pandas()
    best = trials[trials["best"]].iloc[0]
    preset = house.home.settings.presets["als_tuned"]
    assert (preset.model, preset.study, preset.last_day_seen) == ("als", best["study"], house.ds)
    assert (preset.metric, preset.value, preset.default) == ("ndcg@5", best["value"], trials["value"][0])
    assert ALSConfig(**preset.fields) == ALSConfig(**json.loads(best["settings"]))
    before, _, _ = house.home.toml.read_text().partition("\n[presets")
    assert Settings.model_validate({**house.home.settings.model_dump(), "presets": {}})
    assert before.startswith("# Written once by `atelier init`")


def test_pictures_and_the_section_of_the_page(tuned: tuple[House, dg.ExecuteInProcessResult]) -> None:
    from types import SimpleNamespace
    from typing import cast

    from assets.step import Step

    house, result = tuned
    files = {path.stem for path in (pictures_folder(house.home.reports, NAME, house.ds) / "als").iterdir()}
    assert "trials" in files
    assert isinstance(metadata(result, "tuning_trials")["picture_trials"], dg.MarkdownMetadataValue)
    step = SimpleNamespace(store=house.store, home=house.home, ds=house.ds)
    page = render_page("x", house.ds, [_tuning(cast("Step", step))])
    assert "als_tuned" in page
    earlier = SimpleNamespace(store=house.store, home=house.home, ds=house.ds - timedelta(days=1))
    page = render_page("x", earlier.ds, [_tuning(cast("Step", earlier))])
    assert f"dg launch --job tune --partition {earlier.ds}" in page, "an earlier day knows nothing of it"


def test_a_second_run_fits_nothing_and_more_trials_continue(
    tuned: tuple[House, dg.ExecuteInProcessResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    from atelier.studies import tuning

    house, _ = tuned
    tables = ("tuning_trials", "tuning_parameters")
    before = house.files(house.ds, *tables)
    assert (results_folder(house.home.root, NAME, house.ds) / FILE).exists()
    numbers: list[int] = []
    run = tuning._Search._begin

    def counted(search: Any, number: int, begin: Any) -> Any:
        numbers.append(number)
        return run(search, number, begin)

    monkeypatch.setattr(tuning._Search, "_begin", counted)
    text = house.home.toml.read_text()
    tune(house)
    assert numbers == []
    assert house.files(house.ds, *tables) == before
    assert house.home.toml.read_text() == text
    tune(house, trials=5, write_preset=False)
    assert numbers == [4]
    assert house.home.toml.read_text() == text


def test_trials_see_no_validation_day_and_nothing_later(
    tuned: tuple[House, dg.ExecuteInProcessResult], make_house: Callable[..., House]
) -> None:
    """The same tables from a home in which later days hold other data; training ends before the validation days."""
    from types import SimpleNamespace
    from typing import cast

    from assets.step import RunResources, Step

    house, _ = tuned
    day = house.ds - timedelta(days=2)
    resources = cast("RunResources", SimpleNamespace(home=house.home, store=house.store, models=None, compute=None))
    data = read(Step(resources, [day], "run", "code"), content=False)
    assert data.origin == day - timedelta(days=HORIZON)
    assert data.train.occurred_at.max().astype("datetime64[D]").astype(object) <= data.origin
    days = data.truth.occurred_at.astype("datetime64[D]").astype(object)
    assert data.origin < min(days) <= max(days) <= day

    def trials_of(home: House) -> dict[str, str]:
        definitions = build_defs(home.home, compute=Compute("cpu", 1))
        config = {"tune_recommender": CONFIG | {"trials": 3, "write_preset": False}}
        run_job(definitions, home.instance, "tune", day, config=config, log_level="CRITICAL")
        return home.files(day, "tuning_trials", "tuning_parameters")

    past = make_house()
    past.run("ingest", past.home.settings.first_day, day)
    assert trials_of(past) == trials_of(house), "what came after the day makes no difference"


def test_a_models_step_takes_the_preset_and_warns_of_days_that_it_has_seen(
    tuned: tuple[House, dg.ExecuteInProcessResult],
) -> None:
    house, _ = tuned
    day = house.ds
    definitions = build_defs(house.home)
    job = definitions.get_repository_def().get_job("daily_retrain")

    def fit(**config: Any) -> dg.AssetCheckEvaluation:
        result = job.execute_in_process(
            instance=house.instance,
            partition_key=day.isoformat(),
            asset_selection=[dg.AssetKey("als_model")],
            run_config={"ops": {"als_model": {"config": config}}},
        )
        checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
        assert checks["made"].passed, checks["made"].description
        return checks["preset_not_from_future"]

    leaks = fit(preset="als_tuned", iterations=1)
    assert not leaks.passed
    assert leaks.severity == dg.AssetCheckSeverity.WARN
    assert f"chosen by purchases up to {day}" in (leaks.description or "")
    models = ModelStore(house.home.store)
    bundle = models.bundle("als_model", models.pointer("als_model", day))
    config = load(bundle.path).config.model_dump()
    fields = house.home.settings.presets["als_tuned"].fields
    assert config["iterations"] == 1, "what the run says comes before the preset"
    assert {name: config[name] for name in fields if name != "iterations"} == {
        name: value for name, value in fields.items() if name != "iterations"
    }
    assert fit(iterations=1, factors=4).passed, "no preset, no leak"


PRESET = Preset(model="als", study="s", last_day_seen="2025-01-01", metric="ndcg@5", value=0.1, config={"factors": 4})


def test_a_preset_that_does_not_fit_is_named() -> None:
    config = PRESET_CONFIGS["als"]
    own, found = settled("als", config(preset="p", alpha=3.0), {"p": PRESET})  # type: ignore[call-arg]
    assert found == PRESET
    assert own == ALSConfig(factors=4, alpha=3.0)
    with pytest.raises(dg.Failure, match="has no preset 'q': there are p"):
        settled("als", config(preset="q"), {"p": PRESET})  # type: ignore[call-arg]
    with pytest.raises(dg.Failure, match="none; the job tune writes them"):
        settled("als", config(preset="q"), {})  # type: ignore[call-arg]
    with pytest.raises(dg.Failure, match="is one of als: name one of hybrid"):
        settled("hybrid", PRESET_CONFIGS["hybrid"](preset="p"), {"p": PRESET})  # type: ignore[call-arg]
    broken = PRESET.model_copy(update={"config": {"factors": 0}})
    with pytest.raises(dg.Failure, match=r"the preset p cannot be used: factors: .*correct \[presets.p\]"):
        settled("als", config(preset="p"), {"p": broken})  # type: ignore[call-arg]


@pytest.mark.parametrize("name", list(DAILY))
def test_without_a_preset_the_config_is_the_models_own(name: str) -> None:
    own, preset = settled(name, PRESET_CONFIGS[name](), {})
    assert preset is None
    assert own == DAILY[name].config()
    assert type(own) is DAILY[name].config, "bundles know nothing of presets"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nobody"}, "no recommender 'nobody'; there are popular"),
        ({"preset": "a b"}, "'a b' is no name of a preset"),
        ({"fixed": {"nothing": 1}}, "nothing is no field of HybridConfig"),
        ({"fixed": {"seed": 1}}, "seed is not searched and not fixed"),
        ({"fixed": {"mode": "wrong"}}, "mode"),
        ({"parameters": ["hidden"]}, "hidden is neither a number nor a choice: name its values in choices"),
        ({"trials": 0}, "trials"),
        ({"at_once": 0}, "at_once"),
    ],
)
def test_a_config_that_cannot_be_used_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(dg.Failure, match=message):
        tuning_plan(TuneConfig(**changes))
