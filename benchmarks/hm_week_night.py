"""The whole daily job on H&M's purchases of a week: what every step takes.

    python -m benchmarks.hm_week_night DATA FOLDER

``DATA`` is a folder in the layout of H&M's files as Parquet, ``FOLDER`` a new one. A home with the default settings
ingests six days in one run, then ``daily_retrain`` of the seventh runs as it does every night, two steps at once, each
in a process of its own. There are no photographs. Linux only.

What belongs here: the home and the two runs. What does not: watching processes (:mod:`benchmarks.full_size`), tables
(:mod:`benchmarks.full_size_figures`).
"""

import argparse
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from benchmarks.full_size import Attempt, Stage, collect, run
from benchmarks.full_size_figures import conditions, stage_table
from benchmarks.full_size_job import home_in
from dagster_project.commands.init import write_dagster_yaml
from resources.retailer import Settings
from resources.settings_file import write_settings

FIRST, LAST = date(2020, 9, 16), date(2020, 9, 22)
STAGES = (Stage("ingest", "ingest", FIRST, LAST - timedelta(days=1)), Stage("night", "daily_retrain", LAST))


def make_home(data: Path, folder: Path) -> None:
    """A home of the week in ``folder``.

    Raises:
        FileExistsError: the folder is there.
    """
    folder.mkdir(parents=True)
    home = home_in(folder)
    write_settings(home, Settings(source="hm", path=str(data.resolve()), first_day=FIRST, last_day=LAST))
    write_dagster_yaml(home)


def main(given: Sequence[str] | None = None) -> None:
    """Run both, print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(given)
    make_home(options.data, options.folder)
    for stage in STAGES:
        run(options.folder, stage, 1.0, None)
        rows = collect(options.folder, Attempt.load_from(options.folder / "running.json"), complete=True)
        print(f"## {stage.name}\n\n{stage_table(rows)}\n\n{conditions(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
