"""The figures of the full-size benchmark: rows, tables in Markdown, the plot.

What belongs here: what is made of the rows. What does not: measuring (:mod:`benchmarks.full_size`), keeping the rows
(:mod:`benchmarks.kept_figures`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from atelier.report import figures
from benchmarks import kept_figures

GIB = 2**30
GB = 10**9
#: The row of a whole run: its own process, the server of steps, and all steps.
WHOLE = "the whole run"
#: Steps below this many seconds are told together in tables of shares, and not judged: they are start-up.
SMALL = 10.0
DRAWN = 5
#: The stages that are a day of the daily job.
DAYS = ("day1", "day2")
#: Of the daily job at the full size, on two cores.
MOST_SECONDS, MOST_MEMORY = 3600.0, 12 * GIB


class Row(BaseModel, frozen=True, extra="forbid"):
    """What a step, or a whole run, took.

    Attributes:
        share: of the full size.
        stage: which run.
        step: Dagster's name of the step, or :data:`WHOLE`.
        wall: seconds.
        processor: seconds of the step's process and those that it started; None where it ran in the run's own process.
        peak: memory of the largest process, in bytes; None as above.
        read: bytes that were read, from disk or the system's cache; None as above.
        written: bytes that were written; None as above.
        complete: of a whole run, whether it ended well.
        load: of a whole run, the machine's load average when it began.
        epochs: of a whole run, the most that models which train in epochs were allowed; None: as by default.
    """

    share: float
    stage: str
    step: str
    wall: float
    processor: float | None = None
    peak: int | None = None
    read: int | None = None
    written: int | None = None
    complete: bool = True
    load: float | None = None
    epochs: int | None = None


def read(file: Path) -> list[Row]:
    """The rows of a file, none where it is not there; a last line that a kill cut off is left out.

    Raises:
        DamagedFile: a line is no such row.
    """
    return kept_figures.read(file, Row)


def summed(rows: Iterable[Row]) -> list[Row]:
    """One row for each share, stage and step: an interrupted run's parts add up, and the largest process counts."""
    found: dict[tuple[float, str, str], Row] = {}
    for row in rows:
        key = row.share, row.stage, row.step
        found[key] = _sum(found[key], row) if key in found else row
    return list(found.values())


def _sum(one: Row, other: Row) -> Row:
    added = {
        name: None if None in (pair := (getattr(one, name), getattr(other, name))) else sum(pair)
        for name in ("wall", "processor", "read", "written")
    }
    peaks = [row.peak for row in (one, other) if row.peak is not None]
    changed = {"peak": max(peaks, default=None), "complete": one.complete or other.complete, "epochs": other.epochs}
    return one.model_copy(update=added | changed)


def stage_table(rows: Sequence[Row]) -> str:
    """The steps of one stage in the order in which they ended, then the whole run."""
    lines = [
        "| step | seconds | processor seconds | peak memory (GiB) | read (GB) | written (GB) |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: row.step == WHOLE):
        memory = _shown(row.peak, GIB, 2)
        lines.append(
            f"| {row.step} | {row.wall:.1f} | {_shown(row.processor, 1, 1)} | {memory} "
            f"| {_shown(row.read, GB, 2)} | {_shown(row.written, GB, 2)} |"
        )
    return "\n".join(lines)


def conditions(rows: Sequence[Row]) -> str:
    """How busy the machine was when the stage began, and at the full size whether a day keeps its goals."""
    (whole,) = [row for row in rows if row.step == WHOLE]
    said = [] if whole.complete else ["Not complete."]
    if whole.load is not None:
        said.append(f"The machine's load average was {whole.load:.1f} when it began.")
    if whole.epochs is not None:
        said.append(f"Networks of recommenders trained for {whole.epochs} epochs at most.")
    if whole.share == 1 and whole.stage in DAYS:
        kept = whole.wall < MOST_SECONDS and (whole.peak or 0) <= MOST_MEMORY
        said.append(f"Under {MOST_SECONDS / 60:.0f} minutes, no process above 12 GiB: {'yes' if kept else 'no'}.")
    return " ".join(said)


def _shown(value: float | None, unit: float, digits: int) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"


def days_table(first: Sequence[Row], second: Sequence[Row]) -> str:
    """Each step of the first day beside the same step of the day after it; the whole where both are complete."""
    lines = [
        "| step | day 1 (s) | day 2 (s) | day 1, processor (s) | day 2, processor (s) | day 2 / day 1 |",
        "|---|---|---|---|---|---|",
    ]
    after = {row.step: row for row in second if row.complete}
    for row in sorted(first, key=lambda row: row.step == WHOLE):
        if row.step in after and row.complete:
            other = after[row.step]
            processors = f"{_shown(row.processor, 1, 1)} | {_shown(other.processor, 1, 1)}"
            ratio = "" if not row.processor or other.processor is None else f"{other.processor / row.processor:.2f}"
            lines.append(f"| {row.step} | {row.wall:.1f} | {other.wall:.1f} | {processors} | {ratio} |")
    return "\n".join(lines)


def growth(rows: Sequence[Row]) -> dict[str, float]:
    """How each step's processor seconds grew between the two largest shares, divided by how the shares grew.

    1 is linear, above 1 is worse. Steps that took less than :data:`SMALL` seconds at the larger share are left out.
    """
    shares = sorted({row.share for row in rows})[-2:]
    if len(shares) < 2:
        return {}
    seconds = {(row.share, row.step): row.processor for row in rows}
    found = {}
    for step in dict.fromkeys(row.step for row in rows):
        small, large = (seconds.get((share, step)) for share in shares)
        if small and large and large >= SMALL:
            found[step] = large / small / (shares[1] / shares[0])
    return found


def shares_table(rows: Sequence[Row]) -> str:
    """Processor seconds and peak memory of each step of one stage by share; steps below :data:`SMALL` are left out."""
    shares, grown = sorted({row.share for row in rows}), growth(rows)
    known = {(row.share, row.step): row for row in rows}
    titles = [f"{share:.0%}, {what}" for what in ("processor (s)", "peak (GiB)") for share in shares]
    lines = [f"| step | {' | '.join(titles)} | growth / linear |", "|---" * (len(titles) + 2) + "|"]
    for step in sorted(dict.fromkeys(row.step for row in rows), key=lambda step: step == WHOLE):
        found = [known.get((share, step)) for share in shares]
        if not any(row and (row.processor or 0.0) >= SMALL for row in found):
            continue
        seconds = [_shown(row.processor if row else None, 1, 1) for row in found]
        memory = [_shown(row.peak if row else None, GIB, 2) for row in found]
        said = f"{grown[step]:.2f}" if step in grown else ""
        lines.append(f"| {step} | {' | '.join([*seconds, *memory])} | {said} |")
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> str:
    """The costliest steps of one stage by share, with the line that doubles where the share doubles; an SVG."""
    from matplotlib.ticker import LogLocator

    shares = sorted({row.share for row in rows})
    whole = {row.share: row for row in rows if row.step == WHOLE}
    steps = {row.step: row.processor or 0.0 for row in rows if row.share == shares[-1] and row.step != WHOLE}
    drawn = [WHOLE, *sorted(steps, key=lambda step: -steps[step])[:DRAWN]]
    seconds = _series(rows, drawn, lambda row: row.processor, 1)
    memory = _series(rows, drawn, lambda row: row.peak, GIB)
    with figures.styled():
        drawing, axes = figures.subplots(2, 3.6, 3.2)
        for axis, lines, title in ((axes[0], seconds, "processor seconds"), (axes[1], memory, "largest process (GiB)")):
            for number, (name, (x, y)) in enumerate(lines.items()):
                colour, marker = figures.SERIES[number], figures.MARKERS[number]
                axis.plot(x, y, label=name, linewidth=1.4, markersize=4, color=colour, marker=marker)
            axis.set(title=title, xscale="log", yscale="log", xlabel="share of the full size")
            axis.set_xticks(shares, [f"{share:.0%}" for share in shares])
            axis.minorticks_off()
            # The texts of an SVG are no formulas, as which powers of ten would be written.
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            axis.grid(axis="y")
        line = np.array([shares[0], shares[-1]])
        start = whole[shares[0]].processor or 0.0
        axes[0].plot(line, start * line / shares[0], color=figures.INK, linestyle="--", linewidth=1, label="linear")
        handles, labels = axes[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=3)
        return figures.standalone(figures.svg(drawing))


def _series(
    rows: Sequence[Row], steps: Sequence[str], figure: Callable[[Row], float | None], unit: float
) -> Mapping[str, tuple[list[float], list[float]]]:
    """For each step its shares, and a figure of it at each."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for step in steps:
        told = sorted((row.share, value / unit) for row in rows if row.step == step and (value := figure(row)))
        found[step] = [share for share, _ in told], [value for _, value in told]
    return found
