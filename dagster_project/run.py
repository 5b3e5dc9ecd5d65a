"""Running a job in this process: what the demo and the tests do, and a notebook may.

What belongs here: :func:`run_job`, and what it needs to be safe to kill. What does not: which jobs are run, and
long-lived services (those are Dagster's).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg

from assets.on_demand import STAGES
from assets.stage import Stage


def without_pools(stages: Sequence[Stage] = STAGES) -> tuple[Stage, ...]:
    """The stages for runs in this process, which does one step at a time and needs no concurrency pools.

    A process that is killed never gives back its slot of a pool, and only Dagster's daemon frees it: where none runs,
    the next run would wait for ever.
    """
    return tuple(replace(stage, pool=None) for stage in stages)


def run_job(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    first: date,
    last: date | None = None,
    *,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    log_level: str = "INFO",
    raise_on_error: bool = True,
) -> dg.ExecuteInProcessResult:
    """Run ``job`` for a day, or for the range of days ``first`` … ``last`` in one run.

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
    if last is None:
        days: dict[str, Any] = {"partition_key": first.isoformat()}
    else:
        days = {
            "tags": {
                "dagster/asset_partition_range_start": first.isoformat(),
                "dagster/asset_partition_range_end": last.isoformat(),
            }
        }
    run_config = {
        "ops": {stage: {"config": dict(values)} for stage, values in (config or {}).items()},
        "loggers": {"console": {"config": {"log_level": log_level}}},
    }
    found = definitions.get_repository_def().get_job(job)
    return found.execute_in_process(instance=instance, raise_on_error=raise_on_error, run_config=run_config, **days)
