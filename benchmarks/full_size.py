"""A retailer of H&M's size through the whole daily job: what every step takes.

    python -m benchmarks.full_size FOLDER --share 0.01 [--stages make ingest] [--epochs 5]
        [--plot docs/full_size.svg]

``FOLDER`` keeps the generated files, a home for each share, and the figures (``figures.jsonl``). Whoever runs it again
goes on where it was: a stage that is complete is not run again, and of a job that was interrupted only that is made
which a day does not have. Tables of every share that was measured are printed at the end. The stages, in order:

* ``make``: the landing zone, the home, and the vectors of photographs (:mod:`benchmarks.full_size_retailer`);
* ``ingest``: 733 days in one run;
* ``day1``: ``daily_retrain`` of the last day of the history;
* ``day2``: the same of the day after, which brings 1% more photographs and one day's purchases;
* ``later``: ``ingest`` of the days up to the one on which the first day's lists can be judged;
* ``judge``: these lists judged.

Jobs run as they do every night, two steps at once, each in a process of its own. hybrid and transformer train until
their lists get no better, which is after another number of epochs for each share; ``--epochs`` bounds it, for who
compares shares. Linux only.

What belongs here: the stages, watching their processes, what is printed. What does not: what is made of the figures
(:mod:`benchmarks.full_size_figures`), what is done in each stage (:mod:`benchmarks.full_size_job`).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import kept_figures
from benchmarks.full_size_figures import (
    DAYS,
    WHOLE,
    Row,
    conditions,
    days_table,
    plot,
    read,
    shares_table,
    stage_table,
    summed,
)
from benchmarks.full_size_retailer import FIRST_DAY, LATER, history_ends
from benchmarks.processes import Use, Watch, sample_until_all_ended, start

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLED_EVERY = 0.2
SAVED_EVERY = 10.0
TAIL = 4000


@dataclass(frozen=True)
class Stage:
    """A run of the benchmark.

    Attributes:
        name: as it is asked for.
        job: Dagster's job, or ``make``.
        first: the first day, or the only one.
        last: the last of a range.
    """

    name: str
    job: str
    first: date
    last: date | None = None

    def command(
        self, folder: Path, share: float, epochs: int | None = None, *, again: bool = False
    ) -> list[str | Path]:
        """The process that does it."""
        options = {"share": share, "first": self.first, "last": self.last, "epochs": epochs}
        given = [f"--{name}={value}" for name, value in options.items() if value is not None]
        given += ["--again"] if again else []
        return [sys.executable, "-m", "benchmarks.full_size_job", folder, self.job, *given]


def stages() -> dict[str, Stage]:
    """The stages by name, in their order."""
    day, one = history_ends(), timedelta(days=1)
    judged = day + LATER * one
    each = (
        Stage("make", "make", FIRST_DAY),
        Stage("ingest", "ingest", FIRST_DAY, day - one),
        Stage("day1", "daily_retrain", day),
        Stage("day2", "daily_retrain", day + one),
        Stage("later", "ingest", day + 2 * one, judged),
        Stage("judge", "judge", judged),
    )
    return {stage.name: stage for stage in each}


@dataclass
class Attempt:
    """A stage that is being run, kept in a file so that a killed benchmark loses none of its finished steps' figures.

    Attributes:
        share: of the full size.
        stage: which.
        began: seconds since the epoch.
        ended: the same, when it was last looked at.
        root: the id of its process.
        load: the load average when it began.
        epochs: of models that train in epochs, at most; None: as by default.
        uses: by process id.
    """

    share: float
    stage: str
    began: float
    ended: float
    root: int
    load: float
    epochs: int | None
    uses: dict[int, Use]

    def save(self, file: Path) -> None:
        """Write it."""
        staged = file.with_suffix(".new")
        staged.write_text(json.dumps(asdict(self)), encoding="utf-8")
        staged.replace(file)

    @classmethod
    def load_from(cls, file: Path) -> "Attempt":
        """What was written."""
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        uses = {int(pid): Use(**use) for pid, use in told.pop("uses").items()}
        return cls(uses=uses, **told)


def run(folder: Path, stage: Stage, share: float, epochs: int | None, *, again: bool = False) -> None:
    """Run a stage and watch its processes; the attempt is kept in the folder.

    Raises:
        CalledProcessError: it failed; its figures up to then are kept.
    """
    environment = os.environ | {"DAGSTER_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
    folder.mkdir(parents=True, exist_ok=True)
    log, watch, load = folder / f"{stage.name}.log", Watch(), os.getloadavg()[0]
    command, began = stage.command(folder, share, epochs, again=again), time.time()
    process = start(command, REPOSITORY, environment, log)
    attempt = Attempt(share, stage.name, began, began, process.pid, load, epochs, watch.uses)

    def look() -> None:
        watch.look()
        if time.time() - attempt.ended > SAVED_EVERY:
            attempt.ended = time.time()
            attempt.save(folder / "running.json")

    status = sample_until_all_ended(process, SAMPLED_EVERY, look)
    attempt.ended = time.time()
    attempt.save(folder / "running.json")
    if status:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-TAIL:])
        raise subprocess.CalledProcessError(status, [str(word) for word in command])


def collect(folder: Path, attempt: Attempt, *, complete: bool) -> list[Row]:
    """The rows of an attempt: of its steps that succeeded, and of the whole."""
    rows = [*_steps(folder, attempt)] if (folder / "home" / "dagster" / "dagster.yaml").exists() else []
    whole = Row(
        share=attempt.share,
        stage=attempt.stage,
        step=WHOLE,
        wall=attempt.ended - attempt.began,
        complete=complete,
        load=attempt.load,
        epochs=attempt.epochs,
        **asdict(attempt.uses.get(attempt.root, Use())),
    )
    return [*rows, whole]


def _steps(folder: Path, attempt: Attempt) -> list[Row]:
    import dagster as dg

    from benchmarks.step_cost import steps_of_run

    rows = []
    with dg.DagsterInstance.from_config(str(folder / "home" / "dagster")) as instance:
        for record in instance.get_run_records():
            if not attempt.began <= record.create_timestamp.timestamp() <= attempt.ended:
                continue
            run_id = record.dagster_run.run_id
            processes = {step: pid for pid, step in steps_of_run(instance, run_id).items()}
            for each in sorted(instance.get_run_step_stats(run_id), key=lambda each: each.end_time or 0.0):
                if (
                    each.start_time is None
                    or each.end_time is None
                    or each.status is None
                    or each.status.value != "SUCCESS"
                ):
                    continue
                use = attempt.uses.get(processes.get(each.step_key, 0))
                figures = asdict(use) if use else {}
                wall = each.end_time - each.start_time
                rows.append(Row(share=attempt.share, stage=attempt.stage, step=each.step_key, wall=wall, **figures))
    return rows


def measure(root: Path, share: float, names: Sequence[str], epochs: int | None = None, *, again: bool = False) -> None:
    """Run the stages that are not complete yet, one after the other.

    With ``again`` all of them are run, whole, and the figures that there are of them go.

    Raises:
        CalledProcessError: a stage failed.
    """
    file, folder = root / "figures.jsonl", root / f"share-{share:g}"
    running = folder / "running.json"
    if running.exists():
        _keep(file, folder, running, complete=False)
    if again:
        others = [row for row in read(file) if (row.share, row.stage) not in {(share, name) for name in names}]
        kept_figures.write(file, others)
    done = {(row.share, row.stage) for row in read(file) if row.step == WHOLE and row.complete}
    for name in names:
        if (share, name) in done:
            continue
        print(f"{time.strftime('%H:%M:%S')} {name} of {share:.0%}", flush=True)
        try:
            run(folder, stages()[name], share, epochs, again=again)
        except subprocess.CalledProcessError:
            _keep(file, folder, running, complete=False)
            raise
        _keep(file, folder, running, complete=True)


def _keep(file: Path, folder: Path, running: Path, *, complete: bool) -> None:
    kept_figures.append(file, collect(folder, Attempt.load_from(running), complete=complete))
    running.unlink()


def report(rows: Sequence[Row]) -> str:
    """All tables, in Markdown."""
    parts = []
    for share in sorted({row.share for row in rows}):
        own = [row for row in rows if row.share == share]
        for name in stages():
            found = [row for row in own if row.stage == name]
            if found:
                parts.append(f"## {share:.0%}: {name}\n\n{stage_table(found)}\n\n{conditions(found)}")
        days = [[row for row in own if row.stage == day] for day in DAYS]
        if all(days):
            parts.append(f"## {share:.0%}: the day after beside the first\n\n{days_table(*days)}")
    for name in stages():
        found = [row for row in rows if row.stage == name]
        if len({row.share for row in found}) > 1:
            parts.append(f"## {name} by share\n\n{shares_table(found)}")
    return "\n\n".join(parts)


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, help="of the full size; without it the tables are printed again")
    parser.add_argument("--stages", nargs="+", choices=tuple(stages()), default=list(stages()))
    parser.add_argument("--epochs", type=int, help="of hybrid and transformer, at most; by default as they are set")
    parser.add_argument("--again", action="store_true", help="run whole stages again, and forget their figures")
    parser.add_argument("--plot", type=Path, help="where the plot of the first day by share is written")
    options = parser.parse_args(given)
    if options.share is not None:
        names = [name for name in stages() if name in options.stages]
        measure(options.folder, options.share, names, options.epochs, again=options.again)
    rows = summed(read(options.folder / "figures.jsonl"))
    print(report(rows))
    drawn = [row for row in rows if row.stage == "day1"]
    if options.plot and not drawn:
        print(f"{options.plot} is not drawn: there are no figures of the stage day1 yet")
    elif options.plot:
        options.plot.write_text(plot(drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
