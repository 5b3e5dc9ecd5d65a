"""How the daemon tells that a run's process is gone, also one that no server of Dagster has started.

What belongs here: the run launcher that ``dagster.yaml`` names. What does not: starting runs (Dagster's own launcher,
``dg launch``), the sign that a process is there (:mod:`dagster_project.run_locks`), the limits of runs
(``dagster.yaml``).

A run that was killed together with the server that started it, or that no server has started (``dg launch``, the
demo), stays "started" in Dagster's storage. Dagster's own launcher cannot ask after it, so it would hold the queue
until its maximal time was over, and could not be terminated.
"""

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from dagster_project.run_locks import process_is_gone

GONE = "Its process is gone: it was killed, or the machine restarted."


class OneMachineRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, for a home whose runs are all processes of one machine, in containers or not.

    The process of a run holds a lock. Where nobody holds it any more and the run has not ended, nobody is at work on
    it.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """The daemon asks after the process of every started run."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a started run is there; a run that has not taken its lock yet counts as running."""
        if process_is_gone(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process is gone")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """What is told of a run whose process is gone."""
        if not process_is_gone(self._instance, run.run_id):
            return None
        return f"{GONE} Nothing is half-written; run it again."

    def terminate(self, run_id: str) -> bool:
        """Terminate a run; one whose process is gone is canceled at once.

        Returns:
            Whether it was terminated.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or not process_is_gone(self._instance, run_id):
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        self._instance.report_run_canceled(run, GONE)
        return True
