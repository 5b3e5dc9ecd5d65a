"""Measurements of two implementations in turns, for the comparisons of speed.

What belongs here: taking turns, the row of a table, its text and its JSON. What does not: the benchmarks themselves
(``als_against_implicit`` and others), the plot (``speed``).

A ratio is our time divided by the peer's: below 1 we are faster. Wall time counts on an idle machine; processor time
(of all threads) is valid on a busy one too, so both are given.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import BaseModel


class Seconds(NamedTuple):
    """A duration, by the wall clock and in processor time."""

    wall: float
    processor: float


class Row(BaseModel, frozen=True, extra="forbid"):
    """One comparison.

    Attributes:
        benchmark: the module's name.
        what: the task.
        peer: the name of the other implementation.
        ours: wall seconds.
        theirs: wall seconds of the peer.
        ours_processor: processor seconds.
        theirs_processor: processor seconds of the peer.
        goal: the upper limit of ``ours / theirs``; None: no goal, for comparison only.
        checked: how far the results of both were found to agree.
    """

    benchmark: str
    what: str
    peer: str
    ours: float
    theirs: float
    ours_processor: float
    theirs_processor: float
    goal: float | None = None
    checked: str = ""

    @classmethod
    def of(cls, benchmark: str, what: str, peer: str, ours: Seconds, theirs: Seconds, **more: Any) -> Self:
        """A row of two measurements."""
        return cls(
            benchmark=benchmark,
            what=what,
            peer=peer,
            ours=ours.wall,
            theirs=theirs.wall,
            ours_processor=ours.processor,
            theirs_processor=theirs.processor,
            **more,
        )

    @property
    def ratio(self) -> float:
        """Wall time of ours over the peer's."""
        return self.ours / self.theirs

    @property
    def processor_ratio(self) -> float:
        """Processor time of ours over the peer's."""
        return self.ours_processor / self.theirs_processor


def processor_seconds() -> float:
    """What this process has used so far, with those of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_turns(repeats: int, *actions: Callable[[], Any]) -> tuple[list[Seconds], list[Any]]:
    """The fastest of ``repeats`` runs of each action, by wall and by processor, and what each returned last.

    Each action's result is deleted before it runs again, so that memory never holds two results of one action.
    """
    seconds = [Seconds(float("inf"), float("inf"))] * len(actions)
    results: list[Any] = [None] * len(actions)
    for _ in range(repeats):
        for index, action in enumerate(actions):
            results[index] = None
            wall, processor = time.perf_counter(), processor_seconds()
            results[index] = action()
            spent = time.perf_counter() - wall, processor_seconds() - processor
            seconds[index] = Seconds(min(seconds[index].wall, spent[0]), min(seconds[index].processor, spent[1]))
    return seconds, results


def table(rows: Sequence[Row]) -> str:
    """The rows as text in columns."""
    width = max((len(row.what) for row in rows), default=0) + 2
    peers = max((len(row.peer) for row in rows), default=0) + 2
    lines = [
        f"{'':{width}}{'against':{peers}}{'ours (s)':>10}{'theirs (s)':>12}{'ratio':>8}{'processor':>11}{'goal':>8}"
    ]
    for row in rows:
        goal = "" if row.goal is None else f"{row.goal:.2f}"
        lines.append(
            f"{row.what:{width}}{row.peer:{peers}}{row.ours:10.2f}{row.theirs:12.2f}{row.ratio:8.2f}"
            f"{row.processor_ratio:11.2f}{goal:>8}"
        )
        if row.checked:
            lines.append(f"  {row.checked}")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path | None) -> None:
    """Write rows as JSON; without a path nothing is written."""
    if path is not None:
        text = json.dumps([row.model_dump() for row in rows], indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def read(path: Path) -> list[Row]:
    """The rows that :func:`write` wrote."""
    return [Row.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))]


def peak_memory() -> float:
    """The peak memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage's figure includes the peak of the parent process
        peak = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def run(python: Path | str, module: str, arguments: Sequence[str], cwd: Path | None = None) -> str:
    """The output of ``python -m module arguments``.

    Raises:
        RuntimeError: it failed; its stderr was printed.
    """
    command = [str(python), "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=cwd)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout
