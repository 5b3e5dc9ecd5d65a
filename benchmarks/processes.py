"""What the processes below this one use: processor time, memory, bytes read and written, seen from outside. Linux only.

What belongs here: running a command and sampling its processes until all have ended. What does not: which process did
what (:mod:`benchmarks.step_cost`, :mod:`benchmarks.full_size`).
"""

import ctypes
import os
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
KIBIBYTE = 1024


@dataclass(frozen=True)
class Seen:
    """What one look at a process found.

    Attributes:
        pid: its id.
        parent: the id of the process that the system has as its parent.
        own: processor seconds of itself, user and system.
        waited: those of its children that it has waited for.
        peak: the most memory that it has held, in bytes; pages shared with the process it was forked from count.
        read: bytes that it and the children it has waited for asked to read, from disk or from the system's cache.
        written: as ``read``, written.
    """

    pid: int
    parent: int
    own: float
    waited: float
    peak: int = 0
    read: int = 0
    written: int = 0


@dataclass
class Use:
    """The most that was seen of a process together with all below it.

    Attributes:
        processor: seconds.
        peak: memory of the largest single process, in bytes.
        read: bytes.
        written: bytes.
    """

    processor: float = 0.0
    peak: int = 0
    read: int = 0
    written: int = 0

    def add(self, seen: Seen) -> None:
        """Count a process as part of this look."""
        self.processor += seen.own + seen.waited
        self.peak = max(self.peak, seen.peak)
        self.read += seen.read
        self.written += seen.written

    def raise_to(self, other: Self) -> None:
        """Take the larger of each figure: what a process has used never falls, but a child's may be out of sight."""
        for name in ("processor", "peak", "read", "written"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))


def children_seconds() -> float:
    """Processor seconds of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    """Start a command whose orphans become this process's children, so that their time is told."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)


def sample_until_all_ended(root: "subprocess.Popen[bytes]", every: float, look: Callable[[], None]) -> int:
    """Call ``look`` again and again until no descendant of this process is left; the exit status of ``root``."""
    while True:
        look()
        try:
            ended, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return root.returncode
        if ended == root.pid:
            root.returncode = os.waitstatus_to_exitcode(code)
        if not ended:
            time.sleep(every)


def descendants(*, details: bool = False) -> Iterator[Seen]:
    """Each process below this one; with ``details`` its memory and bytes as well."""
    stats: dict[int, list[str]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:  # it has ended
                continue
            stats[int(folder.name)] = text.rpartition(")")[2].split()
    known = {os.getpid()}
    while more := {pid for pid, stat in stats.items() if int(stat[1]) in known} - known:
        known |= more
    for pid in known - {os.getpid()}:
        user, system, user_waited, system_waited = (int(ticks) / TICKS for ticks in stats[pid][11:15])
        more_of = _details(pid) if details else (0, 0, 0)
        yield Seen(pid, int(stats[pid][1]), user + system, user_waited + system_waited, *more_of)


def _details(pid: int) -> tuple[int, int, int]:
    """Peak memory, bytes read and written; noughts where the process has ended."""
    try:
        status, io = (_lines(Path(f"/proc/{pid}/{name}")) for name in ("status", "io"))
    except OSError:
        return 0, 0, 0
    return int(status.get("VmHWM", "0 kB").split()[0]) * KIBIBYTE, int(io["rchar"]), int(io["wchar"])


def _lines(file: Path) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in file.read_text().splitlines())}


@dataclass
class Watch:
    """What every process below this one used, with all below it, as looks at them found.

    Attributes:
        uses: by process id.
    """

    uses: dict[int, Use] = field(default_factory=dict)

    def look(self) -> None:
        """Look once at all processes."""
        now = {seen.pid: seen for seen in descendants(details=True)}
        trees: dict[int, Use] = defaultdict(Use)
        for seen in now.values():
            pid = seen.pid
            while pid in now:
                trees[pid].add(seen)
                pid = now[pid].parent
        for pid, use in trees.items():
            self.uses.setdefault(pid, Use()).raise_to(use)
