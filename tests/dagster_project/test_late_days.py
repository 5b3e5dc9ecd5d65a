"""Late and corrected days, from the file to the run: what the sensor asks for, what is listed, what clears the list."""

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from assets.on_demand import STAGES
from assets.raw import STAGES as RAW
from dagster_project.build import build_defs
from dagster_project.cli import cli
from dagster_project.commands.backfill import superseded_days
from dagster_project.commands.init import write_dagster_yaml
from dagster_project.late_days import SETTLED, Asked, recent_days, remakes, settled
from resources.days import runs_of_days
from resources.feature_store import FeatureStore
from resources.made_from import CHANGED, FOLLOWS, UNKNOWN, Superseded, superseded
from resources.model_store import ModelStore
from resources.retailer import Home, Settings
from resources.settings_file import write_settings

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(4)]
FIRST, SECOND, THIRD, LAST = DAYS
#: What these tests make of a day.
MADE = ["popular_model", "recommendations/popular"]
HORIZON = 1


class Shop:
    """A home of a tiny landing zone, and a Dagster that does what the sensor asks for.

    Attributes:
        home: the home.
        zone: the landing zone.
        instance: Dagster's storage.
    """

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.zone, self.instance = root / "zone", instance
        self.cursor: str | None = None
        self.put("articles", FIRST, [{"article_id": f"a{n}", "in_stock": True} for n in range(6)])
        self.put("customers", FIRST, [{"customer_id": f"c{n}"} for n in range(4)])
        for day in DAYS:
            self.events(day, 6)
        self.home = Home(root / "home")
        settings: dict[str, Any] = {"source": "parquet", "path": str(self.zone), "first_day": FIRST, "last_day": LAST}
        few: dict[str, Any] = {"recommenders": ("popular",), "serving_model": "popular", "horizon": HORIZON}
        write_settings(self.home, Settings(**settings, **few))
        write_dagster_yaml(self.home)
        self.store = FeatureStore(self.home.store, threads=1)
        # No contracts and no processes of their own for steps: other tests have those, and they take most of the time.
        here = [replace(stage, isolated=False) for stage in STAGES]
        self.repository = build_defs(self.home, stages=here, store=self.store).get_repository_def()

    def put(self, table: str, day: date, rows: Sequence[dict[str, Any]]) -> Path:
        (self.zone / table).mkdir(parents=True, exist_ok=True)
        file = self.zone / table / f"ds={day}.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows)), file)
        return written_long_ago(file)

    def events(self, day: date, count: int) -> Path:
        moment = datetime(day.year, day.month, day.day, 12)
        rows = [
            {"customer_id": f"c{n % 4}", "article_id": f"a{n % 6}", "occurred_at": moment, "kind": "purchase"}
            for n in range(count)
        ]
        return self.put("interactions", day, rows)

    def ingest(self, first: date, last: date | None = None) -> None:
        self._run("ingest", first, last, [stage.name for stage in RAW if last or stage.name == "interactions"])

    def make(self, day: date) -> dg.ExecuteInProcessResult:
        return self._run("daily_retrain", day, None, MADE)

    def _run(self, job: str, first: date, last: date | None, assets: Sequence[str]) -> dg.ExecuteInProcessResult:
        ends = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
        days: dict[str, Any] = {"partition_key": str(first)} if last is None else {"tags": ends}
        keys = [dg.AssetKey.from_user_string(asset) for asset in assets]
        found = self.repository.get_job(job)
        return found.execute_in_process(instance=self.instance, asset_selection=keys, **days)

    def tick(self) -> list[tuple[str, str]]:
        """What the sensor asks for now: the job and the days."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.repository, sensor_name="late_days"
        )
        found = self.repository.get_sensor_def("late_days").evaluate_tick(context)
        self.cursor = found.cursor
        assert bool(found.run_requests) != bool(found.skip_message)
        return [(str(each.job_name), _days(each)) for each in found.run_requests or ()]

    def listed(self) -> list[date]:
        return sorted({each.ds for each in superseded(self.home.store)})

    def models(self) -> list[str]:
        models = ModelStore(self.home.store)
        return [models.pointer("popular_model", day) for day in DAYS[1:]]


_moments = itertools.count(1)


def written_long_ago(file: Path) -> Path:
    """Let a file be of another moment, long enough ago for the sensor to take it as whole."""
    moment = time.time_ns() - 2 * SETTLED * 10**9 + next(_moments) * 10**6
    os.utime(file, ns=(moment, moment))
    return file


def _days(request: dg.RunRequest) -> str:
    ends = [value for key, value in sorted(request.tags.items(), reverse=True) if "range" in key]
    return request.partition_key or " … ".join(ends)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose four days are ingested, and all but the first are made."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = Shop(tmp_path_factory.mktemp("shop"), instance)
        made.ingest(FIRST, LAST)
        for day in DAYS[1:]:
            made.make(day)
        yield made


def test_a_corrected_day_goes_from_the_file_to_the_models_and_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ATELIER_HOME", str(shop.home.root))
    run = CliRunner().invoke
    assert shop.tick() == []
    assert shop.listed() == []
    assert run(cli, ["superseded"]).exit_code == 0
    before, original = shop.models(), tmp_path / "original"
    shutil.copy2(file := shop.events(SECOND, 6), original)

    # Corrected: its own tables at once, asked for once.
    shop.events(SECOND, 9)
    assert shop.tick() == [("ingest", str(SECOND))]
    assert shop.tick() == [], "asked for already"
    said = run(cli, ["superseded"])
    assert said.exit_code == 1
    assert said.output.splitlines() == [
        f"{SECOND}  ingest  interactions/ds={SECOND}.parquet  (changed since the day was ingested)",
        "ingest them again with:",
        f"  atelier backfill {SECOND} {SECOND} --job ingest",
        "then look again: what was made from them follows",
    ]
    shop.ingest(SECOND)
    assert shop.store.read("interactions", SECOND).num_rows == 9
    assert shop.listed() == [SECOND, THIRD, LAST]

    # The original bytes again, before anything was made from the others: nothing is to be done.
    written_long_ago(Path(shutil.copy(original, file)))
    assert shop.tick() == [("ingest", str(SECOND))]
    shop.ingest(SECOND)
    assert shop.listed() == []
    assert shop.tick() == []

    # The same correction once more: it is asked for again, and then the newest horizon + 1 days.
    shop.events(SECOND, 9)
    assert shop.tick() == [("ingest", str(SECOND))]
    shop.ingest(SECOND)
    assert shop.tick() == [("daily_retrain", str(THIRD)), ("daily_retrain", str(LAST))]
    assert shop.tick() == [], "asked for already"
    for day in (THIRD, LAST):
        shop.make(day)
    assert shop.listed() == [SECOND], "the older day is left to a person"
    said = run(cli, ["superseded"])
    assert said.exit_code == 1
    assert f"{SECOND}  daily_retrain  popular_model  (input changed: interactions@{SECOND})" in said.output
    assert "atelier backfill --superseded" in said.output
    assert superseded_days(shop.home, "daily_retrain", DAYS) == [SECOND]
    assert superseded_days(shop.home, "daily_retrain", DAYS[2:]) == []

    # Made again on request, the list is empty.
    shop.make(SECOND)
    assert shop.listed() == []
    assert run(cli, ["superseded"]).exit_code == 0
    after = shop.models()
    assert all(new != old for new, old in zip(after, before, strict=True))

    # The original again: nothing is trained anew, because the bundle is there.
    written_long_ago(Path(shutil.copy(original, file)))
    shop.ingest(SECOND)
    assert "reused" in _metadata(shop.make(SECOND), "popular_model")
    assert shop.models() == [before[0], *after[1:]]
    assert shop.listed() == [THIRD, LAST]


def test_a_file_that_somebody_may_still_be_writing_waits(shop: Shop) -> None:
    file = shop.events(LAST, 11)
    os.utime(file)
    assert shop.tick() == []
    written_long_ago(file)
    now, second = time.time_ns(), 10**9
    stamps = {"long ago": now - 2 * SETTLED * second, "just now": now - second, "another clock's": now + 3600 * second}
    changed = {day: {name: (1, moment)} for day, (name, moment) in zip(DAYS, stamps.items(), strict=False)}
    assert list(settled(changed | {LAST: {"gone": None}}, now)) == [FIRST, THIRD, LAST]
    assert shop.tick() == [("ingest", str(LAST))]
    shop.ingest(LAST)


def test_nothing_is_ingested_while_an_ingest_is_at_work(shop: Shop) -> None:
    run = shop.instance.create_run_for_job(
        shop.repository.get_job("ingest"), status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": str(LAST)}
    )
    file = shop.events(LAST, 12)
    assert shop.tick() == []
    shop.instance.delete_run(run.run_id)
    assert shop.tick() == [("ingest", str(LAST))]
    shop.ingest(LAST)
    assert file.exists()


def test_files_that_cannot_be_compared_are_told(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = Home(tmp_path)
    shutil.copy(shop.home.toml, other.toml)
    monkeypatch.setenv("ATELIER_HOME", str(other.root))
    found = CliRunner().invoke(cli, ["superseded"])
    assert (found.exit_code, found.stderr) == (0, "no file was ingested from this folder: files are not compared\n")
    (tmp_path / "landed").mkdir()
    settings = other.toml.read_text().replace(str(shop.zone), str(tmp_path / "gone\\u001b"))
    other.toml.write_text(settings)
    found = CliRunner().invoke(cli, ["superseded"])
    assert found.exit_code == 0
    assert found.stderr.startswith("files are not compared: ")
    assert "gone?" in found.stderr


def _metadata(result: dg.ExecuteInProcessResult, asset: str) -> set[str]:
    key = dg.AssetKey.from_user_string(asset)
    (event,) = [each for each in result.get_asset_materialization_events() if each.asset_key == key]
    return set(event.materialization.metadata)


def found(day: date, asset: str, reason: str = CHANGED, now: str = "1") -> Superseded:
    return Superseded(day, asset, reason, f"interactions@{day}", "0", now)


def asked(listed: Sequence[Superseded]) -> list[tuple[str | None, str | None]]:
    return [(request.job_name, request.partition_key) for _, request in remakes(listed)]


def test_figures_are_asked_for_when_no_list_is_to_be_made_again() -> None:
    figures, lists = found(FIRST, "offline_metrics"), found(LAST, "recommendations/popular")
    assert asked([figures, lists]) == [("daily_retrain", str(LAST))]
    assert asked([figures]) == [("judge", str(FIRST))]
    assert asked([found(FIRST, "popular_model", UNKNOWN), found(FIRST, "gates", FOLLOWS)]) == []


def test_only_the_newest_days_are_asked_for() -> None:
    assert recent_days(DAYS, 1) == [THIRD, LAST]
    assert recent_days([FIRST], 1) == [FIRST - timedelta(days=1), FIRST]
    assert recent_days([], 7) == []


def test_days_that_follow_each_other_are_one_run() -> None:
    assert runs_of_days([FIRST, SECOND, LAST]) == [[FIRST, SECOND], [LAST]]
    assert runs_of_days([]) == []


@pytest.mark.parametrize("cursor", [None, "", "[]", "3", "{", '{"ingest": 3}'])
def test_a_cursor_that_says_nothing_counts_as_empty(cursor: str | None) -> None:
    assert Asked.from_cursor(cursor).states == {}


def test_a_state_is_asked_for_again_only_after_it_has_been_another() -> None:
    def wanted(state: str) -> list[tuple[str, dg.RunRequest]]:
        return [(state, dg.RunRequest(job_name="ingest", partition_key=str(FIRST)))]

    memory = Asked({})
    ask: Callable[[list[tuple[str, dg.RunRequest]]], int] = lambda each: len(memory.new("ingest", each))  # noqa: E731
    assert [ask(wanted(state)) for state in ("a", "a", "b", "a", "a")] == [1, 0, 1, 1, 0]
    memory = Asked.from_cursor(memory.cursor)
    assert ask(wanted("a")) == 0
    assert [ask([]), ask(wanted("a"))] == [0, 1], "what is not wanted any more is forgotten"
