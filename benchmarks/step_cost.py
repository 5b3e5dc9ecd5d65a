"""Where the processor seconds of a run go: for each step, how many were imports and how many its own work.

    python -m benchmarks.step_cost nothing ingest history retrain

``nothing``: steps that do nothing, in the real code location. ``ingest``: one day with six rows. ``history``: 60 days
with 3.3 million interactions of 137,000 customers and 20,000 articles, as one run. ``retrain``: the last
day of a small sample retailer, with the defaults. ``demo``: what ``make demo`` runs. Each is what people run, ``dg
launch`` or ``python -m dagster_project.demo``, in a home of its own in a temporary folder. Processor seconds are user
and system of all processes, also of those that outlive the one that started them. They grow when others use the
machine, so that each table is also told in units of ``import dagster``, measured just before. Linux only.

What belongs here: the runs, which process did what, the table. What does not: sampling processes
(:mod:`benchmarks.processes`), tracing imports (:mod:`benchmarks.import_trace.sitecustomize`), what is run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import children_seconds, descendants, sample_until_all_ended, start

if TYPE_CHECKING:
    import dagster as dg

BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).resolve().parents[1]
TRACER = Path(__file__).parent / "import_trace"
SAMPLED_EVERY = 0.1
DAY = date(2025, 3, 3)
HISTORY = 60
SMALL = ("--articles=120", "--customers=300", "--days=12")


@dataclass
class Process:
    """A process of a run.

    Attributes:
        pid: its id.
        own: processor seconds of itself.
        waited: those of its children that it has waited for.
        imports: those of ``own`` that were imports.
        parent: whose child it is as multiprocessing sees it: not the server that it was forked from.
        arguments: of the interpreter; None where it is no Python.
    """

    pid: int
    own: float = 0.0
    waited: float = 0.0
    imports: float = 0.0
    parent: int | None = None
    arguments: list[str] | None = None


@dataclass
class Recorded:
    """What a command took.

    Attributes:
        wall: seconds.
        processor: seconds of all of its processes.
        processes: by id.
        root: the id of the command itself.
    """

    wall: float
    processor: float
    root: int
    processes: dict[int, Process] = field(default_factory=dict)


def record(command: Sequence[str | Path], environment: dict[str, str]) -> Recorded:
    """Run a command to its end, and to the end of everything that it has started.

    Raises:
        CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        trace, output = Path(folder) / "imports.jsonl", Path(folder) / "output.txt"
        trace.touch()
        paths = [str(TRACER), str(REPOSITORY), *filter(None, [environment.get("PYTHONPATH")])]
        environment = environment | {"IMPORT_TRACE": str(trace), "PYTHONPATH": os.pathsep.join(paths)}
        before, started = children_seconds(), time.perf_counter()
        processes: dict[int, Process] = defaultdict(lambda: Process(0))
        root = start(command, REPOSITORY, environment, output)
        status = sample_until_all_ended(root, SAMPLED_EVERY, lambda: _look(processes))
        recorded = Recorded(time.perf_counter() - started, children_seconds() - before, root.pid, processes)
        if status != 0:
            sys.stderr.write(output.read_text(errors="replace")[-5000:])
            raise subprocess.CalledProcessError(status, [str(word) for word in command])
        _add_imports(processes, trace)
    return recorded


def _look(processes: dict[int, Process]) -> None:
    for seen in descendants():
        processes[seen.pid].pid, processes[seen.pid].own, processes[seen.pid].waited = seen.pid, seen.own, seen.waited


def _add_imports(processes: dict[int, Process], trace: Path) -> None:
    for line in trace.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        process = processes[told["pid"]]
        if "imported" in told:
            process.imports += told["seconds"]
        else:
            process.parent, process.arguments = told["parent"], told["arguments"]


# Who is who --------------------------------------------------------------------------------------------------------


def steps_of(home: Path) -> dict[int, str]:
    """The name of the step that each process of the home's runs has executed."""
    import dagster as dg

    steps = {}
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        for run in instance.get_runs():
            day = run.tags.get("dagster/partition", "")
            for pid, step in steps_of_run(instance, run.run_id).items():
                steps[pid] = f"{step} {day}".strip()
    return steps


def steps_of_run(instance: "dg.DagsterInstance", run_id: str) -> dict[int, str]:
    """The name of the step that each process of a run has executed."""
    import dagster as dg

    steps = {}
    for event in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_WORKER_STARTED):
        metadata: Any = event.get_dagster_event().event_specific_data
        steps[int(metadata.metadata["pid"].value)] = str(event.step_key)
    return steps


def rows_of(recorded: Recorded, steps: dict[int, str]) -> dict[str, tuple[float, float]]:
    """Imports and own work, in processor seconds, of the run's process, the server of steps, and each step."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for process in recorded.processes.values():
        name = _name(process, recorded, steps)
        waited = process.waited if process.pid in steps else 0.0  # the server's children are steps, which are told
        rows[name][0] += process.imports
        rows[name][1] += process.own + waited - process.imports
    told = sum(imports + work for imports, work in rows.values())
    rows["what no sample saw"] = [0.0, recorded.processor - told]
    order = ["the run's process", "the server of steps", *steps.values()]
    return {
        name: (imports, work) for name, (imports, work) in sorted(rows.items(), key=lambda row: _place(row[0], order))
    }


def _place(name: str, order: list[str]) -> int:
    return order.index(name) if name in order else len(order)


def _name(process: Process, recorded: Recorded, steps: dict[int, str]) -> str:
    if process.pid in steps:
        return steps[process.pid]
    if process.parent in steps:  # work that a step does in a process of its own
        return steps[process.parent]
    if process.pid == recorded.root:
        return "the run's process"
    if process.arguments and "multiprocessing.forkserver" in " ".join(process.arguments):
        return "the server of steps"
    return "others"


def table(title: str, recorded: Recorded, steps: dict[int, str], unit: float) -> str:
    """The table, in Markdown."""
    lines = [f"| {title} | imports (s) | own work (s) |", "|---|---|---|"]
    rows = rows_of(recorded, steps)
    lines += [f"| {name} | {imports:.2f} | {work:.2f} |" for name, (imports, work) in rows.items()]
    imports, work = (sum(row[n] for row in rows.values()) for n in (0, 1))
    lines.append(f"| all | {imports:.1f} | {work:.1f} |")
    times = recorded.processor / unit
    lines.append(f"\n{recorded.processor:.1f} s of processor time in {recorded.wall:.1f} s, {times:.1f} times that of")
    lines.append(f"`import dagster`, which takes {unit:.2f} s.")
    return "\n".join(lines)


def import_dagster(times: int = 3) -> float:
    """Processor seconds of a Python that imports dagster and ends: the median."""
    seconds = []
    for _ in range(times):
        before = children_seconds()
        subprocess.run([sys.executable, "-c", "import dagster"], check=True, stderr=subprocess.DEVNULL)
        seconds.append(children_seconds() - before)
    return statistics.median(seconds)


# What is run -------------------------------------------------------------------------------------------------------


def six_rows(folder: Path) -> None:
    """A landing zone of one day: two articles, two customers, two interactions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[dict[str, Any]]] = {
        "articles": [{"article_id": f"a{n}", "name": "Shirt", "in_stock": True} for n in range(2)],
        "customers": [{"customer_id": f"c{n}", "age": 30} for n in range(2)],
        "interactions": [
            {"customer_id": f"c{n}", "article_id": f"a{n}", "occurred_at": datetime(2025, 3, 3, 10, n), "kind": "view"}
            for n in range(2)
        ],
    }
    for name, each in rows.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(each), folder / name / f"ds={DAY}.parquet")


def history(folder: Path, customers: int = 137_000, articles: int = 20_000, rows: int = 55_000) -> None:
    """A landing zone of :data:`HISTORY` days with so many interactions on each, drawn at random."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(0)
    prices = np.round(random.gamma(4.0, 8.0, articles) + 1, 2)
    people = np.array([f"{n:064x}" for n in range(customers)])
    goods = np.array([f"{n:010d}" for n in range(articles)])
    catalogue = {
        "article_id": goods,
        "product_code": [code[:7] for code in goods],
        "name": [f"Garment {n % 997}" for n in range(articles)],
        "description": [f"A garment of cloth {n % 89} with {n % 31} seams." for n in range(articles)],
        "product_type": [f"type {n % 61}" for n in range(articles)],
        "price": prices,
        "in_stock": np.ones(articles, bool),
    }
    snapshots = {"articles": catalogue, "customers": {"customer_id": people, "age": random.integers(16, 80, customers)}}
    for name, columns in snapshots.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / name / f"ds={DAY}.parquet")
    (folder / "interactions").mkdir()
    for n in range(HISTORY):
        day = np.datetime64(DAY + timedelta(days=n), "us")
        chosen = random.zipf(1.3, rows) % articles
        columns = {
            "customer_id": people[random.integers(0, customers, rows)],
            "article_id": goods[chosen],
            "occurred_at": np.sort(day + random.integers(0, 86_400, rows).astype("timedelta64[s]")),
            "kind": ["purchase"] * rows,
            "price": prices[chosen],
        }
        pq.write_table(pa.table(columns), folder / "interactions" / f"ds={day.astype('datetime64[D]')}.parquet")


def measured(what: str, home: Path) -> tuple[Recorded, dict[int, str]]:
    """Prepare a home, run what is measured in it, and tell its steps' processes."""
    environment = os.environ | {"ATELIER_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}

    def call(*command: str | Path) -> None:
        subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)

    atelier = (sys.executable, "-m", "dagster_project.cli")
    dg = BIN / "dg"
    if what == "demo":
        command: list[str | Path] = [sys.executable, "-m", "dagster_project.demo"]
    elif what == "retrain":
        call(*atelier, "init", *SMALL)
        last = f"{date.fromordinal(DAY.toordinal() + 11)}"
        call(dg, "launch", "--job", "ingest", "--partition-range", f"{DAY}...{last}")
        command = [dg, "launch", "--job", "daily_retrain", "--partition", last]
    elif what == "history":
        history(home / "landing")
        call(*atelier, "init", "--source", "parquet", "--path", str(home / "landing"))
        days = f"{DAY}...{DAY + timedelta(days=HISTORY - 1)}"
        command = [dg, "launch", "--job", "ingest", "--partition-range", days]
    else:
        six_rows(home / "landing")
        call(*atelier, "init", "--source", "parquet", "--path", str(home / "landing"))
        job = ("ingest", "--partition", f"{DAY}") if what == "ingest" else ("no_work", "-m", "benchmarks.no_work")
        command = [dg, "launch", "--job", *job]
    before = set(steps_of(home)) if (home / "dagster").exists() else set()
    recorded = record(command, environment)
    return recorded, {pid: name for pid, name in steps_of(home).items() if pid not in before}


def main() -> None:
    """Measure what is asked for, and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=("nothing", "ingest", "history", "retrain", "demo"))
    for what in parser.parse_args().what:
        unit = import_dagster()
        with tempfile.TemporaryDirectory(prefix="step-cost-") as folder:
            recorded, steps = measured(what, Path(folder))
            print(f"\n{table(what, recorded, steps, unit)}", flush=True)


if __name__ == "__main__":
    main()
