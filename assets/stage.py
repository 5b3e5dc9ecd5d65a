"""How a stage of the daily DAG is declared, and how it publishes what it makes.

What belongs here: the decorator :func:`stage`, which turns a function of a :class:`~assets.step.Step` into Dagster
assets with partitions, contract checks, schema and lineage, the same way for all of them. What does not: any stage.
"""

import inspect
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, partial
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import BaseModel

from assets.input_records import recorded_inputs
from assets.isolation import Failed, run_isolated
from assets.launchpad import launch_config, model_config
from assets.results import CONTRACT, MADE, WHETHER_MADE, broken_contract, made, missing, results, table_of
from assets.retries import RETRIES, WAIT, is_transient
from assets.step import RunResources, Step, days_of_run
from atelier.code_version import code_version
from atelier.errors import ContractViolation
from atelier.progress import named
from resources.kept_files import kept_files
from resources.made_from import Reads
from resources.tables import REGISTRY
from resources.usage_lock import in_use

#: Whom to ask about the assets of a group; the groups that are not named belong to the last.
OWNERS = {"raw": ["team:data-engineering"]}
OTHERS = ["team:machine-learning"]
#: Dagster compares the data versions of fewer than 100 partitions of an upstream asset, and of none beyond that.
COMPARED = 99


@dataclass(frozen=True)
class Partitioning:
    """The daily partitions of this code location, and how those of one asset depend on those of another.

    Attributes:
        days: the daily partitions.
        horizon: the recommendations of a day are evaluated on the interactions of this many days after it.
        promoted: the day whose fine-tuned backbone was promoted, and encodes the photographs of all days; None: none.
        deadline: by when what is made every night has to be there; None for a source that has ended.
    """

    days: dg.DailyPartitionsDefinition
    horizon: int
    promoted: date | None = None
    deadline: dg.FreshnessPolicy | None = None

    @cached_property
    def horizon_earlier(self) -> dg.TimeWindowPartitionMapping:
        """Maps a day to the day whose recommendations are evaluated on it; the first days have none."""
        with warnings.catch_warnings(action="ignore"):  # a parameter of Dagster's that is in beta
            return dg.TimeWindowPartitionMapping(
                start_offset=-self.horizon, end_offset=-self.horizon, allow_nonexistent_upstream_partitions=True
            )

    @cached_property
    def up_to_day(self) -> dg.TimeWindowPartitionMapping:
        """Maps a day to itself and the days before it: events are read as of a day, so that all of them count.

        The window ends :data:`COMPARED` days back, because with a longer one Dagster would not notice any change.
        """
        with warnings.catch_warnings(action="ignore"):  # a parameter of Dagster's that is in beta
            return dg.TimeWindowPartitionMapping(
                start_offset=1 - COMPARED, end_offset=0, allow_nonexistent_upstream_partitions=True
            )

    @cached_property
    def promoted_only(self) -> dg.SpecificPartitionsPartitionMapping:
        """Maps every day to the one whose backbone was promoted; where none was, to no day: nothing is waited for."""
        return dg.SpecificPartitionsPartitionMapping([] if self.promoted is None else [self.promoted.isoformat()])


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
        promoted_deps: the assets of which it reads what was promoted, whichever day made it.
        group: the group of its assets in the UI.
        checks: further, non-blocking checks that it reports by :meth:`Step.check`, on its first asset: the name of each
            and what it says.
        config: the class of its config; None: it has none.
        ranged: whether one run may do many days.
        isolated: whether its work is done in a process of its own, whose failure is recorded and stops no other step.
        pool: the concurrency pool in which it waits; None: no pool.
        recommender: the recommender that it belongs to; None: it belongs to none.
        code: modules that its work depends on besides those that the function's own module imports.
        keeps_files: whether it writes pages, pictures or results into the home, which object storage gets a copy of.
        priority: of several steps that could begin, those with the highest begin first. Long trainings have one above
            0, so that a day does not end with one of them alone.
        awaited: whether it is made every night, so that it has a deadline; :mod:`assets.daily` says of which.
    """

    name: str
    compute: Callable[..., None]
    description: str
    produces: tuple[str, ...]
    deps: tuple[str, ...]
    judged_deps: tuple[str, ...]
    promoted_deps: tuple[str, ...]
    group: str
    checks: Mapping[str, str]
    config: type[BaseModel] | None
    ranged: bool
    isolated: bool
    pool: str | None
    recommender: str | None
    code: tuple[str, ...]
    keeps_files: bool = False
    priority: int = 0
    awaited: bool = False

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
            check_specs=self.check_specs(partitioning.days),
            partitions_def=partitioning.days,
            backfill_policy=dg.BackfillPolicy.single_run() if self.ranged else dg.BackfillPolicy.multi_run(),
            pool=self.pool,
            op_tags={PRIORITY_TAG: str(self.priority)} if self.priority else None,
        )
        return decorate(self._op())

    def _spec(self, asset: str, partitioning: Partitioning) -> dg.AssetSpec:
        table = table_of(asset)
        described = REGISTRY[table].description if table == asset else self.description
        return dg.AssetSpec(
            dg.AssetKey.from_user_string(asset),
            deps=self._deps(partitioning),
            description=described,
            group_name=self.group,
            code_version=self.code_version,
            kinds={"parquet", "duckdb"} if table else {"python"},
            owners=OWNERS.get(self.group, OTHERS),
            tags={"atelier/kind": REGISTRY[table].kind if table else "made"},
            metadata=_table_metadata(table),
            freshness_policy=partitioning.deadline if self.awaited else None,
        )

    def _deps(self, partitioning: Partitioning) -> list[dg.AssetDep]:
        """What its assets depend on: the same day, but for events, which are read up to the day."""
        same_day = [dep for dep in self.deps if dep not in self.produces]
        mapped: list[tuple[str, dg.PartitionMapping | None]] = [
            *((dep, partitioning.up_to_day if _is_event(dep) else None) for dep in same_day),
            *((dep, partitioning.horizon_earlier) for dep in self.judged_deps),
            *((dep, partitioning.promoted_only) for dep in self.promoted_deps),
        ]
        return [dg.AssetDep(dg.AssetKey.from_user_string(dep), partition_mapping=mapping) for dep, mapping in mapped]

    def check_specs(self, days: dg.DailyPartitionsDefinition) -> list[dg.AssetCheckSpec]:
        """The checks of its assets, each with a result of every day.

        A broken contract blocks the stages that depend on it. It does not where the stage is isolated, because then
        nothing of the partition was published and the other stages go on without it.
        """
        first = dg.AssetKey.from_user_string(self.produces[0])
        with warnings.catch_warnings(action="ignore"):  # partitioned checks are in preview
            contracts = [
                dg.AssetCheckSpec(
                    CONTRACT,
                    asset=dg.AssetKey.from_user_string(asset),
                    blocking=not self.isolated,
                    description="Whether the data satisfy the table's contract in the registry.",
                    partitions_def=days,
                )
                for asset in self.produces
                if table_of(asset)
            ]
            further = [
                dg.AssetCheckSpec(name, asset=first, description=text, partitions_def=days)
                for name, text in self.checks.items()
            ]
            whether_made = [
                dg.AssetCheckSpec(
                    MADE, asset=dg.AssetKey.from_user_string(asset), description=WHETHER_MADE, partitions_def=days
                )
                for asset in (self.produces if self.isolated else ())
            ]
        return contracts + further + whether_made

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
    promoted_deps: Sequence[str] = (),
    checks: Mapping[str, str] | None = None,
    config: type[BaseModel] | None = None,
    name: str | None = None,
    description: str | None = None,
    ranged: bool = False,
    isolated: bool = False,
    pool: str | None = None,
    recommender: str | None = None,
    code: Sequence[str] = (),
    keeps_files: bool = False,
    priority: int = 0,
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
            promoted_deps=tuple(promoted_deps),
            group=group,
            checks=dict(checks or {}),
            config=config or (parameter.annotation if parameter else None),
            ranged=ranged,
            isolated=isolated,
            pool=pool,
            recommender=recommender,
            code=tuple(code),
            keeps_files=keeps_files,
            priority=priority,
        )

    return declare


def _is_event(asset: str) -> bool:
    table = table_of(asset)
    return table is not None and REGISTRY[table].kind == "event"


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
    step = Step(
        resources,
        days_of_run(context.partition_key_range, resources.home.settings),
        str(context.run.run_id),
        stage.code_version,
        context,
    )
    reads = Reads(stage.name, stage.produces, stage.deps, stage.judged_deps)
    work = partial(_work, reads, stage.compute, stage.config, values or {}, stage.keeps_files)
    yield from (_run_isolated if stage.isolated else _run_here)(stage, step, work)


def _work(
    reads: Reads,
    compute: Callable[..., None],
    config: type[BaseModel] | None,
    values: dict[str, Any],
    keeps_files: bool,
    step: Step,
) -> None:
    kept = kept_files(step.home) if keeps_files else nullcontext()
    with in_use(step.home), named(reads.stage), recorded_inputs(step, reads), kept:
        compute(step, **({} if config is None else {"config": model_config(config, values, reads.stage)}))


def _run_here(stage: Stage, step: Step, work: Callable[[Step], None]) -> Iterator[Any]:
    """Do the work in this process; a broken contract is reported as a failed check before it fails the step."""
    started = time.perf_counter()
    try:
        work(step)
    except ContractViolation as violation:
        yield from broken_contract(step, stage.produces, violation)
        raise dg.Failure(str(violation), allow_retries=False) from violation
    except Exception as error:
        if is_transient(error):
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT) from error
        raise
    yield from results(step, stage.produces, time.perf_counter() - started)


def _run_isolated(stage: Stage, step: Step, work: Callable[[Step], None]) -> Iterator[Any]:
    """Do the work in a process of its own; a failure is reported as missing assets and does not fail the step."""
    started = time.perf_counter()
    found = run_isolated(work, step)
    if isinstance(found, Failed) and found.transient and step.dagster.op_execution_context.retry_number < RETRIES:
        step.log.warning(f"{', '.join(stage.produces)}: {found.reason}; it is tried again")
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT)
    if isinstance(found, Failed):
        step.log.error(f"{', '.join(stage.produces)}: {found.reason}\n{found.details}")
        yield from missing(stage.produces, step.dagster.assets_def.check_specs, found.reason, found.violation)
        return
    step.outcome = found
    yield from results(step, stage.produces, time.perf_counter() - started)
    yield from map(made, stage.produces)
