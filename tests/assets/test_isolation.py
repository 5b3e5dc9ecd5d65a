"""Work in a process of its own: what it made comes back, and however it fails, the step knows why and goes on."""

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest

from assets.completeness import AFTERWARDS
from assets.isolation import Failed, run_isolated
from assets.on_demand import STAGES
from assets.recommenders import fit_model
from assets.stage import Stage
from assets.step import Outcome, RunResources, Step
from atelier.errors import ContractViolation
from atelier.recommenders import DAILY
from atelier.recommenders.config import RecommenderConfig
from dagster_project.build import build_defs
from resources.compute import Compute
from resources.feature_store import FeatureStore
from resources.model_store import ModelStore
from resources.retailer import Home
from tests.end_to_end.house import CONFIG, DAILY_TABLES, House

DAY = date(2020, 9, 22)


def step_of(home: Path) -> Step:
    resources = RunResources(Home(home), FeatureStore(home / "store"), ModelStore(home / "store"), Compute("cpu", 1))
    return Step(resources, [DAY], "run", "1")


def save_model(step: Step) -> None:
    def save(folder: Path) -> None:
        (folder / "config.json").write_text("{}")

    step.save_model("als_model", save, tables=(), seed=3)
    step.note("als_model", loss=0.25)
    step.check("good", False, "not good", share=0.5)


def raise_error(step: Step) -> None:
    raise MemoryError("cannot allocate 900 GiB")


def break_contract(step: Step) -> None:
    raise ContractViolation("price is negative in 3 rows", "recommendations", {"rows": 3})


def be_killed(step: Step) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(step: Step) -> None:
    os._exit(7)


def return_what_cannot_be_sent(step: Step) -> None:
    step.note("als_model", function=lambda: None)


def test_what_was_made_comes_back(tmp_path: Path) -> None:
    step = step_of(tmp_path)
    found = run_isolated(save_model, step)
    assert isinstance(found, Outcome)
    assert found.bundles["als_model"].model_id == step.models.pointer("als_model", DAY)
    assert found.notes["als_model"] == {"loss": 0.25}
    (check,) = found.checks
    assert (check.name, check.passed, check.metadata) == ("good", False, {"share": 0.5})
    assert not step.outcome.bundles, "the caller decides what becomes of it"


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (raise_error, "MemoryError: cannot allocate 900 GiB"),
        (be_killed, "its process was ended by SIGKILL; most often the machine was out of memory"),
        (leave, "its process ended with exit status 7"),
        (return_what_cannot_be_sent, "pickle"),
    ],
)
def test_a_failure_is_told_and_not_raised(tmp_path: Path, work: Any, reason: str) -> None:
    found = run_isolated(work, step_of(tmp_path))
    assert isinstance(found, Failed)
    assert reason in found.reason
    assert found.violation is None
    assert not multiprocessing.active_children()


def test_a_broken_contract_comes_back_with_its_audit(tmp_path: Path) -> None:
    found = run_isolated(break_contract, step_of(tmp_path))
    assert isinstance(found, Failed)
    assert found.violation is not None
    assert (found.violation.table, found.violation.audit) == ("recommendations", {"rows": 3})


def wait_for_ever(marker: Path, step: Step) -> None:
    marker.write_text(str(os.getpid()))
    time.sleep(600)


def be_a_step(home: Path, marker: Path) -> None:
    run_isolated(partial(wait_for_ever, marker), step_of(home))


def test_the_work_ends_with_the_step(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    step = multiprocessing.get_context("spawn").Process(target=be_a_step, args=(tmp_path, marker))
    step.start()
    deadline = time.monotonic() + 120
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline, "the work has not begun"
        time.sleep(0.05)
    worker = int(marker.read_text())
    assert step.pid is not None
    os.kill(step.pid, signal.SIGKILL)
    step.join()
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "the work goes on although nobody waits for it"
        time.sleep(0.05)


def diverge(step: Step, config: RecommenderConfig) -> None:
    fit_model("hybrid", step, config.model_copy(update={"embedding_learning_rate": 1e30, "learning_rate": 1e30}))


def fit_and_be_killed(step: Step, config: RecommenderConfig) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def with_work(stages: Sequence[Stage], name: str, work: Any) -> list[Stage]:
    from dataclasses import replace

    return [replace(each, compute=work) if each.name == name else each for each in stages]


@pytest.fixture(scope="module")
def crippled(make_house: Any, ingested: House) -> tuple[House, dg.ExecuteInProcessResult]:
    """A home with a day on which hybrid diverges, als, which serves, is killed, and repeat has an impossible config."""
    house: House = make_house(like=ingested)
    stages = with_work(with_work(STAGES, "hybrid_model", diverge), "als_model", fit_and_be_killed)
    definitions = build_defs(house.home, stages=stages)
    config = {**CONFIG, "repeat_model": {"own_articles": 0}}
    result = house.run("daily_retrain", house.ds, definitions=definitions, config=config, raise_on_error=False)
    return house, result


@pytest.mark.end_to_end
class TestADayWithoutThreeModels:
    """Hybrid diverged, als was killed, repeat could not be configured: popular, database and report are there."""

    MISSING = frozenset(
        {
            "als_model",
            "hybrid_model",
            "repeat_model",
            "recommendations/als",
            "recommendations/hybrid",
            "recommendations/repeat",
            "similar_articles/als",
            "similar_articles/hybrid",
            "article_index",
        }
    )

    def test_only_the_last_step_fails(self, crippled: tuple[House, dg.ExecuteInProcessResult]) -> None:
        _, result = crippled
        assert not result.success
        failed = {event.step_key for event in result.all_events if event.is_step_failure}
        skipped = {event.step_key for event in result.all_events if event.is_step_skipped}
        assert (failed, skipped) == ({"completeness"}, set())

    def test_it_names_what_is_missing(self, crippled: tuple[House, dg.ExecuteInProcessResult]) -> None:
        _, result = crippled
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        text = str(failure.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]
        assert all(asset in text for asset in self.MISSING)
        assert "SIGKILL" in text
        assert "DivergedError" in text
        assert "own_articles: Input should be greater than or equal to 1" in text
        command = text.rpartition('dg launch --assets "')[2].partition('"')[0]
        assert set(command.split(",")) == self.MISSING | set(AFTERWARDS)

    def test_the_others_are_there(self, crippled: tuple[House, dg.ExecuteInProcessResult]) -> None:
        house, _ = crippled
        ds = house.ds
        parts = {pointer.part for pointer in house.store.pointers("recommendations") if pointer.ds == ds}
        assert parts == set(DAILY) - {"hybrid", "als", "repeat"}
        assert house.home.database.is_file()
        page = (house.home.reports / f"ds={ds}.html").read_text()
        assert "Customers have no lists on this day" in page
        assert "SIGKILL" in page

    def test_made_again_the_day_is_whole_and_has_the_bytes_of_one_that_was_made_at_once(
        self, crippled: tuple[House, dg.ExecuteInProcessResult], house: House
    ) -> None:
        """Nor does it matter that ``house`` has made an earlier day as well."""
        again, _ = crippled
        keys = [dg.AssetKey.from_user_string(asset) for asset in (*sorted(self.MISSING), *AFTERWARDS)]
        job = build_defs(again.home).get_repository_def().get_job("daily_retrain")
        config = {name: {"config": values} for name, values in CONFIG.items() if name in self.MISSING}
        result = job.execute_in_process(
            instance=again.instance,
            partition_key=again.ds.isoformat(),
            asset_selection=keys,
            run_config={"ops": cast("dict[str, Any]", config)},
        )
        assert result.success
        parts = {pointer.part for pointer in again.store.pointers("recommendations") if pointer.ds == again.ds}
        assert parts == set(DAILY)
        assert "Customers have no lists" not in (again.home.reports / f"ds={again.ds}.html").read_text()
        assert again.files(house.ds, *DAILY_TABLES) == house.files(house.ds, *DAILY_TABLES)
        assert again.models(house.ds) == house.models(house.ds)
