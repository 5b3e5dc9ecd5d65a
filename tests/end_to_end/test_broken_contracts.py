"""For every table a stage writes: corrupted, its check fails, nothing is published and what follows does not run."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial

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
WRITTEN = [(stage.name, asset) for stage in STAGES for asset in stage.produces if table_of(asset)]


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


def writing_twice(stage: Stage, asset: str) -> Stage:
    """The stage, but it writes what is there already, with a row too many."""
    return replace(stage, compute=partial(write_twice, asset), config=None)


def _following(stage: Stage) -> list[Stage]:
    """A stage that reads what ``stage`` makes; none where nothing does yet."""
    return [other for other in STAGES if set(stage.produces) & set(other.deps)][:1]


@pytest.mark.parametrize(("stage_name", "asset"), WRITTEN, ids=[asset for _, asset in WRITTEN])
def test_a_corrupt_partition_fails_its_check_stays_unpublished_and_stops_what_follows(
    spoiled: House, stage_name: str, asset: str
) -> None:
    stages = [writing_twice(stage, asset) if stage.name == stage_name else stage for stage in STAGES]
    (stage,) = [stage for stage in stages if stage.name == stage_name]
    following = [] if stage.isolated else _following(stage)
    assert following or stage.isolated, "somebody reads it"
    before = spoiled.files(spoiled.ds)
    job = build_defs(spoiled.home, stages=stages).get_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=spoiled.instance,
        partition_key=spoiled.ds.isoformat(),
        raise_on_error=False,
        asset_selection=[dg.AssetKey.from_user_string(name) for each in (stage, *following) for name in each.produces],
    )
    assert result.success == stage.isolated, "what is isolated stops nobody else"
    evaluations = {(e.asset_key.to_user_string(), e.check_name): e for e in result.get_asset_check_evaluations()}
    contract = evaluations[asset, "contract"]
    assert not contract.passed
    assert contract.severity == dg.AssetCheckSeverity.ERROR
    assert "unique" in str(contract.description).lower() or "duplicate" in str(contract.description).lower()
    assert spoiled.files(spoiled.ds) == before
    started = {event.step_key for event in result.all_events if event.is_step_start}
    assert not started & {each.name for each in following}
    if stage.isolated:
        assert not evaluations[asset, MADE].passed
    else:
        assert not result.get_asset_materialization_events()


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
