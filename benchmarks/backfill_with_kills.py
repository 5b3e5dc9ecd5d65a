"""A backfill whose processes are killed, beside one that nobody disturbs: do both leave the same bytes?

    python -m benchmarks.backfill_with_kills DATA WORK [--customers 3000] [--kills 3] [--seed 0]

``DATA`` is a folder in the layout of H&M's files as Parquet, ``WORK`` a new folder. Of the data, some customers are
taken (their ids are hashes, so the first ones are a fair sample) and the articles that they bought, into a folder of
``WORK``. Two homes ingest these days and make them one after the other: features, the recommenders ``popular``,
``repeat`` and ``als``, their lists. The attribute network is left out, which would take most of the time;
``tests/end_to_end/test_killed_run.py`` kills it. In the second home the process and all its children are ended by
SIGKILL in the course of several days, spread over the backfill, each at a moment of the day that is drawn with the
seed, and the backfill is started again at the first day that was not reported as done. Every file of the two stores is
compared then, but for the locks; of pointers all but the run and the time of writing.

What belongs here: the two backfills and the comparison. What does not: running a job (:mod:`dagster_project.run`).
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from resources.retailer import Home, Settings, day_range
from resources.settings_file import write_settings
from resources.storage import LOCKS

FIRST, DAYS = date(2020, 9, 16), 7
MODELS = ("popular", "repeat", "als")
#: What is made of each day.
ASSETS = (
    "article_features",
    "customer_features",
    *(f"{model}_model" for model in MODELS),
    *(f"recommendations/{model}" for model in MODELS),
)
#: What a run writes into pointers and what is no part of the data.
OF_THE_RUN = ("run_id", "written_at")
PROGRESS = "done.txt"


def sample(data: Path, folder: Path, customers: int) -> Path:
    """Some customers of ``data``, with what they bought in the days, in a new folder; returns the folder."""
    import pandas as pd

    folder.mkdir(parents=True)
    read = {stem: pd.read_parquet(data / f"{stem}.parquet") for stem in ("customers", "articles", "transactions_train")}
    people = read["customers"].sort_values("customer_id").head(customers)
    bought = read["transactions_train"]
    bought = bought[bought["customer_id"].isin(people["customer_id"])]
    articles = read["articles"][read["articles"]["article_id"].isin(bought["article_id"])]
    for stem, frame in (("customers", people), ("articles", articles), ("transactions_train", bought)):
        frame.to_parquet(folder / f"{stem}.parquet", index=False)
    print(f"{len(people):,} customers, {len(articles):,} articles, {len(bought):,} purchases", flush=True)
    return folder


def make_home(root: Path, data: Path, last: date) -> Home:
    """A home that serves the files of ``data`` up to a day, with the recommenders."""
    from dagster_project.commands.init import write_dagster_yaml

    home = Home(root)
    settings = Settings(
        source="hm",
        path=str(data.resolve()),
        first_day=FIRST,
        last_day=last,
        recommenders=MODELS,
        serving_model="repeat",
    )
    write_settings(home, settings)
    write_dagster_yaml(home)
    return home


def backfill(root: Path) -> None:
    """Ingest the days and make those that are not reported as done; each is reported when it is."""
    import dagster as dg

    from dagster_project.commands.backfill import name_dagster
    from dagster_project.executors import step_server
    from dagster_project.run import run_job_in_processes

    home, progress = Home(root), root / PROGRESS
    last = home.settings.last_day
    assert last is not None  # noqa: S101 - make_home has set it
    done = set(progress.read_text().split()) if progress.exists() else set()
    name_dagster(home)
    keys = [dg.AssetKey.from_user_string(asset) for asset in ASSETS]
    with dg.DagsterInstance.get() as instance, step_server("models"), progress.open("a") as report:
        if "ingest" not in done:
            run_job_in_processes(home, instance, "ingest", FIRST, last, log_level="ERROR")
            report.write("ingest\n")
            report.flush()
        for day in day_range(FIRST, last):
            if str(day) not in done:
                run_job_in_processes(home, instance, "daily_retrain", day, assets=keys, log_level="ERROR")
                report.write(f"{day}\n")
                report.flush()


def started(home: Home) -> subprocess.Popen[bytes]:
    """A process of :func:`backfill`, the first of its own group."""
    environment = os.environ | {"DAGSTER_HOME": str(home.dagster)}
    with (home.root / "backfill.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.backfill_with_kills", "--backfill", str(home.root)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def undisturbed(home: Home) -> float:
    """Run the backfill to its end; the seconds that it took.

    Raises:
        SystemExit: it failed; the message names its log.
    """
    begun = time.perf_counter()
    if started(home).wait():
        raise SystemExit(f"the backfill failed; see {home.root / 'backfill.log'}")
    return time.perf_counter() - begun


def done_in(home: Home) -> list[str]:
    """What was reported as done so far: ``ingest``, and days."""
    progress = home.root / PROGRESS
    return progress.read_text().split() if progress.exists() else []


def killed(home: Home, days: int, after: float) -> bool:
    """Start the backfill and kill it with all its children in the course of a day; False where it had ended by then.

    Args:
        home: of the backfill.
        days: so many days have been reported as done when that one begins.
        after: seconds from then on.
    """
    process = started(home)
    while process.poll() is None and len(done_in(home)) <= days:  # ingest is reported too
        time.sleep(0.1)
    with suppress(subprocess.TimeoutExpired):
        process.wait(after)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def digests(store: Path) -> dict[str, str]:
    """The SHA-256 of every file of a store but its locks, by name; of pointers without the run and the time."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    names = {path.relative_to(store).as_posix(): path for path in files}
    return {name: _digest(path) for name, path in names.items() if not name.startswith(f"{LOCKS}/")}


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.name.endswith(".json"):
        read = json.loads(content)
        if isinstance(read, dict) and OF_THE_RUN[0] in read:
            content = json.dumps({k: v for k, v in read.items() if k not in OF_THE_RUN}, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """The names that only one has, or whose digests differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def compare(data: Path, work: Path, days: int, kills: int, seed: int) -> Sequence[str]:
    """Run both backfills and print what came of them; the files that differ."""
    last = FIRST + timedelta(days=days - 1)
    calm, disturbed = (make_home(work / name, data, last) for name in ("undisturbed", "killed"))
    seconds = undisturbed(calm)
    print(f"undisturbed: {days} days in {seconds:.0f} s", flush=True)
    moments = np.random.default_rng(seed).uniform(0.1, 0.9, kills) * seconds / days
    for number, moment in enumerate(moments):
        died = killed(disturbed, days * (number + 1) // (kills + 1), float(moment))
        told = f"{moment:.1f} s after a day was done; done by then: {', '.join(done_in(disturbed))}"
        print(f"{'killed' if died else 'ENDED'} {told}", flush=True)
    print(f"the run after them: {undisturbed(disturbed):.0f} s", flush=True)
    for home in (calm, disturbed):
        home.open_store().vacuum(timedelta(0))
    found = [digests(home.store) for home in (calm, disturbed)]
    differing = differences(*found)
    print(f"{len(found[0]):,} files, {len(differing)} differ", flush=True)
    return differing


def main() -> None:
    """Read the arguments; exit status 1 where the stores differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backfill", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.backfill:
        backfill(options.backfill)
        return
    if not options.data or not options.work:
        parser.error("name DATA and WORK")
    files = sample(options.data, options.work / "files", options.customers)
    differing = compare(files, options.work, options.days, options.kills, options.seed)
    for name in differing:
        print(name)
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
