"""How a stage of the daily DAG is declared, and how it publishes what it makes.

What belongs here: the decorator :func:`stage`, which turns a function of a :class:`~assets.step.Step` into Dagster
assets with partitions, contract checks, schema and lineage, the same way for all of them. What does not: any stage.
"""

import inspect
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from typing import Any

import dagster as dg
from pydantic import BaseModel

from assets.isolation import Failed, run_isolated
from assets.launchpad import launch_config, model_config
from assets.results import MADE, broken_contract, made, missing, results, table_of
from assets.step import RunResources, Step
from atelier.code_version import code_version
from atelier.errors import ContractViolation
from atelier.progress import named
from resources.retailer import day_range
from resources.tables import REGISTRY


@dataclass(frozen=True)
class Partitioning:
    """The daily partitions of this code location.

    Attributes:
        days: the daily partitions.
        horizon: the recommendations of a day are evaluated on the interactions of this many days after it.
    """

    days: dg.DailyPartitionsDefinition
    horizon: int

    @cached_property
    def horizon_earlier(self) -> dg.TimeWindowPartitionMapping:
        """Maps a day to the day whose recommendations are evaluated on it; the first days have none."""
        with warnings.catch_warnings(action="ignore"):  # a parameter of Dagster's that is in beta
            return dg.TimeWindowPartitionMapping(
                start_offset=-self.horizon, end_offset=-self.horizon, allow_nonexistent_upstream_partitions=True
            )


@dataclass(frozen=True)
class Stage:
    """One step of the DAG, declared but not yet bound to a retailer's days.

    Attributes:
        name: of the step, and of its config in the launchpad.
        compute: the function that does its work, with a step and, where there is one, a config as arguments.
        description: the UI's description of its assets that are no tables.
        produces: the assets it makes. Those that are tables of the registry, or parts of one (``recommendations/als``),
            get a contract check.
        deps: the assets of the same day that it reads.
        judged_deps: the assets of ``ds − horizon`` that it reads.
        group: the group of its assets in the UI.
        checks: the names of further, non-blocking checks that it reports by :meth:`Step.check`, on its first asset.
        config: the class of its config; None: it has none.
        ranged: whether one run may do many days.
        skippable: whether it may decide to write nothing.
        isolated: whether its work is done in a process of its own, whose failure is recorded and stops no other step.
        pool: the concurrency pool in which it waits; None: no pool.
        recommender: the recommender that it belongs to; None: it belongs to none.
        code: modules that its work depends on besides those that the function's own module imports.
    """

    name: str
    compute: Callable[..., None]
    description: str
    produces: tuple[str, ...]
    deps: tuple[str, ...]
    judged_deps: tuple[str, ...]
    group: str
    checks: tuple[str, ...]
    config: type[BaseModel] | None
    ranged: bool
    skippable: bool
    isolated: bool
    pool: str | None
    recommender: str | None
    code: tuple[str, ...]

    @cached_property
    def code_version(self) -> str:
        """A short digest of the code that the stage's work depends on."""
        function = self.compute.func if isinstance(self.compute, partial) else self.compute
        return code_version(function.__module__, *self.code)

    def asset(self, partitioning: Partitioning) -> dg.AssetsDefinition:
        """The stage as Dagster assets over the days of ``partitioning``."""
        decorate = dg.multi_asset(
            name=self.name,
            specs=[self._spec(asset, partitioning) for asset in self.produces],
            check_specs=self.check_specs(),
            partitions_def=partitioning.days,
            backfill_policy=dg.BackfillPolicy.single_run() if self.ranged else dg.BackfillPolicy.multi_run(),
            pool=self.pool,
        )
        return decorate(self._op())

    def _spec(self, asset: str, partitioning: Partitioning) -> dg.AssetSpec:
        table = table_of(asset)
        described = REGISTRY[table].description if table == asset else self.description
        earlier = partitioning.horizon_earlier
        return dg.AssetSpec(
            dg.AssetKey.from_user_string(asset),
            deps=[
                *(dg.AssetKey.from_user_string(dep) for dep in self.deps if dep not in self.produces),
                *(
                    dg.AssetDep(dg.AssetKey.from_user_string(dep), partition_mapping=earlier)
                    for dep in self.judged_deps
                ),
            ],
            description=described,
            group_name=self.group,
            code_version=self.code_version,
            kinds={"parquet", "duckdb"} if table else {"python"},
            metadata=_table_metadata(table),
            skippable=self.skippable,
        )

    def check_specs(self) -> list[dg.AssetCheckSpec]:
        """The checks of its assets.

        A broken contract blocks the stages that depend on it. It does not where the stage is isolated, because then
        nothing of the partition was published and the other stages go on without it.
        """
        tables = [dg.AssetKey.from_user_string(asset) for asset in self.produces if table_of(asset)]
        blocking, promised = not self.isolated, "Whether the data satisfy the table's contract in the registry."
        contracts = [
            dg.AssetCheckSpec("contract", asset=key, blocking=blocking, description=promised) for key in tables
        ]
        first = dg.AssetKey.from_user_string(self.produces[0])
        further = [dg.AssetCheckSpec(name, asset=first) for name in self.checks]
        keys = [dg.AssetKey.from_user_string(asset) for asset in self.produces] if self.isolated else []
        return contracts + further + [dg.AssetCheckSpec(MADE, asset=key) for key in keys]

    def _op(self) -> Callable[..., Iterator[Any]]:
        def run(
            context: dg.AssetExecutionContext, run_resources: dg.ResourceParam[RunResources], config: Any
        ) -> Iterator[Any]:
            yield from _run(self, context, run_resources, config.model_dump())

        def run_without_config(
            context: dg.AssetExecutionContext, run_resources: dg.ResourceParam[RunResources]
        ) -> Iterator[Any]:
            yield from _run(self, context, run_resources, None)

        op = run if self.config else run_without_config
        op.__doc__ = self.description
        if self.config:
            shown = self.config if issubclass(self.config, dg.Config) else launch_config(self.config)
            op.__annotations__["config"] = shown
        return op


def stage(
    *,
    produces: Sequence[str],
    group: str,
    deps: Sequence[str] = (),
    judged_deps: Sequence[str] = (),
    checks: Sequence[str] = (),
    config: type[BaseModel] | None = None,
    name: str | None = None,
    description: str | None = None,
    ranged: bool = False,
    skippable: bool = False,
    isolated: bool = False,
    pool: str | None = None,
    recommender: str | None = None,
    code: Sequence[str] = (),
) -> Callable[[Callable[..., None]], Stage]:
    """Declare a stage: ``@stage(produces=["article_features"], deps=["articles"], group="features")``.

    The function takes a :class:`~assets.step.Step` and, if the stage has one, a ``config``. The arguments are the
    attributes of :class:`Stage`; name, description and config are by default taken from the function.
    """

    def declare(compute: Callable[..., None]) -> Stage:
        parameter = inspect.signature(compute).parameters.get("config")
        return Stage(
            name=name or compute.__name__,
            compute=compute,
            description=description or inspect.getdoc(compute) or "",
            produces=tuple(produces),
            deps=tuple(deps),
            judged_deps=tuple(judged_deps),
            group=group,
            checks=tuple(checks),
            config=config or (parameter.annotation if parameter else None),
            ranged=ranged,
            skippable=skippable,
            isolated=isolated,
            pool=pool,
            recommender=recommender,
            code=tuple(code),
        )

    return declare


def without_other_recommenders(stages: Sequence[Stage], recommenders: Collection[str]) -> tuple[Stage, ...]:
    """The stages without those of other recommenders, none of which depends on what is left out."""
    kept = [each for each in stages if each.recommender is None or each.recommender in recommenders]
    absent = {asset for each in stages for asset in each.produces} - {a for each in kept for a in each.produces}

    def present(assets: Sequence[str]) -> tuple[str, ...]:
        return tuple(asset for asset in assets if asset not in absent)

    return tuple(replace(each, deps=present(each.deps), judged_deps=present(each.judged_deps)) for each in kept)


def _table_metadata(table: str | None) -> Mapping[str, Any]:
    if table is None:
        return {}
    from resources.lineage_metadata import table_metadata

    return table_metadata(REGISTRY[table])


def _run(
    stage: Stage, context: dg.AssetExecutionContext, resources: RunResources, values: dict[str, Any] | None
) -> Iterator[Any]:
    """Do the stage's work and report its results to Dagster."""
    keys = context.partition_key_range
    days = day_range(date.fromisoformat(keys.start), date.fromisoformat(keys.end))
    step = Step(resources, days, str(context.run.run_id), stage.code_version, context)
    work = partial(_work, stage.name, stage.compute, stage.config, values or {})
    yield from (_run_isolated if stage.isolated else _run_here)(stage, step, work)


def _work(
    name: str, compute: Callable[..., None], config: type[BaseModel] | None, values: dict[str, Any], step: Step
) -> None:
    with named(name):
        compute(step, **({} if config is None else {"config": model_config(config, values, name)}))


def _run_here(stage: Stage, step: Step, work: Callable[[Step], None]) -> Iterator[Any]:
    """Do the work in this process; a broken contract is reported as a failed check before it fails the step."""
    started = time.perf_counter()
    try:
        work(step)
    except ContractViolation as violation:
        yield broken_contract(stage.produces, violation)
        raise dg.Failure(str(violation), allow_retries=False) from violation
    yield from results(step, stage.produces, time.perf_counter() - started)


def _run_isolated(stage: Stage, step: Step, work: Callable[[Step], None]) -> Iterator[Any]:
    """Do the work in a process of its own; a failure is reported as missing assets and does not fail the step."""
    started = time.perf_counter()
    found = run_isolated(work, step)
    if isinstance(found, Failed):
        step.log.error(f"{', '.join(stage.produces)}: {found.reason}\n{found.details}")
        yield from missing(stage.produces, stage.check_specs(), found.reason, found.violation)
        return
    step.outcome = found
    yield from results(step, stage.produces, time.perf_counter() - started)
    yield from map(made, stage.produces)
