"""Dagster's events of a run over one day or over a range of days: each day gets its own.

What belongs here: a materialisation and the results of checks for every day of a run. What does not: what they say
(:mod:`assets.results`, :mod:`assets.checks`).

Dagster gives every partition of a range the same data version, and an ``AssetCheckResult`` of a range no partition at
all: its UI then shows a check as skipped on days on which it ran. So a range yields Dagster's lower-level events.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import CODE_VERSION_TAG, DATA_VERSION_IS_USER_PROVIDED_TAG, DATA_VERSION_TAG
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

Context = dg.OpExecutionContext | dg.AssetExecutionContext
#: Dagster writes no event for an output that carries this mark, because its step yields the events itself.
OWN_EVENTS = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
#: So many materialisations are asked for at once.
PAGE = 1000


def materialisations(
    context: Context, asset: dg.AssetKey, metadata: Mapping[date, Mapping[str, Any]], versions: Mapping[date, str]
) -> Iterator[Any]:
    """The materialisation of an asset on every day of a run.

    Args:
        context: Dagster's, of the step.
        asset: the asset.
        metadata: what is told of each day; its keys are the days of the run.
        versions: the data version of each day; a day without one gets Dagster's own, computed from code and inputs.
    """
    if context.has_partition_key:
        ((day, figures),) = metadata.items()
        version = dg.DataVersion(versions[day]) if day in versions else None
        yield dg.MaterializeResult(asset_key=asset, metadata=figures, data_version=version)
        return
    yield dg.MaterializeResult(asset_key=asset, metadata=OWN_EVENTS)
    code_version = context.assets_def.code_versions_by_key[asset]
    for day, figures in metadata.items():
        tags = {} if code_version is None else {CODE_VERSION_TAG: code_version}
        if day in versions:
            tags |= {DATA_VERSION_TAG: versions[day], DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
        yield dg.AssetMaterialization(asset_key=asset, partition=day.isoformat(), metadata=figures, tags=tags)


def check_results(
    context: Context, key: dg.AssetCheckKey, results: Mapping[date, dg.AssetCheckResult]
) -> Iterator[Any]:
    """The results of one check on every day of a run.

    Args:
        context: Dagster's, of the step.
        key: the check.
        results: its result on each day of the run.
    """
    if context.has_partition_key:
        yield from results.values()
        return
    spec = context.assets_def.get_spec_for_check_key(key)
    yield dg.Output(None, output_name=spec.get_python_identifier())
    targets = latest_materialisations(context.instance, key.asset_key, list(results))
    for day, result in results.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=targets.get(day),
            severity=result.severity,
            description=result.description,
            blocking=spec.blocking,
            partition=day.isoformat(),
        )


def latest_materialisations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Sequence[date]
) -> dict[date, AssetCheckEvaluationTargetMaterializationData]:
    """The newest materialisation of ``asset`` on each of ``days``; days that have none are left out."""
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[day.isoformat() for day in days])
    found: dict[date, AssetCheckEvaluationTargetMaterializationData] = {}
    cursor: str | None = None
    while len(found) < len(days):
        page = instance.fetch_materializations(wanted, limit=PAGE, cursor=cursor)
        for record in page.records:  # the newest first
            found.setdefault(
                date.fromisoformat(str(record.partition_key)),
                AssetCheckEvaluationTargetMaterializationData(
                    storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
                ),
            )
        if not page.has_more:
            break
        cursor = page.cursor
    return found
