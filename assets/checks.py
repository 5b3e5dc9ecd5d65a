"""Checks that compare a day with other days, and never block.

What belongs here: comparisons between partitions. What does not: the contract of a single partition
(:mod:`resources.contracts`), and what a stage itself checks while it runs.
"""

import warnings
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING

import dagster as dg

from assets.day_events import check_results
from assets.step import RunResources, days_of_run
from resources.retailer import day_range

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

#: What is unusual, by day; a day on which nothing is has no entry.
Faults = dict[date, list[str]]

COUNTED = ("articles", "customers", "annotated_attributes", "images", "interactions")
LABELS = "annotated_attributes"

#: By how much a snapshot may grow or shrink in a day, and a day's events may differ from the week's median.
SNAPSHOT_CHANGE = 0.2
EVENTS_CHANGE = 3.0
#: How far an attribute's labels may move in a day: total variation distance between the shares of its values.
LABEL_SHIFT = 0.1
#: How many faults a check's description names.
SHOWN = 10


def build_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """All comparisons in one step, because each step costs a process."""
    rows = "Rows against yesterday's; for interactions against the median of the seven days before."
    described = [("rows_against_earlier_days", table, rows) for table in COUNTED]
    described.append(("label_distribution", LABELS, "Shares of each attribute's values against yesterday's."))
    described.append(("label_values", LABELS, "Values that were not there yesterday, and values that are no longer."))
    described.append(("days_are_complete", "interactions", "Every day from the first one on has been ingested."))
    with warnings.catch_warnings(action="ignore"):  # partitioned checks are in preview
        specs = [
            dg.AssetCheckSpec(name, asset=table, partitions_def=days, description=text)
            for name, table, text in described
        ]

    # Materialising one table in the UI selects the checks of that table only, so the checks must be subsettable.
    @dg.multi_asset_check(name="against_other_days", specs=specs, can_subset=True)
    def against_other_days(
        context: dg.AssetCheckExecutionContext, run_resources: dg.ResourceParam[RunResources]
    ) -> Iterator[dg.AssetCheckResult]:
        op_context = context.op_execution_context
        settings = run_resources.home.settings
        days, store, first_day = (
            days_of_run(op_context.partition_key_range, settings),
            run_resources.store,
            settings.first_day,
        )
        for key in sorted(op_context.selected_asset_check_keys):
            faults = _faults(store, key.asset_key.to_user_string(), key.name, days, first_day)
            yield from check_results(op_context, key, {day: _result(key, faults.get(day, ())) for day in days})

    return [against_other_days]


def _faults(store: "FeatureStore", table: str, check: str, days: Sequence[date], first_day: date) -> Faults:
    """What the check named ``check`` finds in ``table``."""
    if check == "label_distribution":
        return moved_labels(store, days)
    if check == "label_values":
        return changed_values(store, days)
    if check == "days_are_complete":
        return missing_days(store, first_day, days)
    return changed_rows(store, table, days)


def _result(key: dg.AssetCheckKey, faults: Sequence[str]) -> dg.AssetCheckResult:
    shown = "; ".join(faults[:SHOWN]) + (f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else "")
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description=shown or "nothing unusual",
    )


def changed_rows(store: "FeatureStore", table: str, days: Sequence[date]) -> Faults:
    """The days whose number of rows is far from that of the days before; each message gives both numbers."""
    rows = {pointer.ds: pointer.rows for pointer in store.pointers(table)}
    events = table == "interactions"
    factor = EVENTS_CHANGE if events else 1 + SNAPSHOT_CHANGE
    faults: Faults = {}
    for ds in days:
        before = [ds - timedelta(days=n) for n in range(1, 8 if events else 2)]
        earlier = [rows[day] for day in before if day in rows]
        usual = median(earlier) if earlier else None
        if usual is not None and ds in rows and not usual / factor <= rows[ds] <= usual * factor:
            faults[ds] = [f"{table}: {rows[ds]} rows on {ds}, {usual:g} before"]
    return faults


def moved_labels(store: "FeatureStore", days: Sequence[date]) -> Faults:
    """The days on which the shares of an attribute's values moved against the day before, with the attributes."""
    faults: Faults = {}
    for yesterday, ds in _changed_days(store, days):
        far = _moved(_shares(store, yesterday), _shares(store, ds))
        if far:
            faults[ds] = [f"labels of {', '.join(far)} moved between {yesterday} and {ds}"]
    return faults


def changed_values(store: "FeatureStore", days: Sequence[date]) -> Faults:
    """The days on which an attribute gained or lost values since the day before, as when a taxonomy changes.

    Where old labels are not renamed, both names stay, and the model learns them as two values.
    """
    faults: Faults = {}
    for yesterday, ds in _changed_days(store, days):
        before, after = _shares(store, yesterday).keys(), _shares(store, ds).keys()
        changes = [("new", after - before), ("gone", before - after)]
        named = [f"{word} {attribute}={value}" for word, found in changes for attribute, value in sorted(found)]
        if named:
            faults[ds] = [f"{ds}: {', '.join(named)}"]
    return faults


def _changed_days(store: "FeatureStore", days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """The day before and the day, for each of the days whose labels differ from those of the day before."""
    versions = {pointer.ds: pointer.data_version for pointer in store.pointers(LABELS)}
    for ds in days:
        yesterday = ds - timedelta(days=1)
        if {ds, yesterday} <= versions.keys() and versions[ds] != versions[yesterday]:
            yield yesterday, ds


def _moved(before: dict[tuple[str, str], float], after: dict[tuple[str, str], float]) -> list[str]:
    """The attributes whose shares differ by more than LABEL_SHIFT in total variation."""
    distances: dict[str, float] = defaultdict(float)
    for key in {*before, *after}:
        distances[key[0]] += abs(after.get(key, 0.0) - before.get(key, 0.0)) / 2
    return sorted(attribute for attribute, distance in distances.items() if distance > LABEL_SHIFT)


def _shares(store: "FeatureStore", ds: date) -> dict[tuple[str, str], float]:
    with store.connect(as_of=ds, tables=[LABELS]) as con:
        rows = con.sql(
            "SELECT attribute, value, count(*) / sum(count(*)) OVER (PARTITION BY attribute)"
            " FROM annotated_attributes GROUP BY attribute, value"
        ).fetchall()
    return {(attribute, value): share for attribute, value, share in rows}


def missing_days(store: "FeatureStore", first_day: date, days: Sequence[date]) -> Faults:
    """For each of ``days``, the days from the first one up to it of which no interactions are in the store."""
    there = {pointer.ds for pointer in store.pointers("interactions")}
    absent = [day for day in day_range(first_day, days[-1]) if day not in there]
    said = [f"{day} is not ingested" for day in absent]
    return {day: said[:earlier] for day in days if (earlier := bisect_right(absent, day))}
