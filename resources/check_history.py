"""The results of checks that Dagster has stored.

What belongs here: the latest result of each check on a day, as a frame. What does not: any check.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from dagster import AssetCheckKey, DagsterInstance

COLUMNS = ("table", "check", "success", "blocking", "observed")
#: How many of a check's evaluations are searched for one that covers the day: ranged runs record no partition.
SEARCHED = 100


def latest_checks(instance: "DagsterInstance", keys: "Iterable[AssetCheckKey]", ds: date) -> "pd.DataFrame":
    """The latest evaluation of every check that covers the day ``ds``.

    Args:
        instance: Dagster's storage.
        keys: the checks of the code location.
        ds: the day.

    Returns:
        table, check, success, blocking (a failure stopped what follows), observed (its description), sorted by table
        and check. Checks that were never evaluated for the day are left out.
    """
    import pandas as pd

    runs: dict[str, bool] = {}
    rows = [row for key in keys for row in _latest(instance, key, ds, runs)]
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def _latest(
    instance: "DagsterInstance", key: "AssetCheckKey", ds: date, runs: dict[str, bool]
) -> Iterator[tuple[Any, ...]]:
    from dagster import AssetCheckSeverity, DagsterEventType

    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=SEARCHED):
        event = record.event.dagster_event if record.event else None
        # A check that was planned, in a run that died before it, has no evaluation.
        if event is None or event.event_type != DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        if _covers(instance, record, ds, runs):
            evaluation = event.asset_check_evaluation_data
            blocking = not evaluation.passed and evaluation.severity == AssetCheckSeverity.ERROR
            table = key.asset_key.to_user_string()
            yield table, key.name, bool(evaluation.passed), blocking, evaluation.description or ""
            return


def _covers(instance: "DagsterInstance", record: Any, ds: date, runs: dict[str, bool]) -> bool:
    """Whether an evaluation is of the day; ``runs`` remembers it of the runs that were asked for."""
    from dagster._core.storage.tags import (
        ASSET_PARTITION_RANGE_END_TAG,
        ASSET_PARTITION_RANGE_START_TAG,
        PARTITION_NAME_TAG,
    )

    if record.partition is not None:
        return bool(record.partition == ds.isoformat())
    if record.run_id not in runs:
        run = instance.get_run_by_id(record.run_id)
        tags = run.tags if run else {}
        first = tags.get(ASSET_PARTITION_RANGE_START_TAG, tags.get(PARTITION_NAME_TAG, ""))
        last = tags.get(ASSET_PARTITION_RANGE_END_TAG, tags.get(PARTITION_NAME_TAG, ""))
        runs[record.run_id] = bool(first) and first <= ds.isoformat() <= last
    return runs[record.run_id]
