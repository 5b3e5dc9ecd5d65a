"""The work of a stage in a process of its own, so that nothing it does can stop the run.

What belongs here: starting the process, its end, and what is known of a work that failed. What does not: what the run
makes of it (:mod:`assets.results`).

A recommender may diverge, break its contract, run out of memory or be killed; the lists of the others, the database and
the report must not wait for it. Dagster skips every step after one that failed, so the step itself has to survive.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from assets.step import Outcome, Step
from atelier.errors import ContractViolation

Work = Callable[[Step], None]
#: Imported once in the server that such processes are forked from.
PRELOADED = "resources.preload"


@dataclass(frozen=True)
class Failed:
    """A work that made nothing.

    Attributes:
        reason: what went wrong, in a line.
        details: the traceback; empty where the process was killed.
        table: of the contract that it broke; None where it was something else.
        audit: what was expected and found, where a contract was broken.
    """

    reason: str
    details: str = ""
    table: str | None = None
    audit: Any = None

    @property
    def violation(self) -> ContractViolation | None:
        """The broken contract."""
        return ContractViolation(self.reason, self.table, self.audit) if self.table else None


def run_isolated(work: Work, step: Step) -> Outcome | Failed:
    """Do ``work`` in a process of its own, which ends when this one does.

    Args:
        work: can be pickled: a function of a module, or a partial of one.
        step: what it works on; its outcome stays as it is.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])  # of no effect where this process was itself forked from a server
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, work, replace(step, context=None)), daemon=True)
    process.start()
    sender.close()
    try:
        found: Outcome | Failed = receiver.recv()
    except EOFError:  # it died without a word
        process.join()
        found = Failed(_how_it_died(process.exitcode))
    finally:
        process.kill()
        process.join()
        receiver.close()
    return found


def _how_it_died(exit_code: int | None) -> str:
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
    except Exception as error:  # whatever it is: the run goes on without it, and names it
        sender.send(Failed(f"{type(error).__name__}: {error}", traceback.format_exc()))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: nobody waits for its work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
