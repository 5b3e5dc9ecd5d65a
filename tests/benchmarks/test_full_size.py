"""The full-size retailer as the real source reads it, and the tables and the plot of made-up figures."""

import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.completeness import AFTERWARDS
from atelier.images.manifest import build_manifest
from atelier.sources import ParquetSource, open_source, read
from benchmarks import full_size as bench
from benchmarks import full_size_figures as figures
from benchmarks import full_size_retailer as retailer
from benchmarks import kept_figures
from benchmarks.full_size_figures import WHOLE, Row
from benchmarks.full_size_job import home_in, not_made
from benchmarks.processes import Use
from dagster_project.commands.init import write_dagster_yaml
from resources.retailer import Settings
from resources.settings_file import write_settings

SIZE = retailer.Size(articles=300, customers=200, interactions=12_000)
DAY = retailer.history_ends()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ParquetSource:
    """A tiny retailer's landing zone."""
    root = tmp_path_factory.mktemp("full-size")
    retailer.generate(root, SIZE)
    found = open_source("parquet", root)
    assert isinstance(found, ParquetSource)
    return found


def test_a_share_of_the_full_size() -> None:
    assert retailer.Size.of_share(1) == retailer.Size(105_542, 1_371_980, 31_800_000)
    assert retailer.Size.of_share(0.01) == retailer.Size(1055, 13_720, 318_000)
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        retailer.Size.of_share(0)


def test_the_history_has_the_rows_that_are_asked_for() -> None:
    rows = retailer.rows_of_days(31_800_000)
    assert len(rows) == 734 + 7
    assert rows[:734].sum() == 31_800_000
    assert rows.min() > 20_000


@pytest.mark.parametrize("table", ["articles", "customers", "annotated_attributes", "images", "interactions"])
def test_the_source_rejects_nothing(source: ParquetSource, table: str) -> None:
    ((_, landed),) = source.land(table, [DAY])
    assert landed.accepted.num_rows > 0
    assert landed.rejected.num_rows == 0


def test_sizes_and_days(source: ParquetSource) -> None:
    articles, customers = (read(source, table, DAY) for table in ("articles", "customers"))
    assert (len(articles), len(customers)) == (SIZE.articles, SIZE.customers)
    assert articles["article_id"].is_unique
    assert len(list((source.root / "interactions").iterdir())) == 734 + 7
    assert source.last_day == DAY + pd.Timedelta(days=7)
    month = read(source, "interactions", retailer.FIRST_DAY, retailer.FIRST_DAY + pd.Timedelta(days=29))
    assert len(month) == retailer.rows_of_days(SIZE.interactions)[:30].sum()


def test_only_what_is_on_sale_is_bought(source: ParquetSource) -> None:
    month = read(source, "interactions", DAY - pd.Timedelta(days=29), DAY)
    bought = month.merge(read(source, "articles", DAY), on="article_id", validate="many_to_one")
    days = bought["occurred_at"].dt.normalize()
    assert (pd.to_datetime(bought["available_from"]) <= days).all()
    assert (pd.to_datetime(bought["available_until"]) >= days).all()


def test_customers_come_back_to_their_styles(source: ParquetSource) -> None:
    """Of two purchases of one customer more are of one style than of two customers' purchases."""
    drawn = retailer.draw_articles(SIZE)
    styles = dict(zip(drawn.ids.to_pylist(), drawn.styles, strict=True))
    rows = read(source, "interactions", DAY - pd.Timedelta(days=99), DAY)
    style = rows["article_id"].map(styles).to_numpy()
    customers = rows["customer_id"].to_numpy()
    order = np.argsort(customers, kind="stable")
    same_customer = customers[order][1:] == customers[order][:-1]
    same_style = style[order][1:] == style[order][:-1]
    assert same_style[same_customer].mean() > 2 * same_style[~same_customer].mean()


def test_the_day_after_lists_a_hundredth_more_photographs(source: ParquetSource) -> None:
    before, after = (read(source, "images", day) for day in (DAY, DAY + pd.Timedelta(days=1)))
    assert (len(before), len(after)) == (SIZE.articles, SIZE.articles + 3)
    manifest = build_manifest(after, source.image_root)
    assert len(manifest.accepted) == len(after), "all of them can be decoded"
    assert manifest.accepted["digest"].is_unique
    first = hashlib.sha256(retailer.photograph(0, 0)).hexdigest()
    assert manifest.accepted["digest"].iloc[0] == first, "the cache of vectors is filled under these digests"


def test_the_same_seed_gives_the_same_bytes(source: ParquetSource, tmp_path: Path) -> None:
    retailer.generate(tmp_path, SIZE)
    for folder in ("articles", "customers", "annotated_attributes", "images"):
        for file in (source.root / folder).iterdir():
            assert file.read_bytes() == (tmp_path / folder / file.name).read_bytes()
    for day in (retailer.FIRST_DAY, DAY):
        name = f"interactions/ds={day}.parquet"
        assert (source.root / name).read_bytes() == (tmp_path / name).read_bytes()


def test_what_is_complete_is_not_generated_again(source: ParquetSource) -> None:
    file = source.root / "articles" / f"ds={retailer.FIRST_DAY}.parquet"
    made = file.stat().st_mtime_ns
    retailer.generate(source.root, SIZE)
    assert file.stat().st_mtime_ns == made


def test_vectors_tell_styles_and_do_not_depend_on_the_others() -> None:
    articles = retailer.draw_articles(SIZE)
    vectors = retailer.vectors_of(articles, range(SIZE.articles), 128)
    assert (vectors.shape, vectors.dtype) == ((SIZE.articles, 128), np.float32)
    np.testing.assert_array_equal(retailer.vectors_of(articles, [7, 3], 128), vectors[[7, 3]])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same = articles.styles[:, None] == articles.styles
    cosine = unit @ unit.T
    assert cosine[same & ~np.eye(len(same), dtype=bool)].mean() > cosine[~same].mean() + 0.1


# The figures --------------------------------------------------------------------------------------------------------


def row(share: float, step: str, processor: float | None, **more: float) -> Row:
    """A row of the first day."""
    told = {"stage": "day1", "wall": 2 * (processor or 1.0), "peak": 2**30, "read": 10**9, "written": 0} | more
    return Row.model_validate({"share": share, "step": step, "processor": processor, **told})


ROWS = [
    row(0.01, "als_model", 2.0),
    row(0.01, "report", 3.0),
    row(0.01, WHOLE, 20.0),
    row(0.1, "als_model", 30.0, peak=3 * 2**30),
    row(0.1, "report", 4.0),
    row(0.1, WHOLE, 100.0),
]


def test_the_parts_of_an_interrupted_run_add_up() -> None:
    parts = [row(1, WHOLE, 5.0, peak=7, read=1).model_copy(update={"complete": False}), row(1, WHOLE, 6.0, peak=4)]
    (whole,) = figures.summed(parts)
    assert (whole.processor, whole.peak, whole.read, whole.complete) == (11.0, 7, 10**9 + 1, True)
    (unseen,) = figures.summed([row(1, "images", None), row(1, "images", 2.0)])
    assert unseen.processor is None, "a part that nobody saw makes the sum unknown"


def test_tables() -> None:
    table = figures.stage_table([ROWS[5], ROWS[3]]).splitlines()
    assert table[2:] == [
        "| als_model | 60.0 | 30.0 | 3.00 | 1.00 | 0.00 |",
        f"| {WHOLE} | 200.0 | 100.0 | 1.00 | 1.00 | 0.00 |",
    ]
    assert figures.growth(ROWS) == {"als_model": pytest.approx(1.5), WHOLE: pytest.approx(0.5)}
    shares = figures.shares_table(ROWS)
    assert "| als_model | 2.0 | 30.0 | 1.00 | 3.00 | 1.50 |" in shares
    assert "report" not in shares, "below ten seconds a step is start-up"


def test_the_day_after_beside_the_first() -> None:
    second = [row(0.1, "als_model", 15.0), row(0.1, "new", 1.0)]
    table = figures.days_table(ROWS[3:], second).splitlines()
    assert table[2:] == ["| als_model | 60.0 | 30.0 | 30.0 | 15.0 | 0.50 |"]
    interrupted = [*second, row(0.1, WHOLE, 9.0).model_copy(update={"complete": False})]
    assert figures.days_table(ROWS[3:], interrupted).splitlines() == table, "half a day is no day"


def test_goals_are_those_of_a_day_at_the_full_size() -> None:
    whole = row(1, WHOLE, 100.0, wall=3599.0, peak=12 * 2**30)
    assert figures.conditions([whole]) == "Under 60 minutes, no process above 12 GiB: yes."
    for worse in ({"wall": 3600.0}, {"peak": 12 * 2**30 + 1}):
        assert figures.conditions([whole.model_copy(update=worse)]).endswith("no.")
    smaller = whole.model_copy(update={"share": 0.1, "load": 2.5, "complete": False})
    short = figures.conditions([smaller.model_copy(update={"epochs": 5})])
    assert short.endswith("began. Networks of recommenders trained for 5 epochs at most.")
    assert figures.conditions([smaller]) == "Not complete. The machine's load average was 2.5 when it began."


def test_the_plot_shows_the_line() -> None:
    drawn = figures.plot(ROWS)
    assert drawn.startswith("<svg")
    assert "$" not in drawn, "a formula that no browser shows"
    for text in ("linear", "als_model", "10%", "processor seconds"):
        assert text in drawn


def test_the_report_has_every_table() -> None:
    second = [each.model_copy(update={"stage": "day2"}) for each in ROWS if each.share == 0.1]
    said = bench.report([*ROWS, *second])
    for title in ("## 1%: day1", "## 10%: day2", "## 10%: the day after beside the first", "## day1 by share"):
        assert title in said


# Watching -----------------------------------------------------------------------------------------------------------


WORK = "import time; held = bytearray(60_000_000); sum(range(4_000_000)); print('x' * 500_000); time.sleep(0.6)"
WATCHING = """
import os, sys
from dataclasses import asdict
from pathlib import Path
from benchmarks.processes import Watch, sample_until_all_ended, start
watch, here = Watch(), Path(sys.argv[1])
process = start(["/bin/sh", "-c", f'"{sys.executable}" -c "{sys.argv[2]}"; exit 3'], here, os.environ, here / "log")
print(sample_until_all_ended(process, 0.05, watch.look))
print(sorted(watch.uses)[0] == process.pid, *asdict(watch.uses[process.pid]).values())
"""


def test_a_process_is_seen_with_what_it_starts(tmp_path: Path) -> None:
    """A shell starts a Python that computes, holds memory and writes; its use is the shell's.

    Whoever watches waits for all processes below it, so that it is a process of its own here.
    """
    command = [sys.executable, "-c", WATCHING, str(tmp_path), WORK]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    status, root_is_first, processor, peak, _, written = said
    assert (status, root_is_first) == ("3", "True")
    assert float(processor) > 0
    assert int(peak) > 60_000_000
    assert int(written) >= 500_000


def test_an_attempt_is_kept_and_found_again(tmp_path: Path) -> None:
    attempt = bench.Attempt(0.01, "day1", 10.0, 20.0, 5, 1.5, 8, {5: Use(2.0, 3, 4, 5)})
    attempt.save(tmp_path / "running.json")
    assert bench.Attempt.load_from(tmp_path / "running.json") == attempt
    (whole,) = bench.collect(tmp_path, attempt, complete=False)
    assert (whole.step, whole.wall, whole.processor, whole.complete, whole.epochs) == (WHOLE, 10.0, 2.0, False, 8)


@dg.op
def works() -> None:
    """A step that succeeds."""


@dg.op
def fails() -> None:
    """A step that does not."""
    raise ValueError("on purpose")


@dg.job
def two_steps() -> None:
    """One step of each kind."""
    works()
    fails()


def test_steps_that_succeeded_are_told(tmp_path: Path) -> None:
    """Of the runs that an attempt began; figures of processes are those of the step's, where it had one."""
    home = home_in(tmp_path)
    write_dagster_yaml(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        two_steps.execute_in_process(instance=instance, raise_on_error=False)
        began = time.time()
        two_steps.execute_in_process(instance=instance, raise_on_error=False)
    step, whole = bench.collect(
        tmp_path, bench.Attempt(1, "day1", began, time.time(), 5, 1.5, None, {}), complete=False
    )
    assert (step.step, step.processor, whole.step) == ("works", None, WHOLE)
    assert 0 < step.wall < whole.wall


def test_complete_stages_are_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that fails leaves its figures, and the next time only what is not complete is run."""
    ran: list[str] = []

    def run(folder: Path, stage: bench.Stage, share: float, epochs: int | None, *, again: bool) -> None:
        ran.append(stage.name)
        folder.mkdir(exist_ok=True)
        bench.Attempt(share, stage.name, 0.0, 1.0, 1, 0.0, epochs, {}).save(folder / "running.json")
        if ran == ["make", "ingest"]:
            raise subprocess.CalledProcessError(1, stage.name)

    monkeypatch.setattr(bench, "run", run)
    with pytest.raises(subprocess.CalledProcessError):
        bench.measure(tmp_path, 0.01, ["make", "ingest", "day1"])
    bench.measure(tmp_path, 0.01, ["make", "ingest", "day1"])
    assert ran == ["make", "ingest", "ingest", "day1"]
    rows = figures.read(tmp_path / "figures.jsonl")
    assert [(each.stage, each.complete) for each in rows] == [
        ("make", True),
        ("ingest", False),
        ("ingest", True),
        ("day1", True),
    ]
    bench.measure(tmp_path, 0.01, ["ingest"], again=True)
    assert ran[4:] == ["ingest"]
    again = figures.read(tmp_path / "figures.jsonl")
    assert [(each.stage, each.complete) for each in again] == [("make", True), ("day1", True), ("ingest", True)]


def test_a_plot_without_a_first_day_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ingested = Row(share=0.1, stage="ingest", step=WHOLE, wall=1.0, processor=1.0, complete=True)
    kept_figures.append(tmp_path / "figures.jsonl", [ingested])
    bench.main([str(tmp_path), "--plot", str(tmp_path / "plot.svg")])
    assert "plot.svg is not drawn: there are no figures of the stage day1 yet" in capsys.readouterr().out
    assert not (tmp_path / "plot.svg").exists()


def test_stages_meet_the_days_that_they_need() -> None:
    days = bench.stages()
    assert days["ingest"].last == DAY - pd.Timedelta(days=1), "the daily job reads its own day"
    assert days["judge"].first == DAY + pd.Timedelta(days=retailer.LATER)
    assert json.dumps([str(word) for word in days["day1"].command(Path("x"), 0.1)]).count("--last") == 0
    assert "--epochs=5" in days["day1"].command(Path("x"), 0.1, 5)
    assert "--again" not in days["day1"].command(Path("x"), 0.1)
    assert "--again" in days["day1"].command(Path("x"), 0.1, again=True)
    assert dataclasses.asdict(days["make"])["job"] == "make"


def test_what_a_day_has_is_not_made_again(tmp_path: Path) -> None:
    """Of a day that has all but the articles these are made, and what judges and shows the day; of another, all."""
    home = home_in(tmp_path)
    write_settings(home, Settings(source="parquet", path="../landing", first_day=retailer.FIRST_DAY))
    with dg.DagsterInstance.ephemeral() as instance:
        wanted = not_made(home, instance, "daily_retrain", DAY)
        for key in wanted:
            if key.to_user_string() != "articles":
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=f"{DAY}"))
        absent = {key.to_user_string() for key in not_made(home, instance, "daily_retrain", DAY)}
        assert absent == {"articles", *AFTERWARDS}
        assert not_made(home, instance, "daily_retrain", DAY + pd.Timedelta(days=1)) == wanted
        instance.report_runless_asset_event(dg.AssetMaterialization("articles", partition=f"{DAY}"))
        assert not not_made(home, instance, "daily_retrain", DAY)
        assert not_made(home, instance, "daily_retrain", DAY, again=True) == wanted
