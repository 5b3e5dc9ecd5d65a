"""How a stage of the daily DAG is declared, and how it publishes what it makes.

What belongs here: the decorator :func:`stage`, which turns a function of a :class:`~assets.step.Step` into Dagster
assets with partitions, contract checks, schema and lineage, the same way for all of them. What does not: any stage.
"""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from assets.step import Step
from atelier.errors import ContractViolation
from atelier.progress import named
from resources.tables import REGISTRY

RESOURCES = frozenset({"store", "models", "home", "compute", "check_keys"})


@dataclass(frozen=True)
class Partitioning:
    """What a day is in this code location.

    Attributes:
        days: the daily partitions.
        horizon: how many days of behaviour judge the recommendations of a day.
    """

    days: dg.DailyPartitionsDefinition
    horizon: int

    @cached_property
    def horizon_earlier(self) -> dg.TimeWindowPartitionMapping:
        """From a day to the day whose recommendations it judges; the first days have none."""
        with warnings.catch_warnings(action="ignore"):  # a parameter of Dagster's that is in beta
            return dg.TimeWindowPartitionMapping(
                start_offset=-self.horizon, end_offset=-self.horizon, allow_nonexistent_upstream_partitions=True
            )


@dataclass(frozen=True)
class Stage:
    """One step of the DAG, declared but not yet bound to a retailer's days.

    Attributes:
        compute: what it does.
        produces: the assets it makes; those that are tables of the registry get a contract check.
        deps: the assets of the same day that it reads.
        judged_deps: the assets of ``ds − horizon`` that it reads.
        group: where it stands in the UI.
        checks: the names of further, non-blocking checks that it reports by :meth:`Step.check`, on its first asset.
        ranged: whether one run may do many days.
        skippable: whether it may decide to write nothing.
        pool: the concurrency pool it waits in, given whether the device is a GPU.
    """

    compute: Callable[..., None]
    produces: tuple[str, ...]
    deps: tuple[str, ...]
    judged_deps: tuple[str, ...]
    group: str
    checks: tuple[str, ...]
    ranged: bool
    skippable: bool
    pool: str | None

    @property
    def name(self) -> str:
        """The stage's name: its function's, and its op's in the launchpad."""
        return self.compute.__name__

    def asset(self, partitioning: Partitioning) -> dg.AssetsDefinition:
        """The stage as Dagster assets over the days of ``partitioning``."""
        decorate = dg.multi_asset(
            name=self.name,
            specs=[self._spec(asset, partitioning) for asset in self.produces],
            check_specs=self._check_specs(),
            required_resource_keys=set(RESOURCES),
            partitions_def=partitioning.days,
            backfill_policy=dg.BackfillPolicy.single_run() if self.ranged else dg.BackfillPolicy.multi_run(),
            pool=self.pool,
        )
        return decorate(self._op())

    def _spec(self, asset: str, partitioning: Partitioning) -> dg.AssetSpec:
        earlier = partitioning.horizon_earlier
        table = REGISTRY.get(asset)
        return dg.AssetSpec(
            asset,
            deps=[
                *(dep for dep in self.deps if dep not in self.produces),
                *(dg.AssetDep(dep, partition_mapping=earlier) for dep in self.judged_deps),
            ],
            description=table.description if table else inspect.getdoc(self.compute),
            group_name=self.group,
            code_version=code_version(self.compute),
            kinds={"parquet", "duckdb"} if table else {"python"},
            metadata=_table_metadata(asset),
            skippable=self.skippable,
        )

    def _check_specs(self) -> list[dg.AssetCheckSpec]:
        contracts = [
            dg.AssetCheckSpec("contract", asset=asset, blocking=True, description="What the registry promises of it.")
            for asset in self.produces
            if asset in REGISTRY
        ]
        return contracts + [dg.AssetCheckSpec(name, asset=self.produces[0]) for name in self.checks]

    def _op(self) -> Callable[..., Iterator[Any]]:
        config_type = inspect.signature(self.compute).parameters.get("config")

        def run(context: dg.AssetExecutionContext, config: Any) -> Iterator[Any]:
            yield from _run(self, context, {"config": config})

        def run_without_config(context: dg.AssetExecutionContext) -> Iterator[Any]:
            yield from _run(self, context, {})

        op = run if config_type else run_without_config
        op.__doc__ = inspect.getdoc(self.compute)
        if config_type:
            op.__annotations__["config"] = config_type.annotation
        return op


def stage(
    *,
    produces: Sequence[str],
    group: str,
    deps: Sequence[str] = (),
    judged_deps: Sequence[str] = (),
    checks: Sequence[str] = (),
    ranged: bool = False,
    skippable: bool = False,
    pool: str | None = None,
) -> Callable[[Callable[..., None]], Stage]:
    """Declare a stage: ``@stage(produces=["article_features"], deps=["articles"], group="features")``.

    The function takes a :class:`~assets.step.Step` and, if it has parameters, a ``dg.Config``. The arguments are the
    attributes of :class:`Stage`.
    """

    def declare(compute: Callable[..., None]) -> Stage:
        return Stage(
            compute=compute,
            produces=tuple(produces),
            deps=tuple(deps),
            judged_deps=tuple(judged_deps),
            group=group,
            checks=tuple(checks),
            ranged=ranged,
            skippable=skippable,
            pool=pool,
        )

    return declare


def code_version(compute: Callable[..., None]) -> str:
    """A short digest of the stage's module and of everything below it: it changes when what a stage does may."""
    return hashlib.sha256(_foundations() + Path(inspect.getfile(compute)).read_bytes()).hexdigest()[:12]


@cache
def _foundations() -> bytes:
    """A digest of the code of models, stores and SQL."""
    root = Path(__file__).resolve().parent.parent
    files = sorted(path for package in ("atelier", "resources", "sql") for path in (root / package).rglob("*"))
    code = hashlib.sha256()
    for path in files:
        if path.suffix in (".py", ".sql", ".j2"):
            code.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return code.digest()


def _table_metadata(asset: str) -> Mapping[str, Any]:
    if asset not in REGISTRY:
        return {}
    from resources.lineage_metadata import table_metadata

    return table_metadata(REGISTRY[asset])


def _run(stage: Stage, context: dg.AssetExecutionContext, arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Run the stage's function and tell Dagster what it wrote; a broken contract is told before it stops the run."""
    step = Step(context, stage.produces, code_version(stage.compute))
    try:
        with named(stage.name):
            stage.compute(step, **arguments)
    except ContractViolation as violation:
        yield step.broken_contract(violation)
        raise dg.Failure(str(violation), allow_retries=False) from violation
    yield from step.results()
