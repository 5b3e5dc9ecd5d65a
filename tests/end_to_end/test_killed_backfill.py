"""A backfill of whole nights whose process is killed in several of its days: what it leaves is as if nobody had.

Every night reads what the nights before left: champions, gates, drift, kept figures. So more than one day is made, and
everything that the daily job makes of them is compared.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pytest

from dagster_project.build import build_defs
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.run import without_pools
from resources.retailer import Home
from tests.end_to_end.house import House
from tests.end_to_end.test_killed_run import REPOSITORY, opened

pytestmark = [pytest.mark.end_to_end, pytest.mark.nightly]

DAYS, KILLS, SECONDS = 4, 3, 1800
#: How long after a day was done the process is killed, at most: in the course of the next one.
LATEST = 20.0
DONE = "done.txt"


def backfill(root: str, days: Sequence[str]) -> None:
    """What the process that is killed does: one day after the other, each noted when it is done."""
    home = Home(Path(root))
    with opened(home) as house:
        for day in days:
            night(house, date.fromisoformat(day))
            with (home.root / DONE).open("a") as done:
                done.write(f"{day}\n")


def night(house: House, day: date) -> None:
    """One day's ``daily_retrain``, by a process that nobody looks after."""
    house.run("daily_retrain", day, definitions=build_defs(house.home, stages=without_pools()))


def done_days(home: Home) -> list[str]:
    """The days that were noted as done."""
    file = home.root / DONE
    return file.read_text().split() if file.exists() else []


def killed_backfill(home: Home, days: Sequence[date]) -> int:
    """Make the days, killing the process in the course of the first ``KILLS`` of them; how often it was killed."""
    moments, kills = random.Random(0), 0
    for turn in range(KILLS + 1):
        left = [str(day) for day in days if str(day) not in done_days(home)]
        code = f"from tests.end_to_end.test_killed_backfill import backfill; backfill({str(home.root)!r}, {left!r})"
        with (home.root / "backfill.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code], cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
            )
        try:
            if turn == KILLS:
                assert process.wait(SECONDS) == 0, (home.root / "backfill.log").read_text()[-3000:]
                return kills
            until = time.monotonic() + SECONDS
            while len(done_days(home)) < turn and process.poll() is None:
                assert time.monotonic() < until
                time.sleep(0.1)
            with suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(5.0, LATEST))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
    raise AssertionError("the last turn returns")


def test_nights_that_were_killed_end_as_nights_that_nobody_disturbed(
    make_house: Callable[..., House], ingested: House, tmp_path: Path
) -> None:
    last = ingested.ds
    days = [last - timedelta(days=back) for back in reversed(range(DAYS))]
    undisturbed = make_house(like=ingested)
    for day in days:
        night(undisturbed, day)
    home = Home(tmp_path / "home")
    shutil.copytree(ingested.home.root, home.root)
    write_dagster_yaml(home)
    assert killed_backfill(home, days) == KILLS
    with opened(home) as killed:
        for day in days:
            assert killed.files(day) == undisturbed.files(day)
            assert killed.models(day) == undisturbed.models(day)
