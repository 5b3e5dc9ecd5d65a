"""What is reported to Dagster of a step: materialisations with their figures, and the results of checks.

What belongs here: turning an :class:`~assets.step.Outcome` into Dagster's results. What does not: running a stage
(:mod:`assets.stage`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.day_events import check_results, materialisations
from assets.step import CheckResult, Step, markdown
from resources.pointers import combined_version
from resources.tables import REGISTRY

if TYPE_CHECKING:
    from atelier.errors import ContractViolation
    from resources.feature_store import Written

#: The check of a stage whose work is done in a process of its own: whether that process published its assets.
MADE = "made"
WHETHER_MADE = "Whether the stage's own process did its work and published its assets."
#: The check of every table: whether its rows satisfy what the registry declares.
CONTRACT = "contract"


def table_of(asset: str) -> str | None:
    """The table of an asset (``recommendations`` for ``recommendations/als``); None for an asset that is no table."""
    table = asset.partition("/")[0]
    return table if table in REGISTRY else None


def results(step: Step, stage_assets: Sequence[str], seconds: float) -> Iterator[Any]:
    """The materialisations and check results of a step that has done its work, of every day of its run.

    Args:
        step: the step, with its outcome.
        stage_assets: the assets of its stage.
        seconds: the duration of the work.
    """
    for asset in stage_assets:
        table, bundle = table_of(asset), step.outcome.bundles.get(asset)
        written = _by_day(step, asset)
        shared = _shared_figures(step, asset, seconds)
        figures = {
            day: {**shared, **_day_figures(step, asset, day, written[day])}
            if written[day] or table is None
            # An output that is not yielded would skip every later step, and fail a backfill whose runs succeeded.
            else {**shared, "missing": "nothing was written"}
            for day in step.days
        }
        versions = {day: _version(written[day]) for day in step.days if written[day]}
        if bundle is not None:
            versions = dict.fromkeys(step.days, bundle.model_id)
        yield from materialisations(step.dagster, _key(asset), figures, versions)
        if table is not None:
            yield from _checked(step, asset, CONTRACT, {day: _contract_of(asset, written[day]) for day in step.days})
    yield from _declared(step, stage_assets[0])


def _declared(step: Step, asset: str) -> Iterator[Any]:
    """The results of the checks that the stage itself made; the last one that is about a day holds."""
    for name in dict.fromkeys(check.name for check in step.outcome.checks):
        found: dict[date, dg.AssetCheckResult] = {}
        for check in step.outcome.checks:
            if check.name == name:
                found |= dict.fromkeys(step.days if check.day is None else [check.day], _check(asset, check))
        yield from _checked(step, asset, name, found)


def _checked(step: Step, asset: str, name: str, found: Mapping[date, dg.AssetCheckResult]) -> Iterator[Any]:
    yield from check_results(step.dagster, dg.AssetCheckKey(_key(asset), name), found)


def _key(asset: str) -> dg.AssetKey:
    return dg.AssetKey.from_user_string(asset)


def _check(asset: str, check: CheckResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=check.passed,
        check_name=check.name,
        asset_key=_key(asset),
        description=check.description,
        severity=dg.AssetCheckSeverity.ERROR if check.gate else dg.AssetCheckSeverity.WARN,
        metadata=check.metadata,
    )


def _contract(asset: str, **fields: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(check_name=CONTRACT, asset_key=_key(asset), **fields)


def _by_day(step: Step, asset: str) -> "Mapping[date, list[Written]]":
    """The partitions of an asset that the step has written, by day; an asset that is no table has none."""
    found: dict[date, list[Written]] = {day: [] for day in step.days}
    for each in step.outcome.written.get(table_of(asset) or "", ()):
        found[each.pointer.ds].append(each)
    return found


def _version(written: "Sequence[Written]") -> str:
    return combined_version([f"{each.pointer.part}/{each.pointer.data_version}" for each in written])


def _shared_figures(step: Step, asset: str, seconds: float) -> dict[str, Any]:
    """What is told of every day of a run."""
    figures: dict[str, Any] = {"seconds": round(seconds, 3), **step.outcome.notes[asset]}
    if table := table_of(asset):
        from resources.lineage_metadata import column_lineage

        figures["dagster/column_lineage"] = column_lineage(REGISTRY[table])
    if bundle := step.outcome.bundles.get(asset):
        figures |= {"model_id": bundle.model_id, "path": dg.MetadataValue.path(str(bundle.path))}
    return figures


def _day_figures(step: Step, asset: str, day: date, written: "Sequence[Written]") -> dict[str, Any]:
    """What is told of one day: its rows, its file where there is one, and what the stage has noted of it."""
    figures: dict[str, Any] = dict(step.outcome.day_notes.get((asset, day), {}))
    if written:
        figures["dagster/row_count"] = sum(each.pointer.rows for each in written)
    if len(written) == 1:
        figures["path"] = dg.MetadataValue.path(step.store.location(written[0].pointer))
    return figures


def _contract_of(asset: str, written: "Sequence[Written]") -> dg.AssetCheckResult:
    """The contract's result on a day; in a run over a range the expectations were evaluated on all its days together.

    Its numbers are drawn over the days by Dagster's UI.
    """
    if not written:
        return _contract(asset, passed=True, description="nothing was written")
    audits = [each.audit for each in written if each.audit is not None]
    unique = list({id(audit): audit for audit in audits}.values())
    unmet = sum(len(audit.failures) for audit in unique)
    metadata: Mapping[str, Any] = {
        "expectations": markdown("\n\n".join(audit.summary_markdown() for audit in unique) or "no audit configured"),
        "expectations_evaluated": sum(len(audit.results) for audit in unique),
        "expectations_not_met": unmet,
        "rows": sum(each.pointer.rows for each in written),
    }
    return _contract(asset, passed=not unmet, metadata=metadata, severity=dg.AssetCheckSeverity.WARN)


def broken_contract(step: Step, stage_assets: Sequence[str], violation: "ContractViolation") -> Iterator[Any]:
    """The failed contract check that reports ``violation``: of every day of the run, because none was published."""
    asset = _at_fault(stage_assets, violation)
    yield from _checked(step, asset, CONTRACT, dict.fromkeys(step.days, _broken(asset, violation)))


def _at_fault(stage_assets: Sequence[str], violation: "ContractViolation") -> str:
    tables = [asset for asset in stage_assets if table_of(asset)]
    return next((asset for asset in tables if table_of(asset) == violation.table), tables[0])


def _broken(asset: str, violation: "ContractViolation") -> dg.AssetCheckResult:
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
    assets: Sequence[str], declared: Iterable[dg.AssetCheckSpec], reason: str, violation: "ContractViolation | None"
) -> Iterator[Any]:
    """The results of a step whose own process failed: the step ends normally, and its checks say what is missing.

    An output that is not yielded would skip every later step, the database and the report among them.

    Args:
        assets: the assets of the stage.
        declared: its checks; Dagster requires a result of each.
        reason: why nothing was made.
        violation: the broken contract, where that was the reason.
    """
    reported = [] if violation is None else [_broken(_at_fault(assets, violation), violation)]
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
