"""How the daemon tells that a run's process is gone, also one that no server of Dagster has started.

What belongs here: the run launcher that ``dagster.yaml`` names. What does not: starting runs (Dagster's own launcher,
``dg launch``), the limits of runs (``dagster.yaml``).

A run of ``dg launch`` or of the demo that was killed stays "started" in Dagster's storage. Dagster's own launcher
cannot ask after it, so it would hold the queue until its maximal time was over, and could not be terminated.
"""

import os

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

PID = "pid"


class OneMachineRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, for a home whose runs are all processes of this machine.

    An executor notes its process in the run's events before its first step. Where that process is gone and the run has
    not ended, nobody is at work on it. (Where the operating system has given the number to another process since, the
    run stays "started", as with Dagster's own launcher.)
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """The daemon asks after the process of every started run."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there; a run that has not noted it yet counts as running."""
        pid = process_of(self._instance, run.run_id)
        if pid is None or is_alive(pid):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} is gone")

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str:
        """What is told of a run whose process is gone."""
        return (
            f"Its process {process_of(self._instance, run.run_id)} is gone: it was killed, or the machine restarted. "
            "Nothing is half-written; run it again."
        )

    def terminate(self, run_id: str) -> bool:
        """Terminate a run; one whose process is gone is canceled at once.

        Returns:
            Whether it was terminated.
        """
        run = self._instance.get_run_by_id(run_id)
        pid = process_of(self._instance, run_id)
        if run is None or run.is_finished or pid is None or is_alive(pid):
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        self._instance.report_run_canceled(run, f"Its process {pid} is gone.")
        return True


def process_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The process that a run's executor has noted; None where it has noted none.

    Args:
        instance: Dagster's storage.
        run_id: the run.
    """
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        noted = entry.get_dagster_event().engine_event_data.metadata.get(PID)
        if noted is not None:
            return int(str(noted.value))
    return None


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
