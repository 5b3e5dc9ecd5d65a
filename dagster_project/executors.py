"""How the steps of a run are executed: in processes forked from one that has imported everything, or in the run's own.

What belongs here: the executors of the code location and of its jobs. What does not: what is imported
(:mod:`resources.preload`), how many runs go at once (``dagster.yaml``).
"""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Literal

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.executor.multiprocess import MultiprocessExecutor

from dagster_project.run_locks import hold

if TYPE_CHECKING:
    from dagster._core.execution.context.system import PlanOrchestrationContext
    from dagster._core.execution.plan.plan import ExecutionPlan

#: A run uses two cores: two steps at most.
STEPS_AT_ONCE = 2
#: Dagster puts it onto every run of a single day, and onto no run of a range.
ONE_DAY = "dagster/partition"

#: Elsewhere a fork of a process that holds such libraries is unsafe (macOS) or impossible (Windows).
FORKS = sys.platform == "linux"

Preload = Literal["tables", "models"]


class StepsInProcesses(MultiprocessExecutor):
    """Two steps at once, each in a process of its own: a step that is killed takes no other with it.

    Where :data:`FORKS` holds, a step is forked from a server that has imported a module of
    :mod:`resources.preload`; otherwise it is a new interpreter, which imports everything itself.

    Args:
        preload: what the server imports: what every step needs, or what models need as well.
    """

    def __init__(self, preload: Preload) -> None:
        super().__init__(
            RetryMode.ENABLED,
            STEPS_AT_ONCE,
            start_method="forkserver" if FORKS else "spawn",
            explicit_forkserver_preload=_modules(preload),
        )

    def execute(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Execute the steps of a run; yields Dagster's events."""
        hold(plan_context.instance, plan_context.run_id)
        return self.execute_steps(plan_context, execution_plan)

    def execute_steps(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """Where the steps of a run are executed."""
        return super().execute(plan_context, execution_plan)


class IngestExecutor(StepsInProcesses):
    """A range of days as :class:`StepsInProcesses` has it, and a single day in the run's own process.

    The steps of a single day take about a second each. To import everything a second time, in the server, would cost
    more than all of them together, and a day that is lost to a killed step is read again as quickly.
    """

    def __init__(self) -> None:
        super().__init__("tables")

    def execute_steps(
        self, plan_context: "PlanOrchestrationContext", execution_plan: "ExecutionPlan"
    ) -> Iterator[dg.DagsterEvent]:
        """A single day here, a range in processes."""
        if ONE_DAY in plan_context.dagster_run.tags:
            return InProcessExecutor(self.retries).execute(plan_context, execution_plan)
        return super().execute_steps(plan_context, execution_plan)


def steps_in_processes(preload: Preload) -> dg.ExecutorDefinition:
    """The executor of the code location and of jobs, see :class:`StepsInProcesses`.

    Args:
        preload: what the server of the steps imports.
    """

    @dg.executor(name="multiprocess", requirements=dg.multiple_process_executor_requirements())
    def executor(_context: dg.InitExecutorContext) -> dg.Executor:
        return StepsInProcesses(preload)

    return executor


@dg.executor(name="ingest", requirements=dg.multiple_process_executor_requirements())
def ingest_executor(_context: dg.InitExecutorContext) -> dg.Executor:
    """The executor of the job ``ingest``, see :class:`IngestExecutor`."""
    return IngestExecutor()


@contextmanager
def step_server(preload: Preload) -> Iterator[None]:
    """One server for all runs that this process executes in the block; it has imported what ``preload`` names.

    Without it the first step of the first run starts one, with what that run's job asks for, which later runs then use.
    The server imports while this process goes on. At the end it is waited for, so that whoever measures this process
    measures its steps as well.
    """
    if not FORKS:
        yield
        return
    multiprocessing.set_forkserver_preload(_modules(preload))
    forkserver.ensure_running()
    try:
        yield
    finally:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # Python stops it only when this process has ended


def _modules(preload: Preload) -> list[str]:
    """The code location first: what is imported last freezes all that was made up to then."""
    return ["dagster_project.build", f"resources.preload.{preload}"]
