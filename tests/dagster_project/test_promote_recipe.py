"""``atelier promote MODEL``: what is recorded, what is refused, and what it says."""

import json
import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from dagster_project.cli import cli
from resources.champions import served_bundles
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.promotions import Promotions
from resources.recipes import recipe_of_bundle
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

FIRST = date(2025, 3, 3)
SECOND = FIRST + timedelta(days=1)

Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("ATELIER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOGNAME", "ann")
    made = Home.from_environment()
    write_settings(
        made, Settings(source="parquet", path="x", first_day=FIRST, recommenders=("popular", "repeat", "als"))
    )
    models = ModelStore(made.store)
    for day in (FIRST, SECOND):
        for model in ("popular", "repeat", "als"):

            def save(folder: Path, text: str = f"{model} {day}") -> None:
                (folder / "config.json").write_text(json.dumps({"config": {}, "text": text}))

            models.publish(f"{model}_model", day, save, {}, code_version="code")
    return made


@pytest.fixture
def run(home: Home) -> Run:
    return lambda *arguments: CliRunner().invoke(cli, ["promote", *arguments])


def recipe(home: Home, model: str, day: date = SECOND) -> str:
    models = ModelStore(home.store)
    return recipe_of_bundle(models.bundle(f"{model}_model", models.pointer(f"{model}_model", day))).digest


def judged(
    home: Home,
    model: str,
    digest: str,
    *,
    passed: bool,
    champion: str = "als",
    config: str = "{}",
    champion_recipe: str = "0" * 12,
) -> None:
    row = {"recipe": digest, "model": model, "config": config, "code_version": "code", "champion": champion}
    row |= {"champion_recipe": champion_recipe, "origin": FIRST, "metric": "ndcg", "k": 12, "customers": 900}
    figures = dict.fromkeys(
        ["champion_value", "candidate_value", "difference", "standard_error", "lower", "least"], 0.1
    )
    frame = pd.DataFrame([row | figures | {"passed": passed, "reason": "it is clearly better"}])
    FeatureStore(home.store).write("recipe_gates", SECOND, frame, part=digest)


def test_what_passed_the_gate_is_promoted_and_taken_back(home: Home, run: Run) -> None:
    judged(home, "repeat", recipe(home, "repeat"), passed=True)
    done = run("repeat")
    assert done.exit_code == 0, done.output
    assert f"repeat serves from {SECOND} on, by the recipe {recipe(home, 'repeat')} (promotion 1)" in done.output
    assert "recorded: ann, because it is clearly better" in done.output
    assert [each.manifest.name for each in served_bundles(home, SECOND, "popular")] == ["repeat_model", "popular_model"]
    assert [each.manifest.name for each in served_bundles(home, FIRST, "popular")] == ["als_model", "popular_model"]
    again = run("repeat")
    assert "repeat serves already from 2025-03-04 on" in again.output
    assert len(Promotions(home.store).history()) == 1
    undone = run("--undo", "--why", "people complained", "--by", "bob")
    assert "taken back: promotion 1 of repeat, by ann" in undone.output
    assert "als serves from 2025-03-04 on again" in undone.output
    assert "nothing to take back: als serves" in run("--undo").output
    told = run().output
    assert "from 2025-03-04  repeat by" in told
    assert "takes 1 back  bob: people complained" in told
    assert told.rstrip().endswith("als serves")


def test_a_recipe_of_another_config_is_promoted_by_its_digest(home: Home, run: Run) -> None:
    judged(home, "als", "123456789abc", passed=True, config='{"factors": 8}')
    early = str(run("als", "--recipe", "123456789abc", "--day", str(FIRST)).exception)
    assert (
        f"was judged by purchases up to {SECOND}, which nobody knew on {FIRST}: promote it with --day {SECOND}" in early
    )
    done = run("als", "--recipe", "123456789abc", "--day", str(SECOND))
    assert done.exit_code == 0, done.output
    found = Promotions(home.store).of_model("als", SECOND)
    assert found is not None
    assert (found.config, found.code_version, found.day) == ({"factors": 8}, "code", SECOND)
    assert found.judged_on == SECOND
    unknown = run("als", "--recipe", "ffffffffffff")
    assert "no recipe 'ffffffffffff' of als was judged; there are 123456789abc" in str(unknown.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["repeat"], "was never judged; judge it with `dg launch --job recipe_gate"),
        (["als", "--anyway"], "say why with --why TEXT"),
        (["hybrid"], "the daily job does not fit hybrid"),
        (["repeat", "--day", "2025-03-09"], "no model repeat_model of ds=2025-03-09 was ever trained"),
    ],
)
def test_what_is_refused_says_what_to_do_and_writes_nothing(
    home: Home, run: Run, arguments: list[str], said: str
) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 1
    assert said in str(refused.exception)
    assert Promotions(home.store).history() == []


def test_an_unknown_model_and_misplaced_options_are_named(home: Home, run: Run) -> None:
    unknown = run("als2")
    assert unknown.exit_code == 2
    assert "there is no model 'als2' to promote; there are als, hybrid, image_backbone" in unknown.output
    assert run("--undo", "als").exit_code == 2
    assert run("--why", "x").exit_code == 2


def test_a_recipe_that_failed_is_promoted_only_with_a_reason(home: Home, run: Run) -> None:
    judged(home, "repeat", recipe(home, "repeat"), passed=False)
    assert "did not pass the gate: it is clearly better" in str(run("repeat").exception)
    assert run("repeat", "--anyway", "--why", "the others are broken").exit_code == 0
    assert Promotions(home.store).history()[0].why == "the others are broken"


def test_a_verdict_against_another_champion_does_not_count(home: Home, run: Run) -> None:
    judged(home, "repeat", recipe(home, "repeat"), passed=True, champion="popular")
    assert "was judged against popular, and als serves now; judge it again" in str(run("repeat").exception)


def test_a_verdict_against_another_recipe_of_the_champion_does_not_count(home: Home, run: Run) -> None:
    judged(home, "als", "123456789abc", passed=True, config='{"factors": 8}')
    judged(home, "repeat", recipe(home, "repeat"), passed=True)
    assert run("als", "--recipe", "123456789abc").exit_code == 0
    said = str(run("repeat").exception)
    promoted = Promotions(home.store).serving(SECOND)
    assert promoted is not None
    assert f"was judged against the recipe {'0' * 12} of als, which serves by {promoted.recipe} now" in said
    judged(home, "repeat", recipe(home, "repeat"), passed=True, champion_recipe=promoted.recipe)
    run("--undo")
    assert f"the recipe {promoted.recipe} of als, which serves by its own settings now" in str(run("repeat").exception)
    judged(home, "repeat", recipe(home, "repeat"), passed=True)
    assert run("repeat").exit_code == 0


def test_a_record_of_before_has_no_day_of_judgement(home: Home, run: Run) -> None:
    assert run("repeat", "--anyway", "--why", "x").exit_code == 0
    (file,) = (home.store / "promotions").glob("*.json")
    record = json.loads(file.read_text())
    assert record.pop("judged_on") is None
    file.write_text(json.dumps(record))
    assert Promotions(home.store).history()[0].judged_on is None


def test_a_broken_bundle_is_not_promoted(home: Home, run: Run) -> None:
    judged(home, "repeat", recipe(home, "repeat"), passed=True)
    models = ModelStore(home.store)
    path = models.path("repeat_model", models.pointer("repeat_model", SECOND)) / "config.json"
    path.write_text(path.read_text().replace("repeat", "rePeat"))
    refused = run("repeat")
    assert "config.json is not what was published; train it again with: dg launch --job daily_retrain" in str(
        refused.exception
    )
    assert Promotions(home.store).history() == []
