"""Running a job from Python: in this process, as tests do and a notebook may, or in processes, as the demo does.

What belongs here: :func:`run_job`, :func:`run_job_in_processes`, and what they need to be safe to kill. What does not:
which jobs are run, and long-lived services (those are Dagster's).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.utils import make_new_run_id

from assets.on_demand import STAGES
from assets.stage import Stage
from atelier.errors import AtelierError
from dagster_project.build import build_defs
from dagster_project.run_locks import held
from resources.retailer import Home

#: Typed config of stages, by stage.
Config = Mapping[str, Mapping[str, Any]]


def without_pools(stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """The stages for runs that no daemon of Dagster looks after: one run at a time, without concurrency pools.

    A step that is killed never gives back its slot of a pool, and only Dagster's daemon frees it. Where none runs, the
    next run would wait for ever.
    """
    return tuple(replace(stage, pool=None) for stage in stages)


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    first: date,
    last: date | None = None,
    *,
    config: Config | None = None,
    log_level: str = "INFO",
    raise_on_error: bool = True,
) -> dg.ExecuteInProcessResult:
    """Run ``job`` in this process for a day, or for the range of days ``first`` … ``last`` in one run.

    Args:
        definitions: the code location, from :func:`dagster_project.build.build_defs`; against a storage that outlives
            this process with stages :func:`without_pools`.
        instance: Dagster's storage: the runs and assets appear in its UI.
        job: its name: ``ingest``, ``daily_retrain``, ``judge``, or one of :mod:`assets.on_demand`.
        first: the day, or the first of the range.
        last: the last day of the range; None for a single day.
        config: typed config of stages, by stage.
        log_level: what is shown of Dagster's log; its storage keeps all.
        raise_on_error: whether a failed step raises.
    """
    days: dict[str, Any] = {"partition_key": first.isoformat()} if last is None else {"tags": _range(first, last)}
    found, run_id = definitions.get_repository_def().get_job(job), make_new_run_id()
    options: dict[str, Any] = {"run_config": _run_config(config, log_level), "run_id": run_id, **days}
    with held(instance, run_id):
        return found.execute_in_process(instance=instance, raise_on_error=raise_on_error, **options)


def run_job_in_processes(
    home: Home,
    instance: dg.DagsterInstance,
    job: str,
    first: date,
    last: date | None = None,
    *,
    assets: Sequence[dg.AssetKey] | None = None,
    config: Config | None = None,
    log_level: str = "INFO",
) -> str:
    """Run ``job`` of ``home``, without pools, as its executor has it: steps in processes, two at once.

    Args:
        home: where Atelier keeps its files.
        instance: Dagster's storage, on a disk: the steps' processes open it as well.
        job: as for :func:`run_job`.
        first: as for :func:`run_job`.
        last: as for :func:`run_job`.
        assets: what of the job is made; None: everything.
        config: typed config of stages, by stage.
        log_level: what is shown of Dagster's log; its storage keeps all.

    Returns:
        The id of the run, which succeeded.

    Raises:
        AtelierError: steps have failed; the message names them.
    """
    where: tuple[Any, ...] = (str(home.root), job)
    tags = _range(first, last) if last else job_of(*where).get_tags_for_partition_key(first.isoformat(), assets)
    with dg.execute_job(
        dg.build_reconstructable_job(__name__, job_of.__name__, where),
        instance=instance,
        run_config=_run_config(config, log_level),
        tags=tags,
        asset_selection=assets,
    ) as result:
        failed = [event.step_key for event in result.get_step_failure_events()]
        if not result.success:
            raise AtelierError(f"{job} {first}: {', '.join(map(str, failed)) or 'the run'} failed; see the log above")
        return result.run_id


def job_of(root: str, job: str) -> dg.JobDefinition:
    """The job of the home ``root``, without pools: every process of its run makes it anew."""
    return build_defs(Home(Path(root)), stages=without_pools()).get_repository_def().get_job(job)


def _range(first: date, last: date) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


def _run_config(config: Config | None, log_level: str) -> dict[str, Any]:
    return {
        "ops": {stage: {"config": dict(values)} for stage, values in (config or {}).items()},
        "loggers": {"console": {"config": {"log_level": log_level}}},
    }
