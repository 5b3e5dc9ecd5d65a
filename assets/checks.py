"""Checks that hold a day against other days: partitioned, and never blocking.

What belongs here: comparisons between partitions. What does not: what a table promises of itself
(:mod:`resources.contracts`), and what a stage knows while it runs (its own checks).
"""

import warnings
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from resources.feature_store import FeatureStore

COUNTED = ("articles", "customers", "annotated_attributes", "images", "interactions")
LABELS = "annotated_attributes"

#: By how much a snapshot may grow or shrink in a day, and a day's events may differ from the week's median.
SNAPSHOT_CHANGE = 0.2
EVENTS_CHANGE = 3.0
#: How far an attribute's labels may move in a day: total variation distance between the shares of its values.
LABEL_SHIFT = 0.1


def build_checks(days: dg.DailyPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """One step for all comparisons: a step is a process."""
    rows = "Rows against yesterday's; for interactions against the median of the seven days before."
    described = [("rows_against_earlier_days", table, rows) for table in COUNTED]
    described.append(("label_distribution", LABELS, "Shares of each attribute's values against yesterday's."))
    described.append(("days_are_complete", "interactions", "Every day from the first one on has been ingested."))
    with warnings.catch_warnings(action="ignore"):  # partitioned checks are in preview
        specs = [
            dg.AssetCheckSpec(name, asset=table, partitions_def=days, description=text)
            for name, table, text in described
        ]

    @dg.multi_asset_check(name="against_other_days", specs=specs, required_resource_keys={"store", "home"})
    def against_other_days(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        ds, store = date.fromisoformat(context.partition_key), context.resources.store
        for table in COUNTED:
            yield rows_against_earlier_days(store, table, ds)
        yield label_distribution(store, ds)
        yield days_are_complete(store, context.resources.home.settings.first_day, ds)

    return [against_other_days]


def _result(table: str, name: str, passed: bool, description: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=table, check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, description=description
    )


def rows_against_earlier_days(store: "FeatureStore", table: str, ds: date) -> dg.AssetCheckResult:
    """Rows of ``table`` on ``ds`` against those of the days before."""
    before = 7 if table == "interactions" else 1
    pointers = {p.ds: p.rows for p in store.pointers(table)}
    earlier = sorted(rows for n in range(1, before + 1) if (rows := pointers.get(ds - timedelta(days=n))) is not None)
    name = "rows_against_earlier_days"
    if not earlier or ds not in pointers:
        return _result(table, name, True, f"{table}: no earlier day to compare {ds} with")
    usual, rows = earlier[len(earlier) // 2], pointers[ds]
    factor = EVENTS_CHANGE if table == "interactions" else 1 + SNAPSHOT_CHANGE
    passed = usual / factor <= rows <= usual * factor
    return _result(table, name, passed, f"{table}: {rows} rows on {ds}, {usual} before")


def label_distribution(store: "FeatureStore", ds: date) -> dg.AssetCheckResult:
    """Whether the shares of any attribute's values moved since yesterday."""
    name, yesterday = "label_distribution", ds - timedelta(days=1)
    if any(store.pointer(LABELS, day) is None for day in (ds, yesterday)):
        return _result(LABELS, name, True, f"no labels of both {yesterday} and {ds}")
    shares = [_shares(store, day) for day in (yesterday, ds)]
    keys = {key for share in shares for key in share}
    moved: dict[str, float] = {}
    for attribute, value in keys:
        change = abs(shares[1].get((attribute, value), 0.0) - shares[0].get((attribute, value), 0.0)) / 2
        moved[attribute] = moved.get(attribute, 0.0) + change
    far = sorted(attribute for attribute, distance in moved.items() if distance > LABEL_SHIFT)
    text = f"labels of {', '.join(far)} moved" if far else f"{len(moved)} attributes, none moved"
    return _result(LABELS, name, not far, f"{text} between {yesterday} and {ds}")


def _shares(store: "FeatureStore", ds: date) -> dict[tuple[str, str], float]:
    with store.connect(as_of=ds, tables=[LABELS]) as con:
        rows = con.sql(
            "SELECT attribute, value, count(*) / sum(count(*)) OVER (PARTITION BY attribute)"
            " FROM annotated_attributes GROUP BY attribute, value"
        ).fetchall()
    return {(attribute, value): share for attribute, value, share in rows}


def days_are_complete(store: "FeatureStore", first_day: date, ds: date) -> dg.AssetCheckResult:
    """Whether interactions of every day up to ``ds`` are in the store."""
    there = {p.ds for p in store.pointers("interactions")}
    days = [first_day + timedelta(days=n) for n in range((ds - first_day).days + 1)]
    missing = [day.isoformat() for day in days if day not in there]
    shown = ", ".join(missing[:10]) + (" …" if len(missing) > 10 else "")
    text = f"{len(missing)} days are not ingested: {shown}" if missing else f"all {len(days)} days are ingested"
    return _result("interactions", "days_are_complete", not missing, text)
