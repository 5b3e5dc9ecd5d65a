"""What Dagster remembers of checks.

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

    rows = [row for key in keys for row in _latest(instance, key, ds)]
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS))


def _latest(instance: "DagsterInstance", key: "AssetCheckKey", ds: date) -> Iterator[tuple[Any, ...]]:
    from dagster import AssetCheckSeverity

    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=SEARCHED)
    for record in records:
        event = record.event
        if event is None or not _covers(instance, record, ds):
            continue
        evaluation = event.dagster_event.asset_check_evaluation_data if event.dagster_event else None
        if evaluation is not None:
            blocking = not evaluation.passed and evaluation.severity == AssetCheckSeverity.ERROR
            table = key.asset_key.to_user_string()
            yield table, key.name, bool(evaluation.passed), blocking, evaluation.description or ""
            return


def _covers(instance: "DagsterInstance", record: Any, ds: date) -> bool:
    from dagster._core.storage.tags import (
        ASSET_PARTITION_RANGE_END_TAG,
        ASSET_PARTITION_RANGE_START_TAG,
        PARTITION_NAME_TAG,
    )

    if record.partition is not None:
        return bool(record.partition == ds.isoformat())
    run = instance.get_run_by_id(record.run_id)
    tags = run.tags if run else {}
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG, tags.get(PARTITION_NAME_TAG, ""))
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG, tags.get(PARTITION_NAME_TAG, ""))
    return bool(first) and first <= ds.isoformat() <= last
