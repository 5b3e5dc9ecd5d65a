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
#: How many of a check's records of a day are searched: those of runs that died before the check have no evaluation.
SEARCHED = 100


def latest_checks(instance: "DagsterInstance", keys: "Iterable[AssetCheckKey]", ds: date) -> "pd.DataFrame":
    """The latest evaluation of every check on the day ``ds``.

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
    from dagster import AssetCheckSeverity, DagsterEventType
    from dagster._core.event_api import PartitionKeyFilter

    history = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=SEARCHED, partition_filter=PartitionKeyFilter(key=ds.isoformat())
    )
    for record in history:
        event = record.event.dagster_event if record.event else None
        # A check that was planned, in a run that died before it, has no evaluation.
        if event is None or event.event_type != DagsterEventType.ASSET_CHECK_EVALUATION:
            continue
        evaluation = event.asset_check_evaluation_data
        blocking = not evaluation.passed and evaluation.severity == AssetCheckSeverity.ERROR
        yield key.asset_key.to_user_string(), key.name, bool(evaluation.passed), blocking, evaluation.description or ""
        return
