"""The search for settings: its first trial, kills, pruning, leakage, and what it says of its trials."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import torch
from filelock import FileLock
from pydantic import ValidationError

from atelier.interactions import Interactions
from atelier.nn.training_loop import DivergedError, Epoch
from atelier.recommenders.base import Recommender
from atelier.recommenders.factorisation.hybrid import Hybrid
from atelier.studies import tuning
from atelier.studies.recommender_plan import RecommenderStudyPlan, StudiedModel
from atelier.studies.recommender_study import run_study
from atelier.studies.tuning import changed, tune
from atelier.studies.tuning_plan import Trial, Tuning, TuningPlan
from atelier.studies.tuning_tables import parameters_of, trials_of
from atelier.studies.tuning_trial import Judge, TuningError
from tests.studies.tuning_worker import ALS, DATA, FIXED, PLAN, purchases, tuned

FIT = Recommender.fit
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def without_seconds(found: Tuning) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in found.trials]


def with_values(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> list[dict[str, Any]]:
    """Let trial n be worth values[n] instead of what its lists are; returns the settings that were judged."""
    told: list[dict[str, Any]] = []

    def judged(judge: Any, settings: dict[str, Any], watch: Any) -> dict[str, Any]:
        told.append(settings)
        return {"value": values[len(told) - 1], "standard_error": 0.01, "customers": 60, "epochs": None}

    monkeypatch.setattr(Judge, "_judged", judged)
    return told


@pytest.fixture(scope="module")
def whole() -> Tuning:
    """The search without interruption."""
    torch.set_num_threads(1)
    return tuned(None)


def test_trial_0_has_the_defaults_and_is_what_the_study_gives(whole: Tuning) -> None:
    assert whole.default.origin == "default"
    assert whole.default.settings == FIXED
    assert whole.default.state == "complete"
    train, truth = purchases()
    studied = StudiedModel(recommender="hybrid", config=FIXED)
    plan = RecommenderStudyPlan(models={"hybrid": studied}, seeds=(0,), shares=(1.0,), k=5, exclude_seen=False)
    (result,) = run_study(train, truth, plan)
    values = result.values("hit_rate")
    assert values is not None
    assert whole.default.value == values.mean()
    assert whole.default.customers == len(values)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_best_is_never_worse_than_the_defaults(monkeypatch: pytest.MonkeyPatch, sampler: str) -> None:
    plan = ALS.model_copy(update={"sampler": sampler, "trials": 4})
    train, truth = purchases()
    told = with_values(monkeypatch, [0.5, 0.4, 0.5, 0.3])
    found = tune(train, truth, plan)
    assert found.best == found.default, "of equals the earliest"
    assert told[0] == {"iterations": 2}
    assert all(set(settings) == {"iterations", "factors", "alpha", "regularization"} for settings in told[1:])
    with_values(monkeypatch, [0.5, 0.4, 0.6, 0.3])
    found = tune(train, truth, plan)
    assert (found.best.number, found.best_value) == (2, 0.6)


def test_given_settings_are_tried_right_after_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    first = ({"factors": 4, "alpha": 2.0}, {"half_life_days": None})
    told = with_values(monkeypatch, [0.1] * 4)
    found = tune(*purchases(), ALS.model_copy(update={"tried_first": first, "trials": 4}))
    assert told[1:3] == [{"iterations": 2, **each} for each in first]
    assert [trial.origin for trial in found.trials] == ["default", "given", "given", "drawn"]
    assert found.trials[1].parameters == {"factors": 4, "alpha": 2.0, "regularization": 10.0}, "what TPE may learn from"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What searches have kept that were killed in a trial, by the number of the trial."""
    folder = tmp_path_factory.mktemp("killed")
    storages = {trial: folder / str(trial) / "trials.db" for trial in (0, 2)}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    asked = [str(each) for trial, storage in storages.items() for each in (storage, trial)]
    command = [sys.executable, "-m", "tests.studies.tuning_worker", *asked]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(storages), done.stderr
    return storages


@pytest.mark.parametrize("killed_in", [0, 2])
def test_a_search_that_was_killed_ends_with_the_same_trials(
    killed: dict[int, Path], whole: Tuning, killed_in: int
) -> None:
    storage = killed[killed_in]
    with sqlite3.connect(storage) as kept:
        states = [state for (state,) in kept.execute("SELECT state FROM trials ORDER BY number")]
    assert states == [*["COMPLETE"] * killed_in, "RUNNING"], "it died within a trial"
    run: list[int] = []
    trial = tuning._Search._begin
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning._Search, "_begin", lambda search, n, begin: (run.append(n), trial(search, n, begin))[1])
        found = tuned(storage)
    assert run == list(range(killed_in, 5)), "what was finished is not done again"
    assert without_seconds(found) == without_seconds(whole)
    assert trials_of(found).drop(columns="study").equals(trials_of(whole).drop(columns="study"))


def test_what_is_kept_serves_only_the_same_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, (train, truth) = tmp_path / "a b[1]{x}%41?" / "trials.db", purchases()
    told = with_values(monkeypatch, [0.1] * 20)
    short = ALS.model_copy(update={"trials": 2})
    first = tune(train, truth, short, storage=storage, data=DATA)
    assert storage.exists()
    assert len(told) == 2
    longer = tune(train, truth, ALS.model_copy(update={"trials": 3}), storage=storage, data=DATA)
    assert len(told) == 3, "more trials continue"
    assert longer.study == first.study
    assert tune(train, truth, short, storage=storage, data={"version": "2"}).study != first.study
    assert tune(train, truth, short.model_copy(update={"k": 3}), storage=storage, data=DATA).study != first.study
    assert len(told) == 7, "other data and another plan start anew"
    with pytest.raises(ValueError, match="only with data that identifies"):
        tune(train, truth, short, storage=storage)


def test_two_processes_do_not_write_the_same_file(tmp_path: Path) -> None:
    storage = tmp_path / "trials.db"
    with FileLock(f"{storage}.lock"), pytest.raises(TuningError, match="another process writes"):
        tune(*purchases(), ALS, storage=storage, data=DATA)


def test_time_ends_a_search_but_not_before_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    with_values(monkeypatch, [0.1] * 12)
    clock = iter([0.0, 100.0, 200.0])
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(clock))
    found = tune(*purchases(), ALS.model_copy(update={"seconds": 10.0}))
    assert [trial.number for trial in found.trials] == [0]


# ---- pruning


def fit_with_curve(monkeypatch: pytest.MonkeyPatch, curves: list[list[float]]) -> list[int]:
    """Let the fit of trial n tell the epochs of curves[n]; returns how many epochs each fit came to."""
    epochs: list[int] = []

    def told(model: Hybrid, *args: Any, **options: Any) -> Any:
        if model.name != "hybrid":
            return FIT(model, *args, **options)
        watch, model.watch = model.watch, None
        epochs.append(0)
        for number, figure in enumerate(curves[len(epochs) - 1], 1):
            epochs[-1] = number
            assert watch is not None
            watch(Epoch(number, number, 1.0, {"loss": 1.0, "ndcg": figure}))
        return FIT(model, *args, **options)

    monkeypatch.setattr(Recommender, "fit", told)
    return epochs


def test_a_trial_that_is_worse_than_the_others_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    good, poor = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [0.3, 0.1, 0.1, 0.1, 0.1, 0.1]
    plan = PLAN.model_copy(update={"fixed": {**FIXED, "max_epochs": 1}, "trials": 7})
    epochs = fit_with_curve(monkeypatch, [good] * 5 + [poor, good])
    found = tune(*purchases(), plan)
    assert [trial.state for trial in found.trials] == ["complete"] * 5 + ["pruned", "complete"]
    pruned = found.trials[5]
    assert pruned.value is None
    assert epochs[5] == 5 < 6, "after the epochs in which nothing is pruned"
    assert pruned.curve == {1: 0.3, 2: 0.1, 3: 0.1, 4: 0.1, 5: 0.1}
    epochs = fit_with_curve(monkeypatch, [good] * 5 + [poor, good])
    kept = tune(*purchases(), plan.model_copy(update={"prune": False}))
    assert [trial.state for trial in kept.trials] == ["complete"] * 7


def test_the_default_trial_is_never_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def should_prune(trial: optuna.Trial) -> bool:
        asked.append(trial.number)
        return True

    monkeypatch.setattr(optuna.Trial, "should_prune", should_prune)
    found = tuned(None, PLAN.model_copy(update={"trials": 2}))
    assert [trial.state for trial in found.trials] == ["complete", "pruned"]
    assert asked == [1]


def test_a_real_training_tells_its_epochs(whole: Tuning) -> None:
    assert len(whole.default.curve) == whole.default.epochs == 4
    assert all(0 < figure <= 1 for trial in whole.trials for figure in trial.curve.values())


def test_watching_changes_nothing() -> None:
    train, _ = purchases()
    records: list[Epoch] = []

    def fitted(watch: Any) -> Hybrid:
        model = StudiedModel(recommender="hybrid", config=FIXED).build(0)
        model.watch = watch
        return model.fit(train)  # type: ignore[return-value]

    alone, watched = fitted(None), fitted(records.append)
    assert (alone.weights["articles"] == watched.weights["articles"]).all()
    assert [epoch.validation["loss"] for epoch in alone.epochs] == [epoch.validation["loss"] for epoch in records]
    assert all(0 < epoch.validation["ndcg"] <= 1 for epoch in records)
    assert records[-1].validation["ndcg"] > records[0].validation["ndcg"], "tastes are planted: it learns to rank"


@pytest.mark.parametrize("model", ["transformer", "sequencer"])
def test_sequence_models_tell_their_epochs_too(model: str) -> None:
    fixed = {"mode": "collaborative", "max_epochs": 2, "factors": 8}
    plan = TuningPlan(model=model, fixed=fixed, parameters=("dropout",), trials=2, k=5, exclude_seen=False)
    found = tune(*purchases(), plan)
    assert [len(trial.curve) for trial in found.trials] == [2, 2]


# ---- what can go wrong


def test_diverged_settings_are_recorded_and_the_search_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told = 0

    def judged(judge: Any, settings: dict[str, Any], watch: Any) -> dict[str, Any]:
        nonlocal told
        told += 1
        if told == 2:
            raise DivergedError("the loss is nan; lower learning_rate")
        return {"value": 0.1, "standard_error": None, "customers": 3, "epochs": None}

    monkeypatch.setattr(Judge, "_judged", judged)
    found = tune(*purchases(), ALS.model_copy(update={"trials": 3}))
    assert [trial.state for trial in found.trials] == ["complete", "diverged", "complete"]
    assert found.trials[1].reason == "the loss is nan; lower learning_rate"
    told = 1
    with pytest.raises(TuningError, match="none of 1 trials of als came to a value: the loss is nan"):
        tune(*purchases(), ALS.model_copy(update={"trials": 1}))


def test_another_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(*_: object, **__: object) -> dict[str, Any]:
        raise MemoryError("no memory")

    monkeypatch.setattr(Judge, "_judged", judged)
    with pytest.raises(MemoryError):
        tune(*purchases(), ALS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed": {"factors": 0}, "choices": {}}, "factors"),
        ({"tried_first": ({"alpha": -1},)}, "alpha"),
        ({"tried_first": ({"iterations": 3},)}, "iterations is fixed, so that tried_first cannot have it"),
        ({"metric": "coverage"}, "metric"),
        ({"fixed": {"seed": 3}}, "seed is not searched and not fixed"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TuningPlan.model_validate({**ALS.model_dump(), **changes})


# ---- leakage


def test_no_fit_sees_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    train, truth = purchases()
    later = truth.to_frame().drop(columns="occurred_at")
    secret = pd.DataFrame({"customer_id": ["0"], "article_id": ["secret"]})
    hidden = Interactions.from_frame(pd.concat([later, secret]))
    seen: list[Interactions] = []
    fit = Recommender.fit

    def noted(model: Any, data: Any, *args: Any, **options: Any) -> Any:
        seen.append(data)
        return fit(model, data, *args, **options)

    monkeypatch.setattr(Recommender, "fit", noted)
    tune(train, hidden, ALS.model_copy(update={"trials": 3}))
    assert len(seen) == 3 + 1, "three trials, and the fallback once"
    assert all(data.to_frame().equals(train.to_frame()) for data in seen)
    assert all("secret" not in data.article_ids.values.to_pylist() for data in seen)


# ---- tables


def test_tables_of_trials_and_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    with_values(monkeypatch, [0.1, 0.3, 0.2])
    found = tune(*purchases(), ALS.model_copy(update={"trials": 3}))
    trials = trials_of(found)
    assert trials["best"].tolist() == [False, True, False]
    assert trials["settings"][0] == '{"iterations": 2}'
    parameters = parameters_of(found).set_index("parameter")
    assert parameters.loc["alpha", "default_value"] == "20.0"
    assert parameters.loc["factors", "default_value"] == "null"
    assert parameters.loc["factors", "best_value"] == str(found.best.settings["factors"])
    assert parameters["importance"].isna().all(), "two drawn trials say nothing of importance"


def test_what_decides_is_important(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(judge: Any, settings: dict[str, Any], watch: Any) -> dict[str, Any]:
        return {"value": settings.get("factors", 0) / 10, "standard_error": None, "customers": 3, "epochs": None}

    monkeypatch.setattr(Judge, "_judged", judged)
    found = tune(*purchases(), ALS)
    assert sum(found.importances.values()) == pytest.approx(1)
    assert found.importances["factors"] > 0.9
    assert parameters_of(found)["parameter"][0] == "factors", "the most important first"
    assert found.best.settings["factors"] == 8


def test_only_what_differs_from_the_defaults_goes_into_a_preset() -> None:
    assert changed("als", {"alpha": 20.0, "factors": 8, "half_life_days": None}) == {
        "factors": 8,
        "half_life_days": None,
    }
    assert changed("hybrid", {"hidden": [256], "factors": None}) == {}


def test_a_trial_holds_no_identifier(whole: Tuning) -> None:
    assert set(Trial.model_fields) & {"customer_id", "article_id", "lists"} == set()
    assert '"customer_id"' not in whole.model_dump_json()
