"""Every comparison of speed in one run: one table of ratios, one plot.

Run it as ``make bench`` or ``python -m benchmarks.speed``. Each benchmark is a process of its own, one after the other;
run it on an idle machine. ``--small`` shrinks all of them to a few minutes at most, to test that they run: its ratios
have no meaning. ``--only`` selects some; the plot then holds only these. ``--threads`` is for those that have it.

What belongs here: which benchmarks there are, their sizes, the table and the plot. What does not: what they measure.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from atelier.report import figures
from benchmarks.ratios import Row, read, run, table, write

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
}
"""The module of each benchmark, and its options."""
THREADED = ("als", "als_full", "hybrid", "search", "features", "images", "attributes", "warp")
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
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--small", action="store_true", help="sizes that only show that everything runs")
    parser.add_argument("--threads", type=int, default=0, help=f"of {', '.join(THREADED)}; 0: one for each core")
    parser.add_argument("--out", type=Path, help="where the rows are written as JSON")
    parser.add_argument("--plot", type=Path, help="where the plot is written; by default docs/speed.svg for a full run")
    return parser.parse_args(given)


def rows_of(name: str, *, small: bool, threads: int = 0) -> list[Row]:
    """Run a benchmark and print its output; gives its rows."""
    module, options = BENCHMARKS[name]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        threaded = [f"--threads={threads}"] if name in THREADED else []
        given = [*options, *(SMALL[name] if small else ()), *threaded, f"--out={out}"]
        print(f"\n{name}: python -m benchmarks.{module} {' '.join(given[:-1])}", flush=True)
        print(run(sys.executable, f"benchmarks.{module}", given), flush=True)
        return read(out)


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
    """Run, print, draw."""
    options = arguments(given)
    started = os.getloadavg()[0]
    rows = [row for name in options.only for row in rows_of(name, small=options.small, threads=options.threads)]
    print(f"\nload {started:.1f} at the start, {os.getloadavg()[0]:.1f} at the end, {os.cpu_count()} cores\n")
    print(table(rows))
    write(rows, options.out)
    everything = not options.small and set(options.only) == set(BENCHMARKS)
    target = options.plot or (PLOT if everything else None)
    if target is not None:
        target.write_text(plot(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
