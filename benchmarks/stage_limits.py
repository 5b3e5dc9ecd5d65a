"""How far each step of a night is from what it cannot do without, as a table in Markdown; docs/speed.md has it.

    python -m benchmarks.stage_limits FOLDER [--share 1] [--stage day1]

``FOLDER`` is that of :mod:`benchmarks.full_size`: processor seconds and bytes of each step are its measured figures,
sizes are those of the models of its home. What the machine does in a processor second is measured first, as
:mod:`benchmarks.machine_limits` does, and has to be the machine on which the figures were measured. For each step three
bounds are calculated, in processor seconds, and the highest is the limit:

* bytes: each that is read or written is copied once;
* start: what the step of that run took that took least, most of which is the start of its process;
* products: the multiply-adds that are counted (:mod:`benchmarks.stage_work`), as products of large matrices.

What belongs here: limits, the table. What does not: what a step does (:mod:`benchmarks.stage_work`), measuring a night.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks import machine_limits
from benchmarks.full_size_figures import DAYS, GB, WHOLE, Row, read, summed
from benchmarks.full_size_job import home_in
from benchmarks.full_size_retailer import history_ends
from benchmarks.stage_work import BFLOAT16, FLOAT32, WORK, Night, Work

COPIED = 2
"""Bytes that a copy moves for each byte: it is read and it is written."""
OPERATIONS = 2
"""Of a multiply-add."""
BYTES, START, PRODUCTS = "bytes", "start", "products"


class Machine(NamedTuple):
    """What a processor second is enough for.

    Attributes:
        float32: operations in products of large matrices.
        bfloat16: likewise.
        copied: bytes read and written.
    """

    float32: float
    bfloat16: float
    copied: float

    @classmethod
    def measured(cls, options: argparse.Namespace) -> "Machine":
        """Measure this machine; options as those of :mod:`benchmarks.machine_limits`."""
        rates = [amount * machine_limits.GIGA / spent.processor for *_, amount, spent in machine_limits.timed(options)]
        return cls(*rates)

    def seconds_of(self, work: Work, night: Night) -> float | None:
        """Processor seconds of a step's products; None: nothing is counted, or a size is not known.

        bfloat16 is used only where it is faster.
        """
        rates = {FLOAT32: self.float32, BFLOAT16: max(self.float32, self.bfloat16)}
        spent = 0.0
        for precision, count in work.products.items():
            found = count(night)
            if found is None:
                return None
            spent += OPERATIONS * found / rates[precision]
        return spent if work.products else None

    def __str__(self) -> str:
        single, half, copied = (rate / machine_limits.GIGA for rate in self)
        return (
            f"{single:.0f} billion operations in products of large matrices in {FLOAT32}, {half:.0f} in {BFLOAT16}, "
            f"{copied:.1f} billion bytes copied (read and written)"
        )


class Limit(NamedTuple):
    """A step beside its bounds.

    Attributes:
        row: what was measured.
        bounds: processor seconds by name; products only where they are known.
        work: what it does.
    """

    row: Row
    bounds: dict[str, float]
    work: Work

    @property
    def highest(self) -> str:
        """The name of the highest bound."""
        return max(self.bounds, key=lambda name: self.bounds[name])

    @property
    def seconds(self) -> float:
        """The highest bound."""
        return self.bounds[self.highest]

    def line(self) -> str:
        """A line of the table."""
        measured, products = self.row.processor or 0.0, self.bounds.get(PRODUCTS)
        cells = (
            self.row.step,
            f"{measured:,.1f}",
            f"{_moved(self.row) / GB:.2f}",
            f"{self.bounds[BYTES]:.1f}",
            "" if products is None else f"{products:.1f}",
            f"{self.seconds:.1f}, {self.highest}",
            f"{measured / self.seconds:.1f}",
            self.work.bound,
        )
        return f"| {' | '.join(cells)} |"


def _moved(row: Row) -> int:
    return (row.read or 0) + (row.written or 0)


def limits(rows: Sequence[Row], night: Night | None, machine: Machine) -> list[Limit]:
    """The steps of one stage with a process of their own, the costliest first.

    Args:
        rows: of the stage.
        night: its sizes; None: nothing is known of products.
        machine: that the rows were measured on.

    Raises:
        KeyError: :data:`~benchmarks.stage_work.WORK` lacks a step.
    """
    steps = [row for row in rows if row.step != WHOLE and row.processor]  # else no look at processes saw it
    start = min((row.processor or 0.0 for row in steps), default=0.0)
    found = []
    for row in sorted(steps, key=lambda row: -(row.processor or 0.0)):
        work = WORK[row.step]
        bounds = {START: start, BYTES: COPIED * _moved(row) / machine.copied}
        products = machine.seconds_of(work, night) if night else None
        if products is not None:
            bounds[PRODUCTS] = products
        found.append(Limit(row, bounds, work))
    return found


def table(found: Sequence[Limit]) -> str:
    """All steps, then their sum."""
    measured, limit = sum(each.row.processor or 0.0 for each in found), sum(each.seconds for each in found)
    moved = sum(_moved(each.row) for each in found) / GB
    return "\n".join(
        [
            "| step | measured (s) | read and written (GB) | bytes (s) | products (s) | limit (s) | times the limit "
            "| what else it does |",
            "|---" * 8 + "|",
            *(each.line() for each in found),
            f"| all steps | {measured:,.1f} | {moved:.1f} | | | {limit:.1f} | {measured / limit:.1f} | |",
        ]
    )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--stage", default=DAYS[0], help="a stage of benchmarks.full_size that is a job")
    parser.add_argument(
        "--to-bounds",
        action="store_true",
        help="hybrid and transformer were trained until they had passed as many examples as they do at most, as the "
        "progress bars in the log of the day say",
    )
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Measure the machine, print the table."""
    options = arguments(given)
    kept = [row for row in read(options.folder / "figures.jsonl") if row.share == options.share]
    rows = [row for row in summed(kept) if row.stage == options.stage]
    whole = next((row for row in rows if row.step == WHOLE), None)
    if whole is None or not whole.complete:
        raise SystemExit(f"{options.folder} has no complete {options.stage} of share {options.share:g}")
    night = None
    if options.stage in DAYS:
        day = history_ends() + timedelta(days=DAYS.index(options.stage))
        home = home_in(options.folder / f"share-{options.share:g}")
        night = Night.of(home, options.share, day, whole.epochs, to_bounds=options.to_bounds)
    machine = Machine.measured(machine_limits.arguments([]))
    found = limits(rows, night, machine)
    if not found:
        raise SystemExit(f"no step of {options.stage} had a process of its own")
    print(f"- One thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}: a processor second is {machine}.")
    if night:
        sizes = ((name.replace("_", " "), size) for name, size in asdict(night).items())
        print(f"- Sizes: {', '.join(f'{name} {size:,}' for name, size in sizes if type(size) is int)}.")
    print(
        f"- The start of a process: {found[0].bounds[START]:.1f} s. The whole run: {whole.processor or 0.0:,.1f} s.\n"
    )
    print(table(found))


if __name__ == "__main__":
    main()
