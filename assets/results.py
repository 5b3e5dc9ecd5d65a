"""What is reported to Dagster of a step: materialisations with their figures, and the results of checks.

What belongs here: turning an :class:`~assets.step.Outcome` into Dagster's results. What does not: running a stage
(:mod:`assets.stage`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.step import CheckResult, Step, markdown
from resources.pointers import combined_version
from resources.tables import REGISTRY

if TYPE_CHECKING:
    from atelier.errors import ContractViolation
    from resources.feature_store import Written

#: The check of a stage whose work is done in a process of its own: whether that process published its assets.
MADE = "made"


def table_of(asset: str) -> str | None:
    """The table of an asset (``recommendations`` for ``recommendations/als``); None for an asset that is no table."""
    table = asset.partition("/")[0]
    return table if table in REGISTRY else None


def results(step: Step, assets: Sequence[str], seconds: float) -> Iterator[Any]:
    """The materialisations and check results of a step that has done its work.

    Args:
        step: the step, with its outcome.
        assets: the assets of its stage.
        seconds: the duration of the work.
    """
    for asset in assets:
        checks = [_check(asset, check) for check in step.outcome.checks] if asset == assets[0] else []
        table = table_of(asset)
        if table is None:
            yield _model_result(step, asset, checks, seconds)
        elif table in step.outcome.written:
            yield _table_result(step, asset, table, checks, seconds)
        else:
            # Dagster requires a result of every declared check, also where there was nothing to write.
            yield _contract(asset, passed=True, description="nothing was written")
            yield from checks


def _check(asset: str, check: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=check.passed,
        check_name=check.name,
        asset_key=dg.AssetKey.from_user_string(asset),
        description=check.description,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=check.metadata,
    )


def _contract(asset: str, **fields: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name="contract", asset_key=dg.AssetKey.from_user_string(asset), **fields)


def _table_result(
    step: Step, asset: str, table: str, checks: list[dg.AssetCheckResult], seconds: float
) -> dg.MaterializeResult[Any]:
    written = step.outcome.written[table]
    rows: dict[date, int] = defaultdict(int)
    for each in written:
        rows[each.pointer.ds] += each.pointer.rows
    for day, count in rows.items():
        step.note_day(asset, day, rows=count)
    # A range has no data version: Dagster would put the same one onto every day of it.
    versions = [f"{each.pointer.part}/{each.pointer.data_version}" for each in written]
    return dg.MaterializeResult(
        asset_key=dg.AssetKey.from_user_string(asset),
        metadata=_figures(step, asset, seconds),
        data_version=dg.DataVersion(combined_version(versions)) if len(rows) == 1 else None,
        check_results=[_contract_of(asset, written), *checks],
    )


def _model_result(
    step: Step, asset: str, checks: list[dg.AssetCheckResult], seconds: float
) -> dg.MaterializeResult[Any]:
    bundle, figures = step.outcome.bundles.get(asset), _figures(step, asset, seconds)
    if bundle is None:
        return dg.MaterializeResult(asset_key=asset, metadata=figures, check_results=checks)
    return dg.MaterializeResult(
        asset_key=asset,
        metadata={"model_id": bundle.model_id, "path": str(bundle.path), **figures},
        data_version=dg.DataVersion(bundle.model_id),
        check_results=checks,
    )


def _figures(step: Step, asset: str, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"seconds": round(seconds, 3), **step.outcome.notes[asset]}
    if table := table_of(asset):
        from resources.lineage_metadata import column_lineage

        figures["dagster/column_lineage"] = column_lineage(REGISTRY[table])
    return figures


def _contract_of(asset: str, written: "Sequence[Written]") -> dg.AssetCheckResult:
    audits = [each.audit for each in written if each.audit is not None]
    unique = list({id(audit): audit for audit in audits}.values())
    warnings = [result for audit in unique for result in audit.results if not result.success]
    metadata: Mapping[str, Any] = {
        "expectations": markdown("\n\n".join(audit.summary_markdown() for audit in unique) or "no audit configured")
    }
    return _contract(asset, passed=not warnings, metadata=metadata, severity=dg.AssetCheckSeverity.WARN)


def broken_contract(assets: Sequence[str], violation: "ContractViolation") -> dg.AssetCheckResult:
    """The failed contract check that reports ``violation``."""
    tables = [asset for asset in assets if table_of(asset)]
    asset = next((asset for asset in tables if table_of(asset) == violation.table), tables[0])
    audit = violation.audit
    return _contract(
        asset,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(violation),
        metadata={"expectations": markdown(audit.summary_markdown())} if audit else {},
    )


def made(asset: str) -> dg.AssetCheckResult:
    """The passed check of a process of its own that has published its assets."""
    return dg.AssetCheckResult(
        passed=True,
        check_name=MADE,
        asset_key=dg.AssetKey.from_user_string(asset),
        description="its process did its work",
    )


def missing(
    assets: Sequence[str], declared: Sequence[dg.AssetCheckSpec], reason: str, violation: "ContractViolation | None"
) -> Iterator[Any]:
    """The results of a step whose own process failed: the step ends normally, and its checks say what is missing.

    An output that is not yielded would skip every later step, the database and the report among them.

    Args:
        assets: the assets of the stage.
        declared: its checks; Dagster requires a result of each.
        reason: why nothing was made.
        violation: the broken contract, where that was the reason.
    """
    reported = [] if violation is None else [broken_contract(assets, violation)]
    known = {(check.check_name, check.asset_key) for check in reported}
    for spec in declared:
        if (spec.name, spec.asset_key) not in known:
            reported.append(
                dg.AssetCheckResult(
                    passed=False,
                    check_name=spec.name,
                    asset_key=spec.asset_key,
                    description=reason if spec.name == MADE else f"not made: {reason}",
                    severity=dg.AssetCheckSeverity.ERROR if spec.name == MADE else dg.AssetCheckSeverity.WARN,
                )
            )
    for asset in assets:
        key = dg.AssetKey.from_user_string(asset)
        checks = [check for check in reported if check.asset_key == key]
        yield dg.MaterializeResult(asset_key=key, metadata={"missing": reason}, check_results=checks)
