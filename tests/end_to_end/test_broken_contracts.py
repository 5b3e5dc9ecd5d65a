"""For every table a stage writes: corrupted, its check fails, nothing is published and what follows does not run."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import dagster as dg
import pyarrow as pa
import pytest

from assets import daily
from assets.results import MADE, table_of
from assets.stage import Stage, without_other_recommenders
from assets.step import Step
from atelier.recommenders import DAILY
from dagster_project.build import build_defs
from resources.retailer import Home
from tests.end_to_end.house import House

pytestmark = pytest.mark.end_to_end

STAGES = without_other_recommenders(daily.STAGES, DAILY)


def written(stage: Stage) -> list[str]:
    """The assets of a stage that are tables, or parts of one."""
    return [asset for asset in stage.produces if table_of(asset)]


#: Each asset with its stage and its place among those that the stage writes.
WRITTEN = [(stage, asset, place) for stage in STAGES for place, asset in enumerate(written(stage))]


@pytest.fixture(scope="module")
def spoiled(house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A copy of the complete home."""
    root = tmp_path_factory.mktemp("spoiled") / "home"
    shutil.copytree(house.home.root, root)
    return House(Home(root), house.instance, house.ds)


def write_twice(asset: str, step: Step) -> None:
    """Write the rows of a table, or of one part of it, that are there already, the first one doubled."""
    table, _, part = asset.partition("/")
    known = part or next(pointer.part for pointer in step.store.pointers(table) if pointer.ds == step.ds)
    rows = step.store.read(table, step.ds, part=known)
    step.write(table, pa.concat_tables([rows, rows.slice(0, 1)]), part=known)


def writing_twice(stage: Stage, place: int) -> Stage:
    """The stage, but of one of its tables it writes what is there already, with a row too many."""
    if place >= len(written(stage)):
        return stage
    return replace(stage, compute=partial(write_twice, written(stage)[place]), config=None)


@dataclass(frozen=True)
class Ran:
    """A run of corrupt stages.

    Attributes:
        result: what Dagster tells of it.
        changed: the tables of the day, or parts of them, of which another file is published than before.
    """

    result: dg.ExecuteInProcessResult
    changed: set[str]


@pytest.fixture(scope="module")
def run(spoiled: House) -> Callable[[int, Sequence[Stage]], Ran]:
    """Runs stages of a code location in which each corrupts its table in a place; loading one is most of a run."""

    @cache
    def job_of(place: int) -> dg.JobDefinition:
        stages = [writing_twice(stage, place) for stage in STAGES]
        return build_defs(spoiled.home, stages=stages).get_implicit_global_asset_job_def()

    def ran(place: int, stages: Sequence[Stage]) -> Ran:
        before = spoiled.files(spoiled.ds)
        result = job_of(place).execute_in_process(
            instance=spoiled.instance,
            partition_key=spoiled.ds.isoformat(),
            raise_on_error=False,
            asset_selection=[dg.AssetKey.from_user_string(name) for stage in stages for name in stage.produces],
        )
        return Ran(result, {name for name, _ in spoiled.files(spoiled.ds).items() ^ before.items()})

    return ran


@pytest.fixture(scope="module")
def isolated(run: Callable[[int, Sequence[Stage]], Ran]) -> Callable[[int], Ran]:
    """The run of all isolated stages at once, as none stops another."""
    return cache(lambda place: run(place, [each for each in STAGES if each.isolated and len(written(each)) > place]))


def _following(stage: Stage) -> list[Stage]:
    """A stage that reads what ``stage`` makes; none where nothing does yet."""
    return [other for other in STAGES if set(stage.produces) & set(other.deps)][:1]


def broken(asset: str, ran: Ran) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    """The results of a run's checks, by asset and name, after a look at the asset's contract."""
    evaluations = {(e.asset_key.to_user_string(), e.check_name): e for e in ran.result.get_asset_check_evaluations()}
    contract = evaluations[asset, "contract"]
    assert not contract.passed
    assert contract.severity == dg.AssetCheckSeverity.ERROR
    assert "unique" in str(contract.description).lower() or "duplicate" in str(contract.description).lower()
    return evaluations


def cases(isolated: bool) -> pytest.MarkDecorator:
    """A test for each asset of the stages that are isolated, or of those that are not."""
    chosen = [case for case in WRITTEN if case[0].isolated == isolated]
    return pytest.mark.parametrize(("stage", "asset", "place"), chosen, ids=[asset for _, asset, _ in chosen])


@cases(isolated=False)
def test_a_corrupt_partition_fails_its_check_stays_unpublished_and_stops_what_follows(
    run: Callable[[int, Sequence[Stage]], Ran], stage: Stage, asset: str, place: int
) -> None:
    following = _following(stage)
    assert following, "somebody reads it"
    ran = run(place, [stage, *following])
    assert not ran.result.success
    broken(asset, ran)
    assert not ran.changed
    started = {event.step_key for event in ran.result.all_events if event.is_step_start}
    assert not started & {each.name for each in following}
    assert not ran.result.get_asset_materialization_events()


@cases(isolated=True)
def test_a_corrupt_partition_of_an_isolated_stage_stays_unpublished_and_stops_nobody(
    isolated: Callable[[int], Ran], stage: Stage, asset: str, place: int
) -> None:
    ran = isolated(place)
    assert stage.name not in {event.step_key for event in ran.result.all_events if event.is_step_failure}
    assert not broken(asset, ran)[asset, MADE].passed
    table, _, part = asset.partition("/")
    assert not [name for name in ran.changed if name == asset or (not part and name.startswith(f"{table}/"))]


def test_the_rejected_rows_have_a_contract_too(make_house: Callable[..., House]) -> None:
    house = make_house()
    day = house.home.settings.first_day
    house.run("ingest", day)
    from atelier.errors import ContractViolation
    from resources.contracts import audit
    from resources.feature_store import FeatureStore

    store = FeatureStore(house.home.store, audit=audit)
    rows = {"source_table": ["images"], "source_file": ["a"], "row": [-1], "column_name": ["path"], "reason": ["bad"]}
    with pytest.raises(ContractViolation, match="row"):
        store.write("rejected", day, pa.table({**rows, "record": pa.nulls(1, pa.string())}), part="images")
