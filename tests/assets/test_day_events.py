"""What Dagster knows of each day after a run over a range of days: the same as after a run of that day alone."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from assets.partitions import partitioning
from assets.stage import Stage, stage
from assets.step import RunResources, Step
from resources.compute import Compute
from resources.contracts import audit
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

FIRST = date(2025, 1, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(4)]
LABELS = dg.AssetKey("annotated_attributes")
#: The days on which the stage below finds too little.
POOR = DAYS[2]


def labels(number: int, value: str = "red") -> pd.DataFrame:
    return pd.DataFrame(
        {"article_id": [f"a{n}" for n in range(number)], "attribute": "colour", "value": value}, dtype="str"
    )


@stage(
    produces=["annotated_attributes"],
    group="raw",
    checks={"rich": "Whether there are many labels.", "quick": "Whether it was quick."},
    ranged=True,
)
def annotated_attributes(step: Step) -> None:
    """One label on the first day, two on the second, and so on."""
    step.write_range("annotated_attributes", [(day, labels(DAYS.index(day) + 1)) for day in step.days])
    for day in step.days:
        step.note_day("annotated_attributes", day, colours=DAYS.index(day))
        step.check("rich", day != POOR, f"the labels of {day}", day, share=0.5)
    step.check("quick", True, "it was quick")


@stage(produces=["annotated_attributes"], group="raw", ranged=True, name="annotated_attributes")
def broken(step: Step) -> None:
    """A label without a value on the last day."""
    table = [(day, labels(1).assign(value=None) if day == step.days[-1] else labels(1)) for day in step.days]
    step.write_range("annotated_attributes", table)


@stage(produces=["image_backbone"], deps=["annotated_attributes"], group="images")
def image_backbone(step: Step) -> None:
    """Reads the labels of its day."""


def events(number: int) -> Stage:
    """A stage that stores so many interactions a day."""

    @stage(produces=["interactions"], group="raw", ranged=True)
    def interactions(step: Step) -> None:
        """So many purchases a day."""
        for day in step.days:
            rows = pd.DataFrame(
                {
                    "ordinal": range(number),
                    "customer_id": "c",
                    "article_id": "a",
                    "occurred_at": pd.Timestamp(day),
                    "kind": "purchase",
                    "price": None,
                    "channel": None,
                    "session_id": None,
                }
            )
            step.write("interactions", rows, ds=day)

    return interactions


@stage(produces=["als_model"], deps=["interactions"], group="recommenders")
def als_model(step: Step) -> None:
    """Reads the interactions up to its day."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    write_settings(home, Settings(source="sample", path="retailer", first_day=DAYS[0], last_day=DAYS[-1]))
    return home


def repository_of(home: Home, *stages: Stage) -> dg.RepositoryDefinition:
    days = partitioning(home)
    resources = RunResources(home, home.open_store(audit), ModelStore(home.store), Compute("cpu", 1))
    return dg.Definitions(
        assets=[each.asset(days) for each in stages],
        jobs=[dg.define_asset_job(each.name, dg.AssetSelection.assets(*each.produces)) for each in stages],
        resources={"run_resources": resources},
    ).get_repository_def()


def run(
    home: Home, instance: dg.DagsterInstance, wanted: Stage, first: date, last: date | None = None, **options: Any
) -> dg.ExecuteInProcessResult:
    job = repository_of(home, wanted).get_job(wanted.name)
    if last is None:
        return job.execute_in_process(instance=instance, partition_key=first.isoformat(), **options)
    ends = {"start": first.isoformat(), "end": last.isoformat()}
    tags = {f"dagster/asset_partition_range_{name}": day for name, day in ends.items()}
    return job.execute_in_process(instance=instance, tags=tags, **options)


def statuses(instance: dg.DagsterInstance, check: str) -> dict[date, Status]:
    """The status of a check on each day, as Dagster's UI shows it."""
    found = {}
    for day in DAYS:
        history = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(LABELS, check), limit=10, partition_filter=PartitionKeyFilter(key=day.isoformat())
        )
        if history:
            found[day] = history[0].status
    return found


def test_every_check_of_a_range_has_a_result_of_every_day(home: Home, instance: dg.DagsterInstance) -> None:
    assert run(home, instance, annotated_attributes, DAYS[0], DAYS[-1]).success
    everywhere = dict.fromkeys(DAYS, Status.SUCCEEDED)
    assert statuses(instance, "contract") == everywhere
    assert statuses(instance, "quick") == everywhere
    assert statuses(instance, "rich") == {**everywhere, POOR: Status.FAILED}
    for check in ("contract", "quick", "rich"):
        without_day = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(LABELS, check), limit=10, partition_filter=PartitionKeyFilter(key=None)
        )
        assert not without_day, "a result without a day would stand for all days"


def test_a_check_of_a_range_is_about_the_materialisation_of_its_day(home: Home, instance: dg.DagsterInstance) -> None:
    result = run(home, instance, annotated_attributes, DAYS[0], DAYS[-1])
    evaluations = [each for each in result.get_asset_check_evaluations() if each.check_name == "rich"]
    assert [each.partition for each in evaluations] == [day.isoformat() for day in DAYS]
    for each in evaluations:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=LABELS, asset_partitions=[str(each.partition)]), limit=5
        ).records
        assert len(records) == 1, "one materialisation of a day, not two"
        assert each.target_materialization_data is not None
        assert each.target_materialization_data.storage_id == records[0].storage_id
        assert each.description == f"the labels of {each.partition}"
        assert each.metadata["share"].value == 0.5


def test_a_range_tells_of_each_day_what_a_run_of_that_day_tells(home: Home, instance: dg.DagsterInstance) -> None:
    def told() -> list[tuple[Any, ...]]:
        materialised = [
            instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=LABELS, asset_partitions=[day.isoformat()]), limit=1
            ).records[0]
            for day in DAYS
        ]
        events = [record.asset_materialization for record in materialised]
        figures = ("dagster/row_count", "colours", "path")
        tags = ("dagster/data_version", "dagster/code_version", "dagster/data_version_is_user_provided")
        assert all(event is not None for event in events)
        return [
            (
                *(event.metadata[name].value for name in figures),
                "dagster/column_lineage" in event.metadata,
                *(event.tags[name] for name in tags),
            )
            for event in events
            if event is not None
        ]

    run(home, instance, annotated_attributes, DAYS[0], DAYS[-1])
    of_range = told()
    assert [each[:2] for each in of_range] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert all(Path(each[2]).is_file() for each in of_range)
    assert len({each[4] for each in of_range}) == len(DAYS), "every day has a data version of its own"
    for day in DAYS:
        run(home, instance, annotated_attributes, day)
    assert told() == of_range


def test_the_same_data_ingested_again_leave_what_was_made_from_a_range_fresh(
    home: Home, instance: dg.DagsterInstance
) -> None:
    graph = repository_of(home, annotated_attributes, image_backbone).asset_graph

    def status() -> StaleStatus:
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return resolver.get_status(dg.AssetKey("image_backbone"), DAYS[1].isoformat())

    run(home, instance, annotated_attributes, DAYS[0], DAYS[-1])
    assert status() == StaleStatus.MISSING
    job = repository_of(home, annotated_attributes, image_backbone).get_job("image_backbone")
    job.execute_in_process(instance=instance, partition_key=DAYS[1].isoformat())
    assert status() == StaleStatus.FRESH
    run(home, instance, annotated_attributes, DAYS[1])
    assert status() == StaleStatus.FRESH


def test_a_range_that_breaks_its_contract_fails_the_check_of_every_day(
    home: Home, instance: dg.DagsterInstance
) -> None:
    result = run(home, instance, broken, DAYS[0], DAYS[1], raise_on_error=False)
    assert not result.success
    assert statuses(instance, "contract") == dict.fromkeys(DAYS[:2], Status.FAILED)
    assert not home.open_store().pointers(), "nothing was published"


def test_history_that_changes_makes_stale_what_has_read_it_and_the_future_does_not(
    home: Home, instance: dg.DagsterInstance
) -> None:
    graph = repository_of(home, events(1), als_model).asset_graph

    def status() -> StaleStatus:
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return resolver.get_status(dg.AssetKey("als_model"), DAYS[2].isoformat())

    run(home, instance, events(1), DAYS[1], DAYS[-1])
    job = repository_of(home, events(1), als_model).get_job("als_model")
    assert job.execute_in_process(instance=instance, partition_key=DAYS[2].isoformat()).success, (
        "it does not wait for the first day, which is not there"
    )
    assert status() == StaleStatus.FRESH
    run(home, instance, events(2), DAYS[3])
    assert status() == StaleStatus.FRESH, "a later day is none of its business"
    run(home, instance, events(1), DAYS[1])
    assert status() == StaleStatus.FRESH, "the same rows again"
    run(home, instance, events(2), DAYS[1])
    assert status() == StaleStatus.STALE
