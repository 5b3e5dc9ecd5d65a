"""Every comparison of speed in one run: one table of ratios, one plot.

    python -m benchmarks.speed [FOLDER] [--only als metrics] [--again]

Run it as above or as ``make bench``, on an idle machine. Each benchmark is a process of its own, one after the other.
``FOLDER`` (by default ``bench`` in the home) keeps what each one found (``figures.jsonl``) as soon as it ends: the same
command goes on with those that are missing, and says beforehand which these are and about how long each takes. What was
measured on another machine, with other versions, with other options or by other code of Atelier's is told and measured
again; it stays in the file. ``--again`` measures everything again.

``--small`` shrinks all of them to a few minutes at most, to test that they run: its ratios have no meaning. ``--only``
selects some. ``--threads`` is for those that have it. The plot shows all rows that are kept and hold.

What belongs here: which benchmarks there are, their sizes, the table and the plot. What does not: what they measure;
what is kept of them (:mod:`benchmarks.speed_figures`).
"""

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from atelier.code_version import code_version
from atelier.errors import DamagedFile
from atelier.progress import progress
from atelier.report import figures
from benchmarks import kept_figures
from benchmarks.machine import Machine, this_machine
from benchmarks.ratios import Row, read, run, table, write
from benchmarks.speed_figures import Conditions, Measurement, duration, forget, found, outlook, times
from resources.retailer import Home

PLOT = Path(__file__).parents[1] / "docs" / "speed.svg"
FULL = ("--customers=1370000", "--articles=105000", "--interactions=31800000", "--factors=200")
BENCHMARKS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "als": ("als_against_implicit", ("--memory",)),
    "als_full": ("als_against_implicit", (*FULL, "--sample-customers=50000", "--iterations=3", "--repeats=1")),
    "hybrid": ("hybrid_against_dense", ()),
    "metrics": ("metrics_against_rectools", ("--repeats=5",)),
    "search": ("search_against_peers", ()),
    "features": ("features_against_peers", ("--repeats=2",)),
    "images": ("images_against_dataloader", ()),
    "pca": ("pca_against_sklearn", ("--articles=8000", "--repeats=1")),
    "attributes": ("attributes_against_linear", ()),
    "warp": ("warp_against_lightfm", ()),
    "sequences": ("sequences_against_peers", ("--planted=3000", "--limit=60")),
}
"""The module of each benchmark, and its options."""
SECONDS: Mapping[str, float] = {
    "als": 76,
    "als_full": 31,
    "hybrid": 29,
    "metrics": 43,
    "search": 33,
    "features": 22,
    "images": 28,
    "pca": 18,
    "attributes": 19,
    "warp": 22,
}
"""How long each took on the idle machine of docs/speed.md: for who has measured none yet."""
THREADED = ("als", "als_full", "hybrid", "search", "features", "images", "attributes", "warp", "sequences")
"""The benchmarks with an option for the number of threads; metrics and PCA use one on either side."""
SMALL: Mapping[str, tuple[str, ...]] = {
    "als": ("--customers=2000", "--articles=800", "--interactions=8000", "--factors=16", "--repeats=1"),
    "als_full": ("--articles=2000", "--sample-customers=500", "--factors=16", "--iterations=1"),
    "hybrid": (
        "--customers=2000",
        "--articles=800",
        "--interactions=8000",
        "--factors=16",
        "--positives=1024",
        "--repeats=1",
    ),
    "metrics": ("--customers=1000", "--articles=500", "--repeats=1"),
    "search": ("--articles=2000", "--queries=50", "--lists=100", "--repeats=1"),
    "features": ("--rows=5000", "--customers=500", "--articles=100", "--repeats=1"),
    "images": ("--backbone=mobilenet_v2", "--count=4", "--batch-size=2", "--repeats=1"),
    "pca": ("--articles=300", "--dimension=64", "--components=8"),
    "attributes": ("--articles=120",),
    "warp": ("--customers=300", "--articles=100", "--factors=8", "--epochs=2", "--judged=300"),
    "sequences": ("--planted=60", "--epochs=1"),
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="keeps what was measured; by default bench in the home")
    parser.add_argument("--only", nargs="+", choices=tuple(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--again", action="store_true", help="measure again what is kept")
    parser.add_argument("--small", action="store_true", help="sizes that only show that everything runs")
    parser.add_argument("--threads", type=int, default=0, help=f"of {', '.join(THREADED)}; 0: one for each core")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    parser.add_argument("--plot", type=Path, help="where the plot is written; by default docs/speed.svg for a full run")
    return parser.parse_args(given)


def conditions(name: str, machine: Machine, *, small: bool = False, threads: int = 0) -> Conditions:
    """What a benchmark's rows belong to, where it runs now."""
    module, options = BENCHMARKS[name]
    threaded = (f"--threads={threads}",) if name in THREADED else ()
    given = (*options, *(SMALL[name] if small else ()), *threaded)
    code = code_version(f"benchmarks.{module}", *sides(module))
    return Conditions(comparison=name, options=given, machine=machine, code=code)


def sides(module: str) -> tuple[str, ...]:
    """The modules that a benchmark runs in another environment, which it names and does not import."""
    source = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    return tuple(sorted(set(re.findall(r"benchmarks\.\w+_side\b", source))))


def measure(wanted: Conditions) -> Measurement:
    """Run a benchmark and print its output.

    Raises:
        RuntimeError: it failed.
    """
    module, _ = BENCHMARKS[wanted.comparison]
    print(f"\n{time.strftime('%H:%M:%S')} {_headed(wanted)}", flush=True)
    began, started, load = datetime.now(UTC), time.perf_counter(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        printed = run(sys.executable, f"benchmarks.{module}", [*wanted.options, f"--out={out}"])
        rows = tuple(read(out))
    print(printed, flush=True)
    seconds, after = time.perf_counter() - started, os.getloadavg()[0]
    return Measurement(conditions=wanted, began=began, seconds=seconds, load=(load, after), printed=printed, rows=rows)


def _headed(wanted: Conditions) -> str:
    module, _ = BENCHMARKS[wanted.comparison]
    return f"{wanted.comparison}: python -m benchmarks.{module} {' '.join(wanted.options)}"


def measured(wanted: Sequence[Conditions], file: Path) -> Iterator[Measurement]:
    """The measurements of all; those that the file has are printed again, the others made, and added to it.

    Raises:
        DamagedFile: the file cannot be read.
        RuntimeError: a benchmark failed; those before it are kept.
    """
    kept = kept_figures.read(file, Measurement)
    known = [(each, found(kept, each)) for each in wanted]
    left = [each for each, before in known if before is None]
    print(announced(kept, left, len(wanted)), flush=True)
    for each, before in known:
        if before is not None:
            print(f"\nmeasured {before.began:%Y-%m-%d %H:%M} UTC, {_headed(each)}\n{before.printed}", flush=True)
            yield before
    for each in progress(left, "comparisons of speed", unit="comparison"):
        made = measure(each)
        kept_figures.append(file, [made])
        yield made


def announced(kept: Sequence[Measurement], left: Sequence[Conditions], of: int) -> str:
    """Which comparisons are left, and about how long each will take."""
    told = [outlook(kept, each, usual(each)) for each in left]
    known = [seconds for seconds, _ in told if seconds is not None]
    about = [f"about {duration(sum(known))}"] if known else []
    unknown = [f"of {len(told) - len(known)} it is not known how long"] if len(known) < len(told) else []
    first = ", ".join([f"{len(left)} of {of} comparisons left", *about, *unknown])
    ends = ["Interrupt it at will: the same command goes on where it was."] if left else []
    return "\n".join([first, *(line for _, line in told), *ends])


def usual(wanted: Conditions) -> float | None:
    """How long a benchmark took us, where it is as :data:`BENCHMARKS` has it and on all cores."""
    plain = conditions(wanted.comparison, wanted.machine)
    return SECONDS.get(wanted.comparison) if plain.options == wanted.options else None


def plot(rows: Sequence[Row]) -> str:
    """Ratios as bars, with the goal of each as a line across its bar; an SVG that stands alone."""
    ratios = np.array([row.ratio for row in rows])
    names = [f"{row.what}\nagainst {row.peer}" for row in rows]
    with figures.styled():
        drawing, (axis,) = figures.subplots(1, 7.2, 0.7 + 0.42 * len(rows))
        axis.barh(np.arange(len(rows)), ratios, height=0.6, color=figures.SERIES[1])
        for index, row in enumerate(rows):
            beside = row.goal if row.goal is not None and 0 <= row.goal - row.ratio < 0.1 else row.ratio
            axis.text(beside, index, f"  {row.ratio:.2f}", va="center", fontsize=8.5)
            if row.goal is not None:
                axis.plot([row.goal] * 2, [index - 0.42, index + 0.42], color=figures.INK, linewidth=2)
        axis.set_yticks(np.arange(len(rows)), names, fontsize=8.5)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlim(0, 1.12 * max([*ratios, *(row.goal for row in rows if row.goal is not None)], default=1))
        axis.grid(axis="x", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.tick_params(length=0)
        axis.set_xlabel("our seconds / the other's seconds; vertical line: the goal")
        return figures.standalone(figures.svg(drawing))


def main(given: Sequence[str] | None = None) -> None:
    """Run what is missing, print, draw."""
    options = arguments(given)
    file = (options.folder or Home.from_environment().root / "bench") / "figures.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    machine = this_machine()
    every = {name: conditions(name, machine, small=options.small, threads=options.threads) for name in BENCHMARKS}
    wanted = [every[name] for name in options.only]
    try:
        if options.again:
            forget(file, wanted)
        those = sorted(measured(wanted, file), key=lambda each: wanted.index(each.conditions))
    except DamagedFile as error:
        raise SystemExit(str(error)) from None
    rows = [row for each in those for row in each.rows]
    print(f"\n{table(rows)}\n\n{times(those)}\n\n{machine}")
    write(rows, options.out)
    everything = not options.small and set(options.only) == set(BENCHMARKS)
    target = options.plot or (PLOT if everything else None)
    if target is not None:
        kept = kept_figures.read(file, Measurement)
        drawn = [row for each in every.values() if (known := found(kept, each)) for row in known.rows]
        target.write_text(plot(drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
