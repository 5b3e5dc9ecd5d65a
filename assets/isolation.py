"""The work of a stage in a process of its own, so that its failure cannot stop the run.

What belongs here: starting and ending the process, and the record of a failure. What does not: reporting it to Dagster
(:mod:`assets.results`).

A recommender may diverge, break its contract, run out of memory or be killed; the lists of the others, the database and
the report must be made all the same. Dagster skips every step after one that failed, so the step itself must not fail.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, ForkServerContext
from typing import Any

from assets.retries import is_transient
from assets.step import Outcome, Step
from atelier.errors import ContractViolation

Work = Callable[[Step], None]
#: The module that is imported once in the server from which such processes are forked.
PRELOADED = "resources.preload.models"


@dataclass(frozen=True)
class Failed:
    """The record of a stage's work that failed and published nothing.

    Attributes:
        reason: what went wrong, in one line.
        details: the traceback; empty where the process was killed.
        table: the table whose contract was broken; None where the failure was another one.
        audit: what was expected and found, where a contract was broken.
        transient: whether it may pass by itself, so that another attempt is worth its while.
    """

    reason: str
    details: str = ""
    table: str | None = None
    audit: Any = None
    transient: bool = False

    @property
    def violation(self) -> ContractViolation | None:
        """The broken contract; None where the failure was another one."""
        return ContractViolation(self.reason, self.table, self.audit) if self.table else None


def run_isolated(work: Work, step: Step) -> Outcome | Failed:
    """Do ``work`` in a process of its own, which ends when this one does.

    Args:
        work: a function of a module, or a partial of one, because it is pickled.
        step: the step to work on; its outcome is not changed.

    Returns:
        The outcome of the work, or the record of its failure.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work, replace(step, context=None)), daemon=True)
    process.start()
    sender.close()
    try:
        found: Outcome | Failed = receiver.recv()
    except EOFError:  # the process ended before it sent anything
        process.join()
        found = Failed(_cause_of_end(process.exitcode))
    finally:
        process.kill()
        process.join()
        receiver.close()
    return found


def _context() -> ForkContext | ForkServerContext:
    """How the process is started.

    Where this process is a step's own, which was forked from a clean server and has computed nothing yet, the new one
    is forked from it: the libraries are there. Elsewhere, in a notebook or a test, threads of OpenMP may be waiting,
    which a fork would not survive, so the process comes from a server of its own.
    """
    if multiprocessing.parent_process() is not None and "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    return context


def _cause_of_end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        cause = "; most often the machine was out of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{cause}"
    return f"its process ended with exit status {exit_code}"


def _work(sender: Connection, work: Work, step: Step) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(step)
        sender.send(step.outcome)
    except ContractViolation as violation:
        sender.send(Failed(str(violation), traceback.format_exc(), violation.table, violation.audit))
    except Exception as error:  # any failure is recorded, and the run goes on without this work
        reason = f"{type(error).__name__}: {error}"
        sender.send(Failed(reason, traceback.format_exc(), transient=is_transient(error)))


def _end_with_parent() -> None:
    """End this process when its parent has ended, because nobody waits for the result any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
