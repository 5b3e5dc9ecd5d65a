"""What days were made from: a change lists what read it and what follows; the original bytes clear the list."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.feature_store import FeatureStore
from resources.made_from import (
    ABSENT,
    CHANGED,
    FOLLOWS,
    UNKNOWN,
    UNREADABLE,
    InputVersions,
    Reads,
    Record,
    RecordError,
    Superseded,
    put_record,
    record_name,
    records,
    superseded,
    versions_read,
)
from resources.model_store import ModelStore
from resources.publishing import publish

DAYS = [date(2025, 3, 3) + timedelta(days=n) for n in range(4)]
MODEL = Reads("popular_model", ("popular_model",), ("interactions", "customers"))
LISTS = Reads("recommendations_popular", ("recommendations/popular",), ("customers", "popular_model"))
JUDGE = Reads("offline_metrics", ("offline_metrics",), ("interactions",), ("recommendations/popular",))
HORIZON = 1


def interactions(ds: date, rows: int = 2) -> pa.Table:
    return pa.table(
        {
            "ordinal": pa.array(range(rows), pa.int64()),
            "customer_id": ["c"] * rows,
            "article_id": ["a"] * rows,
            "occurred_at": pa.array([pd.Timestamp(ds)] * rows, pa.timestamp("us")),
            "kind": ["purchase"] * rows,
            **{name: pa.nulls(rows) for name in ("price", "channel", "session_id")},
        }
    )


class Made:
    """A store whose days are made as runs would make them."""

    def __init__(self, root: Path) -> None:
        self.root, self.store, self.models = root, FeatureStore(root, threads=1), ModelStore(root)
        people = pd.DataFrame({"customer_id": ["c"], "age": 30, "profile": None})
        self.store.write_range("customers", [(ds, people) for ds in DAYS])
        self.store.write_range("interactions", [(ds, interactions(ds)) for ds in DAYS])
        for ds in DAYS:
            self.make(ds)

    def make(self, ds: date, stages: Sequence[Reads] = (MODEL, LISTS, JUDGE)) -> None:
        for reads in stages:
            inputs = versions_read(InputVersions(self.root), reads.inputs(ds, HORIZON))
            if reads is MODEL:
                version = self.store.data_version("interactions", ds)
                self.models.publish("popular_model", ds, self._save, {"interactions": version})
            elif reads is LISTS:
                self.lists(ds)
            put_record(self.root, Record(reads.stage, ds, reads.produces, inputs))

    def lists(self, ds: date) -> None:
        row = {"model": "popular", "customer_id": "c", "article_id": "a", "rank": 1, "score": 1.0, "seen": "excluded"}
        model_id = self.models.pointer("popular_model", ds)
        frame = pd.DataFrame([row]).assign(served=True, fallback=False, model_id=model_id, reasons=None)
        self.store.write("recommendations", ds, frame, part="popular")

    @staticmethod
    def _save(folder: Path) -> None:
        (folder / "config.json").write_text("{}\n")

    def listed(self) -> set[tuple[int, str, str]]:
        return {(DAYS.index(each.ds), each.asset, each.reason) for each in superseded(self.root)}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "store")


def test_nothing_is_listed_where_nothing_has_changed(made: Made) -> None:
    assert superseded(made.root) == []
    made.store.write("interactions", DAYS[2], interactions(DAYS[2]))  # the same bytes again
    assert superseded(made.root) == []


def test_a_corrected_day_lists_every_later_day_and_its_original_bytes_clear_the_list(made: Made) -> None:
    made.store.write("interactions", DAYS[2], interactions(DAYS[2], rows=3))
    lists = "recommendations/popular"
    assert made.listed() == {
        *((day, asset, CHANGED) for day in (2, 3) for asset in ("popular_model", "offline_metrics")),
        *((day, lists, FOLLOWS) for day in (2, 3)),
    }
    made.store.write("interactions", DAYS[2], interactions(DAYS[2]))
    assert superseded(made.root) == []


def test_days_that_are_made_again_leave_the_list(made: Made) -> None:
    made.store.write("interactions", DAYS[1], interactions(DAYS[1], rows=3))
    for ds in DAYS[2:]:
        made.make(ds, [MODEL, LISTS])
    # The figures of a day are of the lists of the day before it.
    assert {(day, asset) for day, asset, _ in made.listed()} == {
        (1, "popular_model"),
        (1, "recommendations/popular"),
        *((day, "offline_metrics") for day in (1, 2, 3)),
    }
    made.make(DAYS[1])
    made.make(DAYS[2], [JUDGE])
    made.make(DAYS[3], [JUDGE])
    assert superseded(made.root) == []


def test_a_model_that_is_made_again_supersedes_its_lists_and_their_figures(made: Made) -> None:
    made.store.write("interactions", DAYS[3], interactions(DAYS[3], rows=3))
    made.make(DAYS[3], [MODEL])
    (lists, figures) = superseded(made.root)[::-1]
    assert (lists.asset, lists.reason, lists.input) == ("recommendations/popular", CHANGED, f"popular_model@{DAYS[3]}")
    assert lists.now == made.models.pointer("popular_model", DAYS[3]) != lists.made_from
    assert (figures.asset, figures.input) == ("offline_metrics", f"interactions@{DAYS[3]}")


def test_only_the_days_that_are_asked_for_are_looked_at(made: Made) -> None:
    made.store.write("interactions", DAYS[0], interactions(DAYS[0], rows=3))
    assert {each.ds for each in superseded(made.root, DAYS[2:])} == set(DAYS[2:])


def test_a_day_that_arrives_late_counts_for_the_days_after_it(made: Made) -> None:
    late = DAYS[0] - timedelta(days=1)
    made.store.write("interactions", late, interactions(late))
    assert {each.ds for each in superseded(made.root)} == set(DAYS)


def test_what_nobody_recorded_is_listed_as_such(made: Made) -> None:
    (made.root / record_name("recommendations_popular", DAYS[1])).unlink()
    (made.root / record_name("popular_model", DAYS[1])).unlink()
    assert made.listed() == {(1, "recommendations/popular", UNKNOWN), (1, "popular_model", UNKNOWN)}


def test_a_stage_that_makes_nothing_any_more_has_no_record(made: Made) -> None:
    made.store.write("interactions", DAYS[3], interactions(DAYS[3], rows=3))
    put_record(made.root, Record("offline_metrics", DAYS[3], (), {}))
    assert "offline_metrics" not in {each.asset for each in superseded(made.root)}


def test_inputs_that_are_absent_or_unreadable_have_a_version_that_says_so(made: Made) -> None:
    (made.root / "models" / "popular_model" / f"ds={DAYS[1]}.json").write_text("{")
    (made.root / "customers" / f"ds={DAYS[1]}.json").write_text("{")
    versions = InputVersions(made.root)
    assert versions.of("popular_model", DAYS[1]) == versions.of("customers", DAYS[1]) == UNREADABLE
    assert versions.of("als_model", DAYS[1]) == versions.of("recommendations/als", DAYS[1]) == ABSENT
    assert versions.of("interactions", DAYS[1]) == made.store.data_version("interactions", DAYS[1])


def test_each_asset_names_the_job_that_makes_it_again() -> None:
    def job(asset: str) -> str:
        return Superseded(DAYS[0], asset, UNKNOWN, "", None, None).job

    assets = ("popular_model", "recommendations/als", "offline_metrics", "tuning_trials", "image_backbone")
    assert [job(asset) for asset in assets[:3]] == ["daily_retrain", "daily_retrain", "judge"]
    assert job("image_backbone") == "image_backbone"


def test_the_database_has_the_list(made: Made, tmp_path: Path) -> None:
    made.store.write("interactions", DAYS[3], interactions(DAYS[3], rows=3))
    publish(made.store, tmp_path / "atelier.duckdb", threads=1)
    with duckdb.connect(str(tmp_path / "atelier.duckdb"), read_only=True) as con:
        found = con.sql("SELECT ds, asset, reason, job FROM superseded ORDER BY asset").fetchall()
    assert found == [
        (DAYS[3], "offline_metrics", CHANGED, "judge"),
        (DAYS[3], "popular_model", CHANGED, "daily_retrain"),
        (DAYS[3], "recommendations/popular", FOLLOWS, "daily_retrain"),
    ]


def test_a_record_holds_neither_run_nor_clock(made: Made, tmp_path: Path) -> None:
    other = Made(tmp_path / "other")
    assert records(made.root) == records(other.root) != []
    assert [each.to_json() for each in records(made.root)] == [each.to_json() for each in records(other.root)]


NAMES = st.text("abc_", min_size=1, max_size=6)


@given(NAMES, st.dates(), st.lists(NAMES, max_size=3), st.dictionaries(NAMES, NAMES, max_size=3))
def test_a_record_is_read_as_it_was_written(stage: str, ds: date, assets: list[str], inputs: dict[str, str]) -> None:
    record = Record(stage, ds, tuple(assets), {f"{asset}@{ds}": version for asset, version in inputs.items()})
    assert Record.from_json(record.to_json(), record.name) == record


@given(st.one_of(st.text(), st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(json.dumps)))
def test_whatever_else_is_refused_with_its_file_and_what_to_do(text: str) -> None:
    with pytest.raises(RecordError, match=r"_made_from/x/ds=2025-03-03\.json in the store .*; delete it"):
        Record.from_json(text, record_name("x", DAYS[0]))
